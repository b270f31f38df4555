//! The configuration file: a key for each flag. Flags override it.

use gantry_telemetry::config::{Flags, Kind, Scalar};
use serde::Deserialize;

/// The configuration of the controller manager.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct ControllerManagerConfiguration {
    controllers: Option<Scalar>,
    root_ca_file: Option<Scalar>,
    cluster_cidr: Option<Scalar>,
    allocate_node_cidrs: Option<Scalar>,
    node_cidr_mask_size: Option<Scalar>,
    node_monitor_period: Option<Scalar>,
    node_monitor_grace_period: Option<Scalar>,
    node_startup_grace_period: Option<Scalar>,
    node_eviction_rate: Option<Scalar>,
    secondary_node_eviction_rate: Option<Scalar>,
    unhealthy_zone_threshold: Option<Scalar>,
    large_cluster_size_threshold: Option<Scalar>,
    terminated_pod_gc_threshold: Option<Scalar>,
    concurrent_deployment_syncs: Option<Scalar>,
    concurrent_replicaset_syncs: Option<Scalar>,
    concurrent_service_endpoint_syncs: Option<Scalar>,
    concurrent_endpoint_syncs: Option<Scalar>,
    concurrent_namespace_syncs: Option<Scalar>,
    concurrent_gc_syncs: Option<Scalar>,
    leader_elect: Option<Scalar>,
    leader_elect_lease_duration: Option<Scalar>,
    leader_elect_renew_deadline: Option<Scalar>,
    leader_elect_retry_period: Option<Scalar>,
}

impl Kind for ControllerManagerConfiguration {
    const KIND: &'static str = "ControllerManagerConfiguration";
}

impl Flags for ControllerManagerConfiguration {
    fn flags(self) -> Vec<(&'static str, Option<Scalar>)> {
        vec![
            ("controllers", self.controllers),
            ("root-ca-file", self.root_ca_file),
            ("cluster-cidr", self.cluster_cidr),
            ("allocate-node-cidrs", self.allocate_node_cidrs),
            ("node-cidr-mask-size", self.node_cidr_mask_size),
            ("node-monitor-period", self.node_monitor_period),
            ("node-monitor-grace-period", self.node_monitor_grace_period),
            ("node-startup-grace-period", self.node_startup_grace_period),
            ("node-eviction-rate", self.node_eviction_rate),
            ("secondary-node-eviction-rate", self.secondary_node_eviction_rate),
            ("unhealthy-zone-threshold", self.unhealthy_zone_threshold),
            ("large-cluster-size-threshold", self.large_cluster_size_threshold),
            ("terminated-pod-gc-threshold", self.terminated_pod_gc_threshold),
            ("concurrent-deployment-syncs", self.concurrent_deployment_syncs),
            ("concurrent-replicaset-syncs", self.concurrent_replicaset_syncs),
            ("concurrent-service-endpoint-syncs", self.concurrent_service_endpoint_syncs),
            ("concurrent-endpoint-syncs", self.concurrent_endpoint_syncs),
            ("concurrent-namespace-syncs", self.concurrent_namespace_syncs),
            ("concurrent-gc-syncs", self.concurrent_gc_syncs),
            ("leader-elect", self.leader_elect),
            ("leader-elect-lease-duration", self.leader_elect_lease_duration),
            ("leader-elect-renew-deadline", self.leader_elect_renew_deadline),
            ("leader-elect-retry-period", self.leader_elect_retry_period),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::ControllerManagerConfiguration;
    use crate::Options;
    use clap::CommandFactory;
    use gantry_telemetry::config::{Flags, parse};

    #[test]
    fn every_flag_has_a_key_and_every_key_a_flag() {
        let text = "apiVersion: gantry.dev/v1alpha1\nkind: ControllerManagerConfiguration\n";
        let keys: Vec<&str> = parse::<ControllerManagerConfiguration>(text)
            .unwrap()
            .flags()
            .iter()
            .map(|(flag, _)| *flag)
            .collect();
        let command = Options::command();
        let own = ["kubeconfig", "log-level", "log-format", "health-address", "config", "help", "version"];
        let flags: Vec<&str> = command
            .get_arguments()
            .filter_map(|argument| argument.get_long())
            .filter(|flag| !own.contains(flag))
            .collect();
        assert_eq!(keys, flags);
    }

    #[test]
    fn a_file_sets_what_the_command_line_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("manager.yaml");
        let text = "apiVersion: gantry.dev/v1alpha1\nkind: ControllerManagerConfiguration\n\
                    clusterCidr: 10.9.0.0/16\nleaderElect: false\nnodeMonitorPeriod: 7s\nnodeEvictionRate: 0.5\n";
        std::fs::write(&path, text).unwrap();
        let file = format!("--config={}", path.display());
        let arguments = ["manager", "--kubeconfig=k", "--node-monitor-period=9s", &file];
        let options = Options::load(arguments.map(Into::into)).unwrap();
        assert_eq!(options.cluster_cidr.to_string(), "10.9.0.0/16");
        assert!(!options.leader_elect);
        assert_eq!((options.node_monitor_period.as_secs(), options.node_eviction_rate), (9, 0.5));
    }
}
