//! The proxy's configuration file.

use std::time::Duration;

use gantry_telemetry::config::Kind;
use ipnet::Ipv4Net;
use serde::Deserialize;

/// `kind: ProxyConfiguration`. Flags override it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProxyConfiguration {
    /// The name of the node whose endpoints are local; by default the machine's host name.
    pub node_name: Option<String>,
    /// The range of pod addresses. Clients outside of it are masqueraded.
    #[serde(rename = "clusterCIDR")]
    pub cluster_cidr: Option<Ipv4Net>,
    /// Milliseconds that pass between two changes of the rules at least, so that changes are gathered.
    pub min_sync_period_milliseconds: u64,
    /// Seconds after which all rules are replaced, which repairs what somebody else changed.
    pub sync_period_seconds: u64,
}

impl Default for ProxyConfiguration {
    fn default() -> Self {
        Self {
            node_name: None,
            cluster_cidr: None,
            min_sync_period_milliseconds: 50,
            sync_period_seconds: 3_600,
        }
    }
}

impl Kind for ProxyConfiguration {
    const KIND: &'static str = "ProxyConfiguration";
}

impl ProxyConfiguration {
    /// The least time between two changes.
    pub fn min_sync_period(&self) -> Duration {
        Duration::from_millis(self.min_sync_period_milliseconds)
    }

    /// The time between two full replacements; at least a minute.
    pub fn sync_period(&self) -> Duration {
        Duration::from_secs(self.sync_period_seconds.max(60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_and_typos_refused() {
        let header = "apiVersion: gantry.dev/v1alpha1\nkind: ProxyConfiguration\n";
        let parse =
            |text: &str| gantry_telemetry::config::parse::<ProxyConfiguration>(&format!("{header}{text}"));
        assert_eq!(parse("").unwrap(), ProxyConfiguration::default());
        let read = parse("clusterCIDR: 10.244.0.0/16\nsyncPeriodSeconds: 5\n").unwrap();
        assert_eq!(read.cluster_cidr, Some("10.244.0.0/16".parse().unwrap()));
        assert_eq!(read.sync_period(), Duration::from_secs(60));
        assert!(parse("clusterCIDRs: 10.244.0.0/16\n").is_err());
        assert!(parse("clusterCIDR: ten\n").is_err());
    }
}
