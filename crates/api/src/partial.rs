//! Objects of which only some fields are looked at.

use crate::apply::wire;
use crate::schema::shape::{Shapes, Slot};
use crate::{Kind, Object};

/// Some of the fields at the top of an object, as an object; the others as they are encoded.
#[derive(Debug)]
pub struct Part<'a> {
    names: &'a [&'a str],
    object: Box<dyn Object>,
    rest: Vec<u8>,
}

impl<'a> Part<'a> {
    /// The part of an object that has the fields of these JSON names. `None` where it cannot be parted: a custom resource,
    /// whose message is JSON, and messages that lend their fields to the top.
    #[must_use]
    pub fn of(object: &dyn Object, names: &'a [&'a str]) -> Option<Self> {
        let kind = object.kind();
        let (named, rest) = split(kind, &object.encode(), names)?;
        let object = kind.decode(named.into()).ok()?;
        Some(Self { names, object, rest })
    }

    /// The fields that were named.
    #[must_use]
    pub fn object(&self) -> &dyn Object {
        &*self.object
    }

    /// The whole object with the fields of `new` in the place of those that were named. What else `new` has is not looked
    /// at. `None` where it is of another kind.
    #[must_use]
    pub fn replace(self, new: &dyn Object) -> Option<Box<dyn Object>> {
        let kind = self.object.kind();
        let mut bytes = self.rest;
        if new.kind() != kind {
            return None;
        }
        bytes.extend_from_slice(&split(kind, &new.encode(), self.names)?.0);
        kind.decode(bytes.into()).ok()
    }
}

/// An encoded object's fields of these names, and the others.
fn split(kind: &Kind, bytes: &[u8], names: &[&str]) -> Option<(Vec<u8>, Vec<u8>)> {
    let shape = Shapes::get().by_name(kind.message)?.shape()?;
    let (mut named, mut rest) = (Vec::new(), Vec::with_capacity(bytes.len()));
    let mut left = bytes;
    while !left.is_empty() {
        let from = left;
        let (number, _) = wire::next(&mut left)?;
        let Some(Slot::Field(at)) = shape.numbers.get(number) else { return None };
        let field = &from[..from.len() - left.len()];
        let is_named = names.contains(&shape.fields.get(*at)?.name.as_ref());
        if is_named { &mut named } else { &mut rest }.extend_from_slice(field);
    }
    Some((named, rest))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::v1::{ConfigMap, Pod};
    use crate::registry;

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "a", "namespace": "n", "labels": {"k": "v"}},
            "spec": {"containers": [{"name": "c", "image": "i"}], "nodeName": "x"},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        }))
        .unwrap()
    }

    #[test]
    fn a_part_has_the_named_fields_alone() {
        let part = Part::of(&pod(), &["status"]).unwrap();
        let seen = part.object().to_value().unwrap();
        assert_eq!(seen["status"]["phase"], "Running");
        assert!(part.object().meta().name.is_empty() && seen["spec"].get("nodeName").is_none());
    }

    #[test]
    fn what_was_not_named_stays_and_what_was_is_replaced() {
        let part = Part::of(&pod(), &["status", "noSuchField"]).unwrap();
        let mut new = Pod::default();
        new.status.get_or_insert_default().phase = "Failed".to_owned();
        let mut wanted = pod();
        wanted.status = new.status.clone();
        assert!(part.replace(&new).unwrap().equals(&wanted));
    }

    #[test]
    fn nothing_is_lost_where_nothing_or_all_is_named() {
        for names in [&[][..], &["metadata", "spec", "status"]] {
            let part = Part::of(&pod(), names).unwrap();
            let same = part.object().clone_object();
            assert!(part.replace(&*same).unwrap().equals(&pod()), "{names:?}");
        }
    }

    #[test]
    fn maps_at_the_top_are_fields_too() {
        let map: ConfigMap =
            serde_json::from_value(json!({"data": {"a": "1", "b": "2"}, "immutable": true})).unwrap();
        let part = Part::of(&map, &["data"]).unwrap();
        let mut new = ConfigMap::default();
        new.data.insert("c".to_owned(), "3".to_owned());
        let whole = part.replace(&new).unwrap();
        let whole = whole.downcast_ref::<ConfigMap>().unwrap();
        assert_eq!((whole.data.len(), whole.immutable), (1, Some(true)));
    }

    #[test]
    fn every_kind_can_be_parted() {
        for kind in registry::all() {
            let part = Part::of(&*kind.new_object(), &["metadata"]);
            assert!(part.is_some(), "{kind:?}");
        }
    }
}
