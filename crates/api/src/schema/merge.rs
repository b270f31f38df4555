//! How the fields of a message merge: read from the schema's options.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

/// How a list, or a map, of a field merges in a strategic merge patch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Merge {
    /// The new value takes the place of the old one. For messages and maps: field by field.
    #[default]
    Replace,
    /// A list of scalars: the values that are new are added.
    Set,
    /// A list of messages: items with the same value of this field are merged, others added.
    ByKey(String),
}

/// A field as JSON shows it.
#[derive(Debug, Clone, Default)]
pub struct MergeField {
    /// How its list merges.
    pub merge: Merge,
    /// Only the keys of the patch are kept (`retainKeys`).
    pub retain_keys: bool,
    /// The message of its value, of its items, or of its map's values.
    pub message: Option<String>,
    /// Whether it is a map, whose keys are no fields.
    pub map: bool,
}

type Fields = HashMap<String, MergeField>;

static MESSAGES: LazyLock<HashMap<String, Fields>> = LazyLock::new(|| {
    let messages = super::pool().all_messages().filter(|message| message.full_name().starts_with("k8s.io."));
    messages.map(|message| (message.full_name().to_owned(), fields(&message))).collect()
});

/// How a field, by its JSON name, of a message, by its full name, merges; `None` where there is no such field.
#[must_use]
pub fn merge_field(message: &str, field: &str) -> Option<&'static MergeField> {
    MESSAGES.get(message)?.get(field)
}

fn fields(message: &MessageDescriptor) -> Fields {
    let mut all = Fields::new();
    for field in message.fields() {
        let options = options(&field);
        let inline = options.as_ref().is_some_and(|options| flag(options, "inline"));
        match field.kind() {
            // What is inlined stands among the parent's own fields.
            Kind::Message(inlined) if inline => all.extend(fields(&inlined)),
            _ => {
                all.insert(field.json_name().to_owned(), merge(&field, options.as_ref()));
            }
        }
    }
    all
}

fn merge(field: &FieldDescriptor, options: Option<&DynamicMessage>) -> MergeField {
    let strategy = options.map(|options| text(options, "patch_strategy")).unwrap_or_default();
    let has = |wanted: &str| strategy.split(',').any(|part| part == wanted);
    let key = options.map(|options| text(options, "patch_merge_key")).unwrap_or_default();
    let value = match field.kind() {
        Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
        kind => kind,
    };
    let message = match value {
        Kind::Message(message) => Some(message.full_name().to_owned()),
        _ => None,
    };
    let merge = match (has("merge") && field.is_list(), message.is_some()) {
        (true, true) if !key.is_empty() => Merge::ByKey(key),
        (true, false) => Merge::Set,
        _ => Merge::Replace,
    };
    MergeField { merge, retain_keys: has("retainKeys"), message, map: field.is_map() }
}

pub(super) fn options(field: &FieldDescriptor) -> Option<DynamicMessage> {
    static EXTENSION: LazyLock<Option<prost_reflect::ExtensionDescriptor>> =
        LazyLock::new(|| super::pool().get_extension_by_name("gantry.schema.v1.field"));
    let options = field.options();
    options.get_extension(EXTENSION.as_ref()?).as_message().cloned()
}

/// The options of a message as a whole.
pub(super) fn message_options(message: &MessageDescriptor) -> Option<DynamicMessage> {
    static EXTENSION: LazyLock<Option<prost_reflect::ExtensionDescriptor>> =
        LazyLock::new(|| super::pool().get_extension_by_name("gantry.schema.v1.message"));
    let options = message.options();
    options.get_extension(EXTENSION.as_ref()?).as_message().cloned()
}

pub(super) fn flag(options: &DynamicMessage, name: &str) -> bool {
    options.get_field_by_name(name).and_then(|value| value.as_bool()).unwrap_or(false)
}

pub(super) fn text(options: &DynamicMessage, name: &str) -> String {
    let value = options.get_field_by_name(name);
    value.as_deref().and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub(super) fn texts(options: &DynamicMessage, name: &str) -> Vec<String> {
    let value = options.get_field_by_name(name);
    let values = value.as_deref().and_then(Value::as_list).unwrap_or_default();
    values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::{Merge, merge_field};

    #[test]
    fn the_schema_says_how_fields_merge() {
        let pod_spec = "k8s.io.api.core.v1.PodSpec";
        assert_eq!(merge_field(pod_spec, "containers").unwrap().merge, Merge::ByKey("name".into()));
        assert_eq!(merge_field(pod_spec, "tolerations").unwrap().merge, Merge::Replace);
        assert!(merge_field(pod_spec, "volumes").unwrap().retain_keys);
        assert!(merge_field(pod_spec, "nodeSelector").unwrap().map);
        let meta = "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta";
        assert_eq!(merge_field(meta, "finalizers").unwrap().merge, Merge::Set);
        assert_eq!(merge_field("k8s.io.api.core.v1.Volume", "emptyDir").unwrap().merge, Merge::Replace);
        assert!(merge_field(pod_spec, "nonsense").is_none());
    }
}
