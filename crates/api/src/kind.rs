//! The facts of a kind.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::custom::{self, CustomObject, Definition};
use crate::object::{DecodeError, Object};
use crate::strategy::{Column, Strategy};

/// Whether objects live in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// In the cluster.
    Cluster,
}

/// What is served below an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subresource {
    /// `status`: the status, written apart from the rest.
    Status,
    /// `scale`: the number of replicas, as `autoscaling/v1` Scale.
    Scale,
    /// `binding`: assigns a pod to a node.
    Binding,
    /// `eviction`: deletes a pod if its disruption budget allows it.
    Eviction,
    /// `log`: a container's output.
    Log,
    /// `ephemeralcontainers`: a pod's containers for debugging, added while it runs.
    EphemeralContainers,
    /// `resize`: what a pod's containers ask for, changed while they run.
    Resize,
    /// `exec`: a command in a container.
    Exec,
    /// `attach`: a running container's own streams.
    Attach,
    /// `portforward`: connections to a pod's ports.
    PortForward,
    /// `proxy`: whatever a pod, a service or a node serves.
    Proxy,
    /// `finalize`: a namespace's finalizers.
    Finalize,
    /// `token`: a token of a service account, as `authentication.k8s.io/v1` TokenRequest.
    Token,
    /// `approval`: whether a certificate is to be signed.
    Approval,
}

impl Subresource {
    /// The path segment.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Binding => "binding",
            Self::Eviction => "eviction",
            Self::Log => "log",
            Self::EphemeralContainers => "ephemeralcontainers",
            Self::Resize => "resize",
            Self::Exec => "exec",
            Self::Attach => "attach",
            Self::PortForward => "portforward",
            Self::Proxy => "proxy",
            Self::Finalize => "finalize",
            Self::Token => "token",
            Self::Approval => "approval",
        }
    }
}

/// Names a kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupVersionKind {
    /// API group; empty for the core group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Kind.
    pub kind: String,
}

type Decoded<E> = Result<Box<dyn Object>, E>;

/// A kind that the API serves: its names and its place.
pub struct Kind {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Version.
    pub version: &'static str,
    /// Kind, such as `Pod`.
    pub kind: &'static str,
    /// Kind of its lists, such as `PodList`.
    pub list_kind: &'static str,
    /// Plural name, such as `pods`.
    pub plural: &'static str,
    /// Singular name, such as `pod`.
    pub singular: &'static str,
    /// Short names, such as `po`.
    pub short_names: &'static [&'static str],
    /// Categories, such as `all`.
    pub categories: &'static [&'static str],
    /// Whether its objects live in a namespace.
    pub scope: Scope,
    /// What is served below its objects.
    pub subresources: &'static [Subresource],
    /// The full name of its message, such as `k8s.io.api.core.v1.Pod`. A custom resource has none, and here a name that no
    /// message can have.
    pub message: &'static str,
    /// Whether an update of an object that is not there creates it.
    pub created_by_update: bool,
    /// Whether its objects are questions: they are created to be answered, and never stored.
    pub review: bool,
    /// Whether the server counts the changes of what is asked for.
    pub generation: bool,
    /// Whether an update may leave out the revision that it replaces.
    pub unconditional_update: bool,
    /// The columns of its table.
    pub columns: &'static [Column],
    /// The fields of a custom resource that selectors may name; see [`Strategy::selectable_fields`] for others.
    pub fields: &'static [&'static str],
    /// What objects of a custom resource look like; none for kinds that have a message.
    pub(crate) custom: Option<custom::Slot>,
    pub(crate) codec: OnceLock<Codec>,
}

/// The way from bytes to a kind's objects. Apart from the facts, so that a program that never decodes a kind by its name
/// does not carry the code of all kinds.
pub(crate) struct Codec {
    new: fn() -> Box<dyn Object>,
    from_protobuf: fn(Bytes) -> Decoded<prost::DecodeError>,
    from_value: fn(serde_json::Value) -> Decoded<serde_json::Error>,
    from_json: fn(&[u8]) -> Decoded<serde_json::Error>,
}

