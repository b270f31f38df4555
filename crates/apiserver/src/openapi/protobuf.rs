//! OpenAPI documents in protobuf, as gnostic lays them out and client-go reads them: JSON values are written by tables of
//! field numbers.

mod v2;
mod v3;

use prost::encoding::{WireType, encoded_len_varint, key_len};
use prost::encoding::{encode_key, encode_varint};
use serde_json::Value;

pub(super) use v2::DOCUMENT as V2;
pub(super) use v3::DOCUMENT as V3;

/// A message, as it is made from a JSON value.
pub(crate) enum Message {
    /// Of an object with known names; those that begin with `x-` are extensions.
    Fields {
        /// The known names.
        fields: &'static [Field],
        /// The number of the extensions; 0 where there are none.
        extensions: u32,
    },
    /// Of an object with any names: an entry is a message of its name and its value.
    Map {
        /// The number of the entries.
        entries: u32,
        /// What a value is.
        value: &'static Message,
    },
    /// One of several, by what the value looks like: its number, and what it is.
    Choice(fn(&Value) -> (u32, Type)),
    /// The value, or each of an array, as a field of this number.
    Wrapper(u32, &'static Type),
}

/// A field: its name in JSON, its number, what its value is.
pub(crate) struct Field(pub(crate) &'static str, pub(crate) u32, pub(crate) Type);

/// What a value is.
#[derive(Clone, Copy)]
pub(crate) enum Type {
    /// A text.
    Text,
    /// A boolean.
    Bool,
    /// A number.
    Double,
    /// Any value in a message of its own, as YAML, of which JSON is a part.
    Any,
    /// The text of that.
    Json,
    /// Not written.
    Nothing,
    /// A message. An array repeats it.
    Message(&'static Message),
}

/// The bytes of a value.
pub(crate) fn encode(message: &Message, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(message, value, &mut out);
    out
}

fn write(message: &Message, value: &Value, out: &mut Vec<u8>) {
    match message {
        Message::Fields { fields, extensions } => {
            for field in *fields {
                if let Some(value) = value.get(field.0) {
                    put(field.1, &field.2, value, out);
                }
            }
            for (name, value) in value.as_object().into_iter().flatten() {
                if name.starts_with("x-") && *extensions > 0 {
                    put_entry(*extensions, name, &Type::Any, value, out);
                }
            }
        }
        Message::Map { entries, value: of_value } => {
            for (name, value) in value.as_object().into_iter().flatten() {
                put_entry(*entries, name, &Type::Message(of_value), value, out);
            }
        }
        Message::Choice(choose) => {
            let (number, r#type) = choose(value);
            put(number, &r#type, value, out);
        }
        Message::Wrapper(number, r#type) => put(*number, r#type, value, out),
    }
}

/// A field; an array repeats it.
fn put(number: u32, r#type: &Type, value: &Value, out: &mut Vec<u8>) {
    // What wraps a list takes it whole.
    let whole = matches!(r#type, Type::Any | Type::Message(Message::Wrapper(..)));
    if let (Some(values), false) = (value.as_array(), whole) {
        for value in values {
            put_one(number, r#type, value, out);
        }
    } else {
        put_one(number, r#type, value, out);
    }
}

fn put_one(number: u32, r#type: &Type, value: &Value, out: &mut Vec<u8>) {
    match r#type {
        Type::Text => put_bytes(number, value.as_str().unwrap_or_default().as_bytes(), out),
        Type::Bool => {
            encode_key(number, WireType::Varint, out);
            encode_varint(u64::from(value.as_bool().unwrap_or_default()), out);
        }
        Type::Double => {
            encode_key(number, WireType::SixtyFourBit, out);
            out.extend_from_slice(&value.as_f64().unwrap_or_default().to_le_bytes());
        }
        Type::Any => {
            let mut any = Vec::new();
            put_one(2, &Type::Json, value, &mut any);
            put_bytes(number, &any, out);
        }
        Type::Json => put_bytes(number, value.to_string().as_bytes(), out),
        Type::Nothing => {}
        Type::Message(message) => put_bytes(number, &encode(message, value), out),
    }
}

fn put_entry(number: u32, name: &str, r#type: &Type, value: &Value, out: &mut Vec<u8>) {
    let mut entry = Vec::new();
    put_bytes(1, name.as_bytes(), &mut entry);
    put_one(2, r#type, value, &mut entry);
    put_bytes(number, &entry, out);
}

fn put_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(key_len(number) + encoded_len_varint(bytes.len() as u64) + bytes.len());
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_of_version_2() {
        let document = json!({"definitions": {"A": {"type": "object", "x-kubernetes-list-type": "set"}}});
        let schema =
            b"\xb2\x01\x08\n\x06object\xfa\x01\x21\n\x16x-kubernetes-list-type\x12\x07\x12\x05\"set\"";
        let mut wanted = b"\x4a".to_vec();
        let entry_len = 3 + 2 + schema.len();
        wanted.push(u8::try_from(entry_len + 2).unwrap());
        wanted.extend_from_slice(b"\x0a");
        wanted.push(u8::try_from(entry_len).unwrap());
        wanted.extend_from_slice(b"\x0a\x01A\x12");
        wanted.push(u8::try_from(schema.len()).unwrap());
        wanted.extend_from_slice(schema);
        assert_eq!(encode(&V2, &document), wanted);
    }

    #[test]
    fn references_and_schemas_of_version_3() {
        let document = json!({"components": {"schemas": {"A": {"$ref": "#/x"}}}});
        assert_eq!(encode(&V3, &document), expected(2, b"\n\x03#/x"));
        let document = json!({"components": {"schemas": {"A": {"default": {}, "enum": ["b", 1]}}}});
        let schema = b"\xc2\x01\x05\x12\x03\"b\"\xc2\x01\x03\x12\x011\x8a\x02\x00";
        assert_eq!(encode(&V3, &document), expected(1, schema));
    }

    fn expected(chosen: u32, inner: &[u8]) -> Vec<u8> {
        let mut choice = Vec::new();
        put_bytes(chosen, inner, &mut choice);
        let mut entry = Vec::new();
        put_bytes(1, b"A", &mut entry);
        put_bytes(2, &choice, &mut entry);
        let mut schemas = Vec::new();
        put_bytes(1, &entry, &mut schemas);
        let mut components = Vec::new();
        put_bytes(1, &schemas, &mut components);
        let mut document = Vec::new();
        put_bytes(5, &components, &mut document);
        document
    }
}
