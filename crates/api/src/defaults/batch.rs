//! Jobs and cron jobs.

use super::{pod, text};
use crate::batch::v1::{CronJob, Job, JobSpec, JobTemplateSpec};

const BACKOFF_LIMIT: i32 = 6;

pub(crate) fn job(job: &mut Job) {
    let spec = job.spec.get_or_insert_default();
    common(spec);
    // Without either, one pod is to succeed; with completions alone, the pods run one after the other.
    if spec.completions.is_none() && spec.parallelism.is_none() {
        spec.completions = Some(1);
    }
    spec.parallelism.get_or_insert(1);
    let limit = if spec.backoff_limit_per_index.is_some() { i32::MAX } else { BACKOFF_LIMIT };
    spec.backoff_limit.get_or_insert(limit);
    spec.completion_mode.get_or_insert_with(|| "NonIndexed".to_owned());
    spec.suspend.get_or_insert(false);
    let replacement = if spec.pod_failure_policy.is_some() { "Failed" } else { "TerminatingOrFailed" };
    spec.pod_replacement_policy.get_or_insert_with(|| replacement.to_owned());
    let labels =
        spec.template.as_ref().and_then(|template| template.metadata.as_ref()).map(|meta| &meta.labels);
    let own = &mut job.metadata.get_or_insert_default().labels;
    if let Some(labels) = labels.filter(|_| own.is_empty()) {
        own.clone_from(labels);
    }
}

/// What is filled in wherever a job is described.
fn common(spec: &mut JobSpec) {
    pod::template(spec.template.as_mut());
    let rules = spec.pod_failure_policy.iter_mut().flat_map(|policy| &mut policy.rules);
    for pattern in rules.flat_map(|rule| &mut rule.on_pod_conditions) {
        text(&mut pattern.status, "True");
    }
}

pub(crate) fn cron_job(job: &mut CronJob) {
    let spec = job.spec.get_or_insert_default();
    let template: &mut JobTemplateSpec = spec.job_template.get_or_insert_default();
    common(template.spec.get_or_insert_default());
    text(&mut spec.concurrency_policy, "Allow");
    spec.suspend.get_or_insert(false);
    spec.successful_jobs_history_limit.get_or_insert(3);
    spec.failed_jobs_history_limit.get_or_insert(1);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec_of(spec: Value) -> JobSpec {
        let mut object: Job = serde_json::from_value(json!({ "spec": spec })).unwrap();
        job(&mut object);
        object.spec.unwrap()
    }

    #[test]
    fn a_job_runs_one_pod_once() {
        let spec = spec_of(json!({}));
        assert_eq!((spec.completions, spec.parallelism, spec.backoff_limit), (Some(1), Some(1), Some(6)));
        assert_eq!(spec.pod_replacement_policy.as_deref(), Some("TerminatingOrFailed"));
        let queue = spec_of(json!({ "parallelism": 3 }));
        assert_eq!((queue.completions, queue.parallelism), (None, Some(3)));
    }

    #[test]
    fn limits_and_policies_follow_from_each_other() {
        let spec = spec_of(json!({
            "backoffLimitPerIndex": 1,
            "podFailurePolicy": { "rules": [{ "action": "Ignore", "onPodConditions": [{ "type": "A" }] }] },
        }));
        assert_eq!(spec.backoff_limit, Some(i32::MAX));
        assert_eq!(spec.pod_replacement_policy.as_deref(), Some("Failed"));
        assert_eq!(spec.pod_failure_policy.unwrap().rules[0].on_pod_conditions[0].status, "True");
    }

    #[test]
    fn a_job_is_labelled_as_its_pods() {
        let mut object: Job = serde_json::from_value(
            json!({ "spec": { "template": { "metadata": { "labels": { "a": "b" } } } } }),
        )
        .unwrap();
        job(&mut object);
        assert_eq!(object.metadata.unwrap().labels["a"], "b");
    }

    #[test]
    fn a_cron_job_leaves_its_jobs_open() {
        let mut object = CronJob::default();
        cron_job(&mut object);
        let spec = object.spec.unwrap();
        assert_eq!((spec.suspend, spec.concurrency_policy.as_str()), (Some(false), "Allow"));
        assert_eq!((spec.successful_jobs_history_limit, spec.failed_jobs_history_limit), (Some(3), Some(1)));
        assert_eq!(spec.job_template.unwrap().spec.unwrap().completions, None);
    }
}
