//! Priority levels.

use super::super::common::{enumerated, shown};
use super::{conditions, mandatory};
use crate::Resource as _;
use crate::field::{Error, ErrorList, Path};
use crate::flowcontrol::v1::{
    ExemptPriorityLevelConfiguration, LimitResponse, LimitedPriorityLevelConfiguration,
    PriorityLevelConfiguration, PriorityLevelConfigurationSpec, QueuingConfiguration,
};

const MAX_QUEUES: i32 = 10_000_000;
/// The bits of the hash that deals a flow its queues.
const HASH_BITS: f64 = 60.0;
const PERCENT: &str = "must be between 0 and 100, inclusive";

pub(crate) fn level(level: &PriorityLevelConfiguration) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = PriorityLevelConfigurationSpec::default();
    let spec = level.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    by_type(&mut errors, spec, level.name(), &path);
    let mut fixed_part = spec.clone();
    fixed_part.exempt = None;
    if mandatory::level(level.name()).is_some_and(|fixed| fixed != fixed_part) {
        let but = if level.name() == mandatory::EXEMPT { " except the spec.exempt field" } else { "" };
        let detail = format!("spec of '{}'{but} must equal the fixed value", level.name());
        errors.push(Error::invalid(path, shown(spec), detail));
    }
    errors.extend(status(level));
    errors
}

