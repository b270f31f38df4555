//! The images that containerd holds.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use containerd_client::services::v1::{
    DeleteImageRequest, GetImageRequest, Image as ImageRecord, ListImagesRequest, ReadContentRequest,
};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::Inner;
use super::connection::{LONG, SHORT, Tolerate, call};
use crate::registry::{Config, Document, Manifest, Reference, for_this_platform};
use crate::users::Accounts;
use crate::{Error, ImageInfo, Result};

/// Manifests and configurations are read whole.
const MAX_DOCUMENT: i64 = 8 << 20;

/// What containers of an image need. It never changes, because it is found by digest.
#[derive(Debug)]
pub(super) struct Image {
    /// Without names, which come and go.
    pub(super) info: ImageInfo,
    /// The snapshot of all its layers.
    pub(super) chain_id: String,
    /// Read from its root file system when the first container is made.
    pub(super) accounts: OnceCell<Accounts>,
}

/// Images that were looked up before.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// By reference as it was asked for.
    names: Mutex<HashMap<String, Arc<Image>>>,
    /// By the digest that a name stands for.
    targets: Mutex<HashMap<String, Arc<Image>>>,
}

impl Cache {
    /// Forgets everything: names may have changed their meaning or images be gone.
    pub(super) fn clear(&self) {
        self.names.lock().clear();
        self.targets.lock().clear();
    }

    /// Forgets what names stand for.
    pub(super) fn forget_names(&self) {
        self.names.lock().clear();
    }
}

impl Inner {
    /// The image that a container is to be made of.
    pub(super) async fn image(&self, reference: &str) -> Result<Arc<Image>> {
        if let Some(image) = self.images.names.lock().get(reference) {
            return Ok(Arc::clone(image));
        }
        let image = self
            .look_up(reference)
            .await?
            .ok_or_else(|| Error::NotFound { kind: "image", name: reference.to_owned() })?;
        self.images.names.lock().insert(reference.to_owned(), Arc::clone(&image));
        Ok(image)
    }

    async fn look_up(&self, reference: &str) -> Result<Option<Arc<Image>>> {
        if is_id(reference) {
            let all = self.all_images().await?;
            return Ok(all.into_iter().map(|(_, image)| image).find(|image| image.info.id == reference));
        }
        let wanted = Reference::parse(reference)?;
        let request = self.connection.request(GetImageRequest { name: wanted.to_string() }, SHORT);
        let answer = call("get image", SHORT, self.connection.images().get(request)).await.or_missing()?;
        if let Some(record) = answer.and_then(|response| response.image) {
            return self.load(&record).await.map(Some);
        }
        // A digest may be known under a tag of the same repository.
        let Some(digest) = &wanted.digest else { return Ok(None) };
        let same = |name: &str| Reference::parse(name).is_ok_and(|known| known.name() == wanted.name());
        let all = self.all_images().await?;
        let found = all.into_iter().find(|(name, image)| image.info.digest == *digest && same(name));
        Ok(found.map(|(_, image)| image))
    }

