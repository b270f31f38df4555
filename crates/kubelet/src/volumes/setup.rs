//! Making volumes on disk, and removing them.

use std::fs::{self, FileType};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use gantry_api::core::v1::{EmptyDirVolumeSource, HostPathVolumeSource, Volume};
use gantry_api::scalars::Quantity;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::atomic::{WriteError, failed};
use crate::paths::PodPaths;

/// A path can be mounted over more than once only by a bug; bounded all the same.
const MAX_STACKED_MOUNTS: usize = 16;

/// Why a volume cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The file system refused.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// What is at the path is not what the pod asks for.
    #[error("hostPath {}: {reason}", path.display())]
    HostPath {
        /// The path.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A source that is not supported.
    #[error("volume {name:?}: {kind} is not supported by this kubelet")]
    Unsupported {
        /// The volume.
        name: String,
        /// Its source.
        kind: &'static str,
    },
}

/// Makes a volume that does not show objects; answers with where it is.
pub fn volume(volume: &Volume, paths: &PodPaths, group: Option<u32>) -> Result<PathBuf, SetUpError> {
    let unsupported = |kind| SetUpError::Unsupported { name: volume.name.clone(), kind };
    let Some(source) = &volume.volume_source else {
        return empty_dir(&EmptyDirVolumeSource::default(), &paths.volume(&volume.name), group);
    };
    if let Some(empty) = &source.empty_dir {
        return empty_dir(empty, &paths.volume(&volume.name), group);
    }
    if let Some(host) = &source.host_path {
        return host_path(host);
    }
    Err(unsupported(if source.persistent_volume_claim.is_some() {
        "persistentVolumeClaim"
    } else if source.csi.is_some() {
        "csi"
    } else if source.nfs.is_some() {
        "nfs"
    } else if source.ephemeral.is_some() {
        "ephemeral"
    } else if source.image.is_some() {
        "image"
    } else {
        "this kind of volume"
    }))
}

fn empty_dir(source: &EmptyDirVolumeSource, path: &Path, group: Option<u32>) -> Result<PathBuf, SetUpError> {
    fs::create_dir_all(path).map_err(failed("create", path))?;
    if source.medium == "Memory" && !is_mount(path)? {
        let size = source.size_limit.as_ref().and_then(Quantity::units).filter(|size| *size > 0);
        let options = size.map(|size| format!("size={size}"));
        mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, options.as_deref())
            .map_err(|errno| failed("mount a tmpfs at", path)(errno.into()))?;
    }
    let mut mode = 0o777;
    if group.is_some() {
        chown(path, None, group).map_err(failed("give to the pod's group", path))?;
        // New files get the directory's group.
        mode |= 0o2000;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed("set the mode of", path))?;
    Ok(path.to_owned())
}

/// A mount point lies on another device than its parent.
fn is_mount(path: &Path) -> Result<bool, SetUpError> {
    use std::os::unix::fs::MetadataExt;
    let parent = path.parent().unwrap_or(path);
    let own = fs::metadata(path).map_err(failed("inspect", path))?.dev();
    Ok(own != fs::metadata(parent).map_err(failed("inspect", parent))?.dev())
}

fn host_path(source: &HostPathVolumeSource) -> Result<PathBuf, SetUpError> {
    let path = PathBuf::from(&source.path);
    let refused = |reason: String| SetUpError::HostPath { path: path.clone(), reason };
    if !path.is_absolute() || source.path.split('/').any(|part| part == "..") {
        return Err(refused("it must be absolute and must not contain '..'".into()));
    }
    let wanted = source.r#type.as_deref().unwrap_or_default();
    let found = match fs::metadata(&path) {
        Ok(meta) => Some(meta.file_type()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed("inspect", &path)(error).into()),
    };
    match (wanted, found) {
        // Upstream's runtime makes the directory in this case.
        ("" | "DirectoryOrCreate", None) => {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(0o755).create(&path).map_err(failed("create", &path))?;
        }
        ("FileOrCreate", None) => {
            fs::File::create_new(&path).map_err(failed("create", &path))?;
        }
        (_, None) => return Err(refused(format!("type {wanted} asks for something that is not there"))),
        (_, Some(kind)) if fits(wanted, kind) => {}
        (_, Some(_)) => return Err(refused(format!("it is not a {wanted}"))),
    }
    Ok(path)
}

fn fits(wanted: &str, kind: FileType) -> bool {
    match wanted {
        "" => true,
        "DirectoryOrCreate" | "Directory" => kind.is_dir(),
        "FileOrCreate" | "File" => kind.is_file(),
        "Socket" => kind.is_socket(),
        "CharDevice" => kind.is_char_device(),
        "BlockDevice" => kind.is_block_device(),
        _ => false,
    }
}

/// Makes what a `subPath` names, if it is not there, and checks that no link leads out of the volume.
pub fn sub_path(volume: &Path, path: &Path) -> Result<(), SetUpError> {
    if !path.exists() {
        fs::create_dir_all(path).map_err(failed("create", path))?;
    }
    let volume = fs::canonicalize(volume).map_err(failed("resolve", volume))?;
    let resolved = fs::canonicalize(path).map_err(failed("resolve", path))?;
    if resolved.starts_with(&volume) {
        return Ok(());
    }
    Err(SetUpError::HostPath { path: path.to_owned(), reason: "subPath leads out of its volume".into() })
}

/// Removes everything that a pod has on disk: mounts first, so that what they show is left alone.
pub fn remove(paths: &PodPaths) -> Result<(), WriteError> {
    let volumes = paths.volumes();
    match fs::read_dir(&volumes) {
        Ok(entries) => {
            for entry in entries {
                unmount(&entry.map_err(failed("list", &volumes))?.path())?;
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("list", &volumes)(error)),
    }
    for dir in [volumes, paths.secrets()] {
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &dir)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn unmount(path: &Path) -> Result<(), WriteError> {
    for _ in 0..MAX_STACKED_MOUNTS {
        match umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) => {}
            // Not a mount point any more.
            Err(Errno::EINVAL | Errno::ENOENT) => break,
            Err(errno) => return Err(failed("unmount", path)(errno.into())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(path: &Path, kind: &str) -> Result<PathBuf, SetUpError> {
        host_path(&HostPathVolumeSource { path: path.display().to_string(), r#type: Some(kind.to_owned()) })
    }

    #[test]
    fn host_paths_are_what_they_are_said_to_be() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        assert!(host(&file, "File").is_err());
        assert!(host(&file, "FileOrCreate").is_ok() && file.is_file());
        assert!(host(&file, "File").is_ok());
        assert!(host(&file, "Directory").is_err());
        assert!(host(&dir.path().join("a/b"), "DirectoryOrCreate").is_ok());
        assert!(host(&dir.path().join("a/b"), "Directory").is_ok());
        assert!(host(Path::new("relative"), "").is_err());
    }

    #[test]
    fn a_link_does_not_lead_out_of_a_volume() {
        let dir = tempfile::tempdir().unwrap();
        let volume = dir.path().join("v");
        fs::create_dir(&volume).unwrap();
        std::os::unix::fs::symlink("/etc", volume.join("out")).unwrap();
        assert!(sub_path(&volume, &volume.join("in/side")).is_ok());
        assert!(sub_path(&volume, &volume.join("out")).is_err());
    }
}
