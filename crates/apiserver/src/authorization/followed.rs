//! From the caches to what decisions look at.
//!
//! Nothing runs for it: whoever must decide takes in first what has happened since the last decision, so that a
//! decision is never older than the cache.

use gantry_api::Resource;
use gantry_api::core::v1::{PersistentVolumeClaim, Pod};
use gantry_api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding};

use super::identity::identity;
use super::node::graph::Graph;
use super::rbac::{Binding, Policy};
use crate::cache::{Entry, Follower, Step};
use crate::status::ApiError;
use crate::verbs::Verbs;

fn follow<T: Resource>(verbs: &Verbs) -> Result<Follower, ApiError> {
    Ok(Follower::new(verbs.cache(T::kind())?))
}

/// The object, if it can be read. What cannot be read permits nothing; that it is there is logged by the cache.
fn read<T: Resource>(entry: &Entry, use_it: impl FnOnce(&T)) -> bool {
    let object = entry.object().ok();
    match object.as_deref().and_then(|object| object.downcast_ref::<T>()) {
        Some(object) => {
            use_it(object);
            true
        }
        None => false,
    }
}

/// The roles and bindings, from their caches.
pub(super) struct Roles {
    pub(super) policy: Policy,
    /// Whether there were no roles when they were looked at first; none before that.
    fresh: Option<bool>,
    cluster_roles: Follower,
    roles: Follower,
    cluster_bindings: Follower,
    bindings: Follower,
}

impl Roles {
    pub(super) fn new(verbs: &Verbs) -> Result<Self, ApiError> {
        Ok(Self {
            policy: Policy::default(),
            fresh: None,
            cluster_roles: follow::<ClusterRole>(verbs)?,
            roles: follow::<Role>(verbs)?,
            cluster_bindings: follow::<ClusterRoleBinding>(verbs)?,
            bindings: follow::<RoleBinding>(verbs)?,
        })
    }

    fn followers(&self) -> [&Follower; 4] {
        [&self.cluster_roles, &self.roles, &self.cluster_bindings, &self.bindings]
    }

    /// Whether the cluster is so new that it had no roles when this server began.
    pub(super) fn is_fresh(&self) -> bool {
        self.fresh == Some(true)
    }

    pub(super) fn is_behind(&self) -> bool {
        self.followers().into_iter().any(Follower::is_behind)
    }

    pub(super) fn catch_up(&mut self) {
        let Self { policy, cluster_roles, roles, cluster_bindings, bindings, .. } = self;
        cluster_roles.take(|step| {
            follow_roles(policy, step, false, |entry, set| {
                read(entry, |role: &ClusterRole| set(&role.rules))
            });
        });
        roles.take(|step| {
            follow_roles(policy, step, true, |entry, set| read(entry, |role: &Role| set(&role.rules)));
        });
        cluster_bindings.take(|step| {
            follow_bindings(policy, step, false, |entry, set| {
                read(entry, |it: &ClusterRoleBinding| {
                    set(Binding::new(it.meta(), it.role_ref.as_ref(), &it.subjects));
                })
            });
        });
        bindings.take(|step| {
            follow_bindings(policy, step, true, |entry, set| {
                read(entry, |it: &RoleBinding| {
                    set(Binding::new(it.meta(), it.role_ref.as_ref(), &it.subjects));
                })
            });
        });
        if self.fresh.is_none() && self.followers().into_iter().all(Follower::has_begun) {
            self.fresh = Some(self.policy.is_empty());
        }
    }
}

fn follow_roles(
    policy: &mut Policy,
    step: Step<'_>,
    namespaced: bool,
    read: impl Fn(&Entry, &mut dyn FnMut(&[PolicyRule])) -> bool,
) {
    match step {
        Step::Restart => policy.clear_roles(namespaced),
        Step::Gone(entry) => policy.set_role(entry.namespace(), entry.name(), None),
        Step::Put(entry) => {
            let (namespace, name) = (entry.namespace(), entry.name());
            if !read(entry, &mut |rules| policy.set_role(namespace, name, Some(rules))) {
                policy.set_role(namespace, name, None);
            }
        }
    }
}

fn follow_bindings(
    policy: &mut Policy,
    step: Step<'_>,
    namespaced: bool,
    read: impl Fn(&Entry, &mut dyn FnMut(Binding)) -> bool,
) {
    match step {
        Step::Restart => policy.clear_bindings(namespaced),
        Step::Gone(entry) => policy.remove_binding(entry.namespace(), entry.name()),
        Step::Put(entry) => {
            if !read(entry, &mut |binding| policy.set_binding(binding)) {
                policy.remove_binding(entry.namespace(), entry.name());
            }
        }
    }
}

/// What belongs to which node, from the caches of pods and claims.
pub(super) struct Nodes {
    pub(super) graph: Graph,
    pods: Follower,
    claims: Follower,
}

impl Nodes {
    pub(super) fn new(verbs: &Verbs) -> Result<Self, ApiError> {
        Ok(Self {
            graph: Graph::default(),
            pods: follow::<Pod>(verbs)?,
            claims: follow::<PersistentVolumeClaim>(verbs)?,
        })
    }

    pub(super) fn is_behind(&self) -> bool {
        self.pods.is_behind() || self.claims.is_behind()
    }

    pub(super) fn catch_up(&mut self) {
        let Self { graph, pods, claims } = self;
        pods.take(|step| match step {
            Step::Restart => graph.clear_pods(),
            Step::Gone(entry) => graph.remove_pod(entry.key()),
            Step::Put(entry) => {
                let node = entry.field("spec.nodeName").unwrap_or_default();
                // Most changes are of a status: those need not be decoded.
                let current = || identity(entry).is_ok_and(|it| graph.is_current(entry.key(), node, &it));
                if node.is_empty() {
                    graph.remove_pod(entry.key());
                } else if !current() {
                    read(entry, |pod: &Pod| graph.set_pod(entry.key(), node, pod));
                }
            }
        });
        claims.take(|step| match step {
            Step::Restart => graph.clear_claims(),
            Step::Gone(entry) => graph.set_claim(entry.key(), ""),
            Step::Put(entry) => {
                let volume = |claim: &PersistentVolumeClaim| {
                    let volume = claim.spec.as_ref().map_or("", |spec| &spec.volume_name);
                    graph.set_claim(entry.key(), volume);
                };
                read(entry, volume);
            }
        });
    }
}
