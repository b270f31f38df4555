//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Parser;
use gantry_telemetry::CommonFlags;

/// The cluster's DNS server.
#[derive(Debug, Parser)]
#[command(name = "gantry-dns", version)]
pub struct Options {
    /// Logging, health port.
    #[command(flatten)]
    pub common: CommonFlags,

    /// Kubeconfig that names the API server and this component's identity.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: PathBuf,

    /// Address to serve DNS on over UDP and TCP; may be given several times.
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:53")]
    pub bind_address: Vec<SocketAddr>,

    /// Address at which nodes and pods reach this server; makes the service kube-dns point here.
    #[arg(long, value_name = "IP")]
    pub advertise_address: Option<IpAddr>,

    /// Virtual address of the service kube-dns.
    #[arg(long, value_name = "IP", default_value = "10.96.0.10")]
    pub cluster_ip: IpAddr,

    /// Domain of the cluster's names.
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
    pub cluster_domain: String,

    /// Server that other names are forwarded to; may be given several times. Default: those of --resolv-conf.
    #[arg(long, value_name = "IP:PORT")]
    pub upstream: Vec<SocketAddr>,

    /// File that names the servers that other names are forwarded to; empty for none.
    #[arg(long, value_name = "FILE", default_value = "/etc/resolv.conf")]
    pub resolv_conf: PathBuf,
}

/// The server that answers the wire logs a line for each query at INFO.
const SERVER: &str = "hickory_server";

impl Options {
    /// Lets single queries be logged only where the filter asks for it by name.
    pub fn quieten(&mut self) {
        let filter = &mut self.common.log_level;
        if !filter.contains(SERVER) {
            let given = if filter.is_empty() { "info" } else { filter.as_str() };
            *filter = format!("{SERVER}=warn,{given}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_logged_only_when_asked_for() {
        for (given, filter) in [
            ("", "hickory_server=warn,info"),
            ("debug", "hickory_server=warn,debug"),
            ("info,hickory_server=info", "info,hickory_server=info"),
        ] {
            let mut options = Options::parse_from(["gantry-dns", "--kubeconfig", "k", "--log-level", given]);
            options.quieten();
            assert_eq!(options.common.log_level, filter);
        }
    }
}
