//! Container images from files, written and pushed without a container engine.
//!
//! An [`Image`] describes files and what to run; [`Image::build`] turns it into blobs (one gzipped layer, the
//! configuration, the manifest). A [`Layout`] keeps images in a directory in the OCI image layout; [`Registry`]
//! pushes them over the distribution protocol. The same files always give the same digests.

mod blob;
mod image;
mod layer;
mod layout;
mod push;

pub use blob::{Blob, Descriptor};
pub use image::{Built, Image};
pub use layer::{Content, Entry};
pub use layout::Layout;
pub use push::Registry;

use std::path::PathBuf;

/// Why an image cannot be built, read or pushed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A layer cannot be assembled.
    #[error("layer entry {path:?}")]
    Layer {
        /// The path inside the image.
        path: String,
        /// What went wrong.
        source: std::io::Error,
    },
    /// JSON that is not what it should be.
    #[error("{what} is not valid")]
    Json {
        /// Which document.
        what: String,
        /// Where it is wrong.
        source: serde_json::Error,
    },
    /// A blob's content is not what its digest says.
    #[error("blob {digest} is damaged: its content has digest {found}")]
    Digest {
        /// The digest by which it was asked for.
        digest: String,
        /// What its content has.
        found: String,
    },
    /// An image reference that has no tag or no name.
    #[error("image {reference:?} must be NAME:TAG, of lower-case letters, digits and . _ - /")]
    Reference {
        /// What was given.
        reference: String,
    },
    /// The registry cannot be reached or does not answer in time.
    #[error("registry {registry}: {what}")]
    Transport {
        /// Its address.
        registry: String,
        /// What failed.
        what: String,
    },
    /// The registry refuses.
    #[error("registry {registry}: {what}: {status} {body}")]
    Refused {
        /// Its address.
        registry: String,
        /// What was asked.
        what: String,
        /// The status of the answer.
        status: u16,
        /// The first part of the answer.
        body: String,
    },
}

impl Error {
    /// For `map_err` on I/O at `path`.
    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}
