use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const TYPE_INT: i64 = 0;
const TYPE_STRING: i64 = 1;

/// A number or a string, such as a port by number or by name, or a count and a percentage
/// (`k8s.io.apimachinery.pkg.util.intstr.IntOrString`).
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct IntOrString {
    /// 0: `int_val` holds the value; 1: `str_val` does.
    #[prost(int64, tag = "1")]
    pub r#type: i64,
    /// The number.
    #[prost(int32, tag = "2")]
    pub int_val: i32,
    /// The string.
    #[prost(string, tag = "3")]
    pub str_val: String,
}

impl IntOrString {
    /// The number, or `None` for a string.
    #[must_use]
    pub fn as_int(&self) -> Option<i32> {
        (self.r#type != TYPE_STRING).then_some(self.int_val)
    }

    /// The string, or `None` for a number.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        (self.r#type == TYPE_STRING).then_some(self.str_val.as_str())
    }

    /// Whether this is the number 0 or the empty string: what an absent value looks like.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.int_val == 0 && self.str_val.is_empty()
    }

    /// The number, or the percentage (`25%`) of `total`, rounded up or down; `None` where a string is no percentage.
    #[must_use]
    pub fn scaled(&self, total: i32, round_up: bool) -> Option<i32> {
        let Some(text) = self.as_str() else { return Some(self.int_val) };
        let percent: i64 = text.strip_suffix('%')?.parse().ok()?;
        let product = percent.checked_mul(i64::from(total))?;
        let value = if round_up {
            product.div_euclid(100) + i64::from(product.rem_euclid(100) != 0)
        } else {
            product / 100
        };
        i32::try_from(value).ok()
    }
}

impl From<i32> for IntOrString {
    fn from(value: i32) -> Self {
        Self { r#type: TYPE_INT, int_val: value, str_val: String::new() }
    }
}

impl From<&str> for IntOrString {
    fn from(value: &str) -> Self {
        Self { r#type: TYPE_STRING, int_val: 0, str_val: value.to_owned() }
    }
}

impl fmt::Display for IntOrString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_str() {
            Some(text) => f.write_str(text),
            None => self.int_val.fmt(f),
        }
    }
}

impl Serialize for IntOrString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_str() {
            Some(text) => serializer.serialize_str(text),
            None => serializer.serialize_i32(self.int_val),
        }
    }
}

impl<'de> Deserialize<'de> for IntOrString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = IntOrString;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a 32-bit integer or a string")
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<IntOrString, E> {
                i32::try_from(value)
                    .map(IntOrString::from)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(value), &self))
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<IntOrString, E> {
                i32::try_from(value)
                    .map(IntOrString::from)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Unsigned(value), &self))
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<IntOrString, E> {
                Ok(IntOrString::from(value))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::IntOrString;

    #[test]
    fn percentages_round_as_asked() {
        let quarter = IntOrString::from("25%");
        assert_eq!(quarter.scaled(3, true), Some(1));
        assert_eq!(quarter.scaled(3, false), Some(0));
        assert_eq!(IntOrString::from(2).scaled(3, true), Some(2));
        assert_eq!(IntOrString::from("http").scaled(3, true), None);
    }
}
