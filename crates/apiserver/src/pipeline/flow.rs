//! How much runs at once, and in which order.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use tonic::body::Body;

use super::deadline::Limit;
use super::middleware::{Middleware, Next, run};
use super::{Class, InFlight, User, peek, reply};
use crate::flow::{Classified, Flow, Seat};
use crate::rest;
use crate::status::ApiError;

const SCHEMA_UID: HeaderName = HeaderName::from_static("x-kubernetes-pf-flowschema-uid");
const LEVEL_UID: HeaderName = HeaderName::from_static("x-kubernetes-pf-prioritylevel-uid");
/// What those are told who must come back.
const MESSAGE: &str = "Too many requests, please try again later.";
/// Which part of the time that a request has it may wait.
const WAITING_PART: u32 = 4;
/// How long a watch may wait to begin: it has no deadline of its own.
const WATCH_WAIT: Duration = Duration::from_secs(15);

/// What decides how much runs at once.
#[derive(Clone)]
pub(crate) enum Concurrency {
    /// Priority levels.
    Fair(Arc<Flow>),
    /// Numbers.
    Plain(InFlight),
}

impl Middleware for Concurrency {
    async fn call(self, request: Request<Body>, next: impl Next) -> Response<Body> {
        match self {
            Self::Plain(in_flight) => in_flight.call(request, next).await,
            Self::Fair(flow) => fair(flow, request, next).await,
        }
    }
}

async fn fair(flow: Arc<Flow>, mut request: Request<Body>, next: impl Next) -> Response<Body> {
    let class = Class::of(&request);
    if class.grpc && class.health {
        return run(next, request).await;
    }
    if class.long_running && !class.watch {
        // What is asked for on the way is let in piece by piece.
        request.extensions_mut().insert(flow);
        return run(next, request).await;
    }
    // Nobody is a user, too.
    let user = request.extensions().get::<Arc<User>>().cloned().unwrap_or_default();
    let asked = if class.grpc {
        let (asked, whole) = peek::grpc(request).await;
        request = whole;
        asked
    } else {
        rest::asked(&request)
    };
    let limit = request.extensions().get::<Limit>().map_or(WATCH_WAIT, |limit| limit.0 / WAITING_PART);
    let classified = flow.classify(&user, &asked);
    let mut response = match flow.enter(&classified, &user, &asked, limit).await {
        Err(refused) => sent_away(class.grpc, refused.retry_after),
        Ok(seat) => {
            let response = run(next, request).await;
            // A watch has begun.
            if class.watch { response } else { hold(response, seat) }
        }
    };
    name(&mut response, &classified);
    response
}

fn name(response: &mut Response<Body>, classified: &Classified) {
    for (header, uid) in [SCHEMA_UID, LEVEL_UID].into_iter().zip(classified.identities()) {
        if let Some(uid) = uid {
            response.headers_mut().insert(header, uid.clone());
        }
    }
}

/// The answer to who must come back.
pub(super) fn sent_away(grpc: bool, seconds: u64) -> Response<Body> {
    let mut response = if grpc {
        let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
        reply::error(grpc, &ApiError::too_many_requests(MESSAGE, seconds))
    } else {
        // As upstream: no Status, as this must cost little.
        let text = Bytes::from(format!("{MESSAGE}\n"));
        let mut response = Response::new(Body::new(http_body_util::Full::new(text)));
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    };
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// Holds the seat until a body is written that is made piece by piece.
fn hold(response: Response<Body>, seat: Seat) -> Response<Body> {
    if response.body().is_end_stream() || response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| Body::new(Held { body, seat: Some(seat) }))
}

/// A body, and the seat of its request.
struct Held {
    body: Body,
    seat: Option<Seat>,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) || self.body.is_end_stream() {
            self.seat = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
