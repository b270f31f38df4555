//! Strategies of the group.

use crate::core::v1::{
    ConfigMap, Endpoints, Event, LimitRange, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod,
    PodTemplate, ReplicationController, ResourceQuota, Secret, Service, ServiceAccount,
};
use crate::field::ErrorList;
use crate::strategy::{Strategy, fields};
use crate::{defaults, prepare, validation};

impl Strategy for ConfigMap {
    fn validate(&self) -> ErrorList {
        validation::config::config_map(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::config::config_map_update(self, old)
    }
}

impl Strategy for Endpoints {
    fn set_defaults(&mut self) {
        defaults::service::endpoints(self);
    }

    fn validate(&self) -> ErrorList {
        validation::endpoints::endpoints(self)
    }
}

impl Strategy for Event {
    fn validate(&self) -> ErrorList {
        validation::event::core(self)
    }

    fn selectable_fields(&self) -> Vec<(&'static str, String)> {
        fields::event(self)
    }
}

impl Strategy for LimitRange {
    fn set_defaults(&mut self) {
        defaults::core::limit_range(self);
    }

    fn validate(&self) -> ErrorList {
        validation::policy::limit_range(self)
    }
}

impl Strategy for Namespace {
    fn set_defaults(&mut self) {
        defaults::core::namespace(self);
    }

    fn prepare_for_create(&mut self) {
        prepare::namespace(self);
    }

    fn validate(&self) -> ErrorList {
        validation::namespace::namespace(self)
    }

    fn validate_status_update(&self, old: &Self) -> ErrorList {
        validation::namespace::status_update(self, old)
    }

    fn selectable_fields(&self) -> Vec<(&'static str, String)> {
        fields::namespace(self)
    }
}

impl Strategy for Node {
    fn set_defaults(&mut self) {
        defaults::core::node(self);
    }

    /// A node registers itself together with its status.
    fn prepare_for_create(&mut self) {}

    fn validate(&self) -> ErrorList {
        validation::node::node(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::node::update(self, old)
    }

    fn validate_status_update(&self, old: &Self) -> ErrorList {
        validation::node::status_update(self, old)
    }

    fn selectable_fields(&self) -> Vec<(&'static str, String)> {
        fields::node(self)
    }
}

impl Strategy for PersistentVolume {
    fn set_defaults(&mut self) {
        defaults::storage::persistent_volume(self);
    }

    fn prepare_for_create(&mut self) {
        prepare::persistent_volume(self);
    }

    fn validate(&self) -> ErrorList {
        validation::storage::volume(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::storage::volume_update(self, old)
    }
}

impl Strategy for PersistentVolumeClaim {
    fn set_defaults(&mut self) {
        defaults::storage::claim(self);
    }

    fn prepare_for_create(&mut self) {
        prepare::claim(self);
    }

    fn validate(&self) -> ErrorList {
        validation::storage::claim(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::storage::claim_update(self, old)
    }
}

impl Strategy for Pod {
    fn set_defaults(&mut self) {
        defaults::pod::pod(self);
    }

    fn prepare_for_create(&mut self) {
        prepare::pod(self);
    }

    fn validate(&self) -> ErrorList {
        validation::pod::pod(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::pod::update(self, old)
    }

    fn selectable_fields(&self) -> Vec<(&'static str, String)> {
        fields::pod(self)
    }
}

impl Strategy for PodTemplate {
    fn set_defaults(&mut self) {
        defaults::pod::pod_template(self);
    }

    fn validate(&self) -> ErrorList {
        validation::pod::pod_template(self)
    }
}

impl Strategy for ReplicationController {
    fn set_defaults(&mut self) {
        defaults::apps::replication_controller(self);
    }

    fn validate(&self) -> ErrorList {
        validation::apps::replication_controller(self)
    }

    fn selectable_fields(&self) -> Vec<(&'static str, String)> {
        fields::replication_controller(self)
    }
}

impl Strategy for ResourceQuota {
    fn validate(&self) -> ErrorList {
        validation::policy::quota(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::policy::quota_update(self, old)
    }
}

impl Strategy for Secret {
    fn set_defaults(&mut self) {
        defaults::core::secret(self);
    }

    fn validate(&self) -> ErrorList {
        validation::config::secret(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::config::secret_update(self, old)
    }

    fn selectable_fields(&self) -> Vec<(&'static str, String)> {
        fields::secret(self)
    }
}

impl Strategy for Service {
    fn set_defaults(&mut self) {
        defaults::service::service(self);
    }

    fn prepare_for_update(&mut self, old: &Self) {
        prepare::service_update(self, old);
    }

    fn validate(&self) -> ErrorList {
        validation::service::service(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::service::service_update(self, old)
    }

    fn selectable_fields(&self) -> Vec<(&'static str, String)> {
        fields::service(self)
    }
}

impl Strategy for ServiceAccount {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for crate::events::v1::Event {
    fn validate(&self) -> ErrorList {
        validation::event::events(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::event::events_update(self, old)
    }
}
