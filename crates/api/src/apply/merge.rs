//! Merging a configuration into an object, and taking fields out of it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::element::Element;
use super::set::Set;
use super::steps::Steps;
use super::tree::element;
use crate::schema::shape::{Items, Type};

/// The object with everything that the configuration says.
pub(super) fn merge(live: &Value, config: &Value, of: &Type) -> Value {
    merged(Some(live), Some(config), of).unwrap_or(Value::Null)
}

fn merged(live: Option<&Value>, config: Option<&Value>, of: &Type) -> Option<Value> {
    let leaf = || config.or(live).cloned();
    match of {
        Type::Map { atomic: true, .. } | Type::List { items: Items::Atomic, .. } => leaf(),
        _ if of.shape().is_some_and(|shape| shape.atomic) => leaf(),
        Type::Deduced if config.or(live).is_some_and(|value| !value.is_object()) => leaf(),
        Type::Struct(_) | Type::Custom(_) | Type::Map { .. } | Type::Deduced => {
            let (old, new) = (live.and_then(Value::as_object), config.and_then(Value::as_object));
            if old.is_none_or(Map::is_empty) && new.is_none_or(Map::is_empty) {
                return leaf();
            }
            let names = old.into_iter().flat_map(Map::keys).chain(new.into_iter().flat_map(Map::keys));
            let mut out = Map::new();
            for name in names {
                if out.contains_key(name) {
                    continue;
                }
                let (old, new) = (old.and_then(|old| old.get(name)), new.and_then(|new| new.get(name)));
                if let Some(value) = merged(old, new, of.below(name).unwrap_or(&ANY)) {
                    out.insert(name.clone(), value);
                }
            }
            (!out.is_empty()).then_some(Value::Object(out))
        }
        Type::List { of, items } => {
            let list = |value: Option<&Value>| {
                value.and_then(Value::as_array).filter(|list| !list.is_empty()).cloned()
            };
            let (old, new) = (list(live).unwrap_or_default(), list(config).unwrap_or_default());
            if old.is_empty() && new.is_empty() {
                return leaf();
            }
            let out = merged_items(&old, &new, of, items);
            (!out.is_empty()).then_some(Value::Array(out))
        }
        _ => leaf(),
    }
}

static ANY: Type = Type::Any;

/// The items of a list with what tells them apart.
struct List<'a> {
    items: Vec<&'a Value>,
    steps: Steps,
}

impl<'a> List<'a> {
    fn new(list: &'a [Value], of: &Type, items: &Items) -> Self {
        let known = list.iter().filter_map(|item| Some((item, element(&item, of, items).ok()?)));
        let (items, steps) = known.unzip();
        Self { items, steps: Steps::new(steps) }
    }

    fn get(&self, at: usize) -> Option<(&Element, &'a Value)> {
        Some((self.steps.get(at)?, self.items.get(at)?))
    }

    /// The only item of a step; what is there twice cannot be merged.
    fn only(&self, step: &Element) -> Option<&'a Value> {
        let [at] = self.steps.places(step) else { return None };
        self.items.get(*at).copied()
    }
}

/// Items of both lists: shared ones in the configuration's order, and the object's own ones where they were.
fn merged_items(live: &[Value], config: &[Value], of: &Type, items: &Items) -> Vec<Value> {
    let (old, new) = (List::new(live, of, items), List::new(config, of, items));
    let mut shared = new.steps.iter().filter(|step| old.steps.has(step));
    let mut next_shared = shared.next();
    let mut done: BTreeSet<&Element> = BTreeSet::new();
    let mut out = Vec::with_capacity(old.steps.len().max(new.steps.len()));
    let (mut at_old, mut at_new) = (0, 0);
    while at_old < old.steps.len() || at_new < new.steps.len() {
        if let (Some((step, _)), Some((wanted, item))) = (old.get(at_old), new.get(at_new)) {
            if step == wanted {
                done.insert(step);
                out.extend(merged(old.only(step), Some(item), of));
                (at_old, at_new, next_shared) = (at_old + 1, at_new + 1, shared.next());
                continue;
            }
            if new.steps.has(step) && next_shared.is_some_and(|shared| shared != step) {
                // Its turn comes where the configuration has it.
                at_old += 1;
                continue;
            }
        }
        if let Some((step, item)) = old.get(at_old) {
            if !new.steps.has(step) {
                out.extend(merged(Some(item), None, of));
                at_old += 1;
                continue;
            }
            if done.contains(step) {
                at_old += 1;
            }
        }
        if let Some((step, item)) = new.get(at_new) {
            done.insert(step);
            out.extend(merged(old.only(step), Some(item), of));
            at_new += 1;
            if next_shared == Some(step) {
                next_shared = shared.next();
            }
        }
    }
    out
}

