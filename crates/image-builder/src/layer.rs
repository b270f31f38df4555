//! A layer: a tar archive whose bytes depend on nothing but its entries.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

use crate::Error;
use crate::blob::{Blob, digest};

/// The media type of a gzipped layer.
const MEDIA_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A file, link or directory in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Absolute path inside the image.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// What is there.
    pub content: Content,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A regular file.
    File(Bytes),
    /// A symbolic link to this target.
    Link(String),
    /// A directory.
    Directory,
}

impl Entry {
    /// An executable file.
    pub fn executable(path: impl Into<String>, content: impl Into<Bytes>) -> Self {
        Self { path: path.into(), mode: 0o755, content: Content::File(content.into()) }
    }

    /// A file that everyone may read.
    pub fn file(path: impl Into<String>, content: impl Into<Bytes>) -> Self {
        Self { path: path.into(), mode: 0o644, content: Content::File(content.into()) }
    }

    /// A symbolic link.
    pub fn link(path: impl Into<String>, target: impl Into<String>) -> Self {
        Self { path: path.into(), mode: 0o777, content: Content::Link(target.into()) }
    }

    /// A directory.
    pub fn directory(path: impl Into<String>, mode: u32) -> Self {
        Self { path: path.into(), mode, content: Content::Directory }
    }
}

/// The layer's blob and the digest of its uncompressed archive, by which the configuration names it.
pub(crate) fn build(entries: &[Entry]) -> Result<(Blob, String), Error> {
    let mut archive = tar::Builder::new(Vec::new());
    for entry in entries {
        append(&mut archive, entry).map_err(|source| Error::Layer { path: entry.path.clone(), source })?;
    }
    let whole = |source| Error::Layer { path: "/".to_owned(), source };
    let plain = archive.into_inner().map_err(whole)?;
    let diff_id = digest(&plain);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&plain).map_err(whole)?;
    Ok((Blob::new(MEDIA_TYPE, gzip.finish().map_err(whole)?), diff_id))
}

fn append(archive: &mut tar::Builder<Vec<u8>>, entry: &Entry) -> io::Result<()> {
    let path = entry.path.trim_start_matches('/');
    if path.is_empty() || path.split('/').any(|part| part == "..") {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "must be an absolute path below / without ..",
        ));
    }
    let mut header = Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    match &entry.content {
        Content::File(content) => {
            header.set_entry_type(EntryType::Regular);
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, path, content.as_ref())
        }
        Content::Link(target) => {
            header.set_entry_type(EntryType::Symlink);
            archive.append_link(&mut header, path, target)
        }
        Content::Directory => {
            header.set_entry_type(EntryType::Directory);
            archive.append_data(&mut header, format!("{path}/"), io::empty())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_archive_holds_what_was_asked_for() {
        let entries = [
            Entry::directory("/bin", 0o755),
            Entry::executable("/bin/sh", &b"shell"[..]),
            Entry::link("/bin/ash", "sh"),
        ];
        let (blob, diff_id) = build(&entries).unwrap();
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(blob.content.as_ref()).read_to_end(&mut plain).unwrap();
        assert_eq!(digest(&plain), diff_id);
        let mut archive = tar::Archive::new(plain.as_slice());
        let seen: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.path().unwrap().display().to_string(), entry.header().entry_type())
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("bin/".to_owned(), EntryType::Directory),
                ("bin/sh".to_owned(), EntryType::Regular),
                ("bin/ash".to_owned(), EntryType::Symlink)
            ]
        );
    }

    #[test]
    fn the_same_entries_give_the_same_digest() {
        let entries = [Entry::file("/etc/motd", &b"hello"[..])];
        assert_eq!(build(&entries).unwrap(), build(&entries).unwrap());
    }

    #[test]
    fn a_path_cannot_leave_the_image() {
        let error = build(&[Entry::file("/../etc/passwd", &b""[..])]).unwrap_err();
        assert_eq!(error.to_string(), "layer entry \"/../etc/passwd\"");
    }
}
