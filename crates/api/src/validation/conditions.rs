//! Conditions of a status, as all groups share them.

use super::common::{Unique, check, one_of};
use super::names;
use crate::field::{Error, ErrorList, Path};
use crate::meta::v1::Condition;

const STATUSES: [&str; 3] = ["False", "True", "Unknown"];
const REASON_MAX: usize = 1024;
const MESSAGE_MAX: usize = 32 << 10;

pub(crate) fn validate(errors: &mut ErrorList, conditions: &[Condition], path: &Path) {
    let mut types = Unique::new();
    for (i, condition) in conditions.iter().enumerate() {
        let path = path.index(i);
        types.check(errors, &path.child("type"), &condition.r#type);
        check(errors, &path.child("type"), &condition.r#type, names::qualified_name(&condition.r#type));
        one_of(errors, &path.child("status"), &condition.status, &STATUSES);
        if condition.observed_generation < 0 {
            let detail = "must be greater than or equal to zero";
            let path = path.child("observedGeneration");
            errors.push(Error::invalid(path, condition.observed_generation, detail));
        }
        if condition.last_transition_time.is_none_or(|time| time == crate::scalars::Time::default()) {
            errors.push(Error::required(path.child("lastTransitionTime"), "must be set"));
        }
        let reason = path.child("reason");
        if condition.reason.is_empty() {
            errors.push(Error::required(reason, "must be set"));
        } else {
            check(errors, &reason, &condition.reason, names::condition_reason(&condition.reason));
            if condition.reason.len() > REASON_MAX {
                errors.push(Error::too_long(reason, REASON_MAX));
            }
        }
        if condition.message.len() > MESSAGE_MAX {
            errors.push(Error::too_long(path.child("message"), MESSAGE_MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn problems(conditions: Value) -> Vec<String> {
        let conditions: Vec<Condition> = serde_json::from_value(conditions).unwrap();
        let mut errors = ErrorList::new();
        validate(&mut errors, &conditions, &Path::new("status").child("conditions"));
        texts(&errors)
    }

    #[test]
    fn a_condition_is_complete() {
        let good = json!({ "type": "Ready", "status": "True", "reason": "Fine", "message": "",
                           "lastTransitionTime": "2020-01-01T00:00:00Z" });
        assert_eq!(problems(json!([good])), Vec::<String>::new());
        assert_eq!(problems(json!([good, good])), [r#"status.conditions[1].type: Duplicate value: "Ready""#]);
        let mut bad = good;
        bad["status"] = json!("Maybe");
        bad["reason"] = json!("not a word");
        bad["lastTransitionTime"] = Value::Null;
        let found = problems(json!([bad]));
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[1], "status.conditions[0].lastTransitionTime: Required value: must be set");
    }
}
