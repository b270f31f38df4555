//! The shape of each message as server-side apply sees it: fields by their JSON names and by their numbers, and what is
//! owned as a whole. Built once from the descriptors.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};

use super::merge::{flag, message_options, options, text, texts};
use crate::apply::{Name, Scalar};

/// An object that is no kind of its own.
const SCALE: &str = "k8s.io.api.autoscaling.v1.Scale";

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Type {
    /// A text.
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// A text that is a time, or null.
    Time,
    /// Any scalar: what is written as a text or as a number, such as a quantity.
    Scalar,
    /// Anything, owned as a whole.
    Any,
    /// Anything, as it turns out to be: objects by their fields, everything else as a whole.
    Deduced,
    /// An object with the fields of a message.
    Struct(usize),
    /// An object with the fields of a custom resource's schema.
    Custom(Box<Struct>),
    /// An object with any keys.
    Map { of: Box<Type>, atomic: bool },
    /// A list.
    List { of: Box<Type>, items: Items },
}

/// How the items of a list are told apart.
#[derive(Debug, Clone)]
pub(crate) enum Items {
    /// Not at all: the list is owned as a whole.
    Atomic,
    /// By their values.
    Set,
    /// By some of their fields.
    Keys(Vec<KeyField>),
}

/// A field that identifies an item.
#[derive(Debug, Clone)]
pub(crate) struct KeyField {
    pub(crate) name: Name,
    /// What an item has that does not say.
    pub(crate) default: Option<Scalar>,
}

/// A field of a struct.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: Name,
    pub(crate) of: Type,
    /// Whether every object of upstream has it, if need be empty.
    pub(crate) always: bool,
}

/// The JSON of a message.
#[derive(Debug, Clone)]
pub(crate) struct Struct {
    /// Whether it is owned as a whole.
    pub(crate) atomic: bool,
    /// In the order of their names; the fields of inlined messages among them.
    pub(crate) fields: Vec<Field>,
    /// What other fields are that it may have; none where it may not.
    pub(crate) rest: Option<Type>,
    pub(crate) numbers: Numbers,
}

/// Where the fields of a message are by their numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers(Vec<Option<Slot>>);

/// What is behind a number.
#[derive(Debug, Clone)]
pub(crate) enum Slot {
    /// A field, by its place in [`Struct::fields`].
    Field(usize),
    /// A message whose fields are those of the struct, too.
    Inline(Numbers),
}

impl Numbers {
    pub(crate) fn get(&self, number: u32) -> Option<&Slot> {
        self.0.get(usize::try_from(number).ok()?)?.as_ref()
    }

    fn set(&mut self, number: u32, slot: Slot) {
        // Field numbers of the API are small.
        let at = number as usize;
        if self.0.len() <= at {
            self.0.resize_with(at + 1, || None);
        }
        self.0[at] = Some(slot);
    }
}

impl Type {
    /// The fields that it has by name; none where it has no such fields.
    pub(crate) fn shape(&self) -> Option<&Struct> {
        match self {
            Self::Struct(at) => Some(Shapes::get().of(*at)),
            Self::Custom(shape) => Some(shape),
            _ => None,
        }
    }

    /// What stands below a name in an object; none where that is not known.
    pub(crate) fn below(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map { of, .. } => Some(of),
            Self::Deduced => Some(self),
            _ => {
                let shape = self.shape()?;
                shape.field(name).map(|field| &field.of).or(shape.rest.as_ref())
            }
        }
    }
}

impl Struct {
    /// The field of a name, and where it is.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        let at = self.fields.binary_search_by(|field| field.name.as_ref().cmp(name)).ok()?;
        self.fields.get(at)
    }
}

/// All messages of the Kubernetes API.
pub(crate) struct Shapes {
    structs: Vec<Struct>,
    roots: HashMap<String, Type>,
}

static SHAPES: LazyLock<Shapes> = LazyLock::new(Shapes::build);

impl Shapes {
    /// The shapes of the schema.
    pub(crate) fn get() -> &'static Self {
        &SHAPES
    }

    /// The type of a message by its full name.
    pub(crate) fn by_name(&self, message: &str) -> Option<&Type> {
        self.roots.get(message)
    }

    pub(crate) fn of(&self, at: usize) -> &Struct {
        &self.structs[at]
    }

    fn build() -> Self {
        let messages: Vec<MessageDescriptor> = super::pool()
            .all_messages()
            .filter(|message| message.full_name().starts_with("k8s.io."))
            .collect();
        let by_name: HashMap<String, usize> =
            messages.iter().enumerate().map(|(i, message)| (message.full_name().to_owned(), i)).collect();
        let structs = messages.iter().map(|message| shape(message, &by_name)).collect();
        Self { structs, roots: by_name.into_iter().map(|(name, at)| (name, Type::Struct(at))).collect() }
    }
}

fn shape(message: &MessageDescriptor, by_name: &HashMap<String, usize>) -> Struct {
    let mut fields = Vec::new();
    add_fields(message, by_name, &mut fields);
    // The type of an object stands among its fields, in JSON alone.
    for name in ["apiVersion", "kind"] {
        let typed = super::layout::is_kind(message) || message.full_name() == SCALE;
        if typed && !fields.iter().any(|field: &Field| field.name == name) {
            fields.push(Field { name: Name::Borrowed(name), of: Type::String, always: false });
        }
    }
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    let numbers = numbers(message, &fields);
    let atomic = message_options(message).is_some_and(|options| flag(&options, "atomic"));
    Struct { atomic, fields, rest: None, numbers }
}

