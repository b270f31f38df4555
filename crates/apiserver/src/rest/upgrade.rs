//! Connections that clients take over: for WebSocket, or for SPDY as older clients do.

mod idle;
mod spdy;
mod tunnel;
mod websocket;

use std::time::Duration;

use http::header::{CONNECTION, HeaderMap, UPGRADE};
use http::{HeaderName, Request, Response};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use tonic::body::Body;

pub(super) use self::idle::Idle;
pub(super) use self::spdy::Spdy;
pub(super) use self::tunnel::Tunnel;
pub(super) use self::websocket::{Socket, WebSocket, closing, config, decode, encode};
use crate::status::ApiError;

/// The largest message of a client.
const MAX_MESSAGE: usize = 1 << 20;
/// How long the connection may take to be given over.
const LIMIT: Duration = Duration::from_secs(10);
/// How long nothing may be moved in either direction, as upstream's `--streaming-connection-idle-timeout`.
pub(super) const IDLE_LIMIT: Duration = Duration::from_secs(4 * 60 * 60);
/// How long the node may take to begin.
pub(super) const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a client may take to take leave.
pub(super) const CLOSE_LIMIT: Duration = Duration::from_secs(5);
/// How often a client is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// When a client is to be asked whether it is still there: one that vanished silently is seen only by writing to it.
pub(super) fn pings() -> Interval {
    let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings
}

/// Which protocol the client wants to go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    WebSocket,
    Spdy,
}

/// Which protocol the client wants to go on with.
pub(super) fn wanted(headers: &HeaderMap) -> Result<Wanted, ApiError> {
    if !has(headers, &CONNECTION, "upgrade") {
        return Err(ApiError::bad_request("Upgrade request required"));
    }
    if has(headers, &UPGRADE, "websocket") {
        Ok(Wanted::WebSocket)
    } else if has(headers, &UPGRADE, "spdy/3.1") {
        Ok(Wanted::Spdy)
    } else {
        Err(ApiError::bad_request("unable to upgrade: the protocols served here are websocket and SPDY/3.1"))
    }
}

/// The connection under a request, to be taken once the answer is sent.
pub(super) struct Connection(OnUpgrade);

impl Connection {
    pub(super) fn of(request: &mut Request<Body>) -> Result<Self, ApiError> {
        let upgrade = request.extensions_mut().remove::<OnUpgrade>();
        let only =
            || ApiError::bad_request("unable to upgrade: only a connection of HTTP/1.1 can be upgraded");
        upgrade.map(Self).ok_or_else(only)
    }

    /// Takes it; none where the client has left meanwhile.
    pub(super) async fn take(self) -> Option<TokioIo<Upgraded>> {
        match timeout(LIMIT, self.0).await {
            Ok(Ok(connection)) => return Some(TokioIo::new(connection)),
            Ok(Err(error)) => tracing::debug!(%error, "the connection was not upgraded"),
            Err(_) => tracing::debug!(limit = ?LIMIT, "the connection was not upgraded in time"),
        }
        None
    }
}

/// An opening that cannot be accepted: an error, or a whole answer.
#[derive(Debug)]
pub(super) enum Refused {
    Error(ApiError),
    Answer(Box<Response<Body>>),
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}

impl Refused {
    pub(super) fn answer(self) -> Result<Response<Body>, ApiError> {
        match self {
            Self::Error(error) => Err(error),
            Self::Answer(response) => Ok(*response),
        }
    }
}

fn words<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Whether a header, which is a list of words, has this one.
pub(super) fn has(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    words(headers, name).any(|found| found.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_protocol_is_told_by_the_headers() {
        let of = |connection: &'static str, upgrade: &'static str| {
            let headers = [(CONNECTION, connection), (UPGRADE, upgrade)];
            let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
            wanted(&headers.into_iter().collect())
        };
        assert_eq!(of("keep-alive, Upgrade", "WebSocket").unwrap(), Wanted::WebSocket);
        assert_eq!(of("Upgrade", "SPDY/3.1").unwrap(), Wanted::Spdy);
        assert!(of("Upgrade", "h2c").unwrap_err().to_string().starts_with("unable to upgrade"));
        assert_eq!(wanted(&HeaderMap::new()).unwrap_err().to_string(), "Upgrade request required");
    }
}
