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

/// A webhook was asked.
pub(crate) struct WebhookCall<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// `admit` or `validating`.
    pub(crate) r#type: &'static str,
    /// What the request does.
    pub(crate) operation: &'static str,
    /// Why the request was rejected, if it was, and with which code.
    pub(crate) rejected: Option<(&'static str, i32)>,
    /// Whether the request went on though it could not be asked.
    pub(crate) failed_open: bool,
    /// How long it took.
    pub(crate) elapsed: Duration,
}

struct Webhooks {
    duration: HistogramVec,
    requests: IntCounterVec,
    rejections: IntCounterVec,
    failed_open: IntCounterVec,
}

#[expect(clippy::expect_used, reason = "the names are constants that the tests have registered once")]
static WEBHOOKS: LazyLock<Webhooks> = LazyLock::new(|| {
    let counter = |name: &str, help: &str, labels: &[&str]| {
        IntCounterVec::new(Opts::new(name, help), labels).expect("a valid metric")
    };
    let duration = HistogramVec::new(
        HistogramOpts::new(
            "apiserver_admission_webhook_admission_duration_seconds",
            "Time to a webhook's answer, by name, operation and type.",
        )
        .buckets(vec![0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 25.0]),
        &["name", "type", "operation", "rejected"],
    );
    let webhooks = Webhooks {
        duration: duration.expect("a valid metric"),
        requests: counter(
            "apiserver_admission_webhook_request_total",
            "Requests that a webhook was asked about, by name, type, operation and code.",
            &["name", "type", "operation", "code", "rejected"],
        ),
        rejections: counter(
            "apiserver_admission_webhook_rejection_count",
            "Requests that a webhook rejected, by name, type, operation, kind of error and code.",
            &["name", "type", "operation", "error_type", "rejection_code"],
        ),
        failed_open: counter(
            "apiserver_admission_webhook_fail_open_count",
            "Requests that went on though a webhook could not be asked, by name and type.",
            &["name", "type"],
        ),
    };
    let registry = prometheus::default_registry();
    let registered = [
        registry.register(Box::new(webhooks.duration.clone())),
        registry.register(Box::new(webhooks.requests.clone())),
        registry.register(Box::new(webhooks.rejections.clone())),
        registry.register(Box::new(webhooks.failed_open.clone())),
    ];
    for error in registered.into_iter().filter_map(Result::err) {
        tracing::warn!(%error, "a metric is registered twice");
    }
    webhooks
});

/// A webhook was asked.
pub(crate) fn webhook(call: &WebhookCall<'_>) {
    let rejected = if call.rejected.is_some() { "true" } else { "false" };
    let code = call.rejected.map_or(200, |(_, code)| code).to_string();
    let seconds = call.elapsed.as_secs_f64();
    WEBHOOKS.duration.with_label_values(&[call.name, call.r#type, call.operation, rejected]).observe(seconds);
    WEBHOOKS.requests.with_label_values(&[call.name, call.r#type, call.operation, &code, rejected]).inc();
    if let Some((error, code)) = call.rejected {
        let code = code.to_string();
        let labels = [call.name, call.r#type, call.operation, error, &code];
        WEBHOOKS.rejections.with_label_values(&labels).inc();
    }
    if call.failed_open {
        WEBHOOKS.failed_open.with_label_values(&[call.name, call.r#type]).inc();
    }
}

struct ApiServices {
    unavailable: IntGaugeVec,
    lost: IntCounterVec,
}

#[expect(clippy::expect_used, reason = "the names are constants that the tests have registered once")]
static API_SERVICES: LazyLock<ApiServices> = LazyLock::new(|| {
    let unavailable = IntGaugeVec::new(
        Opts::new("aggregator_unavailable_apiservice", "APIServices that are not available, by name."),
        &["name"],
    );
    let lost = IntCounterVec::new(
        Opts::new(
            "aggregator_unavailable_apiservice_total",
            "How often APIServices became unavailable, by name and reason.",
        ),
        &["name", "reason"],
    );
    let metrics = ApiServices {
        unavailable: unavailable.expect("a valid metric"),
        lost: lost.expect("a valid metric"),
    };
    let registry = prometheus::default_registry();
    let registered = [
        registry.register(Box::new(metrics.unavailable.clone())),
        registry.register(Box::new(metrics.lost.clone())),
    ];
    for error in registered.into_iter().filter_map(Result::err) {
        tracing::warn!(%error, "a metric is registered twice");
    }
    metrics
});

/// Whether an APIService is available.
pub(crate) fn api_service(name: &str, available: bool) {
    API_SERVICES.unavailable.with_label_values(&[name]).set(i64::from(!available));
}

/// An APIService is not available any more, for this reason.
pub(crate) fn api_service_lost(name: &str, reason: &str) {
    API_SERVICES.lost.with_label_values(&[name, reason]).inc();
}

/// An APIService is gone.
pub(crate) fn forget_api_service(name: &str) {
    // One that was never told of is not there to be removed.
    let _ = API_SERVICES.unavailable.remove_label_values(&[name]);
}
