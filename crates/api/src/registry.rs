//! Every kind that is served, each registered once.

use crate::kind::{Codec, Kind, Scope, Subresource};
use crate::meta::v1::ObjectMeta;
use crate::{
    Resource, admissionregistration, apiextensions, apiregistration, apps, authentication, authorization,
    autoscaling, batch, certificates, coordination, core, discovery, events, flowcontrol, networking, node,
    policy, rbac, resource, scheduling, storage,
};

/// Registers kinds: implements [`Resource`] for the type and adds the kind to the named list, such as [`all`].
///
/// `spec` lists the fields that are neither metadata nor status, `status` the status, where there is one.
macro_rules! kinds {
    ($(#[$doc:meta])* $list:ident, $codec:ident, review: $review:literal; $(
        $type:ty {
            $group:literal / $version:literal, $kind:literal, $plural:literal, $singular:literal,
            short: [$($short:literal),*], categories: [$($category:literal),*],
            $scope:ident, subresources: [$($sub:ident),*],
            message: $message:literal,
            spec: [$($spec:ident),*], status: [$($status:ident),*]
        }
    )*) => {
        $(
            impl Resource for $type {
                fn kind() -> &'static Kind {
                    static KIND: Kind = Kind {
                        group: $group,
                        version: $version,
                        kind: $kind,
                        list_kind: concat!($kind, "List"),
                        plural: $plural,
                        singular: $singular,
                        short_names: &[$($short),*],
                        categories: &[$($category),*],
                        scope: Scope::$scope,
                        subresources: &[$(Subresource::$sub),*],
                        message: $message,
                        columns: <$type as crate::strategy::Strategy>::COLUMNS,
                        created_by_update: <$type as crate::strategy::Strategy>::CREATED_BY_UPDATE,
                        generation: <$type as crate::strategy::Strategy>::GENERATION,
                        unconditional_update: <$type as crate::strategy::Strategy>::UNCONDITIONAL_UPDATE,
                        review: $review,
                        fields: &[],
                        custom: None,
                        codec: std::sync::OnceLock::new(),
                    };
                    &KIND
                }

                fn meta(&self) -> &ObjectMeta {
                    self.metadata.as_ref().unwrap_or(&EMPTY_META)
                }

                fn meta_mut(&mut self) -> &mut ObjectMeta {
                    self.metadata.get_or_insert_default()
                }

                fn copy_status_from(&mut self, other: &Self) {
                    let _ = other;
                    $(self.$status.clone_from(&other.$status);)*
                }

                fn copy_spec_from(&mut self, other: &Self) {
                    let _ = other;
                    $(self.$spec.clone_from(&other.$spec);)*
                }

                fn spec_equals(&self, other: &Self) -> bool {
                    let _ = other;
                    true $(&& self.$spec == other.$spec)*
                }
            }
        )*

        fn $codec(kind: &Kind) -> Option<Codec> {
            match kind.message {
                $($message => Some(Codec::of::<$type>()),)*
                _ => None,
            }
        }

        $(#[$doc])*
        #[must_use]
        pub fn $list() -> &'static [&'static Kind] {
            static ALL: std::sync::LazyLock<Vec<&'static Kind>> = std::sync::LazyLock::new(|| vec![$(<$type>::kind()),*]);
            &ALL
        }
    };
}

static EMPTY_META: std::sync::LazyLock<ObjectMeta> = std::sync::LazyLock::new(ObjectMeta::default);

/// How a kind's objects are decoded.
pub(crate) fn codec(kind: &Kind) -> Codec {
    let codec = codec_of_stored(kind).or_else(|| codec_of_review(kind));
    codec.unwrap_or_else(|| unreachable!("a kind is made by the macro only"))
}

