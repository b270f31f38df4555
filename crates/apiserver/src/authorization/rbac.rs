//! Roles and who has them: which rules hold for a user, found by a few look-ups.

pub(crate) mod cover;
pub(crate) mod rules;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use gantry_api::meta::v1::ObjectMeta;
use gantry_api::rbac::v1::{PolicyRule, RoleRef, Subject};

use super::Attributes;
use crate::pipeline::{User, service_account};

/// The rules of a role, shared by all who have it.
type Rules = Arc<[PolicyRule]>;

/// All roles and their bindings, indexed by whom they are about.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    /// By namespace and name; the cluster's in the namespace that has no name.
    roles: HashMap<Box<str>, HashMap<Box<str>, Rules>>,
    /// By namespace; the cluster's in the one that has no name.
    bindings: HashMap<Box<str>, Bindings>,
}

/// The bindings of a namespace, or of the cluster.
#[derive(Debug, Default)]
struct Bindings {
    by_name: HashMap<Box<str>, Arc<Binding>>,
    users: HashMap<Box<str>, Vec<Arc<Binding>>>,
    groups: HashMap<Box<str>, Vec<Arc<Binding>>>,
}

/// A role that somebody has.
#[derive(Debug)]
pub(crate) struct Binding {
    namespace: String,
    name: String,
    role: RoleRef,
    subjects: Vec<Subject>,
}

/// Whom a binding is about.
enum Key {
    User(String),
    Group(String),
}

impl Binding {
    /// A binding in a namespace, or in the cluster.
    pub(crate) fn new(meta: &ObjectMeta, role: Option<&RoleRef>, subjects: &[Subject]) -> Self {
        Self {
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
            role: role.cloned().unwrap_or_default(),
            subjects: subjects.to_vec(),
        }
    }

    fn key(&self, subject: &Subject) -> Option<Key> {
        match subject.kind.as_str() {
            "User" => Some(Key::User(subject.name.clone())),
            "Group" => Some(Key::Group(subject.name.clone())),
            "ServiceAccount" => {
                let own = if subject.namespace.is_empty() { &self.namespace } else { &subject.namespace };
                (!own.is_empty()).then(|| Key::User(service_account(own, &subject.name)))
            }
            _ => None,
        }
    }
}

/// As what a binding is about a user.
#[derive(Debug, Clone, Copy)]
enum Who<'a> {
    User(&'a str),
    Group(&'a str),
}

impl Who<'_> {
    fn is(self, subject: &Subject, binding: &Binding) -> bool {
        match (self, binding.key(subject)) {
            (Self::User(wanted), Some(Key::User(name))) | (Self::Group(wanted), Some(Key::Group(name))) => {
                name == wanted
            }
            _ => false,
        }
    }
}

/// What permits a request: a binding, and as what it is about the user.
#[derive(Debug)]
pub(crate) struct Grant<'a> {
    binding: &'a Binding,
    who: Who<'a>,
}

impl fmt::Display for Grant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Binding { namespace, name, role, .. } = self.binding;
        if namespace.is_empty() {
            write!(f, "ClusterRoleBinding {name:?}")?;
        } else {
            write!(f, "RoleBinding {:?}", format!("{name}/{namespace}"))?;
        }
        write!(f, " of {} {:?} to ", role.kind, role.name)?;
        let subject = self.binding.subjects.iter().find(|subject| self.who.is(subject, self.binding));
        // Every grant comes of a subject.
        let Some(Subject { kind, name, namespace: of, .. }) = subject else { return Err(fmt::Error) };
        if kind == "ServiceAccount" {
            let of = if of.is_empty() { namespace } else { of };
            return write!(f, "{kind} {:?}", format!("{name}/{of}"));
        }
        write!(f, "{kind} {name:?}")
    }
}

/// A role that a binding names and that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    /// `Role` or `ClusterRole`.
    pub(crate) kind: String,
    /// Its name.
    pub(crate) name: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.to_lowercase();
        write!(f, "{kind}.rbac.authorization.k8s.io {:?} not found", self.name)
    }
}

