//! Requests that go on to another API server: it serves what they ask for, and an APIService says so.

use futures::StreamExt as _;
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, LOCATION, TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::upgrade::OnUpgrade;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use super::encode::text;
use super::proxy::{headers, join};
use super::query::Query;
use super::upgrade::Connection;
use crate::aggregation::{Asked, Failure, Remote, Remotes, write_user};
use crate::authorization::{Requester, authorize_selected};
use crate::pipeline::{Peer, User};
use crate::status::ApiError;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// Sends the request on, and its answer back. Whether the client may ask for it is decided here first.
pub(super) async fn answer(
    remotes: &Remotes,
    remote: &Remote,
    user: &Requester,
    request: Request<Body>,
    stop: CancellationToken,
) -> Result<Response<Body>, ApiError> {
    allow(user, &request)?;
    forward(remotes, remote, user.user(), request, stop).await
}

/// A document that describes what another API server serves. Who may read it is decided already; it is asked for in this
/// server's name.
pub(super) async fn document(
    remotes: &Remotes,
    remote: &Remote,
    request: Request<Body>,
    stop: CancellationToken,
) -> Result<Response<Body>, ApiError> {
    let user = User { name: "system:aggregator".to_owned(), ..User::default() };
    forward(remotes, remote, &user, request, stop).await
}

async fn forward(
    remotes: &Remotes,
    remote: &Remote,
    user: &User,
    mut request: Request<Body>,
    stop: CancellationToken,
) -> Result<Response<Body>, ApiError> {
    if !remote.is_available() {
        return Ok(refuse("service unavailable"));
    }
    let upgrade = headers::upgrade(request.headers());
    let client = match &upgrade {
        Some(_) => Some(Connection::of(&mut request)?),
        None => None,
    };
    let request = on(remote, user, request, upgrade.as_ref())?;
    let answer = match remotes.send(remote, request).await {
        Ok(answer) => answer,
        Err(Failure::Nowhere(why)) => {
            tracing::debug!(why, service = remote.authority(), "an API server has no place");
            return Ok(refuse("service unavailable"));
        }
        Err(Failure::Unreachable(why)) => {
            return Ok(refuse(&format!("error trying to reach service: {why}")));
        }
    };
    let (mut parts, body) = answer.into_parts();
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        let Some((client, backend)) = client.zip(parts.extensions.remove::<OnUpgrade>()) else {
            return Ok(refuse("error trying to reach service: it switched protocols without being asked"));
        };
        tokio::spawn(stop.run_until_cancelled_owned(join(client, backend)));
        let mut response = Response::new(Body::empty());
        *response.status_mut() = parts.status;
        *response.headers_mut() = parts.headers;
        return Ok(response);
    }
    if parts.status.is_redirection() && parts.headers.contains_key(LOCATION) {
        // The client would go where the server behind sends it, with what it would tell this one.
        let why = "the backend attempted to redirect this request, which is not permitted";
        let mut response = Response::new(Body::new(http_body_util::Full::new(why.into())));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        return Ok(response);
    }
    headers::of_answer(&mut parts.headers);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = parts.status;
    *response.headers_mut() = parts.headers;
    let body = http_body_util::BodyStream::new(body).take_until(stop.cancelled_owned());
    Ok(response.map(|_| Body::new(http_body_util::StreamBody::new(body))))
}

fn allow(user: &Requester, request: &Request<Body>) -> Result<(), ApiError> {
    let (uri, method) = (request.uri(), request.method());
    let query = Query::parse(uri.query().unwrap_or_default());
    let fields = query.fields();
    let selected = fields.as_ref().and_then(|fields| fields.exact("metadata.name"));
    let selected = selected.filter(|name| super::resource::is_segment(name));
    let unreadable =
        || ApiError::bad_request(format!("unable to determine kind and namespace from url, {}", uri.path()));
    let asked = Asked::read(method, uri.path(), query.watch(), selected).ok_or_else(unreadable)?;
    authorize_selected(user, &asked.attributes(), fields.as_ref())
}

/// The request as it goes on: the same, but in the client's name by this server's word.
fn on(
    remote: &Remote,
    user: &User,
    request: Request<Body>,
    upgrade: Option<&HeaderValue>,
) -> Result<Request<Body>, ApiError> {
    let (mut parts, body) = request.into_parts();
    let has_body = parts.headers.contains_key(CONTENT_LENGTH)
        || parts.headers.contains_key(TRANSFER_ENCODING)
        || !matches!(parts.method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS);
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let authority = remote.authority();
    parts.uri = format!("https://{authority}{path}{query}")
        .parse::<Uri>()
        .map_err(|error| ApiError::bad_request(format!("the path {path:?} cannot be sent on: {error}")))?;
    parts.version = http::Version::HTTP_11;
    let peer = parts.extensions.get::<std::sync::Arc<Peer>>().map(|peer| peer.address.ip().to_string());
    parts.extensions.clear();
    headers::of_request(&mut parts.headers, upgrade);
    parts.headers.remove(HOST);
    forwarded(&mut parts.headers, &path, &authority, peer.as_deref()).map_err(ApiError::internal)?;
    write_user(&mut parts.headers, user).map_err(ApiError::internal)?;
    Ok(Request::from_parts(parts, if has_body { body } else { Body::empty() }))
}

/// Says what the request was before.
fn forwarded(
    headers: &mut HeaderMap,
    path: &str,
    host: &str,
    peer: Option<&str>,
) -> Result<(), http::header::InvalidHeaderValue> {
    if let Some(peer) = peer {
        let before = headers.get_all(&FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
        let all: Vec<&str> = before.chain([peer]).collect();
        let all = HeaderValue::try_from(all.join(", "))?;
        headers.insert(FORWARDED_FOR, all);
    }
    headers.insert(FORWARDED_URI, HeaderValue::from_str(path)?);
    headers.insert(FORWARDED_HOST, HeaderValue::from_str(host)?);
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
    Ok(())
}

/// It cannot be asked now. As upstream: no Status.
fn refuse(why: &str) -> Response<Body> {
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asked_before_is_kept() {
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED_FOR, HeaderValue::from_static("10.0.0.1"));
        headers.insert(FORWARDED_HOST, HeaderValue::from_static("forged"));
        forwarded(&mut headers, "/apis/a/v1", "s.n.svc:443", Some("10.0.0.2")).unwrap();
        assert_eq!(headers[FORWARDED_FOR], "10.0.0.1, 10.0.0.2");
        assert_eq!(headers[FORWARDED_HOST], "s.n.svc:443");
        assert_eq!(
            (&headers[FORWARDED_URI], &headers[FORWARDED_PROTO]),
            (&"/apis/a/v1".parse().unwrap(), &"https".parse().unwrap())
        );
    }
}
