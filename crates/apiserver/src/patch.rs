//! Patches: RFC 6902, RFC 7386 and Kubernetes' strategic merge, all on JSON values.

use gantry_api::meta::v1::StatusDetails;
use gantry_api::schema::json_kind;
use gantry_api::{Kind, patch};
use serde_json::Value;

use crate::go_json;
use crate::status::{ApiError, Reason};
use crate::verbs::PatchType;

/// How many operations a JSON patch may have.
const MAX_OPERATIONS: usize = 10_000;

/// A patch that was read and can be applied, several times if need be.
#[derive(Debug, Clone)]
pub struct Patch {
    form: Form,
    names_owners: bool,
}

#[derive(Debug, Clone)]
enum Form {
    Json(json_patch::Patch),
    Merge(Value),
    Strategic(Value),
}

impl Patch {
    /// Reads a patch.
    pub fn parse(patch_type: PatchType, bytes: &[u8]) -> Result<Self, ApiError> {
        let invalid = |error: serde_json::Error| {
            let why = go_json::why_not(bytes).unwrap_or_else(|| error.to_string());
            ApiError::bad_request(format!("error decoding patch: {why}"))
        };
        let value: Value = serde_json::from_slice(bytes).map_err(invalid)?;
        let form = match patch_type {
            PatchType::Json => {
                let value = shaped(value, Value::is_array, "[]handlers.jsonPatchOp")?;
                let patch: json_patch::Patch = serde_json::from_value(value).map_err(invalid)?;
                if patch.0.len() > MAX_OPERATIONS {
                    let count = patch.0.len();
                    let message = format!(
                        "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {count}"
                    );
                    return Err(ApiError::new(Reason::RequestEntityTooLarge, message));
                }
                Form::Json(patch)
            }
            PatchType::Merge => Form::Merge(shaped(value, Value::is_object, "map[string]interface {}")?),
            PatchType::StrategicMerge => {
                Form::Strategic(shaped(value, Value::is_object, "map[string]interface {}")?)
            }
        };
        // A name may be written in escapes.
        let names = |text: &str| text.contains("managedFields") || text.contains("\\u");
        let names_owners = std::str::from_utf8(bytes).is_ok_and(names);
        Ok(Self { form, names_owners })
    }

    /// Whether it may be about `metadata.managedFields`, which are most of what some objects have. Few patches are.
    pub fn names_owners(&self) -> bool {
        self.names_owners
    }

    /// The names of the fields at the top of an object that it may look at or change; `None` where that is not plain.
    pub fn tops(&self) -> Option<Vec<&str>> {
        match &self.form {
            Form::Merge(document) | Form::Strategic(document) => {
                let names = document.as_object()?.keys().map(String::as_str);
                // A directive is about the object itself.
                names.map(|name| (!name.starts_with('$')).then_some(name)).collect()
            }
            Form::Json(operations) => {
                let pointers = operations.iter().flat_map(pointers);
                pointers.map(top).collect()
            }
        }
    }

    /// Applies it to an object of `kind`.
    pub fn apply(&self, value: Value, kind: &Kind) -> Result<Value, ApiError> {
        self.apply_to_message(value, kind.message)
    }

    /// Applies it to a message of the schema, by its full name.
    pub fn apply_to_message(&self, mut value: Value, message: &str) -> Result<Value, ApiError> {
        match &self.form {
            Form::Json(operations) => {
                operate(&mut value, operations)?;
                Ok(value)
            }
            Form::Merge(document) => {
                patch::merge(&mut value, document);
                Ok(value)
            }
            Form::Strategic(document) => {
                patch::strategic(message, &mut value, document).map_err(|error| unprocessable(&error))?;
                Ok(value)
            }
        }
    }
}

/// Carries out operations, one after the other.
fn operate(value: &mut Value, operations: &[json_patch::PatchOperation]) -> Result<(), ApiError> {
    for operation in operations {
        // What is not there is as good as null: so clients make sure that nobody has made it before them.
        if let json_patch::PatchOperation::Test(test) = operation
            && test.value.is_null()
            && is_open(value, test.path.as_str())
        {
            continue;
        }
        json_patch::patch(value, std::slice::from_ref(operation)).map_err(|_| not_applicable())?;
    }
    Ok(())
}

