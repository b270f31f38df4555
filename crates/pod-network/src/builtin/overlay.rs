//! The VXLAN tunnel to nodes that share no link with this one.
//!
//! Nothing is learned or flooded: each peer has a permanent neighbour entry (the network address of its pod
//! range stands for it inside the tunnel) and a permanent forwarding entry. A node's hardware address inside
//! the tunnel is derived from its IP address, so nodes need not tell each other.

use std::{collections::BTreeMap, net::Ipv4Addr};

use ipnet::Ipv4Net;
use rtnetlink::{
    LinkVxlan,
    packet_route::{
        AddressFamily, RouteNetlinkMessage,
        neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState},
        route::RouteMessage,
    },
};

use super::{
    Config, hardware_address,
    links::{self, Link},
    routes,
};
use crate::{
    Error,
    netlink::{Connection, Mode, is_absent},
};

/// The tunnel's interface.
pub(super) const DEVICE: &str = "gantry-vxlan";
/// What VXLAN over IPv4 adds to a packet.
pub(super) const OVERHEAD: u32 = 50;
/// Second byte of the hardware addresses inside the tunnel.
const PREFIX: u8 = 0x59;
const VNI: u32 = 1;
/// IANA's port for VXLAN.
const PORT: u16 = 4789;

/// Creates the tunnel's interface, if it is not there, and gives it its address.
pub(super) fn ensure(connection: &mut Connection, config: &Config) -> Result<Link, Error> {
    let uplink = links::addresses(connection)?
        .into_iter()
        .find(|address| address.net.addr() == config.node_ip)
        .ok_or(Error::NodeAddressMissing(config.node_ip))?;
    let create = LinkVxlan::new(DEVICE, VNI)
        .dev(uplink.index)
        .local(config.node_ip)
        .port(PORT)
        .learning(false)
        .address(hardware_address(PREFIX, config.node_ip))
        .up()
        .build();
    match connection.change(RouteNetlinkMessage::NewLink(create), Mode::Create) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        other => other.map_err(Error::netlink(format!("create tunnel {DEVICE}")))?,
    }
    let link = links::require(connection, DEVICE)?;
    // The source address of what the node itself sends into the tunnel: pods of other nodes can answer it.
    links::set_address(connection, &link, Ipv4Net::from(config.pod_cidr.network()))?;
    Ok(link)
}

/// Makes the node known to the tunnel and returns the route to its pods.
pub(super) fn learn(
    connection: &mut Connection,
    tunnel: &Link,
    range: Ipv4Net,
    node: Ipv4Addr,
) -> Result<RouteMessage, Error> {
    let hardware = hardware_address(PREFIX, node);
    let entries = [neighbour(tunnel, range, Some(&hardware)), forwarding(tunnel, &hardware, Some(node))];
    for entry in entries {
        connection
            .change(RouteNetlinkMessage::NewNeighbour(entry), Mode::Replace)
            .map_err(Error::netlink(format!("add node {node} to tunnel {DEVICE}")))?;
    }
    Ok(routes::route(range).output_interface(tunnel.index).gateway(range.network()).onlink().build())
}

/// Removes whatever node stands for a pod range.
pub(super) fn forget(connection: &mut Connection, tunnel: &Link, range: Ipv4Net) -> Result<(), Error> {
    let Some(node) = peers(connection, tunnel.index)?.remove(&range.network()) else { return Ok(()) };
    let entries = [neighbour(tunnel, range, None), forwarding(tunnel, &hardware_address(PREFIX, node), None)];
    for entry in entries {
        match connection.change(RouteNetlinkMessage::DelNeighbour(entry), Mode::Modify) {
            Err(error) if !is_absent(&error) => {
                return Err(Error::netlink(format!("remove node {node} from tunnel {DEVICE}"))(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The nodes in the tunnel, by the network address of their pod range.
pub(super) fn peers(connection: &mut Connection, tunnel: u32) -> Result<BTreeMap<Ipv4Addr, Ipv4Addr>, Error> {
    let mut query = NeighbourMessage::default();
    query.header.family = AddressFamily::Inet;
    let found = connection
        .dump(RouteNetlinkMessage::GetNeighbour(query))
        .map_err(Error::netlink("list neighbours"))?;
    let peers = found.iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewNeighbour(entry) if entry.header.ifindex == tunnel => peer(entry),
        _ => None,
    });
    Ok(peers.collect())
}

fn peer(entry: &NeighbourMessage) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let (mut address, mut node) = (None, None);
    for attribute in &entry.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(found)) => address = Some(*found),
            NeighbourAttribute::LinkLayerAddress(hardware) => {
                let octets: Option<[u8; 4]> = hardware.get(2..).and_then(|tail| tail.try_into().ok());
                node = octets.map(Ipv4Addr::from);
            }
            _ => {}
        }
    }
    Some((address?, node?))
}

fn neighbour(tunnel: &Link, range: Ipv4Net, hardware: Option<&[u8]>) -> NeighbourMessage {
    let mut entry = NeighbourMessage::default();
    entry.header.family = AddressFamily::Inet;
    entry.header.ifindex = tunnel.index;
    entry.header.state = NeighbourState::Permanent;
    entry.attributes.push(NeighbourAttribute::Destination(NeighbourAddress::Inet(range.network())));
    entry.attributes.extend(hardware.map(|bytes| NeighbourAttribute::LinkLayerAddress(bytes.to_vec())));
    entry
}

fn forwarding(tunnel: &Link, hardware: &[u8], node: Option<Ipv4Addr>) -> NeighbourMessage {
    let mut entry = NeighbourMessage::default();
    entry.header.family = AddressFamily::Bridge;
    entry.header.ifindex = tunnel.index;
    entry.header.state = NeighbourState::Permanent;
    entry.header.flags = NeighbourFlags::Own;
    entry.attributes.push(NeighbourAttribute::LinkLayerAddress(hardware.to_vec()));
    entry.attributes.extend(node.map(|node| NeighbourAttribute::Destination(NeighbourAddress::Inet(node))));
    entry
}
