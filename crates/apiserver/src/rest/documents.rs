//! What is no object: health, version, metrics, discovery.

use std::fmt::Write as _;
use std::net::SocketAddr;

use bytes::Bytes;
use gantry_api::Kind;
use gantry_telemetry::health::{self, Checks};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use prost::Message;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha512};
use tonic::body::Body;

use super::accept::{Accept, Format, JSON, PROTOBUF};
use super::encode::{from_json, pretty, respond, text};
use super::path::{Route, no_page, not_found};
use crate::aggregation::Merged;
use crate::discovery;
use crate::flow::{Dump, Flow};
use crate::status::ApiError;
use crate::tokens::{self, Issuer};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// `/livez`, `/readyz`, `/healthz`: all checks, or the one that the path names.
pub(super) async fn health(
    checks: &Checks,
    ready: bool,
    check: Option<&str>,
    query: &str,
) -> Result<Response<Body>, ApiError> {
    let kind = if ready { health::Kind::Ready } else { health::Kind::Live };
    let parameters: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let excluded: Vec<String> =
        parameters.iter().filter(|(name, _)| name == "exclude").map(|(_, value)| value.clone()).collect();
    let verbose = parameters.iter().any(|(name, _)| name == "verbose");
    let report = match check {
        None => checks.report(kind, &excluded).await,
        Some(name) => checks.report_one(kind, name).await.ok_or_else(not_found)?,
    };
    let status = if report.ok() { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    Ok(text(status, report.text(verbose)))
}

/// `/metrics`.
pub(super) fn metrics() -> Result<Response<Body>, ApiError> {
    let metrics = health::metrics().map_err(ApiError::internal)?;
    Ok(respond(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", metrics))
}

/// What is under way, by priority level; nothing where there are none.
pub(super) fn flow(flow: Option<&Flow>, table: &str, query: &str) -> Response<Body> {
    let details = form_urlencoded::parse(query.as_bytes())
        .any(|(name, value)| name == "includeRequestDetails" && matches!(&*value, "1" | "true"));
    let wanted = match table {
        "dump_priority_levels" => Dump::Levels,
        "dump_queues" => Dump::Queues,
        "dump_requests" => Dump::Requests { details },
        _ => return no_page(),
    };
    match flow {
        Some(flow) => text(StatusCode::OK, flow.dump(wanted)),
        None => no_page(),
    }
}

/// What others need who verify tokens; nothing where there are none.
pub(super) fn openid(issuer: Option<&Issuer>, keys: bool, address: &str, own: SocketAddr) -> Response<Body> {
    let Some(issuer) = issuer else { return no_page() };
    let (document, media_type) = if keys {
        (tokens::key_set(issuer), "application/jwk-set+json")
    } else {
        (tokens::configuration(issuer, address, &own.to_string()), JSON)
    };
    let mut response = respond(StatusCode::OK, media_type, document.to_string());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}

/// `/version`.
pub(super) fn version(accept: &Accept) -> Result<Response<Body>, ApiError> {
    let version = json!({
        "major": "1",
        "minor": "36",
        "gitVersion": discovery::GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, architecture()),
    });
    from_json(StatusCode::OK, accept, version.to_string().into_bytes())
}

/// The architecture by the name that clients know.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Discovery in one document, where the client prefers it and the path has it.
pub(super) fn aggregated(
    kinds: &[&'static Kind],
    merged: Option<&Merged>,
    route: &Route,
    headers: &HeaderMap,
) -> Option<Response<Body>> {
    let document = match route {
        Route::Core if wants_aggregated(headers) => discovery::aggregated_core(kinds),
        Route::Groups if wants_aggregated(headers) => {
            let mut document = discovery::aggregated_groups(kinds);
            if let Some(merged) = merged {
                merged.aggregated(&mut document);
            }
            document
        }
        _ => return None,
    };
    Some(cached(&document, headers, AGGREGATED))
}

/// Makes protobuf of a document.
type ToProtobuf = fn(Value) -> Result<Bytes, serde_json::Error>;

/// A document of discovery; the server is reached at `address`.
pub(super) fn discovery(
    kinds: &[&'static Kind],
    merged: Option<&Merged>,
    route: &Route,
    accept: &Accept,
    address: SocketAddr,
) -> Result<Response<Body>, ApiError> {
    use gantry_api::meta::v1::{ApiGroup, ApiGroupList, ApiResourceList, ApiVersions};
    let (document, protobuf): (Value, ToProtobuf) = match route {
        Route::Core => (discovery::core_versions(address), envelope::<ApiVersions>),
        Route::Groups => {
            let mut document = discovery::groups(kinds);
            if let Some(merged) = merged {
                merged.groups(&mut document);
            }
            (document, envelope::<ApiGroupList>)
        }
        Route::Group(group) => {
            let own = discovery::group(kinds, group);
            let document = match merged {
                Some(merged) => merged.group(group, own),
                None => own,
            };
            (document.ok_or_else(not_found)?, envelope::<ApiGroup>)
        }
        Route::Resources { group, version } => {
            (discovery::resources(kinds, group, version).ok_or_else(not_found)?, envelope::<ApiResourceList>)
        }
        Route::Paths => {
            // For people; it has no other form.
            let mut document = paths(kinds);
            if let Some(merged) = merged {
                merged.paths(&mut document);
            }
            return Ok(respond(StatusCode::OK, JSON, pretty(document.to_string().as_bytes())));
        }
        _ => return Err(not_found()),
    };
    if accept.format == Format::Protobuf {
        let bytes = protobuf(document).map_err(ApiError::internal)?;
        return Ok(respond(StatusCode::OK, PROTOBUF, bytes));
    }
    from_json(StatusCode::OK, accept, document.to_string().into_bytes())
}

/// A document as a message of type `T` in its envelope.
fn envelope<T: Message + DeserializeOwned>(document: Value) -> Result<Bytes, serde_json::Error> {
    let kind = document["kind"].as_str().unwrap_or_default().to_owned();
    let message: T = serde_json::from_value(document)?;
    Ok(gantry_store::envelope::encode("v1", &kind, &message))
}

/// `/`: where else there is something.
fn paths(kinds: &[&'static Kind]) -> Value {
    let mut paths = vec!["/api".to_owned(), "/api/v1".to_owned(), "/apis".to_owned()];
    for (group, version, _) in discovery::by_group(kinds).iter().filter(|(group, _, _)| !group.is_empty()) {
        paths.push(format!("/apis/{group}"));
        paths.push(format!("/apis/{group}/{version}"));
    }
    for path in ["/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"] {
        paths.push(path.to_owned());
    }
    json!({ "paths": paths })
}

/// Whether the client prefers the aggregated form, in the version that is served, to the plain one.
fn wants_aggregated(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.split(',').find_map(served_form).unwrap_or(false)
}

/// Whether a media type is aggregated discovery; `None` where it is not served.
fn served_form(media_type: &str) -> Option<bool> {
    let mut parts = media_type.split(';').map(str::trim);
    if !matches!(parts.next(), Some("application/json" | "*/*" | "application/*")) {
        return None;
    }
    let parameters: Vec<&str> = parts.filter(|part| !part.starts_with("q=")).collect();
    if !parameters.iter().any(|part| part.starts_with("as=")) {
        return Some(false);
    }
    let has = |wanted: &str| parameters.contains(&wanted);
    (has("as=APIGroupDiscoveryList") && has("g=apidiscovery.k8s.io") && has("v=v2")).then_some(true)
}

/// A document that clients keep: not sent again while it is the same.
pub(super) fn cached(document: &Value, headers: &HeaderMap, content_type: &'static str) -> Response<Body> {
    let body = document.to_string();
    let mut etag = String::from("\"");
    for byte in Sha512::digest(body.as_bytes()) {
        // Writing to a string cannot fail.
        let _ = write!(etag, "{byte:02X}");
    }
    etag.push('"');
    let same = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let mut response = if same {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        respond(StatusCode::OK, content_type, body)
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(ETAG, etag);
    }
    response
}
