//! An object of a custom resource: its metadata, and the rest as JSON.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use serde_json::{Map, Value};

use super::schema::Schema;
use super::{Definition, check, defaulting, lists, prune, rules};
use crate::Kind;
use crate::autoscaling::v1::{Scale, ScaleSpec, ScaleStatus};
use crate::field::{Error, ErrorList, ErrorType, Path};
use crate::grpc::api::CustomResource;
use crate::meta::v1::ObjectMeta;
use crate::object::{DecodeError, Object, ObjectStrategy};
use crate::strategy::human_duration;

const STATUS: &str = "status";

/// An object of a custom resource.
#[derive(Debug, Clone)]
pub struct CustomObject {
    kind: &'static Kind,
    definition: Option<Arc<Definition>>,
    meta: ObjectMeta,
    /// Everything but `apiVersion`, `kind` and `metadata`.
    fields: Map<String, Value>,
}

/// Why an object has no Scale.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScaleError {
    /// Its kind has none.
    #[error("the kind has no scale subresource")]
    NotServed,
    /// The wanted replicas are not said.
    #[error("the spec replicas field {0:?} does not exist")]
    NoReplicas(String),
    /// A part is no number, or something else stands in its way.
    #[error("{path} is no number of replicas")]
    NoNumber {
        /// The path of the part.
        path: String,
    },
}

impl CustomObject {
    /// An object without anything.
    #[must_use]
    pub fn new(kind: &'static Kind) -> Self {
        Self { kind, definition: kind.definition(), meta: ObjectMeta::default(), fields: Map::new() }
    }

    /// An object of its JSON: without what its schema does not know, and with defaults.
    pub fn from_value(kind: &'static Kind, value: Value) -> Result<Self, serde_json::Error> {
        Self::read(kind, value).map(|(object, _)| object)
    }

    /// The same, and the paths of what its schema does not know.
    pub fn read(kind: &'static Kind, value: Value) -> Result<(Self, Vec<String>), serde_json::Error> {
        let mut fields: Map<String, Value> = serde_json::from_value(value)?;
        fields.remove("apiVersion");
        fields.remove("kind");
        let meta = fields.remove("metadata").map(serde_json::from_value::<Option<ObjectMeta>>).transpose()?;
        let mut object =
            Self { kind, definition: kind.definition(), meta: meta.flatten().unwrap_or_default(), fields };
        let mut unknown = Vec::new();
        if let Some(definition) = &object.definition {
            defaulting::fill(&mut object.fields, &definition.schema);
            unknown = prune(&mut object.fields, &definition.schema);
        }
        Ok((object, unknown))
    }

    /// An object of the message that it travels in.
    pub(crate) fn decode(kind: &'static Kind, bytes: Bytes) -> Result<Self, DecodeError> {
        let protobuf = |source| DecodeError::Protobuf { kind: kind.kind, source };
        let message = CustomResource::decode(bytes).map_err(protobuf)?;
        let fields = if message.fields.is_empty() {
            Value::Object(Map::new())
        } else {
            serde_json::from_slice(&message.fields)
                .map_err(|source| DecodeError::Json { kind: kind.kind, source })?
        };
        let mut object =
            Self::from_value(kind, fields).map_err(|source| DecodeError::Json { kind: kind.kind, source })?;
        object.meta = message.metadata.unwrap_or_default();
        Ok(object)
    }

    pub(crate) fn boxed(self) -> Box<dyn Object> {
        Box::new(self)
    }

    /// Everything but `apiVersion` and `kind`.
    fn content(&self) -> Result<Map<String, Value>, serde_json::Error> {
        let mut content = self.fields.clone();
        content.insert("metadata".to_owned(), serde_json::to_value(&self.meta)?);
        Ok(content)
    }

    fn has_status(&self) -> bool {
        self.definition.as_ref().is_some_and(|definition| definition.has_status)
    }

    fn errors(&self, old: Option<&Self>) -> ErrorList {
        let Some(definition) = &self.definition else { return ErrorList::new() };
        let schema = &definition.schema;
        let content = self.seen_by_schema(schema);
        let before = old.map(|old| old.seen_by_schema(schema));
        let mut errors = check::object(&content, before.as_deref(), schema);
        errors.extend(self.scale_errors(definition));
        errors.extend(lists::check(&content, before.as_deref(), schema));
        if definition.has_rules {
            errors.extend(self.broken_rules(old, definition, &errors));
        }
        errors
    }

