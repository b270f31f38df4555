//! Merge keys: `<<: *base` fills a mapping with what it does not have itself.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The entries of a mapping that is merged into another, in order: each key as JSON text with its value.
pub(super) type Entries<'a> = Vec<(Vec<u8>, &'a [u8])>;

/// The entries of all mappings in the JSON text of a merge key's value, which is one mapping or a list of some.
pub(super) fn entries(json: &[u8]) -> Result<Entries<'_>, String> {
    let wrong = |_| "the value of << must be a mapping or a list of mappings".to_owned();
    if json.first() != Some(&b'[') {
        return of_one(json).map_err(wrong);
    }
    let all: Vec<&RawValue> = serde_json::from_slice(json).map_err(wrong)?;
    let mut merged = Vec::new();
    for one in all {
        merged.extend(of_one(one.get().as_bytes()).map_err(wrong)?);
    }
    Ok(merged)
}

fn of_one(json: &[u8]) -> Result<Entries<'_>, serde_json::Error> {
    struct OneMapping;

    impl<'de> Visitor<'de> for OneMapping {
        type Value = Entries<'de>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a mapping")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                let key = serde_json::to_vec(&key).map_err(serde::de::Error::custom)?;
                all.push((key, map.next_value::<&'de RawValue>()?.get().as_bytes()));
            }
            Ok(all)
        }
    }

    serde_json::Deserializer::from_slice(json).deserialize_map(OneMapping)
}
