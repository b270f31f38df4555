//! What a request to a server behind this one asks for: only the path says it, as nothing is known of what is there.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

use crate::authorization::Attributes;

/// The parts of a namespace that are no resources inside of it.
const OF_NAMESPACES: [&str; 2] = ["status", "finalize"];

/// What a request asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    verb: String,
    path: String,
    resource: Option<Resource>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Resource {
    group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

impl Asked {
    /// Reads a path below `/apis`; `None` where it is not UTF-8, or names nothing behind a verb. `selected` is the name
    /// that a field selector asks for.
    pub(crate) fn read(method: &Method, path: &str, watch: bool, selected: Option<&str>) -> Option<Self> {
        // Decoded as a whole before it is split, as the servers behind do.
        let decoded: Cow<'_, str> = percent_decode_str(path).decode_utf8().ok()?;
        let segments: Vec<&str> = decoded.trim_matches('/').split('/').collect();
        let [_, group, _, rest @ ..] = segments.as_slice() else {
            return Some(Self::path_only(method, path));
        };
        let (mut verb, rest) = match rest {
            [] => return Some(Self::path_only(method, path)),
            ["proxy" | "watch"] => return None,
            [verb @ ("proxy" | "watch"), rest @ ..] => (*verb, rest),
            rest => (of_method(method), rest),
        };
        let (namespace, parts) = match rest {
            ["namespaces", namespace, part, ..] if OF_NAMESPACES.contains(part) => (*namespace, rest),
            ["namespaces", namespace] => (*namespace, rest),
            ["namespaces", namespace, parts @ ..] => (*namespace, parts),
            rest => ("", rest),
        };
        let part = |index: usize| parts.get(index).copied().unwrap_or_default();
        let (resource, mut name) = (part(0), part(1));
        let subresource = if matches!(verb, "proxy" | "watch") { "" } else { part(2) };
        if name.is_empty() {
            match verb {
                "get" if watch => verb = "watch",
                "get" => verb = "list",
                "delete" => verb = "deletecollection",
                _ => {}
            }
            if matches!(verb, "list" | "watch") {
                name = selected.unwrap_or_default();
            }
        }
        let resource = Resource {
            group: (*group).to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        Some(Self { verb: verb.to_owned(), path: path.to_owned(), resource: Some(resource) })
    }

    fn path_only(method: &Method, path: &str) -> Self {
        Self { verb: method.as_str().to_ascii_lowercase(), path: path.to_owned(), resource: None }
    }

    /// What has to be permitted.
    pub(crate) fn attributes(&self) -> Attributes<'_> {
        match &self.resource {
            None => Attributes::Path { verb: &self.verb, path: &self.path },
            Some(found) => Attributes::Resource {
                verb: &self.verb,
                group: &found.group,
                resource: &found.resource,
                subresource: &found.subresource,
                namespace: &found.namespace,
                name: &found.name,
            },
        }
    }
}

fn of_method(method: &Method) -> &'static str {
    match method.as_str() {
        "POST" => "create",
        "GET" | "HEAD" => "get",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, path: &str, watch: bool) -> Asked {
        Asked::read(&method, path, watch, None).unwrap()
    }

    fn resource<'a>(
        verb: &'a str,
        namespace: &'a str,
        resource: &'a str,
        name: &'a str,
        subresource: &'a str,
    ) -> Attributes<'a> {
        Attributes::Resource { verb, group: "g.example", resource, subresource, namespace, name }
    }

    #[test]
    fn a_path_names_a_resource() {
        let of = |method: Method, rest: &str, watch: bool| {
            asked(method, &format!("/apis/g.example/v1/{rest}"), watch)
        };
        for (method, rest, watch, wanted) in [
            (Method::GET, "gears", false, resource("list", "", "gears", "", "")),
            (Method::GET, "gears", true, resource("watch", "", "gears", "", "")),
            (Method::GET, "gears/a", true, resource("get", "", "gears", "a", "")),
            (Method::HEAD, "namespaces/n/gears/a", false, resource("get", "n", "gears", "a", "")),
            (Method::POST, "namespaces/n/gears", false, resource("create", "n", "gears", "", "")),
            (Method::DELETE, "namespaces/n/gears", false, resource("deletecollection", "n", "gears", "", "")),
            (Method::DELETE, "namespaces/n/gears/a", false, resource("delete", "n", "gears", "a", "")),
            (Method::PUT, "namespaces/n/gears/a/b/c/d", false, resource("update", "n", "gears", "a", "b")),
            (Method::GET, "namespaces/n/pods/*/load", false, resource("get", "n", "pods", "*", "load")),
            (Method::GET, "namespaces/n", false, resource("get", "n", "namespaces", "n", "")),
            (Method::PUT, "namespaces/n/status", false, resource("update", "n", "namespaces", "n", "status")),
            (Method::GET, "watch/namespaces/n/gears", false, resource("watch", "n", "gears", "", "")),
            (Method::GET, "namespaces/n%2Fgears", false, resource("list", "n", "gears", "", "")),
            (Method::OPTIONS, "gears", false, resource("", "", "gears", "", "")),
        ] {
            assert_eq!(of(method, rest, watch).attributes(), wanted, "{rest}");
        }
    }

    #[test]
    fn other_paths_are_paths() {
        let path = "/apis/g.example/v1";
        let found = asked(Method::GET, path, false);
        assert_eq!(found.attributes(), Attributes::Path { verb: "get", path });
        assert_eq!(Asked::read(&Method::GET, "/apis/g.example/v1/watch", false, None), None);
        assert_eq!(Asked::read(&Method::GET, "/apis/g.example/v1/%ff", false, None), None);
    }

    #[test]
    fn who_selects_one_object_is_asked_about_it() {
        let found = Asked::read(&Method::GET, "/apis/g.example/v1/gears", true, Some("a")).unwrap();
        assert_eq!(found.attributes(), resource("watch", "", "gears", "a", ""));
    }
}
