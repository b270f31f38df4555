//! Who asks.

use std::collections::BTreeMap;

/// A user: who asks, and what the authorizer and the audit know of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// Its name, such as `system:kube-scheduler`.
    pub name: String,
    /// Its groups, such as `system:masters`.
    pub groups: Vec<String>,
    /// What tells it from others of its name at other times; empty where nothing does.
    pub uid: String,
    /// What else its authenticator knows.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// The group of every user who proved who it is.
pub(crate) const AUTHENTICATED: &str = "system:authenticated";
/// The group of the user who did not.
pub(crate) const UNAUTHENTICATED: &str = "system:unauthenticated";

/// The name of the user who did not.
pub(crate) const ANONYMOUS: &str = "system:anonymous";

/// The name of a service account as a user.
pub(crate) fn service_account(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

/// Namespace and name of the service account that the user of this name is.
pub(crate) fn as_service_account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains(':')).then_some((namespace, name))
}

/// The groups of a service account.
pub(crate) fn service_account_groups(namespace: &str) -> [String; 2] {
    ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")]
}

impl User {
    /// Nobody in particular.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { name: ANONYMOUS.to_owned(), groups: vec![UNAUTHENTICATED.to_owned()], ..Self::default() }
    }

    /// A user who proved a name and groups.
    #[must_use]
    pub fn authenticated<'a>(name: &str, groups: impl IntoIterator<Item = &'a str>) -> Self {
        let groups = groups.into_iter().chain([AUTHENTICATED]).map(str::to_owned).collect();
        Self { name: name.to_owned(), groups, ..Self::default() }
    }

    /// Whether the user is in a group.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }

    /// Whether the user proved who it is.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.is_in(AUTHENTICATED)
    }

    /// The name of the node, where the user is a kubelet.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        self.is_in("system:nodes").then(|| self.name.strip_prefix("system:node:")).flatten()
    }
}
