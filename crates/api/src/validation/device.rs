//! Devices: what drivers offer, and what claims ask for.
//!
//! Expressions in CEL are looked at as texts: that they are there, and not too long. Whether they compile, which types
//! they have and what they cost is not checked.

mod capacity;
pub(crate) mod claim;
pub(crate) mod slice;
pub(crate) mod status;

use super::common::{Unique, check, enumerated, one_of, required_enumerated};
use super::csi::driver_name;
use super::names::{self, SUBDOMAIN_MAX};
use crate::field::{Error, ErrorList, Path};
use crate::resource::v1::{DeviceTaint, DeviceToleration};
use crate::scalars::RawExtension;

const ID_MAX: usize = 32;
const UID_LENGTH: usize = 36;
const BINDING_CONDITIONS_MAX: usize = 4;
/// What a driver is told, or says.
const OBJECT_MAX: usize = 10 << 10;
const OMITTED: &str = "<value omitted>";

/// A list that is looked at only where it is not too long.
fn items<T>(
    errors: &mut ErrorList,
    items: &[T],
    max: usize,
    path: &Path,
    mut item: impl FnMut(&mut ErrorList, &T, &Path),
) {
    if items.len() > max {
        errors.push(Error::too_many(path.clone(), items.len(), max));
        return;
    }
    for (i, one) in items.iter().enumerate() {
        item(errors, one, &path.index(i));
    }
}

/// Finds the items of a list whose key stands twice.
fn unique<'a>(errors: &mut ErrorList, keys: impl Iterator<Item = &'a str>, max: usize, path: &Path) {
    let mut unique = Unique::new();
    for (i, key) in keys.take(max).enumerate() {
        unique.check(errors, &path.index(i), key);
    }
}

/// The name of a driver: a domain, in which capitals do not count.
fn driver(errors: &mut ErrorList, name: &str, path: &Path) {
    if name.is_empty() {
        errors.push(Error::required(path.clone(), ""));
        return;
    }
    driver_name(errors, name, path);
}

/// The name of a pool: domains, with slashes between them.
fn pool(errors: &mut ErrorList, name: &str, path: &Path) {
    if name.is_empty() {
        errors.push(Error::required(path.clone(), ""));
        return;
    }
    if name.len() > SUBDOMAIN_MAX {
        errors.push(Error::too_long(path.clone(), SUBDOMAIN_MAX));
    }
    for part in name.split('/') {
        check(errors, path, part, names::dns1123_subdomain(part));
    }
}

/// The name of a device, a request or a counter.
fn label(errors: &mut ErrorList, name: &str, path: &Path) {
    check(errors, path, name, names::dns1123_label(name));
}

fn uid(errors: &mut ErrorList, uid: &str, path: &Path) {
    let hexadecimal = |c: char| c.is_ascii_hexdigit();
    let parts: Vec<usize> =
        uid.split('-').map(|part| if part.chars().all(hexadecimal) { part.len() } else { 0 }).collect();
    let detail = if uid.len() != UID_LENGTH {
        format!("error validating uid: invalid UUID length: {}", uid.len())
    } else if parts != [8, 4, 4, 4, 12] {
        "error validating uid: invalid UUID format".to_owned()
    } else if uid.chars().any(|c| c.is_ascii_uppercase()) {
        "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal \
         characters"
            .to_owned()
    } else {
        return;
    };
    errors.push(Error::invalid(path.clone(), uid, detail));
}

fn identifier(errors: &mut ErrorList, id: &str, path: &Path) {
    if id.len() > ID_MAX {
        errors.push(Error::too_long(path.clone(), ID_MAX));
    }
    check(errors, path, id, names::c_identifier(id));
}

/// The name of an attribute or a capacity: an identifier, which may stand after a domain and a slash.
fn qualified(errors: &mut ErrorList, name: &str, path: &Path) {
    match name.split('/').collect::<Vec<_>>()[..] {
        [id] => identifier(errors, id, path),
        [domain, id] => {
            if domain.is_empty() {
                errors.push(Error::invalid(path.clone(), "", "the domain must not be empty"));
            } else {
                driver(errors, domain, path);
            }
            if id.is_empty() {
                errors.push(Error::invalid(path.clone(), "", "the name must not be empty"));
            } else {
                identifier(errors, id, path);
            }
        }
        _ => errors.push(Error::invalid(path.clone(), name, "must not contain more than one slash")),
    }
}

/// The name of an attribute with its domain.
fn fully_qualified(errors: &mut ErrorList, name: &str, path: &Path) {
    qualified(errors, name, path);
    if !name.contains('/') {
        let detail = "a fully qualified name must be a domain and a name separated by a slash";
        errors.push(Error::invalid(path.clone(), name, detail));
    }
}

