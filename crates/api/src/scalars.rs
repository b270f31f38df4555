//! Types that are messages in protobuf and something else in JSON: quantities, times, raw JSON.

mod int_or_string;
mod json_schema;
mod quantity;
mod raw;
mod time;

pub use int_or_string::IntOrString;
pub use json_schema::{JsonSchemaPropsOrArray, JsonSchemaPropsOrBool, JsonSchemaPropsOrStringArray};
pub use quantity::{ParseQuantityError, Quantity};
pub use raw::{ExtraValue, FieldsV1, Json, RawExtension, Verbs};
pub use time::{Duration, MicroTime, Time};
