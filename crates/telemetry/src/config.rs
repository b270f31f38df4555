//! Configuration files: versioned YAML kinds.
//!
//! A file names its `apiVersion` and `kind`. A key that the kind does not have is refused, with the nearest known
//! name, rather than ignored: a typo in a configuration must not look like a working one. All wrong keys are
//! reported at once, each with its path.
//!
//! ```
//! use gantry_telemetry::config::{self, Kind};
//!
//! #[derive(Debug, Default, serde::Deserialize)]
//! #[serde(rename_all = "camelCase", default)]
//! struct ProxyConfiguration {
//!     sync_period: Option<u32>,
//! }
//! impl Kind for ProxyConfiguration {
//!     const KIND: &'static str = "ProxyConfiguration";
//! }
//!
//! let text = "apiVersion: gantry.dev/v1alpha1\nkind: ProxyConfiguration\nsyncPeriods: 5\n";
//! let error = config::parse::<ProxyConfiguration>(text).unwrap_err();
//! assert_eq!(error.to_string(), "unknown field \"syncPeriods\" (did you mean \"syncPeriod\"?)");
//! ```
//!
//! Structs with `#[serde(flatten)]` are read as maps, so their keys cannot be checked: do not use it here.

mod checked;
mod flags;

use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_yaml::Value;

pub use flags::{Flags, Scalar, parse_flags};

/// The version of every configuration kind.
pub const API_VERSION: &str = "gantry.dev/v1alpha1";
/// No configuration file is larger.
const MAX_BYTES: u64 = 1 << 20;

/// A kind of configuration file.
pub trait Kind: DeserializeOwned {
    /// The `kind` that its files name.
    const KIND: &'static str;
}

/// Why a configuration file is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("configuration {}: cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is larger than any configuration.
    #[error("configuration {}: {bytes} bytes, more than the limit of {MAX_BYTES}", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The file's content is refused.
    #[error("configuration {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<Error>,
    },
    /// Not YAML.
    #[error("not valid YAML")]
    Yaml(#[source] serde_yaml::Error),
    /// Not a mapping.
    #[error("must be a mapping with apiVersion and kind")]
    NotAMapping,
    /// Another version or kind.
    #[error("{field} must be {expected:?}, not {found:?}")]
    Type {
        /// Which of the two.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A flag, or the file's value for it, is refused.
    #[error(transparent)]
    Flags(#[from] clap::Error),
    /// Wrong keys or values, one per line.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
}

/// Reads and checks the file at `path`.
pub fn load<T: Kind>(path: &Path) -> Result<T, Error> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(read)?.len();
    if bytes > MAX_BYTES {
        return Err(Error::Size { path: path.to_owned(), bytes });
    }
    let text = std::fs::read_to_string(path).map_err(read)?;
    parse(&text).map_err(|source| Error::File { path: path.to_owned(), source: Box::new(source) })
}

/// Reads `path` if there is one, else the kind's default: what a component does with its `--config` flag.
pub fn load_or_default<T: Kind + Default>(path: Option<&Path>) -> Result<T, Error> {
    path.map_or_else(|| Ok(T::default()), load)
}

/// Checks a configuration text.
pub fn parse<T: Kind>(text: &str) -> Result<T, Error> {
    let Value::Mapping(mut map) = serde_yaml::from_str(text).map_err(Error::Yaml)? else {
        return Err(Error::NotAMapping);
    };
    for (field, expected) in [("apiVersion", API_VERSION), ("kind", T::KIND)] {
        let found = map.shift_remove(field);
        let found = found.as_ref().and_then(Value::as_str).unwrap_or_default();
        if found != expected {
            return Err(Error::Type { field, expected, found: found.to_owned() });
        }
    }
    checked::from_value(&Value::Mapping(map)).map_err(Error::Invalid)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Sample {
        node_name: String,
        max_pods: Option<u32>,
        labels: BTreeMap<String, String>,
        eviction: Vec<Rule>,
    }

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Rule {
        signal: String,
        percent: u8,
    }

    impl Kind for Sample {
        const KIND: &'static str = "Sample";
    }

    fn parse_body(body: &str) -> Result<Sample, Error> {
        parse(&format!("apiVersion: gantry.dev/v1alpha1\nkind: Sample\n{body}"))
    }

    #[test]
    fn a_whole_file_is_read() {
        let sample = parse_body(
            "nodeName: a\nmaxPods: 7\nlabels: {anything: goes}\neviction: [{signal: memory, percent: 5}]\n",
        );
        assert_eq!(
            sample.unwrap(),
            Sample {
                node_name: "a".into(),
                max_pods: Some(7),
                labels: [("anything".to_owned(), "goes".to_owned())].into(),
                eviction: vec![Rule { signal: "memory".into(), percent: 5 }],
            }
        );
    }

    #[test]
    fn every_unknown_key_is_named_with_its_path_and_nearest_name() {
        let error =
            parse_body("nodename: a\nzzz: 1\neviction: [{signal: m}, {percentage: 5}]\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown field \"nodename\" (did you mean \"nodeName\"?)\n\
             unknown field \"zzz\" (known: nodeName, maxPods, labels, eviction)\n\
             unknown field \"eviction[1].percentage\" (did you mean \"percent\"?)"
        );
    }

    #[test]
    fn a_wrong_value_is_named_with_its_path() {
        let error = parse_body("eviction: [{percent: 300}]\n").unwrap_err();
        assert!(error.to_string().starts_with("eviction[0].percent: "), "{error}");
        let error = parse_body("maxPods: many\n").unwrap_err();
        assert!(error.to_string().starts_with("maxPods: "), "{error}");
    }

    #[test]
    fn another_kind_or_version_is_refused() {
        let error = parse::<Sample>("apiVersion: gantry.dev/v1\nkind: Sample\n").unwrap_err();
        assert_eq!(error.to_string(), "apiVersion must be \"gantry.dev/v1alpha1\", not \"gantry.dev/v1\"");
        let error = parse::<Sample>("apiVersion: gantry.dev/v1alpha1\nkind: Other\n").unwrap_err();
        assert_eq!(error.to_string(), "kind must be \"Sample\", not \"Other\"");
        assert!(matches!(parse::<Sample>("- a\n").unwrap_err(), Error::NotAMapping));
    }

    #[test]
    fn a_file_error_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sample.yaml");
        assert!(matches!(load::<Sample>(&path).unwrap_err(), Error::Read { .. }));
        std::fs::write(&path, "kind: [").unwrap();
        assert!(load::<Sample>(&path).unwrap_err().to_string().ends_with("sample.yaml"));
        assert_eq!(load_or_default::<Sample>(None).unwrap(), Sample::default());
    }
}
