//! The schema of the Kubernetes API: types, scalars, defaulting, validation and the registry of kinds.
//!
//! The types are generated from `proto/`, which is the only place where a field is described. Around them:
//!
//! - [`scalars`]: the types whose JSON form differs from that of a message, such as [`scalars::Quantity`];
//! - [`Resource`] and [`Object`]: what all kinds have in common, typed and type-erased;
//! - [`Kind`] and [`registry`]: the facts of every kind that is served, and the way from a name to its code;
//! - [`convert`]: kinds that are the same objects, such as the versions of a group;
//! - [`selector`]: which objects a request or a controller is about;
//! - [`schema`]: the descriptors with the merge semantics and rules that the wire does not say.

pub mod apply;
mod cel;
pub mod convert;
pub mod custom;
mod defaults;
pub mod disruption;
pub mod ephemeral;
pub mod expression;
pub mod field;
pub mod json;
mod kind;
mod object;
pub mod partial;
pub mod patch;
mod prepare;
pub mod registry;
pub mod scalars;
pub mod schema;
pub mod selector;
pub mod strategy;
pub mod validation;
pub mod version;
pub mod yaml;

pub use kind::{GroupVersionKind, Kind, Scope, Subresource};
pub use object::{DecodeError, Object, Resource};

/// The generated code as the packages nest.
#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    reason = "generated code; the schema carries the documentation"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/packages.rs"));
}

/// `core/v1`: pods, nodes, services and what belongs to them.
pub mod core {
    pub use crate::generated::k8s::io::api::core::v1;
}

/// `apiextensions.k8s.io/v1`: definitions of custom resources.
pub mod apiextensions {
    pub use crate::generated::k8s::io::apiextensions_apiserver::pkg::apis::apiextensions::v1;
}

/// `apiregistration.k8s.io/v1`: which group and version is served by whom.
pub mod apiregistration {
    pub use crate::generated::k8s::io::kube_aggregator::pkg::apis::apiregistration::v1;
}

/// `apps/v1`: deployments, replica sets, stateful sets, daemon sets.
pub mod apps {
    pub use crate::generated::k8s::io::api::apps::v1;
}

/// `authentication.k8s.io/v1`: whose a token is, and tokens of service accounts.
pub mod authentication {
    pub use crate::generated::k8s::io::api::authentication::v1;
}

/// `authorization.k8s.io/v1`: who may do what.
pub mod authorization {
    pub use crate::generated::k8s::io::api::authorization::v1;
}

/// `autoscaling/v1` and `autoscaling/v2`: autoscalers, and the scale subresource.
pub mod autoscaling {
    pub use crate::generated::k8s::io::api::autoscaling::{v1, v2};
}

/// `batch/v1`: jobs and cron jobs.
pub mod batch {
    pub use crate::generated::k8s::io::api::batch::v1;
}

/// `certificates.k8s.io/v1`: requests for certificates.
pub mod certificates {
    pub use crate::generated::k8s::io::api::certificates::v1;
}

/// `coordination.k8s.io/v1`: leases.
pub mod coordination {
    pub use crate::generated::k8s::io::api::coordination::v1;
}

/// `discovery.k8s.io/v1`: endpoint slices.
pub mod discovery {
    pub use crate::generated::k8s::io::api::discovery::v1;
}

/// `events.k8s.io/v1`: events.
pub mod events {
    pub use crate::generated::k8s::io::api::events::v1;
}

/// `networking.k8s.io/v1`: ingresses, network policies, the ranges of services.
pub mod networking {
    pub use crate::generated::k8s::io::api::networking::v1;
}

/// `flowcontrol.apiserver.k8s.io/v1`: flow schemas and priority levels.
pub mod flowcontrol {
    pub use crate::generated::k8s::io::api::flowcontrol::v1;
}

/// `policy/v1`: disruption budgets and evictions.
pub mod policy {
    pub use crate::generated::k8s::io::api::policy::v1;
}

/// `node.k8s.io/v1`: runtime classes.
pub mod node {
    pub use crate::generated::k8s::io::api::node::v1;
}

/// `rbac.authorization.k8s.io/v1`: roles and their bindings.
pub mod rbac {
    pub use crate::generated::k8s::io::api::rbac::v1;
}

/// `resource.k8s.io/v1`: devices and claims of them.
pub mod resource {
    pub use crate::generated::k8s::io::api::resource::v1;
}

/// `scheduling.k8s.io/v1`: priority classes.
pub mod scheduling {
    pub use crate::generated::k8s::io::api::scheduling::v1;
}

/// `storage.k8s.io/v1`: classes of storage, and the drivers of volumes.
pub mod storage {
    pub use crate::generated::k8s::io::api::storage::v1;
}

/// `admissionregistration.k8s.io/v1`: webhooks and policies that requests are admitted by.
pub mod admissionregistration {
    pub use crate::generated::k8s::io::api::admissionregistration::v1;
}

/// `meta/v1`: what all kinds share.
pub mod meta {
    pub use crate::generated::k8s::io::apimachinery::pkg::apis::meta::v1;
}

/// The envelope of stored and transmitted objects.
pub mod runtime {
    pub use crate::generated::k8s::io::apimachinery::pkg::runtime::{TypeMeta, Unknown};
}

/// The gRPC services.
pub mod grpc {
    /// The `Resources` service of the API server.
    pub mod api {
        pub use crate::generated::gantry::api::v1::*;
    }
    /// The `Node` service of kubelets.
    pub mod node {
        pub use crate::generated::gantry::node::v1::*;
    }
}
