//! Sets as JSON: `{"f:spec":{"f:replicas":{}}}`.

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::element::{Element, Name, Scalar};
use super::set::Set;

/// No set is nested deeper.
const MAX_DEPTH: usize = 100;

impl Set {
    /// The set as the JSON of a `FieldsV1`.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        self.write(false, &mut out);
        out
    }

    fn write(&self, itself: bool, out: &mut Vec<u8>) {
        out.push(b'{');
        let mut first = true;
        let mut begin = |out: &mut Vec<u8>| {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
        };
        if itself && !self.is_empty() {
            begin(out);
            out.extend_from_slice(b"\".\":{}");
        }
        let (mut members, mut children) =
            (self.members().iter().peekable(), self.children().iter().peekable());
        loop {
            let order = match (members.peek(), children.peek()) {
                (Some(member), Some((child, _))) => (*member).cmp(child),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (None, None) => break,
            };
            let member = if order.is_le() { members.next() } else { None };
            let child = if order.is_ge() { children.next() } else { None };
            let Some(element) = member.or_else(|| child.map(|(element, _)| element)) else { break };
            begin(out);
            match element {
                // The most common one, without a detour.
                Element::Field(name) => {
                    out.extend_from_slice(b"\"f:");
                    write_escaped(name, out);
                    out.push(b'"');
                }
                element => write_string(&text(element), out),
            }
            out.push(b':');
            match child {
                Some((_, below)) => below.write(member.is_some(), out),
                None => out.extend_from_slice(b"{}"),
            }
        }
        out.push(b'}');
    }

    /// Reads the JSON of a `FieldsV1`.
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let (_, set) = Node { depth: 0 }.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(set)
    }
}

/// The names of the fields at the top of a set's JSON, without a look below them.
pub(super) fn top_fields(json: &[u8]) -> Result<Vec<&str>, serde_json::Error> {
    let keys = serde_json::Deserializer::from_slice(json).deserialize_map(Top)?;
    Ok(keys.into_iter().map(|key| key.strip_prefix("f:").unwrap_or(key)).collect())
}

/// Reads the keys of an object.
struct Top;

impl<'de> Visitor<'de> for Top {
    type Value = Vec<&'de str>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object whose fields are elements of paths")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::with_capacity(4);
        while let Some((key, IgnoredAny)) = entries.next_entry()? {
            all.push(key);
        }
        Ok(all)
    }
}

/// A text as JSON. Most are plain, so that nothing has to be escaped.
fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    write_escaped(text, out);
    out.push(b'"');
}

fn write_escaped(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
}

/// A step as it stands in the JSON of a set.
fn text(element: &Element) -> String {
    match element {
        Element::Field(name) => format!("f:{name}"),
        Element::Value(value) => format!("v:{}", value.to_json()),
        Element::Index(index) => format!("i:{index}"),
        Element::Key(fields) => {
            let mut out = b"k:{".to_vec();
            for (i, (name, value)) in fields.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_string(name, &mut out);
                out.push(b':');
                match value {
                    Scalar::String(text) => write_string(text, &mut out),
                    other => out.extend_from_slice(other.to_json().to_string().as_bytes()),
                }
            }
            out.push(b'}');
            String::from_utf8_lossy(&out).into_owned()
        }
    }
}

/// Reads a step; `None` is `.`, the node itself.
fn parse(text: &str) -> Result<Option<Element>, String> {
    if text == "." {
        return Ok(None);
    }
    let wrong = |why: &str| format!("{text:?} is no element of a path: {why}");
    let scalar = |json: &Value| Scalar::of(json).ok_or_else(|| wrong("its value must be a scalar"));
    let (kind, rest) = text.split_once(':').ok_or_else(|| wrong("it must begin with f:, k:, v: or i:"))?;
    let element = match kind {
        "f" => Element::Field(Name::Owned(rest.to_owned())),
        "i" => Element::Index(rest.parse().map_err(|_| wrong("its index must be a number"))?),
        "v" => {
            let value: Value = serde_json::from_str(rest).map_err(|_| wrong("its value must be JSON"))?;
            Element::Value(scalar(&value)?)
        }
        "k" => {
            let fields: serde_json::Map<String, Value> =
                serde_json::from_str(rest).map_err(|_| wrong("its key must be a JSON object"))?;
            let fields = fields.into_iter().map(|(name, value)| Ok((Name::Owned(name), scalar(&value)?)));
            let mut fields = fields.collect::<Result<Vec<_>, String>>()?;
            fields.sort();
            Element::Key(fields)
        }
        _ => return Err(wrong("it must begin with f:, k:, v: or i:")),
    };
    Ok(Some(element))
}

/// Reads a node: whether it is in the set itself, and what is below it.
struct Node {
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Node {
    type Value = (bool, Set);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Node {
    type Value = (bool, Set);

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object whose fields are elements of paths")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        if self.depth > MAX_DEPTH {
            return Err(A::Error::custom(format!("the set is nested more than {MAX_DEPTH} levels deep")));
        }
        let (mut itself, mut empty) = (false, true);
        let (mut members, mut children) = (Vec::new(), Vec::new());
        while let Some(step) = entries.next_key_seed(Key)? {
            empty = false;
            match step {
                None => {
                    entries.next_value::<IgnoredAny>()?;
                    itself = true;
                }
                Some(element) => {
                    let (member, below) = entries.next_value_seed(Node { depth: self.depth + 1 })?;
                    if member {
                        members.push(element.clone());
                    }
                    children.push((element, below));
                }
            }
        }
        // A node without anything is in the set; one with something is if it says so.
        Ok((itself || empty, Set::from_parts(members, children)))
    }
}

/// Reads a key of a node: a step, or the node itself.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<Element>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<Element>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an element of a path")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        parse(text).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(json: &str) -> String {
        String::from_utf8(Set::from_json(json.as_bytes()).unwrap().to_json()).unwrap()
    }

    #[test]
    fn sets_read_what_they_write() {
        for json in [
            "{}",
            r#"{"f:spec":{"f:replicas":{}}}"#,
            r#"{"f:metadata":{"f:labels":{".":{},"f:app":{}}}}"#,
            r#"{"f:a":{},"k:{\"name\":\"c\"}":{".":{},"f:image":{}},"v:\"x\"":{},"v:true":{},"i:3":{}}"#,
            r#"{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{"f:name":{}}}"#,
            r#"{"f:quote\"and\\slash":{}}"#,
        ] {
            assert_eq!(again(json), json);
        }
    }

    #[test]
    fn order_and_spelling_do_not_matter() {
        assert_eq!(again(r#"{"f:b":{},"f:a":{".":{}}}"#), r#"{"f:a":{},"f:b":{}}"#);
        assert_eq!(
            again(r#"{"k:{\"protocol\":\"TCP\",\"port\":1}":{}}"#),
            r#"{"k:{\"port\":1,\"protocol\":\"TCP\"}":{}}"#
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for json in
            ["[]", r#"{"spec":{}}"#, r#"{"i:x":{}}"#, r#"{"v:[1]":{}}"#, r#"{"k:1":{}}"#, r#"{"f:a":1}"#]
        {
            assert!(Set::from_json(json.as_bytes()).is_err(), "{json}");
        }
        let deep = format!("{}{}", r#"{"f:a":"#.repeat(120), "}".repeat(120));
        assert!(Set::from_json(deep.as_bytes()).is_err());
    }
}