    /// Every name with its image. One whose content is damaged is passed over.
    async fn all_images(&self) -> Result<Vec<(String, Arc<Image>)>> {
        let request = self.connection.request(ListImagesRequest::default(), SHORT);
        let records = call("list images", SHORT, self.connection.images().list(request)).await?.images;
        let mut images = Vec::with_capacity(records.len());
        for record in records {
            match self.load(&record).await {
                Ok(image) => images.push((record.name, image)),
                Err(error @ (Error::NotFound { .. } | Error::BadImage { .. })) => {
                    tracing::debug!(image = record.name, %error, "an image is incomplete");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(images)
    }

    /// Reads what a record stands for.
    async fn load(&self, record: &ImageRecord) -> Result<Arc<Image>> {
        let bad = |reason: String| Error::BadImage { reference: record.name.clone(), reason };
        let target = record.target.as_ref().ok_or_else(|| bad("its record points nowhere".into()))?;
        if let Some(image) = self.images.targets.lock().get(&target.digest) {
            return Ok(Arc::clone(image));
        }
        let (manifest, manifest_size) = self.manifest(&target.digest, &target.media_type, &bad).await?;
        let config = Config::parse(&self.read(&manifest.config.digest).await?).map_err(&bad)?;
        let layers: u64 = manifest.layers.iter().map(|layer| layer.size).sum();
        let info = ImageInfo {
            id: manifest.config.digest.clone(),
            digest: target.digest.clone(),
            size_bytes: manifest_size + manifest.config.size + layers,
            config: config.image_config(),
            ..ImageInfo::default()
        };
        let chain_id = config.chain_ids().pop().unwrap_or_default();
        let image = Arc::new(Image { info, chain_id, accounts: OnceCell::new() });
        self.images.targets.lock().insert(target.digest.clone(), Arc::clone(&image));
        Ok(image)
    }

    async fn manifest(
        &self,
        digest: &str,
        media_type: &str,
        bad: &impl Fn(String) -> Error,
    ) -> Result<(Manifest, u64)> {
        let bytes = self.read(digest).await?;
        match Document::parse(&bytes, Some(media_type)).map_err(bad)? {
            (Document::Manifest(manifest), _) => Ok((manifest, bytes.len() as u64)),
            (Document::Index(manifests), _) => {
                let chosen = for_this_platform(&manifests).map_err(bad)?;
                let bytes = self.read(&chosen.digest).await?;
                match Document::parse(&bytes, Some(&chosen.media_type)).map_err(bad)? {
                    (Document::Manifest(manifest), _) => Ok((manifest, bytes.len() as u64)),
                    (Document::Index(_), _) => Err(bad("its list of manifests lists another list".into())),
                }
            }
        }
    }

    /// Reads a small blob.
    async fn read(&self, digest: &str) -> Result<Vec<u8>> {
        let message = ReadContentRequest { digest: digest.to_owned(), offset: 0, size: 0 };
        let request = self.connection.request(message, SHORT);
        let mut chunks = call("read content", SHORT, self.connection.content().read(request)).await?;
        let mut bytes = Vec::new();
        loop {
            let chunk = async { chunks.message().await.map(tonic::Response::new) };
            let Some(chunk) = call("read content", SHORT, chunk).await? else { return Ok(bytes) };
            bytes.extend_from_slice(&chunk.data);
            if bytes.len() as i64 > MAX_DOCUMENT {
                let reason = format!("a document of it is larger than {MAX_DOCUMENT} bytes");
                return Err(Error::BadImage { reference: digest.to_owned(), reason });
            }
        }
    }

    pub(super) async fn list_images(&self) -> Result<Vec<ImageInfo>> {
        let mut images: BTreeMap<String, ImageInfo> = BTreeMap::new();
        for (name, image) in self.all_images().await? {
            let info = images.entry(image.info.id.clone()).or_insert_with(|| image.info.clone());
            // Records that are not image references belong to someone else.
            let Ok(reference) = Reference::parse(&name) else { continue };
            let by_digest = format!("{}@{}", reference.name(), image.info.digest);
            if !info.repo_digests.contains(&by_digest) {
                info.repo_digests.push(by_digest);
            }
            if reference.digest.is_none() {
                info.repo_tags.push(name);
            }
        }
        Ok(images.into_values().collect())
    }

    /// The image without its names. One that was used before by its id is not asked for again: that it is gone shows
    /// when a container of it is created.
    pub(super) async fn find_image(&self, reference: &str) -> Result<Option<ImageInfo>> {
        let known = self.images.names.lock().get(reference).filter(|_| is_id(reference)).cloned();
        let image = match known {
            Some(image) => Some(image),
            None => self.look_up(reference).await?,
        };
        Ok(image.map(|image| {
            // A container is created of the image by its id next.
            self.images.names.lock().insert(image.info.id.clone(), Arc::clone(&image));
            image.info.clone()
        }))
    }

    pub(super) async fn image_status(&self, reference: &str) -> Result<Option<ImageInfo>> {
        let Some(image) = self.look_up(reference).await? else { return Ok(None) };
        let named = self.list_images().await?.into_iter().find(|info| info.id == image.info.id);
        Ok(named.map(|named| ImageInfo { digest: image.info.digest.clone(), ..named }))
    }

    pub(super) async fn remove_image(&self, reference: &str) -> Result<()> {
        let names: Vec<String> = if is_id(reference) {
            let all = self.all_images().await?;
            all.into_iter().filter(|(_, image)| image.info.id == reference).map(|(name, _)| name).collect()
        } else {
            vec![Reference::parse(reference)?.to_string()]
        };
        for name in names {
            // The content is collected before the answer, so that the space is free when it comes.
            let message = DeleteImageRequest { name, sync: true, target: None };
            let request = self.connection.request(message, LONG);
            call("delete image", LONG, self.connection.images().delete(request)).await.or_missing()?;
        }
        self.images.clear();
        Ok(())
    }
}

fn is_id(reference: &str) -> bool {
    reference.starts_with("sha256:")
}
