//! Errors of fields: which field, which value, which rule. As upstream's `field.Error`, whose texts clients show.

use std::fmt;

/// The path of a field, such as `spec.template.spec.containers[0].image`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub struct Path(String);

impl Path {
    /// The path of a top-level field.
    #[must_use]
    pub fn new(field: &str) -> Self {
        Self(field.to_owned())
    }

    /// The path of a field of this one.
    #[must_use]
    pub fn child(&self, field: &str) -> Self {
        if self.0.is_empty() { Self::new(field) } else { Self(format!("{}.{field}", self.0)) }
    }

    /// The path of an item of this list.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// The path of an entry of this map.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "<nil>" } else { &self.0 })
    }
}

/// The rule's class; its name is a cause's `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorType {
    /// A value that must be there is not.
    Required,
    /// A value breaks a rule.
    Invalid,
    /// Several values do not go together; none of them is shown.
    InvalidTogether,
    /// A value is none of those allowed.
    NotSupported,
    /// A value stands twice where it must be unique.
    Duplicate,
    /// A value must not be set, or not be changed, here.
    Forbidden,
    /// A value is too long.
    TooLong,
    /// There are too many items.
    TooMany,
    /// A value refers to something that does not exist.
    NotFound,
    /// A value has the wrong type.
    TypeInvalid,
    /// The server failed to check the value.
    Internal,
}

impl ErrorType {
    /// The `reason` of a cause in a Status.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid | Self::InvalidTogether => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::NotFound => "FieldValueNotFound",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::Internal => "InternalError",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid | Self::InvalidTogether | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Duplicate => "Duplicate value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::NotFound => "Not found",
            Self::Internal => "Internal error",
        }
    }
}

/// One rule that one field breaks.
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    /// The rule's class.
    pub r#type: ErrorType,
    /// Which field.
    pub path: Path,
    /// Its value, for messages; `Null` where the type has none to show.
    pub value: serde_json::Value,
    /// The rule, and what to do.
    pub detail: String,
}

/// Every rule that an object breaks.
pub type ErrorList = Vec<Error>;

impl Error {
    /// A value that must be there is not.
    #[must_use]
    pub fn required(path: Path, detail: impl Into<String>) -> Self {
        Self { r#type: ErrorType::Required, path, value: serde_json::Value::Null, detail: detail.into() }
    }

    /// A value breaks a rule.
    #[must_use]
    pub fn invalid(path: Path, value: impl Into<serde_json::Value>, detail: impl Into<String>) -> Self {
        Self { r#type: ErrorType::Invalid, path, value: value.into(), detail: detail.into() }
    }

    /// Several values below the path do not go together.
    #[must_use]
    pub fn invalid_together(path: Path, detail: impl Into<String>) -> Self {
        Self {
            r#type: ErrorType::InvalidTogether,
            path,
            value: serde_json::Value::Null,
            detail: detail.into(),
        }
    }

    /// A value is none of `supported`.
    #[must_use]
    pub fn not_supported(
        path: Path,
        value: impl Into<serde_json::Value>,
        supported: &[impl AsRef<str>],
    ) -> Self {
        let mut supported: Vec<String> =
            supported.iter().map(|value| format!("{:?}", value.as_ref())).collect();
        supported.sort();
        let detail = format!("supported values: {}", supported.join(", "));
        Self { r#type: ErrorType::NotSupported, path, value: value.into(), detail }
    }

    /// A value stands twice.
    #[must_use]
    pub fn duplicate(path: Path, value: impl Into<serde_json::Value>) -> Self {
        Self { r#type: ErrorType::Duplicate, path, value: value.into(), detail: String::new() }
    }

    /// A value must not be set or changed.
    #[must_use]
    pub fn forbidden(path: Path, detail: impl Into<String>) -> Self {
        Self { r#type: ErrorType::Forbidden, path, value: serde_json::Value::Null, detail: detail.into() }
    }

    /// A value has more than `max` bytes.
    #[must_use]
    pub fn too_long(path: Path, max: usize) -> Self {
        let detail = format!("may not be more than {max} bytes");
        Self { r#type: ErrorType::TooLong, path, value: serde_json::Value::Null, detail }
    }

    /// A list has more than `max` items.
    #[must_use]
    pub fn too_many(path: Path, actual: usize, max: usize) -> Self {
        let detail = format!("must have at most {max} items");
        Self { r#type: ErrorType::TooMany, path, value: actual.into(), detail }
    }

    /// A value refers to something that does not exist.
    #[must_use]
    pub fn not_found(path: Path, value: impl Into<serde_json::Value>) -> Self {
        Self { r#type: ErrorType::NotFound, path, value: value.into(), detail: String::new() }
    }

    /// The message without the path: a cause's `message`.
    #[must_use]
    pub fn body(&self) -> String {
        let mut text = self.r#type.text().to_owned();
        let shows_value = !matches!(
            self.r#type,
            ErrorType::Required
                | ErrorType::InvalidTogether
                | ErrorType::Forbidden
                | ErrorType::TooLong
                | ErrorType::Internal
        );
        if shows_value {
            text.push_str(": ");
            text.push_str(&self.value.to_string());
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.body())
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Path};

    #[test]
    fn messages_are_upstreams() {
        let path = Path::new("spec").child("containers").index(0).child("image");
        assert_eq!(Error::required(path.clone(), "").to_string(), "spec.containers[0].image: Required value");
        let replicas =
            Error::invalid(Path::new("spec").child("replicas"), -1, "must be greater than or equal to 0");
        assert_eq!(
            replicas.to_string(),
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0"
        );
        let kind = Error::not_supported(path, "x", &["b", "a"]);
        assert_eq!(
            kind.to_string(),
            r#"spec.containers[0].image: Unsupported value: "x": supported values: "a", "b""#
        );
    }
}
