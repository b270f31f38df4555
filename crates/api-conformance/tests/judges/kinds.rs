//! Which types of the judges stand for which kind.

use serde_json::Value;

use crate::trace::Tracer;

/// The bytes that a judge wrote, and its type as `{:#?}` shows it.
type Written = Result<(Vec<u8>, String), String>;

/// The judges' types of one kind, behind functions that are the same for all.
pub(crate) struct Judge {
    /// The full name of the kind's message.
    pub(crate) message: &'static str,
    /// Protobuf into their type and out again.
    pub(crate) protobuf: fn(&[u8]) -> Written,
    /// JSON into their type and out again.
    pub(crate) json: fn(&Value) -> Result<Value, String>,
    /// Their type with every field set, as JSON.
    pub(crate) populated: fn(&mut Tracer<'_>) -> Result<Value, String>,
}

fn protobuf<T: prost::Message + Default + std::fmt::Debug>(bytes: &[u8]) -> Written {
    let theirs = T::decode(bytes).map_err(|error| error.to_string())?;
    Ok((theirs.encode_to_vec(), format!("{theirs:#?}")))
}

fn json<T: serde::Serialize + serde::de::DeserializeOwned>(value: &Value) -> Result<Value, String> {
    let theirs: T = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
    serde_json::to_value(theirs).map_err(|error| error.to_string())
}

fn populated<T: serde::Serialize + serde::de::DeserializeOwned>(
    tracer: &mut Tracer<'_>,
) -> Result<Value, String> {
    let theirs = T::deserialize(tracer).map_err(|error| error.to_string())?;
    serde_json::to_value(theirs).map_err(|error| error.to_string())
}

macro_rules! judge {
    ($message:literal, $protobuf:ty, $json:ty) => {
        Judge {
            message: $message,
            protobuf: protobuf::<$protobuf>,
            json: json::<$json>,
            populated: populated::<$json>,
        }
    };
}

/// Kinds by the place that both judges have them in; then those that have different ones.
macro_rules! judges {
    ($($message:literal: $root:ident::$($path:ident)::+;)* apart: $($apart:literal: $protobuf:ty, $json:ty;)*) => {
        /// Every kind's judges.
        pub(crate) const JUDGES: &[Judge] = &[
            $(judge!($message, k8s_pb::$root::$($path)::+, k8s_openapi::$root::$($path)::+),)*
            $(judge!($apart, $protobuf, $json),)*
        ];
    };
}

judges! {
    "k8s.io.api.authentication.v1.SelfSubjectReview": api::authentication::v1::SelfSubjectReview;
    "k8s.io.api.authentication.v1.TokenReview": api::authentication::v1::TokenReview;
    "k8s.io.api.authorization.v1.LocalSubjectAccessReview": api::authorization::v1::LocalSubjectAccessReview;
    "k8s.io.api.authorization.v1.SelfSubjectAccessReview": api::authorization::v1::SelfSubjectAccessReview;
    "k8s.io.api.authorization.v1.SelfSubjectRulesReview": api::authorization::v1::SelfSubjectRulesReview;
    "k8s.io.api.authorization.v1.SubjectAccessReview": api::authorization::v1::SubjectAccessReview;
    "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition":
        apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
    "k8s.io.api.core.v1.ConfigMap": api::core::v1::ConfigMap;
    "k8s.io.api.core.v1.Endpoints": api::core::v1::Endpoints;
    "k8s.io.api.core.v1.Event": api::core::v1::Event;
    "k8s.io.api.core.v1.LimitRange": api::core::v1::LimitRange;
    "k8s.io.api.core.v1.Namespace": api::core::v1::Namespace;
    "k8s.io.api.core.v1.Node": api::core::v1::Node;
    "k8s.io.api.core.v1.PersistentVolumeClaim": api::core::v1::PersistentVolumeClaim;
    "k8s.io.api.core.v1.PersistentVolume": api::core::v1::PersistentVolume;
    "k8s.io.api.core.v1.Pod": api::core::v1::Pod;
    "k8s.io.api.core.v1.PodTemplate": api::core::v1::PodTemplate;
    "k8s.io.api.core.v1.ReplicationController": api::core::v1::ReplicationController;
    "k8s.io.api.core.v1.ResourceQuota": api::core::v1::ResourceQuota;
    "k8s.io.api.core.v1.Secret": api::core::v1::Secret;
    "k8s.io.api.core.v1.ServiceAccount": api::core::v1::ServiceAccount;
    "k8s.io.api.core.v1.Service": api::core::v1::Service;
    "k8s.io.api.apps.v1.ControllerRevision": api::apps::v1::ControllerRevision;
    "k8s.io.api.apps.v1.DaemonSet": api::apps::v1::DaemonSet;
    "k8s.io.api.apps.v1.Deployment": api::apps::v1::Deployment;
    "k8s.io.api.apps.v1.ReplicaSet": api::apps::v1::ReplicaSet;
    "k8s.io.api.apps.v1.StatefulSet": api::apps::v1::StatefulSet;
    "k8s.io.api.batch.v1.CronJob": api::batch::v1::CronJob;
    "k8s.io.api.batch.v1.Job": api::batch::v1::Job;
    "k8s.io.api.coordination.v1.Lease": api::coordination::v1::Lease;
    "k8s.io.api.discovery.v1.EndpointSlice": api::discovery::v1::EndpointSlice;
    "k8s.io.api.events.v1.Event": api::events::v1::Event;
    "k8s.io.api.policy.v1.PodDisruptionBudget": api::policy::v1::PodDisruptionBudget;
    "k8s.io.api.node.v1.RuntimeClass": api::node::v1::RuntimeClass;
    "k8s.io.api.rbac.v1.ClusterRoleBinding": api::rbac::v1::ClusterRoleBinding;
    "k8s.io.api.rbac.v1.ClusterRole": api::rbac::v1::ClusterRole;
    "k8s.io.api.rbac.v1.RoleBinding": api::rbac::v1::RoleBinding;
    "k8s.io.api.rbac.v1.Role": api::rbac::v1::Role;
    "k8s.io.api.scheduling.v1.PriorityClass": api::scheduling::v1::PriorityClass;
    "k8s.io.api.networking.v1.IngressClass": api::networking::v1::IngressClass;
    "k8s.io.api.networking.v1.Ingress": api::networking::v1::Ingress;
    "k8s.io.api.networking.v1.IPAddress": api::networking::v1::IPAddress;
    "k8s.io.api.networking.v1.NetworkPolicy": api::networking::v1::NetworkPolicy;
    "k8s.io.api.networking.v1.ServiceCIDR": api::networking::v1::ServiceCIDR;
    "k8s.io.api.storage.v1.CSIDriver": api::storage::v1::CSIDriver;
    "k8s.io.api.storage.v1.CSINode": api::storage::v1::CSINode;
    "k8s.io.api.storage.v1.CSIStorageCapacity": api::storage::v1::CSIStorageCapacity;
    "k8s.io.api.storage.v1.StorageClass": api::storage::v1::StorageClass;
    "k8s.io.api.storage.v1.VolumeAttachment": api::storage::v1::VolumeAttachment;
    "k8s.io.api.storage.v1.VolumeAttributesClass": api::storage::v1::VolumeAttributesClass;
    "k8s.io.api.autoscaling.v1.HorizontalPodAutoscaler": api::autoscaling::v1::HorizontalPodAutoscaler;
    "k8s.io.api.autoscaling.v2.HorizontalPodAutoscaler": api::autoscaling::v2::HorizontalPodAutoscaler;
    "k8s.io.api.admissionregistration.v1.MutatingWebhookConfiguration":
        api::admissionregistration::v1::MutatingWebhookConfiguration;
    "k8s.io.api.admissionregistration.v1.ValidatingAdmissionPolicy":
        api::admissionregistration::v1::ValidatingAdmissionPolicy;
    "k8s.io.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding":
        api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
    "k8s.io.api.admissionregistration.v1.ValidatingWebhookConfiguration":
        api::admissionregistration::v1::ValidatingWebhookConfiguration;
    "k8s.io.api.certificates.v1.CertificateSigningRequest": api::certificates::v1::CertificateSigningRequest;
    "k8s.io.api.flowcontrol.v1.FlowSchema": api::flowcontrol::v1::FlowSchema;
    "k8s.io.api.flowcontrol.v1.PriorityLevelConfiguration": api::flowcontrol::v1::PriorityLevelConfiguration;
    "k8s.io.kube_aggregator.pkg.apis.apiregistration.v1.APIService":
        kube_aggregator::pkg::apis::apiregistration::v1::APIService;
    "k8s.io.api.resource.v1.DeviceClass": api::resource::v1::DeviceClass;
    "k8s.io.api.resource.v1.ResourceClaim": api::resource::v1::ResourceClaim;
    "k8s.io.api.resource.v1.ResourceClaimTemplate": api::resource::v1::ResourceClaimTemplate;
    "k8s.io.api.resource.v1.ResourceSlice": api::resource::v1::ResourceSlice;
    apart:
    // Kubernetes 1.35 had these as v1beta1 only, with the same fields at the same places.
    "k8s.io.api.admissionregistration.v1.MutatingAdmissionPolicy":
        k8s_pb::api::admissionregistration::v1beta1::MutatingAdmissionPolicy,
        k8s_openapi::api::admissionregistration::v1::MutatingAdmissionPolicy;
    "k8s.io.api.admissionregistration.v1.MutatingAdmissionPolicyBinding":
        k8s_pb::api::admissionregistration::v1beta1::MutatingAdmissionPolicyBinding,
        k8s_openapi::api::admissionregistration::v1::MutatingAdmissionPolicyBinding;
}