/// A key as maps of errors show it: what is too long is cut out of its middle.
fn shortened(key: &str, max: usize) -> String {
    const CUT: &str = "...";
    if key.len() <= max || !key.is_ascii() {
        return key.to_owned();
    }
    let left = max - CUT.len();
    format!("{}{CUT}{}", &key[..left.div_ceil(2)], &key[key.len() - left / 2..])
}

fn taint(errors: &mut ErrorList, taint: &DeviceTaint, path: &Path) {
    check(errors, &path.child("key"), &taint.key, names::qualified_name(&taint.key));
    if !taint.value.is_empty() {
        check(errors, &path.child("value"), &taint.value, names::label_value(&taint.value));
    }
    required_enumerated(errors, &path.child("effect"), &taint.effect, "resource.v1.DeviceTaint.effect");
}

fn tolerations(errors: &mut ErrorList, tolerations: &[DeviceToleration], path: &Path) {
    for (i, one) in tolerations.iter().enumerate() {
        toleration(errors, one, &path.index(i));
    }
}

fn toleration(errors: &mut ErrorList, toleration: &DeviceToleration, path: &Path) {
    if !toleration.key.is_empty() {
        check(errors, &path.child("key"), &toleration.key, names::qualified_name(&toleration.key));
    }
    let of_value = path.child("value");
    match toleration.operator.as_str() {
        "Exists" if toleration.value.is_empty() => {}
        "Exists" => {
            let detail = "must be empty for operator `Exists`";
            errors.push(Error::invalid(of_value, toleration.value.as_str(), detail));
        }
        "Equal" => check(errors, &of_value, &toleration.value, names::label_value(&toleration.value)),
        "" => errors.push(Error::required(path.child("operator"), "")),
        other => one_of(errors, &path.child("operator"), other, &["Equal", "Exists"]),
    }
    if !toleration.effect.is_empty() {
        let field = "resource.v1.DeviceToleration.effect";
        enumerated(errors, &path.child("effect"), &toleration.effect, field);
    }
}

/// What must hold, and what must not, before a pod is bound: both or neither, and nothing in both.
fn binding_conditions(errors: &mut ErrorList, wanted: &[String], failures: &[String], path: &Path) {
    const WANTED: &str = "bindingConditions";
    const FAILURES: &str = "bindingFailureConditions";
    let name = |errors: &mut ErrorList, name: &String, path: &Path| {
        check(errors, path, name, names::qualified_name(name));
    };
    for (field, conditions) in [(WANTED, wanted), (FAILURES, failures)] {
        items(errors, conditions, BINDING_CONDITIONS_MAX, &path.child(field), name);
    }
    unique(errors, wanted.iter().map(String::as_str), wanted.len(), &path.child(WANTED));
    unique(errors, failures.iter().map(String::as_str), failures.len(), &path.child(FAILURES));
    for (i, failure) in failures.iter().enumerate().filter(|(_, failure)| wanted.contains(failure)) {
        let detail = "bindingFailureConditions must not overlap with bindingConditions";
        errors.push(Error::invalid(path.child(FAILURES).index(i), failure.as_str(), detail));
    }
    for (field, here, other, there) in
        [(WANTED, wanted, FAILURES, failures), (FAILURES, failures, WANTED, wanted)]
    {
        if here.is_empty() && !there.is_empty() {
            let detail = format!("{field} are required to use {other}");
            errors.push(Error::invalid(path.child(field), serde_json::Value::Null, detail));
        }
    }
}

