//! Lists: written piece by piece from the bytes that the entries already have, never as one large buffer.

use std::io::Write as _;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use gantry_api::Kind;
use gantry_api::meta::v1::PartialObjectMetadata;
use gantry_store::envelope::MAGIC;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use prost::Message;
use prost::encoding::{encode_varint, encoded_len_varint};
use tonic::body::Body;

use super::accept::{Accept, Format, JSON, PROTOBUF, View};
use super::encode;
use crate::cache::Entry;
use crate::status::ApiError;
use crate::table::{self, IncludeObject};
use crate::verbs::List;

/// How much is handed to the connection at a time.
const PIECE: usize = 64 << 10;
/// From what size on an answer is compressed for those who want it, as upstream.
pub(super) const GZIP_FROM: usize = 128 << 10;

/// A list as the client wants it.
pub(super) fn answer(
    accept: &Accept,
    kind: &'static Kind,
    list: List,
    include: IncludeObject,
) -> Result<Response<Body>, ApiError> {
    match (accept.view, accept.format) {
        (View::Full, Format::Protobuf) => Ok(stream(accept, PROTOBUF, protobuf(kind, list))),
        (View::Full, Format::Json) if !accept.pretty => Ok(stream(accept, JSON, json(kind, list)?)),
        (View::Metadata, Format::Protobuf) => Ok(stream(accept, PROTOBUF, protobuf_metadata(list)?)),
        (View::Full, _) => {
            let mut whole = Vec::new();
            for piece in json(kind, list)?.pieces {
                whole.extend_from_slice(&piece?);
            }
            encode::from_json(StatusCode::OK, accept, whole)
        }
        (View::Metadata, _) => encode::from_json(StatusCode::OK, accept, metadata(&list)?),
        (View::Table, _) => encode::from_json(StatusCode::OK, accept, table::of_list(kind, &list, include)?),
    }
}

/// The pieces of a list, and about how large it is.
struct Pieces {
    size: usize,
    pieces: Box<dyn Iterator<Item = Result<Bytes, ApiError>> + Send>,
}

fn json(kind: &'static Kind, list: List) -> Result<Pieces, ApiError> {
    let mut head =
        format!(r#"{{"kind":"{}","apiVersion":"{}","metadata":"#, kind.list_kind, kind.api_version())
            .into_bytes();
    serde_json::to_writer(&mut head, &list.metadata).map_err(ApiError::internal)?;
    head.extend_from_slice(b",\"items\":[");
    let size = list.items.iter().map(|entry| entry.bytes().len()).sum();
    let mut first = true;
    let custom = kind.is_custom();
    let item = move |entry: &Entry, piece: &mut BytesMut| {
        if !std::mem::take(&mut first) {
            piece.put_u8(b',');
        }
        if custom {
            // Objects of custom resources say what they are in lists, too.
            piece.put_slice(&encode::object_json(entry)?);
        } else {
            piece.put_slice(&entry.json()?);
        }
        Ok(())
    };
    Ok(Pieces { size, pieces: Box::new(Writer::new(head, list.items, item, b"]}".to_vec())) })
}

/// `FooList` is a message with the metadata as field 1 and the items as field 2, in the envelope of a single object.
fn protobuf(kind: &'static Kind, list: List) -> Pieces {
    let items = list.items.iter().map(|entry| field_len(entry.bytes().len())).sum();
    let item = |entry: &Entry, piece: &mut BytesMut| {
        let bytes = entry.bytes();
        put_header(piece, 2, bytes.len());
        piece.put_slice(&bytes);
        Ok(())
    };
    enveloped(&kind.api_version(), kind.list_kind, list, items, item)
}

/// A `PartialObjectMetadataList`, which has the same form.
fn protobuf_metadata(list: List) -> Result<Pieces, ApiError> {
    let mut partials = Vec::with_capacity(list.items.len());
    for entry in &list.items {
        partials
            .push(PartialObjectMetadata { metadata: Some(entry.object()?.meta().clone()) }.encode_to_vec());
    }
    let items = partials.iter().map(|bytes| field_len(bytes.len())).sum();
    let mut partials = partials.into_iter();
    let item = move |_: &Entry, piece: &mut BytesMut| {
        // There are as many as entries.
        let bytes = partials.next().unwrap_or_default();
        put_header(piece, 2, bytes.len());
        piece.put_slice(&bytes);
        Ok(())
    };
    Ok(enveloped("meta.k8s.io/v1", "PartialObjectMetadataList", list, items, item))
}

/// A list message in its envelope; `items` is how many bytes `item` writes for all entries together.
fn enveloped(
    api_version: &str,
    name: &str,
    list: List,
    items: usize,
    item: impl FnMut(&Entry, &mut BytesMut) -> Result<(), ApiError> + Send + 'static,
) -> Pieces {
    let metadata = list.metadata.encode_to_vec();
    let raw = field_len(metadata.len()) + items;
    let type_meta = field_len(api_version.len()) + field_len(name.len());
    let mut head = BytesMut::new();
    head.put_slice(&MAGIC);
    put_header(&mut head, 1, type_meta);
    put_header(&mut head, 1, api_version.len());
    head.put_slice(api_version.as_bytes());
    put_header(&mut head, 2, name.len());
    head.put_slice(name.as_bytes());
    put_header(&mut head, 2, raw);
    put_header(&mut head, 1, metadata.len());
    head.put_slice(&metadata);
    // The envelope's content encoding and content type, both empty.
    let tail = vec![3 << 3 | 2, 0, 4 << 3 | 2, 0];
    Pieces { size: raw, pieces: Box::new(Writer::new(head.to_vec(), list.items, item, tail)) }
}

/// The length of a length-delimited field with a tag of one byte.
fn field_len(len: usize) -> usize {
    1 + encoded_len_varint(len as u64) + len
}

fn put_header(buffer: &mut BytesMut, field: u8, len: usize) {
    buffer.put_u8(field << 3 | 2);
    encode_varint(len as u64, buffer);
}

fn metadata(list: &List) -> Result<Vec<u8>, ApiError> {
    let mut json =
        br#"{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":"#.to_vec();
    serde_json::to_writer(&mut json, &list.metadata).map_err(ApiError::internal)?;
    json.extend_from_slice(b",\"items\":[");
    for (index, entry) in list.items.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        json.extend_from_slice(&table::partial_object(&*entry.object()?)?);
    }
    json.extend_from_slice(b"]}");
    Ok(json)
}

