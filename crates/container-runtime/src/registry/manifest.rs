//! Manifests, in both the OCI's and Docker's media types.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::ImageConfig;

/// Asked for in this order of preference.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Points to content by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) platform: Option<Platform>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
}

/// What a name at a registry stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Document {
    /// An image for one platform.
    Manifest(Manifest),
    /// One for each of several platforms.
    Index(Vec<Descriptor>),
}

/// An image for one platform.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    media_type: Option<String>,
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

impl Document {
    /// Parses a document and tells its media type, which `header` gives when the document does not.
    pub(crate) fn parse(bytes: &[u8], header: Option<&str>) -> Result<(Self, String), String> {
        let raw: Raw =
            serde_json::from_slice(bytes).map_err(|error| format!("the manifest is broken: {error}"))?;
        let kind = raw.media_type.as_deref().or(header.filter(|header| ACCEPT.contains(header)));
        match raw {
            Raw { manifests: Some(manifests), .. } => {
                Ok((Self::Index(manifests), kind.unwrap_or(OCI_INDEX).to_owned()))
            }
            Raw { config: Some(config), layers: Some(layers), .. } => {
                Ok((Self::Manifest(Manifest { config, layers }), kind.unwrap_or(OCI_MANIFEST).to_owned()))
            }
            _ => Err("the manifest has neither a configuration with layers nor a list of manifests".into()),
        }
    }
}

/// The entry of a list that runs here.
pub(crate) fn for_this_platform(manifests: &[Descriptor]) -> Result<&Descriptor, String> {
    let wanted = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let matching = |descriptor: &&Descriptor| {
        descriptor.platform.as_ref().is_none_or(|p| p.os == "linux" && p.architecture == wanted)
    };
    manifests.iter().find(matching).ok_or_else(|| {
        let platforms = manifests.iter().filter_map(|m| m.platform.as_ref());
        let offered: Vec<String> = platforms.map(|p| format!("{}/{}", p.os, p.architecture)).collect();
        format!("there is no image for linux/{wanted}, only for {}", offered.join(", "))
    })
}

/// An image's configuration.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Config {
    #[serde(default)]
    config: Option<Execution>,
    rootfs: RootFs,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Execution {
    user: Option<String>,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
    stop_signal: Option<String>,
    volumes: Option<BTreeMap<String, serde_json::Value>>,
    labels: Option<BTreeMap<String, String>>,
}

impl Config {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| format!("the image's configuration is broken: {error}"))
    }

    /// Digests of the unpacked layers.
    pub(crate) fn diff_ids(&self) -> &[String] {
        &self.rootfs.diff_ids
    }

    /// What names each stack of layers: the digest of the names below and the new layer.
    pub(crate) fn chain_ids(&self) -> Vec<String> {
        let mut chain: Vec<String> = Vec::with_capacity(self.rootfs.diff_ids.len());
        for diff_id in &self.rootfs.diff_ids {
            let next = match chain.last() {
                None => diff_id.clone(),
                Some(below) => sha256(format!("{below} {diff_id}").as_bytes()),
            };
            chain.push(next);
        }
        chain
    }

    pub(crate) fn image_config(&self) -> ImageConfig {
        let config = self.config.clone().unwrap_or_default();
        ImageConfig {
            entrypoint: config.entrypoint.unwrap_or_default(),
            cmd: config.cmd.unwrap_or_default(),
            env: config.env.unwrap_or_default(),
            user: config.user.unwrap_or_default(),
            working_dir: config.working_dir.unwrap_or_default(),
            stop_signal: config.stop_signal.unwrap_or_default(),
            volumes: config.volumes.unwrap_or_default().into_keys().collect(),
            labels: config.labels.unwrap_or_default(),
        }
    }
}

/// `sha256:` and the digest in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    use std::fmt::Write;
    let mut text = String::from("sha256:");
    for byte in sha2::Sha256::digest(bytes) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_are_named_by_their_layers() {
        let config =
            Config::parse(br#"{"rootfs":{"type":"layers","diff_ids":["sha256:a","sha256:b"]}}"#).unwrap();
        assert_eq!(config.chain_ids(), ["sha256:a".to_owned(), sha256(b"sha256:a sha256:b")]);
        assert_eq!(sha256(b""), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn the_entry_for_this_platform_is_chosen() {
        let index = |arch: &str| {
            format!(
                r#"{{"manifests":[{{"mediaType":"m","digest":"d1","size":1,"platform":{{"os":"linux","architecture":"s390x"}}}},
                {{"mediaType":"m","digest":"d2","size":1,"platform":{{"os":"linux","architecture":"{arch}"}}}}]}}"#
            )
        };
        let parse = |text: String| match Document::parse(text.as_bytes(), None).unwrap() {
            (Document::Index(manifests), kind) => {
                assert_eq!(kind, OCI_INDEX);
                manifests
            }
            other => panic!("{other:?}"),
        };
        let arch = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
        assert_eq!(for_this_platform(&parse(index(arch))).unwrap().digest, "d2");
        let error = for_this_platform(&parse(index("riscv64"))).unwrap_err();
        assert!(error.ends_with("only for linux/s390x, linux/riscv64"), "{error}");
    }

    #[test]
    fn nulls_in_a_configuration_are_absent() {
        let config =
            Config::parse(br#"{"config":{"Cmd":null,"Env":["A=1"]},"rootfs":{"diff_ids":[]}}"#).unwrap();
        assert_eq!(config.image_config().env, ["A=1"]);
        assert!(config.image_config().cmd.is_empty());
    }
}
