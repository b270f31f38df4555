//! Whom a container's process runs as: numbers from the configuration, names from the image.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use crate::{Error, Result, User};

/// Larger files are not account databases.
const MAX_DATABASE: u64 = 4 << 20;

/// A user by numbers, ready for the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) home: Option<String>,
}

/// An image's users and groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Accounts {
    users: Vec<Account>,
    groups: Vec<Group>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Account {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

impl Accounts {
    /// Parses `/etc/passwd` and `/etc/group`; lines that cannot be understood are passed over, as libc does.
    pub(crate) fn parse(passwd: &str, group: &str) -> Self {
        let users = passwd.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, uid, gid, rest @ ..] = fields.as_slice() else { return None };
            let home = rest.get(1).copied().unwrap_or_default().to_owned();
            Some(Account { name: (*name).into(), uid: uid.parse().ok()?, gid: gid.parse().ok()?, home })
        });
        let groups = group.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, gid, rest @ ..] = fields.as_slice() else { return None };
            let members = rest.first().copied().unwrap_or_default();
            let members = members.split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect();
            Some(Group { name: (*name).into(), gid: gid.parse().ok()?, members })
        });
        Self { users: users.collect(), groups: groups.collect() }
    }

    /// Reads the databases from an image's layers, the topmost first.
    pub(crate) fn read(layers: &[PathBuf]) -> Self {
        let read =
            |path| find(layers, Path::new(path)).and_then(|found| read_small(&found)).unwrap_or_default();
        Self::parse(&read("etc/passwd"), &read("etc/group"))
    }

    /// Decides whom a process runs as: what `wanted` leaves open comes from the image's `user[:group]`.
    pub(crate) fn resolve(&self, wanted: &User, image_user: &str) -> Result<Credentials> {
        let (user, group) = match wanted.uid {
            // The image's group belongs to the image's user.
            Some(uid) => (uid.to_string(), None),
            None => match image_user.split_once(':') {
                Some((user, group)) => (user.to_owned(), Some(group)),
                None => (image_user.to_owned(), None),
            },
        };
        let user = if user.is_empty() { "0" } else { &user };
        let account = self.account(user);
        let uid = match (account, user.parse()) {
            (Some(account), _) => account.uid,
            (None, Ok(uid)) => uid,
            (None, Err(_)) => return Err(unknown("user", image_user, "is not in the image's /etc/passwd")),
        };
        let gid = match (wanted.gid, group.filter(|group| !group.is_empty())) {
            (Some(gid), _) => gid,
            (None, Some(group)) => self.group(group).ok_or_else(|| {
                unknown("user", image_user, "has a group that is not in the image's /etc/group")
            })?,
            (None, None) => account.map_or(0, |account| account.gid),
        };
        let mut groups: BTreeSet<u32> = wanted.supplemental_groups.iter().copied().collect();
        groups.insert(gid);
        if let Some(account) = account {
            groups.extend(self.groups.iter().filter(|g| g.members.contains(&account.name)).map(|g| g.gid));
        }
        let home = account.map(|account| account.home.clone()).filter(|home| !home.is_empty());
        Ok(Credentials { uid, gid, groups: groups.into_iter().collect(), home })
    }

    fn account(&self, user: &str) -> Option<&Account> {
        let by_name = self.users.iter().find(|account| account.name == user);
        by_name.or_else(|| {
            let uid = user.parse::<u32>().ok()?;
            self.users.iter().find(|account| account.uid == uid)
        })
    }

    fn group(&self, group: &str) -> Option<u32> {
        let by_name = self.groups.iter().find(|g| g.name == group).map(|g| g.gid);
        by_name.or_else(|| group.parse().ok())
    }
}

fn unknown(field: &'static str, value: &str, reason: &str) -> Error {
    Error::InvalidConfig { field, value: value.to_owned(), reason: reason.to_owned() }
}