kinds! {
    /// Every kind that is stored, in the order of discovery.
    all, codec_of_stored, review: false;
    core::v1::ConfigMap {
        "" / "v1", "ConfigMap", "configmaps", "configmap", short: ["cm"], categories: [], Namespaced, subresources: [],
        message: "k8s.io.api.core.v1.ConfigMap", spec: [data, binary_data, immutable], status: []
    }
    core::v1::Endpoints {
        "" / "v1", "Endpoints", "endpoints", "endpoints", short: ["ep"], categories: [], Namespaced, subresources: [],
        message: "k8s.io.api.core.v1.Endpoints", spec: [subsets], status: []
    }
    core::v1::Event {
        "" / "v1", "Event", "events", "event", short: ["ev"], categories: [], Namespaced, subresources: [],
        message: "k8s.io.api.core.v1.Event",
        spec: [involved_object, reason, message, source, first_timestamp, last_timestamp, count, r#type, event_time,
               series, action, related, reporting_component, reporting_instance],
        status: []
    }
    core::v1::LimitRange {
        "" / "v1", "LimitRange", "limitranges", "limitrange", short: ["limits"], categories: [], Namespaced,
        subresources: [], message: "k8s.io.api.core.v1.LimitRange", spec: [spec], status: []
    }
    core::v1::Namespace {
        "" / "v1", "Namespace", "namespaces", "namespace", short: ["ns"], categories: [], Cluster,
        subresources: [Status, Finalize], message: "k8s.io.api.core.v1.Namespace", spec: [spec], status: [status]
    }
    core::v1::Node {
        "" / "v1", "Node", "nodes", "node", short: ["no"], categories: [], Cluster, subresources: [Status, Proxy],
        message: "k8s.io.api.core.v1.Node", spec: [spec], status: [status]
    }
    core::v1::PersistentVolumeClaim {
        "" / "v1", "PersistentVolumeClaim", "persistentvolumeclaims", "persistentvolumeclaim", short: ["pvc"],
        categories: [], Namespaced, subresources: [Status],
        message: "k8s.io.api.core.v1.PersistentVolumeClaim", spec: [spec], status: [status]
    }
    core::v1::PersistentVolume {
        "" / "v1", "PersistentVolume", "persistentvolumes", "persistentvolume", short: ["pv"], categories: [], Cluster,
        subresources: [Status], message: "k8s.io.api.core.v1.PersistentVolume", spec: [spec], status: [status]
    }
    core::v1::Pod {
        "" / "v1", "Pod", "pods", "pod", short: ["po"], categories: ["all"], Namespaced,
        subresources: [Status, Binding, EphemeralContainers, Resize, Eviction, Log, Exec, Attach, PortForward, Proxy],
        message: "k8s.io.api.core.v1.Pod", spec: [spec], status: [status]
    }
    core::v1::PodTemplate {
        "" / "v1", "PodTemplate", "podtemplates", "podtemplate", short: [], categories: [], Namespaced,
        subresources: [], message: "k8s.io.api.core.v1.PodTemplate", spec: [template], status: []
    }
    core::v1::ReplicationController {
        "" / "v1", "ReplicationController", "replicationcontrollers", "replicationcontroller", short: ["rc"],
        categories: ["all"], Namespaced, subresources: [Status, Scale],
        message: "k8s.io.api.core.v1.ReplicationController", spec: [spec], status: [status]
    }
    core::v1::ResourceQuota {
        "" / "v1", "ResourceQuota", "resourcequotas", "resourcequota", short: ["quota"], categories: [], Namespaced,
        subresources: [Status], message: "k8s.io.api.core.v1.ResourceQuota", spec: [spec], status: [status]
    }
    core::v1::Secret {
        "" / "v1", "Secret", "secrets", "secret", short: [], categories: [], Namespaced, subresources: [],
        message: "k8s.io.api.core.v1.Secret", spec: [data, string_data, r#type, immutable], status: []
    }
    core::v1::ServiceAccount {
        "" / "v1", "ServiceAccount", "serviceaccounts", "serviceaccount", short: ["sa"], categories: [], Namespaced,
        subresources: [Token], message: "k8s.io.api.core.v1.ServiceAccount",
        spec: [secrets, image_pull_secrets, automount_service_account_token], status: []
    }
    core::v1::Service {
        "" / "v1", "Service", "services", "service", short: ["svc"], categories: ["all"], Namespaced,
        subresources: [Status, Proxy], message: "k8s.io.api.core.v1.Service", spec: [spec], status: [status]
    }
    apiextensions::v1::CustomResourceDefinition {
        "apiextensions.k8s.io" / "v1", "CustomResourceDefinition", "customresourcedefinitions",
        "customresourcedefinition", short: ["crd", "crds"], categories: ["api-extensions"], Cluster,
        subresources: [Status],
        message: "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition", spec: [spec],
        status: [status]
    }
    apps::v1::ControllerRevision {
        "apps" / "v1", "ControllerRevision", "controllerrevisions", "controllerrevision", short: [], categories: [],
        Namespaced, subresources: [], message: "k8s.io.api.apps.v1.ControllerRevision", spec: [data, revision],
        status: []
    }
    apps::v1::DaemonSet {
        "apps" / "v1", "DaemonSet", "daemonsets", "daemonset", short: ["ds"], categories: ["all"], Namespaced,
        subresources: [Status], message: "k8s.io.api.apps.v1.DaemonSet", spec: [spec], status: [status]
    }
    apps::v1::Deployment {
        "apps" / "v1", "Deployment", "deployments", "deployment", short: ["deploy"], categories: ["all"], Namespaced,
        subresources: [Status, Scale], message: "k8s.io.api.apps.v1.Deployment", spec: [spec], status: [status]
    }
    apps::v1::ReplicaSet {
        "apps" / "v1", "ReplicaSet", "replicasets", "replicaset", short: ["rs"], categories: ["all"], Namespaced,
        subresources: [Status, Scale], message: "k8s.io.api.apps.v1.ReplicaSet", spec: [spec], status: [status]
    }
    apps::v1::StatefulSet {
        "apps" / "v1", "StatefulSet", "statefulsets", "statefulset", short: ["sts"], categories: ["all"], Namespaced,
        subresources: [Status, Scale], message: "k8s.io.api.apps.v1.StatefulSet", spec: [spec], status: [status]
    }
    autoscaling::v2::HorizontalPodAutoscaler {
        "autoscaling" / "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "horizontalpodautoscaler",
        short: ["hpa"], categories: ["all"], Namespaced, subresources: [Status],
        message: "k8s.io.api.autoscaling.v2.HorizontalPodAutoscaler", spec: [spec], status: [status]
    }
    autoscaling::v1::HorizontalPodAutoscaler {
        "autoscaling" / "v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "horizontalpodautoscaler",
        short: ["hpa"], categories: ["all"], Namespaced, subresources: [Status],
        message: "k8s.io.api.autoscaling.v1.HorizontalPodAutoscaler", spec: [spec], status: [status]
    }
    batch::v1::CronJob {
        "batch" / "v1", "CronJob", "cronjobs", "cronjob", short: ["cj"], categories: ["all"], Namespaced,
        subresources: [Status], message: "k8s.io.api.batch.v1.CronJob", spec: [spec], status: [status]
    }
    batch::v1::Job {
        "batch" / "v1", "Job", "jobs", "job", short: [], categories: ["all"], Namespaced,
        subresources: [Status], message: "k8s.io.api.batch.v1.Job", spec: [spec], status: [status]
    }
    coordination::v1::Lease {
        "coordination.k8s.io" / "v1", "Lease", "leases", "lease", short: [], categories: [], Namespaced,
        subresources: [], message: "k8s.io.api.coordination.v1.Lease", spec: [spec], status: []
    }
    discovery::v1::EndpointSlice {
        "discovery.k8s.io" / "v1", "EndpointSlice", "endpointslices", "endpointslice", short: [], categories: [],
        Namespaced, subresources: [], message: "k8s.io.api.discovery.v1.EndpointSlice",
        spec: [address_type, endpoints, ports], status: []
    }
    events::v1::Event {
        "events.k8s.io" / "v1", "Event", "events", "event", short: ["ev"], categories: [], Namespaced,
        subresources: [], message: "k8s.io.api.events.v1.Event",
        spec: [event_time, series, reporting_controller, reporting_instance, action, reason, regarding, related, note,
               r#type, deprecated_source, deprecated_first_timestamp, deprecated_last_timestamp, deprecated_count],
        status: []
    }
    networking::v1::IngressClass {
        "networking.k8s.io" / "v1", "IngressClass", "ingressclasses", "ingressclass", short: [], categories: [],
        Cluster, subresources: [], message: "k8s.io.api.networking.v1.IngressClass", spec: [spec], status: []
    }
    networking::v1::Ingress {
        "networking.k8s.io" / "v1", "Ingress", "ingresses", "ingress", short: ["ing"], categories: [], Namespaced,
        subresources: [Status], message: "k8s.io.api.networking.v1.Ingress", spec: [spec], status: [status]
    }
    networking::v1::IpAddress {
        "networking.k8s.io" / "v1", "IPAddress", "ipaddresses", "ipaddress", short: ["ip"], categories: [], Cluster,
        subresources: [], message: "k8s.io.api.networking.v1.IPAddress", spec: [spec], status: []
    }
    networking::v1::NetworkPolicy {
        "networking.k8s.io" / "v1", "NetworkPolicy", "networkpolicies", "networkpolicy", short: ["netpol"],
        categories: [], Namespaced, subresources: [], message: "k8s.io.api.networking.v1.NetworkPolicy",
        spec: [spec], status: []
    }
    networking::v1::ServiceCidr {
        "networking.k8s.io" / "v1", "ServiceCIDR", "servicecidrs", "servicecidr", short: [], categories: [], Cluster,
        subresources: [Status], message: "k8s.io.api.networking.v1.ServiceCIDR", spec: [spec], status: [status]
    }
    policy::v1::PodDisruptionBudget {
        "policy" / "v1", "PodDisruptionBudget", "poddisruptionbudgets", "poddisruptionbudget", short: ["pdb"],
        categories: [], Namespaced, subresources: [Status], message: "k8s.io.api.policy.v1.PodDisruptionBudget",
        spec: [spec], status: [status]
    }
    node::v1::RuntimeClass {
        "node.k8s.io" / "v1", "RuntimeClass", "runtimeclasses", "runtimeclass", short: [], categories: [], Cluster,
        subresources: [], message: "k8s.io.api.node.v1.RuntimeClass", spec: [handler, overhead, scheduling],
        status: []
    }
    rbac::v1::ClusterRoleBinding {
        "rbac.authorization.k8s.io" / "v1", "ClusterRoleBinding", "clusterrolebindings", "clusterrolebinding",
        short: [], categories: [], Cluster, subresources: [], message: "k8s.io.api.rbac.v1.ClusterRoleBinding",
        spec: [subjects, role_ref], status: []
    }
    rbac::v1::ClusterRole {
        "rbac.authorization.k8s.io" / "v1", "ClusterRole", "clusterroles", "clusterrole", short: [], categories: [],
        Cluster, subresources: [], message: "k8s.io.api.rbac.v1.ClusterRole", spec: [rules, aggregation_rule],
        status: []
    }
    rbac::v1::RoleBinding {
        "rbac.authorization.k8s.io" / "v1", "RoleBinding", "rolebindings", "rolebinding", short: [], categories: [],
        Namespaced, subresources: [], message: "k8s.io.api.rbac.v1.RoleBinding", spec: [subjects, role_ref],
        status: []
    }
    rbac::v1::Role {
        "rbac.authorization.k8s.io" / "v1", "Role", "roles", "role", short: [], categories: [], Namespaced,
        subresources: [], message: "k8s.io.api.rbac.v1.Role", spec: [rules], status: []
    }
    scheduling::v1::PriorityClass {
        "scheduling.k8s.io" / "v1", "PriorityClass", "priorityclasses", "priorityclass", short: ["pc"],
        categories: [], Cluster, subresources: [], message: "k8s.io.api.scheduling.v1.PriorityClass",
        spec: [value, global_default, description, preemption_policy], status: []
    }
    storage::v1::CsiDriver {
        "storage.k8s.io" / "v1", "CSIDriver", "csidrivers", "csidriver", short: [], categories: [], Cluster,
        subresources: [], message: "k8s.io.api.storage.v1.CSIDriver", spec: [spec], status: []
    }
    storage::v1::CsiNode {
        "storage.k8s.io" / "v1", "CSINode", "csinodes", "csinode", short: [], categories: [], Cluster,
        subresources: [], message: "k8s.io.api.storage.v1.CSINode", spec: [spec], status: []
    }
    storage::v1::CsiStorageCapacity {
        "storage.k8s.io" / "v1", "CSIStorageCapacity", "csistoragecapacities", "csistoragecapacity", short: [],
        categories: [], Namespaced, subresources: [], message: "k8s.io.api.storage.v1.CSIStorageCapacity",
        spec: [node_topology, storage_class_name, capacity, maximum_volume_size], status: []
    }
    storage::v1::StorageClass {
        "storage.k8s.io" / "v1", "StorageClass", "storageclasses", "storageclass", short: ["sc"], categories: [],
        Cluster, subresources: [], message: "k8s.io.api.storage.v1.StorageClass",
        spec: [provisioner, parameters, reclaim_policy, mount_options, allow_volume_expansion, volume_binding_mode,
               allowed_topologies],
        status: []
    }
    storage::v1::VolumeAttachment {
        "storage.k8s.io" / "v1", "VolumeAttachment", "volumeattachments", "volumeattachment", short: [],
        categories: [], Cluster, subresources: [Status], message: "k8s.io.api.storage.v1.VolumeAttachment",
        spec: [spec], status: [status]
    }
    storage::v1::VolumeAttributesClass {
        "storage.k8s.io" / "v1", "VolumeAttributesClass", "volumeattributesclasses", "volumeattributesclass",
        short: ["vac"], categories: [], Cluster, subresources: [],
        message: "k8s.io.api.storage.v1.VolumeAttributesClass", spec: [driver_name, parameters], status: []
    }
    admissionregistration::v1::MutatingAdmissionPolicy {
        "admissionregistration.k8s.io" / "v1", "MutatingAdmissionPolicy", "mutatingadmissionpolicies",
        "mutatingadmissionpolicy", short: [], categories: ["api-extensions"], Cluster, subresources: [],
        message: "k8s.io.api.admissionregistration.v1.MutatingAdmissionPolicy", spec: [spec], status: []
    }
    admissionregistration::v1::MutatingAdmissionPolicyBinding {
        "admissionregistration.k8s.io" / "v1", "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings",
        "mutatingadmissionpolicybinding", short: [], categories: ["api-extensions"], Cluster, subresources: [],
        message: "k8s.io.api.admissionregistration.v1.MutatingAdmissionPolicyBinding", spec: [spec], status: []
    }
    admissionregistration::v1::MutatingWebhookConfiguration {
        "admissionregistration.k8s.io" / "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations",
        "mutatingwebhookconfiguration", short: [], categories: ["api-extensions"], Cluster, subresources: [],
        message: "k8s.io.api.admissionregistration.v1.MutatingWebhookConfiguration", spec: [webhooks], status: []
    }
    admissionregistration::v1::ValidatingAdmissionPolicy {
        "admissionregistration.k8s.io" / "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies",
        "validatingadmissionpolicy", short: [], categories: ["api-extensions"], Cluster, subresources: [Status],
        message: "k8s.io.api.admissionregistration.v1.ValidatingAdmissionPolicy", spec: [spec], status: [status]
    }
    admissionregistration::v1::ValidatingAdmissionPolicyBinding {
        "admissionregistration.k8s.io" / "v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings",
        "validatingadmissionpolicybinding", short: [], categories: ["api-extensions"], Cluster, subresources: [],
        message: "k8s.io.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding", spec: [spec], status: []
    }
    admissionregistration::v1::ValidatingWebhookConfiguration {
        "admissionregistration.k8s.io" / "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations",
        "validatingwebhookconfiguration", short: [], categories: ["api-extensions"], Cluster, subresources: [],
        message: "k8s.io.api.admissionregistration.v1.ValidatingWebhookConfiguration", spec: [webhooks], status: []
    }
    certificates::v1::CertificateSigningRequest {
        "certificates.k8s.io" / "v1", "CertificateSigningRequest", "certificatesigningrequests",
        "certificatesigningrequest", short: ["csr"], categories: [], Cluster, subresources: [Status, Approval],
        message: "k8s.io.api.certificates.v1.CertificateSigningRequest", spec: [spec], status: [status]
    }
    flowcontrol::v1::FlowSchema {
        "flowcontrol.apiserver.k8s.io" / "v1", "FlowSchema", "flowschemas", "flowschema", short: [], categories: [],
        Cluster, subresources: [Status], message: "k8s.io.api.flowcontrol.v1.FlowSchema", spec: [spec],
        status: [status]
    }
    flowcontrol::v1::PriorityLevelConfiguration {
        "flowcontrol.apiserver.k8s.io" / "v1", "PriorityLevelConfiguration", "prioritylevelconfigurations",
        "prioritylevelconfiguration", short: [], categories: [], Cluster, subresources: [Status],
        message: "k8s.io.api.flowcontrol.v1.PriorityLevelConfiguration", spec: [spec], status: [status]
    }
    apiregistration::v1::ApiService {
        "apiregistration.k8s.io" / "v1", "APIService", "apiservices", "apiservice", short: [],
        categories: ["api-extensions"], Cluster, subresources: [Status],
        message: "k8s.io.kube_aggregator.pkg.apis.apiregistration.v1.APIService", spec: [spec], status: [status]
    }
    resource::v1::DeviceClass {
        "resource.k8s.io" / "v1", "DeviceClass", "deviceclasses", "deviceclass", short: [], categories: [], Cluster,
        subresources: [], message: "k8s.io.api.resource.v1.DeviceClass", spec: [spec], status: []
    }
    resource::v1::ResourceClaim {
        "resource.k8s.io" / "v1", "ResourceClaim", "resourceclaims", "resourceclaim", short: [], categories: [],
        Namespaced, subresources: [Status], message: "k8s.io.api.resource.v1.ResourceClaim", spec: [spec],
        status: [status]
    }
    resource::v1::ResourceClaimTemplate {
        "resource.k8s.io" / "v1", "ResourceClaimTemplate", "resourceclaimtemplates", "resourceclaimtemplate",
        short: [], categories: [], Namespaced, subresources: [],
        message: "k8s.io.api.resource.v1.ResourceClaimTemplate", spec: [spec], status: []
    }
    resource::v1::ResourceSlice {
        "resource.k8s.io" / "v1", "ResourceSlice", "resourceslices", "resourceslice", short: [], categories: [],
        Cluster, subresources: [], message: "k8s.io.api.resource.v1.ResourceSlice", spec: [spec], status: []
    }
}

kinds! {
    /// Every kind whose objects are questions: they are created to be answered, and never stored.
    reviews, codec_of_review, review: true;
    authentication::v1::SelfSubjectReview {
        "authentication.k8s.io" / "v1", "SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview", short: [],
        categories: [], Cluster, subresources: [], message: "k8s.io.api.authentication.v1.SelfSubjectReview",
        spec: [], status: [status]
    }
    authentication::v1::TokenReview {
        "authentication.k8s.io" / "v1", "TokenReview", "tokenreviews", "tokenreview", short: [], categories: [], Cluster,
        subresources: [], message: "k8s.io.api.authentication.v1.TokenReview", spec: [spec], status: [status]
    }
    authorization::v1::LocalSubjectAccessReview {
        "authorization.k8s.io" / "v1", "LocalSubjectAccessReview", "localsubjectaccessreviews",
        "localsubjectaccessreview", short: [], categories: [], Namespaced, subresources: [],
        message: "k8s.io.api.authorization.v1.LocalSubjectAccessReview", spec: [spec], status: [status]
    }
    authorization::v1::SelfSubjectAccessReview {
        "authorization.k8s.io" / "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews",
        "selfsubjectaccessreview", short: [], categories: [], Cluster, subresources: [],
        message: "k8s.io.api.authorization.v1.SelfSubjectAccessReview", spec: [spec], status: [status]
    }
    authorization::v1::SelfSubjectRulesReview {
        "authorization.k8s.io" / "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews",
        "selfsubjectrulesreview", short: [], categories: [], Cluster, subresources: [],
        message: "k8s.io.api.authorization.v1.SelfSubjectRulesReview", spec: [spec], status: [status]
    }
    authorization::v1::SubjectAccessReview {
        "authorization.k8s.io" / "v1", "SubjectAccessReview", "subjectaccessreviews", "subjectaccessreview",
        short: [], categories: [], Cluster, subresources: [],
        message: "k8s.io.api.authorization.v1.SubjectAccessReview", spec: [spec], status: [status]
    }
}

/// The kind of a group, version and plural name.
#[must_use]
pub fn by_resource(group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    all().iter().copied().find(|kind| kind.plural == plural && kind.group == group && kind.version == version)
}

/// The kind of a group, version and kind name.
#[must_use]
pub fn by_kind(group: &str, version: &str, name: &str) -> Option<&'static Kind> {
    all().iter().copied().find(|kind| kind.kind == name && kind.group == group && kind.version == version)
}

/// The kind of an `Any`'s type URL.
#[must_use]
pub fn by_type_url(url: &str) -> Option<&'static Kind> {
    let message = url.rsplit('/').next()?;
    all().iter().copied().find(|kind| kind.message == message)
}
