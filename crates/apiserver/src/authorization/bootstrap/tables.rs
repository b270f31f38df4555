//! The tables of default roles and bindings, read.

use gantry_api::Resource as _;
use gantry_api::meta::v1::{LabelSelector, ObjectMeta};
use gantry_api::rbac::v1::{
    AggregationRule, ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};

use crate::authorization::rbac::{Binding, Policy};

const GROUP: &str = "rbac.authorization.k8s.io";
const READ: [&str; 3] = ["get", "list", "watch"];
const WRITE: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];
const CONTROLLER: &str = "system:controller:";

/// A line of a table that says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the table of default roles has a line that cannot be read: {0:?}")]
pub struct TableError(String);

/// The roles and bindings that every cluster has.
#[derive(Debug)]
pub(crate) struct Defaults {
    pub(crate) cluster_roles: Vec<ClusterRole>,
    pub(crate) roles: Vec<Role>,
    pub(crate) cluster_bindings: Vec<ClusterRoleBinding>,
    pub(crate) bindings: Vec<RoleBinding>,
}

impl Defaults {
    /// Reads the tables.
    pub(crate) fn load() -> Result<Self, TableError> {
        let mut cluster_roles = Vec::new();
        for entry in entries(include_str!("roles.txt"))? {
            cluster_roles.push(cluster_role(entry)?);
        }
        let mut all = Self::bindings(include_str!("bindings.txt"))?;
        for entry in entries(include_str!("controllers.txt"))? {
            let name = entry.head;
            let mut role = cluster_role(entry)?;
            role.metadata = Some(meta("", &format!("{CONTROLLER}{name}")));
            let subject = subject(&format!("ServiceAccount kube-system/{name}"))?;
            all.cluster_bindings.push(ClusterRoleBinding {
                metadata: role.metadata.clone(),
                subjects: vec![subject],
                role_ref: Some(role_ref("ClusterRole", &format!("{CONTROLLER}{name}"))),
            });
            cluster_roles.push(role);
        }
        let mut roles = Vec::new();
        for entry in entries(include_str!("namespaces.txt"))? {
            let (namespace, name) = entry.head.split_once('/').ok_or_else(|| unread(entry.head))?;
            roles.push(Role { metadata: Some(meta(namespace, name)), rules: rules(&entry.lines)? });
        }
        Ok(Self { cluster_roles, roles, ..all })
    }

    /// What the defaults permit.
    pub(crate) fn policy(&self) -> Policy {
        let mut policy = Policy::default();
        for role in &self.cluster_roles {
            policy.set_role("", role.name(), Some(&role.rules));
        }
        for role in &self.roles {
            policy.set_role(role.namespace(), role.name(), Some(&role.rules));
        }
        for binding in &self.cluster_bindings {
            policy.set_binding(Binding::new(binding.meta(), binding.role_ref.as_ref(), &binding.subjects));
        }
        for binding in &self.bindings {
            policy.set_binding(Binding::new(binding.meta(), binding.role_ref.as_ref(), &binding.subjects));
        }
        policy
    }

    /// The rules of a cluster role.
    pub(crate) fn rules(&self, name: &str) -> Vec<PolicyRule> {
        let is = |role: &&ClusterRole| role.metadata.as_ref().is_some_and(|meta| meta.name == name);
        self.cluster_roles.iter().find(is).map(|role| role.rules.clone()).unwrap_or_default()
    }

    fn bindings(text: &str) -> Result<Self, TableError> {
        let mut all = Self {
            cluster_roles: Vec::new(),
            roles: Vec::new(),
            cluster_bindings: Vec::new(),
            bindings: Vec::new(),
        };
        for line in lines(text) {
            let (head, whom) = match line.strip_suffix(':') {
                Some(head) => (head, ""),
                None => line.split_once(": ").ok_or_else(|| unread(line))?,
            };
            let subjects = whom.split(", ").filter(|one| !one.is_empty()).map(subject);
            let subjects = subjects.collect::<Result<Vec<_>, _>>()?;
            let (place, role) =
                head.split_once(" = ").map_or((head, None), |(place, role)| (place, Some(role)));
            match place.split_once('/') {
                Some((namespace, name)) => all.bindings.push(RoleBinding {
                    metadata: Some(meta(namespace, name)),
                    subjects,
                    role_ref: Some(role_ref("Role", role.unwrap_or(name))),
                }),
                None => all.cluster_bindings.push(ClusterRoleBinding {
                    metadata: Some(meta("", place)),
                    subjects,
                    role_ref: Some(role_ref("ClusterRole", role.unwrap_or(place))),
                }),
            }
        }
        Ok(all)
    }
}

/// A role of a table: its head and its rules.
struct Entry<'a> {
    head: &'a str,
    lines: Vec<&'a str>,
}

fn unread(line: &str) -> TableError {
    TableError(line.to_owned())
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim_end).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn entries(text: &str) -> Result<Vec<Entry<'_>>, TableError> {
    let mut all: Vec<Entry<'_>> = Vec::new();
    for line in lines(text) {
        match (line.strip_prefix("  "), all.last_mut()) {
            (None, _) => all.push(Entry { head: line, lines: Vec::new() }),
            (Some(rule), Some(entry)) => entry.lines.push(rule),
            (Some(_), None) => return Err(unread(line)),
        }
    }
    Ok(all)
}

