//! Who owns an object's fields: the names of managers, and the entries of `metadata.managedFields`.

use crate::field::{Error, ErrorList, Path};
use crate::meta::v1::ManagedFieldsEntry;

/// How long the name of a field manager may be.
pub const MAX_MANAGER: usize = 128;
/// How long the name of a subresource may be.
const MAX_SUBRESOURCE: usize = 256;

/// Whether a letter is seen: of white space, only the common one is.
#[must_use]
pub fn is_printable(letter: char) -> bool {
    letter == ' ' || !(letter.is_control() || letter.is_whitespace())
}

/// What is wrong with the name of a field manager.
#[must_use]
pub fn manager(name: &str, path: &Path) -> ErrorList {
    let mut errors = ErrorList::new();
    if name.len() > MAX_MANAGER {
        errors.push(Error::too_long(path.clone(), MAX_MANAGER));
    }
    for (at, letter) in name.char_indices().filter(|(_, letter)| !is_printable(*letter)) {
        let point = u32::from(letter);
        let detail = format!("invalid character U+{point:04X} (at position {at})");
        errors.push(Error::invalid(path.clone(), name, detail));
    }
    errors
}

/// What is wrong with the entries of an object.
pub(crate) fn entries(errors: &mut ErrorList, entries: &[ManagedFieldsEntry], path: &Path) {
    for (i, entry) in entries.iter().enumerate() {
        let path = path.index(i);
        if !matches!(entry.operation.as_str(), "Apply" | "Update") {
            let detail = "must be `Apply` or `Update`";
            errors.push(Error::invalid(path.child("operation"), entry.operation.as_str(), detail));
        }
        if !matches!(entry.fields_type.as_str(), "" | "FieldsV1") {
            let detail = "must be `FieldsV1`";
            errors.push(Error::invalid(path.child("fieldsType"), entry.fields_type.as_str(), detail));
        }
        errors.extend(manager(&entry.manager, &path.child("manager")));
        if entry.subresource.len() > MAX_SUBRESOURCE {
            errors.push(Error::too_long(path.child("subresource"), MAX_SUBRESOURCE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn managers_are_short_and_printable() {
        let problems = |name: &str| -> Vec<String> {
            manager(name, &Path::new("fieldManager")).iter().map(ToString::to_string).collect()
        };
        assert!(problems("some manager").is_empty());
        assert_eq!(
            problems("a\nb"),
            [r#"fieldManager: Invalid value: "a\nb": invalid character U+000A (at position 1)"#]
        );
        assert_eq!(problems(&"a".repeat(129)).len(), 1);
    }

    #[test]
    fn entries_say_how_and_in_which_format() {
        let entry = ManagedFieldsEntry { operation: "Apply".to_owned(), ..ManagedFieldsEntry::default() };
        let wrong = ManagedFieldsEntry {
            manager: "a\tb".to_owned(),
            operation: "Own".to_owned(),
            fields_type: "FieldsV2".to_owned(),
            subresource: "s".repeat(257),
            ..entry.clone()
        };
        let mut errors = ErrorList::new();
        entries(&mut errors, &[entry, wrong], &Path::new("metadata").child("managedFields"));
        let fields: Vec<String> = errors.iter().map(|error| error.path.to_string()).collect();
        let paths = ["operation", "fieldsType", "manager", "subresource"];
        assert_eq!(fields, paths.map(|name| format!("metadata.managedFields[1].{name}")));
    }
}
