//! Strict validation of JSON against the schema: fields that do not exist, fields that stand twice, and values of the
//! wrong type, all of them at once and each with its path.
//!
//! It works on text, as a parsed value has already lost the duplicates. YAML is turned into JSON text first, by
//! [`crate::yaml::to_json`], which keeps them.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::layout::{Field, Form, Layout, Repeat, Simple};
use crate::field::{self, Path};
use crate::scalars::{Duration, Quantity};

/// No more problems than this are reported.
const MAX_PROBLEMS: usize = 100;

/// What is wrong with a JSON object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Unknown and duplicate fields, such as `unknown field "spec.replica"`: what strictness decides about.
    pub strict: Vec<String>,
    /// Values of the wrong type, which no reader can make sense of.
    pub types: field::ErrorList,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.strict.is_empty() && self.types.is_empty()
    }
}

/// Checks the JSON of a message, given by its full name. `kind` and `apiVersion` are known fields at the top. The error
/// is that of a text that is no JSON; a message that the schema does not know has no fields to check.
pub fn json(message: &str, text: &[u8]) -> Result<Report, serde_json::Error> {
    walk(message, Path::default(), true, text)
}

/// Checks the JSON of a message that stands at a path of an object.
pub fn json_at(message: &str, path: Path, text: &[u8]) -> Result<Report, serde_json::Error> {
    walk(message, path, false, text)
}

fn walk(message: &str, path: Path, top: bool, text: &[u8]) -> Result<Report, serde_json::Error> {
    let layout = Layout::get();
    let mut report = Report::default();
    let form = layout.by_name(message).map_or(Form::Any, Form::Message);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let check = Check { layout, form, path, top, report: &mut report };
    check.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(report)
}

/// Checks one value: a value of a list or map, or the only one of a field.
struct Check<'a> {
    layout: &'static Layout,
    form: Form,
    path: Path,
    top: bool,
    report: &'a mut Report,
}

/// Checks the value of a field: its list or map, or its only value.
struct CheckField<'a> {
    layout: &'static Layout,
    field: Field,
    path: Path,
    report: &'a mut Report,
}

impl Form {
    fn expected(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Bool => "a boolean",
            Self::Int32 => "an integer (int32)",
            Self::Int64 => "an integer (int64)",
            Self::Number => "a number",
            Self::Base64 => "a base64-encoded string",
            Self::Quantity => "a quantity (a string like \"500m\" or \"1Gi\", or a number)",
            Self::IntOrString => "an integer or a string",
            Self::Time => "a time (RFC 3339)",
            Self::Duration => "a duration (like \"1h30m\")",
            Self::Any => "any value",
            Self::Message(_) => "an object",
            Self::SchemaOr(Simple::Bool, _) => "a schema or a boolean",
            Self::SchemaOr(Simple::Schemas, _) => "a schema or a list of schemas",
            Self::SchemaOr(Simple::Strings, _) => "a schema or a list of strings",
        }
    }
}

impl Report {
    fn wrong_type(&mut self, path: &Path, value: serde_json::Value, expected: &str) {
        if self.types.len() < MAX_PROBLEMS {
            let detail = format!("must be {expected}");
            self.types.push(field::Error {
                r#type: field::ErrorType::TypeInvalid,
                path: path.clone(),
                value,
                detail,
            });
        }
    }

    fn strict(&mut self, what: &str, path: &Path) {
        if self.strict.len() < MAX_PROBLEMS {
            self.strict.push(format!("{what} field \"{path}\""));
        }
    }
}