    fn seen_by_schema(&self, schema: &Schema) -> Cow<'_, Map<String, Value>> {
        // What is said of metadata can only be about names.
        if !schema.properties.contains_key("metadata") {
            return Cow::Borrowed(&self.fields);
        }
        self.content().map_or(Cow::Borrowed(&self.fields), Cow::Owned)
    }

    /// The rules that are expressions. What is not as the schema says is not asked about.
    fn broken_rules(&self, old: Option<&Self>, definition: &Definition, errors: &[Error]) -> ErrorList {
        let blocks = |error: &Error| {
            matches!(
                error.r#type,
                ErrorType::NotSupported
                    | ErrorType::Required
                    | ErrorType::TooLong
                    | ErrorType::TooMany
                    | ErrorType::TypeInvalid
            )
        };
        if errors.iter().any(blocks) {
            let detail = "some validation rules were not checked because the object was invalid; correct the existing \
                          errors to complete validation";
            return vec![Error::invalid(Path::default(), "null", detail)];
        }
        let old = old.map(Self::seen_by_rules);
        rules::check(&self.seen_by_rules(), old.as_ref(), &definition.schema)
    }

    /// What rules see of the object: of the metadata only the name.
    fn seen_by_rules(&self) -> Value {
        let mut seen = self.fields.clone();
        let mut metadata = Map::new();
        for (field, text) in [("name", &self.meta.name), ("generateName", &self.meta.generate_name)] {
            if !text.is_empty() {
                metadata.insert(field.to_owned(), text.as_str().into());
            }
        }
        seen.insert("apiVersion".to_owned(), self.kind.api_version().into());
        seen.insert("kind".to_owned(), self.kind.kind.into());
        seen.insert("metadata".to_owned(), metadata.into());
        Value::Object(seen)
    }

    fn scale_errors(&self, definition: &Definition) -> ErrorList {
        let mut errors = ErrorList::new();
        let Some(scale) = &definition.scale else { return errors };
        let root = Value::Object(self.fields.clone());
        for (path, text) in [(&scale.spec, &scale.spec_text), (&scale.status, &scale.status_text)] {
            let Some(value) = path.first(&root) else { continue };
            let (shown, rule) = match value.as_i64() {
                None => (0, not_a_number(text, value)),
                Some(number @ ..0) => (number, "should be a non-negative integer".to_owned()),
                Some(number) if i32::try_from(number).is_err() => {
                    (number, "should be less than or equal to 2147483647".to_owned())
                }
                Some(_) => continue,
            };
            errors.push(Error::invalid(Path::new(text), shown, rule));
        }
        errors
    }

    /// Its Scale.
    pub fn scale(&self) -> Result<Scale, ScaleError> {
        let definition = self.definition.as_ref().ok_or(ScaleError::NotServed)?;
        let scale = definition.scale.as_ref().ok_or(ScaleError::NotServed)?;
        let root = Value::Object(self.fields.clone());
        let number = |value: &Value, path: &String| {
            let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
            number.ok_or_else(|| ScaleError::NoNumber { path: path.clone() })
        };
        let wanted =
            scale.spec.first(&root).ok_or_else(|| ScaleError::NoReplicas(scale.spec_text.clone()))?;
        let present = scale.status.first(&root).map(|value| number(value, &scale.status_text)).transpose()?;
        let selector = scale.selector.as_ref().and_then(|path| path.first(&root)).and_then(Value::as_str);
        Ok(Scale {
            metadata: Some(ObjectMeta {
                name: self.meta.name.clone(),
                namespace: self.meta.namespace.clone(),
                uid: self.meta.uid.clone(),
                resource_version: self.meta.resource_version.clone(),
                creation_timestamp: self.meta.creation_timestamp,
                ..ObjectMeta::default()
            }),
            spec: Some(ScaleSpec { replicas: number(wanted, &scale.spec_text)? }),
            status: Some(ScaleStatus {
                replicas: present.unwrap_or(0),
                selector: selector.unwrap_or_default().to_owned(),
            }),
        })
    }

    /// Sets the wanted replicas.
    pub fn set_replicas(&mut self, replicas: i32) -> Result<(), ScaleError> {
        let definition = self.definition.as_ref().ok_or(ScaleError::NotServed)?;
        let scale = definition.scale.as_ref().ok_or(ScaleError::NotServed)?;
        let mut root = Value::Object(std::mem::take(&mut self.fields));
        let set = scale.spec.set(&mut root, replicas.into());
        if let Value::Object(fields) = root {
            self.fields = fields;
        }
        if set { Ok(()) } else { Err(ScaleError::NoNumber { path: scale.spec_text.clone() }) }
    }
}

