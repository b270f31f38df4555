//! Mutations of admission policies: an apply configuration is merged into an object, and nobody owns what comes of it.

use serde_json::Value;

use super::configuration::type_of;
use super::merge::merge;
use super::validate;
use crate::Kind;
use crate::schema::shape::{Items, Shapes, Type};

/// The object with everything that the configuration says. `message` names what the object is where that is none of the
/// kind, such as a Scale.
///
/// # Errors
/// Where the configuration does not fit the schema, or says a part of what can only be said as a whole.
pub fn mutate(
    kind: &Kind,
    message: Option<&str>,
    object: &Value,
    configuration: &Value,
) -> Result<Value, String> {
    let definition = kind.definition();
    let of = match message {
        Some(message) => Shapes::get().by_name(message),
        None => type_of(kind, definition.as_deref()),
    };
    let Some(of) = of else {
        return Err(format!("no schema of {}", message.unwrap_or(kind.message)));
    };
    if let Some(problems) = validate::problems(configuration, of) {
        return Err(format!("failed to convert patch object to typed object: {problems}"));
    }
    let mut wholes = Vec::new();
    find_wholes(of, configuration, "", &mut wholes);
    if !wholes.is_empty() {
        return Err(format!(
            "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: {}",
            wholes.join(", ")
        ));
    }
    Ok(merge(object, configuration, of))
}

/// The places of all that can only be replaced as a whole.
fn find_wholes(of: &Type, value: &Value, path: &str, wholes: &mut Vec<String>) {
    match (of, value) {
        (Type::Map { atomic: true, .. }, Value::Object(_)) => wholes.push(path.to_owned()),
        (Type::Struct(_) | Type::Custom(_), Value::Object(fields)) => {
            let Some(shape) = of.shape() else { return };
            if shape.atomic {
                wholes.push(path.to_owned());
            }
            for (name, value) in fields {
                if let Some(field) = shape.field(name) {
                    find_wholes(&field.of, value, &format!("{path}.{name}"), wholes);
                }
            }
        }
        (Type::List { of, items }, Value::Array(list)) => {
            if matches!(items, Items::Atomic) {
                wholes.push(path.to_owned());
            }
            for (index, item) in list.iter().enumerate() {
                find_wholes(of, item, &format!("{path}[{index}]"), wholes);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Resource as _;
    use crate::core::v1::Pod;

    fn pod(configuration: Value) -> Result<Value, String> {
        let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"a": "b"}}, "spec": {
            "containers": [{"name": "one", "image": "i"}, {"name": "two", "image": "j"}],
            "tolerations": [{"key": "k"}],
        }});
        mutate(Pod::kind(), None, &object, &configuration)
    }

    #[test]
    fn a_configuration_is_merged_by_the_schema() {
        let merged =
            pod(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"c": "d"}}, "spec": {
            "containers": [{"name": "two", "stdin": true}, {"name": "three"}]}}))
            .unwrap();
        assert_eq!(merged["metadata"]["labels"], json!({"a": "b", "c": "d"}));
        assert_eq!(
            merged["spec"]["containers"],
            json!([{"name": "one", "image": "i"}, {"name": "two", "image": "j", "stdin": true}, {"name": "three"}])
        );
    }

    #[test]
    fn what_is_replaced_as_a_whole_is_refused() {
        let refused = pod(json!({"spec": {"tolerations": [{"key": "l"}]}})).unwrap_err();
        let expected =
            "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.tolerations";
        assert_eq!(refused, expected);
        let refused = pod(json!({"spec": {"none": 1}})).unwrap_err();
        assert_eq!(
            refused,
            "failed to convert patch object to typed object: .spec.none: field not declared in schema"
        );
    }
}
