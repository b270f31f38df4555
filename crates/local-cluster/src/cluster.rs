//! A cluster on this machine, running or not.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

use crate::process::Record;
use crate::{Api, Error, Paths, Result, Spec, files, supervisor};

/// A cluster: a state directory and what it describes.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub(crate) paths: Paths,
    pub(crate) spec: Spec,
}

impl Cluster {
    /// The cluster in `state_dir`; `None` when there is none.
    pub fn load(state_dir: &Path) -> Result<Option<Self>> {
        let paths = paths(state_dir)?;
        let spec = files::read_json(&paths.spec())?;
        Ok(spec.map(|spec| Self { paths, spec }))
    }

    /// A cluster that `up` will make in `state_dir`.
    pub fn new(state_dir: &Path, spec: Spec) -> Result<Self> {
        Ok(Self { paths: paths(state_dir)?, spec })
    }

    /// Where its files are.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// What it is.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// A client of its API server.
    pub fn api(&self) -> Result<Api> {
        Api::new(&self.paths, self.spec.ports.api)
    }

    /// The number of the process `name` (as in the names of the logs), when it runs.
    pub fn pid(&self, name: &str) -> Result<Option<i32>> {
        Ok(Record::running(&self.paths.pid_file(name))?.map(|record| record.identity.pid))
    }

    /// Whether it is up, as far as its supervisor tells.
    pub fn is_running(&self) -> Result<bool> {
        Ok(self.supervisor()?.is_some())
    }

    /// Its supervisor, when it runs.
    pub(crate) fn supervisor(&self) -> Result<Option<Record>> {
        Record::running(&self.paths.pid_file(supervisor::NAME))
    }

    /// Keeps other `up`s and `down`s away until the lock is dropped.
    pub(crate) fn lock(&self) -> Result<Flock<File>> {
        files::private_dir(self.paths.root())?;
        let path = self.paths.lock();
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(Error::file(&path))?;
        Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, _)| Error::Locked { path })
    }
}

fn paths(state_dir: &Path) -> Result<Paths> {
    // Absolute, since other processes use it; links resolved as far as it exists, since mount tables have it so.
    let absolute = std::path::absolute(state_dir).map_err(Error::file(state_dir))?;
    Ok(Paths::new(absolute.canonicalize().unwrap_or(absolute)))
}
