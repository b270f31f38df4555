//! YAML that readers of 1.1 and of 1.2 take for the same.

use serde_yaml::{Mapping, Value};

use super::YamlError;
use super::scalar::{former_bool, with_leading_zero};

/// A value as text. The serializer writes YAML 1.2, where a word such as `yes` needs no quotes; readers of 1.1 take it for
/// something else without them. Such texts are marked before they are written, and get their quotes in place of the mark.
pub(super) fn text(mut value: Value) -> Result<String, YamlError> {
    let written =
        |value: &Value| serde_yaml::to_string(value).map_err(|error| YamlError::Invalid(error.to_string()));
    let mut words = Vec::new();
    gather(&value, &mut words);
    if words.is_empty() {
        return written(&value);
    }
    let plain = written(&value)?;
    // Private characters mean nothing, so hardly any text has one.
    let mark = ('\u{e000}'..='\u{f8ff}').find(|mark| !plain.contains(*mark));
    let mark = mark.ok_or_else(|| YamlError::Invalid("it has every private character".to_owned()))?;
    set_marks(&mut value, mark);
    let mut text = written(&value)?;
    words.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    words.dedup();
    for word in words {
        text = text.replace(&format!("{mark}{word}{mark}"), &format!("'{word}'"));
    }
    Ok(text)
}

/// Whether readers of YAML 1.1 take it for something else than a text where it has no quotes.
fn is_ambiguous(text: &str) -> bool {
    former_bool(text).is_some() || with_leading_zero(text).is_some() || text == "<<"
}

/// The texts of a value that need quotes.
fn gather(value: &Value, words: &mut Vec<String>) {
    match value {
        Value::String(text) if is_ambiguous(text) => words.push(text.clone()),
        Value::Sequence(items) => items.iter().for_each(|item| gather(item, words)),
        Value::Mapping(entries) => entries.iter().for_each(|(key, value)| {
            gather(key, words);
            gather(value, words);
        }),
        _ => {}
    }
}

fn set_marks(value: &mut Value, mark: char) {
    match value {
        Value::String(text) if is_ambiguous(text) => *text = format!("{mark}{text}{mark}"),
        Value::Sequence(items) => items.iter_mut().for_each(|item| set_marks(item, mark)),
        Value::Mapping(entries) => {
            let marked = std::mem::take(entries).into_iter().map(|(mut key, mut value)| {
                set_marks(&mut key, mark);
                set_marks(&mut value, mark);
                (key, value)
            });
            *entries = marked.collect::<Mapping>();
        }
        _ => {}
    }
}