impl Check<'_> {
    fn wrong(&mut self, value: impl Into<serde_json::Value>) {
        self.report.wrong_type(&self.path, value.into(), self.form.expected());
    }

    fn integer(&mut self, value: i128, json: serde_json::Value) {
        let fits = match self.form {
            Form::Int32 | Form::IntOrString => i32::try_from(value).is_ok(),
            Form::Int64 => i64::try_from(value).is_ok(),
            Form::Number | Form::Quantity | Form::Any => true,
            _ => false,
        };
        if !fits {
            self.wrong(json);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Check<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.form == Form::Any {
            return deserializer.deserialize_ignored_any(IgnoredAny).map(|_| ());
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Check<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.form.expected())
    }

    fn visit_bool<E>(mut self, value: bool) -> Result<(), E> {
        if !matches!(self.form, Form::Bool | Form::SchemaOr(Simple::Bool, _)) {
            self.wrong(value);
        }
        Ok(())
    }

    fn visit_i64<E>(mut self, value: i64) -> Result<(), E> {
        self.integer(value.into(), value.into());
        Ok(())
    }

    fn visit_u64<E>(mut self, value: u64) -> Result<(), E> {
        self.integer(value.into(), value.into());
        Ok(())
    }

    fn visit_f64<E>(mut self, value: f64) -> Result<(), E> {
        if !matches!(self.form, Form::Number | Form::Quantity) {
            self.wrong(value);
        }
        Ok(())
    }

    fn visit_str<E>(mut self, value: &str) -> Result<(), E> {
        let fits = match self.form {
            Form::String | Form::IntOrString => true,
            Form::Quantity => match value.parse::<Quantity>() {
                Ok(_) => true,
                Err(_) => {
                    // Upstream's text: the value is no quantity, though its type is right.
                    self.report.wrong_type(
                        &self.path,
                        value.into(),
                        "a quantity: quantities must match the regular expression \
                         '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
                    );
                    return Ok(());
                }
            },
            Form::Base64 => crate::json::base64::decode(value).is_ok(),
            Form::Time => value.parse::<jiff::Timestamp>().is_ok(),
            Form::Duration => value.parse::<Duration>().is_ok(),
            _ => false,
        };
        if !fits {
            self.wrong(value);
        }
        Ok(())
    }

    // null is the absent value everywhere, save that there is no absent object.
    fn visit_unit<E>(mut self) -> Result<(), E> {
        if self.top {
            self.wrong(serde_json::Value::Null);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let form = match self.form {
            Form::SchemaOr(Simple::Schemas, schema) => Form::Message(schema),
            Form::SchemaOr(Simple::Strings, _) => Form::String,
            _ => {
                self.wrong("[...]");
                while items.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(());
            }
        };
        let field = Field { form, repeat: Repeat::List };
        CheckField { layout: self.layout, field, path: self.path, report: self.report }.visit_seq(items)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        let (Form::Message(message) | Form::SchemaOr(_, message)) = self.form else {
            self.wrong("{...}");
            while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        };
        let mut seen = HashSet::new();
        while let Some(name) = entries.next_key::<String>()? {
            let path = self.path.child(&name);
            let top_level = self.top && matches!(name.as_str(), "kind" | "apiVersion");
            let field = if top_level {
                Some(Field { form: Form::String, repeat: Repeat::One })
            } else {
                self.layout.field(message, &name)
            };
            let duplicate = seen.contains(&name);
            match field {
                None => {
                    self.report.strict("unknown", &path);
                    entries.next_value::<IgnoredAny>()?;
                }
                Some(field) => {
                    if duplicate {
                        self.report.strict("duplicate", &path);
                    }
                    let check = CheckField { layout: self.layout, field, path, report: self.report };
                    entries.next_value_seed(check)?;
                }
            }
            seen.insert(name);
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for CheckField<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.field.repeat == Repeat::One {
            let Self { layout, field, path, report } = self;
            return Check { layout, form: field.form, path, top: false, report }.deserialize(deserializer);
        }
        deserializer.deserialize_any(self)
    }
}

impl CheckField<'_> {
    fn wrong(&mut self, value: impl Into<serde_json::Value>) {
        let of = self.field.form.expected();
        let expected = match self.field.repeat {
            Repeat::Map => format!("an object, each value {of}"),
            _ => format!("a list, each item {of}"),
        };
        self.report.wrong_type(&self.path, value.into(), &expected);
    }

    fn item(&mut self, path: Path) -> Check<'_> {
        Check { layout: self.layout, form: self.field.form, path, top: false, report: self.report }
    }
}

