//! Objects from files, directories and standard input: YAML or JSON, one or many in each.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use gantry_api::{Kind, Object, custom, schema, yaml};
use serde_json::Value;

use crate::catalog::Catalog;

/// The annotation that remembers what was applied last.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// No file is read beyond this many bytes; the API server takes no larger object.
const MAX_SIZE: u64 = 16 << 20;

/// The flags that name manifests.
#[derive(Debug, Clone, Default, Args)]
pub struct Files {
    /// File or directory with manifests, `-` for standard input; may be given several times
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub filenames: Vec<PathBuf>,

    /// Read directories below the given ones too
    #[arg(short = 'R', long)]
    pub recursive: bool,

    /// What to do about unknown and duplicate fields
    #[arg(long, value_name = "strict|warn|ignore", default_value = "strict")]
    pub validate: Validation,
}

/// What to do about unknown and duplicate fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Validation {
    /// Refuse the object.
    #[default]
    #[value(alias = "true")]
    Strict,
    /// Say so and go on without them.
    Warn,
    /// Go on without them.
    #[value(alias = "false")]
    Ignore,
}

/// An object as a file describes it.
#[derive(Debug)]
pub struct Manifest {
    /// Where it stands.
    pub source: String,
    /// Its kind.
    pub kind: &'static Kind,
    /// Its JSON, as written.
    pub value: Value,
    /// The object.
    pub object: Box<dyn Object>,
}

/// A document of a file.
#[derive(Debug)]
pub struct Document {
    source: String,
    text: Vec<u8>,
    value: Value,
    /// The `apiVersion`.
    pub api_version: String,
    /// The `kind`.
    pub kind: String,
}

impl Document {
    /// Its kind, where it is known.
    #[must_use]
    pub(crate) fn kind_in(&self, catalog: &Catalog) -> Option<&'static Kind> {
        catalog.by_kind(&self.api_version, &self.kind)
    }

    /// Whether it defines a custom resource of which `other` is an object.
    #[must_use]
    pub fn defines(&self, other: &Self) -> bool {
        let (group, version) = other.api_version.split_once('/').unwrap_or_default();
        let text = |pointer: &str| self.value.pointer(pointer).and_then(Value::as_str);
        let versions = self.value.pointer("/spec/versions").and_then(Value::as_array);
        self.kind == "CustomResourceDefinition"
            && text("/spec/group") == Some(group)
            && text("/spec/names/kind") == Some(&other.kind)
            && versions.into_iter().flatten().any(|one| one["name"] == version)
    }
}

impl Files {
    /// Reads all documents.
    ///
    /// # Errors
    /// Where a file cannot be read, is no YAML or JSON, or a document does not say of which kind it is.
    pub fn documents(&self) -> anyhow::Result<Vec<Document>> {
        if self.filenames.is_empty() {
            bail!("name the manifests with -f");
        }
        let mut documents = Vec::new();
        for path in &self.filenames {
            for file in self.expand(path)? {
                let (source, text) = read(&file)?;
                for document in
                    yaml::documents(&text, &yaml::Limits::default()).with_context(|| source.clone())?
                {
                    split(&source, document, &mut documents)?;
                }
            }
        }
        if documents.is_empty() {
            bail!("the files contain no object");
        }
        Ok(documents)
    }

    /// The objects that documents describe.
    ///
    /// # Errors
    /// Where one describes no object of the catalog's kinds.
    pub(crate) fn manifests(
        &self,
        documents: Vec<Document>,
        catalog: &Catalog,
    ) -> anyhow::Result<Vec<Manifest>> {
        documents.into_iter().map(|document| self.manifest(document, catalog)).collect()
    }

    fn manifest(&self, document: Document, catalog: &Catalog) -> anyhow::Result<Manifest> {
        let Document { source, text, value, api_version, kind } = document;
        let Some(kind) = catalog.by_kind(&api_version, &kind) else {
            bail!(
                "{source}: no matches for kind {kind:?} in version {api_version:?}; a custom resource must be defined first"
            );
        };
        self.check(&source, kind, &text)?;
        let object = kind.decode_json(&text).with_context(|| source.clone())?;
        Ok(Manifest { source, kind, value, object })
    }

