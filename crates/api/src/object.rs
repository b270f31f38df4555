//! What all kinds have in common: typed ([`Resource`]) and type-erased ([`Object`]).

use std::any::Any;
use std::fmt::Debug;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::Kind;
use crate::custom::CustomObject;
use crate::meta::v1::ObjectMeta;
use crate::strategy::Strategy;

/// A kind of object that the API serves. Implemented by the registry's macro.
pub trait Resource:
    prost::Message + Default + Clone + PartialEq + Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// The facts of the kind.
    fn kind() -> &'static Kind;

    /// The object's metadata; that of an object without any is empty.
    fn meta(&self) -> &ObjectMeta;

    /// The object's metadata, created where it was absent.
    fn meta_mut(&mut self) -> &mut ObjectMeta;

    /// Replaces the status by that of `other`. Kinds without a status do nothing.
    fn copy_status_from(&mut self, other: &Self);

    /// Replaces everything but metadata and status by that of `other`.
    fn copy_spec_from(&mut self, other: &Self);

    /// Whether everything but metadata and status equals that of `other`: what the generation counts.
    fn spec_equals(&self, other: &Self) -> bool;

    /// Shorthand for the name.
    fn name(&self) -> &str {
        &self.meta().name
    }

    /// Shorthand for the namespace; empty for cluster-scoped objects.
    fn namespace(&self) -> &str {
        &self.meta().namespace
    }
}

/// Why bytes are not an object of the kind.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// The JSON does not fit the kind.
    #[error("the body is not a valid {kind}")]
    Json {
        /// The kind that was expected.
        kind: &'static str,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// The bytes are not a message of the kind.
    #[error("the body is not a valid protobuf {kind}")]
    Protobuf {
        /// The kind that was expected.
        kind: &'static str,
        /// What does not fit.
        source: prost::DecodeError,
    },
}

/// An object of some kind, for code that serves all of them alike. `dyn Object` is what the generic handlers hold.
pub trait Object: Any + Send + Sync + Debug {
    /// The facts of its kind.
    fn kind(&self) -> &'static Kind;
    /// Its metadata.
    fn meta(&self) -> &ObjectMeta;
    /// Its metadata, to be changed.
    fn meta_mut(&mut self) -> &mut ObjectMeta;
    /// Its protobuf bytes, without an envelope.
    fn encode(&self) -> Bytes;
    /// Appends its JSON without `kind` and `apiVersion`, which belong to the envelope.
    fn write_json(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error>;
    /// Its JSON as a value, without `kind` and `apiVersion`.
    fn to_value(&self) -> Result<serde_json::Value, serde_json::Error>;
    /// A copy.
    fn clone_object(&self) -> Box<dyn Object>;
    /// Whether `other` is an equal object of the same kind.
    fn equals(&self, other: &dyn Object) -> bool;
    /// See [`Resource::copy_status_from`]; objects of another kind are left alone.
    fn copy_status_from(&mut self, other: &dyn Object);
    /// See [`Resource::copy_spec_from`]; objects of another kind are left alone.
    fn copy_spec_from(&mut self, other: &dyn Object);
    /// See [`Resource::spec_equals`].
    fn spec_equals(&self, other: &dyn Object) -> bool;
    /// The rules of its kind.
    fn strategy(&self) -> &dyn ObjectStrategy;
    /// The rules of its kind that change it.
    fn strategy_mut(&mut self) -> &mut dyn ObjectStrategy;
}

impl dyn Object {
    /// The object as its type, where it is one.
    #[must_use]
    pub fn downcast_ref<T: Resource>(&self) -> Option<&T> {
        (self as &dyn Any).downcast_ref()
    }

    /// The object as one of a custom resource, where it is one.
    #[must_use]
    pub fn as_custom(&self) -> Option<&CustomObject> {
        (self as &dyn Any).downcast_ref()
    }

    /// The object as one of a custom resource, to be changed, where it is one.
    #[must_use]
    pub fn as_custom_mut(&mut self) -> Option<&mut CustomObject> {
        (self as &mut dyn Any).downcast_mut()
    }

