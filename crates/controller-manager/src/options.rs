//! Flags, under upstream's names.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser};
use gantry_telemetry::{CommonFlags, config};
use ipnet::Ipv4Net;

use crate::config::ControllerManagerConfiguration;
use crate::controllers;

/// The controllers that drive the cluster towards its desired state.
#[derive(Debug, Clone, Parser)]
#[command(name = "gantry-controller-manager", version)]
pub struct Options {
    /// Flags that every component has.
    #[command(flatten)]
    pub common: CommonFlags,

    /// The API server, and the credentials for it.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: PathBuf,

    /// The controllers that run: * for those that run by default, NAME for one more, -NAME for one less.
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_value = "*", value_parser = controllers::parse)]
    #[arg(allow_hyphen_values = true)]
    pub controllers: Vec<String>,

    /// The authority that pods verify the API server with (PEM); by default the kubeconfig's.
    #[arg(long, value_name = "FILE")]
    pub root_ca_file: Option<PathBuf>,

    /// The range that nodes' pod ranges are taken from.
    #[arg(long, value_name = "CIDR", default_value = "10.244.0.0/16")]
    pub cluster_cidr: Ipv4Net,

    /// Whether nodes get pod ranges.
    #[arg(long, default_value_t = true, action = ArgAction::Set)]
    pub allocate_node_cidrs: bool,

    /// The prefix length of a node's pod range.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u8).range(1..=30))]
    pub node_cidr_mask_size: u8,

    /// How often nodes are looked at.
    #[arg(long, value_parser = duration, default_value = "5s")]
    pub node_monitor_period: Duration,

    /// How long a node may be silent before it counts as unreachable.
    #[arg(long, value_parser = duration, default_value = "40s")]
    pub node_monitor_grace_period: Duration,

    /// How long a new node may be silent before it counts as unreachable.
    #[arg(long, value_parser = duration, default_value = "60s")]
    pub node_startup_grace_period: Duration,

    /// Nodes per second whose pods are evicted while their zone is healthy.
    #[arg(long, default_value_t = 0.1)]
    pub node_eviction_rate: f64,

    /// Nodes per second whose pods are evicted while their zone is unhealthy, in clusters that are large.
    #[arg(long, default_value_t = 0.01)]
    pub secondary_node_eviction_rate: f64,

    /// The share of nodes that are not ready from which on a zone is unhealthy.
    #[arg(long, default_value_t = 0.55)]
    pub unhealthy_zone_threshold: f64,

    /// The number of nodes from which on a cluster is large.
    #[arg(long, default_value_t = 50)]
    pub large_cluster_size_threshold: usize,

    /// How many finished pods are kept; 0 or less keeps all.
    #[arg(long, default_value_t = 12_500)]
    pub terminated_pod_gc_threshold: i64,

    /// Deployments that are worked on at once.
    #[arg(long, default_value_t = 5)]
    pub concurrent_deployment_syncs: usize,

    /// ReplicaSets that are worked on at once.
    #[arg(long, default_value_t = 5)]
    pub concurrent_replicaset_syncs: usize,

    /// Services whose endpoints are worked on at once.
    #[arg(long, default_value_t = 5)]
    pub concurrent_service_endpoint_syncs: usize,

    /// Services whose Endpoints objects are worked on at once.
    #[arg(long, default_value_t = 5)]
    pub concurrent_endpoint_syncs: usize,

    /// Namespaces that are deleted at once.
    #[arg(long, default_value_t = 10)]
    pub concurrent_namespace_syncs: usize,

    /// Objects that the garbage collector works on at once.
    #[arg(long, default_value_t = 20)]
    pub concurrent_gc_syncs: usize,

    /// Whether a lease decides which of several controller managers works.
    #[arg(long, default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub leader_elect: bool,

    /// How long others wait for a leader that is silent.
    #[arg(long, value_parser = duration, default_value = "15s")]
    pub leader_elect_lease_duration: Duration,

    /// How long the leader tries to renew its lease.
    #[arg(long, value_parser = duration, default_value = "10s")]
    pub leader_elect_renew_deadline: Duration,

    /// The pause between attempts to get or renew the lease.
    #[arg(long, value_parser = duration, default_value = "2s")]
    pub leader_elect_retry_period: Duration,
}

impl Options {
    /// Reads a command line, and the configuration file that it names.
    pub fn load(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, config::Error> {
        config::parse_flags::<Self, ControllerManagerConfiguration>(arguments, |options| {
            options.common.config.clone()
        })
    }
}

/// A duration as upstream's flags take it, such as `40s`, `1m30s` or `500ms`.
fn duration(text: &str) -> Result<Duration, String> {
    let parsed: gantry_api::scalars::Duration =
        text.parse().map_err(|error| format!("must be a duration such as 40s or 1m30s: {error}"))?;
    u64::try_from(parsed.duration).map(Duration::from_nanos).map_err(|_| "must not be negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Options, duration};
    use clap::{CommandFactory, Parser};
    use std::time::Duration;

    #[test]
    fn flags_are_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn durations_are_upstreams() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert!(duration("-1s").is_err() && duration("soon").is_err());
        let options = Options::parse_from(["x", "--kubeconfig", "k", "--leader-elect=false"]);
        assert!(!options.leader_elect);
        assert_eq!(options.node_monitor_grace_period, Duration::from_secs(40));
    }
}
