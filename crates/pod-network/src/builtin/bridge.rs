//! The node's side: the bridge, forwarding, masquerading, and routes that keep cluster addresses inside.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use rtnetlink::{
    LinkBridge, LinkMessageBuilder, LinkUnspec, RouteMessageBuilder,
    packet_route::{RouteNetlinkMessage, route::RouteType},
};

use super::{
    Config, hardware_address,
    links::{self, Link},
    overlay, routes,
};
use crate::{
    Error,
    netlink::{Connection, Mode, is_absent},
    nft, sysctl,
};

/// Second byte of the hardware addresses of pods and bridges.
pub(super) const POD_PREFIX: u8 = 0x58;
/// The table of our own masquerading rules.
const TABLE: &str = "gantry-pods";
/// Guard routes lose against every other route.
const GUARD_METRIC: u32 = u32::MAX - 1;

/// Makes the node's side as it should be and returns the pods' MTU.
pub(super) fn ensure(config: &Config, gateway: Ipv4Addr) -> Result<u32, Error> {
    let mut connection = links::open()?;
    let mtu = match config.mtu {
        Some(mtu) => mtu,
        None => detect_mtu(&mut connection, config.node_ip)?,
    };
    let link = ensure_bridge(&mut connection, config, gateway, mtu)?;
    sysctls(config)?;
    nft::load(&masquerade(config))?;
    guard_routes(&mut connection, config, &link)?;
    Ok(mtu)
}

/// Removes what [`ensure`] made.
pub(super) fn remove(config: &Config) -> Result<(), Error> {
    let mut connection = links::open()?;
    links::delete(&mut connection, overlay::DEVICE)?;
    links::delete(&mut connection, &config.bridge)?;
    let guard = routes::route(config.cluster_cidr).kind(RouteType::BlackHole).priority(GUARD_METRIC).build();
    match connection.change(RouteNetlinkMessage::DelRoute(guard), Mode::Modify) {
        Err(error) if !is_absent(&error) => return Err(Error::netlink("remove the guard route")(error)),
        _ => {}
    }
    nft::load(&format!("add table ip {TABLE}\ndelete table ip {TABLE}\n"))
}

/// Room for a VXLAN header is left even while every node is on one link: pods outlive changes of routing.
fn detect_mtu(connection: &mut Connection, node_ip: Ipv4Addr) -> Result<u32, Error> {
    let addresses = links::addresses(connection)?;
    let own = addresses
        .iter()
        .find(|address| address.net.addr() == node_ip)
        .ok_or(Error::NodeAddressMissing(node_ip))?;
    let uplink = links::list(connection)?.into_iter().find(|link| link.index == own.index);
    let mtu = uplink.map_or(1500, |link| link.mtu);
    Ok(mtu.min(u32::from(u16::MAX)).saturating_sub(overlay::OVERHEAD).max(576))
}

fn ensure_bridge(
    connection: &mut Connection,
    config: &Config,
    gateway: Ipv4Addr,
    mtu: u32,
) -> Result<Link, Error> {
    let name = &config.bridge;
    // A fixed hardware address: by default a bridge takes that of its lowest port, which comes and goes.
    let address = hardware_address(POD_PREFIX, gateway);
    let create = LinkBridge::new(name).mtu(mtu).address(address.clone()).build();
    match connection.change(RouteNetlinkMessage::NewLink(create), Mode::Create) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let update = LinkMessageBuilder::<LinkUnspec>::default()
                .name(name.clone())
                .mtu(mtu)
                .address(address)
                .up()
                .build();
            connection
                .change(RouteNetlinkMessage::SetLink(update), Mode::Modify)
                .map_err(Error::netlink(format!("update bridge {name}")))?;
        }
        other => other.map_err(Error::netlink(format!("create bridge {name}")))?,
    }
    let link = links::require(connection, name)?;
    let net = Ipv4Net::new_assert(gateway, config.pod_cidr.prefix_len());
    links::set_address(connection, &link, net)?;
    Ok(link)
}

fn sysctls(config: &Config) -> Result<(), Error> {
    sysctl::set("net.ipv4.ip_forward", "1")?;
    // Pods beside each other talk through the node on purpose; it must not tell them of a shorter way.
    sysctl::set("net.ipv4.conf.all.send_redirects", "0")?;
    sysctl::set(&format!("net/ipv4/conf/{}/send_redirects", config.bridge), "0")?;
    // Answers to 127.0.0.1:nodePort come back from pods over the bridge.
    sysctl::set(&format!("net/ipv4/conf/{}/route_localnet", config.bridge), "1")?;
    sysctl::set_if_present("net.bridge.bridge-nf-call-iptables", "1")
}

/// Pods are known by their own address inside the cluster and by the node's outside of it.
fn masquerade(config: &Config) -> String {
    let Config { pod_cidr, cluster_cidr, .. } = config;
    format!(
        "add table ip {TABLE}\n\
         delete table ip {TABLE}\n\
         table ip {TABLE} {{\n\
         \x20 comment \"pods that talk to addresses outside of the cluster\"\n\
         \x20 chain postrouting {{\n\
         \x20   type nat hook postrouting priority srcnat; policy accept;\n\
         \x20   ip saddr {pod_cidr} ip daddr != {{ {cluster_cidr}, 224.0.0.0/4 }} masquerade fully-random\n\
         \x20 }}\n\
         }}\n"
    )
}

/// A packet to a pod range that no route covers, or to a service that no rule covers, must not follow the
/// default route out of the machine.
fn guard_routes(connection: &mut Connection, config: &Config, bridge: &Link) -> Result<(), Error> {
    let pods = routes::route(config.cluster_cidr).kind(RouteType::BlackHole).priority(GUARD_METRIC).build();
    replace(connection, pods, config.cluster_cidr)?;
    if let Some(range) = config.service_cidr {
        let services: RouteMessageBuilder<Ipv4Addr> = routes::route(range)
            .output_interface(bridge.index)
            .pref_source(config.node_ip)
            .scope(rtnetlink::packet_route::route::RouteScope::Link)
            .priority(GUARD_METRIC);
        replace(connection, services.build(), range)?;
    }
    Ok(())
}

fn replace(
    connection: &mut Connection,
    route: rtnetlink::packet_route::route::RouteMessage,
    range: Ipv4Net,
) -> Result<(), Error> {
    connection
        .change(RouteNetlinkMessage::NewRoute(route), Mode::Replace)
        .map_err(Error::netlink(format!("add a guard route for {range}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipam::gateway;

    #[test]
    fn only_traffic_that_leaves_the_cluster_is_masqueraded() {
        let config = Config::new(
            Ipv4Addr::new(10, 243, 0, 11),
            "10.244.1.0/24".parse().unwrap(),
            "10.244.0.0/16".parse().unwrap(),
            "/nowhere",
        );
        let rules = masquerade(&config);
        assert!(
            rules.contains("ip saddr 10.244.1.0/24 ip daddr != { 10.244.0.0/16, 224.0.0.0/4 } masquerade")
        );
        assert_eq!(gateway(config.pod_cidr).unwrap(), Ipv4Addr::new(10, 244, 1, 1));
    }
}