    /// The object as its type, to be changed, where it is one.
    #[must_use]
    pub fn downcast_mut<T: Resource>(&mut self) -> Option<&mut T> {
        (self as &mut dyn Any).downcast_mut()
    }
}

/// [`Strategy`] of a type-erased object. Where two objects meet, one of another kind counts as absent.
pub trait ObjectStrategy {
    /// See [`Strategy::set_defaults`].
    fn set_defaults(&mut self);
    /// See [`Strategy::prepare_for_create`].
    fn prepare_for_create(&mut self);
    /// See [`Strategy::prepare_for_update`].
    fn prepare_for_update(&mut self, old: &dyn Object);
    /// See [`Strategy::prepare_for_status_update`].
    fn prepare_for_status_update(&mut self, old: &dyn Object);
    /// See [`Strategy::validate`].
    fn validate(&self) -> crate::field::ErrorList;
    /// See [`Strategy::validate_update`].
    fn validate_update(&self, old: &dyn Object) -> crate::field::ErrorList;
    /// See [`Strategy::validate_status_update`].
    fn validate_status_update(&self, old: &dyn Object) -> crate::field::ErrorList;
    /// See [`Strategy::selectable_fields`].
    fn selectable_fields(&self) -> Vec<(&'static str, String)>;
    /// See [`Strategy::cells`].
    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value>;
}

impl<T: Strategy> Object for T {
    fn kind(&self) -> &'static Kind {
        T::kind()
    }

    fn meta(&self) -> &ObjectMeta {
        Resource::meta(self)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        Resource::meta_mut(self)
    }

    fn encode(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    fn write_json(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        serde_json::to_writer(out, self)
    }

    fn to_value(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::to_value(self)
    }

    fn clone_object(&self) -> Box<dyn Object> {
        Box::new(self.clone())
    }

    fn equals(&self, other: &dyn Object) -> bool {
        other.downcast_ref::<T>().is_some_and(|other| self == other)
    }

    fn copy_status_from(&mut self, other: &dyn Object) {
        if let Some(other) = other.downcast_ref::<T>() {
            Resource::copy_status_from(self, other);
        }
    }

    fn copy_spec_from(&mut self, other: &dyn Object) {
        if let Some(other) = other.downcast_ref::<T>() {
            Resource::copy_spec_from(self, other);
        }
    }

    fn spec_equals(&self, other: &dyn Object) -> bool {
        other.downcast_ref::<T>().is_some_and(|other| Resource::spec_equals(self, other))
    }

    fn strategy(&self) -> &dyn ObjectStrategy {
        self
    }

    fn strategy_mut(&mut self) -> &mut dyn ObjectStrategy {
        self
    }
}

impl<T: Strategy> ObjectStrategy for T {
    fn set_defaults(&mut self) {
        Strategy::set_defaults(self);
    }

    fn prepare_for_create(&mut self) {
        Strategy::prepare_for_create(self);
    }

    fn prepare_for_update(&mut self, old: &dyn Object) {
        if let Some(old) = old.downcast_ref() {
            Strategy::prepare_for_update(self, old);
        }
    }

    fn prepare_for_status_update(&mut self, old: &dyn Object) {
        if let Some(old) = old.downcast_ref() {
            Strategy::prepare_for_status_update(self, old);
        }
    }

    fn validate(&self) -> crate::field::ErrorList {
        Strategy::validate(self)
    }

    fn validate_update(&self, old: &dyn Object) -> crate::field::ErrorList {
        old.downcast_ref().map(|old| Strategy::validate_update(self, old)).unwrap_or_default()
    }

    fn validate_status_update(&self, old: &dyn Object) -> crate::field::ErrorList {
        old.downcast_ref().map(|old| Strategy::validate_status_update(self, old)).unwrap_or_default()
    }

    fn selectable_fields(&self) -> Vec<(&'static str, String)> {
        Strategy::selectable_fields(self)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        Strategy::cells(self, now)
    }
}
