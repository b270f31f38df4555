//! The comments of `proto/`, which describe messages and fields for people.

use prost_reflect::prost_types::FileDescriptorProto;
use prost_reflect::{FieldDescriptor, MessageDescriptor};

/// What a message is; empty where the schema does not say.
#[must_use]
pub fn of_message(message: &MessageDescriptor) -> &str {
    at(message.parent_file_descriptor_proto(), message.path())
}

/// What a field is; empty where the schema does not say.
#[must_use]
pub fn of_field(field: &FieldDescriptor) -> String {
    let message = field.parent_message();
    at(message.parent_file_descriptor_proto(), field.path()).to_owned()
}

fn at<'a>(file: &'a FileDescriptorProto, path: &[i32]) -> &'a str {
    let locations = file.source_code_info.iter().flat_map(|source| &source.location);
    let mut comments = locations.filter(|location| location.path == path);
    comments.next().and_then(|location| location.leading_comments.as_deref()).unwrap_or_default()
}
