//! Strategies of the group.

use crate::core::v1::{
    ConfigMap, Endpoints, Event, LimitRange, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod,
    PodTemplate, ReplicationController, ResourceQuota, Secret, Service, ServiceAccount,
};
use crate::field::ErrorList;
use crate::strategy::Strategy;

impl Strategy for ConfigMap {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for Endpoints {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for Event {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for LimitRange {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for Namespace {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for Node {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for PersistentVolume {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for PersistentVolumeClaim {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for Pod {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for PodTemplate {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for ReplicationController {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for ResourceQuota {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for Secret {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for Service {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for ServiceAccount {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}

impl Strategy for crate::events::v1::Event {
    fn validate(&self) -> ErrorList {
        ErrorList::new()
    }
}
