//! Helpers that the generated serde attributes name: Kubernetes' JSON, where it differs from serde's defaults.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Whether a field is left out: Go's `omitempty` for values that are not pointers.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Reads `null` as the absent value, as Go's decoder does.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A number, without a point where it has no fraction, as Go writes it.
pub(crate) fn number<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    /// Every whole number below is one of 64 bits, too.
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    match value {
        Some(number) if number.fract() == 0.0 && number.abs() < WHOLE => {
            serializer.serialize_i64(*number as i64)
        }
        other => other.serialize(serializer),
    }
}

/// An inlined message: its fields stand among its parent's. All fields absent and the message absent are the same.
pub(crate) mod inline {
    use super::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer, T: Serialize>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(serializer)
    }

    // serde's own flattening of an `Option` turns an error inside into `None`.
    pub(crate) fn deserialize<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        D: Deserializer<'de>,
        T: Default + PartialEq + Deserialize<'de>,
    {
        let value = T::deserialize(deserializer)?;
        Ok((value != T::default()).then_some(value))
    }
}

/// Bytes as standard base64 with padding.
pub(crate) mod base64 {
    use ::base64::Engine;
    use ::base64::engine::general_purpose::STANDARD;
    use bytes::Bytes;

    use super::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        decode(&text).map_err(serde::de::Error::custom)
    }

    pub(crate) fn decode(text: &str) -> Result<Bytes, String> {
        STANDARD.decode(text).map(Bytes::from).map_err(|error| format!("invalid base64 {text:?}: {error}"))
    }
}

/// A map of bytes, each value as standard base64.
pub(crate) mod base64_map {
    use std::collections::BTreeMap;

    use ::base64::Engine;
    use ::base64::engine::general_purpose::STANDARD;
    use bytes::Bytes;

    use super::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        map: &BTreeMap<String, Bytes>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(map.iter().map(|(key, value)| (key, STANDARD.encode(value))))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, Bytes>, D::Error> {
        let map = Option::<BTreeMap<String, Option<String>>>::deserialize(deserializer)?.unwrap_or_default();
        map.into_iter()
            .map(|(key, text)| {
                let bytes =
                    super::base64::decode(&text.unwrap_or_default()).map_err(serde::de::Error::custom)?;
                Ok((key, bytes))
            })
            .collect()
    }
}
