//! `/openapi/v2` and `/openapi/v3`: the API described for programs.

use std::sync::Arc;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, EXPIRES, IF_NONE_MATCH,
    LOCATION, VARY,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use tonic::body::Body;

use super::accept::{JSON, accepts_gzip, by_quality};
use super::query::Query;
use crate::aggregation::Merged;
use crate::openapi::{Document, Documents, Form, v3_url};
use crate::status::ApiError;

const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
const V3_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf";

/// Answers for the rest of a path behind `/openapi/`.
pub(super) async fn answer(
    documents: &Arc<Documents>,
    merged: Option<Arc<Merged>>,
    path: &str,
    headers: &HeaderMap,
    query: &Query,
) -> Result<Response<Body>, ApiError> {
    let (of_version, rest) = match path.split_once('/') {
        Some(("v3", rest)) => (V3_PROTOBUF, rest.to_owned()),
        None if path == "v3" => (V3_PROTOBUF, String::new()),
        None if path == "v2" => (V2_PROTOBUF, String::new()),
        _ => return Err(super::path::not_found()),
    };
    let index = of_version == V3_PROTOBUF && rest.is_empty();
    // The index is always JSON.
    let Some((form, content_type)) =
        (if index { Some((Form::Json, JSON)) } else { form(headers, of_version) })
    else {
        return Ok(empty(StatusCode::NOT_ACCEPTABLE));
    };
    let (documents, name) = (Arc::clone(documents), rest.clone());
    // What is made for the first time takes its time.
    let found = tokio::task::spawn_blocking(move || {
        let document = match (of_version, name.as_str()) {
            (V2_PROTOBUF, _) => Some(match merged {
                Some(merged) => merged.openapi_v2(&documents)?,
                None => documents.v2(),
            }),
            (_, "") => Some(match merged {
                Some(merged) => documents.v3_index_with(|index| merged.openapi(index))?,
                None => documents.v3_index(),
            }),
            (_, name) => documents.v3(name),
        };
        // Made here, too.
        document.map(|document| document.gzip(form).map(|_| document)).transpose()
    });
    let found = found.await.map_err(ApiError::internal)?.map_err(ApiError::internal)?;
    let Some(document) = found else { return Ok(empty(StatusCode::NOT_FOUND)) };
    let hash = query.hash();
    if let Some(hash) = hash.filter(|_| !index)
        && hash != document.hash()
    {
        return Ok(moved(&v3_url(&rest, document.hash())));
    }
    let mut response = send(&document, form, headers)?;
    let head = response.headers_mut();
    head.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    head.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if hash.is_some() && !index {
        // The address names the content, so it never changes.
        head.insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
        if let Some(expires) = in_a_year() {
            head.insert(EXPIRES, expires);
        }
    }
    Ok(response)
}

/// The first form that the client accepts.
fn form(headers: &HeaderMap, protobuf: &'static str) -> Option<(Form, &'static str)> {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.trim().is_empty() {
        return Some((Form::Json, JSON));
    }
    // The name with an @, which no media type may have, is what older clients ask for.
    let old = protobuf.replacen(".v1.0+", "@v1.0+", 1);
    by_quality(accept).find_map(|part| match part.split(';').next().unwrap_or_default().trim() {
        JSON | "*/*" | "application/*" => Some((Form::Json, JSON)),
        other if other == protobuf || other == old => Some((Form::Protobuf, protobuf)),
        _ => None,
    })
}

/// The document, or only that it is still the same.
fn send(document: &Document, form: Form, headers: &HeaderMap) -> Result<Response<Body>, ApiError> {
    let etag = format!("\"{}\"", document.hash());
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let same = known.split(',').any(|one| {
        let one = one.trim();
        one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag
    });
    let mut response = if same {
        empty(StatusCode::NOT_MODIFIED)
    } else if accepts_gzip(headers.get(ACCEPT_ENCODING)) {
        let body = document.gzip(form).map_err(ApiError::internal)?;
        let mut response = Response::new(Body::new(Full::new(body)));
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response
    } else {
        let body = document.plain(form).map_err(ApiError::internal)?;
        Response::new(Body::new(Full::new(body.into())))
    };
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(ETAG, etag);
    }
    Ok(response)
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// The document has changed: its address is another one now.
fn moved(to: &str) -> Response<Body> {
    let mut response = empty(StatusCode::MOVED_PERMANENTLY);
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

fn in_a_year() -> Option<HeaderValue> {
    let at = jiff::Timestamp::now().checked_add(jiff::Span::new().hours(365 * 24)).ok()?;
    let text = at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    HeaderValue::try_from(text).ok()
}
