//! The roles and bindings that every cluster has: made where they are missing, completed where they lack something.
//!
//! What an administrator adds stays. An object whose annotation says so is left alone altogether.

mod tables;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use gantry_api::Resource;
use gantry_api::meta::v1::{DeleteOptions, GetOptions, ObjectMeta};
use gantry_api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use gantry_api::strategy::Strategy;

pub(crate) use self::tables::{Defaults, TableError};
use super::rbac::cover::missing;
use crate::bootstrap::{creating, updating};
use crate::status::{ApiError, Reason};
use crate::verbs::{Target, Verbs};

/// Says whether an object may be completed.
const AUTO_UPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";
/// How many objects are made side by side.
const PARALLEL: usize = 32;

/// Brings what is there up to date with the defaults.
pub(crate) async fn reconcile(verbs: &Verbs, defaults: &Defaults) -> Result<(), ApiError> {
    all(verbs, &defaults.cluster_roles).await?;
    all(verbs, &defaults.roles).await?;
    all(verbs, &defaults.cluster_bindings).await?;
    all(verbs, &defaults.bindings).await?;
    // Who decides looks at the caches.
    for kind in [ClusterRole::kind(), Role::kind(), ClusterRoleBinding::kind(), RoleBinding::kind()] {
        verbs.cache(kind)?.catch_up().await?;
    }
    Ok(())
}

async fn all<T: Reconciled>(verbs: &Verbs, wanted: &[T]) -> Result<(), ApiError> {
    let work: Vec<_> = wanted.iter().map(|one| one_of(verbs, one)).collect();
    stream::iter(work).buffer_unordered(PARALLEL).try_collect().await
}

/// What becomes of an object that is there.
enum Change<T> {
    /// It is as it must be.
    None,
    /// It becomes this.
    Update(Box<T>),
    /// It cannot become what it must be, and is made anew.
    Replace,
}

/// A kind of which every cluster has some.
trait Reconciled: Strategy + Clone {
    /// Adds what `self` lacks of `wanted`; says whether it can, and whether it lacks something.
    fn complete(&mut self, wanted: &Self) -> Option<bool>;
}

fn complete_rules(rules: &mut Vec<PolicyRule>, wanted: &[PolicyRule]) -> bool {
    let lacks = missing(rules, wanted);
    rules.extend_from_slice(&lacks);
    !lacks.is_empty()
}

fn complete_binding(
    (subjects, role): (&mut Vec<Subject>, Option<&RoleRef>),
    (wanted, wanted_role): (&[Subject], Option<&RoleRef>),
) -> Option<bool> {
    if role != wanted_role {
        return None;
    }
    let lacks: Vec<Subject> = wanted.iter().filter(|subject| !subjects.contains(subject)).cloned().collect();
    let any = !lacks.is_empty();
    subjects.extend(lacks);
    Some(any)
}

impl Reconciled for ClusterRole {
    fn complete(&mut self, wanted: &Self) -> Option<bool> {
        let Some(sum) = &wanted.aggregation_rule else {
            return Some(complete_rules(&mut self.rules, &wanted.rules));
        };
        // A controller writes the rules of a sum.
        let selectors = &mut self.aggregation_rule.get_or_insert_default().cluster_role_selectors;
        let lacks: Vec<_> =
            sum.cluster_role_selectors.iter().filter(|one| !selectors.contains(one)).cloned().collect();
        let any = !lacks.is_empty();
        selectors.extend(lacks);
        Some(any)
    }
}

impl Reconciled for Role {
    fn complete(&mut self, wanted: &Self) -> Option<bool> {
        Some(complete_rules(&mut self.rules, &wanted.rules))
    }
}

impl Reconciled for ClusterRoleBinding {
    fn complete(&mut self, wanted: &Self) -> Option<bool> {
        let wanted = (wanted.subjects.as_slice(), wanted.role_ref.as_ref());
        complete_binding((&mut self.subjects, self.role_ref.as_ref()), wanted)
    }
}

impl Reconciled for RoleBinding {
    fn complete(&mut self, wanted: &Self) -> Option<bool> {
        let wanted = (wanted.subjects.as_slice(), wanted.role_ref.as_ref());
        complete_binding((&mut self.subjects, self.role_ref.as_ref()), wanted)
    }
}

/// What becomes of `found`.
fn change<T: Reconciled>(found: &T, wanted: &T) -> Change<T> {
    if found.meta().annotations.get(AUTO_UPDATE).is_some_and(|value| value == "false") {
        return Change::None;
    }
    let mut next = found.clone();
    let Some(completed) = next.complete(wanted) else { return Change::Replace };
    let named = complete_names(next.meta_mut(), wanted.meta());
    if completed || named { Change::Update(Box::new(next)) } else { Change::None }
}

