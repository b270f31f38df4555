//! Images in a directory, in the OCI image layout.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::blob::{Blob, Descriptor, digest};
use crate::image::{Built, Manifest};
use crate::push::split_reference;

/// The annotation that names an image in an index.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A directory with images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    dir: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u8,
    manifests: Vec<Descriptor>,
}

impl Layout {
    /// Opens the layout in `dir`, which is made if it is not there.
    pub fn create(dir: impl Into<PathBuf>) -> Result<Self, Error> {
        let layout = Self { dir: dir.into() };
        let blobs = layout.dir.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(Error::file(&blobs))?;
        write(&layout.dir.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        if !layout.index_path().exists() {
            layout.write_index(&Index { schema_version: 2, manifests: Vec::new() })?;
        }
        Ok(layout)
    }

    /// Opens the layout that is in `dir`.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, Error> {
        let layout = Self { dir: dir.into() };
        layout.index().map(|_| layout)
    }

    /// Stores `image` under `reference` (`NAME:TAG`), in the place of what had that name.
    pub fn add(&self, reference: &str, image: &Built) -> Result<(), Error> {
        split_reference(reference)?;
        for blob in image.blobs.iter().chain([&image.manifest]) {
            let path = self.blob_path(&blob.descriptor.digest);
            if !path.exists() {
                write(&path, &blob.content)?;
            }
        }
        let mut index = self.index()?;
        index.manifests.retain(|known| known.annotations.get(REF_NAME).is_none_or(|name| name != reference));
        let mut descriptor = image.manifest.descriptor.clone();
        descriptor.annotations.insert(REF_NAME.to_owned(), reference.to_owned());
        index.manifests.push(descriptor);
        self.write_index(&index)
    }

    /// Every image with its reference.
    pub fn images(&self) -> Result<Vec<(String, Built)>, Error> {
        let index = self.index()?;
        index
            .manifests
            .iter()
            .filter_map(|descriptor| Some((descriptor.annotations.get(REF_NAME)?.clone(), descriptor)))
            .map(|(name, descriptor)| Ok((name, self.image(descriptor)?)))
            .collect()
    }

    fn image(&self, descriptor: &Descriptor) -> Result<Built, Error> {
        let manifest = self.blob(descriptor)?;
        let parsed: Manifest = serde_json::from_slice(&manifest.content)
            .map_err(|source| Error::Json { what: format!("manifest {}", descriptor.digest), source })?;
        let blobs = [&parsed.config].into_iter().chain(&parsed.layers).map(|d| self.blob(d));
        Ok(Built { manifest, blobs: blobs.collect::<Result<_, _>>()? })
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Blob, Error> {
        let path = self.blob_path(&descriptor.digest);
        let content = fs::read(&path).map_err(Error::file(&path))?;
        let found = digest(&content);
        if found != descriptor.digest {
            return Err(Error::Digest { digest: descriptor.digest.clone(), found });
        }
        Ok(Blob::new(&descriptor.media_type, content))
    }

    fn index(&self) -> Result<Index, Error> {
        let path = self.index_path();
        let text = fs::read(&path).map_err(Error::file(&path))?;
        serde_json::from_slice(&text)
            .map_err(|source| Error::Json { what: path.display().to_string(), source })
    }

    fn write_index(&self, index: &Index) -> Result<(), Error> {
        let path = self.index_path();
        let text = serde_json::to_vec_pretty(index)
            .map_err(|source| Error::Json { what: path.display().to_string(), source })?;
        write(&path, &text)
    }

    fn index_path(&self) -> PathBuf {
        self.dir.join("index.json")
    }

    fn blob_path(&self, digest: &str) -> PathBuf {
        // A digest from a foreign index must not lead out of the directory.
        let name: String =
            digest.trim_start_matches("sha256:").chars().filter(char::is_ascii_hexdigit).collect();
        self.dir.join("blobs/sha256").join(name)
    }
}

/// Writes a file so that a reader sees the old or the new content, never a part.
fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    let part = path.with_extension("part");
    fs::write(&part, content).map_err(Error::file(&part))?;
    fs::rename(&part, path).map_err(Error::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, Image};

    fn image(text: &'static str) -> Built {
        Image { entries: vec![Entry::file("/f", text.as_bytes())], ..Image::default() }.build().unwrap()
    }

    #[test]
    fn images_come_back_as_they_were_and_a_name_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::create(dir.path()).unwrap();
        layout.add("web:v1", &image("old")).unwrap();
        layout.add("web:v2", &image("two")).unwrap();
        layout.add("web:v1", &image("one")).unwrap();
        let images = Layout::open(dir.path()).unwrap().images().unwrap();
        assert_eq!(images, [("web:v2".to_owned(), image("two")), ("web:v1".to_owned(), image("one"))]);
    }

    #[test]
    fn a_damaged_blob_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::create(dir.path()).unwrap();
        let built = image("one");
        layout.add("web:v1", &built).unwrap();
        fs::write(layout.blob_path(&built.blobs[1].descriptor.digest), b"other").unwrap();
        assert!(matches!(layout.images().unwrap_err(), Error::Digest { .. }));
    }

    #[test]
    fn a_reference_needs_a_tag() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::create(dir.path()).unwrap();
        assert!(matches!(layout.add("web", &image("one")).unwrap_err(), Error::Reference { .. }));
    }
}
