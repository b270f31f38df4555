//! Strategies of the group.

use crate::field::ErrorList;
use crate::networking::v1::{Ingress, IngressClass, IpAddress, NetworkPolicy, ServiceCidr};
use crate::strategy::{Column, Strategy, tables};
use crate::{defaults, validation};

impl Strategy for Ingress {
    const GENERATION: bool = true;
    const COLUMNS: &'static [Column] = tables::networking::INGRESS;

    fn set_defaults(&mut self) {
        defaults::networking::ingress(self);
    }

    fn prepare_for_create(&mut self) {
        self.status = None;
        defaults::networking::ingress(self);
    }

    fn validate(&self) -> ErrorList {
        validation::ingress::ingress(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::ingress::update(self, old)
    }

    fn validate_status_update(&self, old: &Self) -> ErrorList {
        validation::ingress::status_update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::networking::ingress(self, now)
    }
}

impl Strategy for IngressClass {
    const GENERATION: bool = true;
    const COLUMNS: &'static [Column] = tables::networking::INGRESS_CLASS;

    fn set_defaults(&mut self) {
        defaults::networking::ingress_class(self);
    }

    fn validate(&self) -> ErrorList {
        validation::ingress_class::class(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::ingress_class::update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::networking::ingress_class(self, now)
    }
}

impl Strategy for IpAddress {
    const COLUMNS: &'static [Column] = tables::networking::IP_ADDRESS;

    fn validate(&self) -> ErrorList {
        validation::service_cidr::address(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::service_cidr::address_update(self, old)
    }

    fn cells(&self, _: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::networking::ip_address(self)
    }
}

impl Strategy for NetworkPolicy {
    const GENERATION: bool = true;
    const COLUMNS: &'static [Column] = tables::networking::NETWORK_POLICY;

    fn set_defaults(&mut self) {
        defaults::networking::network_policy(self);
    }

    fn validate(&self) -> ErrorList {
        validation::network_policy::policy(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::network_policy::update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::networking::network_policy(self, now)
    }
}

impl Strategy for ServiceCidr {
    const COLUMNS: &'static [Column] = tables::networking::SERVICE_CIDR;

    fn set_defaults(&mut self) {
        defaults::networking::service_cidr(self);
    }

    fn prepare_for_create(&mut self) {
        self.status = None;
        defaults::networking::service_cidr(self);
    }

    fn validate(&self) -> ErrorList {
        validation::service_cidr::ranges(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::service_cidr::update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::networking::service_cidr(self, now)
    }
}
