//! The class that a claim or an ingress gets that names none: the one that is marked as the default.

use gantry_api::Resource;
use gantry_api::core::v1::PersistentVolumeClaim;
use gantry_api::networking::v1::{Ingress, IngressClass};
use gantry_api::storage::v1::StorageClass;

use crate::status::ApiError;
use crate::verbs::Verbs;

/// Marks the default, for volumes under two names.
const STORAGE: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
const INGRESS: [&str; 1] = ["ingressclass.kubernetes.io/is-default-class"];
/// The older ways to name a class.
const CLAIM_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const INGRESS_CLASS: &str = "kubernetes.io/ingress.class";

impl Verbs {
    /// Gives a new claim the default class, if it names none and there is one.
    pub(super) fn default_storage_class(&self, claim: &mut PersistentVolumeClaim) -> Result<(), ApiError> {
        let annotated = Resource::meta(claim).annotations.contains_key(CLAIM_CLASS);
        let spec = claim.spec.get_or_insert_default();
        if !annotated && spec.storage_class_name.is_none() {
            spec.storage_class_name = default_of(&self.cached::<StorageClass>("")?, &STORAGE);
        }
        Ok(())
    }

    /// Gives a new ingress the default class, if it names none and there is one.
    pub(super) fn default_ingress_class(&self, ingress: &mut Ingress) -> Result<(), ApiError> {
        let annotated = Resource::meta(ingress).annotations.contains_key(INGRESS_CLASS);
        let spec = ingress.spec.get_or_insert_default();
        if !annotated && spec.ingress_class_name.is_none() {
            spec.ingress_class_name = default_of(&self.cached::<IngressClass>("")?, &INGRESS);
        }
        Ok(())
    }
}

/// The class of a claim, however it is named; empty where it is not.
pub(super) fn class_of(claim: &PersistentVolumeClaim) -> &str {
    let annotated = Resource::meta(claim).annotations.get(CLAIM_CLASS);
    let named = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_ref());
    annotated.or(named).map_or("", String::as_str)
}

/// The default: of several the newest, of equally old ones the first by name.
fn default_of<T: Resource>(classes: &[T], marks: &[&str]) -> Option<String> {
    let is_marked = |class: &&T| {
        let annotations = &class.meta().annotations;
        marks.iter().any(|mark| annotations.get(*mark).is_some_and(|value| value == "true"))
    };
    let by_age = |a: &&T, b: &&T| {
        let created = |class: &T| class.meta().creation_timestamp.map(|time| time.seconds);
        created(a).cmp(&created(b)).then_with(|| b.name().cmp(a.name()))
    };
    classes.iter().filter(is_marked).max_by(by_age).map(|class| class.name().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn class(name: &str, minute: u32, mark: Option<&str>) -> StorageClass {
        let created = format!("2026-01-01T00:{minute:02}:00Z");
        let mut class = json!({
            "metadata": {"name": name, "creationTimestamp": created, "annotations": {}}, "provisioner": "p"
        });
        if let Some(mark) = mark {
            class["metadata"]["annotations"][mark] = json!("true");
        }
        serde_json::from_value(class).unwrap()
    }

    #[test]
    fn the_newest_default_counts() {
        let [mark, old_mark] = STORAGE;
        let classes = [
            class("old", 1, Some(mark)),
            class("c", 2, Some(old_mark)),
            class("b", 2, Some(mark)),
            class("plain", 3, None),
        ];
        assert_eq!(default_of(&classes, &STORAGE).as_deref(), Some("b"));
        assert_eq!(default_of(&classes[3..], &STORAGE), None);
        assert_eq!(default_of(&classes, &INGRESS), None);
    }

    #[test]
    fn an_annotation_names_a_class_too() {
        let claim = |value| serde_json::from_value::<PersistentVolumeClaim>(value).unwrap();
        assert_eq!(class_of(&claim(json!({"spec": {"storageClassName": "a"}}))), "a");
        let both =
            json!({"metadata": {"annotations": {CLAIM_CLASS: "b"}}, "spec": {"storageClassName": "a"}});
        assert_eq!(class_of(&claim(both)), "b");
        assert_eq!(class_of(&claim(json!({}))), "");
    }
}