fn add_fields(message: &MessageDescriptor, by_name: &HashMap<String, usize>, fields: &mut Vec<Field>) {
    for field in message.fields() {
        let options = options(&field);
        let is = |name| options.as_ref().is_some_and(|options| flag(options, name));
        match field.kind() {
            Kind::Message(inlined) if is("inline") => add_fields(&inlined, by_name, fields),
            _ => fields.push(Field {
                name: interned(field.json_name()),
                of: field_type(&field, options.as_ref(), by_name),
                always: is("required") || is("present"),
            }),
        }
    }
}

/// A name of the schema, kept for the program's life as the schema is: it goes into sets without being copied.
fn interned(name: &str) -> Name {
    Name::Borrowed(Box::leak(name.to_owned().into_boxed_str()))
}

fn numbers(message: &MessageDescriptor, fields: &[Field]) -> Numbers {
    let mut all = Numbers::default();
    for field in message.fields() {
        let inline = options(&field).is_some_and(|options| flag(&options, "inline"));
        let slot = match field.kind() {
            Kind::Message(inlined) if inline => Some(Slot::Inline(numbers(&inlined, fields))),
            _ => {
                fields.binary_search_by(|one| one.name.as_ref().cmp(field.json_name())).ok().map(Slot::Field)
            }
        };
        if let Some(slot) = slot {
            all.set(field.number(), slot);
        }
    }
    all
}

fn field_type(
    field: &FieldDescriptor,
    options: Option<&DynamicMessage>,
    by_name: &HashMap<String, usize>,
) -> Type {
    if field.is_map()
        && let Kind::Message(entry) = field.kind()
    {
        let of = value_type(&entry.map_entry_value_field().kind(), by_name);
        return Type::Map {
            of: Box::new(of),
            atomic: options.is_some_and(|options| flag(options, "atomic")),
        };
    }
    let of = value_type(&field.kind(), by_name);
    if !field.is_list() {
        return of;
    }
    let kind = options
        .and_then(|options| options.get_field_by_name("list_type").and_then(|value| value.as_enum_number()));
    let items = match (kind, options) {
        (Some(2), _) => Items::Set,
        (Some(3), Some(options)) => Items::Keys(key_fields(&field.kind(), &texts(options, "list_map_keys"))),
        _ => Items::Atomic,
    };
    Type::List { of: Box::new(of), items }
}

/// The key fields of an item, with the defaults that the item's message gives them.
fn key_fields(item: &Kind, names: &[String]) -> Vec<KeyField> {
    let Kind::Message(message) = item else { return Vec::new() };
    let default = |name: &String| {
        let options = options(&message.get_field_by_name(name)?)?;
        Scalar::of(&serde_json::from_str(&text(&options, "default")).ok()?)
    };
    let mut fields: Vec<KeyField> =
        names.iter().map(|name| KeyField { name: interned(name), default: default(name) }).collect();
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    fields
}

fn value_type(kind: &Kind, by_name: &HashMap<String, usize>) -> Type {
    match kind {
        Kind::String | Kind::Bytes => Type::String,
        Kind::Bool => Type::Bool,
        Kind::Message(message) => match message.full_name().rsplit('.').next().unwrap_or_default() {
            "Quantity" | "IntOrString" => Type::Scalar,
            "Time" | "MicroTime" | "Duration" => Type::Time,
            "RawExtension" | "FieldsV1" | "JSON" | "ExtraValue" => Type::Any,
            // A schema, or something else.
            name if name.starts_with("JSONSchemaPropsOr") => Type::Any,
            _ => by_name.get(message.full_name()).map_or(Type::Any, |at| Type::Struct(*at)),
        },
        _ => Type::Number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(message: &str) -> &'static Struct {
        let Some(Type::Struct(at)) = Shapes::get().by_name(message) else { panic!("{message}") };
        Shapes::get().of(*at)
    }

    #[test]
    fn lists_say_what_identifies_their_items() {
        let container = of("k8s.io.api.core.v1.Container");
        let Type::List { items: Items::Keys(keys), .. } = &container.field("ports").unwrap().of else {
            panic!()
        };
        assert_eq!(
            keys.iter().map(|key| key.name.as_ref()).collect::<Vec<_>>(),
            ["containerPort", "protocol"]
        );
        assert_eq!(keys[1].default, Some(Scalar::String("TCP".into())));
        let meta = of("k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta");
        assert!(matches!(meta.field("finalizers").unwrap().of, Type::List { items: Items::Set, .. }));
        assert!(matches!(container.field("args").unwrap().of, Type::List { items: Items::Atomic, .. }));
    }

    #[test]
    fn structs_and_maps_may_be_atomic() {
        for (message, atomic) in [
            ("k8s.io.apimachinery.pkg.apis.meta.v1.LabelSelector", true),
            ("k8s.io.api.core.v1.ObjectReference", true),
            ("k8s.io.api.core.v1.NodeSelector", true),
            ("k8s.io.api.rbac.v1.Subject", true),
            ("k8s.io.api.core.v1.PodSpec", false),
        ] {
            assert_eq!(of(message).atomic, atomic, "{message}");
        }
        let spec = of("k8s.io.api.core.v1.PodSpec");
        assert!(matches!(spec.field("nodeSelector").unwrap().of, Type::Map { atomic: true, .. }));
        assert!(matches!(spec.field("overhead").unwrap().of, Type::Map { atomic: false, .. }));
    }

    #[test]
    fn inlined_messages_lend_their_fields() {
        let volume = of("k8s.io.api.core.v1.Volume");
        assert!(volume.field("emptyDir").is_some() && volume.field("volumeSource").is_none());
        assert!(matches!(volume.numbers.get(2), Some(Slot::Inline(_))));
    }
}
