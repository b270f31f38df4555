//! Requests that go through to what a pod, a service or a node serves.

mod connection;
pub(super) mod headers;
mod place;

use futures::StreamExt as _;
use gantry_api::core::v1::{Endpoints, Node, Pod, Service};
use gantry_api::meta::v1::GetOptions;
use http::header::{CONTENT_LENGTH, LOCATION, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use self::headers::Rewrite;
use self::place::{Candidate, Named, Place};
use super::upgrade::Connection;
use crate::status::{ApiError, Reason};
use crate::verbs::{Target, Verbs};

/// Sends the request on, and its answer back.
pub(super) async fn answer(
    verbs: &Verbs,
    target: Target,
    rest: &str,
    request: Request<Body>,
    stop: CancellationToken,
) -> Result<Response<Body>, ApiError> {
    let place = find(verbs, &target).await?;
    let path = request.uri().path();
    let upgrades = headers::upgrade(request.headers()).is_some();
    // Links of the page that is meant are about its directory.
    if rest.is_empty() && !upgrades && matches!(*request.method(), Method::GET | Method::HEAD) {
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
        let location = HeaderValue::try_from(format!("{path}/{query}")).map_err(ApiError::internal)?;
        response.headers_mut().insert(LOCATION, location);
        return Ok(response);
    }
    let rewrite = Rewrite::new(path, rest, place.address, request.headers());
    forward(&place, rest, request, &rewrite, stop).await
}

async fn forward(
    place: &Place,
    rest: &str,
    mut request: Request<Body>,
    rewrite: &Rewrite,
    stop: CancellationToken,
) -> Result<Response<Body>, ApiError> {
    let upgrade = headers::upgrade(request.headers());
    let client = match &upgrade {
        Some(_) => Some(Connection::of(&mut request)?),
        None => None,
    };
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = if rest.is_empty() { "/" } else { rest };
    let host = request.uri().authority().map(|authority| authority.as_str().to_owned());
    let (mut parts, body) = request.into_parts();
    parts.uri = format!("{path}{query}")
        .parse::<Uri>()
        .map_err(|error| ApiError::bad_request(format!("the path {path:?} cannot be sent on: {error}")))?;
    parts.version = http::Version::HTTP_11;
    parts.extensions.clear();
    let has_body = parts.headers.contains_key(CONTENT_LENGTH)
        || parts.headers.contains_key(TRANSFER_ENCODING)
        || !matches!(parts.method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS);
    rewrite.request(&mut parts.headers, host.as_deref(), upgrade.as_ref());
    let request = Request::from_parts(parts, if has_body { body } else { Body::empty() });

    let unreachable = |why: String| {
        ApiError::new(Reason::ServiceUnavailable, format!("error trying to reach service: {why}"))
    };
    let mut sender = connection::open(place).await.map_err(unreachable)?;
    sender.ready().await.map_err(|error| unreachable(error.to_string()))?;
    let answer = sender.send_request(request).await.map_err(|error| unreachable(error.to_string()))?;
    let (mut parts, body) = answer.into_parts();
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        let Some((client, backend)) = client.zip(parts.extensions.remove::<OnUpgrade>()) else {
            return Err(unreachable("it switched protocols without being asked".to_owned()));
        };
        tokio::spawn(stop.run_until_cancelled_owned(join(client, backend)));
        let mut response = Response::new(Body::empty());
        *response.status_mut() = parts.status;
        *response.headers_mut() = parts.headers;
        return Ok(response);
    }
    rewrite.response(&mut parts.headers);
    let body = http_body_util::BodyStream::new(body).take_until(stop.cancelled_owned());
    Ok(Response::from_parts(parts, Body::new(http_body_util::StreamBody::new(body))))
}

/// Moves bytes between both sides of a connection that neither speaks HTTP on any more.
pub(super) async fn join(client: Connection, backend: OnUpgrade) {
    let Some(mut client) = client.take().await else { return };
    match backend.await {
        Ok(backend) => {
            let mut backend = TokioIo::new(backend);
            if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut backend).await {
                tracing::debug!(%error, "a connection through the server broke");
            }
        }
        Err(error) => tracing::debug!(%error, "the other side did not upgrade"),
    }
}

/// Where the request goes.
async fn find(verbs: &Verbs, target: &Target) -> Result<Place, ApiError> {
    let what = target.kind.singular;
    let named = Named::parse(&target.name)
        .ok_or_else(|| ApiError::bad_request(format!("invalid {what} request {:?}", target.name)))?;
    match what {
        "pod" => {
            let pod: Pod = get(verbs, &target.namespace, named.name).await?;
            place::of_pod(&named, &pod)
        }
        "node" => {
            let node: Node = get(verbs, "", named.name).await?;
            place::of_node(&named, &node)
        }
        _ => {
            let port = match named.port.parse::<i64>() {
                Ok(number) => {
                    let service: Service = get(verbs, &target.namespace, named.name).await?;
                    place::port_name(&service, number)?
                }
                Err(_) => named.port.to_owned(),
            };
            let endpoints: Endpoints = get(verbs, &target.namespace, named.name).await?;
            let mut candidates = place::of_service(&named, &target.namespace, &port, &endpoints)?;
            let count = candidates.len();
            // By chance, and on from there.
            if count > 1 {
                candidates.rotate_left(rand::random_range(0..count));
            }
            for Candidate { place, pod } in candidates {
                // Whoever writes endpoints could write any address: the pod itself has to have it.
                match get::<Pod>(verbs, &target.namespace, &pod).await {
                    Ok(pod) if place::has(&pod, place.address.ip()) => return Ok(place),
                    Ok(_) => {}
                    Err(error) if error.reason() == Reason::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Err(place::no_endpoints(&target.name))
        }
    }
}

async fn get<T>(verbs: &Verbs, namespace: &str, name: &str) -> Result<T, ApiError>
where
    T: gantry_api::Resource + prost::Message + Default,
{
    let target = Target { kind: T::kind(), namespace: namespace.to_owned(), name: name.to_owned() };
    let entry = verbs.get(&target, &GetOptions::default()).await?;
    <T as prost::Message>::decode(entry.bytes()).map_err(ApiError::internal)
}

#[cfg(test)]
mod tests;
