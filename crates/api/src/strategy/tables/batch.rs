//! Jobs and cron jobs.

use jiff::Timestamp;
use serde_json::Value;

use super::workload::{CONTAINERS, IMAGES, SELECTOR, selector, template};
use super::{Column, NONE, UNSET, human_duration, seconds, since};
use crate::Resource;
use crate::batch::v1::{CronJob, Job, JobStatus};
use crate::strategy::age;

pub(in crate::strategy) const JOB: &[Column] = &[
    Column::NAME,
    Column::new("Status", "string", "How far it has come"),
    Column::new("Completions", "string", "Pods that have succeeded of those that must"),
    Column::new("Duration", "string", "How long it took, or has taken so far"),
    Column::AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(in crate::strategy) fn job(job: &Job, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (job.spec.clone().unwrap_or_default(), job.status.clone().unwrap_or_default());
    let completions = match (spec.completions, spec.parallelism.unwrap_or(0)) {
        (Some(wanted), _) => format!("{}/{wanted}", status.succeeded),
        (None, parallelism) if parallelism > 1 => format!("{}/1 of {parallelism}", status.succeeded),
        (None, _) => format!("{}/1", status.succeeded),
    };
    let duration = seconds(status.start_time).map(|start| {
        let end = seconds(status.completion_time).unwrap_or(now);
        human_duration(end.as_second().saturating_sub(start.as_second()))
    });
    let [containers, images] = template(spec.template.as_ref());
    vec![
        job.name().into(),
        job_state(job, &status).into(),
        completions.into(),
        duration.unwrap_or_default().into(),
        age(Resource::meta(job), now),
        containers,
        images,
        selector(spec.selector.as_ref()),
    ]
}

fn job_state(job: &Job, status: &JobStatus) -> &'static str {
    let holds = |state: &str| status.conditions.iter().any(|c| c.r#type == state && c.status == "True");
    let first = |states: &[&'static str]| states.iter().copied().find(|state| holds(state));
    let leaves = || Resource::meta(job).deletion_timestamp.is_some().then_some("Terminating");
    first(&["Complete", "Failed"])
        .or_else(leaves)
        .or_else(|| first(&["Suspended", "FailureTarget", "SuccessCriteriaMet"]))
        .unwrap_or("Running")
}

pub(in crate::strategy) const CRON_JOB: &[Column] = &[
    Column::NAME,
    Column::new("Schedule", "string", "When jobs are made"),
    Column::new("Timezone", "string", "The time zone of the schedule"),
    Column::new("Suspend", "boolean", "Whether no more jobs are made"),
    Column::new("Active", "integer", "Jobs that run"),
    Column::new("Last Schedule", "string", "Time since a job was last made"),
    Column::AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(in crate::strategy) fn cron_job(job: &CronJob, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (job.spec.clone().unwrap_or_default(), job.status.clone().unwrap_or_default());
    let last = match status.last_schedule_time {
        Some(time) => since(seconds(Some(time)), now),
        None => NONE.to_owned(),
    };
    let suspend = match spec.suspend {
        Some(true) => "True",
        Some(false) => "False",
        None => UNSET,
    };
    let jobs = spec.job_template.and_then(|template| template.spec).unwrap_or_default();
    let [containers, images] = template(jobs.template.as_ref());
    vec![
        job.name().into(),
        spec.schedule.into(),
        spec.time_zone.unwrap_or_else(|| NONE.to_owned()).into(),
        suspend.into(),
        status.active.len().into(),
        last.into(),
        age(Resource::meta(job), now),
        containers,
        images,
        selector(jobs.selector.as_ref()),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_shows_how_far_it_is() {
        let mut object: Job = serde_json::from_value(json!({
            "metadata": {"name": "a"},
            "spec": {
                "completions": 3,
                "selector": {"matchLabels": {"x": "y"}},
                "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}},
            },
            "status": {"succeeded": 1, "startTime": "1970-01-01T00:01:00Z"},
        }))
        .unwrap();
        let later = Timestamp::from_second(210).unwrap();
        let cells = job(&object, later);
        assert_eq!(json!(cells), json!(["a", "Running", "1/3", "2m30s", "<unknown>", "c", "i", "x=y"]));
        assert_eq!(cells.len(), JOB.len());
        object.status.as_mut().unwrap().conditions =
            serde_json::from_value(json!([{"type": "Suspended", "status": "True"}])).unwrap();
        assert_eq!(job(&object, later)[1], "Suspended");
        object.spec.as_mut().unwrap().completions = None;
        object.spec.as_mut().unwrap().parallelism = Some(2);
        assert_eq!(job(&object, later)[2], "1/1 of 2");
    }

    #[test]
    fn a_cron_job_shows_when_it_last_ran() {
        let object: CronJob = serde_json::from_value(json!({
            "metadata": {"name": "a"},
            "spec": {"schedule": "* * * * *", "suspend": false, "jobTemplate": {"spec": {}}},
            "status": {"active": [{}], "lastScheduleTime": "1970-01-01T00:00:10Z"},
        }))
        .unwrap();
        let cells = cron_job(&object, Timestamp::from_second(40).unwrap());
        let shown =
            json!(["a", "* * * * *", "<none>", "False", 1, "30s", "<unknown>", "<none>", "<none>", "<none>"]);
        assert_eq!((json!(cells), cells.len()), (shown, CRON_JOB.len()));
    }
}
