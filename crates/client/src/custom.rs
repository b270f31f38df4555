//! The kinds of custom resources, as the API server shows them.

use std::sync::LazyLock;

use gantry_api::custom::Kinds;
use gantry_api::{Kind, registry};

use crate::{Client, Error};

/// What discovery says of a kind never changes what it is: all clients of a process share them.
static KINDS: LazyLock<Kinds> = LazyLock::new(Kinds::default);

impl Client {
    /// The kinds of the custom resources that are served now, one for each version.
    pub async fn custom_kinds(&self) -> Result<Vec<&'static Kind>, Error> {
        let resources = self.discover().await?.resources;
        let custom = resources.iter().filter(|resource| {
            let known = registry::by_resource(&resource.group, &resource.version, &resource.resource);
            // A group of the registry may be newer at the server than here; its objects have messages.
            resource.subresource.is_empty() && known.is_none() && resource.type_url.ends_with(CUSTOM)
        });
        let kinds = custom
            .map(|resource| KINDS.discovered(resource).map_err(|source| Error::decode("a kind", source)));
        kinds.collect()
    }

    /// One kind of each custom resource that is served now: all versions of a resource have the same objects.
    pub async fn custom_resources(&self) -> Result<Vec<&'static Kind>, Error> {
        let mut kinds = self.custom_kinds().await?;
        // Stable: the version that the server shows first stays.
        kinds.sort_by_key(|kind| (kind.group, kind.plural));
        kinds.dedup_by_key(|kind| (kind.group, kind.plural));
        Ok(kinds)
    }
}

/// The message of custom resources.
const CUSTOM: &str = "/gantry.api.v1.CustomResource";
