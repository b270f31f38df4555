//! Which requests run when: flow schemas and priority levels.

pub(crate) mod level;
mod mandatory;
pub(crate) mod schema;

use super::common::{Unique, required};
use crate::field::{Error, ErrorList, Path};

/// Conditions, by their types: each has one, and none stands twice.
fn conditions<'a>(errors: &mut ErrorList, types: impl Iterator<Item = &'a str>, path: &Path) {
    let mut unique = Unique::new();
    for (i, r#type) in types.enumerate() {
        let path = path.index(i).child("type");
        unique.check(errors, &path, r#type);
        if r#type.is_empty() {
            errors.push(Error::required(path, "must not be empty"));
        }
    }
}

/// The name of somebody or something, which must be there.
fn name(errors: &mut ErrorList, name: &str, path: &Path) {
    required(errors, &path.child("name"), name);
}
