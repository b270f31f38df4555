//! What a body says that it holds, and what is said of one that holds something else.

use gantry_api::registry;
use gantry_api::schema::json_kind;
use serde_json::Value;

use crate::go_json;

/// The name of the place where upstream registers its kinds, which its texts show.
const SCHEME: &str = "pkg/api/legacyscheme/scheme.go:30";
/// Go's type of what a body says about itself.
const STRUCT: &str =
    r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;
/// Kinds that are no resources.
const OTHERS: [(&str, &str); 8] = [
    ("v1", "Binding"),
    ("v1", "DeleteOptions"),
    ("v1", "List"),
    ("v1", "Status"),
    ("authentication.k8s.io/v1", "TokenRequest"),
    ("autoscaling/v1", "Scale"),
    ("meta.k8s.io/v1", "DeleteOptions"),
    ("policy/v1", "Eviction"),
];

/// What a body says that it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TypeMeta {
    /// Empty where it does not say.
    pub(super) api_version: String,
    /// Empty where it does not say.
    pub(super) kind: String,
}

impl TypeMeta {
    /// Reads it from JSON text; fails in upstream's words.
    pub(super) fn of(json: &[u8]) -> Result<Self, String> {
        let head = "couldn't get version/kind; json parse error: ";
        let value: Value = match serde_json::from_slice(json) {
            Ok(value) => value,
            Err(error) => {
                let why = go_json::why_not(json).unwrap_or_else(|| error.to_string());
                return Err(format!("{head}{why}"));
            }
        };
        let wrong = |found: &Value, place: &str| {
            Err(format!("{head}json: cannot unmarshal {} into Go {place}", json_kind(found)))
        };
        let mut found = Self::default();
        match &value {
            Value::Object(fields) => {
                for (name, text) in [("apiVersion", &mut found.api_version), ("kind", &mut found.kind)] {
                    match fields.get(name) {
                        None | Some(Value::Null) => {}
                        Some(Value::String(given)) => text.clone_from(given),
                        Some(other) => return wrong(other, &format!("struct field .{name} of type string")),
                    }
                }
            }
            Value::Null => {}
            other => return wrong(other, &format!("value of type {STRUCT}")),
        }
        if found.api_version.matches('/').count() > 1 {
            return Err(format!("unexpected GroupVersion string: {}", found.api_version));
        }
        Ok(found)
    }

    /// The version alone.
    pub(super) fn version(&self) -> &str {
        self.api_version.rsplit('/').next().unwrap_or_default()
    }

    fn group_version(&self) -> (&str, &str) {
        self.api_version.split_once('/').unwrap_or(("", &self.api_version))
    }

    /// What is wrong with it where `api_version` and `kind` are wanted; nothing where it is that, or does not say.
    pub(super) fn mismatch(&self, api_version: &str, kind: &str) -> Option<Mismatch> {
        let or =
            |given: &str, wanted: &str| if given.is_empty() { wanted.to_owned() } else { given.to_owned() };
        let found = Self { api_version: or(&self.api_version, api_version), kind: or(&self.kind, kind) };
        if found.api_version == api_version && found.kind == kind {
            return None;
        }
        if !found.is_known() {
            let text = format!(
                "no kind {:?} is registered for version {:?} in scheme {SCHEME:?}",
                found.kind, found.api_version
            );
            return Some(Mismatch::Kind { found, text });
        }
        if found.kind == kind {
            return Some(Mismatch::Version(found.api_version));
        }
        let wanted = Self { api_version: api_version.to_owned(), kind: String::new() };
        let text = format!(
            "converting ({}.{}) to ({}.{kind}): unknown conversion",
            found.version(),
            found.kind,
            internal(wanted.group_version().0)
        );
        Some(Mismatch::Kind { found, text })
    }

    fn is_known(&self) -> bool {
        let (group, version) = self.group_version();
        let is = |name: &str| {
            let mut kinds = registry::all().iter().chain(registry::reviews());
            kinds.any(|kind| kind.kind == name && kind.group == group && kind.version == version)
        };
        OTHERS.contains(&(self.api_version.as_str(), self.kind.as_str()))
            || is(&self.kind)
            || self.kind.strip_suffix("List").is_some_and(is)
    }
}

/// How a body is not what is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// It is of another version.
    Version(String),
    /// It is of another kind, or of one that there is not.
    Kind {
        /// What it is.
        found: TypeMeta,
        /// What upstream says of that.
        text: String,
    },
}

/// The package that a group's kinds have upstream once they are read.
fn internal(group: &str) -> &str {
    match group.split('.').next().unwrap_or_default() {
        "" | "events" => "core",
        first => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<(String, String), String> {
        TypeMeta::of(text.as_bytes()).map(|found| (found.api_version, found.kind))
    }

    #[test]
    fn it_is_read_as_upstream_reads_it() {
        assert_eq!(of(r#"{"apiVersion":"apps/v1","kind":"X"}"#), Ok(("apps/v1".into(), "X".into())));
        assert_eq!(of(r#"{"kind":null}"#), Ok(Default::default()));
        let head = "couldn't get version/kind; json parse error: ";
        for (text, why) in [
            ("{", "unexpected end of JSON input".to_owned()),
            (
                r#"{"kind":5}"#,
                "json: cannot unmarshal number into Go struct field .kind of type string".to_owned(),
            ),
            ("[]", format!("json: cannot unmarshal array into Go value of type {STRUCT}")),
        ] {
            assert_eq!(of(text), Err(format!("{head}{why}")), "{text}");
        }
        assert_eq!(of(r#"{"apiVersion":"a/b/c"}"#), Err("unexpected GroupVersion string: a/b/c".to_owned()));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let mismatch = |api_version: &str, kind: &str| {
            let found = TypeMeta { api_version: api_version.into(), kind: kind.into() };
            match found.mismatch("v1", "ConfigMap") {
                None => String::new(),
                Some(Mismatch::Version(version)) => version,
                Some(Mismatch::Kind { text, .. }) => text,
            }
        };
        assert_eq!(mismatch("", ""), "");
        assert_eq!(mismatch("v1", "ConfigMap"), "");
        assert_eq!(
            mismatch("v1", "Secret"),
            "converting (v1.Secret) to (core.ConfigMap): unknown conversion"
        );
        assert_eq!(
            mismatch("v2", ""),
            r#"no kind "ConfigMap" is registered for version "v2" in scheme "pkg/api/legacyscheme/scheme.go:30""#
        );
        let event = TypeMeta { api_version: "v1".into(), kind: "Event".into() };
        assert_eq!(event.mismatch("events.k8s.io/v1", "Event"), Some(Mismatch::Version("v1".into())));
    }
}