pub(crate) fn status(level: &PriorityLevelConfiguration) -> ErrorList {
    let mut errors = ErrorList::new();
    let found = level.status.iter().flat_map(|status| &status.conditions);
    let path = Path::new("status").child("conditions");
    conditions(&mut errors, found.map(|condition| condition.r#type.as_str()), &path);
    errors
}

fn by_type(errors: &mut ErrorList, spec: &PriorityLevelConfigurationSpec, name: &str, path: &Path) {
    let of_type = path.child("type");
    if (name == mandatory::EXEMPT) != (spec.r#type == "Exempt") {
        let detail = "type must be 'Exempt' if and only if name is 'exempt'";
        errors.push(Error::invalid(of_type.clone(), spec.r#type.as_str(), detail));
    }
    match spec.r#type.as_str() {
        "Exempt" => {
            if spec.limited.is_some() {
                let detail = "must be nil if the type is not Limited";
                errors.push(Error::forbidden(path.child("limited"), detail));
            }
            if let Some(part) = &spec.exempt {
                exempt(errors, part, &path.child("exempt"));
            }
        }
        "Limited" => {
            if spec.exempt.is_some() {
                errors.push(Error::forbidden(path.child("exempt"), "must be nil if the type is Limited"));
            }
            match &spec.limited {
                None => {
                    let detail = "must not be empty when type is Limited";
                    errors.push(Error::required(path.child("limited"), detail));
                }
                Some(part) => limited(errors, part, &path.child("limited")),
            }
        }
        other => enumerated(errors, &of_type, other, "flowcontrol.v1.PriorityLevelConfigurationSpec.type"),
    }
}

/// A share may be nothing, but not less.
fn shares(errors: &mut ErrorList, shares: Option<i32>, path: &Path) {
    if let Some(shares) = shares.filter(|shares| *shares < 0) {
        let path = path.child("nominalConcurrencyShares");
        errors.push(Error::invalid(path, shares, "must be a non-negative integer"));
    }
}

fn lendable(errors: &mut ErrorList, percent: Option<i32>, path: &Path) {
    if let Some(percent) = percent.filter(|percent| !(0..=100).contains(percent)) {
        errors.push(Error::invalid(path.child("lendablePercent"), percent, PERCENT));
    }
}

fn exempt(errors: &mut ErrorList, part: &ExemptPriorityLevelConfiguration, path: &Path) {
    shares(errors, part.nominal_concurrency_shares, path);
    lendable(errors, part.lendable_percent, path);
}

fn limited(errors: &mut ErrorList, part: &LimitedPriorityLevelConfiguration, path: &Path) {
    shares(errors, part.nominal_concurrency_shares, path);
    let empty = LimitResponse::default();
    response(errors, part.limit_response.as_ref().unwrap_or(&empty), &path.child("limitResponse"));
    lendable(errors, part.lendable_percent, path);
    if let Some(percent) = part.borrowing_limit_percent.filter(|percent| *percent < 0) {
        let detail = "if specified, must be a non-negative integer";
        errors.push(Error::invalid(path.child("borrowingLimitPercent"), percent, detail));
    }
}

fn response(errors: &mut ErrorList, response: &LimitResponse, path: &Path) {
    let of_queuing = path.child("queuing");
    match (response.r#type.as_str(), &response.queuing) {
        ("Reject", None) => {}
        ("Reject", Some(_)) => {
            let detail = "must be nil if limited.limitResponse.type is not Limited";
            errors.push(Error::forbidden(of_queuing, detail));
        }
        ("Queue", None) => {
            let detail = "must not be empty if limited.limitResponse.type is Limited";
            errors.push(Error::required(of_queuing, detail));
        }
        ("Queue", Some(part)) => queuing(errors, part, &of_queuing),
        (other, _) => enumerated(errors, &path.child("type"), other, "flowcontrol.v1.LimitResponse.type"),
    }
}

fn queuing(errors: &mut ErrorList, queuing: &QueuingConfiguration, path: &Path) {
    let mut invalid = |field: &str, value: i32, detail: String| {
        errors.push(Error::invalid(path.child(field), value, detail));
    };
    let positive = || "must be positive".to_owned();
    let (queues, hand) = (queuing.queues, queuing.hand_size);
    if queuing.queue_length_limit <= 0 {
        invalid("queueLengthLimit", queuing.queue_length_limit, positive());
    }
    if queues <= 0 {
        invalid("queues", queues, positive());
    } else if queues > MAX_QUEUES {
        invalid("queues", queues, format!("must not be greater than {MAX_QUEUES}"));
    }
    if hand <= 0 {
        invalid("handSize", hand, positive());
    } else if hand > queues {
        invalid("handSize", hand, format!("should not be greater than queues ({queues})"));
    } else if (f64::from(queues).log2() * f64::from(hand)).ceil() > HASH_BITS {
        let detail = format!(
            "required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {HASH_BITS}"
        );
        invalid("handSize", hand, detail);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn of(name: &str, spec: Value) -> Vec<String> {
        texts(&level(&serde_json::from_value(json!({ "metadata": { "name": name }, "spec": spec })).unwrap()))
    }

    fn with_queuing(queuing: Value) -> Vec<String> {
        let limited = json!({ "limitResponse": { "type": "Queue", "queuing": queuing } });
        of("l", json!({ "type": "Limited", "limited": limited }))
    }

    #[test]
    fn a_level_is_limited_or_the_one_that_is_not() {
        let reject = json!({ "limitResponse": { "type": "Reject" } });
        assert_eq!(of("l", json!({ "type": "Limited", "limited": reject })), Vec::<String>::new());
        assert_eq!(
            of("exempt", json!({ "type": "Exempt", "exempt": { "lendablePercent": 7 } })),
            Vec::<String>::new()
        );
        assert_eq!(
            of("l", json!({ "type": "Exempt", "limited": reject })),
            [
                "spec.type: Invalid value: \"Exempt\": type must be 'Exempt' if and only if name is 'exempt'",
                "spec.limited: Forbidden: must be nil if the type is not Limited",
            ]
        );
        assert_eq!(
            of("l", json!({ "type": "Limited", "exempt": {} })),
            [
                "spec.exempt: Forbidden: must be nil if the type is Limited",
                "spec.limited: Required value: must not be empty when type is Limited",
            ]
        );
        assert_eq!(
            of("l", json!({ "type": "x" })),
            ["spec.type: Unsupported value: \"x\": supported values: \"Exempt\", \"Limited\""]
        );
    }

    #[test]
    fn numbers_are_in_their_ranges() {
        let limited =
            json!({ "nominalConcurrencyShares": -1, "lendablePercent": 101, "borrowingLimitPercent": -1 });
        assert_eq!(
            of("l", json!({ "type": "Limited", "limited": limited })),
            [
                "spec.limited.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer",
                "spec.limited.limitResponse.type: Unsupported value: \"\": supported values: \"Queue\", \"Reject\"",
                "spec.limited.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
                "spec.limited.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer",
            ]
        );
        let good = json!({ "queues": 64, "handSize": 8, "queueLengthLimit": 50 });
        assert_eq!(with_queuing(good), Vec::<String>::new());
        assert_eq!(with_queuing(json!({})).len(), 3);
        assert_eq!(
            with_queuing(json!({ "queues": 64, "handSize": 11, "queueLengthLimit": 50 })),
            [
                "spec.limited.limitResponse.queuing.handSize: Invalid value: 11: required entropy bits of deckSize 64 \
                 and handSize 11 should not be greater than 60"
            ]
        );
        assert_eq!(
            with_queuing(json!({ "queues": 2, "handSize": 3, "queueLengthLimit": 1 })),
            [
                "spec.limited.limitResponse.queuing.handSize: Invalid value: 3: should not be greater than queues (2)"
            ]
        );
    }

    #[test]
    fn what_every_cluster_has_stays() {
        let catch_all = json!({
            "type": "Limited",
            "limited": {
                "nominalConcurrencyShares": 5, "lendablePercent": 0, "limitResponse": { "type": "Reject" },
            },
        });
        assert_eq!(of("catch-all", catch_all.clone()), Vec::<String>::new());
        let mut other = catch_all;
        other["limited"]["nominalConcurrencyShares"] = json!(6);
        let errors = of("catch-all", other);
        assert_eq!(errors.len(), 1);
        assert!(errors[0].ends_with("spec of 'catch-all' must equal the fixed value"), "{errors:?}");
    }
}
