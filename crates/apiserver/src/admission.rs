//! What the server itself adds to objects and asks of them: upstream's built-in admission, as plain functions.
//!
//! A new object is completed before it is validated ([`Verbs::admit_new`]) and asked for more afterwards
//! ([`Verbs::check_new`]); what it takes of addresses and quotas is taken last, by whoever writes it.

mod ask;
pub(crate) mod asked;
mod default_class;
mod devices;
mod expansion;
mod limits;
mod namespaces;
mod node_restriction;
mod nodes;
mod plugins;
mod pod_security;
mod pods;
mod policies;
mod priority;
mod protection;
mod quota;
mod rules;
mod runtime_class;
mod selection;
mod service_account;
pub(crate) mod services;
mod taken;
mod webhooks;

use std::any::Any;

use gantry_api::core::v1::{Namespace, Node, PersistentVolumeClaim, Pod};
use gantry_api::networking::v1::Ingress;
use gantry_api::resource::v1::ResourceSlice;
use gantry_api::scalars::Time;
use gantry_api::scheduling::v1::PriorityClass;
use gantry_api::{Object, Resource, Subresource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::asked::Shape;
use crate::authorization::{Requester, escalation};
use crate::cache::{Entry, Selection};
use crate::certificates;
use crate::status::ApiError;
use crate::verbs::{Target, Verbs};

pub(crate) use asked::{Asked, Operation};
pub(crate) use namespaces::check_deletion;
pub use plugins::{PluginError, Plugins};
pub(crate) use policies::Policies;
pub(crate) use taken::Written;
pub(crate) use webhooks::{Hooks, Round};

impl Verbs {
    /// What webhooks are told of a request; nothing where there are none, or where nobody asks.
    pub(crate) fn asked<T: Serialize>(
        &self,
        operation: Operation,
        target: &Target,
        subresource: Option<Subresource>,
        dry_run: bool,
        options: (&str, &T),
    ) -> Result<Option<Asked>, ApiError> {
        if self.hooks().is_empty() && self.policies().is_empty() && self.mutating_policies().is_empty() {
            return Ok(None);
        }
        Asked::new(operation, target, subresource, dry_run, options)
    }

    /// Asks all that is configured in the cluster about the objects of a request, as they will be.
    pub(crate) async fn check_asked(
        &self,
        asked: &Asked,
        new: Option<&dyn Object>,
        old: Option<&dyn Object>,
    ) -> Result<(), ApiError> {
        self.ask_policies(asked, new, old).await?;
        self.ask_webhooks(asked, new, old).await
    }

    /// Asks all that is configured in the cluster about an object that goes.
    pub(crate) async fn admit_deletion(&self, asked: &Asked, old: &dyn Object) -> Result<(), ApiError> {
        self.mutate_deletion(asked, old).await?;
        self.check_asked(asked, None, Some(old)).await
    }

    /// Asks all that is configured in the cluster about what is sent in a shape of its own; gives back what came of it.
    pub(crate) async fn admit_message<T: Serialize + DeserializeOwned + Sync>(
        &self,
        asked: Option<Asked>,
        shape: Shape,
        message: T,
        old: Option<&T>,
    ) -> Result<T, ApiError> {
        let Some(asked) = asked else { return Ok(message) };
        let asked = asked.with_shape(shape);
        let message = self.mutate_message(&asked, message, old).await?;
        self.check_message(&asked, &message, old).await?;
        Ok(message)
    }

    /// Asks all that is configured in the cluster about what is sent in a shape of its own.
    pub(crate) async fn check_message<T: Serialize + Sync>(
        &self,
        asked: &Asked,
        new: &T,
        old: Option<&T>,
    ) -> Result<(), ApiError> {
        self.ask_policies_about(asked, new, old).await?;
        self.ask_webhooks_about(asked, new, old).await
    }

    /// Completes a new object with what follows from others; refuses it where they forbid it.
    pub(crate) async fn admit_new(&self, object: &mut dyn Object) -> Result<(), ApiError> {
        self.admit_namespace(object).await?;
        let plugins = &self.settings().plugins;
        if let Some(node) = object.downcast_mut::<Node>().filter(|_| plugins.has(plugins::TAINT_NODES)) {
            nodes::taint(node);
        }
        if let Some(claim) = object.downcast_mut().filter(|_| plugins.has(plugins::DEFAULT_STORAGE_CLASS)) {
            self.default_storage_class(claim)?;
        }
        if plugins.has(plugins::STORAGE_PROTECTION) {
            protection::protect(object);
        }
        if let Some(ingress) =
            object.downcast_mut::<Ingress>().filter(|_| plugins.has(plugins::DEFAULT_INGRESS_CLASS))
        {
            self.default_ingress_class(ingress)?;
        }
        certificates::requested_by(object);
        if let Some(slice) = object.downcast_mut::<ResourceSlice>() {
            devices::stamp(slice, None, Time::now());
        }
        if let Some(pod) = object.downcast_mut::<Pod>() {
            pods::read_account(pod);
            if plugins.has(plugins::LIMIT_RANGER) {
                self.complete_from_limits(pod)?;
            }
            if plugins.has(plugins::SERVICE_ACCOUNT) {
                self.admit_service_account(pod).await?;
            }
            if plugins.has(plugins::PRIORITY) {
                self.prioritize(pod).await?;
            }
            if plugins.has(plugins::DEFAULT_TOLERATION_SECONDS) {
                pods::tolerate(pod, self.settings().tolerations);
            }
            if plugins.has(plugins::RUNTIME_CLASS) {
                self.apply_runtime_class(pod).await?;
            }
            if plugins.has(plugins::POD_TOPOLOGY_LABELS) {
                self.label_with_topology(pod).await?;
            }
            pods::write_account(pod);
        }
        Ok(())
    }

    /// Asks of a new object, complete and valid, what others ask of it.
    pub(crate) async fn check_new(&self, object: &dyn Object) -> Result<(), ApiError> {
        let limits = self.settings().plugins.has(plugins::LIMIT_RANGER);
        let security = self.settings().plugins.has(plugins::POD_SECURITY);
        if let Some(namespace) = object.downcast_ref::<Namespace>().filter(|_| security) {
            return pod_security::check_labels(namespace, None);
        }
        if let Some(pod) = object.downcast_ref::<Pod>() {
            if limits {
                self.check_pod_limits(pod)?;
            }
            if security { self.check_pod_security(pod).await } else { Ok(()) }
        } else if let Some(claim) = object.downcast_ref::<PersistentVolumeClaim>().filter(|_| limits) {
            self.check_claim_limits(claim)
        } else if let Some(class) = object.downcast_ref::<PriorityClass>() {
            self.check_default_priority(class).await
        } else {
            if security {
                self.warn_of_template(object).await?;
            }
            certificates::restrict(object)
        }
    }

    /// Asks of a changed object what others ask of it.
    pub(crate) async fn check_changed(&self, object: &dyn Object, old: &dyn Object) -> Result<(), ApiError> {
        if let Some(class) = object.downcast_ref::<PriorityClass>() {
            return self.check_default_priority(class).await;
        }
        let plugins = &self.settings().plugins;
        if let (Some(new), Some(old)) = (object.downcast_ref::<Namespace>(), old.downcast_ref::<Namespace>())
            && plugins.has(plugins::POD_SECURITY)
        {
            pod_security::check_labels(new, Some(old))?;
            return self.warn_of_pods(new, old);
        }
        if let (Some(new), Some(old)) = (object.downcast_ref(), old.downcast_ref())
            && plugins.has(plugins::CLAIM_RESIZE)
        {
            return self.check_expansion(new, old).await;
        }
        let (Some(pod), Some(old)) = (object.downcast_ref::<Pod>(), old.downcast_ref::<Pod>()) else {
            return Ok(());
        };
        if plugins.has(plugins::SERVICE_ACCOUNT) && service_account::gets_containers(pod, old) {
            self.check_ephemeral_secrets(pod).await?;
        }
        if plugins.has(plugins::LIMIT_RANGER) && limits::is_resized(pod, old) {
            self.check_pod_limits(pod)?;
        }
        if plugins.has(plugins::POD_SECURITY) && pod_security::matters(pod, old) {
            self.check_pod_security(pod).await?;
        }
        Ok(())
    }

    /// Warns of an object that was changed as a whole, as it is now.
    pub(crate) async fn warn_of_change(
        &self,
        subresource: Option<Subresource>,
        entry: &Entry,
    ) -> Result<(), ApiError> {
        let security = self.settings().plugins.has(plugins::POD_SECURITY);
        if subresource.is_some() || !security || !pod_security::makes_pods(entry.kind()) {
            return Ok(());
        }
        self.warn_of_template(&*entry.object()?).await
    }

    /// The objects of a namespace, as the cache has them now.
    fn cached<T: Resource>(&self, namespace: &str) -> Result<Vec<T>, ApiError> {
        let selection = Selection { namespace: namespace.to_owned(), ..Selection::default() };
        let page = self.cache(T::kind())?.list(&selection, None, 0)?;
        page.items.iter().map(|entry| typed(entry)).collect()
    }

    /// An object that lives in no namespace: as the cache has it, or as the store has it where the cache has none.
    async fn cluster_object<T: Resource>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let cache = self.cache(T::kind())?;
        let entry = match cache.peek(name) {
            Some(entry) => Some(entry),
            None => cache.get(name).await?,
        };
        entry.map(|entry| typed(&entry)).transpose()
    }
}

