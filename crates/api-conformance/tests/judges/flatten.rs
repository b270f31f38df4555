//! `{:#?}` of a message as fields with values: what prost's types have instead of reflection.

use std::collections::{BTreeMap, BTreeSet};

/// The fields of a message by their paths, in lower case and without underscores, as every naming of a field ends up
/// the same then.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Fields {
    /// The values of the fields that are set.
    pub(crate) set: BTreeMap<String, Vec<String>>,
    /// The fields that are not set.
    pub(crate) unset: BTreeSet<String>,
}

/// Reads the text of `{:#?}`.
pub(crate) fn fields(text: &str) -> Fields {
    let mut fields = Fields::default();
    let mut stack: Vec<(usize, String)> = Vec::new();
    for line in text.lines() {
        let content = line.trim_start();
        let indent = line.len() - content.len();
        stack.retain(|(outer, _)| *outer < indent);
        let content = content.trim_end_matches(',');
        let value = match named(content) {
            Some((name, value)) => {
                stack.push((indent, name));
                value
            }
            None => content,
        };
        if value.ends_with(['{', '(', '[']) || matches!(value, "}" | ")" | "]") {
            continue;
        }
        let path = stack.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(".");
        if matches!(value, "None" | "[]" | "{}" | "\"\"" | "b\"\"" | "0" | "false") {
            fields.unset.insert(path);
        } else {
            fields.set.entry(path).or_default().extend(plain(value));
        }
    }
    fields
}

/// `pod_ips: [` or `"key": "value"`.
fn named(content: &str) -> Option<(String, &str)> {
    let (name, value) = content.split_once(": ")?;
    let key = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    let plain = name.trim_start_matches("r#");
    let identifier = !plain.is_empty() && plain.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match key {
        Some(key) if !key.contains('"') => Some((key.to_owned(), value)),
        _ if identifier => Some((plain.replace('_', "").to_ascii_lowercase(), value)),
        _ => None,
    }
}

/// A value as text; bytes as their numbers, since one side prints these and the other a string.
fn plain(value: &str) -> Vec<String> {
    match value.strip_prefix("b\"").and_then(|bytes| bytes.strip_suffix('"')) {
        Some(bytes) => bytes.replace("\\\"", "\"").bytes().map(|byte| byte.to_string()).collect(),
        None => vec![value.to_owned()],
    }
}

#[test]
fn debug_output_is_read() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "only its Debug output is looked at")]
    struct Inner {
        pod_ips: Vec<&'static str>,
        r#type: Option<i32>,
        nothing: Option<i32>,
        map: BTreeMap<&'static str, bool>,
    }
    let inner = Inner {
        pod_ips: vec!["a: b", "c"],
        r#type: Some(1),
        nothing: None,
        map: BTreeMap::from([("k", true)]),
    };
    let read = fields(&format!("{:#?}", Some(inner)));
    let set: Vec<(&str, String)> = read.set.iter().map(|(k, v)| (k.as_str(), v.join(" "))).collect();
    assert_eq!(
        set,
        [("map.k", "true".to_owned()), ("podips", "\"a: b\" \"c\"".to_owned()), ("type", "1".to_owned())]
    );
    assert_eq!(read.unset, BTreeSet::from(["nothing".to_owned()]));
}
