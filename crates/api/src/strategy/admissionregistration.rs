//! Strategies of the group.

use crate::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration,
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingAdmissionPolicyStatus,
    ValidatingWebhookConfiguration,
};
use crate::defaults;
use crate::field::ErrorList;
use crate::strategy::{Column, Strategy, tables};
use crate::validation::admission;

impl Strategy for MutatingAdmissionPolicy {
    const GENERATION: bool = true;
    const UNCONDITIONAL_UPDATE: bool = false;
    const COLUMNS: &'static [Column] = tables::admissionregistration::MUTATING_POLICY;

    fn set_defaults(&mut self) {
        defaults::admissionregistration::mutating_policy(self);
    }

    fn validate(&self) -> ErrorList {
        admission::policy::mutating(self)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        let spec = self.spec.as_ref();
        let count = spec.map_or(0, |spec| spec.mutations.len());
        let kind = spec.and_then(|spec| spec.param_kind.as_ref());
        tables::admissionregistration::policy(self, count, kind, now)
    }
}

impl Strategy for MutatingAdmissionPolicyBinding {
    const GENERATION: bool = true;
    const UNCONDITIONAL_UPDATE: bool = false;
    const COLUMNS: &'static [Column] = tables::admissionregistration::BINDING;

    fn set_defaults(&mut self) {
        defaults::admissionregistration::mutating_binding(self);
    }

    fn validate(&self) -> ErrorList {
        admission::binding::mutating(self)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        let spec = self.spec.clone().unwrap_or_default();
        tables::admissionregistration::binding(self, &spec.policy_name, spec.param_ref.as_ref(), now)
    }
}

impl Strategy for MutatingWebhookConfiguration {
    const GENERATION: bool = true;
    const UNCONDITIONAL_UPDATE: bool = false;
    const COLUMNS: &'static [Column] = tables::admissionregistration::WEBHOOKS;

    fn set_defaults(&mut self) {
        defaults::admissionregistration::mutating_webhooks(self);
    }

    fn validate(&self) -> ErrorList {
        admission::webhook::mutating(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        admission::webhook::mutating_update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::admissionregistration::webhooks(self, self.webhooks.len(), now)
    }
}

impl Strategy for ValidatingAdmissionPolicy {
    const GENERATION: bool = true;
    const UNCONDITIONAL_UPDATE: bool = false;
    const COLUMNS: &'static [Column] = tables::admissionregistration::VALIDATING_POLICY;

    fn set_defaults(&mut self) {
        defaults::admissionregistration::validating_policy(self);
    }

    fn prepare_for_create(&mut self) {
        self.status = Some(ValidatingAdmissionPolicyStatus::default());
    }

    fn validate(&self) -> ErrorList {
        admission::policy::validating(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        admission::policy::validating_update(self, old)
    }

    fn validate_status_update(&self, _: &Self) -> ErrorList {
        admission::policy::status(self)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        let spec = self.spec.as_ref();
        let count = spec.map_or(0, |spec| spec.validations.len());
        let kind = spec.and_then(|spec| spec.param_kind.as_ref());
        tables::admissionregistration::policy(self, count, kind, now)
    }
}

impl Strategy for ValidatingAdmissionPolicyBinding {
    const GENERATION: bool = true;
    const UNCONDITIONAL_UPDATE: bool = false;
    const COLUMNS: &'static [Column] = tables::admissionregistration::BINDING;

    fn set_defaults(&mut self) {
        defaults::admissionregistration::validating_binding(self);
    }

    fn validate(&self) -> ErrorList {
        admission::binding::validating(self)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        let spec = self.spec.clone().unwrap_or_default();
        tables::admissionregistration::binding(self, &spec.policy_name, spec.param_ref.as_ref(), now)
    }
}

impl Strategy for ValidatingWebhookConfiguration {
    const GENERATION: bool = true;
    const UNCONDITIONAL_UPDATE: bool = false;
    const COLUMNS: &'static [Column] = tables::admissionregistration::WEBHOOKS;

    fn set_defaults(&mut self) {
        defaults::admissionregistration::validating_webhooks(self);
    }

    fn validate(&self) -> ErrorList {
        admission::webhook::validating(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        admission::webhook::validating_update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::admissionregistration::webhooks(self, self.webhooks.len(), now)
    }
}
