//! Moving blobs into containerd's content store, and unpacking them.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use containerd_client::services::v1::snapshots::{
    CommitSnapshotRequest, PrepareSnapshotRequest, RemoveSnapshotRequest, StatSnapshotRequest,
};
use containerd_client::services::v1::{
    AbortRequest, AddResourceRequest, ApplyRequest, Info, InfoRequest, Resource, StatusRequest,
    UpdateRequest, WriteAction, WriteContentRequest,
};
use containerd_client::types::Descriptor as DiffDescriptor;
use futures::{Stream, StreamExt};
use prost_types::FieldMask;
use tokio::sync::mpsc;

use super::super::connection::{LONG, SHORT, Tolerate, call, leased};
use super::Pull;
use crate::registry::Descriptor;
use crate::{Error, Result};

/// Attempts at one layer; each takes up where the last one broke off.
const ATTEMPTS: u32 = 5;

/// Below the 4 MiB that gRPC takes in one message.
const MAX_CHUNK: usize = 1 << 20;

/// Unpacking a large layer onto a slow disk.
const UNPACK_LIMIT: Duration = Duration::from_secs(1800);

impl Pull {
    /// Has a layer in the content store. Pulls that share a layer fetch it once.
    pub(super) async fn fetch(&self, layer: &Descriptor) -> Result<()> {
        let _guard = self.inner.locks.lock(&layer.digest).await;
        if self.hold("content", &layer.digest).await? {
            self.count(layer.size);
            return Ok(());
        }
        let mut attempt = 1;
        loop {
            match self.fetch_once(layer).await {
                Ok(()) => return Ok(()),
                Err(error) if attempt == ATTEMPTS || !error.is_transient() => return Err(error),
                Err(error) => {
                    tracing::debug!(layer = layer.digest, attempt, %error, "fetching a layer broke off");
                    tokio::time::sleep(Duration::from_millis(200) * 2u32.pow(attempt)).await;
                    attempt += 1;
                }
            }
        }
    }

    async fn fetch_once(&self, layer: &Descriptor) -> Result<()> {
        let name = format!("layer-{}", layer.digest);
        let mut offset = self.partial(&name).await?;
        let (response, resumed) = self.source.blob(layer, offset).await?;
        if !resumed {
            self.abort(&name).await?;
            offset = 0;
        }
        let mut failure = None;
        let chunks = response.bytes_stream().map(|chunk| match chunk {
            Ok(chunk) => {
                self.count(chunk.len() as u64);
                Some(chunk)
            }
            Err(error) => {
                failure = Some(self.source.broken(&error.without_url()));
                None
            }
        });
        let chunks =
            chunks.take_while(|chunk| std::future::ready(chunk.is_some())).filter_map(std::future::ready);
        let written = self.write(&name, &layer.digest, layer.size, offset, chunks, HashMap::new()).await;
        match (written, failure) {
            (_, Some(failure)) => Err(failure),
            // Bad bytes cannot be taken up: begin anew.
            (Err(error), None) if !error.is_transient() => {
                self.abort(&name).await?;
                Err(error)
            }
            (written, None) => written,
        }
    }

    /// Stores a small document with references to what it consists of.
    pub(super) async fn put(
        &self,
        digest: &str,
        bytes: Bytes,
        labels: HashMap<String, String>,
    ) -> Result<()> {
        let _guard = self.inner.locks.lock(digest).await;
        if self.hold("content", digest).await? {
            return self.label(digest, labels).await;
        }
        let name = format!("document-{digest}");
        self.abort(&name).await?;
        let size = bytes.len() as u64;
        let chunks = futures::stream::iter([bytes]);
        self.write(&name, digest, size, 0, chunks, labels).await
    }

