//! The verbs of the API, once for gRPC and REST and for every kind.
//!
//! Nothing here knows a protocol: requests come as a [`Target`], options and an object or bytes, and answers are
//! [`Entry`]s, whose bytes and JSON are ready to be sent.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use gantry_api::autoscaling::v1::Scale;
use gantry_api::core::v1::Binding;
use gantry_api::meta::v1::{
    CreateOptions, DeleteOptions, GetOptions, ListMeta, ListOptions, PatchOptions, UpdateOptions,
};
use gantry_api::{Kind, Object, Subresource};
use gantry_store::Store;

use crate::cache::Entry;
use crate::status::ApiError;

/// What a request is about: an object, or a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The kind of the object or of the collection's objects.
    pub kind: &'static Kind,
    /// The namespace; empty for cluster-scoped kinds and for all namespaces.
    pub namespace: String,
    /// The name; empty for collections.
    pub name: String,
}

/// A list of objects, in the order of their keys.
#[derive(Debug, Clone)]
pub struct List {
    /// Revision, continue token and how many objects follow.
    pub metadata: ListMeta,
    /// The objects.
    pub items: Vec<Arc<Entry>>,
}

/// What a watcher gets.
#[derive(Debug, Clone)]
pub enum WatchItem {
    /// The object is new, or new to the selectors.
    Added(Arc<Entry>),
    /// The object changed.
    Modified(Arc<Entry>),
    /// The object is deleted, or the selectors do not match any more: its last state, at the revision of the change.
    Deleted(Arc<Entry>),
    /// Everything up to the revision has been sent.
    Bookmark {
        /// The revision.
        revision: i64,
        /// Whether this ends the initial events that `sendInitialEvents` asked for.
        initial_events_end: bool,
    },
    /// The watch ends for this reason.
    Error(ApiError),
}

/// Watch items, those that were ready together in one.
pub type WatchStream = BoxStream<'static, Vec<WatchItem>>;

/// How a patch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    /// RFC 6902: operations.
    Json,
    /// RFC 7386: a partial object.
    Merge,
    /// Kubernetes' own: a partial object whose lists merge by keys.
    StrategicMerge,
}

/// The outcome of a deletion.
#[derive(Debug, Clone)]
pub struct Deleted {
    /// The object: its last state, or its present one where something keeps it.
    pub entry: Arc<Entry>,
    /// Whether it is gone. If not, finalizers or a grace period keep it.
    pub finished: bool,
}

/// What the verbs need to know of the cluster.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The addresses that Services get.
    pub service_cidr: ipnet::IpNet,
    /// The ports that Services get on every node.
    pub node_ports: std::ops::RangeInclusive<u16>,
    /// Where this server is reached, for the endpoints of the `kubernetes` Service.
    pub advertise: (IpAddr, u16),
}

/// The verbs, over a store.
pub struct Verbs {
    store: Arc<dyn Store>,
    settings: Settings,
}

impl Verbs {
    /// The verbs over `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, settings: Settings) -> Arc<Self> {
        Arc::new(Self { store, settings })
    }
}

impl Verbs {
    /// One object.
    pub async fn get(&self, target: &Target, options: &GetOptions) -> Result<Arc<Entry>, ApiError> {
        let _ = options;
        Err(self.soon(target))
    }

    /// The objects of a collection that the selectors match.
    pub async fn list(&self, target: &Target, options: &ListOptions) -> Result<List, ApiError> {
        let _ = options;
        Err(self.soon(target))
    }

    /// The changes of a collection, as far as the selectors match. Ends by itself after `timeoutSeconds`.
    pub async fn watch(&self, target: &Target, options: &ListOptions) -> Result<WatchStream, ApiError> {
        let _ = options;
        Err(self.soon(target))
    }

    /// Creates an object. The target's name is empty or the object's.
    pub async fn create(
        &self,
        target: &Target,
        object: Box<dyn Object>,
        options: &CreateOptions,
    ) -> Result<Arc<Entry>, ApiError> {
        let _ = (object, options);
        Err(self.soon(target))
    }

    /// Replaces an object, or its `status`, or a namespace's finalizers.
    pub async fn update(
        &self,
        target: &Target,
        subresource: Option<Subresource>,
        object: Box<dyn Object>,
        options: &UpdateOptions,
    ) -> Result<Arc<Entry>, ApiError> {
        let _ = (subresource, object, options);
        Err(self.soon(target))
    }

    /// Changes an object, or its `status`, by a patch, which is JSON.
    pub async fn patch(
        &self,
        target: &Target,
        subresource: Option<Subresource>,
        patch_type: PatchType,
        patch: Bytes,
        options: &PatchOptions,
    ) -> Result<Arc<Entry>, ApiError> {
        let _ = (subresource, patch_type, patch, options);
        Err(self.soon(target))
    }

    /// Deletes an object, or begins to.
    pub async fn delete(&self, target: &Target, options: &DeleteOptions) -> Result<Deleted, ApiError> {
        let _ = options;
        Err(self.soon(target))
    }

    /// Deletes the objects of a collection that `selection` matches. Returns them.
    pub async fn delete_collection(
        &self,
        target: &Target,
        options: &DeleteOptions,
        selection: &ListOptions,
    ) -> Result<List, ApiError> {
        let _ = (options, selection);
        Err(self.soon(target))
    }

    /// Assigns a pod to a node. Returns the pod.
    pub async fn bind(
        &self,
        target: &Target,
        binding: Binding,
        options: &CreateOptions,
    ) -> Result<Arc<Entry>, ApiError> {
        let _ = (binding, options);
        Err(self.soon(target))
    }

    /// The `scale` of an object.
    pub async fn get_scale(&self, target: &Target, options: &GetOptions) -> Result<Scale, ApiError> {
        let _ = options;
        Err(self.soon(target))
    }

    /// Replaces the `scale` of an object.
    pub async fn update_scale(
        &self,
        target: &Target,
        scale: Scale,
        options: &UpdateOptions,
    ) -> Result<Scale, ApiError> {
        let _ = (scale, options);
        Err(self.soon(target))
    }

    /// Changes the `scale` of an object by a patch.
    pub async fn patch_scale(
        &self,
        target: &Target,
        patch_type: PatchType,
        patch: Bytes,
        options: &PatchOptions,
    ) -> Result<Scale, ApiError> {
        let _ = (patch_type, patch, options);
        Err(self.soon(target))
    }

    fn soon(&self, target: &Target) -> ApiError {
        let _ = (&self.store, &self.settings);
        ApiError::unavailable(format!("{} is not served yet", target.kind.plural))
    }
}
