//! Small checks that many kinds share.

use serde::Serialize;
use serde_json::Value;

use super::names::Problems;
use crate::field::{Error, ErrorList, Path};
use crate::schema;

pub(crate) const IMMUTABLE: &str = "field is immutable";
pub(crate) const NON_NEGATIVE: &str = "must be greater than or equal to 0";

/// A value as errors show it.
pub(crate) fn shown<T: Serialize + ?Sized>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

/// Adds an error for each problem.
pub(crate) fn check(errors: &mut ErrorList, path: &Path, value: &str, problems: Problems) {
    errors.extend(problems.into_iter().map(|problem| Error::invalid(path.clone(), value, problem)));
}

pub(crate) fn non_negative(errors: &mut ErrorList, path: &Path, value: impl Into<i64>) {
    let value = value.into();
    if value < 0 {
        errors.push(Error::invalid(path.clone(), value, NON_NEGATIVE));
    }
}

pub(crate) fn positive(errors: &mut ErrorList, path: &Path, value: impl Into<i64>) {
    let value = value.into();
    if value <= 0 {
        errors.push(Error::invalid(path.clone(), value, "must be greater than 0"));
    }
}

pub(crate) fn one_of(errors: &mut ErrorList, path: &Path, value: &str, supported: &[impl AsRef<str>]) {
    if !supported.iter().any(|supported| supported.as_ref() == value) {
        errors.push(Error::not_supported(path.clone(), value, supported));
    }
}

/// Checks an enumerated string, whose values the schema lists under the field's name, such as
/// `core.v1.PodSpec.restartPolicy`.
pub(crate) fn enumerated(errors: &mut ErrorList, path: &Path, value: &str, field: &str) {
    let values = schema::values(field);
    debug_assert!(!values.is_empty(), "the schema lists no values of {field}");
    one_of(errors, path, value, values);
}

/// Like [`enumerated`], and an empty value is one that is missing.
pub(crate) fn required_enumerated(errors: &mut ErrorList, path: &Path, value: &str, field: &str) {
    if value.is_empty() {
        errors.push(Error::required(path.clone(), ""));
    } else {
        enumerated(errors, path, value, field);
    }
}

pub(crate) fn required(errors: &mut ErrorList, path: &Path, value: &str) {
    if value.is_empty() {
        errors.push(Error::required(path.clone(), ""));
    }
}

pub(crate) fn immutable<T: PartialEq + Serialize + ?Sized>(
    errors: &mut ErrorList,
    path: &Path,
    new: &T,
    old: &T,
) {
    if new != old {
        errors.push(Error::invalid(path.clone(), shown(new), IMMUTABLE));
    }
}

/// Finds values that stand twice.
pub(crate) struct Unique<'a> {
    seen: Vec<&'a str>,
}

impl<'a> Unique<'a> {
    pub(crate) fn new() -> Self {
        Self { seen: Vec::new() }
    }

    /// Remembers the value; adds an error if it was there before.
    pub(crate) fn check(&mut self, errors: &mut ErrorList, path: &Path, value: &'a str) -> bool {
        let twice = self.seen.contains(&value);
        if twice {
            errors.push(Error::duplicate(path.clone(), value));
        }
        self.seen.push(value);
        !twice
    }
}

#[cfg(test)]
pub(crate) fn texts(errors: &[Error]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}
