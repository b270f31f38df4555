//! Metrics, under upstream's names.

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts};

/// The kubelet's metrics. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Pods that have a sandbox.
    pub running_pods: IntGauge,
    /// Containers by state.
    pub running_containers: IntGaugeVec,
    /// From a pod's creation to all its containers running, without the time to pull.
    pub pod_start: Histogram,
    /// Calls of the runtime by operation.
    pub runtime_operations: IntCounterVec,
    /// From the beginning of a sandbox to its being connected.
    pub run_sandbox: Histogram,
    /// The phases of a start.
    pub start_phases: HistogramVec,
    /// How long images took to pull.
    pub image_pull: HistogramVec,
}

impl Metrics {
    /// Makes them and registers them with the default registry. A second call in the same process makes metrics that
    /// are counted but not shown.
    pub fn new() -> Result<Self, prometheus::Error> {
        let buckets = vec![0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];
        let fine = prometheus::exponential_buckets(0.0005, 2.0, 15)?;
        let metrics = Self {
            running_pods: IntGauge::new(
                "kubelet_running_pods",
                "Number of pods that have a running sandbox",
            )?,
            running_containers: IntGaugeVec::new(
                Opts::new("kubelet_running_containers", "Number of containers by state"),
                &["container_state"],
            )?,
            pod_start: Histogram::with_opts(
                HistogramOpts::new(
                    "kubelet_pod_start_sli_duration_seconds",
                    "Seconds from a pod's creation to its containers running, without pulling",
                )
                .buckets(buckets.clone()),
            )?,
            runtime_operations: IntCounterVec::new(
                Opts::new("kubelet_runtime_operations_total", "Runtime operations by type"),
                &["operation_type"],
            )?,
            run_sandbox: Histogram::with_opts(
                HistogramOpts::new(
                    "kubelet_run_podsandbox_duration_seconds",
                    "Seconds to make a pod's namespaces and connect them",
                )
                .buckets(fine.clone()),
            )?,
            start_phases: HistogramVec::new(
                HistogramOpts::new(
                    "gantry_kubelet_start_phase_duration_seconds",
                    "Seconds that each phase of a sandbox's or a container's start took",
                )
                .buckets(fine),
                &["phase"],
            )?,
            image_pull: HistogramVec::new(
                HistogramOpts::new("kubelet_image_pull_duration_seconds", "Seconds to pull an image")
                    .buckets(buckets),
                &["image_size_in_bytes"],
            )?,
        };
        let registry = prometheus::default_registry();
        let all: [Box<dyn prometheus::core::Collector>; 7] = [
            Box::new(metrics.running_pods.clone()),
            Box::new(metrics.running_containers.clone()),
            Box::new(metrics.pod_start.clone()),
            Box::new(metrics.runtime_operations.clone()),
            Box::new(metrics.image_pull.clone()),
            Box::new(metrics.run_sandbox.clone()),
            Box::new(metrics.start_phases.clone()),
        ];
        for collector in all {
            match registry.register(collector) {
                Ok(()) | Err(prometheus::Error::AlreadyReg) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(metrics)
    }
}
