//! Strategies of the group.

use crate::Resource as _;
use crate::apiregistration::v1::{ApiService, ApiServiceCondition, ApiServiceStatus};
use crate::field::ErrorList;
use crate::strategy::{Column, Strategy, tables};
use crate::validation;

const HTTPS: i32 = 443;

impl Strategy for ApiService {
    const UNCONDITIONAL_UPDATE: bool = false;
    const COLUMNS: &'static [Column] = tables::apiregistration::API_SERVICE;

    fn set_defaults(&mut self) {
        if let Some(service) = &mut self.spec.get_or_insert_default().service {
            service.port.get_or_insert(HTTPS);
        }
    }

    /// What this server serves itself is there at once.
    fn prepare_for_create(&mut self) {
        let is_local = self.spec.as_ref().is_none_or(|spec| spec.service.is_none());
        let local = ApiServiceCondition {
            r#type: "Available".to_owned(),
            status: "True".to_owned(),
            last_transition_time: self.meta().creation_timestamp,
            reason: "Local".to_owned(),
            message: "Local APIServices are always available".to_owned(),
        };
        self.status = Some(ApiServiceStatus { conditions: is_local.then_some(local).into_iter().collect() });
    }

    fn validate(&self) -> ErrorList {
        validation::api_service::service(self)
    }

    fn validate_status_update(&self, _: &Self) -> ErrorList {
        validation::api_service::status(self)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::apiregistration::api_service(self, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_local_is_available() {
        let mut local = ApiService::default();
        local.set_defaults();
        local.prepare_for_create();
        assert_eq!(local.status.unwrap().conditions[0].reason, "Local");
        let remote = serde_json::json!({ "spec": { "service": { "name": "a" } } });
        let mut remote: ApiService = serde_json::from_value(remote).unwrap();
        remote.set_defaults();
        remote.prepare_for_create();
        assert_eq!(remote.status, Some(ApiServiceStatus::default()));
        assert_eq!(remote.spec.unwrap().service.unwrap().port, Some(443));
    }
}