/// The value without the fields of a set; null where nothing is left.
pub(super) fn remove(value: &Value, set: &Set, of: &Type) -> Value {
    match (of, value) {
        _ if of.shape().is_some_and(|shape| shape.atomic) => Value::Null,
        (Type::Map { atomic: true, .. } | Type::List { items: Items::Atomic, .. }, _) => Value::Null,
        (Type::Struct(_) | Type::Custom(_) | Type::Map { .. } | Type::Deduced, Value::Object(fields)) => {
            let mut out = Map::new();
            for (name, value) in fields {
                let step = Element::Field(name.clone().into());
                if set.has_member(&step) {
                    continue;
                }
                let value = match set.below(&step) {
                    Some(below) => remove(value, below, of.below(name).unwrap_or(&ANY)),
                    None => value.clone(),
                };
                out.insert(name.clone(), value);
            }
            if out.is_empty() { Value::Null } else { Value::Object(out) }
        }
        (Type::List { of, items }, Value::Array(list)) => {
            let mut out = Vec::with_capacity(list.len());
            for item in list {
                let Ok(step) = element(&item, of, items) else {
                    out.push(item.clone());
                    continue;
                };
                if set.has_member(&step) {
                    continue;
                }
                out.push(match set.below(&step) {
                    Some(below) => remove(item, below, of),
                    None => item.clone(),
                });
            }
            if out.is_empty() { Value::Null } else { Value::Array(out) }
        }
        (Type::Struct(_) | Type::Custom(_) | Type::Map { .. } | Type::List { .. }, _) => Value::Null,
        _ => value.clone(),
    }
}

/// The set with the fields of structs on the way to its paths, which nobody can own apart from what is below them.
pub(super) fn with_fields_on_the_way(set: &Set, of: &Type) -> Set {
    let mut out = Set::new();
    for member in set.members() {
        out.insert_member(member.clone());
    }
    for (step, below) in set.children() {
        let below_type = match (step, of) {
            (Element::Field(name), _) => {
                if of.shape().is_some_and(|shape| shape.field(name).is_some()) {
                    out.insert_member(step.clone());
                }
                of.below(name).unwrap_or(&ANY)
            }
            (Element::Key(_), Type::List { of, .. }) => of,
            _ => &ANY,
        };
        out.insert_child(step.clone(), with_fields_on_the_way(below, below_type));
    }
    out
}

/// Adds what every object of upstream has, if need be empty: what is there before anybody adds it.
pub(super) fn complete(value: &mut Value, of: &Type) {
    match (of, value) {
        (Type::Struct(_) | Type::Custom(_), Value::Object(fields)) => {
            for field in of.shape().into_iter().flat_map(|shape| &shape.fields) {
                match fields.get_mut(field.name.as_ref()) {
                    Some(value) => complete(value, &field.of),
                    None if field.always => {
                        let mut value = match &field.of {
                            Type::Struct(_) => Value::Object(Map::new()),
                            Type::Number => 0.into(),
                            Type::Bool => false.into(),
                            Type::String => "".into(),
                            _ => Value::Null,
                        };
                        complete(&mut value, &field.of);
                        fields.insert(field.name.to_string(), value);
                    }
                    None => {}
                }
            }
        }
        (Type::Map { of, .. }, Value::Object(entries)) => {
            entries.values_mut().for_each(|value| complete(value, of));
        }
        (Type::List { of, .. }, Value::Array(items)) => items.iter_mut().for_each(|item| complete(item, of)),
        _ => {}
    }
}