/// What every default has, beside its name.
fn meta(namespace: &str, name: &str) -> ObjectMeta {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    ObjectMeta {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        labels: [pair("kubernetes.io/bootstrapping", "rbac-defaults")].into(),
        annotations: [pair(super::AUTO_UPDATE, "true")].into(),
        ..ObjectMeta::default()
    }
}

fn aggregate(to: &str) -> (String, String) {
    (format!("{GROUP}/aggregate-to-{to}"), "true".to_owned())
}

fn cluster_role(entry: Entry<'_>) -> Result<ClusterRole, TableError> {
    let (head, label) = match entry.head.split_once(" + ") {
        Some((head, label)) => (head, Some(label)),
        None => (entry.head, None),
    };
    let (name, sum) = match head.split_once(" << ") {
        Some((name, sum)) => (name, Some(sum)),
        None => (head, None),
    };
    let mut meta = meta("", name);
    meta.labels.extend(label.map(aggregate));
    let aggregation_rule = sum.map(|sum| {
        let selector = LabelSelector { match_labels: [aggregate(sum)].into(), ..LabelSelector::default() };
        AggregationRule { cluster_role_selectors: vec![selector] }
    });
    Ok(ClusterRole { metadata: Some(meta), rules: rules(&entry.lines)?, aggregation_rule })
}

fn rules(lines: &[&str]) -> Result<Vec<PolicyRule>, TableError> {
    lines.iter().map(|line| rule(line)).collect()
}

fn rule(line: &str) -> Result<PolicyRule, TableError> {
    if let Some((verbs, paths)) = line.split_once(" > ") {
        return Ok(PolicyRule {
            verbs: words(verbs),
            non_resource_urls: words(paths),
            ..PolicyRule::default()
        });
    }
    let parts: Vec<&str> = line.split(" | ").collect();
    let (verbs, groups, resources, names) = match parts.as_slice() {
        [verbs, groups, resources] => (verbs, groups, resources, ""),
        [verbs, groups, resources, names] => (verbs, groups, resources, *names),
        _ => return Err(unread(line)),
    };
    Ok(PolicyRule {
        verbs: words(verbs),
        api_groups: words(groups),
        resources: words(resources),
        resource_names: words(names),
        ..PolicyRule::default()
    })
}

/// Words in order, the short ones written out.
fn words(text: &str) -> Vec<String> {
    let mut all: Vec<String> = text
        .split_whitespace()
        .flat_map(|word| match word {
            "read" => READ.to_vec(),
            "write" => WRITE.to_vec(),
            "core" => vec![""],
            other => vec![other],
        })
        .map(str::to_owned)
        .collect();
    all.sort_unstable();
    all
}

fn role_ref(kind: &str, name: &str) -> RoleRef {
    RoleRef { api_group: GROUP.to_owned(), kind: kind.to_owned(), name: name.to_owned() }
}

fn subject(text: &str) -> Result<Subject, TableError> {
    let (kind, name) = text.split_once(' ').ok_or_else(|| unread(text))?;
    let (api_group, namespace, name) = match (kind, name.split_once('/')) {
        ("ServiceAccount", Some((namespace, name))) => ("", namespace, name),
        ("User" | "Group", None) => (GROUP, "", name),
        _ => return Err(unread(text)),
    };
    Ok(Subject {
        kind: kind.to_owned(),
        api_group: api_group.to_owned(),
        name: name.to_owned(),
        namespace: namespace.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use gantry_api::Resource;
    use gantry_api::strategy::Strategy;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_tables_are_valid_objects() {
        let all = Defaults::load().unwrap();
        assert!(all.cluster_roles.len() > 60, "{}", all.cluster_roles.len());
        let mut names: Vec<&str> = all.cluster_roles.iter().map(Resource::name).collect();
        for role in &all.cluster_roles {
            assert_eq!(role.validate(), [], "{}", role.name());
            assert_ne!((role.rules.len(), &role.aggregation_rule), (0, &None), "{}", role.name());
        }
        assert!(all.roles.iter().all(|role| role.validate().is_empty()));
        for binding in &all.cluster_bindings {
            assert_eq!(binding.validate(), [], "{}", binding.name());
            let role = &binding.role_ref.as_ref().unwrap().name;
            assert!(names.contains(&role.as_str()), "{role}");
        }
        for binding in &all.bindings {
            assert_eq!(binding.validate(), [], "{}", binding.name());
            let role = &binding.role_ref.as_ref().unwrap().name;
            let is = |it: &Role| it.name() == role && it.namespace() == binding.namespace();
            assert!(all.roles.iter().any(is), "{role}");
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_line_is_a_rule() {
        let all = Defaults::load().unwrap();
        let view = all.cluster_roles.iter().find(|role| role.name() == "view").unwrap();
        assert_eq!(
            serde_json::to_value(view).unwrap(),
            json!({
                "metadata": {
                    "name": "view",
                    "labels": {
                        "kubernetes.io/bootstrapping": "rbac-defaults",
                        "rbac.authorization.k8s.io/aggregate-to-edit": "true",
                    },
                    "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
                },
                "aggregationRule": {"clusterRoleSelectors": [
                    {"matchLabels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
                ]},
            })
        );
        let approver = all.rules("system:certificates.k8s.io:kubelet-serving-approver");
        assert_eq!(
            serde_json::to_value(approver).unwrap(),
            json!([{"verbs": ["approve"], "apiGroups": ["certificates.k8s.io"], "resources": ["signers"],
                    "resourceNames": ["kubernetes.io/kubelet-serving"]}])
        );
        assert!(rule("get | core").is_err());
        assert!(subject("Robot r").is_err());
    }
}
