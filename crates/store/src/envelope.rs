//! Kubernetes' envelope around a stored value: `k8s\0`, then a `runtime.Unknown` message that names the type
//! and holds the encoded object. Custom resources have none, they are stored as JSON.
//!
//! ```text
//! 6b 38 73 00 | 0a len (0a len apiVersion, 12 len kind) | 12 len object | 1a 00 | 22 00
//! ```

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::{
    Message,
    encoding::{encode_varint, encoded_len_varint},
};

/// The bytes that every protobuf value begins with.
pub const MAGIC: [u8; 4] = *b"k8s\0";

/// The bytes that a value encrypted at rest begins with.
pub const ENCRYPTED: &[u8] = b"k8s:enc:";

/// What a stored value is, judging from its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An envelope with a protobuf message.
    Protobuf,
    /// A JSON object.
    Json,
    /// An encrypted value: what is inside shows after decryption.
    Encrypted,
}

impl Format {
    /// Recognizes a value, if it is one.
    #[must_use]
    pub fn of(value: &[u8]) -> Option<Self> {
        if value.starts_with(&MAGIC) {
            Some(Self::Protobuf)
        } else if value.starts_with(ENCRYPTED) {
            Some(Self::Encrypted)
        } else {
            (value.first() == Some(&b'{')).then_some(Self::Json)
        }
    }
}

/// An opened envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Group and version of the object, such as `apps/v1`.
    pub api_version: String,
    /// The kind of the object.
    pub kind: String,
    /// The encoded object: a slice of the envelope, not a copy.
    pub raw: Bytes,
    /// How `raw` is compressed; empty for not at all.
    pub content_encoding: String,
    /// The media type of `raw`; empty for protobuf.
    pub content_type: String,
}

/// Why a value is no envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It does not begin as one.
    #[error("the value does not begin with `k8s\\0`")]
    NoMagic,
    /// What follows is cut off or no message.
    #[error("the envelope is truncated or malformed: {0}")]
    Malformed(String),
    /// It does not say what it holds.
    #[error("the envelope does not name the object's apiVersion and kind")]
    NoType,
}

/// Field numbers of `runtime.Unknown` and `runtime.TypeMeta`, with the wire type for length-delimited fields.
const LEN: u8 = 2;
const TYPE_META: u8 = 1 << 3 | LEN;
const RAW: u8 = 2 << 3 | LEN;
const CONTENT_ENCODING: u8 = 3 << 3 | LEN;
const CONTENT_TYPE: u8 = 4 << 3 | LEN;
const API_VERSION: u8 = 1 << 3 | LEN;
const KIND: u8 = 2 << 3 | LEN;

/// Encodes an object in its envelope, in one buffer of the right size.
#[must_use]
pub fn encode(api_version: &str, kind: &str, object: &impl Message) -> Bytes {
    encode_with(api_version, kind, object.encoded_len(), |buffer| {
        // It fails only for want of room, and a BytesMut grows.
        let _ = object.encode(buffer);
    })
}

/// Puts an object that is already encoded into an envelope.
#[must_use]
pub fn wrap(api_version: &str, kind: &str, raw: &[u8]) -> Bytes {
    encode_with(api_version, kind, raw.len(), |buffer| buffer.put_slice(raw))
}

fn encode_with(api_version: &str, kind: &str, raw_len: usize, raw: impl FnOnce(&mut BytesMut)) -> Bytes {
    let type_meta_len = field_len(api_version.len()) + field_len(kind.len());
    let len = MAGIC.len() + field_len(type_meta_len) + field_len(raw_len) + 2 * field_len(0);
    let mut buffer = BytesMut::with_capacity(len);
    buffer.put_slice(&MAGIC);
    put_header(&mut buffer, TYPE_META, type_meta_len);
    put_header(&mut buffer, API_VERSION, api_version.len());
    buffer.put_slice(api_version.as_bytes());
    put_header(&mut buffer, KIND, kind.len());
    buffer.put_slice(kind.as_bytes());
    put_header(&mut buffer, RAW, raw_len);
    raw(&mut buffer);
    // Kubernetes writes these two though they are empty.
    put_header(&mut buffer, CONTENT_ENCODING, 0);
    put_header(&mut buffer, CONTENT_TYPE, 0);
    buffer.freeze()
}

