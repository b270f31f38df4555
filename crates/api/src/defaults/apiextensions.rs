//! Definitions of custom resources.

use crate::apiextensions::v1::{CustomResourceConversion, CustomResourceDefinition};

pub(crate) fn definition(definition: &mut CustomResourceDefinition) {
    let spec = definition.spec.get_or_insert_default();
    let conversion = spec.conversion.get_or_insert_with(CustomResourceConversion::default);
    if conversion.strategy.is_empty() {
        "None".clone_into(&mut conversion.strategy);
    }
    for webhook in conversion.webhook.iter_mut() {
        if let Some(service) = webhook.client_config.as_mut().and_then(|config| config.service.as_mut()) {
            service.port.get_or_insert(443);
        }
    }
    if let Some(names) = &mut spec.names {
        if names.singular.is_empty() {
            names.singular = names.kind.to_lowercase();
        }
        if names.list_kind.is_empty() && !names.kind.is_empty() {
            names.list_kind = format!("{}List", names.kind);
        }
    }
    definition.status.get_or_insert_default().accepted_names.get_or_insert_default();
}
