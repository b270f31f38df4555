//! Strategies of the group.

use crate::apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet};
use crate::field::ErrorList;
use crate::strategy::Strategy;

impl Strategy for ControllerRevision {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for DaemonSet {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for Deployment {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for ReplicaSet {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for StatefulSet {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}
