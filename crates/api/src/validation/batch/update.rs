//! What of a job may change.

use super::{is_indexed, success};
use crate::batch::v1::{Job, JobSpec, JobStatus};
use crate::core::v1::{Affinity, PodSpec, PodTemplateSpec};
use crate::field::{Error, ErrorList, Path};
use crate::validation::common::{immutable, non_negative, shown};

pub(crate) fn job_update(new: &Job, old: &Job) -> ErrorList {
    let mut errors = super::job(new);
    let path = Path::new("spec");
    let (Some(spec), Some(before)) = (&new.spec, &old.spec) else { return errors };
    completions(&mut errors, spec, before, &path);
    immutable(&mut errors, &path.child("selector"), &spec.selector, &before.selector);
    template(&mut errors, spec, old, before, &path.child("template"));
    immutable(&mut errors, &path.child("completionMode"), &spec.completion_mode, &before.completion_mode);
    let policy = path.child("podFailurePolicy");
    immutable(&mut errors, &policy, &spec.pod_failure_policy, &before.pod_failure_policy);
    let limit = path.child("backoffLimitPerIndex");
    immutable(&mut errors, &limit, &spec.backoff_limit_per_index, &before.backoff_limit_per_index);
    immutable(&mut errors, &path.child("managedBy"), &spec.managed_by, &before.managed_by);
    immutable(&mut errors, &path.child("successPolicy"), &spec.success_policy, &before.success_policy);
    errors
}

/// The completions stay, save where each pod has an index and all run at the same time.
fn completions(errors: &mut ErrorList, new: &JobSpec, old: &JobSpec, path: &Path) {
    let field = path.child("completions");
    if !is_indexed(new) {
        immutable(errors, &field, &new.completions, &old.completions);
    } else if new.completions != old.completions && new.completions != new.parallelism {
        let detail = format!("can only be modified in tandem with {}", path.child("parallelism"));
        errors.push(Error::invalid(field, shown(&new.completions), detail));
    }
}

/// The template stays, save where its pods are to go while no pod has been made yet.
fn template(errors: &mut ErrorList, new: &JobSpec, old: &Job, before: &JobSpec, path: &Path) {
    let started = old.status.as_ref().is_some_and(|status| status.start_time.is_some());
    let mut allowed = before.template.clone();
    if before.suspend == Some(true)
        && !started
        && let (Some(allowed), Some(wanted)) = (&mut allowed, &new.template)
    {
        take_directives(allowed, wanted);
    }
    if new.template != allowed {
        immutable(errors, path, &new.template, &allowed);
    }
}

fn take_directives(allowed: &mut PodTemplateSpec, wanted: &PodTemplateSpec) {
    let meta = wanted.metadata.clone().unwrap_or_default();
    if wanted.metadata.is_some() || allowed.metadata.is_some() {
        let own = allowed.metadata.get_or_insert_default();
        own.labels = meta.labels;
        own.annotations = meta.annotations;
        if wanted.metadata.is_none() && *own == crate::meta::v1::ObjectMeta::default() {
            allowed.metadata = None;
        }
    }
    let (Some(allowed), Some(wanted)) = (&mut allowed.spec, &wanted.spec) else { return };
    take_node_affinity(allowed, wanted);
    allowed.node_selector.clone_from(&wanted.node_selector);
    allowed.tolerations.clone_from(&wanted.tolerations);
    allowed.scheduling_gates.clone_from(&wanted.scheduling_gates);
}

/// Of the affinity only the part about nodes may change; it may come and go with it.
fn take_node_affinity(allowed: &mut PodSpec, wanted: &PodSpec) {
    let nodes = wanted.affinity.as_ref().and_then(|affinity| affinity.node_affinity.clone());
    match (&mut allowed.affinity, &wanted.affinity) {
        (Some(own), None) => {
            own.node_affinity = None;
            if *own == Affinity::default() {
                allowed.affinity = None;
            }
        }
        (None, Some(_)) => {
            allowed.affinity = Some(Affinity { node_affinity: nodes, ..Affinity::default() });
        }
        (Some(own), Some(_)) => own.node_affinity = nodes,
        (None, None) => {}
    }
}

