//! Strategies of the group.

use crate::batch::v1::{CronJob, Job};
use crate::field::ErrorList;
use crate::strategy::{Column, Strategy, tables};
use crate::{defaults, prepare, validation};

impl Strategy for CronJob {
    const GENERATION: bool = true;
    const COLUMNS: &'static [Column] = tables::batch::CRON_JOB;

    fn set_defaults(&mut self) {
        defaults::batch::cron_job(self);
    }

    fn validate(&self) -> ErrorList {
        validation::batch::cron_job(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::batch::cron_job_update(self, old)
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::batch::cron_job(self, now)
    }
}

impl Strategy for Job {
    const GENERATION: bool = true;
    const COLUMNS: &'static [Column] = tables::batch::JOB;

    fn set_defaults(&mut self) {
        defaults::batch::job(self);
    }

    fn prepare_for_create(&mut self) {
        prepare::job::job(self);
    }

    fn validate(&self) -> ErrorList {
        validation::batch::job(self)
    }

    fn validate_update(&self, old: &Self) -> ErrorList {
        validation::batch::job_update(self, old)
    }

    fn validate_status_update(&self, old: &Self) -> ErrorList {
        validation::batch::job_status_update(self, old)
    }

    fn selectable_fields(&self) -> Vec<(&'static str, String)> {
        let succeeded = self.status.as_ref().map_or(0, |status| status.succeeded);
        vec![("status.successful", succeeded.to_string())]
    }

    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        tables::batch::job(self, now)
    }
}
