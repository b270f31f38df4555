//! The conditions that a request must meet.

use super::super::common::{Unique, check, required};
use super::super::names;
use crate::admissionregistration::v1::MatchCondition;
use crate::expression::Expression;
use crate::field::{Error, ErrorList, Path};

const MAX: usize = 64;

/// Checks conditions, which may look at the variables that are `known`.
pub(super) fn validate(errors: &mut ErrorList, conditions: &[MatchCondition], known: &[&str], path: &Path) {
    if conditions.len() > MAX {
        errors.push(Error::too_many(path.clone(), conditions.len(), MAX));
    }
    let mut unique = Unique::new();
    for (i, condition) in conditions.iter().enumerate() {
        let path = path.index(i);
        let of_expression = path.child("expression");
        required(errors, &of_expression, condition.expression.trim());
        compiled(errors, &condition.expression, known, &of_expression);
        let of_name = path.child("name");
        if condition.name.is_empty() {
            errors.push(Error::required(of_name, ""));
            continue;
        }
        check(errors, &of_name, &condition.name, names::qualified_name(&condition.name));
        unique.check(errors, &of_name, &condition.name);
    }
}

/// An expression that is there must be one that can be run.
pub(super) fn compiled(errors: &mut ErrorList, text: &str, known: &[&str], path: &Path) {
    if text.trim().is_empty() {
        return;
    }
    if let Err(error) = Expression::compile(text, known) {
        errors.push(Error::invalid(path.clone(), text, format!("compilation failed: {error}")));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::expression::OF_WEBHOOKS;
    use crate::validation::common::texts;

    #[test]
    fn conditions_are_expressions_that_can_be_run() {
        let of = |text: &str| {
            let mut errors = ErrorList::new();
            compiled(&mut errors, text, &OF_WEBHOOKS, &Path::new("e"));
            texts(&errors)
        };
        assert_eq!(of("authorizer.path('/a').check('get').allowed()"), Vec::<String>::new());
        assert_eq!(
            of("params.a"),
            [
                "e: Invalid value: \"params.a\": compilation failed: ERROR: <input>:1:1: undeclared reference to 'params' (in \
              container '')\n | params.a\n | ^"
            ]
        );
        assert!(of("1 +")[0].contains("compilation failed: ERROR: <input>:1:"));
    }

    #[test]
    fn conditions_have_names_of_their_own() {
        let of = |conditions| {
            let mut errors = ErrorList::new();
            let conditions: Vec<MatchCondition> = serde_json::from_value(conditions).unwrap();
            validate(&mut errors, &conditions, &OF_WEBHOOKS, &Path::new("c"));
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