pub(crate) fn job_status_update(new: &Job, old: &Job) -> ErrorList {
    let mut errors = ErrorList::new();
    let (empty, no_spec) = (JobStatus::default(), JobSpec::default());
    let status = new.status.as_ref().unwrap_or(&empty);
    let before = old.status.as_ref().unwrap_or(&empty);
    let spec = new.spec.as_ref().unwrap_or(&no_spec);
    let path = Path::new("status");
    let counts = [
        ("active", Some(status.active)),
        ("succeeded", Some(status.succeeded)),
        ("failed", Some(status.failed)),
        ("ready", status.ready),
        ("terminating", status.terminating),
    ];
    for (field, count) in counts {
        non_negative(&mut errors, &path.child(field), count.unwrap_or(0));
    }
    let uncounted = status.uncounted_terminated_pods.iter();
    for (field, uids) in uncounted.flat_map(|pods| [("succeeded", &pods.succeeded), ("failed", &pods.failed)])
    {
        for (i, uid) in uids.iter().enumerate() {
            let path = path.child("uncountedTerminatedPods").child(field).index(i);
            if uid.is_empty() {
                errors.push(Error::invalid(path.clone(), uid.as_str(), "must not be empty"));
            }
            if uids[..i].contains(uid) {
                errors.push(Error::duplicate(path, uid.as_str()));
            }
        }
    }
    indexes(&mut errors, status, spec, &path);
    ended(&mut errors, status, before, &path);
    errors
}

fn indexes(errors: &mut ErrorList, status: &JobStatus, spec: &JobSpec, path: &Path) {
    let completed = (!status.completed_indexes.is_empty()).then_some(&status.completed_indexes);
    for (field, text) in [("completedIndexes", completed), ("failedIndexes", status.failed_indexes.as_ref())]
    {
        let Some(text) = text else { continue };
        let path = path.child(field);
        if !is_indexed(spec) {
            let detail = format!("cannot set non-empty {field} when non-indexed completion mode");
            errors.push(Error::invalid(path, text.as_str(), detail));
        } else if let Err(problem) = success::indexes(text, spec.completions.unwrap_or(0)) {
            errors.push(Error::invalid(path, text.as_str(), format!("error parsing {field}: {problem}")));
        }
    }
}

/// An end is one end, and final.
fn ended(errors: &mut ErrorList, status: &JobStatus, before: &JobStatus, path: &Path) {
    let has = |status: &JobStatus, kind: &str| {
        status.conditions.iter().any(|condition| condition.r#type == kind && condition.status == "True")
    };
    let conditions = path.child("conditions");
    if has(status, "Complete") && has(status, "Failed") {
        let detail = "cannot set Complete=True and Failed=True conditions";
        errors.push(Error::invalid(conditions.clone(), shown(&status.conditions), detail));
    }
    for kind in ["Complete", "Failed"] {
        if has(before, kind) && !has(status, kind) {
            let detail = format!("cannot disable {kind}=True condition");
            errors.push(Error::invalid(conditions.clone(), shown(&status.conditions), detail));
        }
    }
    let (start, end) = (status.start_time, status.completion_time);
    if end.is_some() && !has(status, "Complete") {
        let detail = "cannot set completionTime when there is no Complete=True condition";
        errors.push(Error::invalid(path.child("completionTime"), shown(&end), detail));
    }
    let seconds = |time: Option<crate::scalars::Time>| time.and_then(|time| time.timestamp());
    if let (Some(from), Some(to)) = (seconds(start), seconds(end))
        && to < from
    {
        let detail = "completionTime cannot be set before startTime";
        errors.push(Error::invalid(path.child("completionTime"), shown(&end), detail));
    }
}
