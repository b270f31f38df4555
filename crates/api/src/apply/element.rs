//! The steps of a path to a field.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

/// The name of a field: borrowed from the schema, or a key of a map.
pub type Name = Cow<'static, str>;

/// One step of a path. The order is that in which sets are written: fields, keys, values, indexes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Element {
    /// A field of a struct, or a key of a map.
    Field(Name),
    /// An item of a list that is a map: the fields that identify it, by their names.
    Key(Vec<(Name, Scalar)>),
    /// An item of a list that is a set.
    Value(Scalar),
    /// An item of any other list.
    Index(i64),
}

/// A value that identifies an item.
#[derive(Debug, Clone)]
pub enum Scalar {
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// A text.
    String(Name),
    /// `true` or `false`.
    Bool(bool),
    /// Nothing.
    Null,
}

impl Scalar {
    fn rank(&self) -> u8 {
        match self {
            Self::Int(_) | Self::Float(_) => 0,
            Self::String(_) => 1,
            Self::Bool(_) => 2,
            Self::Null => 3,
        }
    }

    /// The scalar that a JSON value is; `None` for lists and objects.
    #[must_use]
    pub fn of(value: &serde_json::Value) -> Option<Self> {
        Some(match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::String(text) => Self::String(text.clone().into()),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(number) => Self::Int(number),
                None => Self::Float(number.as_f64().unwrap_or_default()),
            },
            serde_json::Value::Array(_) | serde_json::Value::Object(_) => return None,
        })
    }

    /// The scalar as JSON.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Int(number) => (*number).into(),
            Self::Float(number) => (*number).into(),
            Self::String(text) => text.as_ref().into(),
            Self::Bool(value) => (*value).into(),
            Self::Null => serde_json::Value::Null,
        }
    }
}

impl Ord for Scalar {
    // Numbers come first and compare by what they are worth, then texts, then flags.
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Float(a), Self::Float(b)) => a.total_cmp(b),
            (Self::Int(a), Self::Float(b)) => (*a as f64).total_cmp(b),
            (Self::Float(a), Self::Int(b)) => a.total_cmp(&(*b as f64)),
            (Self::String(a), Self::String(b)) => a.cmp(b),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scalar {}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
            Self::String(text) => write!(f, "{text:?}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Null => f.write_str("null"),
        }
    }
}

/// As it stands in a conflict: `.spec`, `[name="c"]`, `[="finalizer"]`, `[0]`.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(fields) => {
                f.write_str("[")?;
                for (i, (name, value)) in fields.iter().enumerate() {
                    write!(f, "{}{name}={value}", if i == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A path from an object to one of its fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Path(pub Vec<Element>);

impl Path {
    /// A path of fields.
    #[must_use]
    pub fn fields(names: &[&'static str]) -> Self {
        Self(names.iter().map(|name| Element::Field(Name::Borrowed(name))).collect())
    }

    /// The same of names that are not known to this program.
    #[must_use]
    pub fn names(names: &[&str]) -> Self {
        Self(names.iter().map(|name| Element::Field(Name::Owned((*name).to_owned()))).collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|element| write!(f, "{element}"))
    }
}
