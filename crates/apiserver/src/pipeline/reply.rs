//! An error as an answer.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response};
use tonic::body::Body;

use crate::status::ApiError;

/// The answer that carries `error`: a Status as JSON, or a gRPC status with it inside.
pub(crate) fn error(grpc: bool, error: &ApiError) -> Response<Body> {
    if grpc {
        return error.grpc().into_http();
    }
    let mut response = Response::new(Body::new(http_body_util::Full::new(status_body(error))));
    set_head(&mut response, error);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Sets the status code of `error`, and when to come back where it says so.
fn set_head<B>(response: &mut Response<B>, error: &ApiError) {
    *response.status_mut() = error.http();
    let seconds = error.status().details.as_ref().map_or(0, |details| details.retry_after_seconds);
    if seconds > 0 {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
}

/// The Status of `error` as JSON, with kind and apiVersion.
pub(crate) fn status_body(error: &ApiError) -> Bytes {
    let mut json = br#"{"kind":"Status","apiVersion":"v1","#.to_vec();
    // A Status holds nothing that JSON cannot; an empty one would still be a Status.
    let fields = serde_json::to_vec(&error.status()).unwrap_or_else(|_| b"{}".to_vec());
    json.extend_from_slice(&fields[1..]);
    if json.ends_with(b",}") {
        json.truncate(json.len() - 2);
        json.push(b'}');
    }
    json.into()
}
