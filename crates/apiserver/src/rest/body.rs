//! Bodies of requests: read, checked against the schema, decoded.

use bytes::Bytes;
use gantry_api::custom::{CustomObject, duplicates};
use gantry_api::field::Path;
use gantry_api::schema::{self, check};
use gantry_api::{Kind, Object, yaml};
use gantry_store::envelope;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, LengthLimitError};
use prost::Message;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use tonic::body::Body;

use super::accept::{JSON, PROTOBUF, YAML};
use super::query::FieldValidation;
use super::type_meta::{Mismatch, TypeMeta};
use crate::go_json;
use crate::pipeline::MAX_BODY;
use crate::status::{ApiError, Reason};

/// The message of every object's metadata.
const METADATA: &str = "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// A body and how it is written.
pub(super) struct RawBody {
    pub(super) bytes: Bytes,
    /// The media type without parameters; empty where the client says nothing.
    pub(super) media_type: String,
}

impl RawBody {
    /// Reads a body to its end.
    pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Self, ApiError> {
        let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let bytes = body.collect().await.map_err(|error| read_error(&error))?.to_bytes();
        Ok(Self { bytes, media_type })
    }

    /// The body as JSON text: JSON as it is, YAML turned.
    pub(super) fn json(&self) -> Result<Bytes, ApiError> {
        match self.media_type.as_str() {
            "" | JSON => Ok(self.bytes.clone()),
            YAML | "text/yaml" | "application/x-yaml" => {
                let text = std::str::from_utf8(&self.bytes)
                    .map_err(|error| ApiError::bad_request(format!("the YAML is not UTF-8: {error}")))?;
                yaml::to_json(text).map(Bytes::from).map_err(|error| ApiError::bad_request(error.to_string()))
            }
            _ => Err(ApiError::unsupported_media_type(&[JSON, YAML, PROTOBUF])),
        }
    }
}

fn read_error(error: &tonic::Status) -> ApiError {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.is::<LengthLimitError>() {
            return ApiError::too_large(MAX_BODY);
        }
        source = cause.source();
    }
    ApiError::bad_request(format!("the body could not be read to its end: {}", error.message()))
}

/// What a body should hold.
pub(super) struct Expected<'a> {
    pub(super) api_version: String,
    pub(super) kind: &'a str,
    pub(super) message: &'a str,
}

impl<'a> Expected<'a> {
    pub(super) fn of(kind: &'a Kind) -> Self {
        Self { api_version: kind.api_version(), kind: kind.kind, message: kind.message }
    }

    /// A body that names nothing is taken for what the path expects.
    fn check_type(&self, found: &TypeMeta) -> Result<(), ApiError> {
        match found.mismatch(&self.api_version, self.kind) {
            None => Ok(()),
            Some(Mismatch::Version(version)) => Err(self.other_version(&version)),
            Some(Mismatch::Kind { found, text }) => Err(self.refused_as(&found.kind, found.version(), &text)),
        }
    }

    /// The same for custom resources, whose kinds are nowhere registered.
    fn check_custom_type(&self, found: &TypeMeta) -> Result<(), ApiError> {
        if !found.api_version.is_empty() && found.api_version != self.api_version {
            return Err(self.other_version(&found.api_version));
        }
        if !found.kind.is_empty() && found.kind != self.kind {
            return Err(self.refused(&found.kind, "the path takes no objects of this kind"));
        }
        Ok(())
    }

    fn other_version(&self, found: &str) -> ApiError {
        ApiError::bad_request(format!(
            "the API version in the data ({found}) does not match the expected API version ({})",
            self.api_version
        ))
    }

    fn refused(&self, found: &str, why: &str) -> ApiError {
        self.refused_as(found, self.api_version.rsplit('/').next().unwrap_or_default(), why)
    }

    fn refused_as(&self, found: &str, version: &str, why: &str) -> ApiError {
        ApiError::bad_request(format!(
            "{found} in version {version:?} cannot be handled as a {}: {why}",
            self.kind
        ))
    }