impl Codec {
    pub(crate) fn of<T: Strategy>() -> Self {
        Self {
            new: || Box::new(T::default()),
            from_protobuf: |bytes| Ok(Box::new(T::decode(bytes)?)),
            from_value: |value| Ok(Box::new(serde_json::from_value::<T>(value)?)),
            from_json: |json| Ok(Box::new(serde_json::from_slice::<T>(json)?)),
        }
    }
}

impl Kind {
    /// The message that objects of custom resources travel in.
    const CUSTOM: &'static str = "gantry.api.v1.CustomResource";

    /// `v1`, `apps/v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// The group and version with the kind.
    #[must_use]
    pub fn gvk(&self) -> GroupVersionKind {
        GroupVersionKind { group: self.group.into(), version: self.version.into(), kind: self.kind.into() }
    }

    /// The type URL of an `Any` that holds such an object.
    #[must_use]
    pub fn type_url(&self) -> String {
        format!("type.googleapis.com/{}", self.wire_message())
    }

    /// The message that its objects travel in.
    #[must_use]
    pub fn wire_message(&self) -> &'static str {
        if self.is_custom() { Self::CUSTOM } else { self.message }
    }

    /// Whether its objects live in a namespace.
    #[must_use]
    pub fn namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }

    /// Whether `subresource` is served below its objects.
    #[must_use]
    pub fn has(&self, subresource: Subresource) -> bool {
        self.subresources.contains(&subresource)
    }

    /// Whether its objects are those of a custom resource: JSON, without a message.
    #[must_use]
    pub fn is_custom(&self) -> bool {
        self.custom.is_some()
    }

    /// What objects of a custom resource look like, while it is served.
    #[must_use]
    pub fn definition(&self) -> Option<Arc<Definition>> {
        self.custom.as_ref().and_then(custom::Slot::get)
    }

    /// The version that its objects are stored in.
    #[must_use]
    pub fn storage_version(&self) -> String {
        let definition = self.definition();
        definition
            .map_or_else(|| self.version.to_owned(), |definition| definition.storage_version().to_owned())
    }

    fn codec(&self) -> &Codec {
        self.codec.get_or_init(|| crate::registry::codec(self))
    }

    /// An empty object.
    #[must_use]
    pub fn new_object(&'static self) -> Box<dyn Object> {
        if self.is_custom() {
            return Box::new(CustomObject::new(self));
        }
        (self.codec().new)()
    }

    /// Decodes protobuf bytes without an envelope.
    pub fn decode(&'static self, bytes: Bytes) -> Result<Box<dyn Object>, DecodeError> {
        if self.is_custom() {
            return CustomObject::decode(self, bytes).map(CustomObject::boxed);
        }
        (self.codec().from_protobuf)(bytes)
            .map_err(|source| DecodeError::Protobuf { kind: self.kind, source })
    }

    /// Decodes JSON. `kind` and `apiVersion` are not looked at, unknown fields are ignored: see [`crate::schema`] for
    /// the strict check.
    pub fn decode_json(&'static self, json: &[u8]) -> Result<Box<dyn Object>, DecodeError> {
        let decoded = if self.is_custom() {
            serde_json::from_slice(json)
                .and_then(|value| CustomObject::from_value(self, value).map(CustomObject::boxed))
        } else {
            (self.codec().from_json)(json)
        };
        decoded.map_err(|source| DecodeError::Json { kind: self.kind, source })
    }

    /// Decodes a JSON value, as [`Kind::decode_json`] does.
    pub fn decode_value(&'static self, value: serde_json::Value) -> Result<Box<dyn Object>, DecodeError> {
        let decoded = if self.is_custom() {
            CustomObject::from_value(self, value).map(CustomObject::boxed)
        } else {
            (self.codec().from_value)(value)
        };
        decoded.map_err(|source| DecodeError::Json { kind: self.kind, source })
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kind({})", self.message)
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.message == other.message
    }
}

impl Eq for Kind {}