/// Whether nothing is at a pointer, in an object that is there.
fn is_open(value: &Value, pointer: &str) -> bool {
    let parent = pointer.rsplit_once('/').and_then(|(parent, _)| value.pointer(parent));
    parent.is_some_and(Value::is_object) && value.pointer(pointer).is_none()
}

/// Where an operation looks, and where it writes.
fn pointers(operation: &json_patch::PatchOperation) -> impl Iterator<Item = &str> {
    use json_patch::PatchOperation::{Add, Copy, Move, Remove, Replace, Test};
    let (path, from) = match operation {
        Add(add) => (&add.path, None),
        Remove(remove) => (&remove.path, None),
        Replace(replace) => (&replace.path, None),
        Test(test) => (&test.path, None),
        Move(moved) => (&moved.path, Some(&moved.from)),
        Copy(copied) => (&copied.path, Some(&copied.from)),
    };
    [Some(path), from].into_iter().flatten().map(|pointer| pointer.as_str())
}

/// The first step of a pointer; `None` for the whole document, and for a step with escapes.
fn top(pointer: &str) -> Option<&str> {
    let top = pointer.strip_prefix('/')?.split('/').next()?;
    (!top.contains('~')).then_some(top)
}

/// The value, if it has the shape of Go's type.
fn shaped(value: Value, has_shape: impl Fn(&Value) -> bool, go_type: &str) -> Result<Value, ApiError> {
    if has_shape(&value) {
        return Ok(value);
    }
    let kind = json_kind(&value);
    let message =
        format!("error decoding patch: json: cannot unmarshal {kind} into Go value of type {go_type}");
    Err(ApiError::bad_request(message))
}

/// The operations are well-formed, but not for this object. Upstream does not say why, and is about nothing.
fn not_applicable() -> ApiError {
    ApiError::new(Reason::Invalid, "the server rejected our request due to an error in our request")
        .with_details(StatusDetails::default())
}

/// The patch is well-formed, but not for this object.
fn unprocessable(error: &dyn std::fmt::Display) -> ApiError {
    ApiError::new(
        Reason::Invalid,
        format!("the server rejected our request due to an error in our request: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tops(patch_type: PatchType, patch: &str) -> Option<Vec<String>> {
        let patch = Patch::parse(patch_type, patch.as_bytes()).unwrap();
        patch.tops().map(|tops| tops.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn what_is_missing_is_null_to_a_test() {
        let make = r#"[{"op": "test", "path": "/metadata/finalizers", "value": null},
            {"op": "add", "path": "/metadata/finalizers", "value": ["a"]}]"#;
        let make = Patch::parse(PatchType::Json, make.as_bytes()).unwrap();
        let made = make.apply_to_message(json!({"metadata": {}}), "").unwrap();
        assert_eq!(made, json!({"metadata": {"finalizers": ["a"]}}));
        for other in [json!({"metadata": {"finalizers": ["b"]}}), json!({})] {
            let error = make.apply_to_message(other, "").unwrap_err().to_string();
            assert_eq!(error, "the server rejected our request due to an error in our request");
        }
    }

    #[test]
    fn a_merge_names_its_own_keys() {
        for form in [PatchType::Merge, PatchType::StrategicMerge] {
            let named = tops(form, r#"{"metadata": {"labels": null}, "status": {}}"#).unwrap();
            assert_eq!(named, ["metadata", "status"]);
            assert_eq!(tops(form, "{}").unwrap(), [""; 0]);
            assert_eq!(tops(form, r#"{"$patch": "replace", "spec": {}}"#), None);
        }
    }

    #[test]
    fn operations_name_what_they_read_and_write() {
        let named = tops(
            PatchType::Json,
            r#"[{"op": "test", "path": "/kind", "value": "Pod"}, {"op": "move", "from": "/spec/a", "path": "/status/b"}]"#,
        );
        assert_eq!(named.unwrap(), ["kind", "status", "spec"]);
        assert_eq!(tops(PatchType::Json, r#"[{"op": "replace", "path": "", "value": {}}]"#), None);
        assert_eq!(tops(PatchType::Json, r#"[{"op": "remove", "path": "/a~1b"}]"#), None);
    }
}
