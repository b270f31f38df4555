//! Metrics under the names that dashboards for Kubernetes know.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, Registry};

use crate::proxier::Outcome;

/// The proxy's metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    duration: Histogram,
    full_duration: Histogram,
    partial_duration: Histogram,
    last: Gauge,
    queued: Gauge,
    failures: IntCounter,
    service_changes: IntCounter,
    endpoint_changes: IntCounter,
}

impl Metrics {
    /// Creates them and registers them with `registry`.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let histogram = |name: &str, help: &str| {
            // From a millisecond to 16 s.
            let buckets = prometheus::exponential_buckets(0.001, 2.0, 15)?;
            let metric = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let gauge = |name: &str, help: &str| {
            let metric = Gauge::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let counter = |name: &str, help: &str| {
            let metric = IntCounter::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        Ok(Self {
            duration: histogram(
                "kubeproxy_sync_proxy_rules_duration_seconds",
                "Time to bring the rules up to date",
            )?,
            full_duration: histogram(
                "kubeproxy_sync_full_proxy_rules_duration_seconds",
                "Time to replace all rules",
            )?,
            partial_duration: histogram(
                "kubeproxy_sync_partial_proxy_rules_duration_seconds",
                "Time to change some rules",
            )?,
            last: gauge(
                "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
                "When the rules were last brought up to date",
            )?,
            queued: gauge(
                "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
                "When a change of services or endpoints last arrived",
            )?,
            failures: counter(
                "kubeproxy_sync_proxy_rules_nftables_sync_failures_total",
                "Transactions that nftables refused",
            )?,
            service_changes: counter(
                "kubeproxy_sync_proxy_rules_service_changes_total",
                "Changes of services that arrived",
            )?,
            endpoint_changes: counter(
                "kubeproxy_sync_proxy_rules_endpoint_changes_total",
                "Changes of endpoint slices that arrived",
            )?,
        })
    }

    /// Counts a change of a service.
    pub fn service_changed(&self) {
        self.service_changes.inc();
        self.queued.set(now());
    }

    /// Counts a change of an endpoint slice.
    pub fn endpoints_changed(&self) {
        self.endpoint_changes.inc();
        self.queued.set(now());
    }

    pub(crate) fn synced(&self, outcome: Outcome, took: Duration, succeeded: bool) {
        let seconds = took.as_secs_f64();
        self.duration.observe(seconds);
        match outcome {
            Outcome::Replaced => self.full_duration.observe(seconds),
            Outcome::Changed => self.partial_duration.observe(seconds),
            Outcome::Unchanged => {}
        }
        if succeeded {
            self.last.set(now());
        } else {
            self.failures.inc();
        }
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
