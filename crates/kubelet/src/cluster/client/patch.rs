//! The patch that brings a pod's status up to date and leaves alone what others decide on.

use gantry_api::core::v1::{PodCondition, PodStatus};
use serde_json::{Map, Value, json};

use crate::pod::status::is_own;

/// What a condition may lack in one state and have in another.
const CONDITION_FIELDS: [&str; 2] = ["reason", "message"];

/// A strategic merge patch for the pod of this UID.
pub(super) fn status_patch(
    uid: &str,
    previous: &PodStatus,
    status: &PodStatus,
) -> Result<Value, serde_json::Error> {
    let old = fields(previous)?;
    let mut new = fields(status)?;
    for key in old.keys() {
        if !new.contains_key(key) {
            new.insert(key.clone(), Value::Null);
        }
    }
    let own = status.conditions.iter().filter(|condition| is_own(condition));
    let mut conditions = own.map(condition).collect::<Result<Vec<_>, _>>()?;
    for gone in previous.conditions.iter().filter(|condition| is_own(condition)) {
        if !status.conditions.iter().any(|condition| condition.r#type == gone.r#type) {
            conditions.push(json!({ "type": gone.r#type, "$patch": "delete" }));
        }
    }
    new.insert("conditions".to_owned(), Value::Array(conditions));
    Ok(json!({ "metadata": { "uid": uid }, "status": new }))
}

/// The fields that the kubelet decides on, without conditions.
fn fields(status: &PodStatus) -> Result<Map<String, Value>, serde_json::Error> {
    let own = PodStatus {
        phase: status.phase.clone(),
        reason: status.reason.clone(),
        message: status.message.clone(),
        host_ip: status.host_ip.clone(),
        host_ips: status.host_ips.clone(),
        pod_ip: status.pod_ip.clone(),
        pod_ips: status.pod_ips.clone(),
        start_time: status.start_time,
        qos_class: status.qos_class.clone(),
        observed_generation: status.observed_generation,
        container_statuses: status.container_statuses.clone(),
        init_container_statuses: status.init_container_statuses.clone(),
        ephemeral_container_statuses: status.ephemeral_container_statuses.clone(),
        ..PodStatus::default()
    };
    match serde_json::to_value(own)? {
        Value::Object(map) => Ok(map),
        _ => Ok(Map::new()),
    }
}

fn condition(condition: &PodCondition) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(condition)?;
    if let Some(map) = value.as_object_mut() {
        for field in CONDITION_FIELDS {
            map.entry(field).or_insert(Value::Null);
        }
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_is_removed_and_foreign_conditions_are_left_alone() {
        let condition = |name: &str| PodCondition { r#type: name.into(), ..PodCondition::default() };
        let previous = PodStatus {
            phase: "Failed".into(),
            reason: "Evicted".into(),
            conditions: vec![condition("PodResizePending"), condition("PodScheduled")],
            ..PodStatus::default()
        };
        let status = PodStatus {
            phase: "Running".into(),
            conditions: vec![condition("Ready"), condition("PodScheduled")],
            ..PodStatus::default()
        };
        let patch = status_patch("u", &previous, &status).unwrap();
        assert_eq!(patch["metadata"]["uid"], "u");
        assert_eq!(patch["status"]["phase"], "Running");
        assert_eq!(patch["status"]["reason"], Value::Null);
        assert!(patch["status"].as_object().unwrap().contains_key("reason"));
        assert_eq!(patch["status"]["conditions"].as_array().unwrap().len(), 2);
        assert_eq!(patch["status"]["conditions"][1], json!({"type": "PodResizePending", "$patch": "delete"}));
        assert!(patch["status"]["conditions"][0].as_object().unwrap().contains_key("message"));
    }
}
