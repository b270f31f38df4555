//! YAML events to JSON text, without a value in between.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::scalar::{Former, Source, former_bool, with_leading_zero};
use super::{Limits, YamlError, merge};

/// Writes one document of `text` as JSON.
pub(super) fn to_json(
    document: serde_yaml::Deserializer<'_>,
    text: &str,
    limits: &Limits,
) -> Result<Vec<u8>, YamlError> {
    let out = RefCell::new(Out { json: Vec::new(), nodes: 0 });
    let node = Node { out: &out, source: Source(text), limits, depth: 0 };
    node.deserialize(document).map_err(|error| YamlError::Invalid(error.to_string()))?;
    Ok(out.into_inner().json)
}

struct Out {
    json: Vec<u8>,
    nodes: usize,
}

#[derive(Clone, Copy)]
struct Node<'a> {
    out: &'a RefCell<Out>,
    source: Source<'a>,
    limits: &'a Limits,
    depth: usize,
}

/// A key: like a scalar, but always a string in JSON. A merge key writes nothing.
struct Key<'a>(Node<'a>);

/// What a key is.
#[derive(PartialEq, Eq)]
enum Written {
    Key,
    Merge,
}

impl Node<'_> {
    fn push<E: serde::de::Error>(self, text: &[u8]) -> Result<(), E> {
        let mut out = self.out.borrow_mut();
        out.json.extend_from_slice(text);
        if out.json.len() > self.limits.expanded_bytes {
            let limit = self.limits.expanded_bytes;
            return Err(E::custom(format!("with its aliases expanded it has more than {limit} bytes")));
        }
        Ok(())
    }

    fn count<E: serde::de::Error>(self) -> Result<(), E> {
        let mut out = self.out.borrow_mut();
        out.nodes += 1;
        if out.nodes > self.limits.nodes {
            let limit = self.limits.nodes;
            return Err(E::custom(format!("with its aliases expanded it has more than {limit} values")));
        }
        Ok(())
    }

    fn string<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.push(&serde_json::to_vec(text).map_err(E::custom)?)
    }

    /// What a plain scalar is although YAML 1.2 takes it for a string.
    fn former(self, borrowed: &str) -> Option<Former> {
        let number = || with_leading_zero(borrowed).map(Former::Number);
        let former = former_bool(borrowed).map(Former::Bool).or_else(number)?;
        self.source.is_plain(borrowed).then_some(former)
    }

    /// Adds to the mapping that begins at `start` what merge keys say and it does not have.
    fn merge<E: serde::de::Error>(
        self,
        start: usize,
        keys: &[Range<usize>],
        merged: &[Vec<u8>],
    ) -> Result<(), E> {
        let mut known: HashSet<Vec<u8>> =
            keys.iter().map(|key| self.out.borrow().json[key.clone()].to_vec()).collect();
        for json in merged {
            for (key, value) in merge::entries(json).map_err(E::custom)? {
                if known.contains(&key) {
                    continue;
                }
                self.count()?;
                if self.out.borrow().json.len() > start {
                    self.push(b",")?;
                }
                self.push(&key)?;
                self.push(b":")?;
                self.push(value)?;
                known.insert(key);
            }
        }
        Ok(())
    }

    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > self.limits.depth {
            return Err(E::custom(format!(
                "lists and mappings are nested more than {} deep",
                self.limits.depth
            )));
        }
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.push(if value { b"true" } else { b"false" })
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.push(value.to_string().as_bytes())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.push(value.to_string().as_bytes())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        let number = serde_json::Number::from_f64(value)
            .ok_or_else(|| E::custom("infinity and not-a-number have no place in JSON"))?;
        // Like upstream's conversion: 1.0 is the integer 1.
        let whole = value.fract() == 0.0 && value.abs() < 9e15;
        let text = if whole { format!("{value:.0}") } else { number.to_string() };
        self.push(text.as_bytes())
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.string(value)
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, value: &'de str) -> Result<(), E> {
        match self.former(value) {
            Some(Former::Number(number)) => self.visit_i64(number),
            Some(Former::Bool(value)) => self.visit_bool(value),
            None => self.string(value),
        }
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.push(b"null")
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<(), E> {
        self.push(b"null")
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        self.push(b"[")?;
        let mut separator: &[u8] = b"";
        while items.next_element_seed(After { node: inner, separator })?.is_some() {
            separator = b",";
        }
        self.push(b"]")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        self.push(b"{")?;
        let start = self.out.borrow().json.len();
        let (mut keys, mut merged) = (Vec::new(), Vec::new());
        loop {
            let before = self.out.borrow().json.len();
            if before > start {
                self.push(b",")?;
            }
            let key = self.out.borrow().json.len();
            match entries.next_key_seed(Key(inner))? {
                Some(Written::Key) => {
                    keys.push(key..self.out.borrow().json.len());
                    self.push(b":")?;
                    entries.next_value_seed(inner)?;
                }
                Some(Written::Merge) => {
                    // Its value is written where it stands, so that it counts, and then taken out.
                    entries.next_value_seed(inner)?;
                    let mut out = self.out.borrow_mut();
                    merged.push(out.json.split_off(key));
                    out.json.truncate(before);
                }
                None => {
                    self.out.borrow_mut().json.truncate(before);
                    if !merged.is_empty() {
                        self.merge(start, &keys, &merged)?;
                    }
                    return self.push(b"}");
                }
            }
        }
    }

    fn visit_enum<A: serde::de::EnumAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(A::Error::custom("tags like !Thing are not supported"))
    }
}

/// An item after a separator, which is written only where an item follows.
struct After<'a> {
    node: Node<'a>,
    separator: &'static [u8],
}

impl<'de> DeserializeSeed<'de> for After<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.node.push(self.separator)?;
        self.node.deserialize(deserializer)
    }
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Written;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Written, D::Error> {
        self.0.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar as the key of a mapping")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Written, E> {
        self.0.string(if value { "true" } else { "false" }).map(|()| Written::Key)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Written, E> {
        self.0.string(&value.to_string()).map(|()| Written::Key)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Written, E> {
        self.0.string(&value.to_string()).map(|()| Written::Key)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Written, E> {
        self.0.string(&value.to_string()).map(|()| Written::Key)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Written, E> {
        self.0.string(value).map(|()| Written::Key)
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, value: &'de str) -> Result<Written, E> {
        if value == "<<" && self.0.source.is_plain(value) {
            return Ok(Written::Merge);
        }
        match self.0.former(value) {
            Some(Former::Number(number)) => self.visit_i64(number),
            Some(Former::Bool(value)) => self.visit_bool(value),
            None => self.visit_str(value),
        }
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Written, E> {
        self.0.string("null").map(|()| Written::Key)
    }
}