impl Policy {
    /// Whether there is no role at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.roles.is_empty()
    }

    /// Takes a role in, or forgets it; the cluster's roles have no namespace.
    pub(crate) fn set_role(&mut self, namespace: &str, name: &str, rules: Option<&[PolicyRule]>) {
        match rules {
            Some(rules) => {
                self.roles.entry(namespace.into()).or_default().insert(name.into(), rules.into());
            }
            None => {
                if let Some(roles) = self.roles.get_mut(namespace) {
                    roles.remove(name);
                    if roles.is_empty() {
                        self.roles.remove(namespace);
                    }
                }
            }
        }
    }

    /// Takes a binding in, in place of the one of its name.
    pub(crate) fn set_binding(&mut self, binding: Binding) {
        self.remove_binding(&binding.namespace, &binding.name);
        let binding = Arc::new(binding);
        let here = self.bindings.entry(binding.namespace.as_str().into()).or_default();
        for subject in &binding.subjects {
            let list = match binding.key(subject) {
                Some(Key::User(name)) => here.users.entry(name.into()).or_default(),
                Some(Key::Group(name)) => here.groups.entry(name.into()).or_default(),
                None => continue,
            };
            // A subject may stand twice in one binding.
            if !list.iter().any(|other| Arc::ptr_eq(other, &binding)) {
                list.push(binding.clone());
                list.sort_by(|a, b| a.name.cmp(&b.name));
            }
        }
        here.by_name.insert(binding.name.as_str().into(), binding);
    }

    /// Forgets a binding.
    pub(crate) fn remove_binding(&mut self, namespace: &str, name: &str) {
        let Some(here) = self.bindings.get_mut(namespace) else { return };
        let Some(binding) = here.by_name.remove(name) else { return };
        for subject in &binding.subjects {
            let (map, key) = match binding.key(subject) {
                Some(Key::User(name)) => (&mut here.users, name),
                Some(Key::Group(name)) => (&mut here.groups, name),
                None => continue,
            };
            if let Some(list) = map.get_mut(key.as_str()) {
                list.retain(|other| !Arc::ptr_eq(other, &binding));
                if list.is_empty() {
                    map.remove(key.as_str());
                }
            }
        }
        if here.by_name.is_empty() {
            self.bindings.remove(namespace);
        }
    }

    /// Forgets all bindings of namespaces, or all of the cluster.
    pub(crate) fn clear_bindings(&mut self, namespaced: bool) {
        self.bindings.retain(|namespace, _| namespace.is_empty() == namespaced);
    }

    /// Forgets all roles of namespaces, or all of the cluster.
    pub(crate) fn clear_roles(&mut self, namespaced: bool) {
        self.roles.retain(|namespace, _| namespace.is_empty() == namespaced);
    }

    /// The rules of a role that a binding in `namespace` names.
    pub(crate) fn rules_of(&self, role: &RoleRef, namespace: &str) -> Result<&[PolicyRule], Missing> {
        let place = if role.kind == "Role" { namespace } else { "" };
        let rules = self.roles.get(place).and_then(|roles| roles.get(role.name.as_str()));
        rules
            .map(|rules| &**rules)
            .ok_or_else(|| Missing { kind: role.kind.clone(), name: role.name.clone() })
    }

    /// What permits the request; else the roles that are missing.
    pub(crate) fn decide<'a>(
        &'a self,
        user: &'a User,
        attributes: &Attributes<'a>,
    ) -> Result<Grant<'a>, Vec<Missing>> {
        let namespace = match *attributes {
            Attributes::Resource { namespace, .. } => namespace,
            Attributes::Path { .. } => "",
        };
        let mut missing = Vec::new();
        for grant in self.grants(user, namespace) {
            match self.rules_of(&grant.binding.role, &grant.binding.namespace) {
                Ok(rules) if rules.iter().any(|rule| rules::permits(rule, attributes)) => return Ok(grant),
                Ok(_) => {}
                Err(role) if missing.contains(&role) => {}
                Err(role) => missing.push(role),
            }
        }
        Err(missing)
    }

    /// All rules that hold for a user in a namespace, the cluster's among them, and the roles that are missing.
    pub(crate) fn rules_for(&self, user: &User, namespace: &str) -> (Vec<PolicyRule>, Vec<Missing>) {
        let (mut held, mut missing) = (Vec::new(), Vec::new());
        for grant in self.grants(user, namespace) {
            match self.rules_of(&grant.binding.role, &grant.binding.namespace) {
                Ok(rules) => held.extend_from_slice(rules),
                Err(role) => missing.push(role),
            }
        }
        (held, missing)
    }

    /// The bindings that are about a user: the cluster's, then those of the namespace.
    fn grants<'a>(&'a self, user: &'a User, namespace: &'a str) -> impl Iterator<Item = Grant<'a>> {
        let places = std::iter::once("").chain((!namespace.is_empty()).then_some(namespace));
        places.filter_map(|place| self.bindings.get(place)).flat_map(move |here| {
            let own = here.users.get(user.name.as_str()).into_iter().flatten();
            let own = own.map(move |binding| Grant { binding, who: Who::User(&user.name) });
            let groups = user.groups.iter().flat_map(move |group| {
                let list = here.groups.get(group.as_str()).into_iter().flatten();
                list.map(move |binding| Grant { binding, who: Who::Group(group) })
            });
            own.chain(groups)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(verbs: &[&str], resource: &str) -> Vec<PolicyRule> {
        serde_json::from_value(json!([{"verbs": verbs, "apiGroups": [""], "resources": [resource]}])).unwrap()
    }

    fn bind(
        policy: &mut Policy,
        namespace: &str,
        name: &str,
        role: (&str, &str),
        subjects: serde_json::Value,
    ) {
        let meta = ObjectMeta { namespace: namespace.into(), name: name.into(), ..ObjectMeta::default() };
        let role = RoleRef { kind: role.0.into(), name: role.1.into(), ..RoleRef::default() };
        let subjects: Vec<Subject> = serde_json::from_value(subjects).unwrap();
        policy.set_binding(Binding::new(&meta, Some(&role), &subjects));
    }

    fn ask(policy: &Policy, user: &User, verb: &str, namespace: &str) -> Result<String, Vec<String>> {
        let attributes =
            Attributes::Resource { verb, group: "", resource: "pods", subresource: "", namespace, name: "" };
        policy
            .decide(user, &attributes)
            .map(|grant| grant.to_string())
            .map_err(|missing| missing.iter().map(ToString::to_string).collect())
    }

    fn cluster() -> Policy {
        let mut policy = Policy::default();
        policy.set_role("", "reader", Some(&rules(&["get", "list"], "pods")));
        policy.set_role("a", "writer", Some(&rules(&["create"], "pods")));
        bind(
            &mut policy,
            "",
            "all-read",
            ("ClusterRole", "reader"),
            json!([{"kind": "Group", "name": "dev"}]),
        );
        bind(&mut policy, "a", "jane", ("Role", "writer"), json!([{"kind": "User", "name": "jane"}]));
        bind(
            &mut policy,
            "a",
            "robot",
            ("ClusterRole", "reader"),
            json!([{"kind": "ServiceAccount", "name": "bot"}, {"kind": "ServiceAccount", "name": "bot", "namespace": "b"}]),
        );
        policy
    }

    #[test]
    fn a_role_is_had_in_the_place_of_its_binding() {
        let policy = cluster();
        let jane = User::authenticated("jane", ["dev"]);
        assert_eq!(
            ask(&policy, &jane, "list", "a").unwrap(),
            r#"ClusterRoleBinding "all-read" of ClusterRole "reader" to Group "dev""#
        );
        assert!(ask(&policy, &jane, "list", "").is_ok());
        assert_eq!(
            ask(&policy, &jane, "create", "a").unwrap(),
            r#"RoleBinding "jane/a" of Role "writer" to User "jane""#
        );
        assert_eq!(ask(&policy, &jane, "create", "b"), Err(vec![]));
        assert_eq!(ask(&policy, &jane, "create", ""), Err(vec![]));
        assert_eq!(ask(&policy, &User::authenticated("joe", []), "list", "a"), Err(vec![]));
    }

    #[test]
    fn service_accounts_are_users_of_their_namespace() {
        let policy = cluster();
        let own = User::authenticated("system:serviceaccount:a:bot", []);
        assert_eq!(
            ask(&policy, &own, "get", "a").unwrap(),
            r#"RoleBinding "robot/a" of ClusterRole "reader" to ServiceAccount "bot/a""#
        );
        let other = User::authenticated("system:serviceaccount:b:bot", []);
        assert_eq!(
            ask(&policy, &other, "get", "a").unwrap(),
            r#"RoleBinding "robot/a" of ClusterRole "reader" to ServiceAccount "bot/b""#
        );
        // The cluster role holds in the binding's namespace only.
        assert_eq!(ask(&policy, &own, "get", "b"), Err(vec![]));
        assert_eq!(ask(&policy, &User::authenticated("bot", []), "get", "a"), Err(vec![]));
    }

    #[test]
    fn what_goes_is_forgotten_and_what_is_missing_is_told() {
        let mut policy = cluster();
        let jane = User::authenticated("jane", []);
        policy.set_role("a", "writer", None);
        let told = Err(vec![r#"role.rbac.authorization.k8s.io "writer" not found"#.to_owned()]);
        assert_eq!(ask(&policy, &jane, "create", "a"), told);
        policy.remove_binding("a", "jane");
        assert_eq!(ask(&policy, &jane, "create", "a"), Err(vec![]));
        let dev = User::authenticated("jane", ["dev"]);
        assert!(ask(&policy, &dev, "get", "a").is_ok());
        // Another list of subjects takes the place of the first.
        bind(
            &mut policy,
            "",
            "all-read",
            ("ClusterRole", "reader"),
            json!([{"kind": "Group", "name": "ops"}]),
        );
        assert_eq!(ask(&policy, &dev, "get", "a"), Err(vec![]));
        policy.clear_bindings(true);
        policy.clear_bindings(false);
        policy.clear_roles(true);
        policy.clear_roles(false);
        assert!(policy.roles.is_empty() && policy.bindings.is_empty());
    }
}
