//! Metadata without the object.

use gantry_api::meta::v1::ObjectMeta;

use super::Stored;

/// The metadata of an object of any kind: in every kind's message it is the first field, and the rest is skipped.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Metadata {
    /// The metadata.
    #[prost(message, optional, boxed, tag = "1")]
    metadata: Option<Box<ObjectMeta>>,
}

impl Metadata {
    /// The metadata, to be changed, where there is any.
    pub fn metadata_mut(&mut self) -> Option<&mut ObjectMeta> {
        self.metadata.as_deref_mut()
    }
}

impl Stored for Metadata {
    fn metadata(&self) -> &ObjectMeta {
        static EMPTY: std::sync::LazyLock<ObjectMeta> = std::sync::LazyLock::new(ObjectMeta::default);
        self.metadata.as_deref().unwrap_or(&EMPTY)
    }
}

#[cfg(test)]
mod tests {
    use super::Metadata;
    use crate::informer::Stored;
    use prost::Message;

    #[test]
    fn every_kind_has_its_metadata_first() {
        for kind in gantry_api::registry::all() {
            let mut object = kind.new_object();
            object.meta_mut().name = "a".into();
            let decoded = Metadata::decode(&object.encode()[..]).unwrap();
            assert_eq!(decoded.metadata().name, "a", "{}", kind.kind);
        }
    }
}
