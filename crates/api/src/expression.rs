//! Expressions that decide about requests: conditions of webhooks, and what admission policies ask.
//!
//! They are those of [`crate::cel`] with other variables. What they look at is borrowed JSON.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::cel;

/// What expressions ask about what somebody may.
pub mod authorizer {
    pub use crate::cel::authorizer::{Authorizer, Decision, Question, Resource};
}

/// The variables of webhooks' conditions.
pub const OF_WEBHOOKS: [&str; 4] = ["object", "oldObject", "request", "authorizer"];
/// The variables of policies. Those without parameters have no `params`.
pub const OF_POLICIES: [&str; 7] =
    ["object", "oldObject", "request", "authorizer", "namespaceObject", "variables", "params"];

/// Why an expression cannot be read or run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] cel::Error);

impl Error {
    /// Whether the run cost more than it may.
    #[must_use]
    pub fn is_too_expensive(&self) -> bool {
        self.0 == cel::Error::TooExpensive
    }
}

/// What runs may still cost, together.
#[derive(Debug)]
pub struct Budget(cel::Budget);

impl Budget {
    /// So much.
    #[must_use]
    pub fn new(cost: u64) -> Self {
        Self(cel::Budget(cost))
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.0.0 == 0
    }
}

/// What the names in expressions stand for.
#[derive(Debug, Clone, Default)]
pub struct Variables<'a>(Vec<(&'a str, cel::Value<'a>)>);

impl<'a> Variables<'a> {
    /// The same with one more. What is absent is null.
    #[must_use]
    pub fn with(mut self, name: &'a str, value: Option<&'a Json>) -> Self {
        self.0.push((name, value.map_or(cel::Value::Null, cel::Value::of)));
        self
    }
}

impl Variables<'_> {
    /// The same with `authorizer`, which decides what somebody may; `request` is what the request is about. Without
    /// somebody who decides, it is null.
    #[must_use]
    pub fn with_authorizer(
        mut self,
        by: Option<Arc<dyn authorizer::Authorizer>>,
        request: authorizer::Resource,
    ) -> Self {
        let chain = |by| cel::Value::Authorizer(Arc::new(cel::authorizer::Chain::new(by, Arc::new(request))));
        self.0.push(("authorizer", by.map_or(cel::Value::Null, chain)));
        self
    }
}

/// An expression that can be run.
#[derive(Debug, Clone)]
pub struct Expression {
    text: String,
    program: cel::Program,
}

impl Expression {
    /// Reads an expression that may look at nothing but the variables that are `known`.
    pub fn compile(text: &str, known: &[&str]) -> Result<Self, Error> {
        let program = cel::Program::compile(text).map_err(|error| failed(error.shown(text)))?;
        let is_known =
            |name: &str| known.contains(&name) || cel::TYPES.contains(&name) || cel::is_space(name);
        match program.variables().iter().find(|name| !is_known(name)) {
            Some(name) => Err(Error(cel::undeclared(text, name))),
            None => Ok(Self { text: text.to_owned(), program }),
        }
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is true of some variables.
    pub fn holds(&self, variables: &Variables<'_>, budget: &mut Budget) -> Result<bool, Error> {
        truth(&self.program.run(&variables.0, &mut budget.0)?)
    }
}

fn failed(what: String) -> Error {
    Error(cel::Error::Failed(what))
}

fn truth(value: &cel::Value<'_>) -> Result<bool, Error> {
    match value {
        cel::Value::Bool(value) => Ok(*value),
        _ => Err(failed("cel expression evaluates to a value that is no bool".to_owned())),
    }
}

/// What expressions may look at under `variables`: expressions that have names, each of which may use those before it.
#[derive(Debug, Clone, Default)]
pub struct Composition(Vec<(String, Expression)>);

/// The types of what expressions make for objects and of JSON patches' operations.
const OBJECT: &str = "Object";
const PATCH: &str = "JSONPatch";

/// The types whose objects expressions of mutations make.
pub const MADE_BY_MUTATIONS: [&str; 2] = [OBJECT, PATCH];

/// The variable that they stand below.
const COMPOSED: &str = "variables";

impl Composition {
    /// Adds one.
    pub fn push(&mut self, name: &str, expression: Expression) {
        self.0.push((name.to_owned(), expression));
    }

