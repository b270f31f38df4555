//! The conditions that a request must meet.

use super::super::common::{Unique, check, required};
use super::super::names;
use crate::admissionregistration::v1::MatchCondition;
use crate::field::{Error, ErrorList, Path};

const MAX: usize = 64;

pub(super) fn validate(errors: &mut ErrorList, conditions: &[MatchCondition], path: &Path) {
    if conditions.len() > MAX {
        errors.push(Error::too_many(path.clone(), conditions.len(), MAX));
    }
    let mut unique = Unique::new();
    for (i, condition) in conditions.iter().enumerate() {
        let path = path.index(i);
        required(errors, &path.child("expression"), condition.expression.trim());
        let of_name = path.child("name");
        if condition.name.is_empty() {
            errors.push(Error::required(of_name, ""));
            continue;
        }
        check(errors, &of_name, &condition.name, names::qualified_name(&condition.name));
        unique.check(errors, &of_name, &condition.name);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::validation::common::texts;

    #[test]
    fn conditions_have_names_of_their_own() {
        let of = |conditions| {
            let mut errors = ErrorList::new();
            let conditions: Vec<MatchCondition> = serde_json::from_value(conditions).unwrap();
            validate(&mut errors, &conditions, &Path::new("c"));
            texts(&errors)
        };
        let good = json!({ "name": "a.b/c", "expression": "true" });
        assert_eq!(of(json!([good])), Vec::<String>::new());
        assert_eq!(
            of(json!([good, good, { "expression": " " }])),
            [
                "c[1].name: Duplicate value: \"a.b/c\"",
                "c[2].expression: Required value",
                "c[2].name: Required value"
            ]
        );
        assert_eq!(of(json!([{ "name": "a b", "expression": "true" }])).len(), 1);
        let many: Vec<_> =
            (0..65).map(|i| json!({ "name": format!("c{i}"), "expression": "true" })).collect();
        assert_eq!(of(many.into()), ["c: Too many: 65: must have at most 64 items"]);
    }
}
