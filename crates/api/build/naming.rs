//! Rust names for fields whose names in the schema are those of JSON.

use prost_types::{DescriptorProto, FileDescriptorSet};

/// Renames every field to snake case and keeps its JSON name, so that prost's own conversion has nothing left to do
/// (it would turn `clusterIPs` into `cluster_i_ps`).
pub(crate) fn to_snake_case(descriptors: &mut FileDescriptorSet) {
    for file in &mut descriptors.file {
        for message in &mut file.message_type {
            rename_fields(message);
        }
    }
}

fn rename_fields(message: &mut DescriptorProto) {
    // Map entries have the fields `key` and `value`, which stay as they are.
    for field in &mut message.field {
        field.json_name = Some(field.name().to_owned());
        field.name = Some(snake_case(field.name()));
    }
    for nested in &mut message.nested_type {
        rename_fields(nested);
    }
}

/// `podIP` → `pod_ip`, `clusterIPs` → `cluster_ips`, `podCIDRs` → `pod_cidrs`, `hostPID` → `host_pid`,
/// `httpGet` → `http_get`: a run of capitals is one word, with its last letter left to the next word, and a plural `s`
/// after the run belongs to it.
pub(crate) fn snake_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 8);
    let mut i = 0;
    while i < chars.len() {
        if !chars[i].is_ascii_uppercase() {
            out.push(chars[i]);
            i += 1;
            continue;
        }
        let run = chars[i..].iter().take_while(|c| c.is_ascii_uppercase()).count();
        let after = chars.get(i + run);
        let plural = run > 1
            && after == Some(&'s')
            && chars.get(i + run + 1).is_none_or(|next| next.is_ascii_uppercase());
        let word = if plural {
            run + 1
        } else if run > 1 && after.is_some_and(|c| c.is_ascii_lowercase()) {
            run - 1
        } else {
            run
        };
        if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
        out.extend(chars[i..i + word].iter().map(char::to_ascii_lowercase));
        i += word;
    }
    out
}
