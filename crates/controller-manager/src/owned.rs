//! Objects that belong to a controller: found by owner reference, adopted and released by selector.

use std::sync::Arc;

use gantry_api::apps::v1::ReplicaSet;
use gantry_api::meta::v1::{ObjectMeta, OwnerReference};
use gantry_api::selector::LabelSelector;
use gantry_api::{Kind, Resource};
use gantry_client::{Client, Informer, PatchType, Store, Stored, controller_of, controller_reference};
use serde_json::json;

use crate::Error;
use crate::pod::Pod;

/// The index of objects by their controller's uid; those without a controller by their namespace.
pub(crate) const BY_CONTROLLER: &str = "controller";

/// What belongs to controllers, whole or in parts.
pub(crate) trait Owned: Stored + Clone {
    /// The kind.
    fn kind() -> &'static Kind;
}

impl Owned for ReplicaSet {
    fn kind() -> &'static Kind {
        <Self as Resource>::kind()
    }
}

impl Owned for Pod {
    fn kind() -> &'static Kind {
        Self::kind()
    }
}

/// The values of the index.
pub(crate) fn index<T: Stored>(object: &T) -> Vec<String> {
    let meta = object.metadata();
    vec![controller_of(meta).map_or_else(|| orphans(&meta.namespace), |owner| owner.uid.clone())]
}

/// No uid has a slash.
fn orphans(namespace: &str) -> String {
    format!("orphans/{namespace}")
}

/// What a controller may claim.
#[derive(Debug)]
pub(crate) struct Claim<T> {
    /// What belongs to it.
    pub(crate) owned: Vec<Arc<T>>,
    /// What nobody owns and its selector matches.
    pub(crate) adopt: Vec<Arc<T>>,
    /// What it owns and its selector does not match any more.
    pub(crate) release: Vec<Arc<T>>,
}

/// What the controller `owner` may claim of what is in the store.
pub(crate) fn claim<T: Owned>(store: &Store<T>, owner: &ObjectMeta, selector: &LabelSelector) -> Claim<T> {
    let candidates = store.by_index(BY_CONTROLLER, &owner.uid);
    let orphans = store.by_index(BY_CONTROLLER, &orphans(&owner.namespace));
    decide(owner, selector, candidates, orphans)
}

fn decide<T: Owned>(
    owner: &ObjectMeta,
    selector: &LabelSelector,
    candidates: Vec<Arc<T>>,
    orphans: Vec<Arc<T>>,
) -> Claim<T> {
    let matches = |object: &Arc<T>| selector.matches(&object.metadata().labels);
    let leaving = owner.deletion_timestamp.is_some();
    let (owned, lost): (Vec<_>, Vec<_>) = candidates.into_iter().partition(matches);
    let adopt = orphans
        .into_iter()
        .filter(|object| !leaving && object.metadata().deletion_timestamp.is_none() && matches(object))
        .collect();
    let release = if leaving { Vec::new() } else { lost };
    Claim { owned, adopt, release }
}

/// Adopts and releases. An owner that is gone, or was replaced by another of its name, adopts nothing: that is asked of
/// the API server, because the store may be behind.
pub(crate) async fn settle<O: Resource, T: Owned>(
    client: &Client,
    informer: &Informer<T>,
    owner: &O,
    mut claim: Claim<T>,
) -> Result<Vec<Arc<T>>, Error> {
    if !claim.adopt.is_empty() {
        let live = client.api::<O>(owner.namespace()).get_opt(owner.name()).await?;
        let alive = live.is_some_and(|live| {
            live.meta().uid == owner.meta().uid && live.meta().deletion_timestamp.is_none()
        });
        if alive {
            for object in claim.adopt {
                let mut owners = object.metadata().owner_references.clone();
                owners.push(controller_reference(owner));
                if let Some(adopted) = write_owners(client, informer, &*object, &owners).await? {
                    claim.owned.push(adopted);
                }
            }
        }
    }
    for object in claim.release {
        let mut owners = object.metadata().owner_references.clone();
        owners.retain(|reference| reference.uid != owner.meta().uid);
        write_owners(client, informer, &*object, &owners).await?;
    }
    Ok(claim.owned)
}

/// Replaces an object's owners, unless it changed meanwhile. `None` where it is gone.
async fn write_owners<T: Owned>(
    client: &Client,
    informer: &Informer<T>,
    object: &T,
    owners: &[OwnerReference],
) -> Result<Option<Arc<T>>, Error> {
    let meta = object.metadata();
    let patch = json!({
        "metadata": { "uid": meta.uid, "resourceVersion": meta.resource_version, "ownerReferences": owners }
    });
    let api = client.dynamic(T::kind(), &meta.namespace);
    match api.patch(&meta.name, "", PatchType::Merge, &patch, &Default::default()).await {
        Ok(written) => {
            let written = T::decode(written.encode())
                .map_err(|source| Error::Decode { kind: T::kind().kind, source })?;
            informer.note(written.clone());
            Ok(Some(Arc::new(written)))
        }
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::decide;
    use crate::pod::Pod;
    use gantry_api::meta::v1::ObjectMeta;
    use gantry_api::scalars::Time;
    use gantry_api::selector::LabelSelector;
    use std::sync::Arc;

    fn pod(app: &str) -> Arc<Pod> {
        let mut pod = Pod::default();
        pod.meta_mut().labels.insert("app".into(), app.into());
        Arc::new(pod)
    }

    #[test]
    fn the_selector_adopts_and_releases() {
        let selector = LabelSelector::parse("app=web").unwrap();
        let mut owner = ObjectMeta::default();
        let claim = decide(&owner, &selector, vec![pod("web"), pod("db")], vec![pod("web"), pod("db")]);
        assert_eq!((claim.owned.len(), claim.adopt.len(), claim.release.len()), (1, 1, 1));
        owner.deletion_timestamp = Some(Time::now());
        let claim = decide(&owner, &selector, vec![pod("web"), pod("db")], vec![pod("web")]);
        assert_eq!((claim.owned.len(), claim.adopt.len(), claim.release.len()), (1, 0, 0));
    }
}
