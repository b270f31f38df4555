//! A pod's own interface: a veth pair with one end on the bridge and `eth0` in the pod.

use std::{collections::BTreeSet, fs::File, io, net::Ipv4Addr, os::fd::AsRawFd, path::Path};

use ipnet::Ipv4Net;
use rtnetlink::{
    LinkBridgePort, LinkMessageBuilder, LinkUnspec, LinkVeth,
    packet_route::{
        RouteNetlinkMessage,
        link::{InfoData, InfoVeth, LinkMessage},
    },
};
use sha2::{Digest as _, Sha256};

use super::{
    Node,
    bridge::POD_PREFIX,
    hardware_address,
    links::{self, Link},
    routes,
};
use crate::{
    Error,
    namespace::run_in,
    netlink::{Connection, Mode, is_absent},
};

const POD_INTERFACE: &str = "eth0";
/// Names of the node's ends start like this; `retain` removes what has such a name and no pod.
const PREFIX: &str = "gp";

/// The name of the node's end: at most 15 characters, the same for the same pod.
fn host_name(pod: &str) -> String {
    let digest = Sha256::digest(pod.as_bytes());
    digest.iter().take(6).fold(PREFIX.to_owned(), |name, byte| format!("{name}{byte:02x}"))
}

/// Connects the pod's namespace to the bridge, or repairs the connection.
pub(super) fn connect(node: &Node, pod: &str, address: Ipv4Addr, namespace: &Path) -> Result<(), Error> {
    let mut host = links::open()?;
    let bridge = links::require(&mut host, &node.config.bridge)?;
    let mut inside = run_in(namespace, links::open)?;
    let name = host_name(pod);
    let file = File::open(namespace).map_err(Error::path("open the network namespace", namespace))?;
    let pair = veth_pair(node, &name, &bridge, address, &file);
    match host.change(RouteNetlinkMessage::NewLink(pair.clone()), Mode::Create) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if !is_pair(&mut host, &mut inside, &name)? {
                links::delete(&mut host, &name)?;
                links::delete(&mut inside, POD_INTERFACE)?;
                host.change(RouteNetlinkMessage::NewLink(pair), Mode::Create)
                    .map_err(Error::netlink(format!("create veth pair {name}")))?;
            }
        }
        other => other.map_err(Error::netlink(format!("create veth pair {name}")))?,
    }
    // A pod that reaches itself through a service leaves by the port that it came in on. A pair that was
    // found may be down, after a disconnection that was not the end.
    let hairpin = LinkMessageBuilder::<LinkBridgePort>::default()
        .name(name.clone())
        .up()
        .set_port_kind(rtnetlink::packet_route::link::InfoPortKind::Bridge)
        .hairpin(true)
        .build();
    host.change(RouteNetlinkMessage::NewLink(hairpin), Mode::Modify)
        .map_err(Error::netlink(format!("turn hairpin mode on for {name}")))?;
    configure_pod(&mut inside, node.gateway, address)
}

/// Both ends in one request: the kernel puts the peer straight into the pod's namespace. The peer cannot be
/// up yet, because it is configured before the two know each other.
fn veth_pair(node: &Node, name: &str, bridge: &Link, address: Ipv4Addr, namespace: &File) -> LinkMessage {
    let peer = LinkMessageBuilder::<LinkUnspec>::default()
        .name(POD_INTERFACE)
        .address(hardware_address(POD_PREFIX, address))
        .mtu(node.mtu)
        .setns_by_fd(namespace.as_raw_fd())
        .build();
    LinkVeth::new(name, POD_INTERFACE)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .mtu(node.mtu)
        .controller(bridge.index)
        .up()
        .build()
}

/// Whether the node's end and the pod's end exist and belong together.
fn is_pair(host: &mut Connection, inside: &mut Connection, name: &str) -> Result<bool, Error> {
    let (outer, inner) = (links::find(host, name)?, links::find(inside, POD_INTERFACE)?);
    Ok(matches!((outer, inner), (Some(outer), Some(inner))
        if outer.peer == Some(inner.index) && inner.peer == Some(outer.index)))
}

fn configure_pod(inside: &mut Connection, gateway: Ipv4Addr, address: Ipv4Addr) -> Result<(), Error> {
    let link = links::require(inside, POD_INTERFACE)?;
    let up = LinkUnspec::new_with_index(link.index).up().build();
    inside
        .change(RouteNetlinkMessage::SetLink(up), Mode::Modify)
        .map_err(Error::netlink("set the pod's interface up"))?;
    links::set_address(inside, &link, Ipv4Net::from(address))?;
    let default = routes::route(Ipv4Net::default())
        .output_interface(link.index)
        .gateway(gateway)
        // The gateway is outside of the pod's /32.
        .onlink()
        .build();
    inside
        .change(RouteNetlinkMessage::NewRoute(default), Mode::Replace)
        .map_err(Error::netlink("add the pod's default route"))
}

/// Cuts the pod off at once; no error when it is not connected. The kernel takes tens of milliseconds, during
/// which nobody else can change any interface, to delete a pair, but deletes those of ended namespaces in
/// batches by itself. So the pair is only set down here, and ends with the pod's namespace.
pub(super) fn disconnect(pod: &str) -> Result<(), Error> {
    let name = host_name(pod);
    let down = LinkUnspec::new_with_name(&name).down().build();
    match links::open()?.change(RouteNetlinkMessage::SetLink(down), Mode::Modify) {
        Err(error) if !is_absent(&error) => Err(Error::netlink(format!("set {name} down"))(error)),
        _ => Ok(()),
    }
}

/// Removes the pair; no error when there is none.
pub(super) fn remove(pod: &str) -> Result<(), Error> {
    links::delete(&mut links::open()?, &host_name(pod)).map(drop)
}

/// Removes the interfaces of pods that are not in `live` and returns how many there were.
pub(super) fn remove_orphans(live: &BTreeSet<String>) -> Result<usize, Error> {
    let mut host = links::open()?;
    let wanted: BTreeSet<_> = live.iter().map(|pod| host_name(pod)).collect();
    let mut removed = 0;
    for link in links::list(&mut host)? {
        let ours = link.name.len() == PREFIX.len() + 12 && link.name.starts_with(PREFIX);
        if ours && !wanted.contains(&link.name) && links::delete(&mut host, &link.name)? {
            removed += 1;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_differ() {
        let (one, two) = (host_name("6f1c"), host_name("6f1d"));
        assert_eq!(one.len(), 14);
        assert_ne!(one, two);
        assert_eq!(one, host_name("6f1c"));
    }
}
