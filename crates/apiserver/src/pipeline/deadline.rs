//! How long a request may take.

use std::time::Duration;

use http::{Request, Response};
use tokio::time::Instant;
use tonic::body::Body;

use super::cut_off::CutOff;
use super::middleware::{Middleware, Next, run};
use super::{Class, reply};
use crate::status::ApiError;

/// How long a request may take, for those behind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit(pub(super) Duration);

/// Long-running requests have no deadline, all others have one: the client's, within the server's. It holds for the
/// whole answer: one that is written piece by piece is cut off then.
#[derive(Clone)]
pub(super) struct Deadline {
    /// The deadline of a request that names none, and the latest that one may name.
    latest: Duration,
    cut_off: CutOff,
}

impl Deadline {
    pub(super) fn new(latest: Duration) -> Self {
        Self { latest, cut_off: CutOff::start() }
    }
}

impl Middleware for Deadline {
    async fn call(self, mut request: Request<Body>, next: impl Next) -> Response<Body> {
        let class = Class::of(&request);
        if class.long_running {
            return run(next, request).await;
        }
        let limit = match limit(&request, self.latest) {
            Ok(limit) => limit,
            Err(error) => return reply::error(class.grpc, &error),
        };
        request.extensions_mut().insert(Limit(limit));
        let end = Instant::now() + limit;
        match tokio::time::timeout_at(end, run(next, request)).await {
            Ok(response) => self.cut_off.at(end, response),
            Err(_) => {
                let error = ApiError::timeout("request did not complete within the allotted timeout");
                reply::error(class.grpc, &error)
            }
        }
    }
}

fn limit(request: &Request<Body>, latest: Duration) -> Result<Duration, ApiError> {
    if let Some(timeout) = request.headers().get("grpc-timeout") {
        // An unreadable one is the client's own business: it counts for itself, too.
        return Ok(timeout.to_str().ok().and_then(grpc_timeout).unwrap_or(latest).min(latest));
    }
    let query = request.uri().query().unwrap_or_default();
    let Some((_, text)) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "timeout") else {
        return Ok(latest);
    };
    let limit = text
        .parse::<gantry_api::scalars::Duration>()
        .ok()
        .and_then(|limit| u64::try_from(limit.duration).ok());
    match limit {
        // kubectl sends 0s for none.
        Some(0) => Ok(latest),
        Some(nanos) => Ok(Duration::from_nanos(nanos).min(latest)),
        None => Err(ApiError::bad_request(format!(
            "invalid timeout specified in the request URL - time: invalid duration {text:?}"
        ))),
    }
}

/// gRPC's header: up to eight digits and a unit.
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let value: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(value * 3600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: Duration = Duration::from_secs(60);

    fn limit_of(uri: &str) -> Result<Duration, ApiError> {
        limit(&Request::builder().uri(uri).body(Body::empty()).unwrap(), DEFAULT)
    }

    #[test]
    fn the_clients_deadline_counts_within_the_servers() {
        assert_eq!(limit_of("/api").unwrap(), DEFAULT);
        assert_eq!(limit_of("/api?timeout=5s").unwrap(), Duration::from_secs(5));
        assert_eq!(limit_of("/api?timeout=1h").unwrap(), DEFAULT);
        assert_eq!(limit_of("/api?timeout=0s").unwrap(), DEFAULT);
        assert!(limit_of("/api?timeout=soon").is_err());
    }

    #[test]
    fn grpc_timeouts_have_units() {
        assert_eq!(grpc_timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(grpc_timeout("3S"), Some(Duration::from_secs(3)));
        assert_eq!(grpc_timeout("3"), None);
        assert_eq!(grpc_timeout(""), None);
    }
}
