//! What a gRPC call asks for: the beginning of its message says it.

use bytes::{Buf as _, Bytes, BytesMut};
use futures::{StreamExt as _, stream};
use gantry_api::grpc::api::{ListRequest, ResourceRef};
use gantry_api::meta::v1::ListOptions;
use gantry_api::selector::FieldSelector;
use http::Request;
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, BodyStream, Full, StreamBody};
use prost::Message as _;
use prost::encoding::decode_varint;
use tonic::body::Body;

use crate::flow::{Asked, Reach, Resource};

/// The service whose calls are about resources.
const SERVICE: &str = "/gantry.api.v1.Resources/";
/// How much of a message is looked at.
const PEEK: usize = 4 << 10;
/// What is before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// What a call asks for, and the call as it was.
pub(super) async fn grpc(request: Request<Body>) -> (Asked, Request<Body>) {
    let path = request.uri().path().to_owned();
    let Some(method) = path.strip_prefix(SERVICE) else { return (Asked::path_only("post", &path), request) };
    if method == "Discover" {
        return (Asked::path_only("get", "/apis"), request);
    }
    let (parts, body) = request.into_parts();
    let (front, body) = beginning(body).await;
    let asked = asked(method, &path, front.get(PREFIX..).unwrap_or_default());
    (asked, Request::from_parts(parts, body))
}

/// Reads the beginning of a message; the body is whole again.
async fn beginning(mut body: Body) -> (Bytes, Body) {
    let mut front = BytesMut::new();
    let mut rest = Vec::new();
    while front.len() < wanted(&front) {
        match body.frame().await {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => front.extend_from_slice(&data),
                Err(other) => {
                    rest.push(Ok(other));
                    break;
                }
            },
            Some(Err(error)) => {
                rest.push(Err(error));
                break;
            }
            None => break,
        }
    }
    let front = front.freeze();
    if rest.is_empty() && body.is_end_stream() {
        return (front.clone(), Body::new(Full::new(front)));
    }
    let read = stream::iter([Ok(Frame::data(front.clone()))].into_iter().chain(rest));
    (front, Body::new(StreamBody::new(read.chain(BodyStream::new(body)))))
}

/// How many bytes are enough.
fn wanted(front: &[u8]) -> usize {
    let Some(mut length) = front.get(1..PREFIX) else { return PREFIX };
    // Widening, on every machine that this runs on.
    PREFIX + (length.get_u32() as usize).min(PEEK)
}

fn asked(method: &str, path: &str, message: &[u8]) -> Asked {
    let message = if method == "Table" { first(message).unwrap_or_default() } else { message };
    let found = first(message).and_then(|bytes| ResourceRef::decode(bytes).ok()).unwrap_or_default();
    let ResourceRef { group, resource, namespace, name, subresource, .. } = found;
    let one = !name.is_empty();
    let verb = match method {
        "Get" => "get",
        "Table" if one => "get",
        "List" | "Table" => "list",
        "Watch" => "watch",
        "Create" => "create",
        "Update" => "update",
        "Patch" => "patch",
        "Delete" => "delete",
        "DeleteCollection" => "deletecollection",
        _ => "post",
    };
    let reach = matches!(verb, "list" | "watch").then(|| reach(verb, message)).flatten();
    Asked::resource(verb, path, Resource { group, resource, subresource, namespace, name }, reach)
}

/// The first field of a message, which is a message.
fn first(mut message: &[u8]) -> Option<&[u8]> {
    const TAG: u8 = 1 << 3 | 2;
    if !message.has_remaining() || message.get_u8() != TAG {
        return None;
    }
    let length = usize::try_from(decode_varint(&mut message).ok()?).ok()?;
    message.get(..length)
}

/// How much of a collection is read. Options that are too long to be seen say nothing.
fn reach(verb: &str, message: &[u8]) -> Option<Reach> {
    let options = ListRequest::decode(message).ok().and_then(|request| request.options).unwrap_or_default();
    let ListOptions { resource_version, send_initial_events, limit, field_selector, .. } = options;
    let begins = matches!(resource_version.as_str(), "" | "0") || send_initial_events == Some(true);
    if verb == "watch" && !begins {
        return None;
    }
    let fields = FieldSelector::parse(&field_selector).unwrap_or_default();
    Some(match fields.exact("metadata.name") {
        Some(_) => Reach::One,
        None if verb == "watch" => Reach::UpTo(0),
        None => Reach::UpTo(u64::try_from(limit).unwrap_or(0)),
    })
}

#[cfg(test)]
mod tests {
    use gantry_api::grpc::api::{GetRequest, TableRequest};

    use super::*;
    use crate::authorization::Attributes;

    fn pods(name: &str) -> Option<ResourceRef> {
        Some(ResourceRef {
            version: "v1".to_owned(),
            resource: "pods".to_owned(),
            namespace: "a".to_owned(),
            name: name.to_owned(),
            ..ResourceRef::default()
        })
    }

    fn framed(message: &[u8]) -> Bytes {
        let length = u32::try_from(message.len()).unwrap();
        [&[0], &length.to_be_bytes()[..], message].concat().into()
    }

    async fn of(method: &str, message: Vec<u8>) -> (Asked, Bytes) {
        // In pieces, as it comes from the network.
        let whole = framed(&message);
        let pieces: Vec<_> =
            whole.chunks(3).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
        let body =
            Body::new(StreamBody::new(stream::iter(pieces).map(|piece: Result<_, tonic::Status>| piece)));
        let request = Request::builder().uri(format!("{SERVICE}{method}")).body(body).unwrap();
        let (asked, request) = grpc(request).await;
        let body = request.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, whole);
        (asked, body)
    }

    #[tokio::test]
    async fn a_call_names_its_resource() {
        let expected = Attributes::Resource {
            verb: "get",
            group: "",
            resource: "pods",
            subresource: "",
            namespace: "a",
            name: "b",
        };
        let (asked, _) = of("Get", GetRequest { r#ref: pods("b"), options: None }.encode_to_vec()).await;
        assert_eq!(asked.attributes(), expected);
        let list = Some(ListRequest { r#ref: pods("b"), options: None });
        let (asked, _) = of("Table", TableRequest { list }.encode_to_vec()).await;
        assert_eq!(asked.attributes(), expected);
        // Nonsense, and nothing at all, is passed on.
        let (asked, _) = of("Get", vec![0xff; 10_000]).await;
        assert!(matches!(asked.attributes(), Attributes::Resource { resource: "", .. }));
        of("Get", Vec::new()).await;
    }

    #[tokio::test]
    async fn a_list_says_how_much_it_reads() {
        let list = |options: ListOptions| ListRequest { r#ref: pods(""), options: Some(options) };
        let of =
            async |method: &str, options| of(method, list(options).encode_to_vec()).await.0.reach().copied();
        let limited = ListOptions { limit: 7, ..ListOptions::default() };
        assert_eq!(of("List", limited.clone()).await, Some(Reach::UpTo(7)));
        assert_eq!(of("Watch", limited).await, Some(Reach::UpTo(0)));
        let later = ListOptions { resource_version: "5".to_owned(), ..ListOptions::default() };
        assert_eq!(of("Watch", later).await, None);
        let one = ListOptions { field_selector: "metadata.name=x".to_owned(), ..ListOptions::default() };
        assert_eq!(of("List", one).await, Some(Reach::One));
    }
}
