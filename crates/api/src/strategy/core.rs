//! Strategies of the group.

use crate::core::v1::{
    ConfigMap, Endpoints, Event, LimitRange, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod,
    PodTemplate, ReplicationController, ResourceQuota, Secret, Service, ServiceAccount,
};
use crate::field::ErrorList;
use crate::strategy::{Column, Strategy, fields, tables};
use crate::{defaults, prepare, validation};

impl Strategy for ConfigMap {
    const COLUMNS: &'static [Column] = tables::config::CONFIG_MAP;

    fn validate(&self) -> ErrorList {
        validation::config::config_map(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::config::config_map_update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::config::config_map(self, now)
    }
}

impl Strategy for Endpoints {
    const COLUMNS: &'static [Column] = tables::service::ENDPOINTS;
    const CREATED_BY_UPDATE: bool = true;

    fn set_defaults(&mut self) {
        defaults::service::endpoints(self);
    }

    fn validate(&self) -> ErrorList {
        validation::endpoints::endpoints(self)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::service::endpoints(self, now)
    }
}

impl Strategy for Event {
    const COLUMNS: &'static [Column] = tables::event::COLUMNS;
    const CREATED_BY_UPDATE: bool = true;

    fn validate(&self) -> ErrorList {
        validation::event::core(self)
    }

    fn selectable_fields(&self) -> Vec<(&'static str, String)> {
        fields::event(self)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::event::core(self, now)
    }
}

impl Strategy for LimitRange {
    const COLUMNS: &'static [Column] = tables::config::LIMIT_RANGE;
    const CREATED_BY_UPDATE: bool = true;

    fn set_defaults(&mut self) {
        defaults::core::limit_range(self);
    }

    fn validate(&self) -> ErrorList {
        validation::policy::limit_range(self)
    }

    fn cells(&self, _: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::config::limit_range(self)
    }
}

impl Strategy for Namespace {
    const COLUMNS: &'static [Column] = tables::config::NAMESPACE;

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

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::config::namespace(self, now)
    }
}

impl Strategy for Node {
    const COLUMNS: &'static [Column] = tables::node::COLUMNS;

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

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::node::cells(self, now)
    }
}

impl Strategy for PersistentVolume {
    const COLUMNS: &'static [Column] = tables::storage::VOLUME;

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

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::storage::volume(self, now)
    }
}

impl Strategy for PersistentVolumeClaim {
    const COLUMNS: &'static [Column] = tables::storage::CLAIM;

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

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::storage::claim(self, now)
    }
}

impl Strategy for Pod {
    const GENERATION: bool = true;
    const COLUMNS: &'static [Column] = tables::pod::COLUMNS;

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

    fn validate_status_update(&self, old: &Self) -> ErrorList {
        validation::pod::annotations_update(self, old)
    }

    fn selectable_fields(&self) -> Vec<(&'static str, String)> {
        fields::pod(self)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::pod::cells(self, now)
    }
}

impl Strategy for PodTemplate {
    const GENERATION: bool = true;
    const COLUMNS: &'static [Column] = tables::workload::POD_TEMPLATE;

    fn set_defaults(&mut self) {
        defaults::pod::pod_template(self);
    }

    fn validate(&self) -> ErrorList {
        validation::pod::pod_template(self)
    }

    fn cells(&self, _: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::workload::pod_template(self)
    }
}

impl Strategy for ReplicationController {
    const GENERATION: bool = true;
    const COLUMNS: &'static [Column] = tables::workload::REPLICA_SET;

    fn set_defaults(&mut self) {
        defaults::apps::replication_controller(self);
    }

    fn validate(&self) -> ErrorList {
        validation::apps::replication_controller(self)
    }

    fn selectable_fields(&self) -> Vec<(&'static str, String)> {
        fields::replication_controller(self)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::workload::replication_controller(self, now)
    }
}

impl Strategy for ResourceQuota {
    const GENERATION: bool = true;
    const COLUMNS: &'static [Column] = tables::config::RESOURCE_QUOTA;

    fn validate(&self) -> ErrorList {
        validation::policy::quota(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::policy::quota_update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::config::resource_quota(self, now)
    }
}

impl Strategy for Secret {
    const COLUMNS: &'static [Column] = tables::config::SECRET;

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

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::config::secret(self, now)
    }
}

impl Strategy for Service {
    const COLUMNS: &'static [Column] = tables::service::SERVICE;
    const CREATED_BY_UPDATE: bool = true;

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

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::service::service(self, now)
    }
}

impl Strategy for ServiceAccount {
    const COLUMNS: &'static [Column] = tables::config::SERVICE_ACCOUNT;

    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::config::service_account(self, now)
    }
}

impl Strategy for crate::events::v1::Event {
    const COLUMNS: &'static [Column] = tables::event::COLUMNS;
    const CREATED_BY_UPDATE: bool = true;

    fn validate(&self) -> ErrorList {
        validation::event::events(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::event::events_update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::event::events(self, now)
    }
}
