//! Pulling an image: from a name at a registry to an unpacked image in containerd.

mod transfer;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use containerd_client::services::v1::{
    CreateImageRequest, DeleteRequest as DeleteLease, Image as ImageRecord, UpdateImageRequest,
};
use containerd_client::types::Descriptor as TargetDescriptor;
use futures::future::{BoxFuture, FutureExt, Shared};
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::watch;
use tonic::metadata::{Ascii, MetadataValue};

use super::Inner;
use super::connection::{SHORT, call};
use crate::registry::{
    Config, Descriptor, Document, Fetched, Manifest, Reference, Source, for_this_platform,
};
use crate::{Error, ImageInfo, ProgressSink, PullProgress, RegistryAuth, Result};

/// Layers of one image that are fetched at the same time.
const PARALLEL_LAYERS: usize = 3;

/// After so long a pull is given up, whatever it does; one from which nothing comes is given up much earlier.
const PULL_LIMIT: Duration = Duration::from_secs(3600);

/// Past its last use, what an abandoned pull left is kept for so long, for the next attempt to take up.
const LEASE_HOURS: i64 = 2;

/// What is pulled, and with whose permission. Callers with other credentials do not share a pull: the image may not be
/// theirs to have.
type Key = (Reference, Option<RegistryAuth>);

/// A pull that is going on.
#[derive(Clone)]
struct Running {
    number: u64,
    callers: usize,
    outcome: Shared<BoxFuture<'static, Result<ImageInfo>>>,
    progress: watch::Receiver<PullProgress>,
}

/// All pulls that are going on.
#[derive(Default)]
pub(super) struct Pulls {
    running: Mutex<HashMap<Key, Running>>,
    next: AtomicU64,
}

/// One who waits for a pull. The table forgets the pull when it is done, so that the next caller begins a new one, and
/// when nobody waits for it any more, which ends it.
struct Caller<'a> {
    pulls: &'a Pulls,
    key: Key,
    number: u64,
    done: bool,
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        let mut running = self.pulls.running.lock();
        let Some(pull) = running.get_mut(&self.key).filter(|pull| pull.number == self.number) else { return };
        pull.callers -= 1;
        if self.done || pull.callers == 0 {
            running.remove(&self.key);
        }
    }
}

/// One pull.
struct Pull {
    inner: Arc<Inner>,
    source: Source,
    lease: MetadataValue<Ascii>,
    progress: watch::Sender<PullProgress>,
}

impl Inner {
    pub(super) async fn pull(
        inner: &Arc<Self>,
        reference: &str,
        auth: Option<RegistryAuth>,
        progress: Option<ProgressSink>,
    ) -> Result<ImageInfo> {
        let key = (Reference::parse(reference)?, auth);
        let Running { number, outcome, progress: mut seen, .. } = {
            let mut pulls = inner.pulls.running.lock();
            let running = pulls.entry(key.clone()).or_insert_with(|| Self::begin(inner, key.clone()));
            running.callers += 1;
            running.clone()
        };
        let mut caller = Caller { pulls: &inner.pulls, key, number, done: false };
        let forwarding = async {
            while let Some(sink) = &progress {
                sink.send_replace(*seen.borrow_and_update());
                if seen.changed().await.is_err() {
                    break;
                }
            }
        };
        let (result, ()) = tokio::join!(outcome, forwarding);
        caller.done = true;
        result
    }

    fn begin(inner: &Arc<Self>, (reference, auth): Key) -> Running {
        let (progress, seen) = watch::channel(PullProgress::default());
        let number = inner.pulls.next.fetch_add(1, Ordering::Relaxed);
        // Weak, because the table of running pulls belongs to what the pull needs.
        let weak = Arc::downgrade(inner);
        let pulling = async move {
            let gone = || Error::Unavailable { call: "pull", reason: "the runtime is shutting down".into() };
            let inner = weak.upgrade().ok_or_else(gone)?;
            let _slot = inner.pull_slots.acquire().await.map_err(|_| gone())?;
            let pulled = tokio::time::timeout(PULL_LIMIT, run(&inner, reference, auth, progress)).await;
            pulled.unwrap_or(Err(Error::Deadline { call: "pull", after: PULL_LIMIT }))
        };
        Running { number, callers: 0, outcome: pulling.boxed().shared(), progress: seen }
    }
}

async fn run(
    inner: &Arc<Inner>,
    reference: Reference,
    auth: Option<RegistryAuth>,
    progress: watch::Sender<PullProgress>,
) -> Result<ImageInfo> {
    let (source, top) = inner.registry.resolve(&reference, auth.as_ref()).await?;
    let expire = Timestamp::now() + SignedDuration::from_hours(LEASE_HOURS);
    let labels = HashMap::from([("containerd.io/gc.expire".to_owned(), format!("{expire:.0}"))]);
    let lease_id = format!("gantry-pull-{}", uuid::Uuid::new_v4().simple());
    let lease = inner.make_lease(lease_id.clone(), labels).await?;
    let pull = Pull { inner: Arc::clone(inner), source, lease, progress };
    let pulled = pull.all(&reference, top).await;
    if pulled.is_ok() {
        // What the image does not refer to can go now; after a failure it stays for the next attempt.
        let request = inner.connection.request(DeleteLease { id: lease_id, sync: false }, SHORT);
        if let Err(error) = call("delete lease", SHORT, inner.connection.leases().delete(request)).await {
            tracing::debug!(%error, "the lease of a pull will expire by itself");
        }
    }
    pulled?;
    inner.images.forget_names();
    let name = reference.to_string();
    inner.image_status(&name).await?.ok_or(Error::NotFound { kind: "image", name })
}

