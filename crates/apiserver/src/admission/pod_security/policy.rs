//! What the labels of a namespace ask for.

use std::collections::BTreeMap;
use std::fmt;

use gantry_api::field::{Error, ErrorList, Path};

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
/// The labels of levels, each with the one of its version.
const LABELS: [(&str, &str); 3] = [
    (ENFORCE, "pod-security.kubernetes.io/enforce-version"),
    ("pod-security.kubernetes.io/audit", "pod-security.kubernetes.io/audit-version"),
    ("pod-security.kubernetes.io/warn", "pod-security.kubernetes.io/warn-version"),
];

/// How much is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) enum Level {
    Privileged,
    Baseline,
    Restricted,
}

/// The minor version of Kubernetes whose rules count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) enum Version {
    Minor(u32),
    Latest,
}

impl Level {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "privileged" => Self::Privileged,
            "baseline" => Self::Baseline,
            "restricted" => Self::Restricted,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

impl Version {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "latest" {
            return Some(Self::Latest);
        }
        let minor = text.strip_prefix("v1.")?;
        let plain =
            minor == "0" || !minor.starts_with('0') && minor.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| minor.parse().ok().map(Self::Minor)).flatten()
    }

    /// Whether a rule that came with this minor version counts.
    pub(super) fn since(self, minor: u32) -> bool {
        self >= Self::Minor(minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minor(minor) => write!(f, "v1.{minor}"),
            Self::Latest => f.write_str("latest"),
        }
    }
}

/// How much is allowed, by the rules of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standard {
    pub(super) level: Level,
    pub(super) version: Version,
}

impl fmt::Display for Standard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.level.name(), self.version)
    }
}

/// What the labels of a namespace ask for. What they want audited is checked for its form only: there is no audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Policy {
    /// What is refused.
    pub(super) enforce: Standard,
    /// What is warned of.
    pub(super) warn: Standard,
}

impl Policy {
    /// A level to be enforced that nobody knows counts as the strictest, one to be warned of as none, a version that
    /// nobody knows as the latest. Who says nothing of warnings is warned of what is enforced.
    pub(super) fn of(labels: &BTreeMap<String, String>) -> Self {
        let [(enforce, enforce_version), _, (warn, warn_version)] = LABELS;
        let version =
            |label: &str| labels.get(label).map(|text| Version::parse(text).unwrap_or(Version::Latest));
        let enforced = labels.get(enforce).map(|text| Level::parse(text));
        let enforce = Standard {
            level: enforced.map_or(Level::Privileged, |level| level.unwrap_or(Level::Restricted)),
            version: version(enforce_version).unwrap_or(Version::Latest),
        };
        let warn = match (labels.get(warn), enforced.flatten()) {
            (None, Some(level)) if level > Level::Privileged => {
                Standard { level, version: version(warn_version).unwrap_or(enforce.version) }
            }
            (text, _) => Standard {
                level: text.and_then(|text| Level::parse(text)).unwrap_or(Level::Privileged),
                version: version(warn_version).unwrap_or(Version::Latest),
            },
        };
        Self { enforce, warn }
    }

    /// Whether the pods that are there may break what is enforced now and was not before.
    pub(super) fn is_stricter_than(&self, old: &Self) -> bool {
        let (new, old) = (self.enforce, old.enforce);
        new != old && new.level != Level::Privileged && (new.version != old.version || new.level > old.level)
    }
}

/// Every label that cannot be understood.
pub(super) fn broken_labels(labels: &BTreeMap<String, String>) -> ErrorList {
    let path = |label: &str| Path::new("metadata").child("labels").key(label);
    let mut errors = ErrorList::new();
    for (level, version) in LABELS {
        if let Some(text) = labels.get(level).filter(|text| Level::parse(text).is_none()) {
            let detail = "must be one of privileged, baseline, restricted";
            errors.push(Error::invalid(path(level), text.as_str(), detail));
        }
        if let Some(text) = labels.get(version).filter(|text| Version::parse(text).is_none()) {
            errors.push(Error::invalid(path(version), text.as_str(), r#"must be "latest" or "v1.x""#));
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_understood_or_named() {
        let labels = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let nothing = Policy::of(&labels(&[]));
        let privileged = Standard { level: Level::Privileged, version: Version::Latest };
        assert_eq!((nothing.enforce, nothing.warn), (privileged, privileged));
        let both = labels(&[(ENFORCE, "baseline"), ("pod-security.kubernetes.io/enforce-version", "v1.25")]);
        let policy = Policy::of(&both);
        assert_eq!(policy.enforce.to_string(), "baseline:v1.25");
        assert_eq!(policy.warn, policy.enforce, "what is enforced is warned of");
        assert!(policy.is_stricter_than(&nothing) && !nothing.is_stricter_than(&policy));
        assert!(broken_labels(&both).is_empty());
        let wrong = labels(&[(ENFORCE, "strict"), ("pod-security.kubernetes.io/warn-version", "1.2")]);
        let policy = Policy::of(&wrong);
        assert_eq!((policy.enforce.level, policy.warn.level), (Level::Restricted, Level::Privileged));
        assert_eq!(broken_labels(&wrong).len(), 2);
        assert!(Version::parse("v1.01").is_none() && Version::parse("v1.").is_none());
    }
    #[test]
    fn warnings_may_be_stricter_than_what_is_enforced() {
        let labels = [(LABELS[0].0, "baseline"), (LABELS[0].1, "v1.30"), (LABELS[2].0, "restricted")];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        assert_eq!(Policy::of(&labels).warn.to_string(), "restricted:latest");
        let unheard =
            [(LABELS[0].0.to_owned(), "baseline".to_owned()), (LABELS[2].0.to_owned(), "no".to_owned())];
        assert_eq!(Policy::of(&unheard.into()).warn.level, Level::Privileged);
    }
}