impl<'de> Visitor<'de> for CheckField<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list or an object")
    }

    fn visit_bool<E>(mut self, value: bool) -> Result<(), E> {
        self.wrong(value);
        Ok(())
    }

    fn visit_i64<E>(mut self, value: i64) -> Result<(), E> {
        self.wrong(value);
        Ok(())
    }

    fn visit_u64<E>(mut self, value: u64) -> Result<(), E> {
        self.wrong(value);
        Ok(())
    }

    fn visit_f64<E>(mut self, value: f64) -> Result<(), E> {
        self.wrong(value);
        Ok(())
    }

    fn visit_str<E>(mut self, value: &str) -> Result<(), E> {
        self.wrong(value);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        if self.field.repeat != Repeat::List {
            self.wrong("[...]");
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        for index in 0.. {
            let path = self.path.index(index);
            if items.next_element_seed(self.item(path))?.is_none() {
                return Ok(());
            }
        }
        Err(A::Error::custom("a list without an end"))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        if self.field.repeat != Repeat::Map {
            self.wrong("{...}");
            while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            let path = self.path.child(&key);
            if seen.contains(&key) {
                self.report.strict("duplicate", &path);
            }
            entries.next_value_seed(self.item(path))?;
            seen.insert(key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPLOYMENT: &str = "k8s.io.api.apps.v1.Deployment";

    fn strict(text: &str) -> Vec<String> {
        json(DEPLOYMENT, text.as_bytes()).unwrap().strict
    }

    fn types(message: &str, text: &str) -> Vec<String> {
        json(message, text.as_bytes()).unwrap().types.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn unknown_and_duplicate_fields_are_all_named_with_their_paths() {
        let text = r#"{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"a","labels":{"x":"1","x":"2"}},
            "spec":{"replica":3,"replicas":1,"replicas":2,
                    "template":{"spec":{"containers":[{"name":"a"},{"name":"b","img":"x"}]}}},"extra":{"a":[1]}}"#;
        assert_eq!(
            strict(text),
            [
                r#"duplicate field "metadata.labels.x""#,
                r#"unknown field "spec.replica""#,
                r#"duplicate field "spec.replicas""#,
                r#"unknown field "spec.template.spec.containers[1].img""#,
                r#"unknown field "extra""#,
            ]
        );
    }

    #[test]
    fn inlined_messages_and_embedded_kinds_are_known() {
        let probe = r#"{"spec":{"containers":[{"name":"a","livenessProbe":{"httpGet":{"port":80}}}]}}"#;
        assert!(json("k8s.io.api.core.v1.Pod", probe.as_bytes()).unwrap().is_clean());
        let claim =
            r#"{"spec":{"volumeClaimTemplates":[{"kind":"PersistentVolumeClaim","apiVersion":"v1"}]}}"#;
        assert!(json("k8s.io.api.apps.v1.StatefulSet", claim.as_bytes()).unwrap().is_clean());
        let template = r#"{"spec":{"template":{"kind":"Pod"}}}"#;
        assert_eq!(strict(template), [r#"unknown field "spec.template.kind""#]);
    }

    #[test]
    fn wrong_types_name_field_value_and_type() {
        assert_eq!(
            types(
                DEPLOYMENT,
                r#"{"metadata":{"name":5},"spec":{"replicas":"three","template":[],"paused":1}}"#
            ),
            [
                "metadata.name: Invalid value: 5: must be a string",
                "spec.replicas: Invalid value: \"three\": must be an integer (int32)",
                "spec.template: Invalid value: \"[...]\": must be an object",
                "spec.paused: Invalid value: 1: must be a boolean",
            ]
        );
        assert_eq!(
            types(DEPLOYMENT, r#"{"spec":{"replicas":2147483648}}"#),
            ["spec.replicas: Invalid value: 2147483648: must be an integer (int32)"]
        );
        assert_eq!(
            types("k8s.io.api.core.v1.Pod", r#"{"spec":{"containers":{}},"metadata":{"labels":{"a":1}}}"#),
            [
                "spec.containers: Invalid value: \"{...}\": must be a list, each item an object",
                "metadata.labels.a: Invalid value: 1: must be a string",
            ]
        );
        assert_eq!(types(DEPLOYMENT, "null"), ["<nil>: Invalid value: null: must be an object"]);
    }

    #[test]
    fn scalars_are_read() {
        let pod = |limit: &str| {
            format!(r#"{{"spec":{{"containers":[{{"resources":{{"limits":{{"cpu":{limit}}}}}}}]}}}}"#)
        };
        for good in ["\"500m\"", "1", "0.5", "\"1e3\""] {
            assert!(types("k8s.io.api.core.v1.Pod", &pod(good)).is_empty(), "{good}");
        }
        let bad = types("k8s.io.api.core.v1.Pod", &pod("\"lots\""));
        assert!(
            bad[0].starts_with("spec.containers[0].resources.limits.cpu: Invalid value: \"lots\""),
            "{bad:?}"
        );
        assert!(!types("k8s.io.api.core.v1.Secret", r#"{"data":{"a":"$$"}}"#).is_empty());
        assert!(types("k8s.io.api.core.v1.Secret", r#"{"data":{"a":"aGk=","b":null}}"#).is_empty());
        assert!(!types("k8s.io.api.core.v1.Pod", r#"{"metadata":{"creationTimestamp":"now"}}"#).is_empty());
        assert!(types("k8s.io.api.core.v1.Pod", r#"{"metadata":{"creationTimestamp":null}}"#).is_empty());
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["{\"spec\":", "", "{} {}", "{\"a\":1,}"] {
            assert!(json(DEPLOYMENT, text.as_bytes()).is_err(), "{text:?}");
        }
        let deep = "{\"spec\":".repeat(200);
        assert!(json(DEPLOYMENT, deep.as_bytes()).is_err());
    }
}
