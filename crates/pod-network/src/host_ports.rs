//! Ports of the node that lead to pods (`hostPort`), as maps of nftables.
//!
//! The table is a function of what all pods of the node ask for, and is replaced as a whole in one transaction: there
//! are few such pods on a node, and connections that exist go on. What they ask for is kept in one file for each pod,
//! so that a kubelet that was killed at any instant finds it again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs, io,
    net::Ipv4Addr,
    path::PathBuf,
};

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::{Error, namespace::blocking, nft, sysctl};

const TABLE: &str = "gantry-host-ports";
const TEMPORARY: &str = ".new";

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "they are called what they are")]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// One port of the node that leads to a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostPort {
    /// Its protocol.
    pub protocol: Protocol,
    /// The node's address at which it is reached; all of them when absent.
    pub host_ip: Option<Ipv4Addr>,
    /// The node's port.
    pub host_port: u16,
    /// The pod's port.
    pub pod_port: u16,
}

/// What one pod asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    address: Ipv4Addr,
    ports: Vec<HostPort>,
}

/// The ports of a node that lead to pods, acting in the network namespace of the calling process.
#[derive(Debug)]
pub struct HostPorts {
    dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    claims: BTreeMap<String, Claim>,
    /// Whether the kernel is known to have what the claims say.
    loaded: bool,
}

impl HostPorts {
    /// Reads what a predecessor kept in `dir`. Its rules stay as they are until the first change, or until
    /// [`Self::retain`] finds them to be wrong.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, Error> {
        let dir = dir.into();
        fs::create_dir_all(&dir).map_err(Error::path("create", &dir))?;
        let mut claims = BTreeMap::new();
        for entry in fs::read_dir(&dir).map_err(Error::path("list", &dir))? {
            let path = entry.map_err(Error::path("list", &dir))?.path();
            let Some(pod) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if pod.starts_with(TEMPORARY) {
                continue;
            }
            let bytes = fs::read(&path).map_err(Error::path("read", &path))?;
            match serde_json::from_slice(&bytes) {
                Ok(claim) => drop(claims.insert(pod.to_owned(), claim)),
                // The pod claims its ports again when the kubelet looks after it.
                Err(error) => tracing::warn!(%error, path = %path.display(), "host ports not readable"),
            }
        }
        Ok(Self { dir, state: Mutex::new(State { claims, loaded: false }) })
    }

    /// Leads these ports to a pod; the same once more changes nothing.
    pub async fn claim(&self, pod: &str, address: Ipv4Addr, ports: Vec<HostPort>) -> Result<(), Error> {
        let claim = Claim { address, ports };
        let mut state = self.state.lock().await;
        if state.loaded && state.claims.get(pod) == Some(&claim) {
            return Ok(());
        }
        let (path, new) = (self.dir.join(pod), self.dir.join(format!("{TEMPORARY}-{pod}")));
        let text = serde_json::to_vec(&claim).map_err(|error| Error::path("write", &path)(error.into()))?;
        fs::write(&new, text).map_err(Error::path("write", &new))?;
        fs::rename(&new, &path).map_err(Error::path("rename", &new))?;
        state.claims.insert(pod.to_owned(), claim);
        load(&mut state).await
    }

    /// Gives a pod's ports back; no error when it has none.
    pub async fn release(&self, pod: &str) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        if !state.claims.contains_key(pod) {
            return Ok(());
        }
        let claim = state.claims.remove(pod);
        if let Err(error) = load(&mut state).await {
            // So that it is tried again.
            state.claims.extend(claim.map(|claim| (pod.to_owned(), claim)));
            return Err(error);
        }
        self.forget(pod)
    }

    /// Gives back the ports of all pods that are not in `live`, after a restart of the kubelet.
    pub async fn retain(&self, live: &BTreeSet<String>) -> Result<(), Error> {
        let mut state = self.state.lock().await;
        let stale: Vec<String> = state.claims.keys().filter(|pod| !live.contains(*pod)).cloned().collect();
        state.claims.retain(|pod, _| live.contains(pod));
        load(&mut state).await?;
        stale.iter().try_for_each(|pod| self.forget(pod))
    }

    fn forget(&self, pod: &str) -> Result<(), Error> {
        let path = self.dir.join(pod);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::path("remove", &path)(error)),
            _ => Ok(()),
        }
    }
}

/// Brings the kernel to what the claims say.
async fn load(state: &mut State) -> Result<(), Error> {
    state.loaded = false;
    let script = script(&state.claims);
    let needed = !state.claims.is_empty();
    blocking(move || {
        if needed {
            // 127.0.0.1:hostPort; packets from outside to 127.0.0.0/8 are dropped by a rule instead.
            sysctl::set("net.ipv4.conf.all.route_localnet", "1")?;
        }
        nft::load(&script)
    })
    .await?;
    state.loaded = true;
    Ok(())
}