impl Pull {
    async fn all(&self, reference: &Reference, top: Fetched) -> Result<()> {
        let top_target = target(&top);
        let (manifest, fetched) = match &top.document {
            Document::Manifest(manifest) => (manifest.clone(), None),
            Document::Index(manifests) => {
                let chosen = for_this_platform(manifests).map_err(|reason| self.source.bad(reason))?;
                let fetched = self.source.manifest(&chosen.digest, Some(chosen)).await?;
                let Document::Manifest(manifest) = &fetched.document else {
                    return Err(self.source.bad("its list of manifests lists another list".into()));
                };
                (manifest.clone(), Some(fetched))
            }
        };
        let config_bytes = self.source.small_blob(&manifest.config).await?;
        let config = Config::parse(&config_bytes).map_err(|reason| self.source.bad(reason))?;
        let chain_id = self.layers(&manifest, &config).await?;
        let config_labels = chain_id.map(|chain_id| {
            (format!("containerd.io/gc.ref.snapshot.{}", self.inner.options.snapshotter), chain_id)
        });
        self.put(&manifest.config.digest, config_bytes, config_labels.into_iter().collect()).await?;
        // Each document refers to what it consists of, which keeps that as long as the document.
        let parts = std::iter::once(("config".to_owned(), &manifest.config.digest));
        let layers = manifest.layers.iter().enumerate().map(|(i, layer)| (format!("l.{i}"), &layer.digest));
        let references = |(name, digest): (String, &String)| {
            (format!("containerd.io/gc.ref.content.{name}"), digest.clone())
        };
        let labels: HashMap<_, _> = parts.chain(layers).map(references).collect();
        match fetched {
            None => self.put(&top.digest, top.bytes, labels).await?,
            Some(fetched) => {
                self.put(&fetched.digest, fetched.bytes, labels).await?;
                let labels = HashMap::from([references(("m.0".to_owned(), &fetched.digest))]);
                self.put(&top.digest, top.bytes, labels).await?;
            }
        }
        self.name(reference.to_string(), top_target).await
    }

    /// Fetches and unpacks the layers; tells the name of the whole stack.
    async fn layers(&self, manifest: &Manifest, config: &Config) -> Result<Option<String>> {
        let chain_ids = config.chain_ids();
        if chain_ids.len() != manifest.layers.len() {
            return Err(self.source.bad(format!(
                "its manifest has {} layers and its configuration {}",
                manifest.layers.len(),
                chain_ids.len()
            )));
        }
        self.progress.send_modify(|progress| {
            progress.total_bytes = manifest.layers.iter().map(|layer| layer.size).sum();
            progress.layers = u32::try_from(chain_ids.len()).unwrap_or(u32::MAX);
        });
        // The first layers are unpacked while later ones still come in.
        let fetch = |layer| async move { self.fetch(layer).await.map(|()| layer) };
        let fetches: Vec<BoxFuture<'_, Result<&Descriptor>>> =
            manifest.layers.iter().map(|layer| fetch(layer).boxed()).collect();
        let mut fetched = stream::iter(fetches).buffered(PARALLEL_LAYERS);
        let mut below = String::new();
        for (chain_id, diff_id) in chain_ids.into_iter().zip(config.diff_ids()) {
            let Some(layer) = fetched.try_next().await? else { break };
            self.unpack(layer, &below, &chain_id, diff_id).await?;
            self.progress.send_modify(|progress| progress.unpacked_layers += 1);
            below = chain_id;
        }
        Ok(Some(below).filter(|chain_id| !chain_id.is_empty()))
    }

    /// Lets the name stand for what was pulled.
    async fn name(&self, name: String, target: TargetDescriptor) -> Result<()> {
        let connection = &self.inner.connection;
        let image = ImageRecord { name, target: Some(target), ..ImageRecord::default() };
        let message = CreateImageRequest { image: Some(image.clone()), source_date_epoch: None };
        let request = super::connection::leased(connection.request(message, SHORT), &self.lease);
        match call("create image", SHORT, connection.images().create(request)).await {
            Err(error) if error.is_already_exists() => {
                let update_mask = Some(prost_types::FieldMask { paths: vec!["target".into()] });
                let message = UpdateImageRequest { image: Some(image), update_mask, source_date_epoch: None };
                let request = super::connection::leased(connection.request(message, SHORT), &self.lease);
                call("update image", SHORT, connection.images().update(request)).await.map(drop)
            }
            other => other.map(drop),
        }
    }

    fn count(&self, bytes: u64) {
        self.progress.send_modify(|progress| progress.done_bytes += bytes);
    }
}

fn target(fetched: &Fetched) -> TargetDescriptor {
    TargetDescriptor {
        media_type: fetched.media_type.clone(),
        digest: fetched.digest.clone(),
        size: i64::try_from(fetched.bytes.len()).unwrap_or(i64::MAX),
        annotations: HashMap::new(),
    }
}
