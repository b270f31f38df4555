//! What Go says of a value of the wrong type, as clients of Kubernetes know it.

use super::go_time::not_a_time;
use super::layout::{Field, Form, Layout, Repeat, Simple};
use crate::field::Error;

/// Where a value stands in Go's structs.
struct Place {
    /// The innermost struct; empty at the top.
    owner: String,
    /// The fields that lead there, without keys and indices.
    fields: Vec<String>,
    /// The field, or an item of it where the path leads into it.
    field: Field,
}

/// What Go says of the value that an error of [`super::check`] is about, in an object of the named message.
#[must_use]
pub fn cannot_unmarshal(message: &str, error: &Error) -> String {
    let layout = Layout::get();
    let Some(place) = place(layout, message, error.path.as_str()) else {
        let name = go_name(message);
        return format!(
            "json: cannot unmarshal {} into Go value of type {name}",
            shown_kind(&error.value, Form::Any)
        );
    };
    let Place { owner, fields, field } = place;
    let one = field.repeat == Repeat::One;
    if one && let Some(text) = own_words(field.form, &error.value) {
        return text;
    }
    let kind = shown_kind(&error.value, if one { field.form } else { Form::Any });
    format!(
        "json: cannot unmarshal {kind} into Go struct field {owner}.{} of type {}",
        fields.join("."),
        go_type(layout, field)
    )
}

/// Follows a path from a message on.
fn place(layout: &'static Layout, message: &str, path: &str) -> Option<Place> {
    let mut at = layout.by_name(message)?;
    let mut fields = Vec::new();
    let mut rest = path;
    loop {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let name = &rest[..end];
        let mut field = layout.field(at, name)?;
        let owner = short(&layout.name(at)).to_owned();
        fields.push(name.to_owned());
        rest = &rest[end..];
        // An item of a list, or a value of a map whose keys may have dots.
        if field.repeat == Repeat::List && rest.starts_with('[') {
            rest = rest.find(']').map_or("", |end| &rest[end + 1..]);
            field.repeat = Repeat::One;
        } else if field.repeat == Repeat::Map && !rest.is_empty() {
            let nested = matches!(field.form, Form::Message(_));
            rest = if nested { rest[1..].find('.').map_or("", |end| &rest[end + 1..]) } else { "" };
            field.repeat = Repeat::One;
        }
        match field.form {
            Form::Message(next) | Form::SchemaOr(_, next) if rest.starts_with('.') => {
                at = next;
                rest = &rest[1..];
            }
            _ => return rest.is_empty().then_some(Place { owner, fields, field }),
        }
    }
}

/// What a type says by itself that reads its own text.
fn own_words(form: Form, value: &serde_json::Value) -> Option<String> {
    match (form, value.as_str()) {
        (Form::Base64, Some(text)) if !is_composite(text) => {
            let wrong = |byte: u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
            let at = text.bytes().position(wrong).unwrap_or(text.len() / 4 * 4);
            Some(format!("illegal base64 data at input byte {at}"))
        }
        (Form::Time, Some(text)) if !is_composite(text) => Some(not_a_time(text)),
        (Form::Quantity, text) => Some(quantity(text.unwrap_or_default()).to_owned()),
        _ => None,
    }
}

/// What is wrong with a quantity.
fn quantity(text: &str) -> &'static str {
    let rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    let suffix = rest.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
    let exponent = suffix.trim_start_matches(|letter: char| "eEinumkKMGTP".contains(letter));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let has_form = suffix.len() < rest.len() && exponent.bytes().all(|byte| byte.is_ascii_digit());
    if has_form {
        "unable to parse quantity's suffix"
    } else {
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    }
}

/// What stands for a list or an object in an error.
fn is_composite(text: &str) -> bool {
    matches!(text, "[...]" | "{...}")
}

/// The kind of a value. A number that is no integer, or too large a one, is shown where an integer is wanted.
fn shown_kind(value: &serde_json::Value, wanted: Form) -> String {
    use serde_json::Value;
    match value {
        Value::Number(number) if matches!(wanted, Form::Int32 | Form::Int64 | Form::IntOrString) => {
            format!("number {number}")
        }
        Value::String(text) if text == "[...]" => "array".to_owned(),
        Value::String(text) if text == "{...}" => "object".to_owned(),
        other => super::json_kind(other).to_owned(),
    }
}

