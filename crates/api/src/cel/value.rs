//! Values of expressions. What comes from an object is borrowed from its JSON.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value as Json;

use super::{Budget, Error, failed};

/// A value.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Text<'a>),
    Bytes(Arc<[u8]>),
    List(List<'a>),
    Map(Map<'a>),
    Timestamp(jiff::Timestamp),
    /// In nanoseconds.
    Duration(i128),
    /// The name of a type.
    Type(&'static str),
    Optional(Option<Arc<Value<'a>>>),
    /// In billionths.
    Quantity(i128),
    Ip(IpAddr),
    /// An address and how many of its bits are fixed.
    Cidr(IpAddr, u8),
    Url(Arc<super::library::Url>),
    /// A format by its name.
    Format(&'static str),
    /// What an expression makes, of a type that only expressions have.
    Object(Arc<super::object::Made<'a>>),
    /// A question of what somebody may.
    Authorizer(Arc<super::authorizer::Chain>),
    /// What could not be worked out, and why. Only who looks at it learns that.
    Failed(Arc<str>),
}

/// A text, of an object or made.
#[derive(Debug, Clone)]
pub(crate) enum Text<'a> {
    Of(&'a str),
    Made(Arc<str>),
}

/// A list, of an object or made.
#[derive(Debug, Clone)]
pub(crate) enum List<'a> {
    Of(&'a [Json]),
    Made(Arc<Vec<Value<'a>>>),
}

/// A map, of an object or made.
#[derive(Debug, Clone)]
pub(crate) enum Map<'a> {
    Of(&'a serde_json::Map<String, Json>),
    Made(Arc<Vec<(Value<'a>, Value<'a>)>>),
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Of(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl<'a> List<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Of(items) => items.len(),
            Self::Made(items) => items.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<Value<'a>> {
        match self {
            Self::Of(items) => items.get(index).map(Value::of),
            Self::Made(items) => items.get(index).cloned(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Value<'a>> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

impl<'a> Map<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Of(fields) => fields.len(),
            Self::Made(entries) => entries.len(),
        }
    }

    pub(super) fn get(&self, key: &Value<'_>) -> Option<Value<'a>> {
        match (self, key) {
            (Self::Of(fields), Value::Text(key)) => fields.get(key.as_str()).map(Value::of),
            (Self::Of(_), _) => None,
            (Self::Made(entries), key) => {
                entries.iter().find(|(found, _)| found.equals(key)).map(|(_, value)| value.clone())
            }
        }
    }

    pub(super) fn entries(&self) -> Vec<(Value<'a>, Value<'a>)> {
        match self {
            Self::Of(fields) => {
                let entry =
                    |(key, value): (&'a String, &'a Json)| (Value::Text(Text::Of(key)), Value::of(value));
                fields.iter().map(entry).collect()
            }
            Self::Made(entries) => entries.to_vec(),
        }
    }
}

impl<'a> Value<'a> {
    /// The value of JSON.
    pub(crate) fn of(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(number) => Self::Int(number),
                None => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::Text(Text::Of(text)),
            Json::Array(items) => Self::List(List::Of(items)),
            Json::Object(fields) => Self::Map(Map::Of(fields)),
        }
    }

    pub(crate) fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(Text::Made(text.into()))
    }

    pub(super) fn list(items: Vec<Self>) -> Self {
        Self::List(List::Made(Arc::new(items)))
    }

    /// A map of entries.
    pub(crate) fn map(entries: Vec<(Self, Self)>) -> Self {
        Self::Map(Map::Made(Arc::new(entries)))
    }

    /// A value that could not be worked out.
    pub(crate) fn failed(why: impl Into<Arc<str>>) -> Self {
        Self::Failed(why.into())
    }

    /// A value that may be missing.
    pub(crate) fn optional(value: Option<Self>) -> Self {
        Self::Optional(value.map(Arc::new))
    }

    /// The text, where it is one.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// About how much it takes to look at the whole value once.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.as_str().len() / 10 + 1,
            Self::Bytes(bytes) => bytes.len() / 10 + 1,
            Self::List(items) => items.len() + 1,
            Self::Map(entries) => entries.len() + 1,
            Self::Object(made) => made.fields.len() + 1,
            _ => 1,
        }
    }

    /// How many entries are looked through to find the one of a key; one where they are in order.
    pub(super) fn entries_to_search(&self) -> usize {
        match self {
            Self::Map(Map::Made(entries)) => entries.len(),
            Self::Optional(Some(of)) => of.entries_to_search(),
            _ => 1,
        }
    }

    /// What expressions call its type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Type(_) => "type",
            Self::Optional(_) => "optional_type",
            Self::Quantity(_) => "kubernetes.Quantity",
            Self::Ip(_) => "net.IP",
            Self::Cidr(..) => "net.CIDR",
            Self::Url(_) => "kubernetes.URL",
            Self::Format(_) => "kubernetes.NamedFormat",
            Self::Object(_) => "Object",
            Self::Authorizer(of) => of.type_name(),
            Self::Failed(_) => "error",
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Uint(number) => Some(*number as f64),
            Self::Double(number) => Some(*number),
            _ => None,
        }
    }

    /// The instant, of a time or of a text that is one: schemas say which texts are times, and JSON does not.
    pub(super) fn instant(&self) -> Option<jiff::Timestamp> {
        match self {
            Self::Timestamp(time) => Some(*time),
            Self::Text(text) => text.as_str().parse().ok(),
            _ => None,
        }
    }

    /// The nanoseconds, of a duration or of a text that is one.
    pub(super) fn nanos(&self) -> Option<i128> {
        match self {
            Self::Duration(nanos) => Some(*nanos),
            Self::Text(text) => super::library::duration(text.as_str()),
            _ => None,
        }
    }

    /// Whether two values are equal; those of different types are not, save numbers.
    pub(super) fn equals(&self, other: &Value<'_>) -> bool {
        match (self, other) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(a), Value::Bool(b)) => a == b,
            (Self::Text(a), Value::Text(b)) => a.as_str() == b.as_str(),
            (Self::Bytes(a), Value::Bytes(b)) => a == b,
            (Self::Type(a), Value::Type(b)) | (Self::Format(a), Value::Format(b)) => a == b,
            (Self::Ip(a), Value::Ip(b)) => a == b,
            (Self::Cidr(a, x), Value::Cidr(b, y)) => a == b && x == y,
            (Self::Url(a), Value::Url(b)) => a == b,
            (Self::List(a), Value::List(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.equals(&b))
            }
            (Self::Map(a), Value::Map(b)) => {
                a.len() == b.len()
                    && a.entries()
                        .iter()
                        .all(|(key, value)| b.get(key).is_some_and(|found| value.equals(&found)))
            }
            (Self::Object(a), Value::Object(b)) => {
                let same = |(name, value): &(String, Value<'_>)| {
                    b.get(name).is_some_and(|found| value.equals(found))
                };
                a.name == b.name && a.fields.len() == b.fields.len() && a.fields.iter().all(same)
            }
            (Self::Optional(a), Value::Optional(b)) => match (a, b) {
                (Some(a), Some(b)) => a.equals(b),
                (a, b) => a.is_none() && b.is_none(),
            },
            (a, b) => a.compare(b) == Some(Ordering::Equal),
        }
    }

    /// The order of two values, where they have one.
    pub(super) fn compare(&self, other: &Value<'_>) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            (Self::Int(a), Value::Int(b)) => Some(a.cmp(b)),
            (Self::Uint(a), Value::Uint(b)) => Some(a.cmp(b)),
            (Self::Int(a), Value::Uint(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
            (Self::Uint(a), Value::Int(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
            (Self::Text(a), Value::Text(b)) => Some(a.as_str().cmp(b.as_str())),
            (Self::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
            (Self::Quantity(a), Value::Quantity(b)) => Some(a.cmp(b)),
            (Self::Timestamp(_), _) | (_, Value::Timestamp(_)) => {
                Some(self.instant()?.cmp(&other.instant()?))
            }
            (Self::Duration(_), _) | (_, Value::Duration(_)) => Some(self.nanos()?.cmp(&other.nanos()?)),
            (a, b) => a.number()?.partial_cmp(&b.number()?),
        }
    }

    /// Pays for comparing with another value, each part before it is looked at.
    pub(super) fn pay(&self, other: &Value<'_>, budget: &mut Budget) -> Result<(), Error> {
        match (self, other) {
            (Self::List(a), Value::List(b)) if a.len() == b.len() => {
                budget.pay(1)?;
                a.iter().zip(b.iter()).try_for_each(|(a, b)| a.pay(&b, budget))
            }
            (Self::Map(a), Value::Map(b)) if a.len() == b.len() => {
                budget.pay(a.len().saturating_mul(other.entries_to_search()).saturating_add(1))?;
                let mut pairs =
                    a.entries().into_iter().filter_map(|(key, value)| Some((value, b.get(&key)?)));
                pairs.try_for_each(|(value, found)| value.pay(&found, budget))
            }
            (Self::Optional(Some(a)), Value::Optional(Some(b))) => a.pay(b, budget),
            // They differ at first sight.
            (Self::List(_), Value::List(_)) | (Self::Map(_), Value::Map(_)) => budget.pay(1),
            (a, b) => budget.pay(a.size().min(b.size())),
        }
    }

    pub(super) fn expect_bool(&self) -> Result<bool, Error> {
        match self {
            Self::Bool(value) => Ok(*value),
            _ => failed("no such overload"),
        }
    }
}
