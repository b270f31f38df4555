//! The selector that the server writes for a job.

use crate::Resource as _;
use crate::batch::v1::{Job, JobStatus};

/// Labels of a job's pods: its name, under both names that clients know.
pub(crate) const NAME_LABELS: [&str; 2] = ["batch.kubernetes.io/job-name", "job-name"];
/// Labels of a job's pods: its uid, under both names. The selector uses the first.
pub(crate) const UID_LABELS: [&str; 2] = ["batch.kubernetes.io/controller-uid", "controller-uid"];

/// A new job selects its pods by its uid, unless the client brings a selector of its own. Labels that are there
/// already stay; validation says where they are wrong.
pub(crate) fn job(job: &mut Job) {
    job.status = Some(JobStatus::default());
    let (name, uid) = (job.name().to_owned(), job.meta().uid.clone());
    let spec = job.spec.get_or_insert_default();
    if spec.manual_selector == Some(true) {
        return;
    }
    let labels = &mut spec.template.get_or_insert_default().metadata.get_or_insert_default().labels;
    for label in NAME_LABELS {
        labels.entry(label.to_owned()).or_insert_with(|| name.clone());
    }
    for label in UID_LABELS {
        labels.entry(label.to_owned()).or_insert_with(|| uid.clone());
    }
    let selected = &mut spec.selector.get_or_insert_default().match_labels;
    selected.entry(UID_LABELS[0].to_owned()).or_insert(uid);
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn made(spec: Value) -> Value {
        let object = json!({ "metadata": { "name": "a", "uid": "u" }, "spec": spec });
        let mut object: Job = serde_json::from_value(object).unwrap();
        job(&mut object);
        serde_json::to_value(object).unwrap()["spec"].take()
    }

    #[test]
    fn a_job_finds_its_pods_by_its_uid() {
        let spec = made(json!({}));
        assert_eq!(spec["selector"]["matchLabels"], json!({ "batch.kubernetes.io/controller-uid": "u" }));
        let labels = json!({
            "batch.kubernetes.io/controller-uid": "u", "controller-uid": "u",
            "batch.kubernetes.io/job-name": "a", "job-name": "a",
        });
        assert_eq!(spec["template"]["metadata"]["labels"], labels);
    }

    #[test]
    fn a_selector_of_the_client_stays() {
        let own =
            json!({ "manualSelector": true, "selector": { "matchLabels": { "x": "y" } }, "template": null });
        let spec = made(own);
        assert_eq!(spec["selector"]["matchLabels"], json!({ "x": "y" }));
        assert_eq!(spec["template"]["metadata"], Value::Null);
    }
}
