//! Which form of an answer the client wants.

use http::header::{ACCEPT, ACCEPT_ENCODING, USER_AGENT};
use http::{HeaderMap, HeaderValue};

use crate::status::ApiError;

/// How an answer is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Yaml,
    Protobuf,
}

/// What of the objects is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// The objects.
    Full,
    /// `meta.k8s.io` Table.
    Table,
    /// Their metadata.
    Metadata,
}

/// What the client accepts, decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accept {
    pub(super) format: Format,
    pub(super) view: View,
    /// Whether a large answer may be compressed.
    pub(super) gzip: bool,
    /// Whether JSON is laid out for people.
    pub(super) pretty: bool,
}

pub(super) const JSON: &str = "application/json";
pub(super) const YAML: &str = "application/yaml";
pub(super) const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

impl Accept {
    /// The first of the client's media types that is served, by its preference and then its order.
    pub(super) fn of(headers: &HeaderMap, pretty: Option<bool>) -> Result<Self, ApiError> {
        Self::among(headers, pretty, &[JSON, YAML, PROTOBUF])
    }

    /// The same for what has no protobuf: objects of custom resources.
    pub(super) fn without_protobuf(headers: &HeaderMap, pretty: Option<bool>) -> Result<Self, ApiError> {
        Self::among(headers, pretty, &[JSON, YAML])
    }

    fn among(headers: &HeaderMap, pretty: Option<bool>, served: &[&str]) -> Result<Self, ApiError> {
        let text = headers.get(ACCEPT).map_or(Ok(""), |value| value.to_str());
        let text = text.map_err(|_| ApiError::bad_request("the Accept header is not ASCII"))?;
        let gzip = accepts_gzip(headers.get(ACCEPT_ENCODING));
        let make = |(format, view)| Self {
            format,
            view,
            gzip,
            pretty: pretty.unwrap_or_else(|| is_person(headers)),
        };
        if text.trim().is_empty() {
            return Ok(make((Format::Json, View::Full)));
        }
        by_quality(text)
            .filter_map(media)
            // Metadata of any object has protobuf.
            .find(|(format, view)| {
                *format != Format::Protobuf || *view != View::Full || served.contains(&PROTOBUF)
            })
            .map(make)
            .ok_or_else(|| ApiError::not_acceptable(&[JSON, YAML, PROTOBUF]))
    }
}

/// The media types of an Accept header, the wanted ones first. Stable: the client's order decides among equals.
pub(super) fn by_quality(accept: &str) -> impl Iterator<Item = &str> {
    let mut wanted: Vec<(f32, &str)> = accept.split(',').map(|part| (quality(part), part)).collect();
    wanted.sort_by(|a, b| b.0.total_cmp(&a.0));
    wanted.into_iter().filter(|(quality, _)| *quality > 0.0).map(|(_, part)| part)
}

/// Whether an answer may be compressed.
pub(super) fn accepts_gzip(encodings: Option<&HeaderValue>) -> bool {
    let encodings = encodings.and_then(|value| value.to_str().ok()).unwrap_or_default();
    encodings.split(',').any(|coding| coding.trim().split(';').next() == Some("gzip"))
}

/// A browser's or curl's user reads the answer; programs do without the spaces.
fn is_person(headers: &HeaderMap) -> bool {
    headers
        .get(USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|agent| ["curl", "Wget", "Mozilla/5.0"].iter().any(|person| agent.starts_with(person)))
}

fn quality(part: &str) -> f32 {
    parameter(part, "q").and_then(|q| q.parse().ok()).unwrap_or(1.0)
}

fn parameter<'a>(part: &'a str, name: &str) -> Option<&'a str> {
    part.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.trim().split_once('=')?;
        (key == name).then(|| value.trim_matches('"'))
    })
}

fn media(part: &str) -> Option<(Format, View)> {
    let format = match part.split(';').next().unwrap_or_default().trim() {
        JSON | "*/*" | "application/*" => Format::Json,
        YAML => Format::Yaml,
        PROTOBUF => Format::Protobuf,
        _ => return None,
    };
    let view = match parameter(part, "as") {
        None => View::Full,
        Some(view) => {
            let known = parameter(part, "g") == Some("meta.k8s.io") && parameter(part, "v") == Some("v1");
            match view {
                "Table" if known && format != Format::Protobuf => View::Table,
                "PartialObjectMetadata" | "PartialObjectMetadataList" if known => View::Metadata,
                _ => return None,
            }
        }
    };
    Some((format, view))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(text: &'static str) -> Result<(Format, View), ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(text));
        Accept::of(&headers, None).map(|accept| (accept.format, accept.view))
    }

    #[test]
    fn the_first_served_type_wins() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;\
                       g=meta.k8s.io,application/json";
        assert_eq!(accept(kubectl).unwrap(), (Format::Json, View::Table));
        assert_eq!(
            accept("application/vnd.kubernetes.protobuf,application/json").unwrap().0,
            Format::Protobuf
        );
        assert_eq!(
            accept("text/html,application/json;as=Table;v=v9;g=x,*/*").unwrap(),
            (Format::Json, View::Full)
        );
        assert_eq!(accept("application/json;q=0.5,application/yaml").unwrap().0, Format::Yaml);
        assert_eq!(accept("").unwrap().0, Format::Json);
        assert!(accept("text/html").is_err());
        assert!(accept("application/json;q=0").is_err());
    }
}
