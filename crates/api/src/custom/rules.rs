//! `x-kubernetes-validations`: rules of values as expressions.

use serde_json::Value as Json;

use super::lists::Counterparts;
use super::path::JsonPath;
use super::schema::{Additional, Schema, SchemaError};
use crate::apiextensions::v1::ValidationRule;
use crate::cel::{Budget, Error as CelError, Program, TYPES, Value, is_space, undeclared};
use crate::field::{Error, ErrorList, ErrorType, Path};

/// What one rule may cost.
const PER_RULE: u64 = 1_000_000;
/// What all rules of an object may cost together.
const PER_OBJECT: u64 = 10_000_000;
const SELF: &str = "self";
const OLD: &str = "oldSelf";

/// A rule of a value.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    program: Program,
    text: String,
    message: String,
    message_expression: Option<Program>,
    reason: ErrorType,
    field_path: Option<JsonPath>,
    /// Whether the rule is also asked where there was no value before.
    optional_old: bool,
}

impl Rule {
    /// Prepares a rule.
    pub(crate) fn compile(rule: &ValidationRule) -> Result<Self, SchemaError> {
        let compile = |text: &str| {
            program(text)
                .map_err(|error| SchemaError::Rule { rule: text.to_owned(), reason: error.to_string() })
        };
        let expression = rule.message_expression.as_str();
        Ok(Self {
            program: compile(&rule.rule)?,
            text: rule.rule.trim().to_owned(),
            message: rule.message.trim().to_owned(),
            message_expression: (!expression.is_empty()).then(|| compile(expression)).transpose()?,
            reason: reason(rule.reason.as_deref()).unwrap_or(ErrorType::Invalid),
            field_path: JsonPath::parse(&rule.field_path).filter(|_| !rule.field_path.is_empty()),
            optional_old: rule.optional_old_self == Some(true),
        })
    }

    fn is_transition(&self) -> bool {
        self.program.uses(OLD)
    }

    /// What clients are told who break the rule.
    fn told<'a>(&'a self, variables: &[(&'a str, Value<'a>)], budget: &mut Budget) -> String {
        let made = self.message_expression.as_ref().and_then(|program| program.run(variables, budget).ok());
        let made = made.as_ref().and_then(Value::as_text).map(str::trim);
        match made.filter(|text| !text.is_empty() && !text.contains('\n')) {
            Some(text) => text.to_owned(),
            None if self.message.is_empty() => format!("failed rule: {}", self.text),
            None => self.message.clone(),
        }
    }

    fn error(&self, path: &str, value: &Json, detail: String) -> Error {
        let mut path = Path::new(path);
        for field in self.field_path.as_ref().and_then(JsonPath::fields).unwrap_or_default() {
            path = path.child(field);
        }
        let value = if matches!(self.reason, ErrorType::Invalid | ErrorType::Duplicate) {
            super::check::type_of(value).into()
        } else {
            Json::Null
        };
        Error { r#type: self.reason, path, value, detail }
    }
}

/// The class of a reason; none for one that there is not.
pub(crate) fn reason(reason: Option<&str>) -> Option<ErrorType> {
    match reason {
        None | Some("FieldValueInvalid") => Some(ErrorType::Invalid),
        Some("FieldValueForbidden") => Some(ErrorType::Forbidden),
        Some("FieldValueRequired") => Some(ErrorType::Required),
        Some("FieldValueDuplicate") => Some(ErrorType::Duplicate),
        Some(_) => None,
    }
}

/// Reads an expression, which may look at nothing but the value and what it was before.
pub(crate) fn program(text: &str) -> Result<Program, CelError> {
    let program = Program::compile(text)?;
    let known = |name: &&String| {
        [SELF, OLD].contains(&name.as_str()) || TYPES.contains(&name.as_str()) || is_space(name)
    };
    match program.variables().iter().find(|name| !known(name)) {
        Some(name) => Err(undeclared(text, name)),
        None => Ok(program),
    }
}

/// Whether an expression looks at what the value was before.
pub(crate) fn is_transition(text: &str) -> bool {
    Program::compile(text).is_ok_and(|program| program.uses(OLD))
}

/// Every rule that an object breaks.
pub(crate) fn check(object: &Json, old: Option<&Json>, schema: &Schema) -> ErrorList {
    let mut walk = Walk { errors: ErrorList::new(), left: PER_OBJECT };
    if let Err(Stopped::ByAll) = walk.value(object, old, schema, "") {
        let detail =
            "validation failed due to running out of cost budget, no further validation rules will be run";
        walk.errors.push(Error::invalid(Path::default(), "", detail));
    }
    walk.errors
}

/// Whether a schema, or one inside of it, has rules.
pub(crate) fn has_any(schema: &Schema) -> bool {
    let inside = |schema: &Option<Box<Schema>>| schema.as_deref().is_some_and(has_any);
    !schema.rules.is_empty()
        || inside(&schema.items)
        || schema.properties.values().any(has_any)
        || matches!(&schema.additional, Additional::Each(schema) if has_any(schema))
}

struct Walk {
    errors: ErrorList,
    left: u64,
}

/// Why no further rules are run.
enum Stopped {
    /// One costs too much, as its error says.
    ByOne,
    /// The object's rules cost too much together.
    ByAll,
}