    /// Those that an expression looks at, itself or by others of them.
    fn needed(&self, text: &str) -> Vec<usize> {
        let mut texts = vec![text];
        let mut needed = Vec::new();
        // Each uses only earlier ones.
        for (index, (name, expression)) in self.0.iter().enumerate().rev() {
            if texts.iter().any(|text| text.contains(name.as_str())) {
                texts.push(&expression.text);
                needed.push(index);
            }
        }
        needed.reverse();
        needed
    }
}

/// Runs of several expressions over the same variables. What is composed is worked out once, when it is needed first.
#[derive(Debug)]
pub struct Evaluation<'a> {
    variables: Variables<'a>,
    composition: &'a Composition,
    known: Vec<(usize, cel::Value<'a>)>,
    /// What one expression may cost.
    each: u64,
}

impl<'a> Evaluation<'a> {
    /// Over these variables, and what is composed of them; one expression may cost `each`.
    #[must_use]
    pub fn new(variables: Variables<'a>, composition: &'a Composition, each: u64) -> Self {
        Self { variables, composition, known: Vec::new(), each }
    }

    /// Whether an expression is true.
    pub fn holds(&mut self, expression: &'a Expression, budget: &mut Budget) -> Result<bool, Error> {
        truth(&self.run(expression, budget)?)
    }

    /// The text that an expression makes; none where it makes something else.
    pub fn text(&mut self, expression: &'a Expression, budget: &mut Budget) -> Result<Option<String>, Error> {
        Ok(self.run(expression, budget)?.as_text().map(str::to_owned))
    }

    /// The text that an expression makes for an audit log, where it makes one; the type of what is neither text nor null.
    pub fn annotation(
        &mut self,
        expression: &'a Expression,
        budget: &mut Budget,
    ) -> Result<Result<Option<String>, &'static str>, Error> {
        Ok(match self.run(expression, budget)? {
            cel::Value::Null => Ok(None),
            value => match value.as_text() {
                Some(text) => Ok(Some(text.trim().to_owned())),
                None => Err(value.type_name()),
            },
        })
    }

    /// The apply configuration that an expression makes, or why it is none.
    pub fn configuration(
        &mut self,
        expression: &'a Expression,
        budget: &mut Budget,
    ) -> Result<Result<Json, String>, Error> {
        let value = self.run(expression, budget)?;
        if value.made().is_none() {
            let found = value.type_name();
            return Ok(Err(format!("unsupported return type from ApplyConfiguration expression: {found}")));
        }
        if let Err(why) = value.check_places(OBJECT) {
            return Ok(Err(format!("type mismatch: {why}")));
        }
        Ok(Ok(value.to_json()?))
    }

    /// The operations of a JSON patch that an expression makes, or why they are none.
    pub fn operations(
        &mut self,
        expression: &'a Expression,
        budget: &mut Budget,
    ) -> Result<Result<Json, String>, Error> {
        let value = self.run(expression, budget)?;
        let Some(items) = value.items() else {
            return Ok(Err("type mismatch: JSONPatchType.expression should evaluate to array".to_owned()));
        };
        let mut operations = Vec::new();
        for item in items {
            if item.made() != Some(PATCH) {
                let found = item.type_name();
                let what = "type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch";
                return Ok(Err(format!("{what}, got element of {found}")));
            }
            if let Some(Err(why)) = item
                .member("value")
                .and_then(|value| value.made().map(str::to_owned).map(|of| value.check_places(&of)))
            {
                return Ok(Err(format!("type mismatch: {why}")));
            }
            let mut operation = item.to_json()?;
            if let Json::Object(fields) = &mut operation
                && fields.get("from").and_then(Json::as_str) == Some("")
            {
                fields.remove("from");
            }
            operations.push(operation);
        }
        Ok(Ok(Json::Array(operations)))
    }

