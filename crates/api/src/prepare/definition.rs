//! Definitions of custom resources: which versions objects may be stored in.

use crate::apiextensions::v1::{CustomResourceDefinition, CustomResourceDefinitionStatus};

pub(crate) fn create(definition: &mut CustomResourceDefinition) {
    definition.status = Some(CustomResourceDefinitionStatus {
        accepted_names: Some(Default::default()),
        ..CustomResourceDefinitionStatus::default()
    });
    store(definition);
}

pub(crate) fn update(new: &mut CustomResourceDefinition, old: &CustomResourceDefinition) {
    new.status.clone_from(&old.status);
    store(new);
}

/// From now on objects may be stored in the version that says so.
fn store(definition: &mut CustomResourceDefinition) {
    let storage = definition.spec.iter().flat_map(|spec| &spec.versions).find(|version| version.storage);
    let Some(name) = storage.map(|version| version.name.clone()) else { return };
    let stored = &mut definition.status.get_or_insert_default().stored_versions;
    if !stored.contains(&name) {
        stored.push(name);
    }
}
