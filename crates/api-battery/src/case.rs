//! Cases, as their files say them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::expect::Expect;

/// A case: steps that build on each other, in a namespace of their own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows.
    #[serde(rename = "case")]
    pub title: String,
    /// Whether it runs before all others and beside none: what it looks at is changed by others.
    #[serde(default)]
    pub alone: bool,
    /// What is sent, in order.
    pub steps: Vec<Step>,
}

/// A request and what is expected of its answer. In every text, `${name}` is what an earlier step kept, and `${ns}` the
/// case's namespace.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Method and path, such as `GET /api/v1/pods`.
    pub send: String,
    /// The request's headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body as an object; sent as JSON, or in the form of its media type: YAML or protobuf.
    pub body: Option<Value>,
    /// The body as it is.
    pub text: Option<String>,
    /// The body is so many spaces.
    pub large: Option<usize>,
    /// The body is the one that an earlier step kept under this name.
    pub again: Option<String>,
    /// The body's media type, where it is not `application/json`.
    #[serde(rename = "type")]
    pub media_type: Option<String>,
    /// Who asks: `anonymous`, or the client of the certificate.
    #[serde(default, rename = "as")]
    pub user: User,
    /// Whether to ask again until the answer is as expected, for some seconds: what is asked for follows by itself.
    #[serde(default)]
    pub until: bool,
    /// To hang up after so many events of a watch, instead of waiting for its end.
    pub take: Option<usize>,
    /// What is expected.
    pub expect: Expect,
    /// What later steps need, by its path in the answer, such as `metadata.resourceVersion`; `header:NAME` for a
    /// header, and `body:` for the whole body, to be sent `again`.
    #[serde(default)]
    pub keep: BTreeMap<String, String>,
}

/// Who asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum User {
    /// The client of the certificate, who may do everything.
    #[default]
    Admin,
    /// Nobody.
    Anonymous,
}

/// Reads the cases of every file in a directory. A file holds a list of cases.
pub fn load(directory: &Path) -> anyhow::Result<Vec<Case>> {
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .with_context(|| format!("{}", directory.display()))?
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    let mut cases = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        let of_file: Vec<Case> =
            serde_yaml::from_str(&text).with_context(|| format!("{}", path.display()))?;
        ensure!(!of_file.is_empty(), "{}: no cases", path.display());
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        for mut case in of_file {
            ensure!(!case.steps.is_empty(), "{}: {}: no steps", path.display(), case.title);
            case.title = format!("{stem}: {}", case.title);
            cases.push(case);
        }
    }
    Ok(cases)
}
