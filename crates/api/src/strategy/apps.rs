//! Strategies of the group.

use crate::apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet};
use crate::field::ErrorList;
use crate::strategy::Strategy;
use crate::{defaults, validation};

impl Strategy for ControllerRevision {
    fn validate(&self) -> ErrorList {
        validation::apps::controller_revision(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::apps::controller_revision_update(self, old)
    }
}

impl Strategy for DaemonSet {
    fn set_defaults(&mut self) {
        defaults::apps::daemon_set(self);
    }

    fn validate(&self) -> ErrorList {
        validation::apps::daemon_set(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::apps::daemon_set_update(self, old)
    }
}

impl Strategy for Deployment {
    fn set_defaults(&mut self) {
        defaults::apps::deployment(self);
    }

    fn validate(&self) -> ErrorList {
        validation::apps::deployment(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::apps::deployment_update(self, old)
    }
}

impl Strategy for ReplicaSet {
    fn set_defaults(&mut self) {
        defaults::apps::replica_set(self);
    }

    fn validate(&self) -> ErrorList {
        validation::apps::replica_set(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::apps::replica_set_update(self, old)
    }
}

impl Strategy for StatefulSet {
    fn set_defaults(&mut self) {
        defaults::apps::stateful_set(self);
    }

    fn validate(&self) -> ErrorList {
        validation::apps::stateful_set(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::apps::stateful_set_update(self, old)
    }
}