fn go_type(layout: &Layout, field: Field) -> String {
    let of = match field.form {
        Form::String | Form::Time | Form::Duration => "string".to_owned(),
        Form::Bool => "bool".to_owned(),
        Form::Int32 | Form::IntOrString => "int32".to_owned(),
        Form::Int64 => "int64".to_owned(),
        Form::Number => "float64".to_owned(),
        Form::Base64 => "[]uint8".to_owned(),
        Form::Quantity => "resource.Quantity".to_owned(),
        Form::Any => "interface {}".to_owned(),
        Form::Message(message) => go_name(&layout.name(message)),
        Form::SchemaOr(Simple::Bool, _) => "v1.JSONSchemaPropsOrBool".to_owned(),
        Form::SchemaOr(Simple::Schemas, _) => "v1.JSONSchemaPropsOrArray".to_owned(),
        Form::SchemaOr(Simple::Strings, _) => "v1.JSONSchemaPropsOrStringArray".to_owned(),
    };
    match (field.repeat, field.form) {
        (Repeat::One, _) => of,
        (Repeat::Map, Form::Quantity) => "v1.ResourceList".to_owned(),
        (Repeat::List, _) => format!("[]{of}"),
        (Repeat::Map, _) => format!("map[string]{of}"),
    }
}

fn short(message: &str) -> &str {
    message.rsplit('.').next().unwrap_or(message)
}

/// `k8s.io.api.core.v1.Container` as `v1.Container`.
fn go_name(message: &str) -> String {
    let mut parts = message.rsplit('.');
    let (name, package) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    format!("{package}.{name}")
}

#[cfg(test)]
mod tests {
    use super::cannot_unmarshal;
    use crate::schema::check;

    fn said(message: &str, text: &str) -> String {
        let report = check::json(message, text.as_bytes()).unwrap();
        cannot_unmarshal(message, &report.types[0])
    }

    #[test]
    fn values_of_the_wrong_type() {
        let deployment = |text| said("k8s.io.api.apps.v1.Deployment", text);
        for (text, wanted) in [
            (
                r#"{"spec":{"replicas":"3"}}"#,
                "string into Go struct field DeploymentSpec.spec.replicas of type int32",
            ),
            (
                r#"{"spec":{"replicas":1.5}}"#,
                "number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
            ),
            (
                r#"{"metadata":{"name":5}}"#,
                "number into Go struct field ObjectMeta.metadata.name of type string",
            ),
            (
                r#"{"metadata":{"labels":{"a.b/c":true}}}"#,
                "bool into Go struct field ObjectMeta.metadata.labels of type string",
            ),
            (
                r#"{"metadata":{"labels":[]}}"#,
                "array into Go struct field ObjectMeta.metadata.labels of type map[string]string",
            ),
            (r#"{"spec":[]}"#, "array into Go struct field Deployment.spec of type v1.DeploymentSpec"),
            (
                r#"{"spec":{"template":{"spec":{"containers":{}}}}}"#,
                "object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container",
            ),
            (
                r#"{"spec":{"template":{"spec":{"containers":[{"env":[{"name":1}]}]}}}}"#,
                "number into Go struct field EnvVar.spec.template.spec.containers.env.name of type string",
            ),
        ] {
            assert_eq!(deployment(text), format!("json: cannot unmarshal {wanted}"), "{text}");
        }
    }

    #[test]
    fn types_that_read_their_own_text() {
        let pod = |quantity: &str| {
            let text =
                format!(r#"{{"spec":{{"containers":[{{"resources":{{"limits":{{"cpu":{quantity}}}}}}}]}}}}"#);
            said("k8s.io.api.core.v1.Pod", &text)
        };
        let regex =
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
        assert_eq!(pod("\"lots\""), regex);
        assert_eq!(pod("\"1nn\""), "unable to parse quantity's suffix");
        assert_eq!(
            said("k8s.io.api.core.v1.Secret", r#"{"data":{"a":"$$"}}"#),
            "illegal base64 data at input byte 0"
        );
        assert_eq!(
            said("k8s.io.api.core.v1.Pod", r#"{"metadata":{"creationTimestamp":"now"}}"#),
            r#"parsing time "now" as "2006-01-02T15:04:05Z07:00": cannot parse "now" as "2006""#
        );
        assert_eq!(
            said("k8s.io.api.core.v1.ConfigMap", r#"{"data":5}"#),
            "json: cannot unmarshal number into Go struct field ConfigMap.data of type map[string]string"
        );
    }
}
