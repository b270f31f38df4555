//! Answers: one object, in the form that the client wants.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use gantry_api::Kind;
use gantry_api::meta::v1::PartialObjectMetadata;
use gantry_api::yaml;
use gantry_store::envelope;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use prost::Message;
use serde::Serialize;
use tonic::body::Body;

use super::accept::{Accept, Format, JSON, PROTOBUF, View, YAML};
use super::list::GZIP_FROM;
use crate::cache::Entry;
use crate::pipeline::error_reply;
use crate::status::ApiError;
use crate::table::{self, IncludeObject};

/// The header that carries what the client is warned of.
const WARNING: HeaderName = HeaderName::from_static("warning");

/// An answer of a content type.
pub(super) fn respond(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(body.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An answer of text.
pub(super) fn text(status: StatusCode, text: String) -> Response<Body> {
    respond(status, "text/plain; charset=utf-8", text)
}

/// Adds what the client is warned of.
pub(super) fn warn(response: &mut Response<Body>, warnings: &[String]) {
    for warning in warnings {
        let quoted = format!("299 - {warning:?}");
        if let Ok(value) = HeaderValue::from_str(&quoted) {
            response.headers_mut().append(WARNING, value);
        }
    }
}

/// JSON text in the client's format and layout. Protobuf is made elsewhere; what has none stays JSON.
pub(super) fn from_json(
    status: StatusCode,
    accept: &Accept,
    json: Vec<u8>,
) -> Result<Response<Body>, ApiError> {
    if accept.format == Format::Yaml {
        let text = yaml::from_json(&json).map_err(ApiError::internal)?;
        return Ok(respond(status, YAML, text));
    }
    let json = if accept.pretty { pretty(&json) } else { json };
    if accept.gzip && json.len() >= GZIP_FROM {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&json).map_err(ApiError::internal)?;
        let mut response = respond(status, JSON, encoder.finish().map_err(ApiError::internal)?);
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        return Ok(response);
    }
    let mut response = respond(status, JSON, json);
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

/// Lays JSON out for people: two spaces a level, the fields in their order.
pub(super) fn pretty(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    let mut depth = 0usize;
    let mut bytes = json.iter().copied().peekable();
    let newline = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.resize(out.len() + 2 * depth, b' ');
    };
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                out.push(byte);
                while let Some(byte) = bytes.next() {
                    out.push(byte);
                    match byte {
                        b'\\' => out.extend(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            b'{' | b'[' => {
                out.push(byte);
                if let Some(end) = bytes.next_if(|next| matches!(next, b'}' | b']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    newline(&mut out, depth);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                newline(&mut out, depth);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                newline(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            // Ours has no spaces between the tokens; what is embedded raw may have some.
            b' ' | b'\n' | b'\t' | b'\r' => {}
            other => out.push(other),
        }
    }
    out.push(b'\n');
    out
}

/// A value of serde as JSON with kind and apiVersion in front.
pub(super) fn spliced<T: Serialize>(api_version: &str, kind: &str, value: &T) -> Result<Vec<u8>, ApiError> {
    let fields = serde_json::to_vec(value).map_err(ApiError::internal)?;
    Ok(splice(api_version, kind, &fields))
}

/// `{"kind":...,"apiVersion":...,` and then the fields of a JSON object.
pub(super) fn splice(api_version: &str, kind: &str, object: &[u8]) -> Vec<u8> {
    let mut json = Vec::with_capacity(object.len() + kind.len() + api_version.len() + 32);
    json.extend_from_slice(b"{\"kind\":\"");
    json.extend_from_slice(kind.as_bytes());
    json.extend_from_slice(b"\",\"apiVersion\":\"");
    json.extend_from_slice(api_version.as_bytes());
    json.push(b'"');
    match object.get(1..) {
        Some(rest) if rest != b"}" => {
            json.push(b',');
            json.extend_from_slice(rest);
        }
        _ => json.push(b'}'),
    }
    json
}

/// One object as the client wants it.
pub(super) fn entry(
    status: StatusCode,
    accept: &Accept,
    entry: &Entry,
    include: IncludeObject,
) -> Result<Response<Body>, ApiError> {
    let kind = entry.kind();
    match (accept.view, accept.format) {
        (View::Full, Format::Protobuf) => {
            let body = envelope::wrap(&kind.api_version(), kind.kind, &entry.bytes());
            Ok(respond(status, PROTOBUF, body))
        }
        (View::Metadata, Format::Protobuf) => {
            let partial = PartialObjectMetadata { metadata: Some(entry.object()?.meta().clone()) };
            Ok(respond(
                status,
                PROTOBUF,
                envelope::encode("meta.k8s.io/v1", "PartialObjectMetadata", &partial),
            ))
        }
        (View::Full, _) => from_json(status, accept, object_json(entry)?),
        (View::Metadata, _) => from_json(status, accept, table::partial_object(&*entry.object()?)?),
        (View::Table, _) => from_json(status, accept, table::of_entry(entry, include)?),
    }
}

/// An entry's JSON with kind and apiVersion.
pub(super) fn object_json(entry: &Entry) -> Result<Vec<u8>, ApiError> {
    Ok(splice(&entry.kind().api_version(), entry.kind().kind, &entry.json()?))
}

/// A message that is no object of a kind, such as a Scale.
pub(super) fn message<T: Message + Serialize>(
    status: StatusCode,
    accept: &Accept,
    (api_version, kind): (&str, &str),
    value: &T,
) -> Result<Response<Body>, ApiError> {
    if accept.format == Format::Protobuf {
        return Ok(respond(status, PROTOBUF, envelope::encode(api_version, kind, value)));
    }
    from_json(status, accept, spliced(api_version, kind, value)?)
}

/// A failure in the client's format, as far as that can be told: JSON for who accepts nothing that is served.
pub(super) fn error(accept: Option<HeaderValue>, error: &ApiError) -> Response<Body> {
    let mut response = error_reply(false, error);
    let headers: HeaderMap = accept.map(|accept| (ACCEPT, accept)).into_iter().collect();
    if Accept::of(&headers, None).is_ok_and(|accept| accept.format == Format::Protobuf) {
        let body = envelope::encode("v1", "Status", error.status());
        *response.body_mut() = Body::new(Full::new(body));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
    }
    response
}

/// The Status of a deletion that is finished.
pub(super) fn deleted(
    accept: &Accept,
    kind: &Kind,
    name: &str,
    uid: &str,
) -> Result<Response<Body>, ApiError> {
    use gantry_api::meta::v1::{ListMeta, Status, StatusDetails};
    let details = StatusDetails {
        name: name.to_owned(),
        group: kind.group.to_owned(),
        kind: kind.plural.to_owned(),
        uid: uid.to_owned(),
        ..StatusDetails::default()
    };
    let status = Status {
        metadata: Some(ListMeta::default()),
        status: "Success".to_owned(),
        details: Some(details),
        ..Status::default()
    };
    message(StatusCode::OK, accept, ("v1", "Status"), &status)
}
