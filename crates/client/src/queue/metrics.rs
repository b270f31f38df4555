//! Metrics of queues, under upstream's names.

use std::sync::LazyLock;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
};

struct Families {
    depth: IntGaugeVec,
    adds: IntCounterVec,
    retries: IntCounterVec,
    waited: HistogramVec,
    worked: HistogramVec,
}

/// Upstream's buckets: 10 ns to 10 s.
fn buckets() -> Vec<f64> {
    (0..10).map(|exponent| 1e-8 * 10f64.powi(exponent)).collect()
}

fn families() -> prometheus::Result<Families> {
    let label = &["name"];
    let histogram =
        |name: &str, help: &str| HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets()), label);
    let families = Families {
        depth: IntGaugeVec::new(Opts::new("workqueue_depth", "Keys that wait"), label)?,
        adds: IntCounterVec::new(Opts::new("workqueue_adds_total", "Keys that were added"), label)?,
        retries: IntCounterVec::new(Opts::new("workqueue_retries_total", "Keys that failed"), label)?,
        waited: histogram("workqueue_queue_duration_seconds", "How long keys wait")?,
        worked: histogram("workqueue_work_duration_seconds", "How long the work on a key takes")?,
    };
    let registry = prometheus::default_registry();
    registry.register(Box::new(families.depth.clone()))?;
    registry.register(Box::new(families.adds.clone()))?;
    registry.register(Box::new(families.retries.clone()))?;
    registry.register(Box::new(families.waited.clone()))?;
    registry.register(Box::new(families.worked.clone()))?;
    Ok(families)
}

// Fails only where a name is invalid or taken, which is a mistake in this file that every test finds.
static FAMILIES: LazyLock<Families> = LazyLock::new(|| families().expect("names are valid and unique"));

/// The metrics of one queue.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) depth: IntGauge,
    pub(super) adds: IntCounter,
    pub(super) retries: IntCounter,
    pub(super) waited: Histogram,
    pub(super) worked: Histogram,
}

impl Metrics {
    pub(super) fn new(queue: &str) -> Self {
        let label = &[queue];
        Self {
            depth: FAMILIES.depth.with_label_values(label),
            adds: FAMILIES.adds.with_label_values(label),
            retries: FAMILIES.retries.with_label_values(label),
            waited: FAMILIES.waited.with_label_values(label),
            worked: FAMILIES.worked.with_label_values(label),
        }
    }
}