    /// A body that does not even say what it is.
    fn unrecognized(&self, why: &str, body: &[u8]) -> ApiError {
        ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {why} ({})",
            self.kind,
            go_json::summary(body)
        ))
    }

    /// The body as JSON text, and what it says that it holds.
    fn read(&self, body: &RawBody) -> Result<(Bytes, TypeMeta), ApiError> {
        let json = body.json().map_err(|error| match error.reason() {
            // What is no YAML.
            Reason::BadRequest => {
                self.unrecognized(&format!("error converting YAML to JSON: {error}"), &body.bytes)
            }
            _ => error,
        })?;
        let found = TypeMeta::of(&json).map_err(|why| self.unrecognized(&why, &body.bytes))?;
        Ok((json, found))
    }

    /// No value may be of a wrong type. Upstream stops at the first, and its words seldom say where that is: so the
    /// causes, which upstream leaves out, name all fields.
    fn check_types(&self, message: &str, report: &check::Report) -> Result<(), ApiError> {
        match report.types.first() {
            None => Ok(()),
            Some(error) => {
                let refused = self.refused(self.kind, &schema::cannot_unmarshal(message, error));
                Err(refused.with_causes(&report.types))
            }
        }
    }

    /// Checks JSON text against the schema.
    fn check(&self, json: &[u8], found: &TypeMeta, validation: FieldValidation) -> Result<Checked, ApiError> {
        self.check_type(found)?;
        let report =
            check::json(self.message, json).map_err(|error| self.refused(self.kind, &error.to_string()))?;
        self.check_types(self.message, &report)?;
        let clean = report.strict.is_empty();
        match validation {
            FieldValidation::Strict if !clean => {
                Err(self.refused(self.kind, &format!("strict decoding error: {}", report.strict.join(", "))))
            }
            FieldValidation::Warn => Ok(Checked { clean, warnings: report.strict }),
            FieldValidation::Strict | FieldValidation::Ignore => Ok(Checked { clean, warnings: Vec::new() }),
        }
    }
}

/// JSON text that the schema allows.
struct Checked {
    /// Whether it has no unknown and no duplicate fields.
    clean: bool,
    /// What to warn of.
    warnings: Vec<String>,
}

/// The object of a body, which must be of `kind`, and what to warn of.
pub(super) fn object(
    body: &RawBody,
    kind: &'static Kind,
    validation: FieldValidation,
) -> Result<(Box<dyn Object>, Vec<String>), ApiError> {
    let expected = Expected::of(kind);
    if kind.is_custom() {
        return custom(body, kind, &expected, validation);
    }
    if body.media_type == PROTOBUF {
        let raw = open(body, &expected)?;
        let object = kind.decode(raw).map_err(|error| expected.refused(kind.kind, &chain(&error)))?;
        return Ok((object, Vec::new()));
    }
    let (json, found) = expected.read(body)?;
    let checked = expected.check(&json, &found, validation)?;
    let decoded = match last_of_duplicates(&json, &checked) {
        Some(value) => kind.decode_value(value),
        None => kind.decode_json(&json),
    };
    let object = decoded.map_err(|error| expected.refused(kind.kind, &chain(&error)))?;
    Ok((object, checked.warnings))
}

/// The object of a custom resource. What its own schema does not know is as unknown as it is elsewhere.
fn custom(
    body: &RawBody,
    kind: &'static Kind,
    expected: &Expected<'_>,
    validation: FieldValidation,
) -> Result<(Box<dyn Object>, Vec<String>), ApiError> {
    if body.media_type == PROTOBUF {
        return Err(ApiError::unsupported_media_type(&[JSON, YAML]));
    }
    let (json, found) = expected.read(body)?;
    let not_json = |error: serde_json::Error| {
        expected.refused(kind.kind, &format!("the body is not valid JSON: {error}"))
    };
    let mut problems = duplicates(&json).map_err(not_json)?;
    let value: serde_json::Value = serde_json::from_slice(&json).map_err(not_json)?;
    expected.check_custom_type(&found)?;
    if let Some(metadata) = value.get("metadata").filter(|metadata| !metadata.is_null()) {
        let report = check::json_at(METADATA, Path::new("metadata"), metadata.to_string().as_bytes());
        let report = report.map_err(not_json)?;
        if !report.types.is_empty() {
            let texts: Vec<String> = report.types.iter().map(ToString::to_string).collect();
            return Err(expected.refused(kind.kind, &texts.join(", ")));
        }
        problems.extend(report.strict);
    }
    let (object, unknown) =
        CustomObject::read(kind, value).map_err(|error| expected.refused(kind.kind, &error.to_string()))?;
    problems.extend(unknown.iter().map(|path| format!("unknown field {path:?}")));
    match validation {
        FieldValidation::Strict if !problems.is_empty() => {
            Err(expected.refused(kind.kind, &format!("strict decoding error: {}", problems.join(", "))))
        }
        FieldValidation::Warn => Ok((Box::new(object), problems)),
        FieldValidation::Strict | FieldValidation::Ignore => Ok((Box::new(object), Vec::new())),
    }
}