/// Completes a changed object.
pub(crate) fn on_update(new: &mut dyn Object, old: &dyn Object) {
    if let (Some(new), Some(old)) = (new.downcast_mut::<Namespace>(), old.downcast_ref::<Namespace>()) {
        namespaces::keep(new, old);
    }
    if let Some(slice) = new.downcast_mut::<ResourceSlice>() {
        devices::stamp(slice, old.downcast_ref(), Time::now());
    }
}

/// Whether who asks may create this very object.
pub(crate) fn may_create(object: &dyn Object) -> Result<(), ApiError> {
    restrict(object, |node| node_restriction::on_create(node, object))?;
    escalation::check(object, None)
}

/// Whether who asks may write this in place of what is there.
pub(crate) fn may_update(
    subresource: Option<Subresource>,
    new: &dyn Object,
    old: &dyn Object,
) -> Result<(), ApiError> {
    restrict(old, |node| node_restriction::on_update(node, subresource, new, old))?;
    certificates::may_update(subresource, new, old)?;
    escalation::check(new, Some(old))
}

/// Whether who asks may delete what is there.
pub(crate) fn may_delete(old: &dyn Object) -> Result<(), ApiError> {
    restrict(old, |node| node_restriction::on_delete(node, old))
}

/// Asks about the node that asks, if it is one.
fn restrict(object: &dyn Object, check: impl FnOnce(&str) -> Result<(), String>) -> Result<(), ApiError> {
    let Some(requester) = Requester::current() else { return Ok(()) };
    let Some(node) = requester.user().node() else { return Ok(()) };
    check(node).map_err(|detail| ApiError::forbidden(object.kind(), &object.meta().name, &detail))
}

fn typed<T: Resource>(entry: &Entry) -> Result<T, ApiError> {
    let object: Box<dyn Any> = entry.object()?;
    let strange = |_| ApiError::internal(format_args!("{entry:?} is of another kind"));
    object.downcast::<T>().map(|object| *object).map_err(strange)
}
