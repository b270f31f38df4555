//! Strategic merge patches.

use serde_json::{Map, Value, json};

use super::PatchError;
use crate::schema::{Merge, MergeField, merge_field};

/// Objects are never nested deeper.
const MAX_DEPTH: usize = 100;

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_PREFIX: &str = "$deleteFromPrimitiveList/";
const ORDER_PREFIX: &str = "$setElementOrder/";

/// Applies a strategic merge patch to an object of `message` (its full name).
///
/// # Errors
/// Where a directive or the patch's shape makes no sense. `target` may be changed in part then.
pub fn strategic(message: &str, target: &mut Value, patch: &Value) -> Result<(), PatchError> {
    merge_value(Some(message), false, target, patch, "", 0)
}

/// The patch by which `apply` takes an object, last applied as `last`, to what `new` says: all of `new`, and the
/// removal of what only `last` has. What neither names belongs to somebody else and stays.
#[must_use]
pub fn three_way(message: &str, last: &Value, new: &Value) -> Value {
    let mut patch = new.clone();
    remove(Some(message), false, last, new, &mut patch);
    patch
}

fn field_of(message: Option<&str>, map: bool, name: &str) -> MergeField {
    match message {
        // The values of a map all have the map's message.
        Some(message) if map => MergeField { message: Some(message.to_owned()), ..MergeField::default() },
        Some(message) => merge_field(message, name).cloned().unwrap_or_default(),
        None => MergeField::default(),
    }
}

fn merge_value(
    message: Option<&str>,
    map: bool,
    target: &mut Value,
    patch: &Value,
    path: &str,
    depth: usize,
) -> Result<(), PatchError> {
    if depth > MAX_DEPTH {
        return Err(PatchError::Depth { limit: MAX_DEPTH });
    }
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return Ok(());
    };
    match patch.get(PATCH).map(|directive| directive.as_str().unwrap_or_default()) {
        None | Some("merge") => {}
        Some("replace") => {
            *target = Value::Object(without_directives(patch));
            return Ok(());
        }
        Some("delete") => {
            *target = Value::Object(Map::new());
            return Ok(());
        }
        Some(other) => {
            return Err(PatchError::Directive {
                path: path.to_owned(),
                directive: PATCH,
                value: other.to_owned(),
                expected: "merge, replace or delete",
            });
        }
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return Ok(()) };
    if let Some(retain) = patch.get(RETAIN_KEYS) {
        let keys: Vec<&str> = retain.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        target.retain(|name, _| keys.contains(&name.as_str()));
    }
    let ordered = patch.keys().filter_map(|name| name.strip_prefix(ORDER_PREFIX));
    let before: Map<String, Value> =
        ordered.filter_map(|list| Some((list.to_owned(), target.get(list)?.clone()))).collect();
    for (name, value) in patch {
        let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if let Some(list) = name.strip_prefix(DELETE_PREFIX) {
            delete_scalars(target, list, value);
        } else if name.starts_with('$') {
            // $patch and $retainKeys are done; orders come last, below.
        } else if value.is_null() {
            target.remove(name);
        } else {
            let field = field_of(message, map, name);
            merge_field_value(&field, target, name, value, &at, depth)?;
        }
    }
    for (name, order) in patch {
        if let Some(list) = name.strip_prefix(ORDER_PREFIX)
            && let (Some(Value::Array(items)), Value::Array(order)) = (target.get_mut(list), order)
        {
            let before = before.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            arrange(&field_of(message, map, list).merge, before, items, order);
        }
    }
    Ok(())
}

