//! Jobs and cron jobs that are right, and some that are not.

use serde_json::{Value, json};

use super::*;
use crate::strategy::Strategy as _;
use crate::validation::common::texts;

fn job_of(patch: Value) -> Job {
    let mut object = json!({
        "metadata": { "name": "a", "uid": "u", "namespace": "default" },
        "spec": { "template": { "spec": {
            "restartPolicy": "Never", "containers": [{ "name": "c", "image": "i" }],
        } } },
    });
    for (field, value) in patch.as_object().unwrap() {
        object["spec"][field] = value.clone();
    }
    let mut job: Job = serde_json::from_value(object).unwrap();
    job.set_defaults();
    job.prepare_for_create();
    job
}

fn problems(patch: Value) -> Vec<String> {
    texts(&job(&job_of(patch)))
}

#[test]
fn a_job_has_pods_that_end() {
    assert_eq!(problems(json!({})), Vec::<String>::new());
    let always = json!({ "template": { "spec": { "containers": [{ "name": "c", "image": "i" }] } } });
    assert_eq!(
        problems(always),
        [r#"spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never""#]
    );
    assert_eq!(
        problems(json!({ "completions": -1 })),
        ["spec.completions: Invalid value: -1: must be greater than or equal to 0"]
    );
}

#[test]
fn a_selector_is_the_servers_or_fits() {
    let mut other = job_of(json!({}));
    let template = other.spec.as_mut().unwrap().template.as_mut().unwrap();
    template.metadata.as_mut().unwrap().labels.insert("job-name".to_owned(), "b".to_owned());
    let found = texts(&job(&other));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].ends_with("must be 'a'"), "{found:?}");
    let own = json!({ "manualSelector": true, "selector": { "matchLabels": { "x": "y" } } });
    let found = problems(own);
    assert!(found[0].ends_with("`selector` does not match template `labels`"), "{found:?}");
}

#[test]
fn indexes_need_completions() {
    assert_eq!(
        problems(json!({ "completionMode": "Indexed", "parallelism": 1 })),
        ["spec.completions: Required value: when completion mode is Indexed"]
    );
    assert_eq!(
        problems(json!({ "backoffLimitPerIndex": 1 })),
        ["spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"]
    );
}

#[test]
fn failure_rules_are_about_one_thing() {
    let found = problems(json!({ "podFailurePolicy": { "rules": [
        { "action": "Ignore" },
        { "action": "", "onExitCodes": { "operator": "In", "values": [2, 0, 2], "containerName": "d" } },
    ] } }));
    let path = "spec.podFailurePolicy.rules";
    assert_eq!(
        found,
        [
            format!(
                "{path}[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required"
            ),
            format!(
                r#"{path}[1].action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]"#
            ),
            format!(
                "{path}[1].onExitCodes.containerName: Invalid value: \"d\": must be one of the container or \
                 initContainer names in the pod template"
            ),
            format!("{path}[1].onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator"),
            format!("{path}[1].onExitCodes.values[2]: Duplicate value: 2"),
            format!("{path}[1].onExitCodes.values: Invalid value: [2,0,2]: must be ordered"),
        ]
    );
}

#[test]
fn success_rules_name_indexes_that_exist() {
    let with = |rule: Value| {
        problems(
            json!({ "completionMode": "Indexed", "completions": 5, "successPolicy": { "rules": [rule] } }),
        )
    };
    assert_eq!(with(json!({ "succeededIndexes": "0,2-3", "succeededCount": 3 })), Vec::<String>::new());
    assert_eq!(with(json!({ "succeededIndexes": "0", "succeededCount": 2 })).len(), 1);
    for (text, problem) in [
        ("5", r#"too large index: "5""#),
        ("1,1", "non-increasing order, previous: 1, current: 1"),
        ("x", r#"cannot convert string to integer for index: "x""#),
    ] {
        let found = with(json!({ "succeededIndexes": text }));
        assert!(found[0].ends_with(&format!("error parsing succeededIndexes: {problem}")), "{found:?}");
    }
}

#[test]
fn what_runs_does_not_change() {
    let old = job_of(json!({ "suspend": true }));
    let mut new = old.clone();
    let template = |job: &mut Job| job.spec.as_mut().unwrap().template.as_mut().unwrap().spec.take().unwrap();
    let mut pod = template(&mut new);
    pod.node_selector.insert("a".to_owned(), "b".to_owned());
    new.spec.as_mut().unwrap().template.as_mut().unwrap().spec = Some(pod.clone());
    assert_eq!(texts(&job_update(&new, &old)), Vec::<String>::new());
    let mut running = old.clone();
    running.spec.as_mut().unwrap().suspend = Some(false);
    assert_eq!(job_update(&new, &running).len(), 1);
    let mut more = old.clone();
    more.spec.as_mut().unwrap().completions = Some(2);
    assert_eq!(texts(&job_update(&more, &old)), ["spec.completions: Invalid value: 2: field is immutable"]);
}

#[test]
fn an_end_is_final() {
    let status = |conditions: Value| {
        let mut job = job_of(json!({}));
        job.status = Some(serde_json::from_value(json!({ "conditions": conditions })).unwrap());
        job
    };
    let done = status(json!([{ "type": "Complete", "status": "True" }]));
    let found = texts(&job_status_update(&status(json!([])), &done));
    assert!(found[0].ends_with("cannot disable Complete=True condition"), "{found:?}");
    assert_eq!(job_status_update(&done, &done), []);
    let mut negative = done.clone();
    negative.status.as_mut().unwrap().active = -1;
    assert_eq!(job_status_update(&negative, &done).len(), 1);
}

#[test]
fn a_cron_job_has_a_schedule() {
    let of = |patch: Value| {
        let mut object = json!({
            "metadata": { "name": "a" },
            "spec": { "schedule": "0 * * * *", "jobTemplate": { "spec": job_of(json!({})).spec } },
        });
        object["spec"]["jobTemplate"]["spec"]["selector"] = Value::Null;
        for (field, value) in patch.as_object().unwrap() {
            object["spec"][field] = value.clone();
        }
        let mut job: CronJob = serde_json::from_value(object).unwrap();
        job.set_defaults();
        job
    };
    let problems = |patch: Value| texts(&cron_job(&of(patch)));
    assert_eq!(problems(json!({ "timeZone": "Europe/Paris" })), Vec::<String>::new());
    assert_eq!(problems(json!({ "schedule": "" })), ["spec.schedule: Required value"]);
    assert_eq!(
        problems(json!({ "schedule": "TZ=UTC 0 * * * *" })),
        [
            "spec.schedule: Invalid value: \"TZ=UTC 0 * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone \
             field instead"
        ]
    );
    assert_eq!(
        problems(json!({ "timeZone": "Mars/Base" })),
        ["spec.timeZone: Invalid value: \"Mars/Base\": unknown time zone Mars/Base"]
    );
    assert_eq!(
        problems(json!({ "concurrencyPolicy": "Never" })),
        ["spec.concurrencyPolicy: Unsupported value: \"Never\": supported values: \"Allow\", \"Forbid\", \
             \"Replace\""]
    );
    // What has a zone in its schedule keeps it.
    let zoned = of(json!({ "schedule": "TZ=UTC 0 * * * *" }));
    assert_eq!(cron_job_update(&zoned, &zoned), []);
}
