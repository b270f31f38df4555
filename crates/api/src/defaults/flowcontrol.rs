//! Flow schemas and priority levels.

use super::number;
use crate::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};

const PRECEDENCE: i32 = 1000;
const SHARES: i32 = 30;
const HAND_SIZE: i32 = 8;
const QUEUES: i32 = 64;
const QUEUE_LENGTH: i32 = 50;

pub(crate) fn schema(schema: &mut FlowSchema) {
    number(&mut schema.spec.get_or_insert_default().matching_precedence, PRECEDENCE);
}

pub(crate) fn level(level: &mut PriorityLevelConfiguration) {
    let spec = level.spec.get_or_insert_default();
    if let Some(exempt) = &mut spec.exempt {
        exempt.nominal_concurrency_shares.get_or_insert(0);
        exempt.lendable_percent.get_or_insert(0);
    }
    let Some(limited) = &mut spec.limited else { return };
    limited.nominal_concurrency_shares.get_or_insert(SHARES);
    limited.lendable_percent.get_or_insert(0);
    if let Some(queuing) = limited.limit_response.as_mut().and_then(|response| response.queuing.as_mut()) {
        number(&mut queuing.hand_size, HAND_SIZE);
        number(&mut queuing.queues, QUEUES);
        number(&mut queuing.queue_length_limit, QUEUE_LENGTH);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_that_are_left_open_are_filled() {
        let mut of = FlowSchema::default();
        schema(&mut of);
        assert_eq!(of.spec.unwrap().matching_precedence, 1000);
        let spec = json!({ "limited": { "limitResponse": { "queuing": { "queues": 2 } } }, "exempt": {} });
        let mut of = serde_json::from_value(json!({ "spec": spec })).unwrap();
        level(&mut of);
        let filled = json!({
            "type": "",
            "limited": {
                "nominalConcurrencyShares": 30, "lendablePercent": 0,
                "limitResponse": { "type": "", "queuing": { "queues": 2, "handSize": 8, "queueLengthLimit": 50 } },
            },
            "exempt": { "nominalConcurrencyShares": 0, "lendablePercent": 0 },
        });
        assert_eq!(serde_json::to_value(of.spec).unwrap(), filled);
        // No share at all can be asked for.
        let none = json!({ "spec": { "limited": { "nominalConcurrencyShares": 0 } } });
        let mut of = serde_json::from_value(none).unwrap();
        level(&mut of);
        assert_eq!(of.spec.unwrap().limited.unwrap().nominal_concurrency_shares, Some(0));
    }
}