fn merge_field_value(
    field: &MergeField,
    target: &mut Map<String, Value>,
    name: &str,
    value: &Value,
    path: &str,
    depth: usize,
) -> Result<(), PatchError> {
    match (target.get_mut(name), value) {
        (Some(Value::Array(items)), Value::Array(patch)) => merge_list(field, items, patch, path, depth),
        (None, Value::Array(patch)) => {
            let mut items = Vec::new();
            merge_list(field, &mut items, patch, path, depth)?;
            target.insert(name.to_owned(), Value::Array(items));
            Ok(())
        }
        (Some(Value::Array(_)), Value::Object(_)) => {
            Err(PatchError::Shape { path: path.to_owned(), actual: "an object", expected: "a list" })
        }
        (_, Value::Object(patch)) => {
            if patch.get(PATCH).and_then(Value::as_str) == Some("delete") {
                target.remove(name);
                return Ok(());
            }
            let below = target.entry(name.to_owned()).or_insert(Value::Null);
            merge_value(field.message.as_deref(), field.map, below, value, path, depth + 1)
        }
        _ => {
            target.insert(name.to_owned(), value.clone());
            Ok(())
        }
    }
}

fn merge_list(
    field: &MergeField,
    items: &mut Vec<Value>,
    patch: &[Value],
    path: &str,
    depth: usize,
) -> Result<(), PatchError> {
    let replaces = |item: &&Value| item.get(PATCH).and_then(Value::as_str) == Some("replace");
    if patch.iter().any(|item| replaces(&item)) {
        // An item that is nothing but the directive replaces the list by the other items.
        *items = patch
            .iter()
            .filter(|item| !(replaces(item) && item.as_object().is_some_and(|item| item.len() == 1)))
            .map(|item| {
                item.as_object().map_or_else(|| item.clone(), |item| Value::Object(without_directives(item)))
            })
            .collect();
        return Ok(());
    }
    match &field.merge {
        Merge::Replace => {
            *items = patch.iter().filter(|item| item.get(PATCH).is_none()).cloned().collect();
            Ok(())
        }
        Merge::Set => {
            let before = items.clone();
            for value in patch {
                if !items.contains(value) {
                    items.push(value.clone());
                }
            }
            arrange(&field.merge, &before, items, patch);
            Ok(())
        }
        Merge::ByKey(key) => {
            let before = items.clone();
            for (i, item) in patch.iter().enumerate() {
                merge_item(field, key, items, item, &format!("{path}[{i}]"), depth)?;
            }
            arrange(&field.merge, &before, items, patch);
            Ok(())
        }
    }
}

fn merge_item(
    field: &MergeField,
    key: &str,
    items: &mut Vec<Value>,
    item: &Value,
    path: &str,
    depth: usize,
) -> Result<(), PatchError> {
    let Some(id) = item.get(key) else {
        return Err(PatchError::MergeKey {
            path: path.to_owned(),
            item: item.to_string(),
            key: key.to_owned(),
        });
    };
    let found = items.iter().position(|present| present.get(key) == Some(id));
    match (item.get(PATCH).and_then(Value::as_str), found) {
        (Some("delete"), _) => items.retain(|present| present.get(key) != Some(id)),
        (_, Some(position)) => {
            merge_value(field.message.as_deref(), false, &mut items[position], item, path, depth + 1)?;
        }
        (_, None) => {
            let mut new = Value::Object(Map::new());
            merge_value(field.message.as_deref(), false, &mut new, item, path, depth + 1)?;
            items.push(new);
        }
    }
    Ok(())
}

fn delete_scalars(target: &mut Map<String, Value>, list: &str, values: &Value) {
    if let (Some(Value::Array(items)), Value::Array(values)) = (target.get_mut(list), values) {
        items.retain(|item| !values.contains(item));
    }
}

