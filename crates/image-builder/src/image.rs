//! What an image holds and runs, and its blobs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::blob::{Blob, Descriptor};
use crate::layer::{self, Entry};

/// The media type of a manifest.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// A container image that is FROM scratch: its files and what it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Its files, in the order in which they are unpacked.
    pub entries: Vec<Entry>,
    /// The program and its first arguments.
    pub entrypoint: Vec<String>,
    /// Arguments that a container may replace.
    pub command: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// `uid[:gid]`; root when empty.
    pub user: String,
    /// The directory in which the program starts.
    pub working_dir: String,
}

/// An image's blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The manifest: its digest is the image's.
    pub manifest: Blob,
    /// The configuration and the layers, which the manifest names.
    pub blobs: Vec<Blob>,
}

#[derive(Serialize)]
struct Config<'a> {
    architecture: &'a str,
    os: &'a str,
    config: RunConfig<'a>,
    rootfs: RootFs,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RunConfig<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    user: &'a str,
    env: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    entrypoint: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    cmd: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    working_dir: &'a str,
}

#[derive(Serialize)]
struct RootFs {
    r#type: &'static str,
    diff_ids: Vec<String>,
}

/// The manifest's fields that are used here.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u8,
    pub(crate) media_type: String,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

impl Image {
    /// Makes the blobs.
    pub fn build(&self) -> Result<Built, Error> {
        let (layer, diff_id) = layer::build(&self.entries)?;
        let config = Config {
            architecture: architecture(),
            os: "linux",
            config: RunConfig {
                user: &self.user,
                env: &self.env,
                entrypoint: &self.entrypoint,
                cmd: &self.command,
                working_dir: &self.working_dir,
            },
            rootfs: RootFs { r#type: "layers", diff_ids: vec![diff_id] },
        };
        let config = Blob::json(CONFIG, &config)?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: MANIFEST.to_owned(),
            config: config.descriptor.clone(),
            layers: vec![layer.descriptor.clone()],
            annotations: BTreeMap::new(),
        };
        Ok(Built { manifest: Blob::json(MANIFEST, &manifest)?, blobs: vec![config, layer] })
    }
}

/// The machine's architecture as images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_names_every_blob() {
        let image = Image {
            entries: vec![Entry::executable("/web", &b"program"[..])],
            entrypoint: vec!["/web".into()],
            env: vec!["VERSION=v1".into()],
            ..Image::default()
        };
        let built = image.build().unwrap();
        let manifest: Manifest = serde_json::from_slice(&built.manifest.content).unwrap();
        assert_eq!(manifest.config, built.blobs[0].descriptor);
        assert_eq!(manifest.layers, [built.blobs[1].descriptor.clone()]);
        let config: serde_json::Value = serde_json::from_slice(&built.blobs[0].content).unwrap();
        assert_eq!(config["config"]["Entrypoint"][0], "/web");
        assert_eq!(config["config"]["Env"][0], "VERSION=v1");
        assert_eq!(config["os"], "linux");
        assert!(config["config"].get("Cmd").is_none());
    }
}
