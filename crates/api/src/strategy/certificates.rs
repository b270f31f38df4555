//! Strategies of the group.

use crate::Resource as _;
use crate::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestStatus};
use crate::field::ErrorList;
use crate::strategy::{Column, Strategy, tables};
use crate::validation;

/// Who asks, the server's handlers write; times of conditions, too.
impl Strategy for CertificateSigningRequest {
    const COLUMNS: &'static [Column] = tables::certificates::REQUEST;

    fn prepare_for_create(&mut self) {
        self.status = Some(CertificateSigningRequestStatus::default());
    }

    fn prepare_for_update(&mut self, old: &Self) {
        self.copy_spec_from(old);
        self.copy_status_from(old);
    }

    fn prepare_for_status_update(&mut self, old: &Self) {
        self.copy_spec_from(old);
        validation::certificates::keep_decisions(self, old);
    }

    fn validate(&self) -> ErrorList {
        validation::certificates::request(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::certificates::update(self, old)
    }

    fn validate_status_update(&self, old: &Self) -> ErrorList {
        validation::certificates::status_update(self, old)
    }

    fn selectable_fields(&self) -> Vec<(&'static str, String)> {
        let signer = self.spec.as_ref().map(|spec| spec.signer_name.clone());
        vec![("spec.signerName", signer.unwrap_or_default())]
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::certificates::request(self, now)
    }
}
