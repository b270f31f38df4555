//! A structural schema as server-side apply sees it: what is owned field by field, and what as a whole.

use super::schema::{Additional, List, Schema};
use crate::apply::{Name, Scalar};
use crate::schema::shape::{Field, Items, KeyField, Numbers, Shapes, Struct, Type};

const META: &str = "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// The type of the objects that a schema describes. What the schema does not know is refused unless it is preserved.
pub(super) fn of_objects(schema: &Schema) -> Type {
    let mut shape = structure(schema, schema.preserve);
    if schema.properties.is_empty() && shape.rest.is_none() && schema.r#type.is_empty() {
        // Nothing is said.
        shape.rest = Some(Type::Deduced);
    }
    embed(&mut shape);
    Type::Custom(Box::new(shape))
}

/// The type of a value; `preserve` says whether fields are kept that nothing is said of.
fn of(schema: &Schema, preserve: bool) -> Type {
    let preserve = preserve || schema.preserve;
    match schema.r#type.as_str() {
        "integer" | "number" => Type::Number,
        "boolean" => Type::Bool,
        "string" => Type::String,
        "array" => list(schema, preserve),
        "object" => object(schema, preserve),
        _ if schema.properties.is_empty() => Type::Deduced,
        _ => object(schema, preserve),
    }
}

fn object(schema: &Schema, preserve: bool) -> Type {
    if schema.embedded {
        let mut shape = structure(schema, preserve);
        embed(&mut shape);
        return Type::Custom(Box::new(shape));
    }
    if schema.properties.is_empty()
        && let Some(of) = rest(schema, preserve)
    {
        return Type::Map { of: Box::new(of), atomic: schema.atomic };
    }
    Type::Custom(Box::new(structure(schema, preserve)))
}

fn structure(schema: &Schema, preserve: bool) -> Struct {
    let field = |(name, schema): (&String, &Schema)| Field {
        name: Name::Owned(name.clone()),
        of: of(schema, preserve),
        always: false,
    };
    // They come in the order of their names.
    let fields = schema.properties.iter().map(field).collect();
    Struct { atomic: schema.atomic, fields, rest: rest(schema, preserve), numbers: Numbers::default() }
}

/// What the fields are that have no names in the schema.
fn rest(schema: &Schema, preserve: bool) -> Option<Type> {
    match &schema.additional {
        Additional::Each(each) => Some(of(each, preserve)),
        Additional::Any => Some(Type::Deduced),
        // An object of which nothing is said is free.
        Additional::None => (preserve || schema.properties.is_empty()).then_some(Type::Deduced),
    }
}

/// What every object has, whatever its schema says of it.
fn embed(shape: &mut Struct) {
    let meta = Shapes::get().by_name(META).cloned().unwrap_or(Type::Deduced);
    for (name, of) in [("apiVersion", Type::String), ("kind", Type::String), ("metadata", meta)] {
        shape.fields.retain(|field| field.name != name);
        shape.fields.push(Field { name: Name::Borrowed(name), of, always: false });
    }
    shape.fields.sort_by(|a, b| a.name.cmp(&b.name));
}

fn list(schema: &Schema, preserve: bool) -> Type {
    let item = schema.items.as_deref();
    let items = match &schema.list {
        List::Atomic => Items::Atomic,
        List::Set => Items::Set,
        List::Map(keys) => {
            let key = |name: &String| {
                let default = item.and_then(|item| item.properties.get(name)?.default.as_ref());
                KeyField { name: Name::Owned(name.clone()), default: default.and_then(Scalar::of) }
            };
            let mut keys: Vec<_> = keys.iter().map(key).collect();
            keys.sort_by(|a, b| a.name.cmp(&b.name));
            Items::Keys(keys)
        }
    };
    Type::List { of: Box::new(item.map_or(Type::Any, |item| of(item, preserve))), items }
}