    /// Streams bytes into the store. containerd commits them only if they have the digest.
    async fn write(
        &self,
        name: &str,
        digest: &str,
        size: u64,
        offset: u64,
        chunks: impl Stream<Item = Bytes>,
        labels: HashMap<String, String>,
    ) -> Result<()> {
        let total = i64::try_from(size).unwrap_or(i64::MAX);
        let message = |action: WriteAction, offset: u64, data: Bytes| WriteContentRequest {
            action: action.into(),
            r#ref: name.to_owned(),
            total,
            expected: digest.to_owned(),
            offset: i64::try_from(offset).unwrap_or(i64::MAX),
            data: data.into(),
            labels: HashMap::new(),
        };
        let (requests, outgoing) = mpsc::channel(4);
        let sending = async {
            tokio::pin!(chunks);
            let mut at = offset;
            while let Some(mut chunk) = chunks.next().await {
                while !chunk.is_empty() {
                    let part = chunk.split_to(chunk.len().min(MAX_CHUNK));
                    let length = part.len() as u64;
                    // The other side hung up: its answer says why.
                    if requests.send(message(WriteAction::Write, at, part)).await.is_err() {
                        return;
                    }
                    at += length;
                }
            }
            // A short transfer is not committed, so that it can be taken up.
            if at == size {
                let commit = WriteContentRequest { labels, ..message(WriteAction::Commit, at, Bytes::new()) };
                // As above.
                let _ = requests.send(commit).await;
            }
            drop(requests);
        };
        let receiving = async {
            let connection = &self.inner.connection;
            let outgoing = tokio_stream::wrappers::ReceiverStream::new(outgoing);
            let request = leased(connection.stream_request(outgoing), &self.lease);
            let mut answers = call("write content", LONG, connection.content().write(request)).await?;
            loop {
                let next = async { answers.message().await.map(tonic::Response::new) };
                match call("write content", LONG, next).await? {
                    Some(answer) if answer.action() == WriteAction::Commit => return Ok(()),
                    Some(_) => {}
                    None => {
                        return Err(Error::Unavailable {
                            call: "write content",
                            reason: "it broke off".into(),
                        });
                    }
                }
            }
        };
        tokio::pin!(sending, receiving);
        let written = tokio::select! {
            written = &mut receiving => written,
            () = &mut sending => receiving.await,
        };
        match written {
            Err(error) if error.is_already_exists() => Ok(()),
            other => other,
        }
    }

