//! Strategies of the group.

use crate::apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet};
use crate::field::ErrorList;
use crate::strategy::{Column, Strategy, tables};
use crate::{defaults, validation};

impl Strategy for ControllerRevision {
    const COLUMNS: &'static [Column] = tables::workload::CONTROLLER_REVISION;

    fn validate(&self) -> ErrorList {
        validation::apps::controller_revision(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::apps::controller_revision_update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::workload::controller_revision(self, now)
    }
}

impl Strategy for DaemonSet {
    const GENERATION: bool = true;
    const COLUMNS: &'static [Column] = tables::workload::DAEMON_SET;

    fn set_defaults(&mut self) {
        defaults::apps::daemon_set(self);
    }

    fn validate(&self) -> ErrorList {
        validation::apps::daemon_set(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::apps::daemon_set_update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::workload::daemon_set(self, now)
    }
}

impl Strategy for Deployment {
    const GENERATION: bool = true;
    const COLUMNS: &'static [Column] = tables::workload::DEPLOYMENT;

    fn set_defaults(&mut self) {
        defaults::apps::deployment(self);
    }

    fn validate(&self) -> ErrorList {
        validation::apps::deployment(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::apps::deployment_update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::workload::deployment(self, now)
    }
}

impl Strategy for ReplicaSet {
    const GENERATION: bool = true;
    const COLUMNS: &'static [Column] = tables::workload::REPLICA_SET;

    fn set_defaults(&mut self) {
        defaults::apps::replica_set(self);
    }

    fn validate(&self) -> ErrorList {
        validation::apps::replica_set(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::apps::replica_set_update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::workload::replica_set(self, now)
    }
}

impl Strategy for StatefulSet {
    const GENERATION: bool = true;
    const COLUMNS: &'static [Column] = tables::workload::STATEFUL_SET;

    fn set_defaults(&mut self) {
        defaults::apps::stateful_set(self);
    }

    fn validate(&self) -> ErrorList {
        validation::apps::stateful_set(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::apps::stateful_set_update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::workload::stateful_set(self, now)
    }
}
