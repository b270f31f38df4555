//! Flow schemas and priority levels.

use jiff::Timestamp;
use serde_json::Value;

use super::{Column, NONE};
use crate::Resource as _;
use crate::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};
use crate::strategy::age;

pub(in crate::strategy) const SCHEMA: &[Column] = &[
    Column::NAME,
    Column::new("PriorityLevel", "string", "The priority level of its requests"),
    Column::new("MatchingPrecedence", "string", "The lowest that fits decides"),
    Column::new("DistinguisherMethod", "string", "How its requests are told apart"),
    Column::AGE,
    Column::new("MissingPL", "string", "Whether its priority level is broken or not there"),
];

pub(in crate::strategy) fn schema(schema: &FlowSchema, now: Timestamp) -> Vec<Value> {
    let spec = schema.spec.clone().unwrap_or_default();
    let conditions = schema.status.iter().flat_map(|status| &status.conditions);
    let dangling = conditions.filter(|condition| condition.r#type == "Dangling").map(|c| c.status.clone());
    vec![
        schema.name().into(),
        spec.priority_level_configuration.unwrap_or_default().name.into(),
        spec.matching_precedence.into(),
        spec.distinguisher_method.map_or_else(|| NONE.to_owned(), |method| method.r#type).into(),
        age(schema.meta(), now),
        dangling.into_iter().next().unwrap_or_else(|| "?".to_owned()).into(),
    ]
}

pub(in crate::strategy) const LEVEL: &[Column] = &[
    Column::NAME,
    Column::new("Type", "string", "Whether its requests may have to wait"),
    Column::new("NominalConcurrencyShares", "string", "Its share of the server's concurrency"),
    Column::new("Queues", "string", "The number of its queues"),
    Column::new("HandSize", "string", "The number of queues that a flow may use"),
    Column::new("QueueLengthLimit", "string", "How many requests may wait in one queue"),
    Column::AGE,
];

pub(in crate::strategy) fn level(level: &PriorityLevelConfiguration, now: Timestamp) -> Vec<Value> {
    let spec = level.spec.clone().unwrap_or_default();
    let shares = spec.limited.as_ref().map(|limited| limited.nominal_concurrency_shares.unwrap_or_default());
    let queuing = spec.limited.and_then(|limited| limited.limit_response?.queuing);
    let or_none = |number: Option<i32>| number.map_or_else(|| NONE.into(), Value::from);
    vec![
        level.name().into(),
        spec.r#type.into(),
        or_none(shares),
        or_none(queuing.as_ref().map(|queuing| queuing.queues)),
        or_none(queuing.as_ref().map(|queuing| queuing.hand_size)),
        or_none(queuing.as_ref().map(|queuing| queuing.queue_length_limit)),
        age(level.meta(), now),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_shows_where_its_requests_go() {
        let mut object = json!({
            "metadata": { "name": "s" },
            "spec": { "priorityLevelConfiguration": { "name": "p" }, "matchingPrecedence": 7 },
        });
        let cells =
            |object: &Value| schema(&serde_json::from_value(object.clone()).unwrap(), Timestamp::UNIX_EPOCH);
        assert_eq!(
            cells(&object),
            [json!("s"), json!("p"), json!(7), json!("<none>"), json!("<unknown>"), json!("?")]
        );
        object["spec"]["distinguisherMethod"] = json!({ "type": "ByUser" });
        object["status"] = json!({ "conditions": [{ "type": "Dangling", "status": "True" }] });
        assert_eq!((&cells(&object)[3], &cells(&object)[5]), (&json!("ByUser"), &json!("True")));
        assert_eq!(cells(&object).len(), SCHEMA.len());
    }

    #[test]
    fn a_level_shows_its_numbers() {
        let cells = |object: Value| level(&serde_json::from_value(object).unwrap(), Timestamp::UNIX_EPOCH);
        let exempt = cells(json!({ "metadata": { "name": "l" }, "spec": { "type": "Exempt" } }));
        assert_eq!(exempt, ["l", "Exempt", "<none>", "<none>", "<none>", "<none>", "<unknown>"]);
        let queuing = json!({ "queues": 1, "handSize": 2, "queueLengthLimit": 3 });
        let limited = json!({ "nominalConcurrencyShares": 4, "limitResponse": { "queuing": queuing } });
        let limited = cells(json!({ "spec": { "limited": limited } }));
        assert_eq!(limited[2..6], [json!(4), json!(1), json!(2), json!(3)]);
        assert_eq!(limited.len(), LEVEL.len());
    }
}