/// Puts the items that `order` names into that order. The others keep the order that they had `before`, and stand in
/// front of a named one only where both were there and stood so: what is new comes before what only the server has.
fn arrange(merge: &Merge, before: &[Value], items: &mut Vec<Value>, order: &[Value]) {
    let place = |list: &[Value], item: &Value| match merge {
        Merge::ByKey(key) => list.iter().position(|other| other.get(key) == item.get(key)),
        _ => list.iter().position(|other| other == item),
    };
    let (mut named, others): (Vec<Value>, Vec<Value>) =
        std::mem::take(items).into_iter().partition(|item| place(order, item).is_some());
    named.sort_by_key(|item| place(order, item));
    let mut named = named.into_iter().peekable();
    for other in others {
        let stood = place(before, &other);
        let follows = |next: &Value| match (stood, place(before, next)) {
            (Some(other), Some(next)) => next < other,
            _ => true,
        };
        while let Some(next) = named.next_if(follows) {
            items.push(next);
        }
        items.push(other);
    }
    items.extend(named);
}

fn without_directives(object: &Map<String, Value>) -> Map<String, Value> {
    object
        .iter()
        .filter(|(name, _)| !name.starts_with('$'))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Adds to `patch`, which starts as a copy of `new`, the removal of what only `old` has.
fn remove(message: Option<&str>, map: bool, old: &Value, new: &Value, patch: &mut Value) {
    let (Value::Object(old), Value::Object(new), Value::Object(patch)) = (old, new, patch) else { return };
    for (name, before) in old {
        let field = field_of(message, map, name);
        let Some(after) = new.get(name).filter(|after| !after.is_null()) else {
            patch.insert(name.clone(), Value::Null);
            continue;
        };
        let below = patch.entry(name.clone()).or_insert(Value::Null);
        if let (Value::Array(before), Value::Array(after)) = (before, after) {
            if let Some(gone) = remove_items(&field, before, after, below) {
                patch.insert(format!("{DELETE_PREFIX}{name}"), gone);
            }
        } else {
            remove(field.message.as_deref(), field.map, before, after, below);
        }
    }
}

/// Lists that merge by key: items that are gone are deleted in the patch. Of lists of scalars that merge, the values
/// that are gone are returned. All other lists are replaced as a whole.
fn remove_items(field: &MergeField, before: &[Value], after: &[Value], patch: &mut Value) -> Option<Value> {
    match &field.merge {
        Merge::Replace => None,
        Merge::Set => {
            let gone: Vec<&Value> = before.iter().filter(|value| !after.contains(value)).collect();
            (!gone.is_empty()).then(|| json!(gone))
        }
        Merge::ByKey(key) => {
            let items = patch.as_array_mut()?;
            for old in before {
                let Some(id) = old.get(key) else { continue };
                match after.iter().position(|new| new.get(key) == Some(id)) {
                    Some(position) => {
                        remove(field.message.as_deref(), false, old, &after[position], &mut items[position]);
                    }
                    None => items.push(json!({PATCH: "delete", key: id})),
                }
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{strategic, three_way};

    const DEPLOYMENT: &str = "k8s.io.api.apps.v1.Deployment";
    const POD: &str = "k8s.io.api.core.v1.Pod";

    fn patched(message: &str, target: Value, patch: Value) -> Value {
        let mut value = target;
        strategic(message, &mut value, &patch).unwrap();
        value
    }

    #[test]
    fn lists_merge_by_their_key() {
        let target =
            json!({"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]}});
        let patch =
            json!({"spec": {"containers": [{"name": "b", "image": "z"}, {"name": "c", "image": "n"}]}});
        assert_eq!(
            patched(POD, target, patch),
            json!({"spec": {"containers": [
                {"name": "a", "image": "x"}, {"name": "b", "image": "z"}, {"name": "c", "image": "n"}]}})
        );
    }

    #[test]
    fn what_is_new_comes_first_and_the_rest_stays_in_order() {
        let named =
            |names: &str| -> Value { names.chars().map(|c| json!({"name": c.to_string()})).collect() };
        for (before, patch, after) in [
            ("a", "b", "ba"),
            ("ab", "bc", "abc"),
            ("abc", "ca", "bca"),
            ("abc", "xb", "xabc"),
            ("", "ba", "ba"),
        ] {
            let target = json!({"spec": {"containers": named(before)}});
            let patch = json!({"spec": {"containers": named(patch)}});
            assert_eq!(
                patched(POD, target, patch.clone())["spec"]["containers"],
                named(after),
                "{before}: {patch}"
            );
        }
        let target = json!({"spec": {"containers": named("abc")}});
        let order = json!({"spec": {"$setElementOrder/containers": named("cxa"), "containers": named("x")}});
        assert_eq!(patched(POD, target, order)["spec"]["containers"], named("bcxa"));
    }

    #[test]
    fn directives_are_obeyed() {
        let target =
            || json!({"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}]}});
        for (patch, expected) in [
            (
                json!({"spec": {"containers": [{"name": "a", "$patch": "delete"}]}}),
                json!([{"name": "b", "image": "y"}]),
            ),
            (json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "c"}]}}), json!([{"name": "c"}])),
            (
                json!({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}],
                    "containers": [{"name": "a", "image": "z"}]}}),
                json!([{"name": "b", "image": "y"}, {"name": "a", "image": "z"}]),
            ),
        ] {
            assert_eq!(patched(POD, target(), patch.clone())["spec"]["containers"], expected, "{patch}");
        }
        let finalizers = json!({"metadata": {"finalizers": ["a", "b"]}});
        let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]}});
        assert_eq!(patched(POD, finalizers, patch)["metadata"]["finalizers"], json!(["c", "b"]));
        let strategy =
            json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
        let patch = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
        assert_eq!(patched(DEPLOYMENT, strategy, patch)["spec"]["strategy"], json!({"type": "Recreate"}));
    }

    #[test]
    fn atomic_lists_and_maps_behave() {
        let target =
            json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"tolerations": [{"key": "x"}]}});
        let patch =
            json!({"metadata": {"labels": {"a": null, "c": "3"}}, "spec": {"tolerations": [{"key": "y"}]}});
        assert_eq!(
            patched(POD, target, patch),
            json!({"metadata": {"labels": {"b": "2", "c": "3"}}, "spec": {"tolerations": [{"key": "y"}]}})
        );
    }

    #[test]
    fn nonsense_is_refused_with_its_place() {
        let mut value = json!({"spec": {"containers": []}});
        let error =
            strategic(POD, &mut value, &json!({"spec": {"containers": [{"image": "x"}]}})).unwrap_err();
        assert!(error.to_string().starts_with("spec.containers[0]"), "{error}");
        let error = strategic(POD, &mut value, &json!({"spec": {"$patch": "explode"}})).unwrap_err();
        assert!(error.to_string().contains("explode"), "{error}");
    }

    #[test]
    fn apply_removes_what_it_had_and_keeps_what_is_others() {
        let last = json!({"metadata": {"labels": {"mine": "1", "old": "1"}}, "spec": {"template": {"spec": {"containers": [
            {"name": "a", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]}, {"name": "gone"}]}}}});
        let new = json!({"metadata": {"labels": {"mine": "2"}}, "spec": {"template": {"spec": {"containers": [
            {"name": "a", "env": [{"name": "X", "value": "1"}]}]}}}});
        let live = json!({"metadata": {"labels": {"mine": "1", "old": "1", "theirs": "1"}}, "spec": {"replicas": 3,
            "template": {"spec": {"containers": [{"name": "a", "env": [{"name": "X", "value": "1"},
                {"name": "Y", "value": "2"}], "imagePullPolicy": "Always"}, {"name": "gone"}, {"name": "injected"}]}}}});
        assert_eq!(
            patched(DEPLOYMENT, live, three_way(DEPLOYMENT, &last, &new)),
            json!({"metadata": {"labels": {"mine": "2", "theirs": "1"}}, "spec": {"replicas": 3,
                "template": {"spec": {"containers": [{"name": "a", "env": [{"name": "X", "value": "1"}],
                    "imagePullPolicy": "Always"}, {"name": "injected"}]}}}})
        );
    }
}
