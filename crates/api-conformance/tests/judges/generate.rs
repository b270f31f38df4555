//! Objects from the descriptors: complete ones, and ones that arbitrary bytes decide about.

use gantry_api::schema;
use prost_reflect::{
    DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};

/// Messages within messages deeper than this stay empty. The API's deepest is well below.
const MAX_DEPTH: usize = 20;
/// No more fields than this are picked for one message.
const MAX_FIELDS: u8 = 6;
/// What strings are made of: what JSON escapes, and more than ASCII, too.
const ALPHABET: [&str; 16] =
    ["a", "b", "z", "0", "9", "-", ".", "/", " ", "\"", "\\", "\n", "\u{1}", "é", "日", "😀"];
const QUANTITIES: [&str; 8] = ["0", "1", "500m", "1Gi", "1500Mi", "12e6", "-3k", "7n"];
const JSON: [&str; 4] = ["{}", r#"{"a":1}"#, r#"{"b":{"c":[null,true,"x"]}}"#, r#"[1,2]"#];

/// What decides about fields and values.
enum Choices<'a> {
    /// Every field is set, each to a value of its own.
    Complete { last: i32 },
    /// Bytes decide. Where they end, nothing more is set: fewer and smaller bytes make smaller objects.
    Bytes(std::slice::Iter<'a, u8>),
}

struct Generator<'a> {
    choices: Choices<'a>,
    /// The messages that are being made, by their names: one within itself stays empty.
    within: Vec<String>,
    without: &'a [&'a str],
    options: ExtensionDescriptor,
}

/// An object with every field set, save those named, such as `k8s.io.api.core.v1.PodSpec.nodeName`.
pub(crate) fn complete(message: &MessageDescriptor, without: &[&str]) -> DynamicMessage {
    Generator::new(Choices::Complete { last: 0 }, without).message(message, 0)
}

/// The object that the bytes describe, without the fields named.
pub(crate) fn from_bytes(message: &MessageDescriptor, bytes: &[u8], without: &[&str]) -> DynamicMessage {
    Generator::new(Choices::Bytes(bytes.iter()), without).message(message, 0)
}

