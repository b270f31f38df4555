//! The fields of each message as JSON shows them: built once from the descriptors, small, and quick to look up.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost_reflect::{ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor};

/// What the JSON of a field looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A string.
    String,
    /// `true` or `false`.
    Bool,
    /// An integer of 32 bits.
    Int32,
    /// An integer of 64 bits.
    Int64,
    /// A number.
    Number,
    /// Base64 in a string.
    Base64,
    /// A quantity: a string or a number.
    Quantity,
    /// An integer or a string.
    IntOrString,
    /// A time as RFC 3339.
    Time,
    /// A duration as Go writes it.
    Duration,
    /// Anything.
    Any,
    /// An object with the fields of a message.
    Message(usize),
    /// A schema of custom resources (a message), or something simpler.
    SchemaOr(Simple, usize),
}

/// What may stand in place of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Simple {
    /// `true` or `false`.
    Bool,
    /// A list of schemas.
    Schemas,
    /// A list of strings.
    Strings,
}

/// How often the form occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Once.
    One,
    /// In a list.
    List,
    /// As the values of a map whose keys are strings.
    Map,
}

/// A field's JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) form: Form,
    pub(crate) repeat: Repeat,
}

/// A message's fields by their JSON names, those of inlined messages among them.
#[derive(Debug, Default)]
pub(crate) struct Message {
    fields: HashMap<String, Field>,
}

/// Every message of the Kubernetes API.
pub(crate) struct Layout {
    messages: Vec<Message>,
    by_name: HashMap<String, usize>,
}

static LAYOUT: LazyLock<Layout> = LazyLock::new(Layout::build);

impl Layout {
    /// The layout of the schema.
    pub(crate) fn get() -> &'static Self {
        &LAYOUT
    }

    /// The message of a full name, such as `k8s.io.api.core.v1.Pod`.
    pub(crate) fn by_name(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The full name of a message.
    pub(crate) fn name(&self, message: usize) -> String {
        self.by_name.iter().find(|(_, at)| **at == message).map(|(name, _)| name.clone()).unwrap_or_default()
    }

    /// A field of a message.
    pub(crate) fn field(&self, message: usize, name: &str) -> Option<Field> {
        self.messages[message].fields.get(name).copied()
    }

    fn build() -> Self {
        let pool = super::pool();
        let options = pool.get_extension_by_name("gantry.schema.v1.field");
        let messages: Vec<MessageDescriptor> =
            pool.all_messages().filter(|message| message.full_name().starts_with("k8s.io.")).collect();
        let by_name: HashMap<String, usize> =
            messages.iter().enumerate().map(|(i, message)| (message.full_name().to_owned(), i)).collect();
        let mut layout = Self { messages: Vec::with_capacity(messages.len()), by_name };
        for descriptor in &messages {
            let mut message = Message::default();
            layout.add_fields(&mut message, descriptor, options.as_ref());
            if is_kind(descriptor) {
                for name in ["kind", "apiVersion"] {
                    let field = Field { form: Form::String, repeat: Repeat::One };
                    message.fields.insert(name.to_owned(), field);
                }
            }
            layout.messages.push(message);
        }
        layout
    }

    fn add_fields(
        &self,
        message: &mut Message,
        descriptor: &MessageDescriptor,
        options: Option<&ExtensionDescriptor>,
    ) {
        for field in descriptor.fields() {
            match field.kind() {
                Kind::Message(inner) if is_inline(&field, options) => {
                    self.add_fields(message, &inner, options);
                }
                _ => {
                    message.fields.insert(field.json_name().to_owned(), self.field_of(&field));
                }
            }
        }
    }

    fn field_of(&self, field: &FieldDescriptor) -> Field {
        if field.is_map()
            && let Kind::Message(entry) = field.kind()
        {
            return Field { form: self.form(&entry.map_entry_value_field()), repeat: Repeat::Map };
        }
        let repeat = if field.is_list() { Repeat::List } else { Repeat::One };
        match field.kind() {
            Kind::Message(message) if message.full_name().ends_with(".meta.v1.Verbs") => {
                Field { form: Form::String, repeat: Repeat::List }
            }
            _ => Field { form: self.form(field), repeat },
        }
    }

    fn form(&self, field: &FieldDescriptor) -> Form {
        match field.kind() {
            Kind::String => Form::String,
            Kind::Bool => Form::Bool,
            Kind::Int32 => Form::Int32,
            Kind::Int64 => Form::Int64,
            Kind::Double | Kind::Float => Form::Number,
            Kind::Bytes => Form::Base64,
            Kind::Message(message) => match message.full_name().rsplit('.').next().unwrap_or_default() {
                "Quantity" => Form::Quantity,
                "IntOrString" => Form::IntOrString,
                "Time" | "MicroTime" => Form::Time,
                "Duration" => Form::Duration,
                // A list, and the value of a map: `ExtraValue` has no form of its own.
                "RawExtension" | "FieldsV1" | "JSON" | "ExtraValue" => Form::Any,
                "JSONSchemaPropsOrBool" => self.schema_or(Simple::Bool, &message),
                "JSONSchemaPropsOrArray" => self.schema_or(Simple::Schemas, &message),
                "JSONSchemaPropsOrStringArray" => self.schema_or(Simple::Strings, &message),
                _ => self.by_name(message.full_name()).map_or(Form::Any, Form::Message),
            },
            _ => Form::Any,
        }
    }

    fn schema_or(&self, simple: Simple, message: &MessageDescriptor) -> Form {
        let schema = message.get_field_by_name("schema").map(|field| field.kind());
        let schema = schema.as_ref().and_then(Kind::as_message).map(MessageDescriptor::full_name);
        schema.and_then(|name| self.by_name(name)).map_or(Form::Any, |schema| Form::SchemaOr(simple, schema))
    }
}

fn is_inline(field: &FieldDescriptor, options: Option<&ExtensionDescriptor>) -> bool {
    let Some(extension) = options else { return false };
    let options = field.options();
    options.has_extension(extension)
        && options
            .get_extension(extension)
            .as_message()
            .and_then(|schema| schema.get_field_by_name("inline"))
            .and_then(|inline| inline.as_bool())
            .unwrap_or(false)
}

/// Whether objects of the message name their kind also where they stand inside of others.
pub(crate) fn is_kind(descriptor: &MessageDescriptor) -> bool {
    crate::registry::all().iter().any(|kind| kind.message == descriptor.full_name())
}