/// Writes head, items and tail into pieces of about [`PIECE`] bytes.
struct Writer<F> {
    head: Vec<u8>,
    items: std::vec::IntoIter<Arc<Entry>>,
    item: F,
    tail: Option<Vec<u8>>,
}

impl<F> Writer<F> {
    fn new(head: Vec<u8>, items: Vec<Arc<Entry>>, item: F, tail: Vec<u8>) -> Self {
        Self { head, items: items.into_iter(), item, tail: Some(tail) }
    }
}

impl<F: FnMut(&Entry, &mut BytesMut) -> Result<(), ApiError>> Iterator for Writer<F> {
    type Item = Result<Bytes, ApiError>;

    fn next(&mut self) -> Option<Self::Item> {
        let tail = self.tail.as_ref()?;
        let mut piece = BytesMut::with_capacity(PIECE + (8 << 10));
        piece.put_slice(&std::mem::take(&mut self.head));
        while piece.len() < PIECE {
            let Some(entry) = self.items.next() else {
                piece.put_slice(tail);
                self.tail = None;
                return Some(Ok(piece.freeze()));
            };
            if let Err(error) = (self.item)(&entry, &mut piece) {
                self.tail = None;
                return Some(Err(error));
            }
        }
        Some(Ok(piece.freeze()))
    }
}

fn stream(accept: &Accept, content_type: &'static str, pieces: Pieces) -> Response<Body> {
    let gzip = accept.gzip && pieces.size >= GZIP_FROM;
    let pieces: Box<dyn Iterator<Item = Result<Bytes, ApiError>> + Send> =
        if gzip { Box::new(Gzip::new(pieces.pieces)) } else { pieces.pieces };
    // An error after the head can only cut the answer off: clients see that it is not whole.
    let frames = pieces.map(|piece| piece.map(Frame::data));
    let mut response = Response::new(Body::new(StreamBody::new(futures::stream::iter(frames))));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Compresses pieces as they come.
struct Gzip<I> {
    pieces: I,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl<I> Gzip<I> {
    fn new(pieces: I) -> Self {
        Self { pieces, encoder: Some(GzEncoder::new(Vec::new(), Compression::fast())) }
    }
}

impl<I: Iterator<Item = Result<Bytes, ApiError>>> Iterator for Gzip<I> {
    type Item = Result<Bytes, ApiError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let encoder = self.encoder.as_mut()?;
            match self.pieces.next() {
                Some(Ok(piece)) => {
                    if let Err(error) = encoder.write_all(&piece) {
                        return Some(Err(ApiError::internal(error)));
                    }
                    let ready = std::mem::take(encoder.get_mut());
                    if !ready.is_empty() {
                        return Some(Ok(ready.into()));
                    }
                }
                Some(Err(error)) => {
                    self.encoder = None;
                    return Some(Err(error));
                }
                None => {
                    let finished = self.encoder.take()?.finish();
                    return Some(finished.map(Bytes::from).map_err(ApiError::internal));
                }
            }
        }
    }
}
