//! The messages of OpenAPI 3.

use serde_json::Value;

use super::Message::{Choice, Fields, Map, Wrapper};
use super::Type::{Bool, Double, Text};
use super::{Field, Message, Type};

pub(crate) static DOCUMENT: Message = Fields {
    fields: &[
        Field("openapi", 1, Text),
        Field("info", 2, Type::Message(&INFO)),
        Field("paths", 4, Type::Message(&PATHS)),
        Field("components", 5, Type::Message(&COMPONENTS)),
    ],
    extensions: 9,
};

static INFO: Message =
    Fields { fields: &[Field("title", 1, Text), Field("version", 6, Text)], extensions: 7 };

static PATHS: Message = Map { entries: 1, value: &PATH_ITEM };

static PATH_ITEM: Message = Fields {
    fields: &[
        Field("get", 4, Type::Message(&OPERATION)),
        Field("put", 5, Type::Message(&OPERATION)),
        Field("post", 6, Type::Message(&OPERATION)),
        Field("delete", 7, Type::Message(&OPERATION)),
        Field("options", 8, Type::Message(&OPERATION)),
        Field("head", 9, Type::Message(&OPERATION)),
        Field("patch", 10, Type::Message(&OPERATION)),
        Field("parameters", 13, Type::Message(&PARAMETER_OR_REFERENCE)),
    ],
    extensions: 14,
};

static OPERATION: Message = Fields {
    fields: &[
        Field("tags", 1, Text),
        Field("description", 3, Text),
        Field("operationId", 5, Text),
        Field("parameters", 6, Type::Message(&PARAMETER_OR_REFERENCE)),
        Field("requestBody", 7, Type::Message(&REQUEST_BODY_OR_REFERENCE)),
        Field("responses", 8, Type::Message(&RESPONSES)),
    ],
    extensions: 13,
};

static PARAMETER_OR_REFERENCE: Message = Choice(|_| (1, Type::Message(&PARAMETER)));

static PARAMETER: Message = Fields {
    fields: &[
        Field("name", 1, Text),
        Field("in", 2, Text),
        Field("description", 3, Text),
        Field("required", 4, Bool),
        Field("schema", 10, Type::Message(&SCHEMA_OR_REFERENCE)),
    ],
    extensions: 14,
};

static REQUEST_BODY_OR_REFERENCE: Message = Wrapper(1, &Type::Message(&REQUEST_BODY));

static REQUEST_BODY: Message = Fields {
    fields: &[
        Field("description", 1, Text),
        Field("content", 2, Type::Message(&MEDIA_TYPES)),
        Field("required", 3, Bool),
    ],
    extensions: 4,
};

static MEDIA_TYPES: Message = Map { entries: 1, value: &MEDIA_TYPE };

static MEDIA_TYPE: Message =
    Fields { fields: &[Field("schema", 1, Type::Message(&SCHEMA_OR_REFERENCE))], extensions: 5 };

static RESPONSES: Message = Map { entries: 2, value: &RESPONSE_OR_REFERENCE };

static RESPONSE_OR_REFERENCE: Message = Wrapper(1, &Type::Message(&RESPONSE));

static RESPONSE: Message = Fields {
    fields: &[Field("description", 1, Text), Field("content", 3, Type::Message(&MEDIA_TYPES))],
    extensions: 5,
};

static COMPONENTS: Message = Fields {
    fields: &[
        Field("schemas", 1, Type::Message(&SCHEMAS)),
        Field("securitySchemes", 7, Type::Message(&SECURITY_SCHEMES)),
    ],
    extensions: 10,
};

static SECURITY_SCHEMES: Message = Map { entries: 1, value: &SECURITY_SCHEME_OR_REFERENCE };

static SECURITY_SCHEME_OR_REFERENCE: Message = Wrapper(1, &Type::Message(&SECURITY_SCHEME));

static SECURITY_SCHEME: Message = Fields {
    fields: &[
        Field("type", 1, Text),
        Field("description", 2, Text),
        Field("name", 3, Text),
        Field("in", 4, Text),
    ],
    extensions: 9,
};

static SCHEMAS: Message = Map { entries: 1, value: &SCHEMA_OR_REFERENCE };

static SCHEMA_OR_REFERENCE: Message = Choice(|value| {
    if value.get("$ref").is_some() { (2, Type::Message(&REFERENCE)) } else { (1, Type::Message(&SCHEMA)) }
});

static REFERENCE: Message =
    Fields { fields: &[Field("$ref", 1, Text), Field("description", 3, Text)], extensions: 0 };

static SCHEMA: Message = Fields {
    fields: &[
        Field("title", 9, Text),
        Field("maximum", 11, Double),
        Field("minimum", 13, Double),
        Field("pattern", 17, Text),
        Field("uniqueItems", 20, Bool),
        Field("required", 23, Text),
        Field("enum", 24, Type::Message(&YAML)),
        Field("type", 25, Text),
        Field("allOf", 26, Type::Message(&SCHEMA_OR_REFERENCE)),
        Field("oneOf", 27, Type::Message(&SCHEMA_OR_REFERENCE)),
        Field("anyOf", 28, Type::Message(&SCHEMA_OR_REFERENCE)),
        Field("items", 30, Type::Message(&ITEMS)),
        Field("properties", 31, Type::Message(&SCHEMAS)),
        Field("additionalProperties", 32, Type::Message(&ADDITIONAL_PROPERTIES)),
        Field("default", 33, Type::Message(&DEFAULT)),
        Field("description", 34, Text),
        Field("format", 35, Text),
    ],
    extensions: 36,
};

/// Each of several values of any kind.
static YAML: Message = Choice(|_| (2, Type::Json));

static ITEMS: Message = Wrapper(1, &Type::Message(&SCHEMA_OR_REFERENCE));

static ADDITIONAL_PROPERTIES: Message =
    Choice(
        |value: &Value| {
            if value.is_boolean() { (2, Bool) } else { (1, Type::Message(&SCHEMA_OR_REFERENCE)) }
        },
    );

/// Defaults that are objects have no place in the message: it stays empty.
static DEFAULT: Message = Choice(|value: &Value| match value {
    Value::Number(_) => (1, Double),
    Value::Bool(_) => (2, Bool),
    Value::String(_) => (3, Text),
    _ => (1, Type::Nothing),
});
