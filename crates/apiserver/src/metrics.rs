//! The server's metrics, with upstream's names.

use std::sync::LazyLock;
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts};

struct Metrics {
    requests: IntCounterVec,
    duration: HistogramVec,
    running: IntGaugeVec,
    long_running: IntGauge,
}

#[expect(clippy::expect_used, reason = "the names are constants that the tests have registered once")]
static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
    let requests = IntCounterVec::new(
        Opts::new("apiserver_request_total", "Answered requests by method, protocol and status."),
        &["verb", "protocol", "code"],
    );
    let duration = HistogramVec::new(
        HistogramOpts::new("apiserver_request_duration_seconds", "Time to the answer's head.")
            .buckets(vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 60.0]),
        &["verb", "protocol"],
    );
    let running = IntGaugeVec::new(
        Opts::new("apiserver_current_inflight_requests", "Requests under way that are not long-running."),
        &["request_kind"],
    );
    let long_running =
        IntGauge::new("apiserver_longrunning_requests", "Watches, logs and other requests without an end.");
    let metrics = Metrics {
        requests: requests.expect("a valid metric"),
        duration: duration.expect("a valid metric"),
        running: running.expect("a valid metric"),
        long_running: long_running.expect("a valid metric"),
    };
    let registry = prometheus::default_registry();
    let registered = [
        registry.register(Box::new(metrics.requests.clone())),
        registry.register(Box::new(metrics.duration.clone())),
        registry.register(Box::new(metrics.running.clone())),
        registry.register(Box::new(metrics.long_running.clone())),
    ];
    for error in registered.into_iter().filter_map(Result::err) {
        tracing::warn!(%error, "a metric is registered twice");
    }
    metrics
});

/// Counts a request as under way until dropped.
pub(crate) struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A request begins.
pub(crate) fn in_flight(mutating: bool, long_running: bool) -> InFlight {
    let gauge = if long_running {
        METRICS.long_running.clone()
    } else {
        METRICS.running.with_label_values(&[if mutating { "mutating" } else { "readOnly" }])
    };
    gauge.inc();
    InFlight(gauge)
}

/// A request has its answer's head.
pub(crate) fn answered(method: &Method, grpc: bool, status: StatusCode, elapsed: Duration) {
    let protocol = if grpc { "grpc" } else { "rest" };
    METRICS.requests.with_label_values(&[method.as_str(), protocol, status.as_str()]).inc();
    METRICS.duration.with_label_values(&[method.as_str(), protocol]).observe(elapsed.as_secs_f64());
}