impl Walk {
    fn value(
        &mut self,
        value: &Json,
        old: Option<&Json>,
        schema: &Schema,
        path: &str,
    ) -> Result<(), Stopped> {
        for rule in &schema.rules {
            self.rule(rule, value, old, path)?;
        }
        let inside = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match value {
            Json::Object(fields) => {
                for (name, value) in fields {
                    let old = old.and_then(|old| old.get(name));
                    let (inner, path) = match (schema.properties.get(name), &schema.additional) {
                        (Some(inner), _) => (inner, inside(name)),
                        (None, Additional::Each(inner)) => (&**inner, format!("{path}[{name}]")),
                        _ => continue,
                    };
                    self.value(value, old, inner, &path)?;
                }
            }
            Json::Array(items) => {
                let Some(of_items) = schema.items.as_deref() else { return Ok(()) };
                let before = Counterparts::of(old.and_then(Json::as_array), &schema.list);
                for (index, item) in items.iter().enumerate() {
                    self.value(item, before.get(item), of_items, &format!("{path}[{index}]"))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn rule(&mut self, rule: &Rule, value: &Json, old: Option<&Json>, path: &str) -> Result<(), Stopped> {
        // What an update leaves as it was may break rules that are newer than it.
        let skipped = match old {
            None => rule.is_transition() && !rule.optional_old,
            Some(old) => !rule.is_transition() && old == value,
        };
        if skipped {
            return Ok(());
        }
        let before = old.map(Value::of);
        let before = if rule.optional_old { Some(Value::optional(before)) } else { before };
        let mut variables = vec![(SELF, Value::of(value))];
        variables.extend(before.map(|before| (OLD, before)));
        let limit = PER_RULE.min(self.left);
        let mut budget = Budget(limit);
        let outcome = rule.program.run(&variables, &mut budget);
        let detail = match outcome {
            Ok(Value::Bool(true)) => None,
            Ok(Value::Bool(false)) => Some(rule.told(&variables, &mut budget)),
            Ok(_) => Some("rule must evaluate to a bool".to_owned()),
            Err(CelError::TooExpensive) if limit == PER_RULE => {
                let detail = "rule took too long to run: no further validation rules will be run: \
                              call cost exceeds limit";
                self.errors.push(rule.error(path, value, detail.to_owned()));
                return Err(Stopped::ByOne);
            }
            Err(CelError::TooExpensive) => return Err(Stopped::ByAll),
            Err(error) => {
                let named = if rule.message.is_empty() { &rule.text } else { &rule.message };
                Some(format!("{error} evaluating rule: {named}"))
            }
        };
        self.left = self.left.saturating_sub(limit - budget.0);
        self.errors.extend(detail.map(|detail| rule.error(path, value, detail)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn errors(schema: Json, object: Json, old: Option<Json>) -> Vec<String> {
        let schema = Schema::compile(&serde_json::from_value(schema).unwrap()).unwrap();
        check(&object, old.as_ref(), &schema).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn broken_rules_are_told_as_upstream_tells_them() {
        let schema = json!({"type": "object", "properties": {"spec": {
            "type": "object",
            "x-kubernetes-validations": [
                {"rule": "self.min <= self.max", "message": "min must not be above max"},
                {"rule": "self.min > 0"},
                {"rule": "self.max < 10", "messageExpression": "'max is ' + string(self.max)", "fieldPath": ".max",
                 "reason": "FieldValueForbidden"},
                {"rule": "self.none > 1"},
            ],
            "properties": {"min": {"type": "integer"}, "max": {"type": "integer"}},
        }}});
        assert_eq!(
            errors(schema, json!({"spec": {"min": 0, "max": 10}}), None),
            [
                "spec: Invalid value: \"object\": failed rule: self.min > 0",
                "spec.max: Forbidden: max is 10",
                "spec: Invalid value: \"object\": no such key: none evaluating rule: self.none > 1",
            ]
        );
    }

    #[test]
    fn transitions_are_rules_of_changes() {
        let schema = json!({"type": "object", "properties": {"size": {
            "type": "integer",
            "x-kubernetes-validations": [
                {"rule": "self >= oldSelf", "message": "must not shrink"},
                {"rule": "!oldSelf.hasValue() || self != 7", "optionalOldSelf": true},
                {"rule": "self < 5"},
            ],
        }}});
        assert_eq!(
            errors(schema.clone(), json!({"size": 7}), None),
            ["size: Invalid value: \"integer\": failed rule: self < 5"]
        );
        let old = Some(json!({"size": 9}));
        assert_eq!(
            errors(schema.clone(), json!({"size": 7}), old.clone()),
            [
                "size: Invalid value: \"integer\": must not shrink",
                "size: Invalid value: \"integer\": failed rule: !oldSelf.hasValue() || self != 7",
                "size: Invalid value: \"integer\": failed rule: self < 5",
            ]
        );
        // What stays as it was may break newer rules.
        assert!(errors(schema, json!({"size": 9}), old).is_empty());
    }

    #[test]
    fn expensive_rules_end() {
        let schema = json!({"type": "object", "properties": {"l": {
            "type": "array", "items": {"type": "integer"},
            "x-kubernetes-validations": [
                {"rule": "self.all(a, self.all(b, self.all(c, a + b + c > 0)))"}, {"rule": "self.size() > 400"},
            ],
        }}});
        let items: Vec<i32> = (1..400).collect();
        let errors = errors(schema, json!({ "l": items }), None);
        assert_eq!(errors.len(), 1, "no further rules are run: {errors:?}");
        assert!(errors[0].contains("call cost exceeds limit"), "{errors:?}");
    }
}