    /// How much of an earlier attempt is there.
    async fn partial(&self, name: &str) -> Result<u64> {
        let connection = &self.inner.connection;
        let request = connection.request(StatusRequest { r#ref: name.to_owned() }, SHORT);
        let answer =
            call("content status", SHORT, connection.content().status(request)).await.or_missing()?;
        let offset = answer.and_then(|answer| answer.status).map_or(0, |status| status.offset);
        Ok(u64::try_from(offset).unwrap_or(0))
    }

    async fn abort(&self, name: &str) -> Result<()> {
        let connection = &self.inner.connection;
        let request = connection.request(AbortRequest { r#ref: name.to_owned() }, SHORT);
        call("abort content", SHORT, connection.content().abort(request)).await.or_missing().map(drop)
    }

    /// Puts something under the pull's lease, and then looks whether it is there: in this order it cannot be collected
    /// in between.
    async fn hold(&self, kind: &str, id: &str) -> Result<bool> {
        let connection = &self.inner.connection;
        let resource = Resource { id: id.to_owned(), r#type: kind.to_owned() };
        let lease = self.lease.to_str().unwrap_or_default().to_owned();
        let message = AddResourceRequest { id: lease, resource: Some(resource) };
        let request = connection.request(message, SHORT);
        call("hold content", SHORT, connection.leases().add_resource(request)).await?;
        if kind == "content" {
            let request = connection.request(InfoRequest { digest: id.to_owned() }, SHORT);
            let info = call("content info", SHORT, connection.content().info(request)).await;
            return Ok(info.or_missing()?.is_some());
        }
        let snapshotter = self.inner.options.snapshotter.clone();
        let request = connection.request(StatSnapshotRequest { snapshotter, key: id.to_owned() }, SHORT);
        let info = call("snapshot info", SHORT, connection.snapshots().stat(request)).await;
        Ok(info.or_missing()?.is_some())
    }

    /// Adds labels to what is stored already.
    async fn label(&self, digest: &str, labels: HashMap<String, String>) -> Result<()> {
        if labels.is_empty() {
            return Ok(());
        }
        let paths = labels.keys().map(|key| format!("labels.{key}")).collect();
        let info = Info { digest: digest.to_owned(), labels, ..Info::default() };
        let message = UpdateRequest { info: Some(info), update_mask: Some(FieldMask { paths }) };
        let connection = &self.inner.connection;
        let request = connection.request(message, SHORT);
        call("label content", SHORT, connection.content().update(request)).await.map(drop)
    }

    /// Unpacks a layer on top of those below it, unless it is there already.
    pub(super) async fn unpack(
        &self,
        layer: &Descriptor,
        below: &str,
        chain_id: &str,
        diff_id: &str,
    ) -> Result<()> {
        let _guard = self.inner.locks.lock(chain_id).await;
        let snapshotter = &self.inner.options.snapshotter;
        if self.hold(&format!("snapshots/{snapshotter}"), chain_id).await? {
            return Ok(());
        }
        let key = format!("extract-{}", uuid::Uuid::new_v4().simple());
        let unpacked = self.unpack_as(&key, layer, below, chain_id, diff_id).await;
        if unpacked.is_err() {
            let connection = &self.inner.connection;
            let message = RemoveSnapshotRequest { snapshotter: snapshotter.clone(), key };
            let request = leased(connection.request(message, SHORT), &self.lease);
            let removed = call("remove snapshot", SHORT, connection.snapshots().remove(request)).await;
            if let Err(error) = removed.or_missing() {
                tracing::debug!(%error, "a half-unpacked layer will be collected with its lease");
            }
        }
        unpacked
    }

    async fn unpack_as(
        &self,
        key: &str,
        layer: &Descriptor,
        below: &str,
        chain_id: &str,
        diff_id: &str,
    ) -> Result<()> {
        let connection = &self.inner.connection;
        let snapshotter = &self.inner.options.snapshotter;
        let message = PrepareSnapshotRequest {
            snapshotter: snapshotter.clone(),
            key: key.to_owned(),
            parent: below.to_owned(),
            labels: HashMap::new(),
        };
        let request = leased(connection.request(message, SHORT), &self.lease);
        let mounts = call("prepare snapshot", SHORT, connection.snapshots().prepare(request)).await?.mounts;
        let diff = DiffDescriptor {
            media_type: layer.media_type.clone(),
            digest: layer.digest.clone(),
            size: i64::try_from(layer.size).unwrap_or(i64::MAX),
            annotations: HashMap::new(),
        };
        let message = ApplyRequest { diff: Some(diff), mounts, ..ApplyRequest::default() };
        let request = leased(connection.request(message, UNPACK_LIMIT), &self.lease);
        let applied = call("unpack layer", UNPACK_LIMIT, connection.diff().apply(request)).await?;
        let digest = applied.applied.map(|applied| applied.digest).unwrap_or_default();
        if digest != diff_id {
            let reason = format!("layer {} unpacks to {digest} instead of {diff_id}", layer.digest);
            return Err(self.source.bad(reason));
        }
        let message = CommitSnapshotRequest {
            snapshotter: snapshotter.clone(),
            name: chain_id.to_owned(),
            key: key.to_owned(),
            labels: HashMap::new(),
        };
        let request = leased(connection.request(message, SHORT), &self.lease);
        match call("commit snapshot", SHORT, connection.snapshots().commit(request)).await {
            Err(error) if error.is_already_exists() => Ok(()),
            other => other.map(drop),
        }
    }
}
