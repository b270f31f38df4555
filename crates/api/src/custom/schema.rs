//! A structural schema, prepared for what is done with every object: pruning, defaults, validation.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use super::rules::Rule;
use crate::apiextensions::v1::JsonSchemaProps;
use crate::scalars::JsonSchemaPropsOrBool;

/// Schemas within schemas deeper than this are refused: every object is walked as deep.
pub(crate) const MAX_DEPTH: usize = 64;

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// A pattern is no regular expression.
    #[error("the pattern {pattern:?} is no regular expression: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A rule is no expression.
    #[error("the rule {rule:?} is no expression: {reason}")]
    Rule {
        /// The rule.
        rule: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There are too many schemas within schemas.
    #[error("schemas are nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// The schema of a value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Schema {
    /// The type by its name; empty for any.
    pub(crate) r#type: String,
    pub(crate) format: String,
    pub(crate) nullable: bool,
    pub(crate) default: Option<Value>,
    pub(crate) items: Option<Box<Schema>>,
    pub(crate) properties: BTreeMap<String, Schema>,
    pub(crate) additional: Additional,
    pub(crate) preserve: bool,
    pub(crate) embedded: bool,
    pub(crate) int_or_string: bool,
    pub(crate) list: List,
    /// Whether server-side apply owns the object as a whole.
    pub(crate) atomic: bool,
    pub(crate) limits: Limits,
    pub(crate) rules: Vec<Rule>,
    pub(crate) all_of: Vec<Schema>,
    pub(crate) any_of: Vec<Schema>,
    pub(crate) one_of: Vec<Schema>,
    pub(crate) not: Option<Box<Schema>>,
}

/// Fields that an object may have beside its properties.
#[derive(Debug, Clone, Default)]
pub(crate) enum Additional {
    /// None.
    #[default]
    None,
    /// Any, of which nothing more is said.
    Any,
    /// Any, and their values have a schema.
    Each(Box<Schema>),
}

/// What makes the items of a list one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum List {
    /// Nothing.
    #[default]
    Atomic,
    /// No two items are equal.
    Set,
    /// No two items have the same values in these fields.
    Map(Vec<String>),
}

/// What a value of the right type must keep.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    pub(crate) maximum: Option<f64>,
    pub(crate) exclusive_maximum: bool,
    pub(crate) minimum: Option<f64>,
    pub(crate) exclusive_minimum: bool,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) max_length: Option<i64>,
    pub(crate) min_length: Option<i64>,
    pub(crate) pattern: Option<Regex>,
    pub(crate) max_items: Option<i64>,
    pub(crate) min_items: Option<i64>,
    pub(crate) max_properties: Option<i64>,
    pub(crate) min_properties: Option<i64>,
    pub(crate) required: Vec<String>,
    pub(crate) r#enum: Vec<Value>,
}

impl Schema {
    /// Whether other schemas say something of the same value.
    pub(crate) fn is_combined(&self) -> bool {
        let lists = [&self.all_of, &self.any_of, &self.one_of];
        self.not.is_some() || lists.iter().any(|list| !list.is_empty())
    }

    /// Prepares a schema.
    pub(crate) fn compile(props: &JsonSchemaProps) -> Result<Self, SchemaError> {
        Self::at(props, 0)
    }

    fn at(props: &JsonSchemaProps, depth: usize) -> Result<Self, SchemaError> {
        if depth > MAX_DEPTH {
            return Err(SchemaError::TooDeep);
        }
        let inner = |props: &JsonSchemaProps| Self::at(props, depth + 1);
        let boxed = |props: &JsonSchemaProps| inner(props).map(Box::new);
        let all = |list: &[JsonSchemaProps]| list.iter().map(inner).collect::<Result<Vec<_>, _>>();
        let items = props.items.as_ref().and_then(|items| items.schema.as_deref());
        let properties = props.properties.iter().map(|(name, props)| Ok((name.clone(), inner(props)?)));
        let additional = match props.additional_properties.as_deref() {
            Some(JsonSchemaPropsOrBool { schema: Some(schema), .. }) => Additional::Each(boxed(schema)?),
            Some(JsonSchemaPropsOrBool { allows: true, .. }) => Additional::Any,
            _ => Additional::None,
        };
        let list = match props.x_kubernetes_list_type.as_deref() {
            Some("set") => List::Set,
            Some("map") => List::Map(props.x_kubernetes_list_map_keys.clone()),
            _ => List::Atomic,
        };
        Ok(Self {
            r#type: props.r#type.clone(),
            format: props.format.clone(),
            nullable: props.nullable,
            default: props.default.as_ref().map(crate::scalars::Json::value),
            items: items.map(boxed).transpose()?,
            properties: properties.collect::<Result<_, _>>()?,
            additional,
            preserve: props.x_kubernetes_preserve_unknown_fields == Some(true),
            embedded: props.x_kubernetes_embedded_resource,
            int_or_string: props.x_kubernetes_int_or_string,
            list,
            atomic: props.x_kubernetes_map_type.as_deref() == Some("atomic"),
            limits: Limits::of(props)?,
            rules: props.x_kubernetes_validations.iter().map(Rule::compile).collect::<Result<_, _>>()?,
            all_of: all(&props.all_of)?,
            any_of: all(&props.any_of)?,
            one_of: all(&props.one_of)?,
            not: props.not.as_deref().map(boxed).transpose()?,
        })
    }
}

impl Limits {
    fn of(props: &JsonSchemaProps) -> Result<Self, SchemaError> {
        Ok(Self {
            maximum: props.maximum,
            exclusive_maximum: props.exclusive_maximum,
            minimum: props.minimum,
            exclusive_minimum: props.exclusive_minimum,
            multiple_of: props.multiple_of,
            max_length: props.max_length,
            min_length: props.min_length,
            pattern: pattern(&props.pattern)?,
            max_items: props.max_items,
            min_items: props.min_items,
            max_properties: props.max_properties,
            min_properties: props.min_properties,
            required: props.required.clone(),
            r#enum: props.r#enum.iter().map(crate::scalars::Json::value).collect(),
        })
    }
}

/// A pattern as a regular expression; none for an empty one.
pub(crate) fn pattern(pattern: &str) -> Result<Option<Regex>, SchemaError> {
    if pattern.is_empty() {
        return Ok(None);
    }
    let error = |error: regex::Error| SchemaError::Pattern {
        pattern: pattern.to_owned(),
        reason: error.to_string().replace('\n', " "),
    };
    Regex::new(pattern).map(Some).map_err(error)
}
