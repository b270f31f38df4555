//! The policies that there are and what binds them, from the caches.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_api::Resource;
use gantry_api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
};
use parking_lot::RwLock;

use super::policy::{Binding, Policy};
use crate::cache::{Cache, Entry, Follower, Step};

/// The policies and bindings of the cluster.
pub(crate) struct Policies(RwLock<Followed>);

/// A policy with what binds it.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) policy: Arc<Policy>,
    pub(super) bindings: Vec<Arc<Binding>>,
}

/// All policies that something binds, by name.
pub(super) type All = Arc<[Bound]>;

struct Followed {
    policies: Follower,
    bindings: Follower,
    known: BTreeMap<Arc<str>, Arc<Policy>>,
    bound: BTreeMap<Arc<str>, Arc<Binding>>,
    all: All,
    read: Read,
}

/// How what is in the caches is read; what cannot be read is nothing.
#[derive(Clone, Copy)]
struct Read {
    policy: fn(&Entry) -> Option<Policy>,
    binding: fn(&Entry) -> Option<Binding>,
}

impl Policies {
    /// Those that say yes or no, in two caches.
    pub(crate) fn validating(policies: Arc<Cache>, bindings: Arc<Cache>) -> Self {
        let read = Read {
            policy: |entry| typed(entry).map(|it: ValidatingAdmissionPolicy| Policy::of(entry.name(), &it)),
            binding: |entry| {
                typed(entry).map(|it: ValidatingAdmissionPolicyBinding| Binding::of(entry.name(), &it))
            },
        };
        Self::new(policies, bindings, read)
    }

    /// Those that change objects, in two caches.
    pub(crate) fn mutating(policies: Arc<Cache>, bindings: Arc<Cache>) -> Self {
        let read = Read {
            policy: |entry| {
                typed(entry).map(|it: MutatingAdmissionPolicy| Policy::of_mutating(entry.name(), &it))
            },
            binding: |entry| {
                typed(entry).map(|it: MutatingAdmissionPolicyBinding| Binding::of_mutating(entry.name(), &it))
            },
        };
        Self::new(policies, bindings, read)
    }

    fn new(policies: Arc<Cache>, bindings: Arc<Cache>, read: Read) -> Self {
        Self(RwLock::new(Followed {
            read,
            policies: Follower::new(policies),
            bindings: Follower::new(bindings),
            known: BTreeMap::new(),
            bound: BTreeMap::new(),
            all: Arc::default(),
        }))
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.current().is_empty()
    }

    pub(super) fn current(&self) -> All {
        let read = self.0.read();
        if !read.policies.is_behind() && !read.bindings.is_behind() {
            return read.all.clone();
        }
        drop(read);
        let mut followed = self.0.write();
        followed.catch_up();
        followed.all.clone()
    }
}

/// What cannot be read binds nobody; that it is there is logged by the cache.
fn typed<T: Resource>(entry: &Entry) -> Option<T> {
    entry.object().ok().and_then(|object| object.downcast_ref::<T>().cloned())
}

impl Followed {
    fn catch_up(&mut self) {
        let Self { policies, bindings, known, bound, all, read } = self;
        policies.take(|step| match step {
            Step::Restart => known.clear(),
            Step::Gone(entry) => drop(known.remove(entry.key())),
            Step::Put(entry) => match (read.policy)(entry) {
                Some(policy) => drop(known.insert(entry.key().clone(), Arc::new(policy))),
                None => drop(known.remove(entry.key())),
            },
        });
        bindings.take(|step| match step {
            Step::Restart => bound.clear(),
            Step::Gone(entry) => drop(bound.remove(entry.key())),
            Step::Put(entry) => match (read.binding)(entry) {
                Some(binding) => drop(bound.insert(entry.key().clone(), Arc::new(binding))),
                None => drop(bound.remove(entry.key())),
            },
        });
        let with_bindings = known.values().map(|policy| Bound {
            policy: policy.clone(),
            bindings: bound.values().filter(|binding| binding.policy == policy.name).cloned().collect(),
        });
        *all = with_bindings.filter(|bound| !bound.bindings.is_empty()).collect();
    }
}