/// Whether a body says, by an empty list, that nobody owns the object's fields. Once decoded, it looks as if it said
/// nothing.
pub(super) fn clears_owners(body: &RawBody) -> bool {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Object {
        metadata: Metadata,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Metadata {
        managed_fields: Option<Vec<IgnoredAny>>,
    }
    // Most clients do not name them.
    let names = || std::str::from_utf8(&body.bytes).is_ok_and(|text| text.contains("managedFields"));
    if body.media_type == PROTOBUF || !names() {
        return false;
    }
    let object = body.json().ok().and_then(|json| serde_json::from_slice::<Object>(&json).ok());
    object.and_then(|object| object.metadata.managed_fields).is_some_and(|owners| owners.is_empty())
}

/// The message of a body that is no object of a kind, such as a Scale.
pub(super) fn message<T: Message + Default + DeserializeOwned>(
    body: &RawBody,
    expected: &Expected<'_>,
    validation: FieldValidation,
) -> Result<(T, Vec<String>), ApiError> {
    if body.media_type == PROTOBUF {
        let raw = open(body, expected)?;
        let message = T::decode(raw).map_err(|error| expected.refused(expected.kind, &error.to_string()))?;
        return Ok((message, Vec::new()));
    }
    let (json, found) = expected.read(body)?;
    let checked = expected.check(&json, &found, validation)?;
    let decoded = match last_of_duplicates(&json, &checked) {
        Some(value) => serde_json::from_value(value),
        None => serde_json::from_slice(&json),
    };
    let message = decoded.map_err(|error| expected.refused(expected.kind, &error.to_string()))?;
    Ok((message, checked.warnings))
}

/// The configuration that is applied, which is YAML or JSON, and what to warn of: fields that stand twice.
pub(super) fn configuration(
    bytes: &Bytes,
    validation: FieldValidation,
) -> Result<(serde_json::Value, Vec<String>), ApiError> {
    let wrong =
        |error: &dyn std::fmt::Display| ApiError::bad_request(format!("error decoding YAML: {error}"));
    let json = if bytes.trim_ascii_start().starts_with(b"{")
        && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
    {
        bytes.clone()
    } else {
        let text = std::str::from_utf8(bytes).map_err(|error| wrong(&error))?;
        yaml::to_json(text).map(Bytes::from).map_err(|error| wrong(&error))?
    };
    let config: serde_json::Value = serde_json::from_slice(&json).map_err(|error| wrong(&error))?;
    if !config.is_object() {
        return Err(wrong(&"it must be an object"));
    }
    if validation == FieldValidation::Ignore {
        return Ok((config, Vec::new()));
    }
    // Fields that the schema does not have are refused in any case.
    let problems = duplicates(&json).map_err(|error| wrong(&error))?;
    if validation == FieldValidation::Strict && !problems.is_empty() {
        return Err(ApiError::bad_request(format!("error strict decoding YAML: {}", problems.join(", "))));
    }
    Ok((config, problems))
}

/// The text as a value, in which the last of several equal fields has won; only where there may be some, as reading the
/// text itself is faster.
fn last_of_duplicates(json: &[u8], checked: &Checked) -> Option<serde_json::Value> {
    if checked.clean { None } else { serde_json::from_slice(json).ok() }
}

fn open(body: &RawBody, expected: &Expected<'_>) -> Result<Bytes, ApiError> {
    let envelope = envelope::decode(&body.bytes).map_err(|error| {
        let why = match error {
            envelope::Error::NoMagic if body.bytes.is_empty() => "empty data".to_owned(),
            envelope::Error::NoMagic => {
                "provided data does not appear to be a protobuf message, expected prefix \
                                         [107 56 115 0]"
                    .to_owned()
            }
            other => other.to_string(),
        };
        expected.unrecognized(&why, &body.bytes)
    })?;
    expected.check_type(&TypeMeta { api_version: envelope.api_version, kind: envelope.kind })?;
    Ok(envelope.raw)
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