    fn expand(&self, path: &Path) -> anyhow::Result<Vec<PathBuf>> {
        if path.as_os_str() == "-" || !path.is_dir() {
            return Ok(vec![path.to_owned()]);
        }
        let mut files = Vec::new();
        let mut entries: Vec<PathBuf> = fs::read_dir(path)
            .with_context(|| format!("cannot read {}", path.display()))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        entries.sort();
        for entry in entries {
            if entry.is_dir() {
                if self.recursive {
                    files.extend(self.expand(&entry)?);
                }
            } else if entry.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json") {
                files.push(entry);
            }
        }
        Ok(files)
    }

    fn check(&self, source: &str, kind: &Kind, document: &[u8]) -> anyhow::Result<()> {
        let (mut problems, strict) = if kind.is_custom() {
            // Its schema is the server's to know.
            (Vec::new(), custom::duplicates(document).with_context(|| source.to_owned())?)
        } else {
            let report = schema::check::json(kind.message, document).with_context(|| source.to_owned())?;
            (report.types.iter().map(ToString::to_string).collect(), report.strict)
        };
        match self.validate {
            Validation::Strict => problems.extend(strict),
            Validation::Warn => strict.iter().for_each(|problem| eprintln!("Warning: {problem}")),
            Validation::Ignore => {}
        }
        if !problems.is_empty() {
            bail!("{source}: {} cannot be read:\n  {}", kind.kind, problems.join("\n  "));
        }
        Ok(())
    }
}

/// Takes a document apart into those of single objects.
fn split(source: &str, text: Vec<u8>, documents: &mut Vec<Document>) -> anyhow::Result<()> {
    let value: Value = serde_json::from_slice(&text).with_context(|| source.to_owned())?;
    if value.is_null() {
        return Ok(());
    }
    let field = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (field("apiVersion"), field("kind"));
    if kind.is_empty() || api_version.is_empty() {
        let missing = if kind.is_empty() { "kind" } else { "apiVersion" };
        bail!("{source}: {missing}: Required value: every object names its apiVersion and kind");
    }
    if kind == "List" && api_version == "v1" {
        for item in value.get("items").and_then(Value::as_array).into_iter().flatten() {
            split(source, serde_json::to_vec(item)?, documents)?;
        }
        return Ok(());
    }
    documents.push(Document { source: source.to_owned(), text, value, api_version, kind });
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<(String, String)> {
    let mut text = String::new();
    let (source, read) = if path.as_os_str() == "-" {
        ("standard input".to_owned(), std::io::stdin().take(MAX_SIZE + 1).read_to_string(&mut text))
    } else {
        let source = path.display().to_string();
        let file = fs::File::open(path).with_context(|| format!("cannot read {source}"))?;
        (source, file.take(MAX_SIZE + 1).read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read {source}"))?;
    if text.len() as u64 > MAX_SIZE {
        bail!("{source} is larger than {MAX_SIZE} bytes");
    }
    Ok((source, text))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{Catalog, Files, Validation};

    fn parse(text: &str, validate: Validation) -> Result<Vec<super::Manifest>, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let files = Files { filenames: vec![file.path().to_owned()], recursive: false, validate };
        let documents = files.documents().map_err(|error| format!("{error:#}"))?;
        files.manifests(documents, &Catalog::builtin()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn several_documents_and_lists_are_read() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n---\napiVersion: v1\nkind: List\nitems:\n- \
                    {apiVersion: v1, kind: Secret, metadata: {name: b}}\n";
        let manifests = parse(text, Validation::Strict).unwrap();
        let kinds: Vec<&str> = manifests.iter().map(|manifest| manifest.kind.kind).collect();
        assert_eq!(kinds, ["ConfigMap", "Secret"]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let unknown = "apiVersion: apps/v1\nkind: Deployment\nspec: {replica: 3, replicas: three}\n";
        let error = parse(unknown, Validation::Strict).unwrap_err();
        assert!(
            error.contains("spec.replicas") && error.contains("unknown field \"spec.replica\""),
            "{error}"
        );
        assert!(parse("kind: Pod\n", Validation::Strict).unwrap_err().contains("apiVersion: Required value"));
        assert!(
            parse("apiVersion: v9\nkind: Pod\n", Validation::Strict)
                .unwrap_err()
                .contains("no matches for kind")
        );
        assert!(parse("", Validation::Strict).is_err());
    }

    #[test]
    fn definitions_are_known_to_those_that_they_define() {
        let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec:\n  group: \
                          example.com\n  names: {kind: Widget}\n  versions: [{name: v1}, {name: v2}]\n";
        let widget = |version: &str| format!("---\napiVersion: example.com/{version}\nkind: Widget\n");
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all([definition, &widget("v2"), &widget("v3")].concat().as_bytes()).unwrap();
        let files = Files { filenames: vec![file.path().to_owned()], ..Files::default() };
        let documents = files.documents().unwrap();
        assert!(documents[0].defines(&documents[1]) && !documents[0].defines(&documents[2]));
        let error = files.manifests(documents, &Catalog::builtin()).unwrap_err().to_string();
        assert!(error.contains("no matches for kind \"Widget\" in version \"example.com/v2\""), "{error}");
    }

    #[test]
    fn strictness_can_be_waived() {
        let unknown = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nextra: 1\n";
        assert!(parse(unknown, Validation::Strict).is_err());
        assert_eq!(parse(unknown, Validation::Ignore).unwrap().len(), 1);
    }
}