/// Finds a file in stacked layers without mounting them. Whiteouts hide what lies below; a symbolic link is
/// followed inside the layers a few times.
fn find(layers: &[PathBuf], path: &Path) -> Option<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..8 {
        let found = layers.iter().find_map(|layer| {
            let candidate = layer.join(&path);
            let metadata = fs::symlink_metadata(&candidate).ok()?;
            Some((candidate, metadata))
        });
        let (candidate, metadata) = found?;
        if metadata.file_type().is_char_device() && metadata.rdev() == 0 {
            return None;
        }
        if !metadata.is_symlink() {
            return metadata.is_file().then_some(candidate);
        }
        path = inside(path.parent().unwrap_or(Path::new("")), &fs::read_link(candidate).ok()?);
    }
    None
}

/// The target of a link, kept below the root.
fn inside(directory: &Path, target: &Path) -> PathBuf {
    let mut path = if target.is_absolute() { PathBuf::new() } else { directory.to_owned() };
    for component in target.components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => drop(path.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    path
}

fn read_small(path: &Path) -> Option<String> {
    if fs::metadata(path).ok()?.len() > MAX_DATABASE {
        return None;
    }
    let bytes = fs::read(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts::parse(
            "root:x:0:0:root:/root:/bin/sh\nweb:x:101:102::/srv:/bin/false\nbroken\n",
            "root:x:0:\nweb:x:102:\nlog:x:103:web,root\n",
        )
    }

    fn resolve(wanted: &User, image: &str) -> (u32, u32, Vec<u32>) {
        let credentials = accounts().resolve(wanted, image).unwrap();
        (credentials.uid, credentials.gid, credentials.groups)
    }

    #[test]
    fn the_images_user_is_the_default() {
        let none = User::default();
        assert_eq!(resolve(&none, ""), (0, 0, vec![0, 103]));
        assert_eq!(resolve(&none, "web"), (101, 102, vec![102, 103]));
        assert_eq!(resolve(&none, "101"), (101, 102, vec![102, 103]));
        assert_eq!(resolve(&none, "web:log"), (101, 103, vec![103]));
        assert_eq!(resolve(&none, "5:6"), (5, 6, vec![6]));
    }

    #[test]
    fn numbers_of_the_configuration_win() {
        let user = User { uid: Some(7), gid: None, supplemental_groups: vec![9] };
        assert_eq!(resolve(&user, "web:log"), (7, 0, vec![0, 9]));
        let user = User { uid: Some(101), gid: Some(8), supplemental_groups: vec![] };
        assert_eq!(resolve(&user, ""), (101, 8, vec![8, 103]));
    }

    #[test]
    fn unknown_names_are_refused() {
        let error = accounts().resolve(&User::default(), "nobody").unwrap_err().to_string();
        assert_eq!(error, "user: \"nobody\" is not in the image's /etc/passwd");
        assert!(accounts().resolve(&User::default(), "web:none").is_err());
    }

    #[test]
    fn upper_layers_hide_lower_ones_and_links_stay_inside() {
        let dir = tempfile::tempdir().unwrap();
        let layers: Vec<PathBuf> = ["top", "bottom"].iter().map(|name| dir.path().join(name)).collect();
        for layer in &layers {
            fs::create_dir_all(layer.join("etc")).unwrap();
        }
        fs::write(layers[1].join("etc/passwd"), "a:x:1:1::/:\n").unwrap();
        assert!(Accounts::read(&layers).account("a").is_some());
        fs::write(layers[0].join("etc/passwd"), "b:x:2:2::/:\n").unwrap();
        assert!(Accounts::read(&layers).account("a").is_none());
        fs::remove_file(layers[0].join("etc/passwd")).unwrap();
        fs::write(layers[1].join("accounts"), "c:x:3:3::/:\n").unwrap();
        std::os::unix::fs::symlink("../../../accounts", layers[0].join("etc/passwd")).unwrap();
        assert!(Accounts::read(&layers).account("c").is_some());
    }
}
