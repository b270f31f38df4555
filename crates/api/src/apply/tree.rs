//! Values as the walks see them, whatever they are written in.

use serde_json::Value;

use super::element::{Element, Name, Scalar};
use crate::schema::shape::{Items, KeyField, Struct, Type};

/// A value of a known type: JSON, or the encoded bytes of a message.
pub(super) trait Tree: Clone {
    /// Whether it is certainly equal to another one of the same type, as far as a glance tells.
    fn identical(&self, other: &Self) -> bool;

    /// Whether it is equal to another one of the same type.
    fn equals(&self, other: &Self, of: &Type) -> bool;

    /// Whether it is null.
    fn is_null(&self) -> bool;

    /// The fields of a struct, in the order of their names; `None` if it is no struct.
    fn fields<'t>(&self, of: &'t Struct) -> Option<Vec<Entry<'t, Self>>>;

    /// The entries of a map, in the order of their keys; `None` if it is no map.
    fn entries<'t>(&self, of: &'t Type) -> Option<Vec<Entry<'t, Self>>>;

    /// The items of a list; `None` if it is no list.
    fn items(&self) -> Option<Vec<Self>>;

    /// The scalar that it is.
    fn scalar(&self, of: &Type) -> Option<Scalar>;
}

/// A field of a struct, or an entry of a map.
pub(super) struct Entry<'t, T> {
    pub(super) name: Name,
    pub(super) value: T,
    pub(super) of: &'t Type,
    /// Whether the name is that of a field and no key of a map.
    pub(super) declared: bool,
}

/// The fields of a struct, or the entries of a map; `None` for everything else.
pub(super) fn children<'t, T: Tree>(value: &T, of: &'t Type) -> Option<Vec<Entry<'t, T>>> {
    match of {
        Type::Map { of, .. } => value.entries(of),
        Type::Deduced => value.entries(of),
        _ => value.fields(of.shape()?),
    }
}

/// Why an item of a list cannot be told apart from others.
pub(super) type ItemError = String;

/// The step that leads to an item of a list which is a set or a map.
pub(super) fn element<T: Tree>(item: &T, of: &Type, items: &Items) -> Result<Element, ItemError> {
    match items {
        Items::Set if item.is_null() => {
            Err("associative list without keys has an element that's an explicit null".to_owned())
        }
        Items::Set if item.items().is_some() => {
            Err("not supported: associative list with lists as elements".to_owned())
        }
        Items::Set => item
            .scalar(of)
            .map(Element::Value)
            .ok_or_else(|| "associative list without keys has an element that's a map type".to_owned()),
        Items::Keys(_) if item.is_null() => {
            Err("associative list with keys may not have a null element".to_owned())
        }
        Items::Keys(keys) => key(item, of, keys),
        // Walks do not go into atomic lists.
        Items::Atomic => Err("an atomic list has no elements of its own".to_owned()),
    }
}

fn key<T: Tree>(item: &T, of: &Type, keys: &[KeyField]) -> Result<Element, ItemError> {
    let not_a_map = || "associative list with keys may not have non-map elements".to_owned();
    let present = children(item, of).ok_or_else(not_a_map)?;
    let mut fields = Vec::with_capacity(keys.len());
    for KeyField { name, default } in keys {
        let value = present.iter().find(|entry| entry.name == *name);
        let value = match value {
            Some(entry) => entry.value.scalar(entry.of),
            None => default.clone(),
        };
        if let Some(value) = value {
            fields.push((name.clone(), value));
        }
    }
    if fields.is_empty() {
        let names: Vec<String> = keys.iter().map(|key| format!("{:?}", key.name)).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have default \
             values for any key fields)",
            names.join(" ")
        ));
    }
    Ok(Element::Key(fields))
}

impl Tree for &Value {
    fn identical(&self, other: &Self) -> bool {
        std::ptr::eq(*self, *other)
    }

    fn equals(&self, other: &Self, _: &Type) -> bool {
        same_json(self, other)
    }

    fn is_null(&self) -> bool {
        Value::is_null(self)
    }

    fn fields<'t>(&self, of: &'t Struct) -> Option<Vec<Entry<'t, Self>>> {
        static UNDECLARED: Type = Type::Any;
        let entry = |(name, value)| {
            let name: &String = name;
            match of.field(name) {
                Some(field) => Entry { name: field.name.clone(), value, of: &field.of, declared: true },
                None => {
                    let of = of.rest.as_ref().unwrap_or(&UNDECLARED);
                    Entry { name: Name::Owned(name.clone()), value, of, declared: false }
                }
            }
        };
        let mut entries: Vec<_> = self.as_object()?.iter().map(entry).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Some(entries)
    }

    fn entries<'t>(&self, of: &'t Type) -> Option<Vec<Entry<'t, Self>>> {
        let entries = self.as_object()?.iter();
        let entry = |(name, value): (&String, _)| Entry {
            name: Name::Owned(name.clone()),
            value,
            of,
            declared: false,
        };
        let mut entries: Vec<_> = entries.map(entry).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Some(entries)
    }

    fn items(&self) -> Option<Vec<Self>> {
        Some(self.as_array()?.iter().collect())
    }

    fn scalar(&self, _: &Type) -> Option<Scalar> {
        Scalar::of(self)
    }
}

/// Whether two JSON values say the same: numbers are compared by what they are worth.
pub(super) fn same_json(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_json(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same_json(a, b)))
        }
        _ => Scalar::of(a).zip(Scalar::of(b)).is_some_and(|(a, b)| a == b),
    }
}
