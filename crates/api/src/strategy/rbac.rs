//! Strategies of the group.

use crate::field::ErrorList;
use crate::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use crate::strategy::{Column, Strategy, tables};
use crate::{defaults, validation};

impl Strategy for ClusterRole {
    const COLUMNS: &'static [Column] = tables::rbac::ROLE;
    const CREATED_BY_UPDATE: bool = true;

    fn validate(&self) -> ErrorList {
        validation::rbac::cluster_role(self)
    }

    fn cells(&self, _: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::rbac::role(self)
    }
}

impl Strategy for ClusterRoleBinding {
    const COLUMNS: &'static [Column] = tables::rbac::BINDING;
    const CREATED_BY_UPDATE: bool = true;

    fn set_defaults(&mut self) {
        defaults::rbac::cluster_role_binding(self);
    }

    fn validate(&self) -> ErrorList {
        validation::rbac::cluster_role_binding(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::rbac::cluster_role_binding_update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::rbac::binding(self, self.role_ref.as_ref(), &self.subjects, now)
    }
}

impl Strategy for Role {
    const COLUMNS: &'static [Column] = tables::rbac::ROLE;
    const CREATED_BY_UPDATE: bool = true;

    fn validate(&self) -> ErrorList {
        validation::rbac::role(self)
    }

    fn cells(&self, _: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::rbac::role(self)
    }
}

impl Strategy for RoleBinding {
    const COLUMNS: &'static [Column] = tables::rbac::BINDING;
    const CREATED_BY_UPDATE: bool = true;

    fn set_defaults(&mut self) {
        defaults::rbac::role_binding(self);
    }

    fn validate(&self) -> ErrorList {
        validation::rbac::role_binding(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::rbac::role_binding_update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::rbac::binding(self, self.role_ref.as_ref(), &self.subjects, now)
    }
}