    fn run(&mut self, expression: &'a Expression, budget: &mut Budget) -> Result<cel::Value<'a>, Error> {
        for index in self.composition.needed(&expression.text) {
            if self.known.iter().any(|(known, _)| *known == index) {
                continue;
            }
            let (name, of) = &self.composition.0[index];
            let value = match self.run_one(of, budget) {
                Ok(value) => value,
                Err(error) if error.is_too_expensive() => return Err(error),
                Err(error) => {
                    let what = format!("composited variable {name:?} fails to evaluate: {error}");
                    cel::Value::failed(what)
                }
            };
            self.known.push((index, value));
        }
        self.run_one(expression, budget)
    }

    fn run_one(&self, expression: &'a Expression, budget: &mut Budget) -> Result<cel::Value<'a>, Error> {
        let composed = self.known.iter().map(|(index, value)| {
            let (name, _) = &self.composition.0[*index];
            (cel::Value::text(name.as_str()), value.clone())
        });
        let mut variables = self.variables.0.clone();
        variables.push((COMPOSED, cel::Value::map(composed.collect())));
        let limit = self.each.min(budget.0.0);
        let mut own = cel::Budget(limit);
        let outcome = expression.program.run(&variables, &mut own);
        budget.0.0 -= limit - own.0;
        Ok(outcome?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn variables_are_worked_out_when_they_are_needed() {
        let object = json!({"a": 2});
        let known = ["object", "variables"];
        let mut composition = Composition::default();
        for (name, text) in [
            ("two", "object.a"),
            ("four", "variables.two * 2"),
            ("broken", "object.none"),
            ("unused", "1 / 0"),
        ] {
            composition.push(name, Expression::compile(text, &known).unwrap());
        }
        let holds = |text: &str| {
            let expression = Expression::compile(text, &known).unwrap();
            let variables = Variables::default().with("object", Some(&object));
            let mut evaluation = Evaluation::new(variables, &composition, 1000);
            evaluation.holds(&expression, &mut Budget::new(10_000)).map_err(|error| error.to_string())
        };
        assert_eq!(holds("variables.four == 4 && variables.two == 2"), Ok(true));
        assert_eq!(holds("object.a == 2 || variables.broken"), Ok(true));
        assert_eq!(
            holds("variables.broken"),
            Err("composited variable \"broken\" fails to evaluate: no such key: none".to_owned())
        );
    }

    #[test]
    fn expressions_ask_about_what_they_know() {
        let object = json!({"metadata": {"name": "a"}});
        let compile = |text: &str| Expression::compile(text, &["object", "oldObject"]);
        let holds = |text: &str| {
            let variables = Variables::default().with("object", Some(&object)).with("oldObject", None);
            compile(text).unwrap().holds(&variables, &mut Budget::new(1000))
        };
        assert_eq!(holds("object.metadata.name == 'a' && oldObject == null"), Ok(true));
        assert_eq!(holds("object.spec.x == 1").unwrap_err().to_string(), "no such key: spec");
        assert!(holds("object.metadata.name").is_err());
        assert!(holds("[1, 2, 3].all(a, [1, 2, 3].all(b, [1, 2, 3].all(c, [1, 2, 3].all(d, [1, 2, 3].all(e, a + b + c + d + e > 0)))))").unwrap_err().is_too_expensive());
        let error = compile("request.name == 'a'").unwrap_err().to_string();
        let expected = "ERROR: <input>:1:1: undeclared reference to 'request' (in container '')\n | request.name == \
                        'a'\n | ^";
        assert_eq!(error, expected);
        let error = compile("object.request == request").unwrap_err().to_string();
        assert!(error.starts_with("ERROR: <input>:1:19: "), "{error}");
    }
}
