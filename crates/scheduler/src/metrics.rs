//! Metrics with upstream's names.

use prometheus::{
    HistogramVec, IntCounterVec, IntGaugeVec, exponential_buckets, register_histogram_vec,
    register_int_counter_vec, register_int_gauge_vec,
};

use crate::queue::Counts;

/// The scheduler's metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    attempts: IntCounterVec,
    duration: HistogramVec,
    pending: IntGaugeVec,
}

impl Metrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// Where they are registered already.
    pub fn register() -> Result<Self, prometheus::Error> {
        Ok(Self {
            attempts: register_int_counter_vec!(
                "scheduler_schedule_attempts_total",
                "Number of attempts to schedule pods, by the result",
                &["result", "profile"]
            )?,
            duration: register_histogram_vec!(
                "scheduler_scheduling_attempt_duration_seconds",
                "Seconds from taking a pod to the written assignment, or to the decision that there is none",
                &["result", "profile"],
                exponential_buckets(0.000_1, 2.0, 18)?
            )?,
            pending: register_int_gauge_vec!(
                "scheduler_pending_pods",
                "Number of pending pods, by queue",
                &["queue"]
            )?,
        })
    }

    pub(crate) fn attempt(&self, result: &str, profile: &str, seconds: f64) {
        self.attempts.with_label_values(&[result, profile]).inc();
        self.duration.with_label_values(&[result, profile]).observe(seconds);
    }

    pub(crate) fn pending(&self, counts: Counts) {
        for (queue, count) in
            [("active", counts.active), ("backoff", counts.backoff), ("unschedulable", counts.unschedulable)]
        {
            self.pending.with_label_values(&[queue]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}
