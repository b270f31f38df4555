//! Routes to other nodes' pods: what the kernel has, and carrying out the plan.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use rtnetlink::{
    RouteMessageBuilder,
    packet_route::{
        RouteNetlinkMessage,
        route::{RouteAddress, RouteAttribute, RouteMessage, RouteProtocol},
    },
};

use super::{
    Config,
    links::{self, LocalAddress},
    overlay,
    plan::{Step, Table, Way, decide, steps},
};
use crate::{
    Error, NodeRoute,
    netlink::{Connection, Mode, is_absent},
};

/// Marks routes as ours in the kernel, so that no record of them is needed elsewhere ('G').
const PROTOCOL: RouteProtocol = RouteProtocol::Other(0x47);

/// A route of ours to `range`, to be completed.
pub(super) fn route(range: Ipv4Net) -> RouteMessageBuilder<Ipv4Addr> {
    RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix(range.network(), range.prefix_len())
        .protocol(PROTOCOL)
}

/// Makes the kernel's routes to other nodes' pods exactly these.
pub(super) fn sync(config: &Config, routes: &[NodeRoute]) -> Result<(), Error> {
    let mut connection = links::open()?;
    let overlay = links::find(&mut connection, overlay::DEVICE)?;
    let bridge = links::find(&mut connection, &config.bridge)?;
    let local = links::addresses(&mut connection)?;
    // Loopback, pods and the tunnel are no links that another node could be on.
    let uplinks: Vec<LocalAddress> = local
        .into_iter()
        .filter(|address| !address.net.addr().is_loopback() && address.net.prefix_len() < 32)
        .filter(|address| {
            [&overlay, &bridge]
                .iter()
                .all(|link| link.as_ref().is_none_or(|link| link.index != address.index))
        })
        .collect();
    let nets: Vec<Ipv4Net> = uplinks.iter().map(|address| address.net).collect();
    let wanted = decide(&nets, config.pod_cidr, routes);
    let present = present(&mut connection, overlay.as_ref().map(|link| link.index))?;
    let planned = steps(&present, &wanted);
    if planned.is_empty() {
        return Ok(());
    }
    tracing::info!(steps = planned.len(), nodes = wanted.len(), "changing routes to other nodes' pods");
    let tunnel = if wanted.values().any(|way| matches!(way, Way::Tunnel(_))) {
        Some(overlay::ensure(&mut connection, config)?)
    } else {
        overlay
    };
    for step in planned {
        match (step, &tunnel) {
            (Step::Set(range, Way::Direct(node)), _) => {
                set(&mut connection, route(range).gateway(node).build(), range)?;
                if let (Some(Way::Tunnel(_)), Some(tunnel)) = (present.get(&range), &tunnel) {
                    overlay::forget(&mut connection, tunnel, range)?;
                }
            }
            (Step::Set(range, Way::Tunnel(node)), Some(tunnel)) => {
                let message = overlay::learn(&mut connection, tunnel, range, node)?;
                set(&mut connection, message, range)?;
            }
            (Step::Remove(range, way), tunnel) => {
                remove(&mut connection, range)?;
                if let (Way::Tunnel(_), Some(tunnel)) = (way, tunnel) {
                    overlay::forget(&mut connection, tunnel, range)?;
                }
            }
            // `tunnel` exists whenever a way leads through it.
            (Step::Set(_, Way::Tunnel(_)), None) => {}
        }
    }
    if !wanted.values().any(|way| matches!(way, Way::Tunnel(_))) {
        links::delete(&mut connection, overlay::DEVICE)?;
    }
    Ok(())
}

/// The routes with a next hop that carry our mark. What is in the tunnel is read back as the node that its
/// neighbour entry names, so a wrong or missing entry shows as a difference.
fn present(connection: &mut Connection, overlay: Option<u32>) -> Result<Table, Error> {
    let query = RouteMessageBuilder::<Ipv4Addr>::new().build();
    let found =
        connection.dump(RouteNetlinkMessage::GetRoute(query)).map_err(Error::netlink("list routes"))?;
    let peers = match overlay {
        Some(index) => overlay::peers(connection, index)?,
        None => Default::default(),
    };
    let mut table = Table::new();
    for message in &found {
        let RouteNetlinkMessage::NewRoute(message) = message else { continue };
        if let Some((range, gateway, interface)) = our_route(message) {
            let way = if Some(interface) == overlay {
                Way::Tunnel(peers.get(&gateway).copied().unwrap_or(Ipv4Addr::UNSPECIFIED))
            } else {
                Way::Direct(gateway)
            };
            table.insert(range, way);
        }
    }
    Ok(table)
}

fn our_route(message: &RouteMessage) -> Option<(Ipv4Net, Ipv4Addr, u32)> {
    if message.header.protocol != PROTOCOL {
        return None;
    }
    let (mut destination, mut gateway, mut interface) = (None, None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => destination = Some(*address),
            RouteAttribute::Gateway(RouteAddress::Inet(address)) => gateway = Some(*address),
            RouteAttribute::Oif(index) => interface = Some(*index),
            _ => {}
        }
    }
    let range = Ipv4Net::new(destination?, message.header.destination_prefix_length).ok()?;
    Some((range, gateway?, interface?))
}

fn set(connection: &mut Connection, message: RouteMessage, range: Ipv4Net) -> Result<(), Error> {
    connection
        .change(RouteNetlinkMessage::NewRoute(message), Mode::Replace)
        .map_err(Error::netlink(format!("set the route to pods {range}")))
}

fn remove(connection: &mut Connection, range: Ipv4Net) -> Result<(), Error> {
    match connection.change(RouteNetlinkMessage::DelRoute(route(range).build()), Mode::Modify) {
        Err(error) if !is_absent(&error) => {
            Err(Error::netlink(format!("remove the route to pods {range}"))(error))
        }
        _ => Ok(()),
    }
}
