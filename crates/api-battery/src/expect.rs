//! What an answer must look like.

use std::collections::BTreeMap;

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use crate::client::Answer;

/// What is expected of an answer. What is not said is not looked at. Protobuf is compared as the JSON that it stands
/// for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The status code.
    pub status: u16,
    /// Headers; `<absent>` where there must be none.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body as JSON: all of it.
    pub body: Option<Pattern>,
    /// The body as JSON: some of it. Objects may have more fields, lists may not have more items.
    pub contains: Option<Pattern>,
    /// The events of a watch, each as in `contains`: JSON objects, one a line, or protobuf.
    pub lines: Option<Vec<Pattern>>,
    /// The body as text.
    pub text: Option<String>,
}

/// A JSON value, in which texts may stand for others:
///
/// - `~EXPRESSION`: any text that the regular expression matches as a whole;
/// - `<any>`: any value; `<absent>`: no such field;
/// - `<uid>`, `<time>`, `<rv>`: a text of this form, which is another one each time.
pub type Pattern = Value;

const UID: &str = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
const TIME: &str = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z";

/// Everything about an answer that is not as expected.
#[must_use]
pub fn problems(expect: &Expect, answer: &Answer) -> Vec<String> {
    let mut found = Vec::new();
    if answer.status != expect.status {
        found.push(format!("status: {} instead of {}", answer.status, expect.status));
    }
    for (name, pattern) in &expect.headers {
        let values = answer.headers(name);
        let fits = match pattern.as_str() {
            "<absent>" => values.is_empty(),
            pattern => values.iter().any(|value| fits(pattern, value)),
        };
        if !fits {
            found.push(format!("header {name}: {values:?} instead of {pattern:?}"));
        }
    }
    if let Some(pattern) = &expect.text
        && !fits(pattern, &answer.text())
    {
        found.push(format!("text: {:?} instead of {pattern:?}", answer.text()));
    }
    if let Some(patterns) = &expect.lines {
        match answer.events() {
            Ok(lines) => compare(&Value::from(patterns.clone()), &lines.into(), false, "lines", &mut found),
            Err(error) => found.push(format!("lines: {error:#}")),
        }
    }
    for (pattern, exact) in [(&expect.body, true), (&expect.contains, false)] {
        let Some(pattern) = pattern else { continue };
        match answer.value() {
            Ok(value) => compare(pattern, &value, exact, "", &mut found),
            Err(error) => found.push(format!("body: {error:#}")),
        }
    }
    found
}

/// Whether a text is what a pattern says.
fn fits(pattern: &str, text: &str) -> bool {
    let whole = |expression: &str| {
        Regex::new(&format!("(?s)^(?:{expression})$")).is_ok_and(|expression| expression.is_match(text))
    };
    match pattern {
        "<any>" => true,
        "<uid>" => whole(UID),
        "<time>" => whole(TIME),
        "<rv>" => whole("[1-9][0-9]*"),
        pattern => pattern.strip_prefix('~').map_or(pattern == text, whole),
    }
}

fn compare(pattern: &Value, value: &Value, exact: bool, path: &str, found: &mut Vec<String>) {
    match (pattern, value) {
        (Value::String(pattern), _) if pattern == "<any>" => {}
        (Value::String(pattern), Value::String(text)) if fits(pattern, text) => {}
        (Value::Object(patterns), Value::Object(values)) => {
            for (name, pattern) in patterns {
                let path = format!("{path}.{name}");
                match values.get(name) {
                    Some(value) if pattern == "<absent>" => {
                        found.push(format!("{path}: {value} instead of nothing"));
                    }
                    Some(value) => compare(pattern, value, exact, &path, found),
                    None if pattern == "<absent>" => {}
                    None => found.push(format!("{path}: nothing instead of {pattern}")),
                }
            }
            let more = values.keys().filter(|name| exact && !patterns.contains_key(*name));
            found.extend(more.map(|name| format!("{path}.{name}: {} instead of nothing", values[name])));
        }
        (Value::Array(patterns), Value::Array(values)) => {
            if patterns.len() != values.len() {
                found.push(format!("{path}: {} items instead of {}: {value}", values.len(), patterns.len()));
            }
            for (index, (pattern, value)) in patterns.iter().zip(values).enumerate() {
                compare(pattern, value, exact, &format!("{path}[{index}]"), found);
            }
        }
        (pattern, value) if pattern == value => {}
        (pattern, value) => found.push(format!("{path}: {value} instead of {pattern}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differences(pattern: &Value, value: &Value, exact: bool) -> usize {
        let mut found = Vec::new();
        compare(pattern, value, exact, "", &mut found);
        found.len()
    }

    #[test]
    fn what_differs_is_found() {
        let value = json!({"a": [1, "x1"], "b": {"c": null}});
        assert_eq!(differences(&json!({"a": [1, "~x[0-9]"]}), &value, false), 0);
        assert_eq!(differences(&json!({"a": [1, "~x[0-9]"]}), &value, true), 1);
        assert_eq!(differences(&json!({"a": [1]}), &value, false), 1);
        assert_eq!(differences(&json!({"a": [1, "~x"]}), &value, false), 1);
        assert_eq!(differences(&json!({"b": "<absent>", "d": "<absent>"}), &value, false), 1);
        assert_eq!(differences(&json!({"b": {"c": null}, "a": "<any>"}), &value, true), 0);
    }

    #[test]
    fn forms_that_change_each_time() {
        for (pattern, text, yes) in [
            ("<rv>", "12", true),
            ("<rv>", "0", false),
            ("<time>", "2020-01-02T03:04:05Z", true),
            ("<uid>", "x", false),
            ("~a.c", "a\nc", true),
        ] {
            assert_eq!(fits(pattern, text), yes, "{pattern} {text}");
        }
    }
}
