//! Classes of pods.

use jiff::Timestamp;
use serde_json::Value;

use super::Column;
use crate::Resource;
use crate::node::v1::RuntimeClass;
use crate::scheduling::v1::PriorityClass;
use crate::strategy::age;

pub(in crate::strategy) const PRIORITY_CLASS: &[Column] = &[
    Column::NAME,
    Column::new("Value", "integer", "The priority of its pods"),
    Column::new("Global-Default", "boolean", "Whether pods without a class have this one"),
    Column::AGE,
    Column::new("PreemptionPolicy", "string", "Whether its pods push others off their nodes"),
];

pub(in crate::strategy) fn priority_class(class: &PriorityClass, now: Timestamp) -> Vec<Value> {
    vec![
        class.name().into(),
        class.value.into(),
        class.global_default.into(),
        age(Resource::meta(class), now),
        class.preemption_policy.as_deref().unwrap_or_default().into(),
    ]
}

pub(in crate::strategy) const RUNTIME_CLASS: &[Column] =
    &[Column::NAME, Column::new("Handler", "string", "The runtime as nodes know it"), Column::AGE];

pub(in crate::strategy) fn runtime_class(class: &RuntimeClass, now: Timestamp) -> Vec<Value> {
    vec![class.name().into(), class.handler.as_str().into(), age(Resource::meta(class), now)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_class_shows_its_value_as_a_number() {
        let class = json!({ "metadata": { "name": "high" }, "value": 7, "preemptionPolicy": "Never" });
        let class: PriorityClass = serde_json::from_value(class).unwrap();
        let cells = priority_class(&class, Timestamp::UNIX_EPOCH);
        assert_eq!(cells, [json!("high"), json!(7), json!(false), json!("<unknown>"), json!("Never")]);
        assert_eq!(cells.len(), PRIORITY_CLASS.len());
    }
}
