//! Patches: RFC 7386 merge patches and Kubernetes' strategic merge patches, as pure functions of JSON values.
//!
//! What a strategic merge does to a list is said by the schema, not here: see [`crate::schema::merge_field`].

mod strategic;

use serde_json::{Map, Value};
use thiserror::Error;

pub use strategic::{strategic, three_way};

/// Why a patch cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatchError {
    /// A directive has a value that it does not know.
    #[error("{path}: unrecognized value {value} of the directive {directive}: must be {expected}")]
    Directive {
        /// Where it stands.
        path: String,
        /// The directive, such as `$patch`.
        directive: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// An item of a list that merges by a key lacks the key.
    #[error("{path}: map: {item} does not contain declared merge key: {key}")]
    MergeKey {
        /// The list.
        path: String,
        /// The item.
        item: String,
        /// The key.
        key: String,
    },
    /// The patch has another shape than the object.
    #[error("{path}: the patch has {actual} where the object has {expected}")]
    Shape {
        /// Where.
        path: String,
        /// What the patch has.
        actual: &'static str,
        /// What the object has.
        expected: &'static str,
    },
    /// The patch is nested too deeply.
    #[error("the patch is nested more than {limit} levels deep")]
    Depth {
        /// The limit.
        limit: usize,
    },
}

/// Applies an RFC 7386 merge patch.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(name);
        } else {
            merge(target.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn merge_patches_follow_the_rfc() {
        for (target, patch, expected) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": "foo"}), json!("bar"), json!("bar")),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut value = target.clone();
            super::merge(&mut value, &patch);
            assert_eq!(value, expected, "{target} + {patch}");
        }
    }
}
