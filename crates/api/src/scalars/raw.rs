use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

macro_rules! raw_json {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
        pub struct $name {
            /// The JSON text; empty where absent.
            #[prost(bytes = "bytes", tag = "1")]
            pub raw: Bytes,
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if self.raw.is_empty() {
                    return serializer.serialize_none();
                }
                serde_json::from_slice::<&RawValue>(&self.raw).map_err(serde::ser::Error::custom)?.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                // Not RawValue: an inlined parent hands over buffered values, which have no text any more.
                let value = serde_json::Value::deserialize(deserializer)?;
                let raw = serde_json::to_vec(&value).map_err(serde::de::Error::custom)?;
                Ok(Self { raw: raw.into() })
            }
        }
    };
}

raw_json! {
    /// An object of any kind as JSON (`k8s.io.apimachinery.pkg.runtime.RawExtension`).
    RawExtension
}

raw_json! {
    /// The fields that a manager owns, as JSON (`meta.v1.FieldsV1`).
    FieldsV1
}

raw_json! {
    /// Any JSON value (`apiextensions.v1.JSON`).
    Json
}

impl Json {
    /// The value; null where there is none.
    #[must_use]
    pub fn value(&self) -> serde_json::Value {
        // The text was made from a value, or comes from protobuf and is whatever somebody stored.
        serde_json::from_slice(&self.raw).unwrap_or_default()
    }
}

impl From<&serde_json::Value> for Json {
    fn from(value: &serde_json::Value) -> Self {
        Self { raw: value.to_string().into() }
    }
}

/// The values of a key: a list in JSON, a message in protobuf (`authentication.v1.ExtraValue`, and its likes of
/// `authorization.v1` and `certificates.v1`).
#[derive(Clone, PartialEq, Eq, Hash, prost::Message, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExtraValue {
    /// The values.
    #[prost(string, repeated, tag = "1")]
    pub items: Vec<String>,
}

/// The verbs of a resource: a list in JSON, a message in protobuf (`meta.v1.Verbs`).
#[derive(Clone, PartialEq, Eq, Hash, prost::Message, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Verbs {
    /// The verbs' names.
    #[prost(string, repeated, tag = "1")]
    pub items: Vec<String>,
}