impl Object for CustomObject {
    fn kind(&self) -> &'static Kind {
        self.kind
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }

    fn encode(&self) -> Bytes {
        let message = CustomResource {
            metadata: Some(self.meta.clone()),
            api_version: self.kind.api_version(),
            kind: self.kind.kind.to_owned(),
            // Values can always be written.
            fields: serde_json::to_vec(&self.fields).unwrap_or_default().into(),
        };
        message.encode_to_vec().into()
    }

    fn write_json(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        out.extend_from_slice(b"{\"metadata\":");
        serde_json::to_writer(&mut *out, &self.meta)?;
        for (name, value) in &self.fields {
            out.push(b',');
            serde_json::to_writer(&mut *out, name)?;
            out.push(b':');
            serde_json::to_writer(&mut *out, value)?;
        }
        out.push(b'}');
        Ok(())
    }

    fn to_value(&self) -> Result<Value, serde_json::Error> {
        self.content().map(Value::Object)
    }

    fn clone_object(&self) -> Box<dyn Object> {
        Box::new(self.clone())
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.as_custom().is_some_and(|other| {
            self.kind == other.kind && self.meta == other.meta && self.fields == other.fields
        })
    }

    fn copy_status_from(&mut self, other: &dyn Object) {
        if let Some(other) = other.as_custom().filter(|_| self.has_status()) {
            match other.fields.get(STATUS) {
                Some(status) => self.fields.insert(STATUS.to_owned(), status.clone()),
                None => self.fields.remove(STATUS),
            };
        }
    }

    fn copy_spec_from(&mut self, other: &dyn Object) {
        if let Some(other) = other.as_custom() {
            let status = self.fields.remove(STATUS);
            self.fields.clone_from(&other.fields);
            match status {
                Some(status) => self.fields.insert(STATUS.to_owned(), status),
                None => self.fields.remove(STATUS),
            };
        }
    }

    fn spec_equals(&self, other: &dyn Object) -> bool {
        let counts = |(name, _): &(&String, &Value)| !(self.has_status() && name.as_str() == STATUS);
        other
            .as_custom()
            .is_some_and(|other| self.fields.iter().filter(counts).eq(other.fields.iter().filter(counts)))
    }

    fn strategy(&self) -> &dyn ObjectStrategy {
        self
    }

    fn strategy_mut(&mut self) -> &mut dyn ObjectStrategy {
        self
    }
}

impl ObjectStrategy for CustomObject {
    /// Done when the object was read.
    fn set_defaults(&mut self) {}

    fn prepare_for_create(&mut self) {
        if self.has_status() {
            self.fields.remove(STATUS);
        }
    }

    fn prepare_for_update(&mut self, old: &dyn Object) {
        self.copy_status_from(old);
    }

    fn prepare_for_status_update(&mut self, old: &dyn Object) {
        self.copy_spec_from(old);
    }

    fn validate(&self) -> ErrorList {
        self.errors(None)
    }

    fn validate_update(&self, old: &dyn Object) -> ErrorList {
        self.errors(old.as_custom())
    }

    fn validate_status_update(&self, old: &dyn Object) -> ErrorList {
        self.errors(old.as_custom())
    }

    fn selectable_fields(&self) -> Vec<(&'static str, String)> {
        let Some(definition) = self.definition.as_ref().filter(|one| !one.fields.is_empty()) else {
            return Vec::new();
        };
        let root = Value::Object(self.fields.clone());
        let text = |path: &Option<super::JsonPath>| match path.as_ref().and_then(|path| path.first(&root)) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        definition.fields.iter().map(|(field, path)| (*field, text(path))).collect()
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<Value> {
        let mut cells = vec![Value::from(self.meta.name.as_str())];
        let columns =
            self.definition.as_ref().map(|definition| definition.columns.as_slice()).unwrap_or_default();
        if columns.is_empty() {
            // As many as the kind has columns, also where its definition is gone.
            cells.push(crate::strategy::age(&self.meta, now));
            cells.resize(self.kind.columns.len(), Value::Null);
            return cells;
        }
        let root = self.content().map(Value::Object).unwrap_or_default();
        cells.extend(columns.iter().map(|(r#type, path)| {
            let value = path.as_ref().and_then(|path| path.first(&root));
            value.map_or(Value::Null, |value| cell(r#type, value, now))
        }));
        cells
    }
}

/// What upstream says of something else in the place of a number, with the names that it has for types.
fn not_a_number(path: &str, value: &Value) -> String {
    let (shown, r#type) = match value {
        Value::Null => ("<nil>".to_owned(), "<nil>"),
        Value::String(text) => (text.clone(), "string"),
        Value::Bool(value) => (value.to_string(), "bool"),
        Value::Number(number) => (number.to_string(), "float64"),
        Value::Array(_) => (value.to_string(), "[]interface {}"),
        Value::Object(_) => (value.to_string(), "map[string]interface {}"),
    };
    format!("{path} accessor error: {shown} is of the type {}, expected int64", r#type)
}

/// A value as a column of a type shows it: nothing, where it is of another type.
fn cell(r#type: &str, value: &Value, now: jiff::Timestamp) -> Value {
    match (r#type, value) {
        (_, Value::Null) => Value::Null,
        ("string", Value::String(_)) | ("boolean", Value::Bool(_)) | ("number", Value::Number(_)) => {
            value.clone()
        }
        ("string", other) => other.to_string().into(),
        ("integer", Value::Number(number)) if number.is_f64() => {
            // Towards zero, as upstream.
            number.as_f64().map_or(Value::Null, |number| Value::from(number.trunc() as i64))
        }
        ("integer", Value::Number(_)) => value.clone(),
        ("date", Value::String(text)) => match text.parse::<jiff::Timestamp>() {
            Ok(time) => human_duration(now.as_second().saturating_sub(time.as_second())).into(),
            Err(_) => "<invalid>".into(),
        },
        _ => Value::Null,
    }
}
