//! What the embedded descriptors keep of the source: the comments before messages, fields and services.

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Value};

/// The descriptors without the places of everything in its file: these are most of the source's description, nobody
/// reads them, and decoded they take megabytes. Custom options stay, which is why this goes by reflection.
pub(crate) fn keep_only(descriptors: &[u8]) -> Result<Vec<u8>, crate::Error> {
    let pool = DescriptorPool::decode(descriptors)?;
    let set = pool
        .get_message_by_name("google.protobuf.FileDescriptorSet")
        .ok_or("descriptor.proto is not imported")?;
    let mut set = DynamicMessage::decode(set, descriptors)?;
    let files = set.get_field_by_name_mut("file").and_then(Value::as_list_mut).ok_or("no files")?;
    for file in files.iter_mut().filter_map(Value::as_message_mut) {
        if !file.has_field_by_name("source_code_info") {
            continue;
        }
        let source = file.get_field_by_name_mut("source_code_info").and_then(Value::as_message_mut);
        let locations = source.and_then(|source| source.get_field_by_name_mut("location"));
        let Some(locations) = locations.and_then(Value::as_list_mut) else { continue };
        locations.retain_mut(|location| location.as_message_mut().is_some_and(keep_comment));
    }
    Ok(set.encode_to_vec())
}

/// Leaves only the comment and what it is about; false where there is none.
fn keep_comment(location: &mut DynamicMessage) -> bool {
    let comment = location.get_field_by_name("leading_comments");
    let text = comment.as_deref().and_then(Value::as_str).unwrap_or_default();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for field in ["span", "trailing_comments", "leading_detached_comments"] {
        location.clear_field_by_name(field);
    }
    let found = !text.is_empty();
    location.set_field_by_name("leading_comments", Value::String(text));
    found
}
