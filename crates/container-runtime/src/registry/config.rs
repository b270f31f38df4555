//! Where registries are and how they are spoken to.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;

/// Settings for fetching images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryOptions {
    /// Registries that are not simply at `https://` and their name.
    pub registries: Vec<RegistryEndpoint>,
    /// A proxy for all registries that are not on this machine, such as `http://10.0.0.1:3128`.
    pub https_proxy: Option<String>,
    /// Hosts, domains and address ranges that are reached without the proxy.
    pub no_proxy: Vec<String>,
}

/// Where a registry is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryEndpoint {
    /// The registry's name in image references, perhaps with a port; `*` for all.
    pub host: String,
    /// A mirror to ask first, such as `http://10.0.0.1:5000`. The registry itself when absent.
    pub endpoint: Option<String>,
    /// Speak plain HTTP unless the endpoint says otherwise, and accept any certificate.
    pub insecure: bool,
    /// Certificates to trust besides the system's, as PEM.
    pub ca: Option<PathBuf>,
}

/// One place to ask for an image.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Target {
    /// Scheme, host and perhaps a path, without a slash at the end.
    pub(super) base: String,
    pub(super) insecure: bool,
    pub(super) ca: Option<PathBuf>,
}

impl RegistryOptions {
    /// The places to ask for images of a registry: its mirrors, those of all registries, itself.
    pub(super) fn targets(&self, registry: &str) -> Vec<Target> {
        let own = |endpoint: &&RegistryEndpoint| endpoint.host == registry;
        let any = |endpoint: &&RegistryEndpoint| endpoint.host == "*";
        let listed = self.registries.iter().filter(own).chain(self.registries.iter().filter(any));
        let mut targets: Vec<Target> =
            listed.clone().filter_map(|e| Some(target(e.endpoint.as_ref()?, e))).collect();
        let itself = match self.registries.iter().find(own) {
            Some(endpoint) => target(server(registry), endpoint),
            None => {
                let scheme = if is_loopback(registry) { "http" } else { "https" };
                Target { base: format!("{scheme}://{}", server(registry)), insecure: false, ca: None }
            }
        };
        if !targets.iter().any(|target| target.base == itself.base) {
            targets.push(itself);
        }
        targets
    }

    /// Whether a host is reached without the proxy.
    pub(super) fn is_direct(&self, host: &str) -> bool {
        let address: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
        let listed = |entry: &String| {
            if let (Some(address), Ok(range)) = (address, entry.parse::<IpNet>()) {
                return range.contains(&address);
            }
            let suffix = entry.trim_start_matches('.');
            host == suffix || host.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'))
        };
        is_loopback(host) || self.no_proxy.iter().any(listed)
    }
}

fn target(address: &str, endpoint: &RegistryEndpoint) -> Target {
    let address = address.trim_end_matches('/');
    let base = match (address.contains("://"), endpoint.insecure) {
        (true, _) => address.to_owned(),
        (false, true) => format!("http://{address}"),
        (false, false) => format!("https://{address}"),
    };
    Target { base, insecure: endpoint.insecure, ca: endpoint.ca.clone() }
}

/// The host that serves a registry; only one registry's differs from its name.
fn server(registry: &str) -> &str {
    if registry == "docker.io" { "registry-1.docker.io" } else { registry }
}

fn is_loopback(registry: &str) -> bool {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => registry,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bases(options: &RegistryOptions, registry: &str) -> Vec<String> {
        options.targets(registry).into_iter().map(|target| target.base).collect()
    }

    #[test]
    fn mirrors_come_before_the_registry() {
        let registries = vec![
            RegistryEndpoint {
                host: "*".into(),
                endpoint: Some("http://m:5000/".into()),
                ..Default::default()
            },
            RegistryEndpoint { host: "r.io".into(), endpoint: Some("own.m".into()), ..Default::default() },
            RegistryEndpoint { host: "10.0.0.1:5000".into(), insecure: true, ..Default::default() },
        ];
        let options = RegistryOptions { registries, ..Default::default() };
        assert_eq!(bases(&options, "r.io"), ["https://own.m", "http://m:5000", "https://r.io"]);
        assert_eq!(bases(&options, "10.0.0.1:5000"), ["http://m:5000", "http://10.0.0.1:5000"]);
        assert_eq!(bases(&options, "docker.io"), ["http://m:5000", "https://registry-1.docker.io"]);
    }

    #[test]
    fn this_machine_is_spoken_to_in_the_clear_and_without_proxy() {
        let options = RegistryOptions { no_proxy: vec![".corp".into()], ..Default::default() };
        for host in ["localhost:5000", "127.0.0.1:5000", "[::1]:5000"] {
            assert_eq!(bases(&options, host), [format!("http://{host}")]);
            assert!(options.is_direct(host));
        }
        let ranges = RegistryOptions { no_proxy: vec!["10.243.0.0/24".into()], ..Default::default() };
        assert!(ranges.is_direct("10.243.0.1") && !ranges.is_direct("10.244.0.1"));
        assert!(options.is_direct("a.corp") && !options.is_direct("acorp") && !options.is_direct("r.io"));
    }
}
