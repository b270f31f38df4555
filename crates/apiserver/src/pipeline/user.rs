//! Who asks.

/// A user: who asks, and what the authorizer and the audit know of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its name, such as `system:kube-scheduler`.
    pub name: String,
    /// Its groups, such as `system:masters`.
    pub groups: Vec<String>,
}

/// The group of every user who proved who it is.
const AUTHENTICATED: &str = "system:authenticated";
/// The group of the user who did not.
const UNAUTHENTICATED: &str = "system:unauthenticated";

impl User {
    /// Nobody in particular.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { name: "system:anonymous".to_owned(), groups: vec![UNAUTHENTICATED.to_owned()] }
    }

    /// A user who proved a name and groups.
    #[must_use]
    pub fn authenticated<'a>(name: &str, groups: impl IntoIterator<Item = &'a str>) -> Self {
        let groups = groups.into_iter().chain([AUTHENTICATED]).map(str::to_owned).collect();
        Self { name: name.to_owned(), groups }
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