/// Adds the labels and annotations that are missing; values that somebody set stay.
fn complete_names(meta: &mut ObjectMeta, wanted: &ObjectMeta) -> bool {
    let before = meta.labels.len() + meta.annotations.len();
    for (key, value) in &wanted.labels {
        meta.labels.entry(key.clone()).or_insert_with(|| value.clone());
    }
    for (key, value) in &wanted.annotations {
        meta.annotations.entry(key.clone()).or_insert_with(|| value.clone());
    }
    meta.labels.len() + meta.annotations.len() != before
}

async fn one_of<T: Reconciled>(verbs: &Verbs, wanted: &T) -> Result<(), ApiError> {
    let target = Target {
        kind: <T as Resource>::kind(),
        namespace: wanted.namespace().to_owned(),
        name: wanted.name().to_owned(),
    };
    let found = match verbs.get(&target, &GetOptions::default()).await {
        Ok(entry) => entry.object()?,
        Err(error) if error.reason() == Reason::NotFound => return create(verbs, &target, wanted).await,
        Err(error) => return Err(error),
    };
    let Some(found) = found.downcast_ref::<T>() else {
        return Err(ApiError::internal(format_args!("{:?} is no {:?}", target.name, target.kind)));
    };
    match change(found, wanted) {
        Change::None => Ok(()),
        Change::Update(next) => verbs.update(&target, None, next, &updating()).await.map(drop),
        Change::Replace => {
            verbs.delete(&target, &DeleteOptions::default()).await?;
            create(verbs, &target, wanted).await
        }
    }
}

async fn create<T: Reconciled>(verbs: &Verbs, target: &Target, wanted: &T) -> Result<(), ApiError> {
    match verbs.create(target, Box::new(wanted.clone()), &creating()).await {
        Ok(_) => Ok(()),
        // Another server was faster.
        Err(error) if error.reason() == Reason::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn role(value: Value) -> ClusterRole {
        serde_json::from_value(value).unwrap()
    }

    fn after<T: Reconciled>(found: &T, wanted: &T) -> Option<T> {
        match change(found, wanted) {
            Change::None => None,
            Change::Update(next) => Some(*next),
            Change::Replace => panic!("replaced"),
        }
    }

    #[test]
    fn what_is_missing_is_added_and_what_is_more_stays() {
        let wanted = role(json!({
            "metadata": {"name": "r", "labels": {"a": "b"}},
            "rules": [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}],
        }));
        assert!(after(&wanted, &wanted).is_none());
        let found = role(json!({
            "metadata": {"name": "r", "labels": {"a": "c"}},
            "rules": [{"verbs": ["get", "delete"], "apiGroups": [""], "resources": ["pods"]}],
        }));
        let next = after(&found, &wanted).unwrap();
        assert_eq!(next.metadata.as_ref().unwrap().labels["a"], "c");
        assert_eq!(next.rules.len(), 2);
        assert_eq!(
            (&next.rules[0], next.rules[1].verbs.as_slice()),
            (&found.rules[0], ["list".to_owned()].as_slice())
        );
        let mut kept = found;
        kept.meta_mut().annotations.insert(AUTO_UPDATE.into(), "false".into());
        assert!(after(&kept, &wanted).is_none());
    }

    #[test]
    fn the_rules_of_a_sum_are_not_touched() {
        let selectors = |label: &str| json!({"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]});
        let wanted = role(json!({"metadata": {"name": "r"}, "aggregationRule": selectors("a")}));
        let found = role(json!({
            "metadata": {"name": "r"},
            "aggregationRule": selectors("b"),
            "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}],
        }));
        let next = after(&found, &wanted).unwrap();
        assert_eq!(next.aggregation_rule.as_ref().unwrap().cluster_role_selectors.len(), 2);
        assert_eq!(next.rules, found.rules);
        assert!(after(&next, &wanted).is_none());
    }

    #[test]
    fn a_binding_of_another_role_is_made_anew() {
        let binding = |role: &str, subjects: Value| -> RoleBinding {
            let role = json!({"kind": "Role", "name": role});
            serde_json::from_value(json!({"metadata": {"name": "b"}, "roleRef": role, "subjects": subjects}))
                .unwrap()
        };
        let jane = json!([{"kind": "User", "name": "jane"}]);
        let wanted = binding("a", jane);
        assert!(matches!(change(&binding("b", json!([])), &wanted), Change::Replace));
        let joe = json!([{"kind": "User", "name": "joe"}]);
        assert_eq!(after(&binding("a", joe), &wanted).unwrap().subjects.len(), 2);
    }
}
