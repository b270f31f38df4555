//! A deserializer without input: it gives every field that a type asks for a value, and remembers the fields.

use std::collections::BTreeSet;

use serde::de::value::{BorrowedStrDeserializer, Error};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

/// A string, and valid base64.
const TEXT: &str = "eA==";

/// Populates a type.
pub(crate) struct Tracer<'a> {
    /// Type and field of every field that was asked for.
    pub(crate) seen: BTreeSet<(&'static str, &'static str)>,
    /// Fields that are not given, by type and name.
    pub(crate) without: &'a [(&'a str, &'a str)],
    newtype: &'static str,
    /// The field whose value is asked for.
    field: &'static str,
    /// The types that are being made: one within itself gets no fields.
    within: Vec<&'static str>,
}

/// Fields of a schema whose value is a schema or something simpler.
const SCHEMA_OR: [&str; 4] = ["items", "additionalItems", "additionalProperties", "dependencies"];

impl<'a> Tracer<'a> {
    pub(crate) fn new(without: &'a [(&'a str, &'a str)]) -> Self {
        Self { seen: BTreeSet::new(), without, newtype: "", field: "", within: Vec::new() }
    }
}

impl<'de> Deserializer<'de> for &mut Tracer<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.newtype {
            "RawExtension" | "FieldsV1" | "JSON" => visitor.visit_map(Entry { tracer: self, left: 1 }),
            "Quantity" => visitor.visit_str("1"),
            // Any JSON for the judge, a message without fields for us.
            "CustomResourceSubresourceStatus" => visitor.visit_map(Entry { tracer: self, left: 0 }),
            _ if SCHEMA_OR.contains(&self.field) => visitor.visit_map(Entry { tracer: self, left: 0 }),
            _ => visitor.visit_str("25%"),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(true)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_i32(1)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_i64(1)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(1.0)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(match self.newtype {
            "Time" => "2024-01-01T00:00:00Z",
            "MicroTime" => "2024-01-01T00:00:00.000001Z",
            _ => TEXT,
        })
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.newtype = name;
        let value = visitor.visit_newtype_struct(&mut *self);
        self.newtype = "";
        value
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Item { tracer: self, left: 1 })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(Entry { tracer: self, left: 1 })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let again = self.within.contains(&name);
        self.within.push(name);
        let value = visitor.visit_map(Struct {
            tracer: &mut *self,
            name,
            field: "",
            fields: if again { [].iter() } else { fields.iter() },
            object: fields.contains(&"metadata"),
        });
        self.within.pop();
        value
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u8 u16 u32 u64 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct enum identifier
        ignored_any
    }
}

struct Item<'t, 'a> {
    tracer: &'t mut Tracer<'a>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Item<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.tracer).map(Some)
    }
}

struct Entry<'t, 'a> {
    tracer: &'t mut Tracer<'a>,
    left: usize,
}

impl<'de> MapAccess<'de> for Entry<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(BorrowedStrDeserializer::new("key")).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        if self.tracer.newtype.is_empty() {
            return seed.deserialize(&mut *self.tracer);
        }
        seed.deserialize(BorrowedStrDeserializer::new(TEXT))
    }
}

struct Struct<'t, 'a> {
    tracer: &'t mut Tracer<'a>,
    name: &'static str,
    field: &'static str,
    fields: std::slice::Iter<'static, &'static str>,
    object: bool,
}

impl<'de> MapAccess<'de> for Struct<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        for &field in self.fields.by_ref() {
            self.tracer.seen.insert((self.name, field));
            // Objects want the one right kind and version, and may as well have none.
            let envelope = self.object && matches!(field, "kind" | "apiVersion");
            if !envelope && !self.tracer.without.contains(&(self.name, field)) {
                self.field = field;
                return seed.deserialize(BorrowedStrDeserializer::new(field)).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        self.tracer.field = self.field;
        seed.deserialize(&mut *self.tracer).map_err(|error| Error::custom(format!("{}: {error}", self.name)))
    }
}
