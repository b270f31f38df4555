//! Recording a container and preparing its root file system.

use std::collections::HashMap;
use std::time::SystemTime;

use containerd_client::services::v1::container::Runtime as RuntimeRecord;
use containerd_client::services::v1::snapshots::PrepareSnapshotRequest;
use containerd_client::services::v1::{Container, CreateContainerRequest};
use containerd_client::types::Mount;

use super::super::Inner;
use super::super::connection::{SHORT, call, leased};
use super::super::images::Image;
use super::super::record::{self, Created, RuncOptions};
use super::start::Prepared;
use crate::users::Accounts;
use crate::{ContainerConfig, ContainerState, ContainerStatus, Error, Result};

impl Inner {
    /// Records the container and prepares its root file system.
    pub(in super::super) async fn create(&self, config: ContainerConfig) -> Result<()> {
        let _guard = self.locks.lock(&config.id).await;
        let image = self.image(&config.image).await?;
        if let Some(log) = config.log.as_ref().and_then(|log| log.path.parent()) {
            // The driver would make it too, but only here can a failure be told.
            tokio::fs::create_dir_all(log)
                .await
                .map_err(|error| Error::Io { path: log.display().to_string(), reason: error.to_string() })?;
        }
        let created = Created::new(&config, &image.info.id, &self.options.log_driver);
        let (prepared, recorded) = match image.accounts.get() {
            Some(accounts) => {
                let recording = self.record(&config, &created, &image, accounts);
                tokio::join!(self.prepare(&config.id, &image.chain_id), recording)
            }
            // Only the first container of an image has to wait for the image's users to be read.
            None => match self.prepare(&config.id, &image.chain_id).await {
                Ok(mounts) => {
                    let accounts = read_accounts(&image, &mounts).await;
                    let recorded = self.record(&config, &created, &image, accounts).await;
                    (Ok(mounts), recorded)
                }
                Err(error) => return Err(error),
            },
        };
        match (prepared, recorded) {
            (Ok(mounts), Ok(created_at)) => {
                let status = ContainerStatus {
                    id: config.id.clone(),
                    image: config.image,
                    image_id: created.image_id.clone(),
                    labels: config.labels,
                    created_at,
                    state: ContainerState::Created,
                };
                self.prepared.lock().insert(config.id, Prepared { created, mounts, status });
                Ok(())
            }
            (Ok(_), Err(error)) => {
                self.undo(self.remove_snapshot(&config.id)).await;
                Err(error)
            }
            (Err(error), Ok(_)) => {
                self.undo(self.delete_record(&config.id)).await;
                Err(error)
            }
            (Err(_), Err(error)) => Err(error),
        }
    }

    async fn record(
        &self,
        config: &ContainerConfig,
        created: &Created,
        image: &Image,
        accounts: &Accounts,
    ) -> Result<SystemTime> {
        let credentials = accounts.resolve(&config.user, &image.info.config.user)?;
        let spec = crate::spec::build(config, &image.info.config, &credentials, &self.bounds)?;
        let options = &self.options;
        let runc = RuncOptions {
            binary_name: options.runtime_binary.clone(),
            root: options.runtime_root.as_ref().map(|root| root.display().to_string()).unwrap_or_default(),
            systemd_cgroup: false,
        };
        let container = Container {
            id: config.id.clone(),
            labels: record::labels(config, created),
            image: config.image.clone(),
            runtime: Some(RuntimeRecord { name: options.runtime.clone(), options: Some(runc.to_any()) }),
            spec: Some(record::spec_any("Spec", &spec)?),
            snapshotter: options.snapshotter.clone(),
            snapshot_key: config.id.clone(),
            ..Container::default()
        };
        let message = CreateContainerRequest { container: Some(container) };
        let request = self.connection.request(message, SHORT);
        let answer = call("create container", SHORT, self.connection.containers().create(request)).await;
        match answer {
            Err(error) if error.is_already_exists() => {
                Err(Error::AlreadyExists { kind: "container", name: config.id.clone() })
            }
            other => Ok(record::time(other?.container.and_then(|container| container.created_at))),
        }
    }

    /// A writable layer on top of the image.
    async fn prepare(&self, id: &str, chain_id: &str) -> Result<Vec<Mount>> {
        let lease = self.lease().await?;
        let message = PrepareSnapshotRequest {
            snapshotter: self.options.snapshotter.clone(),
            key: id.to_owned(),
            parent: chain_id.to_owned(),
            labels: HashMap::new(),
        };
        let request = leased(self.connection.request(message, SHORT), lease);
        let answer =
            call("prepare root file system", SHORT, self.connection.snapshots().prepare(request)).await;
        match answer {
            Err(error) if error.is_already_exists() => {
                Err(Error::AlreadyExists { kind: "container", name: id.to_owned() })
            }
            Err(error) if error.is_not_found() => {
                self.images.clear();
                Err(error)
            }
            other => other.map(|response| response.mounts),
        }
    }

    /// Undoes half of what failed; the failure itself is what is told.
    async fn undo(&self, undoing: impl Future<Output = Result<()>>) {
        if let Err(error) = undoing.await {
            tracing::warn!(%error, "what a failed container left behind could not be removed");
        }
    }
}

async fn read_accounts<'a>(image: &'a Image, mounts: &[Mount]) -> &'a Accounts {
    let options = mounts.iter().flat_map(|mount| &mount.options);
    let lower =
        options.filter_map(|option| option.strip_prefix("lowerdir=")).flat_map(|dirs| dirs.split(':'));
    let layers: Vec<_> = lower.map(std::path::PathBuf::from).collect();
    let read = tokio::task::spawn_blocking(move || Accounts::read(&layers));
    // Reading cannot panic; were it to, the image would count as one without accounts.
    image.accounts.get_or_init(|| async { read.await.unwrap_or_default() }).await
}
