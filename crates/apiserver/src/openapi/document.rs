//! A document, compressed, in the forms that clients read.

use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::sync::OnceLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;
use sha2::{Digest as _, Sha512};

use super::protobuf::{self, Message};

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As JSON.
    Json,
    /// As the messages of gnostic, which client-go reads.
    Protobuf,
}

/// A document.
pub(crate) struct Document {
    /// Of its JSON, in whichever form it is sent: it names the content.
    hash: String,
    json: Bytes,
    protobuf: OnceLock<Option<Bytes>>,
    message: &'static Message,
}

impl Document {
    /// The document of a value, which `message` describes.
    pub(super) fn new(value: &Value, message: &'static Message) -> Self {
        let json = value.to_string();
        let mut hash = String::with_capacity(128);
        for byte in Sha512::digest(json.as_bytes()) {
            // Writing to a string cannot fail.
            let _ = write!(hash, "{byte:02X}");
        }
        Self { hash, json: compress(json.as_bytes()), protobuf: OnceLock::new(), message }
    }

    /// The hash of its content.
    pub(crate) fn hash(&self) -> &str {
        &self.hash
    }

    /// The document in a form, compressed with gzip.
    pub(crate) fn gzip(&self, form: Form) -> io::Result<Bytes> {
        match form {
            Form::Json => Ok(self.json.clone()),
            Form::Protobuf => {
                let made = self.protobuf.get_or_init(|| {
                    let value: Value = serde_json::from_slice(&decompress(&self.json).ok()?).ok()?;
                    Some(compress(&protobuf::encode(self.message, &value)))
                });
                made.clone().ok_or_else(|| io::Error::other("the document cannot be read back"))
            }
        }
    }

    /// The document in a form.
    pub(crate) fn plain(&self, form: Form) -> io::Result<Vec<u8>> {
        decompress(&self.gzip(form)?)
    }
}

fn compress(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // A vector takes everything.
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written
        .map(|mut bytes| {
            bytes.shrink_to_fit();
            Bytes::from(bytes)
        })
        .unwrap_or_default()
}

fn decompress(gzip: &[u8]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let value = json!({"openapi": "3.0.0", "info": {"title": "t", "version": "v"}});
        let document = Document::new(&value, &protobuf::V3);
        assert_eq!(document.plain(Form::Json).unwrap(), value.to_string().into_bytes());
        assert_eq!(document.plain(Form::Protobuf).unwrap(), b"\n\x053.0.0\x12\x06\n\x01t2\x01v");
        assert_eq!(document.hash().len(), 128);
    }
}
