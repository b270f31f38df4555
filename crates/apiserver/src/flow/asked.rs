//! What a request asks for, before anybody looks at whether that is there.

use std::borrow::Cow;

use crate::authorization::Attributes;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    verb: Cow<'static, str>,
    path: String,
    what: Option<Resource>,
    reach: Option<Reach>,
}

/// The resource that it is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// How much of a collection is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// One object, chosen by its name.
    One,
    /// So many at most; 0 for all.
    UpTo(u64),
}

impl Asked {
    /// A verb on a path that is no resource.
    pub(crate) fn path_only(verb: impl Into<Cow<'static, str>>, path: &str) -> Self {
        Self { verb: verb.into(), path: path.to_owned(), what: None, reach: None }
    }

    /// A verb on a resource. What reads a collection says how much of it.
    pub(crate) fn resource(
        verb: impl Into<Cow<'static, str>>,
        path: &str,
        what: Resource,
        reach: Option<Reach>,
    ) -> Self {
        Self { verb: verb.into(), path: path.to_owned(), what: Some(what), reach }
    }

    pub(crate) fn verb(&self) -> &str {
        &self.verb
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn reach(&self) -> Option<&Reach> {
        self.reach.as_ref()
    }

    /// The same as who authorizes sees it.
    pub(crate) fn attributes(&self) -> Attributes<'_> {
        match &self.what {
            None => Attributes::Path { verb: &self.verb, path: &self.path },
            Some(Resource { group, resource, subresource, namespace, name }) => Attributes::Resource {
                verb: &self.verb,
                group,
                resource,
                subresource,
                // A namespace is in itself.
                namespace: if group.is_empty() && resource == "namespaces" { name } else { namespace },
                name,
            },
        }
    }
}