/// An object that only drivers understand. One that is stored may be longer than a new one.
fn object(errors: &mut ErrorList, object: Option<&RawExtension>, stored: bool, path: &Path) {
    let raw = object.map(|object| &object.raw[..]).unwrap_or_default();
    if raw.is_empty() {
        errors.push(Error::required(path.clone(), ""));
        return;
    }
    if !stored && raw.len() > OBJECT_MAX {
        errors.push(Error::too_long(path.clone(), OBJECT_MAX));
        return;
    }
    match serde_json::from_slice::<serde_json::Value>(raw) {
        Err(error) => {
            let detail = format!("error parsing data as JSON: {error}");
            errors.push(Error::invalid(path.clone(), OMITTED, detail));
        }
        Ok(serde_json::Value::Null) => errors.push(Error::required(path.clone(), "")),
        Ok(serde_json::Value::Object(_)) => {}
        Ok(_) => errors.push(Error::invalid(path.clone(), OMITTED, "must be a valid JSON object")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::validation::common::texts;

    fn of(check: impl Fn(&mut ErrorList, &Path)) -> Vec<String> {
        let mut errors = ErrorList::new();
        check(&mut errors, &Path::new("f"));
        texts(&errors)
    }

    #[test]
    fn names_have_their_parts() {
        let none = Vec::<String>::new();
        assert_eq!(of(|errors, path| driver(errors, "GPU.Example.com", path)), none);
        assert_eq!(of(|errors, path| driver(errors, "", path)), ["f: Required value"]);
        assert_eq!(
            of(|errors, path| driver(errors, &"a".repeat(64), path)),
            ["f: Too long: may not be more than 63 bytes"]
        );
        assert_eq!(of(|errors, path| pool(errors, "node/a.b", path)), none);
        assert_eq!(of(|errors, path| pool(errors, "node//A", path)).len(), 2);
        for good in ["model", "example.com/model_2"] {
            assert_eq!(of(|errors, path| qualified(errors, good, path)), none, "{good}");
        }
        assert_eq!(
            of(|errors, path| qualified(errors, "/", path)),
            [
                "f: Invalid value: \"\": the domain must not be empty",
                "f: Invalid value: \"\": the name must not be empty"
            ]
        );
        assert_eq!(
            of(|errors, path| qualified(errors, "a/b/c", path)),
            ["f: Invalid value: \"a/b/c\": must not contain more than one slash"]
        );
        assert_eq!(of(|errors, path| qualified(errors, &format!("{}-", "a".repeat(32)), path)).len(), 2);
        assert_eq!(
            of(|errors, path| fully_qualified(errors, "model", path)),
            [
                "f: Invalid value: \"model\": a fully qualified name must be a domain and a name separated by a slash"
            ]
        );
        assert_eq!(shortened("abcdefghijklmnopqrstuvwxyz", 16), "abcdefg...uvwxyz");
    }

    #[test]
    fn uids_are_in_lower_case() {
        let of = |text: &str| of(|errors, path| uid(errors, text, path));
        assert_eq!(of("8e1c5a0e-0000-4000-8000-00000000000a"), Vec::<String>::new());
        assert_eq!(of("x"), ["f: Invalid value: \"x\": error validating uid: invalid UUID length: 1"]);
        assert_eq!(of(&"x".repeat(36)).len(), 1);
        assert!(of("8E1C5A0E-0000-4000-8000-00000000000A")[0].contains("RFC 4122"));
    }

    #[test]
    fn tolerations_and_taints_are_those_of_labels() {
        let wrong = json!([
            { "operator": "Exists", "value": "v" }, {}, { "operator": "In" }, { "operator": "Equal", "effect": "Never" },
        ]);
        let wrong: Vec<DeviceToleration> = serde_json::from_value(wrong).unwrap();
        assert_eq!(
            of(|errors, path| tolerations(errors, &wrong, path)),
            [
                "f[0].value: Invalid value: \"v\": must be empty for operator `Exists`",
                "f[1].operator: Required value",
                "f[2].operator: Unsupported value: \"In\": supported values: \"Equal\", \"Exists\"",
                "f[3].effect: Unsupported value: \"Never\": supported values: \"NoExecute\", \
                 \"NoSchedule\", \"None\"",
            ]
        );
        assert_eq!(of(|errors, path| taint(errors, &DeviceTaint::default(), path)).len(), 3);
    }

    #[test]
    fn conditions_come_in_pairs() {
        let of = |wanted: &[&str], failures: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
            of(|errors, path| binding_conditions(errors, &owned(wanted), &owned(failures), path))
        };
        assert_eq!(of(&["a"], &["b"]), Vec::<String>::new());
        assert_eq!(
            of(&["a", "a"], &["a"]),
            [
                "f.bindingConditions[1]: Duplicate value: \"a\"",
                "f.bindingFailureConditions[0]: Invalid value: \"a\": bindingFailureConditions must not overlap with \
                 bindingConditions",
            ]
        );
        assert_eq!(
            of(&["a"], &[]),
            [
                "f.bindingFailureConditions: Invalid value: null: bindingFailureConditions are required to use \
                 bindingConditions"
            ]
        );
        assert_eq!(of(&["a", "b", "c", "d", "e"], &["f"]).len(), 1);
    }

    #[test]
    fn objects_are_objects() {
        let of = |raw: &str, stored| {
            let raw = RawExtension { raw: raw.to_owned().into() };
            of(|errors, path| object(errors, Some(&raw), stored, path))
        };
        assert_eq!(of("{}", false), Vec::<String>::new());
        assert_eq!(of("null", false), ["f: Required value"]);
        assert_eq!(of("[]", false), ["f: Invalid value: \"<value omitted>\": must be a valid JSON object"]);
        assert_eq!(of("{", false).len(), 1);
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(OBJECT_MAX));
        assert_eq!((of(&long, false).len(), of(&long, true).len()), (1, 0));
    }
}
