//! The metrics of flow control, with upstream's names.

use std::sync::LazyLock;

use prometheus::core::Collector;
use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
};

const BY_SCHEMA: [&str; 2] = ["priority_level", "flow_schema"];

struct Metrics {
    rejected: IntCounterVec,
    dispatched: IntCounterVec,
    waiting: IntGaugeVec,
    executing: IntGaugeVec,
    seats: IntGaugeVec,
    waited: HistogramVec,
    limits: [IntGaugeVec; 4],
    demand: [GaugeVec; 4],
}

fn register<C: Collector + Clone + 'static>(metric: prometheus::Result<C>) -> C {
    #[expect(clippy::expect_used, reason = "the names are constants, and a test makes them all")]
    let metric = metric.expect("a valid metric");
    if let Err(error) = prometheus::default_registry().register(Box::new(metric.clone())) {
        tracing::warn!(%error, "a metric is registered twice");
    }
    metric
}

fn name(what: &str) -> String {
    format!("apiserver_flowcontrol_{what}")
}

static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
    let gauge = |what: &str, help: &str| register(IntGaugeVec::new(Opts::new(name(what), help), &BY_SCHEMA));
    let counter = |what: &str, help: &str, labels: &[&str]| {
        register(IntCounterVec::new(Opts::new(name(what), help), labels))
    };
    let limit =
        |what: &str, help: &str| register(IntGaugeVec::new(Opts::new(name(what), help), &BY_SCHEMA[..1]));
    let demand =
        |what: &str, help: &str| register(GaugeVec::new(Opts::new(name(what), help), &BY_SCHEMA[..1]));
    let waited = HistogramOpts::new(name("request_wait_duration_seconds"), "How long requests waited.")
        .buckets(vec![0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0]);
    Metrics {
        rejected: counter(
            "rejected_requests_total",
            "Requests that were sent away.",
            &["priority_level", "flow_schema", "reason"],
        ),
        dispatched: counter("dispatched_requests_total", "Requests that were let run.", &BY_SCHEMA),
        waiting: gauge("current_inqueue_requests", "Requests that wait."),
        executing: gauge("current_executing_requests", "Requests that run."),
        seats: gauge("current_executing_seats", "Seats of the requests that run."),
        waited: register(HistogramVec::new(waited, &["priority_level", "flow_schema", "execute"])),
        limits: [
            limit("nominal_limit_seats", "The level's seats by its shares."),
            limit("lower_limit_seats", "The seats that no other level may borrow."),
            limit("upper_limit_seats", "The seats that the level may have with what it borrows."),
            limit("current_limit_seats", "The seats that the level has now."),
        ],
        demand: [
            demand(
                "demand_seats_high_watermark",
                "The most seats that were needed at once in the last period.",
            ),
            demand("demand_seats_average", "The seats that were needed on average in the last period."),
            demand("demand_seats_stdev", "How much that varied."),
            demand("demand_seats_smoothed", "The seats that the level is thought to need."),
        ],
    }
});

/// What is counted of a schema's requests.
#[derive(Debug)]
pub(super) struct OfSchema {
    labels: [String; 2],
    dispatched: IntCounter,
    pub(super) waiting: IntGauge,
    executing: IntGauge,
    seats: IntGauge,
    waited: Histogram,
}

impl OfSchema {
    pub(super) fn new(level: &str, schema: &str) -> Self {
        let labels = [level, schema];
        Self {
            labels: labels.map(str::to_owned),
            dispatched: METRICS.dispatched.with_label_values(&labels),
            waiting: METRICS.waiting.with_label_values(&labels),
            executing: METRICS.executing.with_label_values(&labels),
            seats: METRICS.seats.with_label_values(&labels),
            waited: METRICS.waited.with_label_values(&[level, schema, "true"]),
        }
    }

    pub(super) fn begun(&self, seats: u32, waited: f64) {
        self.dispatched.inc();
        self.executing.inc();
        self.seats.add(seats.into());
        self.waited.observe(waited);
    }

    pub(super) fn ended(&self, seats: u32) {
        self.executing.dec();
        self.seats.sub(seats.into());
    }

    pub(super) fn rejected(&self, reason: &str, waited: f64) {
        let [level, schema] = &self.labels;
        METRICS.rejected.with_label_values(&[level, schema, reason]).inc();
        METRICS.waited.with_label_values(&[level, schema, "false"]).observe(waited);
    }
}

/// The seats of a level: nominal, lower, upper, current.
pub(super) fn limits(level: &str, seats: [u32; 4]) {
    for (metric, seats) in METRICS.limits.iter().zip(seats) {
        metric.with_label_values(&[level]).set(seats.into());
    }
}

/// The need of a level: highest, average, deviation, smoothed.
pub(super) fn demand(level: &str, seats: [f64; 4]) {
    for (metric, seats) in METRICS.demand.iter().zip(seats) {
        metric.with_label_values(&[level]).set(seats);
    }
}
