//! Encoded messages as values: nothing is decoded but what a walk looks at.

use super::element::{Name, Scalar};
use super::tree::{Entry, Tree, children};
use crate::schema::shape::{Numbers, Slot, Struct, Type};

/// A value in the bytes of a message, as this crate encodes it: what occurs once is there once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Wire<'a> {
    /// Not in the bytes, but in every object of upstream: an empty struct, a zero, or null.
    Zero,
    /// A number, or a flag.
    Varint(u64),
    /// A number with eight or four bytes.
    Fixed(u64),
    /// A text or a message.
    Bytes(&'a [u8]),
    /// The items of a list.
    List(Vec<Wire<'a>>),
    /// The entries of a map.
    Map(Vec<(&'a [u8], Wire<'a>)>),
}

impl<'a> Wire<'a> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Zero | Self::Varint(0) | Self::Fixed(0) => true,
            Self::Varint(_) | Self::Fixed(_) => false,
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Map(entries) => entries.is_empty(),
        }
    }
}

impl Tree for Wire<'_> {
    fn identical(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Zero, Self::Zero) => true,
            (Self::List(_) | Self::Map(_), Self::List(_) | Self::Map(_)) => self == other,
            _ => false,
        }
    }

    fn equals(&self, other: &Self, of: &Type) -> bool {
        if self == other || (self.is_empty() && other.is_empty()) {
            return true;
        }
        match of {
            // Other encoders may write the same fields in another order, or write what is zero.
            Type::Struct(_) | Type::Map { .. } => same_entries(children(self, of), children(other, of)),
            Type::List { of, .. } => {
                let (Self::List(a), Self::List(b)) = (self, other) else { return false };
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b, of))
            }
            _ => false,
        }
    }

    // Empty structs are no nulls; a list or map that nothing is in was none.
    fn is_null(&self) -> bool {
        false
    }

    fn fields<'t>(&self, of: &'t Struct) -> Option<Vec<Entry<'t, Self>>> {
        let bytes: &[u8] = match self {
            Self::Bytes(bytes) => bytes,
            Self::Zero => &[],
            _ => return None,
        };
        let mut found = Vec::new();
        found.resize_with(of.fields.len(), || None);
        collect(of, &of.numbers, bytes, &mut found);
        let mut entries = Vec::with_capacity(found.iter().flatten().count() + 4);
        for (field, value) in of.fields.iter().zip(found) {
            let value = match value {
                Some(value) => value,
                None if field.always => Self::Zero,
                None => continue,
            };
            entries.push(Entry { name: field.name.clone(), value, of: &field.of, declared: true });
        }
        Some(entries)
    }

    fn entries<'t>(&self, of: &'t Type) -> Option<Vec<Entry<'t, Self>>> {
        let Self::Map(entries) = self else { return None };
        let entry = |(key, value): &(&[u8], Self)| Entry {
            name: Name::Owned(String::from_utf8_lossy(key).into_owned()),
            value: value.clone(),
            of,
            declared: false,
        };
        let mut entries: Vec<_> = entries.iter().map(entry).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Some(entries)
    }

    fn items(&self) -> Option<Vec<Self>> {
        let Self::List(items) = self else { return None };
        Some(items.clone())
    }

    fn scalar(&self, of: &Type) -> Option<Scalar> {
        let text = |bytes: &[u8]| Scalar::String(String::from_utf8_lossy(bytes).into_owned().into());
        match (of, self) {
            (Type::String, Self::Bytes(bytes)) => Some(text(bytes)),
            (Type::String, Self::Zero) => Some(text(&[])),
            (Type::Bool, Self::Varint(value)) => Some(Scalar::Bool(*value != 0)),
            (Type::Bool, Self::Zero) => Some(Scalar::Bool(false)),
            // Negative numbers are written in ten bytes, so that the bits are those of an i64.
            (Type::Number, Self::Varint(value)) => Some(Scalar::Int(value.cast_signed())),
            (Type::Number, Self::Fixed(value)) => Some(Scalar::Float(f64::from_bits(*value))),
            (Type::Number, Self::Zero) => Some(Scalar::Int(0)),
            _ => None,
        }
    }
}

fn same_entries(a: Option<Vec<Entry<'_, Wire<'_>>>>, b: Option<Vec<Entry<'_, Wire<'_>>>>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return false };
    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.name == b.name && a.value.equals(&b.value, a.of))
}

/// Puts the fields in `bytes` where they belong.
fn collect<'a>(of: &Struct, numbers: &Numbers, bytes: &'a [u8], found: &mut [Option<Wire<'a>>]) {
    let mut rest = bytes;
    while let Some((number, value)) = next(&mut rest) {
        match numbers.get(number) {
            Some(Slot::Field(at)) => put(&of.fields[*at].of, value, &mut found[*at]),
            Some(Slot::Inline(inlined)) => {
                if let Wire::Bytes(bytes) = value {
                    collect(of, inlined, bytes, found);
                }
            }
            None => {}
        }
    }
}

fn put<'a>(of: &Type, value: Wire<'a>, slot: &mut Option<Wire<'a>>) {
    match of {
        Type::List { of, .. } => {
            if !matches!(slot, Some(Wire::List(_))) {
                *slot = Some(Wire::List(Vec::with_capacity(2)));
            }
            let Some(Wire::List(items)) = slot else { return };
            match (&**of, value) {
                // Numbers may be packed.
                (Type::Number | Type::Bool, Wire::Bytes(mut packed)) => {
                    while let Some(number) = varint(&mut packed) {
                        items.push(Wire::Varint(number));
                    }
                }
                (_, value) => items.push(value),
            }
        }
        Type::Map { of, .. } => {
            if !matches!(slot, Some(Wire::Map(_))) {
                *slot = Some(Wire::Map(Vec::with_capacity(4)));
            }
            if let (Some(Wire::Map(entries)), Wire::Bytes(entry)) = (slot, value) {
                entries.push(map_entry(of, entry));
            }
        }
        _ => *slot = Some(value),
    }
}

fn map_entry<'a>(of: &Type, mut bytes: &'a [u8]) -> (&'a [u8], Wire<'a>) {
    let (mut key, mut value): (&[u8], _) = (&[], None);
    while let Some((number, found)) = next(&mut bytes) {
        match (number, found) {
            (1, Wire::Bytes(bytes)) => key = bytes,
            (2, found) => value = Some(found),
            _ => {}
        }
    }
    let empty = match of {
        Type::String => Wire::Bytes(&[]),
        _ => Wire::Zero,
    };
    (key, value.unwrap_or(empty))
}

/// The next field of a message; `None` at its end, or where it is broken off.
pub(crate) fn next<'a>(bytes: &mut &'a [u8]) -> Option<(u32, Wire<'a>)> {
    let tag = varint(bytes)?;
    let number = u32::try_from(tag >> 3).ok()?;
    let value = match tag & 7 {
        0 => Wire::Varint(varint(bytes)?),
        1 => Wire::Fixed(u64::from_le_bytes(*take(bytes, 8)?.first_chunk()?)),
        2 => {
            let len = usize::try_from(varint(bytes)?).ok()?;
            Wire::Bytes(take(bytes, len)?)
        }
        5 => Wire::Fixed(u32::from_le_bytes(*take(bytes, 4)?.first_chunk()?).into()),
        _ => return None,
    };
    Some((number, value))
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
