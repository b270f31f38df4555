//! Whether an applied configuration has the shape of its kind.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::element::Element;
use super::tree::{Tree, children, element};
use crate::schema::go_type;
use crate::schema::shape::{Items, Type};

/// No configuration is nested deeper.
const MAX_DEPTH: usize = 100;

/// Everything that is wrong with the shape of a value, as upstream says it; `None` where nothing is.
pub(super) fn problems(value: &Value, of: &Type) -> Option<String> {
    let mut found = Problems(Vec::new());
    found.check(value, of, &mut Vec::new());
    match found.0.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(format!("errors:\n  {}", several.join("\n  "))),
    }
}

struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, path: &[Element], problem: &str) {
        let mut text = path.iter().fold(String::new(), |text, element| text + &element.to_string());
        if !text.is_empty() {
            text.push_str(": ");
        }
        self.0.push(text + problem);
    }

    fn check(&mut self, value: &Value, of: &Type, path: &mut Vec<Element>) {
        if path.len() > MAX_DEPTH {
            return self.add(path, &format!("nested more than {MAX_DEPTH} levels deep"));
        }
        // Null is the absent value, whatever is expected.
        if value.is_null() {
            return;
        }
        match of {
            Type::Any | Type::Deduced => {}
            Type::Scalar => {
                if value.is_array() || value.is_object() {
                    self.add(path, &format!("expected any scalar, got {}", received(value)));
                }
            }
            Type::Number => {
                if !value.is_number() {
                    self.add(path, &format!("expected numeric (int or float), got {}", go_type(value)));
                }
            }
            Type::String | Type::Time => {
                if !value.is_string() {
                    let text =
                        format!("expected string, got &value.valueUnstructured{{Value:{}}}", literal(value));
                    self.add(path, &text);
                }
            }
            Type::Bool => {
                if !value.is_boolean() {
                    self.add(path, &format!("expected boolean, got {}", received(value)));
                }
            }
            Type::Struct(_) | Type::Custom(_) => {
                let Some(fields) = children(&value, of) else {
                    return self.add(path, &format!("expected map, got {}", received(value)));
                };
                for entry in fields {
                    path.push(Element::Field(entry.name));
                    if entry.declared || of.shape().is_some_and(|shape| shape.rest.is_some()) {
                        self.check(entry.value, entry.of, path);
                    } else {
                        self.add(path, "field not declared in schema");
                    }
                    path.pop();
                }
            }
            Type::Map { of, .. } => {
                let Some(entries) = value.entries(of) else {
                    return self.add(path, &format!("expected map, got {}", received(value)));
                };
                for entry in entries {
                    path.push(Element::Field(entry.name));
                    self.check(entry.value, of, path);
                    path.pop();
                }
            }
            Type::List { of, items } => self.check_list(value, of, items, path),
        }
    }

    fn check_list(&mut self, value: &Value, of: &Type, items: &Items, path: &mut Vec<Element>) {
        let Some(list) = value.as_array() else {
            return self.add(path, &format!("expected list, got {}", received(value)));
        };
        let mut seen: BTreeSet<Element> = BTreeSet::new();
        for (index, item) in list.iter().enumerate() {
            let step = match items {
                Items::Atomic => Element::Index(i64::try_from(index).unwrap_or(i64::MAX)),
                _ => match element(&item, of, items) {
                    Ok(step) => step,
                    // Nothing below can be named.
                    Err(problem) => return self.add(path, &format!("element {index}: {problem}")),
                },
            };
            if !matches!(items, Items::Atomic) && !seen.insert(step.clone()) {
                self.add(path, &format!("duplicate entries for key {step}"));
            }
            path.push(step);
            self.check(item, of, path);
            path.pop();
        }
    }
}

/// The value as upstream prints one that it did not expect.
fn received(value: &Value) -> String {
    format!("&{{{}}}", plain(value))
}

/// The value as Go prints it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{name}:{}", plain(value)));
            format!("map[{}]", fields.collect::<Vec<_>>().join(" "))
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// The value as it would stand in Go's source.
fn literal(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[]interface {{}}{{{}}}", items.iter().map(literal).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let mut text = String::from("map[string]interface {}{");
            for (i, (name, value)) in fields.iter().enumerate() {
                let comma = if i == 0 { "" } else { ", " };
                // Writing to a string does not fail.
                let _ = write!(text, "{comma}{name:?}:{}", literal(value));
            }
            text + "}"
        }
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => format!("{text:?}"),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}
