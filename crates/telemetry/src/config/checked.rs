//! A deserializer over a YAML value that knows where it is and which keys a struct has.

use std::cell::RefCell;

use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_yaml::{Error, Mapping, Value};

/// Similarity from which a known name is offered as what was meant.
const NEAR: f64 = 0.75;

/// Reads `value` as a `T`; every unknown key and the first wrong value are returned as texts with their paths.
pub(super) fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, Vec<String>> {
    let problems = RefCell::new(Vec::new());
    let wrong_at = RefCell::new(None);
    let result =
        T::deserialize(Node { value, path: String::new(), problems: &problems, wrong_at: &wrong_at });
    let mut problems = problems.into_inner();
    match result {
        Ok(read) if problems.is_empty() => Ok(read),
        Ok(_) => Err(problems),
        Err(error) => {
            problems.push(match wrong_at.into_inner() {
                Some(path) if !path.is_empty() => format!("{path}: {error}"),
                _ => error.to_string(),
            });
            Err(problems)
        }
    }
}

struct Node<'a> {
    value: &'a Value,
    path: String,
    problems: &'a RefCell<Vec<String>>,
    wrong_at: &'a RefCell<Option<String>>,
}

impl<'a> Node<'a> {
    fn child(&self, value: &'a Value, step: &str) -> Self {
        let dot = if self.path.is_empty() || step.starts_with('[') { "" } else { "." };
        Self { value, path: format!("{}{dot}{step}", self.path), ..*self }
    }

    fn note<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        note(self.wrong_at, &self.path, result)
    }

    fn check_keys(&self, map: &Mapping, known: &[&str]) {
        for key in map.keys().map(key_text).filter(|key| !known.contains(&key.as_str())) {
            let dot = if self.path.is_empty() { "" } else { "." };
            let hint = match nearest(&key, known) {
                Some(name) => format!("did you mean {name:?}?"),
                None => format!("known: {}", known.join(", ")),
            };
            self.problems.borrow_mut().push(format!("unknown field \"{}{dot}{key}\" ({hint})", self.path));
        }
    }
}

/// Remembers the innermost place at which reading failed: that one is noted first.
fn note<T>(wrong_at: &RefCell<Option<String>>, path: &str, result: Result<T, Error>) -> Result<T, Error> {
    if result.is_err() {
        wrong_at.borrow_mut().get_or_insert_with(|| path.to_owned());
    }
    result
}

fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let lower = key.to_lowercase();
    known
        .iter()
        .map(|name| (strsim::jaro_winkler(&lower, &name.to_lowercase()), *name))
        .filter(|(similarity, _)| *similarity >= NEAR)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

fn key_text(key: &Value) -> String {
    match key {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        other => format!("{other:?}"),
    }
}

impl<'de> Deserializer<'de> for Node<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Mapping(map) => visitor.visit_map(Entries::new(&self, map)),
            Value::Sequence(items) => visitor.visit_seq(Items { parent: &self, items, next: 0 }),
            scalar => self.note(scalar.clone().deserialize_any(visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.value {
            Value::Mapping(map) => {
                self.check_keys(map, fields);
                visitor.visit_map(Entries::new(&self, map))
            }
            // An empty document or section: every field has its default or is reported as missing.
            Value::Null => visitor.visit_map(Entries::new(&self, &Mapping::new())),
            _ => self.note(Err(Error::invalid_type(Unexpected::Other("a scalar or list"), &visitor))),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let variant = match self.value {
            Value::Mapping(map) if map.len() == 1 => {
                map.iter().next().map(|(key, value)| (key_text(key), Some(value)))
            }
            Value::String(text) => Some((text.clone(), None)),
            _ => None,
        };
        let Some((name, content)) = variant else {
            return self.note(Err(Error::custom("expected a name, or a mapping with one key")));
        };
        let content = content.map(|value| self.child(value, &name));
        self.note(visitor.visit_enum(Choice { name, content }))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map identifier ignored_any
    }
}

struct Entries<'p, 'a> {
    parent: &'p Node<'a>,
    entries: Vec<(String, Node<'a>)>,
    value: Option<Node<'a>>,
}

impl<'p, 'a> Entries<'p, 'a> {
    fn new(parent: &'p Node<'a>, map: &'a Mapping) -> Self {
        let mut entries: Vec<_> = map
            .iter()
            .map(|(key, value)| {
                let key = key_text(key);
                let node = parent.child(value, &key);
                (key, node)
            })
            .collect();
        entries.reverse();
        Self { parent, entries, value: None }
    }
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.entries.pop() else { return Ok(None) };
        self.value = Some(value);
        let key: StringDeserializer<Error> = key.into_deserializer();
        self.parent.note(seed.deserialize(key)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let value = self.value.take().ok_or_else(|| Error::custom("a value without its key"))?;
        let (path, wrong_at) = (value.path.clone(), value.wrong_at);
        note(wrong_at, &path, seed.deserialize(value))
    }
}

struct Items<'p, 'a> {
    parent: &'p Node<'a>,
    items: &'a [Value],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let Some(item) = self.items.get(self.next) else { return Ok(None) };
        let step = format!("[{}]", self.next);
        self.next += 1;
        let item = self.parent.child(item, &step);
        let path = item.path.clone();
        note(self.parent.wrong_at, &path, seed.deserialize(item)).map(Some)
    }
}

struct Choice<'a> {
    name: String,
    content: Option<Node<'a>>,
}

impl<'de, 'a> EnumAccess<'de> for Choice<'a> {
    type Error = Error;
    type Variant = Content<'a>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Content<'a>), Error> {
        let name: StringDeserializer<Error> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, Content(self.content)))
    }
}

struct Content<'a>(Option<Node<'a>>);

impl<'de> VariantAccess<'de> for Content<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.0 {
            None => Ok(()),
            Some(_) => Err(Error::custom("takes no value")),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.0.ok_or_else(|| Error::custom("needs a value"))?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Error> {
        self.0.ok_or_else(|| Error::custom("needs a list"))?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.ok_or_else(|| Error::custom("needs a mapping"))?.deserialize_struct("", fields, visitor)
    }
}
