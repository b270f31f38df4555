//! Custom resources: kinds that come and go while the server runs, and whose objects are JSON.
//!
//! A [`Kind`] lives as long as the program, as everything that serves objects relies on. So what it says of itself
//! (its names, its columns) is made once for each set of such facts and kept for ever by [`Kinds`], within bounds; what
//! may be large and changes often (the schema) is a [`Definition`] that the kind refers to while it is served.

mod check;
mod defaulting;
mod format;
mod kinds;
mod lists;
mod object;
mod path;
mod prune;
pub(crate) mod rules;
pub(crate) mod schema;
mod shape;
mod strict;

use std::sync::{Arc, PoisonError, RwLock};

pub use kinds::{Kinds, TooManyKinds};
pub use object::{CustomObject, ScaleError};
pub use schema::SchemaError;
pub use strict::duplicates;

pub(crate) use check::value as check_value;
pub(crate) use defaulting::fill as fill_defaults;
pub(crate) use format::allows as format_allows;
pub(crate) use path::JsonPath;
pub(crate) use prune::prune;

use crate::apiextensions::v1::{
    CustomResourceDefinitionSpec, CustomResourceDefinitionVersion, CustomResourceSubresourceScale,
    JsonSchemaProps, WebhookConversion,
};
use schema::Schema;

use crate::schema::shape::Type;

/// The finalizer of a definition whose objects are not deleted yet.
pub const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// How objects of one version of a custom resource look and behave.
#[derive(Debug)]
pub struct Definition {
    schema: Schema,
    /// The schema as it was given, for the documents that describe the API.
    published: Option<JsonSchemaProps>,
    storage_version: String,
    /// Who turns objects of other versions into this one and back; their names are all that differs where it is nobody.
    conversion: Option<WebhookConversion>,
    has_status: bool,
    scale: Option<Scale>,
    columns: Vec<(String, Option<JsonPath>)>,
    fields: Vec<(&'static str, Option<JsonPath>)>,
    warning: Option<String>,
    terminating: bool,
    /// How its fields are owned.
    shape: Type,
    /// The versions that are served.
    served: Vec<String>,
    /// Whether there are rules as expressions.
    has_rules: bool,
}

/// Where the parts of a Scale are.
#[derive(Debug)]
struct Scale {
    spec: JsonPath,
    spec_text: String,
    status: JsonPath,
    status_text: String,
    selector: Option<JsonPath>,
}

/// What a kind of custom resources refers to while it is served.
#[derive(Debug, Default)]
pub(crate) struct Slot(RwLock<Option<Arc<Definition>>>);

impl Slot {
    pub(crate) fn get(&self) -> Option<Arc<Definition>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, definition: Option<Arc<Definition>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = definition;
    }
}

impl Definition {
    /// How objects of a version look, while the resource is served or, terminating, only goes.
    fn new(
        spec: &CustomResourceDefinitionSpec,
        version: &CustomResourceDefinitionVersion,
        fields: &[&'static str],
        terminating: bool,
    ) -> Result<Self, SchemaError> {
        let published = version.schema.as_ref().and_then(|schema| schema.open_apiv3_schema.clone());
        let mut schema = published.as_ref().map(Schema::compile).transpose()?.unwrap_or_default();
        if spec.preserve_unknown_fields {
            schema.preserve = true;
        }
        let subresources = version.subresources.as_ref();
        let columns = &version.additional_printer_columns;
        let storage = spec.versions.iter().find(|version| version.storage);
        let served = spec.versions.iter().filter(|version| version.served);
        Ok(Self {
            has_rules: rules::has_any(&schema),
            shape: shape::of_objects(&schema),
            served: served.map(|version| version.name.clone()).collect(),
            schema,
            published,
            storage_version: storage.unwrap_or(version).name.clone(),
            conversion: spec
                .conversion
                .as_ref()
                .filter(|conversion| conversion.strategy == "Webhook")
                .and_then(|conversion| conversion.webhook.clone()),
            has_status: subresources.is_some_and(|subresources| subresources.status.is_some()),
            scale: subresources.and_then(|subresources| subresources.scale.as_ref()).and_then(Scale::new),
            columns: columns
                .iter()
                .map(|column| (column.r#type.clone(), JsonPath::parse(&column.json_path)))
                .collect(),
            fields: fields.iter().map(|field| (*field, JsonPath::parse(&format!(".{field}")))).collect(),
            warning: version.deprecated.then(|| warning(spec, version)),
            terminating,
        })
    }

    /// The schema as it was given.
    #[must_use]
    pub fn published(&self) -> Option<&JsonSchemaProps> {
        self.published.as_ref()
    }

    /// The version that objects are stored in.
    #[must_use]
    pub fn storage_version(&self) -> &str {
        &self.storage_version
    }

    /// Who is asked to turn objects of one version into those of another; nobody where only the names of versions differ.
    #[must_use]
    pub fn conversion(&self) -> Option<&WebhookConversion> {
        self.conversion.as_ref()
    }

    /// Removes from an object what the schema does not know; nothing is filled in.
    pub fn prune(&self, object: &mut serde_json::Map<String, serde_json::Value>) {
        prune::prune(object, &self.schema);
    }

    /// What clients are warned of that use the version.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// How the fields of its objects are owned.
    pub(crate) fn shape(&self) -> &Type {
        &self.shape
    }

    /// Whether objects are also served in this version.
    pub(crate) fn serves(&self, version: &str) -> bool {
        self.served.iter().any(|served| served == version)
    }

    /// Where the number of replicas is in its objects.
    pub(crate) fn replicas(&self) -> Option<Vec<&str>> {
        self.scale.as_ref().and_then(|scale| scale.spec.names())
    }

    /// Whether no objects may be created any more.
    #[must_use]
    pub fn terminating(&self) -> bool {
        self.terminating
    }
}

impl Scale {
    fn new(scale: &CustomResourceSubresourceScale) -> Option<Self> {
        let selector = scale.label_selector_path.as_deref().filter(|path| !path.is_empty());
        Some(Self {
            spec: JsonPath::parse(&scale.spec_replicas_path)?,
            spec_text: scale.spec_replicas_path.clone(),
            status: JsonPath::parse(&scale.status_replicas_path)?,
            status_text: scale.status_replicas_path.clone(),
            selector: selector.and_then(JsonPath::parse),
        })
    }
}

fn warning(spec: &CustomResourceDefinitionSpec, version: &CustomResourceDefinitionVersion) -> String {
    if let Some(own) = &version.deprecation_warning {
        return own.clone();
    }
    let kind = spec.names.as_ref().map(|names| names.kind.as_str()).unwrap_or_default();
    let mut text = format!("{}/{} {kind} is deprecated", spec.group, version.name);
    let newer = spec.versions.iter().filter(|other| other.served && !other.deprecated);
    let newer =
        newer.filter(|other| crate::version::order(&other.name) < crate::version::order(&version.name));
    if let Some(newest) = newer.min_by_key(|other| crate::version::order(&other.name)) {
        text.push_str(&format!("; use {}/{} {kind}", spec.group, newest.name));
    }
    text
}
