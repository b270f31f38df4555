//! Writing a volume's files so that a reader sees either all old or all new ones.
//!
//! The files lie in a directory of their own; `..data` points to it, and the names that the container sees point
//! through `..data`. An update makes a new directory and moves one link.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use super::payload::Payload;

const DATA: &str = "..data";
const DATA_NEW: &str = "..data_tmp";

/// What went wrong, and where.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct WriteError {
    /// What was tried.
    pub action: &'static str,
    /// On what.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WriteError {
    let path = path.to_owned();
    move |source| WriteError { action, path, source }
}

/// Makes `dir` show exactly `payload`, readable by `group` if there is one. `false` when it did already.
pub fn write(dir: &Path, payload: &Payload, group: Option<u32>) -> Result<bool, WriteError> {
    fs::create_dir_all(dir).map_err(failed("create", dir))?;
    set_mode(dir, 0o755, group)?;
    let data = dir.join(DATA);
    let current = fs::read_link(&data).ok().map(|name| dir.join(name));
    if current.as_ref().is_some_and(|current| shows(current, payload)) {
        link(dir, payload)?;
        return Ok(false);
    }
    let fresh = fresh_name(dir);
    let fresh_dir = dir.join(&fresh);
    fs::create_dir(&fresh_dir).map_err(failed("create", &fresh_dir))?;
    set_mode(&fresh_dir, 0o755, group)?;
    for (path, file) in payload {
        let target = fresh_dir.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(failed("create", parent))?;
        }
        fs::write(&target, &file.data).map_err(failed("write", &target))?;
        let mode = if group.is_some() { file.mode | 0o440 } else { file.mode };
        set_mode(&target, mode, group)?;
        if file.owner.is_some() {
            chown(&target, file.owner, None).map_err(failed("give to the pod's user", &target))?;
        }
    }
    let new = dir.join(DATA_NEW);
    remove_file(&new)?;
    symlink(&fresh, &new).map_err(failed("link", &new))?;
    fs::rename(&new, &data).map_err(failed("rename", &new))?;
    link(dir, payload)?;
    sweep(dir, &fresh)?;
    Ok(true)
}

/// A name that is not taken yet: directories of a killed predecessor may be there.
fn fresh_name(dir: &Path) -> String {
    let stamp = jiff::Timestamp::now().as_nanosecond();
    (0..u32::MAX)
        .map(|n| format!("..{stamp}.{n}"))
        .find(|name| !dir.join(name).exists())
        .unwrap_or_else(|| format!("..{stamp}"))
}

fn set_mode(path: &Path, mode: u32, group: Option<u32>) -> Result<(), WriteError> {
    if group.is_some() {
        chown(path, None, group).map_err(failed("give to the pod's group", path))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed("set the mode of", path))
}

fn remove_file(path: &Path) -> Result<(), WriteError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Whether `dir` has exactly the files of `payload`. What cannot be read is not equal.
fn shows(dir: &Path, payload: &Payload) -> bool {
    let equal = |path: &String, file: &super::payload::File| {
        let path = dir.join(path);
        fs::read(&path).is_ok_and(|data| data == file.data)
    };
    payload.iter().all(|(path, file)| equal(path, file)) && count_files(dir, 0) == Some(payload.len())
}

fn count_files(dir: &Path, depth: usize) -> Option<usize> {
    const MAX_DEPTH: usize = 64;
    let mut count = 0;
    for entry in fs::read_dir(dir).ok().filter(|_| depth < MAX_DEPTH)? {
        let entry = entry.ok()?;
        let is_dir = entry.file_type().ok()?.is_dir();
        count += if is_dir { count_files(&entry.path(), depth + 1)? } else { 1 };
    }
    Some(count)
}

/// The visible names: one link for each first component of a path.
fn link(dir: &Path, payload: &Payload) -> Result<(), WriteError> {
    let names: BTreeSet<&str> = payload.keys().filter_map(|path| path.split('/').next()).collect();
    for name in &names {
        let visible = dir.join(name);
        if fs::symlink_metadata(&visible).is_err() {
            symlink(Path::new(DATA).join(name), &visible).map_err(failed("link", &visible))?;
        }
    }
    for entry in fs::read_dir(dir).map_err(failed("list", dir))? {
        let entry = entry.map_err(failed("list", dir))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with("..") && !names.contains(name.as_ref()) {
            remove_file(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes the directories of former states.
fn sweep(dir: &Path, keep: &str) -> Result<(), WriteError> {
    for entry in fs::read_dir(dir).map_err(failed("list", dir))? {
        let entry = entry.map_err(failed("list", dir))?;
        let name = entry.file_name();
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_dir && name.to_string_lossy().starts_with("..") && name != keep {
            fs::remove_dir_all(entry.path()).map_err(failed("remove", &entry.path()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::payload::File;
    use super::*;

    fn payload(files: &[(&str, &str)]) -> Payload {
        let file = |data: &str| File { data: Bytes::from(data.to_owned()), mode: 0o640, owner: None };
        files.iter().map(|(path, data)| ((*path).to_owned(), file(data))).collect()
    }

    fn visible(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = entries.filter(|name| !name.starts_with("..")).collect();
        names.sort();
        names
    }

    #[test]
    fn an_update_replaces_everything_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        assert!(write(dir, &payload(&[("a", "1"), ("d/b", "2")]), None).unwrap());
        let before = fs::read_link(dir.join(DATA)).unwrap();
        assert_eq!(fs::read_to_string(dir.join("d/b")).unwrap(), "2");
        assert!(!write(dir, &payload(&[("a", "1"), ("d/b", "2")]), None).unwrap(), "nothing changed");
        assert!(write(dir, &payload(&[("a", "3"), ("c", "4")]), None).unwrap());
        assert_ne!(fs::read_link(dir.join(DATA)).unwrap(), before);
        assert_eq!(visible(dir), ["a", "c"]);
        assert_eq!(fs::read_to_string(dir.join("a")).unwrap(), "3");
        let mode = fs::metadata(dir.join("a")).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o640);
        assert!(!dir.join(before).exists(), "the old state is gone");
    }

    #[test]
    fn an_empty_volume_is_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("v");
        assert!(write(&dir, &Payload::new(), None).unwrap());
        assert!(visible(&dir).is_empty() && dir.is_dir());
    }
}
