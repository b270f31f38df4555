//! Content and its address.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;

/// Refers to a blob: what it is, its digest and its size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob holds.
    pub media_type: String,
    /// `sha256:` and the hexadecimal digest of the content.
    pub digest: String,
    /// Bytes.
    pub size: u64,
    /// The image's name in a layout's index.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub annotations: std::collections::BTreeMap<String, String>,
}

/// A piece of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Its address.
    pub descriptor: Descriptor,
    /// Its content.
    pub content: Bytes,
}

impl Blob {
    /// Computes the address of `content`.
    pub fn new(media_type: &str, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        let descriptor = Descriptor {
            media_type: media_type.to_owned(),
            digest: digest(&content),
            size: content.len() as u64,
            annotations: Default::default(),
        };
        Self { descriptor, content }
    }

    /// A JSON document as a blob.
    pub(crate) fn json(media_type: &str, document: &impl Serialize) -> Result<Self, Error> {
        let text = serde_json::to_vec(document)
            .map_err(|source| Error::Json { what: media_type.to_owned(), source })?;
        Ok(Self::new(media_type, text))
    }
}

/// `sha256:` and the hexadecimal digest of `content`.
pub(crate) fn digest(content: &[u8]) -> String {
    let hash = Sha256::digest(content);
    hash.iter().fold(String::from("sha256:"), |text, byte| text + &format!("{byte:02x}"))
}
