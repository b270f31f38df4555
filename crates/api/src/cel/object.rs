//! Objects that expressions make: what is to be merged into others, and operations of JSON patches.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map as Fields, Number, Value as Json};

use super::eval::unescape;
use super::parser::Expr;
use super::value::{Map, Value};
use super::{Error, failed};

/// An object of a type that only expressions have.
#[derive(Debug)]
pub(crate) struct Made<'a> {
    /// The type, such as `Object.spec`.
    pub(super) name: &'a str,
    /// Those that were given, by their names in JSON.
    pub(super) fields: Vec<(String, Value<'a>)>,
}

impl<'a> Made<'a> {
    pub(super) fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

/// The name that fields below names make: `Object.spec`.
pub(super) fn qualified(of: &Expr) -> Option<String> {
    match of {
        Expr::Variable(name) => Some(name.clone()),
        Expr::Field { of, name, optional: false } => Some(format!("{}.{name}", qualified(of)?)),
        _ => None,
    }
}

/// The object of some fields; those that may be missing are left out where they are.
pub(super) fn make<'a>(
    name: &'a str,
    fields: impl Iterator<Item = Result<(&'a str, bool, Value<'a>), Error>>,
) -> Result<Value<'a>, Error> {
    let mut made = Vec::new();
    for field in fields {
        let (name, optional, value) = field?;
        match (optional, value) {
            (true, Value::Optional(None)) => {}
            (true, Value::Optional(Some(value))) => made.push((unescape(name), (*value).clone())),
            (true, _) => return failed("cannot initialize optional entry with a value that is not optional"),
            (false, value) => made.push((unescape(name), value)),
        }
    }
    Ok(Value::Object(Arc::new(Made { name, fields: made })))
}

impl Value<'_> {
    /// The JSON of a value; fails for what has none.
    pub(crate) fn to_json(&self) -> Result<Json, Error> {
        Ok(match self {
            Self::Null => Json::Null,
            Self::Bool(value) => (*value).into(),
            Self::Int(number) => (*number).into(),
            Self::Uint(number) => (*number).into(),
            Self::Double(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
            Self::Text(text) => text.as_str().into(),
            Self::Bytes(bytes) => STANDARD.encode(bytes).into(),
            Self::Timestamp(time) => time.to_string().into(),
            Self::Duration(nanos) => format!("{}s", *nanos as f64 / 1e9).into(),
            Self::List(items) => items.iter().map(|item| item.to_json()).collect::<Result<_, _>>()?,
            Self::Map(Map::Of(fields)) => Json::Object((*fields).clone()),
            Self::Map(map) => {
                let mut out = Fields::new();
                for (key, value) in map.entries() {
                    let Some(key) = key.as_text() else { return failed("a key of a map is no string") };
                    out.insert(key.to_owned(), value.to_json()?);
                }
                Json::Object(out)
            }
            Self::Object(made) => {
                let fields = made.fields.iter().map(|(name, value)| Ok((name.clone(), value.to_json()?)));
                Json::Object(fields.collect::<Result<_, Error>>()?)
            }
            Self::Optional(Some(value)) => value.to_json()?,
            Self::Failed(why) => return failed(&**why),
            other => return failed(format!("unsupported conversion from '{}' to JSON", other.type_name())),
        })
    }

    /// The type of an object that an expression makes.
    pub(crate) fn made(&self) -> Option<&str> {
        match self {
            Self::Object(made) => Some(made.name),
            _ => None,
        }
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> Option<Vec<Self>> {
        match self {
            Self::List(items) => Some(items.iter().collect()),
            _ => None,
        }
    }

    /// A field of an object that an expression makes.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(made) => made.get(name),
            _ => None,
        }
    }

    /// Whether the objects inside have the types that their places have; says which has not. `path` is the place of
    /// this one, beginning with `Object`.
    pub(crate) fn check_places(&self, path: &str) -> Result<(), String> {
        match self {
            Self::Object(made) if made.name != path => Err(format!(
                "unexpected type name {:?}, expected {path:?}, which matches field name path from root Object type",
                made.name
            )),
            Self::Object(made) => {
                made.fields.iter().try_for_each(|(name, value)| value.check_places(&format!("{path}.{name}")))
            }
            Self::List(items) => items.iter().try_for_each(|item| item.check_places(path)),
            Self::Map(Map::Made(entries)) => {
                entries.iter().try_for_each(|(_, value)| value.check_places(path))
            }
            _ => Ok(()),
        }
    }
}