/// The length of a field with a one-byte tag and a value of `len` bytes.
fn field_len(len: usize) -> usize {
    1 + encoded_len_varint(len as u64) + len
}

fn put_header(buffer: &mut BytesMut, tag: u8, len: usize) {
    buffer.put_u8(tag);
    encode_varint(len as u64, buffer);
}

/// Opens an envelope. The object is a slice of `value`; nothing is copied but the names.
pub fn decode(value: &Bytes) -> Result<Envelope, Error> {
    if !value.starts_with(&MAGIC) {
        return Err(Error::NoMagic);
    }
    let unknown = Unknown::decode(value.slice(MAGIC.len()..)).map_err(|e| Error::Malformed(e.to_string()))?;
    let Some(TypeMeta { api_version, kind }) = unknown.type_meta.filter(|meta| !meta.kind.is_empty()) else {
        return Err(Error::NoType);
    };
    let raw = unknown.raw.ok_or_else(|| Error::Malformed("there is no object in it".to_owned()))?;
    Ok(Envelope {
        api_version,
        kind,
        raw,
        content_encoding: unknown.content_encoding,
        content_type: unknown.content_type,
    })
}

#[derive(Clone, PartialEq, Message)]
struct TypeMeta {
    #[prost(string, tag = "1")]
    api_version: String,
    #[prost(string, tag = "2")]
    kind: String,
}

#[derive(Clone, PartialEq, Message)]
struct Unknown {
    #[prost(message, optional, tag = "1")]
    type_meta: Option<TypeMeta>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    raw: Option<Bytes>,
    #[prost(string, tag = "3")]
    content_encoding: String,
    #[prost(string, tag = "4")]
    content_type: String,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bytes_are_those_of_kubernetes() {
        let value = wrap("v1", "Pod", &[0xaa, 0xbb]);
        let expected = b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x02\xaa\xbb\x1a\0\x22\0";
        assert_eq!(&value[..], expected);
    }

    #[test]
    fn a_message_is_encoded_in_place() {
        let object = TypeMeta { api_version: "x".into(), kind: "y".into() };
        assert_eq!(encode("v1", "Pod", &object), wrap("v1", "Pod", &object.encode_to_vec()));
    }

    #[test]
    fn decoding_shares_the_bytes() {
        let value = wrap("v1", "Pod", &[7; 100]);
        let raw = decode(&value).unwrap().raw;
        assert!(value.as_ptr_range().contains(&raw.as_ptr()));
    }

    #[test]
    fn what_is_no_envelope_is_refused() {
        assert_eq!(decode(&Bytes::from_static(b"{}")), Err(Error::NoMagic));
        assert_eq!(decode(&Bytes::from_static(b"k8")), Err(Error::NoMagic));
        assert_eq!(decode(&Bytes::from_static(b"k8s\0")), Err(Error::NoType));
        assert!(matches!(decode(&Bytes::from_static(b"k8s\0\x12\x05abc")), Err(Error::Malformed(_))));
    }

    #[test]
    fn formats_are_told_apart() {
        assert_eq!(Format::of(b"k8s\0\x0a"), Some(Format::Protobuf));
        assert_eq!(Format::of(b"k8s:enc:aesgcm:v1:key1:"), Some(Format::Encrypted));
        assert_eq!(Format::of(b"{\"a\":1}"), Some(Format::Json));
        assert_eq!(Format::of(b""), None);
    }

    proptest! {
        #[test]
        fn every_envelope_comes_back(
            api_version in "[a-z/0-9.]{1,40}",
            kind in "[A-Z][A-Za-z]{0,30}",
            raw in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            let opened = decode(&wrap(&api_version, &kind, &raw)).unwrap();
            prop_assert_eq!((opened.api_version, opened.kind), (api_version, kind));
            prop_assert_eq!(&opened.raw[..], &raw[..]);
        }

        #[test]
        fn a_cut_envelope_never_passes_for_a_whole_one(cut in 0usize..70) {
            let whole = wrap("v1", "Pod", &[1; 64]);
            let object_end = whole.len() - 4;
            // The two empty fields at the end are optional: cutting exactly there loses nothing.
            prop_assume!(cut < object_end);
            prop_assert!(decode(&whole.slice(..cut)).is_err());
        }

        #[test]
        fn any_bytes_are_an_envelope_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&Bytes::from([&MAGIC[..], &bytes].concat()));
        }
    }
}
