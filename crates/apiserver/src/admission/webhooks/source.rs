//! The webhooks that there are, from the caches of their configurations.
//!
//! Nothing runs for it: who asks takes in first what has changed since.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_api::Resource;
use gantry_api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use parking_lot::RwLock;

use super::hook::Hook;
use crate::cache::{Cache, Entry, Follower, Step};

/// The webhooks of all configurations.
pub(crate) struct Hooks {
    mutating: RwLock<Followed>,
    validating: RwLock<Followed>,
}

/// All webhooks of a kind, by the names of their configurations and in their order there.
pub(super) type All = Arc<[Arc<Hook>]>;

struct Followed {
    follower: Follower,
    read: fn(&Entry) -> Vec<Hook>,
    configurations: BTreeMap<Arc<str>, Vec<Arc<Hook>>>,
    all: All,
}

impl Hooks {
    /// Those of the configurations in two caches.
    pub(crate) fn new(mutating: Arc<Cache>, validating: Arc<Cache>) -> Self {
        let mutating = Followed::new(mutating, |entry| {
            let read = typed::<MutatingWebhookConfiguration>(entry);
            read.map(|of| Hook::mutating(entry.name(), &of.webhooks)).unwrap_or_default()
        });
        let validating = Followed::new(validating, |entry| {
            let read = typed::<ValidatingWebhookConfiguration>(entry);
            read.map(|of| Hook::validating(entry.name(), &of.webhooks)).unwrap_or_default()
        });
        Self { mutating: RwLock::new(mutating), validating: RwLock::new(validating) }
    }

    /// Those that change objects.
    pub(super) fn mutating(&self) -> All {
        current(&self.mutating)
    }

    /// Those that say yes or no.
    pub(super) fn validating(&self) -> All {
        current(&self.validating)
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.mutating().is_empty() && self.validating().is_empty()
    }
}

fn current(followed: &RwLock<Followed>) -> All {
    let read = followed.read();
    if !read.follower.is_behind() {
        return read.all.clone();
    }
    drop(read);
    let mut followed = followed.write();
    followed.catch_up();
    followed.all.clone()
}

/// What cannot be read asks nobody; that it is there is logged by the cache.
fn typed<T: Resource>(entry: &Entry) -> Option<T> {
    entry.object().ok().and_then(|object| object.downcast_ref::<T>().cloned())
}

impl Followed {
    fn new(cache: Arc<Cache>, read: fn(&Entry) -> Vec<Hook>) -> Self {
        let follower = Follower::new(cache);
        Self { follower, read, configurations: BTreeMap::new(), all: Arc::default() }
    }

    fn catch_up(&mut self) {
        let Self { follower, read, configurations, all } = self;
        follower.take(|step| match step {
            Step::Restart => configurations.clear(),
            Step::Gone(entry) => drop(configurations.remove(entry.key())),
            Step::Put(entry) => {
                let hooks = read(entry).into_iter().map(Arc::new).collect();
                configurations.insert(entry.key().clone(), hooks);
            }
        });
        *all = configurations.values().flatten().cloned().collect();
    }
}