impl<'a> Generator<'a> {
    fn new(choices: Choices<'a>, without: &'a [&'a str]) -> Self {
        let options = schema::pool().get_extension_by_name("gantry.schema.v1.field").unwrap();
        Self { choices, within: Vec::new(), without, options }
    }

    fn message(&mut self, descriptor: &MessageDescriptor, depth: usize) -> DynamicMessage {
        if let Some(scalar) = self.scalar(descriptor).or_else(|| self.schema_or(descriptor, depth)) {
            return scalar;
        }
        let mut message = DynamicMessage::new(descriptor.clone());
        if self.within.iter().any(|name| name == descriptor.full_name()) {
            return message;
        }
        self.within.push(descriptor.full_name().to_owned());
        for field in self.fields(descriptor, depth) {
            let value = self.field(&field, depth);
            // JSON cannot tell an inlined message without fields from none.
            let empty = matches!(&value, Value::Message(inner) if inner.fields().next().is_none());
            if !(empty && self.option(&field, "inline")) {
                message.set_field(&field, value);
            }
        }
        self.within.pop();
        message
    }

    /// What JSON writes as a schema, or as something simpler.
    fn schema_or(&mut self, descriptor: &MessageDescriptor, depth: usize) -> Option<DynamicMessage> {
        let simpler = match descriptor.name() {
            "JSONSchemaPropsOrBool" => None,
            "JSONSchemaPropsOrArray" => Some("jSONSchemas"),
            "JSONSchemaPropsOrStringArray" => Some("property"),
            _ => return None,
        };
        let mut message = DynamicMessage::new(descriptor.clone());
        let as_schema = self.flag();
        let field = match simpler {
            None => {
                message.set_field_by_name("allows", Value::Bool(as_schema || self.flag()));
                as_schema.then_some("schema")
            }
            Some(simpler) => Some(if as_schema { "schema" } else { simpler }),
        };
        if let Some(field) = field.and_then(|field| descriptor.get_field_by_name(field)) {
            let value = self.value(&field, depth);
            // An empty list is no list in JSON.
            let value = if field.is_list() { Value::List(vec![value]) } else { value };
            message.set_field(&field, value);
        }
        Some(message)
    }

    /// The fields to set: those that JSON always writes, and a choice of the others.
    fn fields(&mut self, descriptor: &MessageDescriptor, depth: usize) -> Vec<FieldDescriptor> {
        let all: Vec<FieldDescriptor> =
            descriptor.fields().filter(|field| !self.without.contains(&field.full_name())).collect();
        if depth == 0 || matches!(self.choices, Choices::Complete { .. }) && depth < MAX_DEPTH {
            return all;
        }
        let mut chosen: Vec<FieldDescriptor> = all
            .iter()
            // What is required and can be absent: absent, it is no object that the judges know.
            .filter(|field| !field.is_list())
            .filter(|field| matches!(field.kind(), Kind::Message(_)) || field.supports_presence())
            .filter(|field| self.option(field, "required"))
            .cloned()
            .collect();
        let count = if depth < MAX_DEPTH { self.byte() % (MAX_FIELDS + 1) } else { 0 };
        for _ in 0..count {
            let Some(field) = all.get(usize::from(self.byte()) % all.len().max(1)) else { break };
            if !chosen.contains(field) {
                chosen.push(field.clone());
            }
        }
        chosen
    }

    fn field(&mut self, field: &FieldDescriptor, depth: usize) -> Value {
        if let Kind::Message(entry) = field.kind()
            && field.is_map()
        {
            let count = self.count();
            let entries = (0..count).map(|_| {
                let key = MapKey::String(self.string());
                (key, self.value(&entry.map_entry_value_field(), depth))
            });
            return Value::Map(entries.collect());
        }
        if field.is_list() {
            let count = self.count();
            return Value::List((0..count).map(|_| self.value(field, depth)).collect());
        }
        self.value(field, depth)
    }

    fn value(&mut self, field: &FieldDescriptor, depth: usize) -> Value {
        match field.kind() {
            Kind::String => Value::String(self.string()),
            Kind::Bool => Value::Bool(self.flag()),
            Kind::Int32 => Value::I32(self.integer()),
            Kind::Int64 => Value::I64(self.integer().into()),
            Kind::Double => Value::F64(self.integer().into()),
            Kind::Bytes => Value::Bytes(self.string().into_bytes().into()),
            Kind::Message(message) => Value::Message(self.message(&message, depth + 1)),
            other => panic!("{}: the API has no fields of type {other:?}", field.full_name()),
        }
    }

    /// A message that JSON writes as something else than an object of its fields.
    fn scalar(&mut self, descriptor: &MessageDescriptor) -> Option<DynamicMessage> {
        let fields: Vec<(&str, Value)> = match descriptor.name() {
            "Quantity" => vec![("string", Value::String(self.quantity()))],
            "IntOrString" if self.flag() => {
                vec![("type", Value::I64(1)), ("strVal", Value::String(self.string()))]
            }
            "IntOrString" => vec![("type", Value::I64(0)), ("intVal", Value::I32(self.integer()))],
            "Time" => vec![("seconds", Value::I64(self.seconds())), ("nanos", Value::I32(0))],
            "MicroTime" => {
                let nanos = self.integer().unsigned_abs() % 1_000_000 * 1_000;
                vec![("seconds", Value::I64(self.seconds())), ("nanos", Value::I32(nanos.cast_signed()))]
            }
            "RawExtension" | "FieldsV1" | "JSON" => vec![("raw", Value::Bytes(self.json().into()))],
            _ => return None,
        };
        let mut message = DynamicMessage::new(descriptor.clone());
        for (name, value) in fields {
            message.set_field_by_name(name, value);
        }
        Some(message)
    }

    fn option(&self, field: &FieldDescriptor, name: &str) -> bool {
        let options = field.options();
        let schema = options.get_extension(&self.options);
        let value = schema.as_message().and_then(|schema| schema.get_field_by_name(name));
        value.and_then(|value| value.as_bool()).unwrap_or(false)
    }

    fn byte(&mut self) -> u8 {
        match &mut self.choices {
            Choices::Complete { .. } => 1,
            Choices::Bytes(bytes) => bytes.next().copied().unwrap_or(0),
        }
    }

    /// The next value of a complete object.
    fn unique(&mut self) -> Option<i32> {
        let Choices::Complete { last } = &mut self.choices else { return None };
        *last += 1;
        Some(*last)
    }

    fn count(&mut self) -> usize {
        if matches!(self.choices, Choices::Complete { .. }) { 1 } else { usize::from(self.byte() % 4) }
    }

    fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    fn string(&mut self) -> String {
        if let Some(unique) = self.unique() {
            return format!("v{unique}");
        }
        (0..self.byte() % 5).map(|_| ALPHABET[usize::from(self.byte()) % ALPHABET.len()]).collect()
    }

    fn integer(&mut self) -> i32 {
        if let Some(unique) = self.unique() {
            return unique;
        }
        match self.byte() % 4 {
            0 => self.byte().into(),
            1 => -i32::from(self.byte()),
            2 => i32::MAX,
            _ => i32::MIN,
        }
    }

    fn seconds(&mut self) -> i64 {
        // From 1972 to 2106.
        i64::from(self.integer().unsigned_abs()) + 68_000_000
    }

    fn quantity(&mut self) -> String {
        match self.unique() {
            Some(unique) => format!("{unique}7m"),
            None => QUANTITIES[usize::from(self.byte()) % QUANTITIES.len()].to_owned(),
        }
    }

    fn json(&mut self) -> String {
        match self.unique() {
            Some(unique) => format!(r#"{{"v":{unique}}}"#),
            None => JSON[usize::from(self.byte()) % JSON.len()].to_owned(),
        }
    }
}