/// The transaction that makes the table what the claims say; without any there is no table.
fn script(claims: &BTreeMap<String, Claim>) -> String {
    let mut text = format!("add table ip {TABLE}\ndelete table ip {TABLE}\n");
    let wanted: Vec<(Ipv4Addr, HostPort)> =
        claims.values().flat_map(|claim| claim.ports.iter().map(|port| (claim.address, *port))).collect();
    if wanted.is_empty() {
        return text;
    }
    let mut maps = String::new();
    let mut dispatch = String::new();
    for protocol in Protocol::ALL {
        let name = protocol.name();
        let mut anywhere = BTreeMap::new();
        let mut somewhere = BTreeMap::new();
        for (address, port) in wanted.iter().filter(|(_, port)| port.protocol == protocol) {
            let target = format!("{address} . {}", port.pod_port);
            // The scheduler sees to it that no two pods ask for the same; were it to happen, the first has it.
            match port.host_ip {
                None => anywhere.entry(port.host_port.to_string()).or_insert(target),
                Some(ip) => somewhere.entry(format!("{ip} . {}", port.host_port)).or_insert(target),
            };
        }
        // Writing to a string cannot fail.
        if !somewhere.is_empty() {
            let elements = elements(&somewhere);
            let _infallible = writeln!(
                maps,
                "  map {name}-ports-at-address {{\n    type ipv4_addr . inet_service : ipv4_addr . inet_service\n    elements = {{ {elements} }}\n  }}"
            );
            let _infallible =
                writeln!(dispatch, "    dnat ip to ip daddr . {name} dport map @{name}-ports-at-address");
        }
        if !anywhere.is_empty() {
            let elements = elements(&anywhere);
            let _infallible = writeln!(
                maps,
                "  map {name}-ports {{\n    type inet_service : ipv4_addr . inet_service\n    elements = {{ {elements} }}\n  }}"
            );
            let _infallible = writeln!(dispatch, "    dnat ip to {name} dport map @{name}-ports");
        }
    }
    let pods: BTreeSet<String> = wanted.iter().map(|(address, _)| format!("{address} . {address}")).collect();
    let pods = pods.into_iter().collect::<Vec<_>>().join(", ");
    let _infallible = write!(
        text,
        r#"table ip {TABLE} {{
  comment "ports of the node that lead to pods"
{maps}  set hairpin {{
    type ipv4_addr . ipv4_addr
    elements = {{ {pods} }}
  }}
  chain dispatch {{
{dispatch}  }}
  chain nat-prerouting {{
    type nat hook prerouting priority dstnat - 1; policy accept;
    fib daddr type local jump dispatch
  }}
  chain nat-output {{
    type nat hook output priority -101; policy accept;
    fib daddr type local jump dispatch
  }}
  chain nat-postrouting {{
    type nat hook postrouting priority srcnat - 1; policy accept;
    ct status dnat ip saddr . ip daddr @hairpin masquerade fully-random
    ct status dnat ip saddr 127.0.0.0/8 masquerade fully-random
  }}
  chain filter-input {{
    type filter hook input priority filter - 10; policy accept;
    iifname != "lo" ip daddr 127.0.0.0/8 ct status & dnat == 0 ct direction original drop
  }}
}}
"#
    );
    text
}

fn elements(map: &BTreeMap<String, String>) -> String {
    map.iter().map(|(key, value)| format!("{key} : {value}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(protocol: Protocol, host_ip: Option<&str>, host_port: u16) -> HostPort {
        HostPort { protocol, host_ip: host_ip.map(|ip| ip.parse().unwrap()), host_port, pod_port: 80 }
    }

    #[test]
    fn the_table_says_what_pods_ask_for() {
        assert_eq!(
            script(&BTreeMap::new()),
            "add table ip gantry-host-ports\ndelete table ip gantry-host-ports\n"
        );
        let claim = |address: &str, ports| Claim { address: address.parse().unwrap(), ports };
        let claims = BTreeMap::from([
            ("a".to_owned(), claim("10.0.0.2", vec![port(Protocol::Tcp, None, 8080)])),
            ("b".to_owned(), claim("10.0.0.3", vec![port(Protocol::Tcp, None, 8080)])),
            ("c".to_owned(), claim("10.0.0.4", vec![port(Protocol::Udp, Some("10.1.0.1"), 53)])),
        ]);
        let text = script(&claims);
        assert!(text.contains("elements = { 8080 : 10.0.0.2 . 80 }"), "{text}");
        assert!(text.contains("elements = { 10.1.0.1 . 53 : 10.0.0.4 . 80 }"), "{text}");
        assert!(text.contains("    dnat ip to tcp dport map @tcp-ports\n"), "{text}");
        assert!(text.contains("    dnat ip to ip daddr . udp dport map @udp-ports-at-address\n"), "{text}");
        assert!(!text.contains("@udp-ports\n") && !text.contains("sctp"), "{text}");
    }
}
