//! Types that are messages in protobuf and something else in JSON: quantities, times, raw JSON.

mod int_or_string;
mod quantity;
mod raw;
mod time;

pub use int_or_string::IntOrString;
pub use quantity::{ParseQuantityError, Quantity};
pub use raw::{FieldsV1, RawExtension, Verbs};
pub use time::{Duration, MicroTime, Time};
