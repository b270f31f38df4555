//! From definitions to kinds: one for each version that is served.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{Definition, SchemaError, Slot};
use crate::apiextensions::v1::{
    CustomResourceDefinitionNames, CustomResourceDefinitionSpec, CustomResourceDefinitionVersion,
};
use crate::grpc::api::Resource;
use crate::kind::{Kind, Scope, Subresource};
use crate::strategy::Column;

/// How many different kinds are made in a server's life. Each takes about a kilobyte, which is not given back.
const MAX_KINDS: usize = 20_000;

/// No more kinds can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server has seen {MAX_KINDS} different kinds of custom resources and takes no more: restart it")]
pub struct TooManyKinds;

/// Why a version is not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There are too many.
    #[error(transparent)]
    TooMany(#[from] TooManyKinds),
    /// The schema cannot be used.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// What a kind says of itself: equal facts are one kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Facts {
    group: String,
    version: String,
    names: Names,
    namespaced: bool,
    status: bool,
    scale: bool,
    columns: Vec<(String, String, String, String, i32)>,
    fields: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Names {
    plural: String,
    singular: String,
    short: Vec<String>,
    kind: String,
    list: String,
    categories: Vec<String>,
}

/// The kinds that a server has made of definitions.
#[derive(Debug, Default)]
pub struct Kinds(Mutex<HashMap<Facts, &'static Kind>>);

impl Kinds {
    /// The kind of a version, with what the definition says now. `names` are those that are accepted.
    pub fn open(
        &self,
        spec: &CustomResourceDefinitionSpec,
        names: &CustomResourceDefinitionNames,
        version: &CustomResourceDefinitionVersion,
        terminating: bool,
    ) -> Result<&'static Kind, Error> {
        let kind = self.kind(Facts::of(spec, names, version))?;
        let definition = Definition::new(spec, version, kind.fields, terminating)?;
        if let Some(slot) = &kind.custom {
            slot.set(Some(Arc::new(definition)));
        }
        Ok(kind)
    }

    /// The kind of a custom resource as a server shows it to its clients: nothing is known of its schema, so objects
    /// are taken as they are.
    pub fn discovered(&self, resource: &Resource) -> Result<&'static Kind, TooManyKinds> {
        self.kind(Facts {
            group: resource.group.clone(),
            version: resource.version.clone(),
            names: Names {
                plural: resource.resource.clone(),
                singular: resource.singular.clone(),
                short: resource.short_names.clone(),
                kind: resource.kind.clone(),
                list: format!("{}List", resource.kind),
                categories: resource.categories.clone(),
            },
            namespaced: resource.namespaced,
            status: false,
            scale: false,
            columns: Vec::new(),
            fields: Vec::new(),
        })
    }

    /// Forgets the definition of a kind that is not served any more.
    pub fn close(&self, kind: &'static Kind) {
        if let Some(slot) = &kind.custom {
            slot.set(None);
        }
    }

    fn kind(&self, facts: Facts) -> Result<&'static Kind, TooManyKinds> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kind) = kinds.get(&facts) {
            return Ok(kind);
        }
        if kinds.len() >= MAX_KINDS {
            return Err(TooManyKinds);
        }
        let kind: &'static Kind = Box::leak(Box::new(facts.kind()));
        kinds.insert(facts, kind);
        Ok(kind)
    }
}

impl Facts {
    fn of(
        spec: &CustomResourceDefinitionSpec,
        names: &CustomResourceDefinitionNames,
        version: &CustomResourceDefinitionVersion,
    ) -> Self {
        let subresources = version.subresources.as_ref();
        let column = |column: &crate::apiextensions::v1::CustomResourceColumnDefinition| {
            (
                column.name.clone(),
                column.r#type.clone(),
                column.format.clone(),
                column.description.clone(),
                column.priority,
            )
        };
        let field = |path: &str| path.strip_prefix('.').unwrap_or(path).to_owned();
        Self {
            group: spec.group.clone(),
            version: version.name.clone(),
            names: Names {
                plural: names.plural.clone(),
                singular: names.singular.clone(),
                short: names.short_names.clone(),
                kind: names.kind.clone(),
                list: names.list_kind.clone(),
                categories: names.categories.clone(),
            },
            namespaced: spec.scope == "Namespaced",
            status: subresources.is_some_and(|subresources| subresources.status.is_some()),
            scale: subresources.is_some_and(|subresources| subresources.scale.is_some()),
            columns: version.additional_printer_columns.iter().map(column).collect(),
            fields: version.selectable_fields.iter().map(|one| field(&one.json_path)).collect(),
        }
    }

    fn kind(&self) -> Kind {
        let names = &self.names;
        let mut columns = vec![Column::NAME];
        if self.columns.is_empty() {
            columns.push(Column { r#type: "date", ..Column::AGE });
        }
        columns.extend(self.columns.iter().map(|(name, r#type, format, description, priority)| Column {
            name: leak(name),
            r#type: leak(r#type),
            format: leak(format),
            description: leak(description),
            priority: *priority,
        }));
        let subresources = [(self.status, Subresource::Status), (self.scale, Subresource::Scale)];
        let subresources: Vec<_> = subresources.iter().filter(|(has, _)| *has).map(|(_, one)| *one).collect();
        Kind {
            group: leak(&self.group),
            version: leak(&self.version),
            kind: leak(&names.kind),
            list_kind: leak(&names.list),
            plural: leak(&names.plural),
            singular: leak(&names.singular),
            short_names: leak_all(&names.short),
            categories: leak_all(&names.categories),
            scope: if self.namespaced { Scope::Namespaced } else { Scope::Cluster },
            subresources: Vec::leak(subresources),
            // With slashes no message's name.
            message: leak(&format!("{}/{}/{}", self.group, self.version, names.kind)),
            created_by_update: false,
            review: false,
            generation: true,
            unconditional_update: false,
            columns: Vec::leak(columns),
            fields: leak_all(&self.fields),
            custom: Some(Slot::default()),
            codec: OnceLock::new(),
        }
    }
}

fn leak(text: &str) -> &'static str {
    Box::leak(Box::from(text))
}

fn leak_all(texts: &[String]) -> &'static [&'static str] {
    Vec::leak(texts.iter().map(|text| leak(text)).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(columns: serde_json::Value) -> CustomResourceDefinitionSpec {
        serde_json::from_value(json!({
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "additionalPrinterColumns": columns,
                          "schema": {"openAPIV3Schema": {"type": "object"}}}],
        }))
        .unwrap()
    }

    #[test]
    fn equal_facts_are_one_kind() {
        let kinds = Kinds::default();
        let open = |spec: &CustomResourceDefinitionSpec| {
            kinds.open(spec, spec.names.as_ref().unwrap(), &spec.versions[0], false).unwrap()
        };
        let first = open(&spec(json!([])));
        assert!(std::ptr::eq(first, open(&spec(json!([])))));
        let other = open(&spec(json!([{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}])));
        assert!(!std::ptr::eq(first, other));
        assert_eq!(other.columns[1].name, "Size");
        assert_eq!(first, other);
        kinds.close(first);
        assert!(first.definition().is_none() && other.definition().is_some());
    }
}
