//! Finding interfaces and addresses in the network namespace of a connection.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use rtnetlink::{
    LinkUnspec,
    packet_route::{
        AddressFamily, RouteNetlinkMessage,
        address::{AddressAttribute, AddressMessage},
        link::{LinkAttribute, LinkMessage},
    },
};

use crate::{
    Error,
    netlink::{Connection, Mode, is_absent},
};

/// What matters of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) mtu: u32,
    /// For one end of a veth pair: the other end's index, in its own namespace.
    pub(super) peer: Option<u32>,
}

impl Link {
    fn from_message(message: &LinkMessage) -> Self {
        let mut link = Self { index: message.header.index, name: String::new(), mtu: 0, peer: None };
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                LinkAttribute::Link(peer) => link.peer = Some(*peer),
                _ => {}
            }
        }
        link
    }
}

/// An address and the interface that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LocalAddress {
    pub(super) index: u32,
    pub(super) net: Ipv4Net,
}

pub(super) fn open() -> Result<Connection, Error> {
    Connection::open().map_err(Error::netlink("open a netlink socket"))
}

pub(super) fn find(connection: &mut Connection, name: &str) -> Result<Option<Link>, Error> {
    let query = LinkUnspec::new_with_name(name).build();
    match connection.get(RouteNetlinkMessage::GetLink(query)) {
        Ok(RouteNetlinkMessage::NewLink(message)) => Ok(Some(Link::from_message(&message))),
        Ok(_) => Ok(None),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(Error::netlink(format!("look up interface {name}"))(error)),
    }
}

/// The interface, which must be there.
pub(super) fn require(connection: &mut Connection, name: &str) -> Result<Link, Error> {
    find(connection, name)?
        .ok_or_else(|| Error::netlink(format!("find interface {name}"))(std::io::ErrorKind::NotFound.into()))
}

pub(super) fn list(connection: &mut Connection) -> Result<Vec<Link>, Error> {
    let found = connection
        .dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))
        .map_err(Error::netlink("list interfaces"))?;
    let links = found.iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewLink(link) => Some(Link::from_message(link)),
        _ => None,
    });
    Ok(links.collect())
}

/// Deletes an interface, with its peer if it is a veth; no error when it is not there.
pub(super) fn delete(connection: &mut Connection, name: &str) -> Result<bool, Error> {
    let target = LinkUnspec::new_with_name(name).build();
    match connection.change(RouteNetlinkMessage::DelLink(target), Mode::Modify) {
        Ok(()) => Ok(true),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(Error::netlink(format!("delete interface {name}"))(error)),
    }
}

/// All IPv4 addresses of the namespace.
pub(super) fn addresses(connection: &mut Connection) -> Result<Vec<LocalAddress>, Error> {
    let mut query = AddressMessage::default();
    query.header.family = AddressFamily::Inet;
    let found =
        connection.dump(RouteNetlinkMessage::GetAddress(query)).map_err(Error::netlink("list addresses"))?;
    Ok(found.iter().filter_map(local_address).collect())
}

fn local_address(message: &RouteNetlinkMessage) -> Option<LocalAddress> {
    let RouteNetlinkMessage::NewAddress(message) = message else { return None };
    let address: Ipv4Addr = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(IpAddr::V4(address)) => Some(*address),
        _ => None,
    })?;
    let net = Ipv4Net::new(address, message.header.prefix_len).ok()?;
    Some(LocalAddress { index: message.header.index, net })
}

/// Gives an interface exactly this IPv4 address.
pub(super) fn set_address(connection: &mut Connection, link: &Link, net: Ipv4Net) -> Result<(), Error> {
    let current: Vec<_> =
        addresses(connection)?.into_iter().filter(|address| address.index == link.index).collect();
    if !current.iter().any(|address| address.net == net) {
        add_address(connection, link, net)?;
    }
    for other in current.iter().filter(|address| address.net != net) {
        let message = address_message(link.index, other.net);
        connection
            .change(RouteNetlinkMessage::DelAddress(message), Mode::Modify)
            .map_err(Error::netlink(format!("remove {} from {}", other.net, link.name)))?;
    }
    Ok(())
}

/// Adds an address, unless the interface has it already.
pub(super) fn add_address(connection: &mut Connection, link: &Link, net: Ipv4Net) -> Result<(), Error> {
    let message = address_message(link.index, net);
    connection
        .change(RouteNetlinkMessage::NewAddress(message), Mode::Replace)
        .map_err(Error::netlink(format!("give {net} to {}", link.name)))
}

fn address_message(index: u32, net: Ipv4Net) -> AddressMessage {
    rtnetlink::AddressMessageBuilder::<Ipv4Addr>::new()
        .index(index)
        .address(net.addr(), net.prefix_len())
        .build()
}
