//! Watches: one JSON object a line, or protobuf with the length in front.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use futures::StreamExt;
use gantry_api::Kind;
use gantry_api::meta::v1::{PartialObjectMetadata, WatchEvent};
use gantry_api::scalars::RawExtension;
use gantry_store::envelope;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use prost::Message;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use super::accept::{Accept, Format, JSON, View};
use super::encode;
use crate::cache::Entry;
use crate::pipeline::status_body;
use crate::status::ApiError;
use crate::table::{self, IncludeObject};
use crate::verbs::{WatchItem, WatchStream};

const JSON_WATCH: &str = "application/json;stream=watch";
const PROTOBUF_WATCH: &str = "application/vnd.kubernetes.protobuf;stream=watch";

/// A watch as the client wants it. It ends when the server drains: clients resume from the last revision.
pub(super) fn answer(
    accept: &Accept,
    kind: &'static Kind,
    items: WatchStream,
    include: IncludeObject,
    stop: CancellationToken,
) -> Result<Response<Body>, ApiError> {
    let content_type = match accept.format {
        Format::Json => JSON,
        Format::Protobuf => PROTOBUF_WATCH,
        Format::Yaml => return Err(ApiError::not_acceptable(&[JSON_WATCH, PROTOBUF_WATCH])),
    };
    let mut framer = Framer { kind, view: accept.view, format: accept.format, include, columns_sent: false };
    let frames = items.take_until(stop.cancelled_owned()).map(move |items| {
        let mut out = BytesMut::new();
        for item in items {
            framer.write(&item, &mut out)?;
        }
        Ok::<_, ApiError>(Frame::data(out.freeze()))
    });
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    Ok(response)
}

struct Framer {
    kind: &'static Kind,
    view: View,
    format: Format,
    include: IncludeObject,
    columns_sent: bool,
}

impl Framer {
    fn write(&mut self, item: &WatchItem, out: &mut BytesMut) -> Result<(), ApiError> {
        let (r#type, object) = match item {
            WatchItem::Added(entry) => ("ADDED", self.object(entry)?),
            WatchItem::Modified(entry) => ("MODIFIED", self.object(entry)?),
            WatchItem::Deleted(entry) => ("DELETED", self.object(entry)?),
            WatchItem::Bookmark { revision, initial_events_end } => {
                ("BOOKMARK", self.bookmark(*revision, *initial_events_end)?)
            }
            WatchItem::Error(error) => ("ERROR", self.error(error)),
        };
        if self.format == Format::Protobuf {
            let event = WatchEvent { r#type: r#type.to_owned(), object: Some(RawExtension { raw: object }) };
            // An event is an object of at most some MiB.
            out.put_u32(u32::try_from(event.encoded_len()).map_err(ApiError::internal)?);
            event.encode(out).map_err(ApiError::internal)?;
        } else {
            out.put_slice(b"{\"type\":\"");
            out.put_slice(r#type.as_bytes());
            out.put_slice(b"\",\"object\":");
            out.put_slice(&object);
            out.put_slice(b"}\n");
        }
        Ok(())
    }

    fn object(&mut self, entry: &Arc<Entry>) -> Result<Bytes, ApiError> {
        Ok(match (self.view, self.format) {
            (View::Full, Format::Protobuf) => {
                envelope::wrap(&self.kind.api_version(), self.kind.kind, &entry.bytes())
            }
            (View::Metadata, Format::Protobuf) => {
                let partial = PartialObjectMetadata { metadata: Some(entry.object()?.meta().clone()) };
                envelope::encode("meta.k8s.io/v1", "PartialObjectMetadata", &partial)
            }
            (View::Table, _) => {
                let first = !std::mem::replace(&mut self.columns_sent, true);
                table::of_event(entry, first, self.include)?.into()
            }
            (View::Metadata, _) => table::partial_object(&*entry.object()?)?.into(),
            (View::Full, _) => encode::object_json(entry)?.into(),
        })
    }

    fn bookmark(&self, revision: i64, initial_events_end: bool) -> Result<Bytes, ApiError> {
        let mut object = self.kind.new_object();
        object.meta_mut().resource_version = revision.to_string();
        if initial_events_end {
            let annotations = &mut object.meta_mut().annotations;
            annotations.insert("k8s.io/initial-events-end".to_owned(), "true".to_owned());
        }
        Ok(match (self.view, self.format) {
            (View::Full, Format::Protobuf) => {
                envelope::wrap(&self.kind.api_version(), self.kind.kind, &object.encode())
            }
            (View::Metadata, Format::Protobuf) => {
                let partial = PartialObjectMetadata { metadata: Some(object.meta().clone()) };
                envelope::encode("meta.k8s.io/v1", "PartialObjectMetadata", &partial)
            }
            (View::Table, _) => json!({
                "kind": "Table",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": {"resourceVersion": revision.to_string()},
                "columnDefinitions": null,
                "rows": [],
            })
            .to_string()
            .into(),
            (View::Metadata, _) => table::partial_object(&*object)?.into(),
            (View::Full, _) => {
                let mut fields = Vec::new();
                object.write_json(&mut fields).map_err(ApiError::internal)?;
                encode::splice(&self.kind.api_version(), self.kind.kind, &fields).into()
            }
        })
    }

    fn error(&self, error: &ApiError) -> Bytes {
        if self.format == Format::Protobuf {
            envelope::encode("v1", "Status", error.status())
        } else {
            status_body(error)
        }
    }
}
