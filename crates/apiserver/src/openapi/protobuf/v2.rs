//! The messages of OpenAPI 2.

use serde_json::Value;

use super::Message::{Choice, Fields, Map, Wrapper};
use super::Type::{Any, Bool, Double, Text};
use super::{Field, Message, Type};

pub(crate) static DOCUMENT: Message = Fields {
    fields: &[
        Field("swagger", 1, Text),
        Field("info", 2, Type::Message(&INFO)),
        Field("schemes", 5, Text),
        Field("consumes", 6, Text),
        Field("produces", 7, Text),
        Field("paths", 8, Type::Message(&PATHS)),
        Field("definitions", 9, Type::Message(&SCHEMAS)),
        Field("parameters", 10, Type::Message(&PARAMETERS)),
        Field("security", 12, Type::Message(&SECURITY)),
        Field("securityDefinitions", 13, Type::Message(&SECURITY_DEFINITIONS)),
    ],
    extensions: 16,
};

static INFO: Message =
    Fields { fields: &[Field("title", 1, Text), Field("version", 2, Text)], extensions: 7 };

static PATHS: Message = Map { entries: 2, value: &PATH_ITEM };

static PATH_ITEM: Message = Fields {
    fields: &[
        Field("get", 2, Type::Message(&OPERATION)),
        Field("put", 3, Type::Message(&OPERATION)),
        Field("post", 4, Type::Message(&OPERATION)),
        Field("delete", 5, Type::Message(&OPERATION)),
        Field("options", 6, Type::Message(&OPERATION)),
        Field("head", 7, Type::Message(&OPERATION)),
        Field("patch", 8, Type::Message(&OPERATION)),
        Field("parameters", 9, Type::Message(&PARAMETER_OR_REFERENCE)),
    ],
    extensions: 10,
};

static OPERATION: Message = Fields {
    fields: &[
        Field("tags", 1, Text),
        Field("description", 3, Text),
        Field("operationId", 5, Text),
        Field("produces", 6, Text),
        Field("consumes", 7, Text),
        Field("parameters", 8, Type::Message(&PARAMETER_OR_REFERENCE)),
        Field("responses", 9, Type::Message(&RESPONSES)),
        Field("schemes", 10, Text),
    ],
    extensions: 13,
};

static PARAMETER_OR_REFERENCE: Message = Choice(|value| {
    if value.get("$ref").is_some() { (2, Type::Message(&REFERENCE)) } else { (1, Type::Message(&PARAMETER)) }
});

static REFERENCE: Message =
    Fields { fields: &[Field("$ref", 1, Text), Field("description", 2, Text)], extensions: 0 };

static PARAMETERS: Message = Map { entries: 1, value: &PARAMETER };

static PARAMETER: Message = Choice(|value| {
    if value["in"] == "body" {
        (1, Type::Message(&BODY_PARAMETER))
    } else {
        (2, Type::Message(&OTHER_PARAMETER))
    }
});

static BODY_PARAMETER: Message = Fields {
    fields: &[
        Field("description", 1, Text),
        Field("name", 2, Text),
        Field("in", 3, Text),
        Field("required", 4, Bool),
        Field("schema", 5, Type::Message(&SCHEMA)),
    ],
    extensions: 6,
};

static OTHER_PARAMETER: Message = Choice(|value| {
    if value["in"] == "path" {
        (4, Type::Message(&PATH_PARAMETER))
    } else {
        (3, Type::Message(&QUERY_PARAMETER))
    }
});

static QUERY_PARAMETER: Message = Fields {
    fields: &[
        Field("required", 1, Bool),
        Field("in", 2, Text),
        Field("description", 3, Text),
        Field("name", 4, Text),
        Field("type", 6, Text),
        Field("format", 7, Text),
        Field("uniqueItems", 20, Bool),
    ],
    extensions: 23,
};

static PATH_PARAMETER: Message = Fields {
    fields: &[
        Field("required", 1, Bool),
        Field("in", 2, Text),
        Field("description", 3, Text),
        Field("name", 4, Text),
        Field("type", 5, Text),
        Field("format", 6, Text),
        Field("uniqueItems", 19, Bool),
    ],
    extensions: 22,
};

static RESPONSES: Message = Map { entries: 1, value: &RESPONSE_OR_REFERENCE };

static RESPONSE_OR_REFERENCE: Message = Wrapper(1, &Type::Message(&RESPONSE));

static RESPONSE: Message = Fields {
    fields: &[Field("description", 1, Text), Field("schema", 2, Type::Message(&ANSWER))],
    extensions: 5,
};

static ANSWER: Message = Wrapper(1, &Type::Message(&SCHEMA));

static SCHEMAS: Message = Map { entries: 1, value: &SCHEMA };

static SCHEMA: Message = Fields {
    fields: &[
        Field("$ref", 1, Text),
        Field("format", 2, Text),
        Field("title", 3, Text),
        Field("description", 4, Text),
        Field("default", 5, Any),
        Field("maximum", 7, Double),
        Field("minimum", 9, Double),
        Field("pattern", 13, Text),
        Field("uniqueItems", 16, Bool),
        Field("required", 19, Text),
        Field("enum", 20, Type::Message(&YAML)),
        Field("additionalProperties", 21, Type::Message(&ADDITIONAL_PROPERTIES)),
        Field("type", 22, Type::Message(&TYPE)),
        Field("items", 23, Type::Message(&ITEMS)),
        Field("allOf", 24, Type::Message(&SCHEMA)),
        Field("properties", 25, Type::Message(&SCHEMAS)),
    ],
    extensions: 31,
};

/// Each of several values of any kind.
static YAML: Message = Choice(|_| (2, Type::Json));

static TYPE: Message = Wrapper(1, &Text);

static ITEMS: Message = Wrapper(1, &Type::Message(&SCHEMA));

static ADDITIONAL_PROPERTIES: Message =
    Choice(|value: &Value| if value.is_boolean() { (2, Bool) } else { (1, Type::Message(&SCHEMA)) });

static SECURITY: Message = Map { entries: 1, value: &SCOPES };

static SCOPES: Message = Wrapper(1, &Text);

static SECURITY_DEFINITIONS: Message = Map { entries: 1, value: &SECURITY_DEFINITION };

static SECURITY_DEFINITION: Message = Wrapper(2, &Type::Message(&API_KEY));

static API_KEY: Message = Fields {
    fields: &[
        Field("type", 1, Text),
        Field("name", 2, Text),
        Field("in", 3, Text),
        Field("description", 4, Text),
    ],
    extensions: 5,
};
