//! What clients are warned of: pods that break the standard of warnings, templates that make such pods, and pods that
//! break what a namespace enforces from now on.

use std::collections::{BTreeMap, HashSet};

use gantry_api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use gantry_api::batch::v1::{CronJob, Job};
use gantry_api::core::v1::{Namespace, Pod, PodSpec, PodTemplate, PodTemplateSpec, ReplicationController};
use gantry_api::{Kind, Object, Resource};

use super::policy::{Level, Policy, Standard};
use super::text::listed;
use super::{NOTHING, findings, parts};
use crate::authorization::Requester;
use crate::status::ApiError;
use crate::verbs::Verbs;

/// How many of a namespace's pods are looked at when its labels change.
const MAX_PODS: usize = 3000;

/// Warns whoever asks of what the standard forbids.
pub(super) fn warn(annotations: &BTreeMap<String, String>, spec: &PodSpec, standard: Standard) {
    let Some(requester) = Requester::current() else { return };
    let found = findings(annotations, spec, standard);
    if !found.is_empty() {
        requester.warn([format!("would violate PodSecurity \"{standard}\": {}", listed(&found))]);
    }
}

/// The kinds whose objects make pods.
const MAKERS: [(&str, &str); 8] = [
    ("apps", "Deployment"),
    ("apps", "ReplicaSet"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("batch", "Job"),
    ("batch", "CronJob"),
    ("", "ReplicationController"),
    ("", "PodTemplate"),
];

/// Whether objects of the kind make pods.
pub(in crate::admission) fn makes_pods(kind: &Kind) -> bool {
    MAKERS.contains(&(kind.group, kind.kind))
}

/// The template of the pods that an object makes.
fn template(object: &dyn Object) -> Option<&PodTemplateSpec> {
    let template = if let Some(of) = object.downcast_ref::<Deployment>() {
        &of.spec.as_ref()?.template
    } else if let Some(of) = object.downcast_ref::<ReplicaSet>() {
        &of.spec.as_ref()?.template
    } else if let Some(of) = object.downcast_ref::<StatefulSet>() {
        &of.spec.as_ref()?.template
    } else if let Some(of) = object.downcast_ref::<DaemonSet>() {
        &of.spec.as_ref()?.template
    } else if let Some(of) = object.downcast_ref::<Job>() {
        &of.spec.as_ref()?.template
    } else if let Some(of) = object.downcast_ref::<CronJob>() {
        &of.spec.as_ref()?.job_template.as_ref()?.spec.as_ref()?.template
    } else if let Some(of) = object.downcast_ref::<ReplicationController>() {
        &of.spec.as_ref()?.template
    } else if let Some(of) = object.downcast_ref::<PodTemplate>() {
        &of.template
    } else {
        return None;
    };
    template.as_ref()
}

impl Verbs {
    /// Warns of a workload whose pods its namespace would forbid or warn of. It is never refused: its pods are.
    pub(in crate::admission) async fn warn_of_template(&self, object: &dyn Object) -> Result<(), ApiError> {
        let Some(template) = template(object).filter(|_| Requester::current().is_some()) else {
            return Ok(());
        };
        let Some(policy) = self.security_policy(&object.meta().namespace).await? else { return Ok(()) };
        if policy.warn.level == Level::Privileged {
            return Ok(());
        }
        let nothing = BTreeMap::new();
        let annotations = template.metadata.as_ref().map_or(&nothing, |meta| &meta.annotations);
        warn(annotations, template.spec.as_ref().unwrap_or(&NOTHING), policy.warn);
        Ok(())
    }

    /// Warns of the pods that break what their namespace enforces from now on, and did not enforce before.
    pub(in crate::admission) fn warn_of_pods(
        &self,
        new: &Namespace,
        old: &Namespace,
    ) -> Result<(), ApiError> {
        let policy = |namespace: &Namespace| Policy::of(&Resource::meta(namespace).labels);
        let (policy, before) = (policy(new), policy(old));
        let Some(requester) = Requester::current().filter(|_| policy.is_stricter_than(&before)) else {
            return Ok(());
        };
        let pods = self.cached::<Pod>(new.name())?;
        requester.warn(existing(new.name(), policy.enforce, &pods));
        Ok(())
    }
}

/// What is said of the pods that are there. Of pods with one controller the first is looked at before the others of all.
fn existing(namespace: &str, enforce: Standard, pods: &[Pod]) -> Vec<String> {
    let mut seen = HashSet::new();
    let is_first = |pod: &&Pod| {
        let owners = &Resource::meta(*pod).owner_references;
        let controller = owners.iter().find(|owner| owner.controller == Some(true));
        controller.is_none_or(|owner| seen.insert(owner.uid.clone()))
    };
    let (first, others): (Vec<&Pod>, Vec<&Pod>) = pods.iter().partition(is_first);
    // What is wrong: the first pod and how many there are.
    let mut broken: BTreeMap<String, (&str, usize)> = BTreeMap::new();
    for pod in first.into_iter().chain(others).take(MAX_PODS) {
        let (annotations, spec) = parts(pod);
        let reasons: Vec<_> = findings(annotations, spec, enforce).iter().map(|found| found.reason).collect();
        if !reasons.is_empty() {
            broken.entry(reasons.join(", ")).or_insert((pod.name(), 0)).1 += 1;
        }
    }
    let mut warnings = Vec::new();
    if pods.len() > MAX_PODS {
        warnings.push(format!(
            "new PodSecurity enforce level only checked against the first {MAX_PODS} of {} existing pods",
            pods.len()
        ));
    }
    if !broken.is_empty() {
        warnings.push(format!(
            "existing pods in namespace {namespace:?} violate the new PodSecurity enforce level \"{enforce}\""
        ));
    }
    let mut of_pods: Vec<String> = broken
        .into_iter()
        .map(|(reasons, (name, count))| match count {
            1 => format!("{name}: {reasons}"),
            2 => format!("{name} (and 1 other pod): {reasons}"),
            more => format!("{name} (and {} other pods): {reasons}", more - 1),
        })
        .collect();
    of_pods.sort();
    warnings.extend(of_pods);
    warnings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::policy::Version;
    use super::*;

    #[test]
    fn pods_that_are_there_are_told_by_what_is_wrong_with_them() {
        let pod = |name: &str, host: bool, owner: &str| -> Pod {
            let owners = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": owner,
                "controller": true}]);
            let owners = if owner.is_empty() { json!([]) } else { owners };
            serde_json::from_value(json!({
                "metadata": {"name": name, "ownerReferences": owners},
                "spec": {"hostNetwork": host, "hostPID": name == "z", "containers": [{"name": "c"}]}
            }))
            .unwrap()
        };
        let enforce = Standard { level: Level::Baseline, version: Version::Latest };
        let pods = [
            pod("a", true, "1"),
            pod("b", true, "1"),
            pod("c", false, ""),
            pod("d", true, ""),
            pod("z", true, ""),
        ];
        assert_eq!(
            existing("n", enforce, &pods),
            [
                "existing pods in namespace \"n\" violate the new PodSecurity enforce level \"baseline:latest\"",
                "a (and 3 other pods): host namespaces",
            ]
        );
        assert_eq!(existing("n", enforce, &pods[3..4])[1], "d: host namespaces");
        assert_eq!(existing("n", enforce, &pods[2..3]), [""; 0]);
    }

    #[test]
    fn workloads_have_a_template_at_their_own_place() {
        let spec = json!({"template": {"metadata": {"labels": {"a": "b"}}, "spec": {}}});
        let job: CronJob =
            serde_json::from_value(json!({"spec": {"schedule": "", "jobTemplate": {"spec": spec}}})).unwrap();
        let set: StatefulSet = serde_json::from_value(json!({ "spec": spec })).unwrap();
        for object in [&job as &dyn Object, &set] {
            let labels = &template(object).unwrap().metadata.as_ref().unwrap().labels;
            assert_eq!(labels["a"], "b", "{object:?}");
        }
        assert!(template(&Pod::default()).is_none());
    }
}
