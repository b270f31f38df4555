//! Reading and deleting entries of the kernel's connection tracking, over netlink.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddrV4},
};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
    conntrack::{ConntrackAttribute, ConntrackMessage, IPTuple, ProtoTuple, Protocol, Tuple},
};
use netlink_sys::{Socket, protocols::NETLINK_NETFILTER};
use nix::sys::{
    socket::{setsockopt, sockopt},
    time::TimeVal,
};

use super::{Flow, Served, is_local};

/// Seconds within which the kernel answers; it does so at once.
const TIMEOUT: i64 = 10;
const RECEIVE_BUFFER: usize = 64 * 1024;

/// Why stale entries could not be deleted.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} connection tracking entries")]
pub struct Error {
    action: &'static str,
    source: io::Error,
}

/// Deletes the entries of UDP flows that go to former endpoints, and returns how many there were. Blocks.
pub fn delete_stale(served: &Served) -> Result<usize, Error> {
    if served.is_empty() {
        return Ok(0);
    }
    let failed = |action| move |source| Error { action, source };
    let mut socket = Connection::open().map_err(failed("open a socket for"))?;
    let stale = socket.stale(served).map_err(failed("list"))?;
    let mut deleted = 0;
    for entry in stale {
        match socket.delete(entry) {
            Ok(()) => deleted += 1,
            // It ended by itself meanwhile.
            Err(error) if error.raw_os_error() == Some(nix::libc::ENOENT) => {}
            Err(source) => return Err(Error { action: "delete", source }),
        }
    }
    Ok(deleted)
}

struct Connection {
    socket: Socket,
    sequence: u32,
}

impl Connection {
    fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(TIMEOUT, 0))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// The original tuples of stale UDP flows; they identify an entry.
    fn stale(&mut self, served: &Served) -> io::Result<Vec<Vec<Tuple>>> {
        let mut found = Vec::new();
        self.send(ConntrackMessage::Get(Vec::new()), NLM_F_REQUEST | NLM_F_DUMP)?;
        self.receive(|message| {
            if let ConntrackMessage::New(attributes) = message
                && let Some((flow, original)) = udp_flow(attributes)
                && served.is_stale(&flow, is_local)
            {
                found.push(original);
            }
        })?;
        Ok(found)
    }

    fn delete(&mut self, original: Vec<Tuple>) -> io::Result<()> {
        let message = ConntrackMessage::Delete(vec![ConntrackAttribute::CtaTupleOrig(original)]);
        self.send(message, NLM_F_REQUEST | NLM_F_ACK)?;
        self.receive(|_| {})
    }

    fn send(&mut self, message: ConntrackMessage, flags: u16) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let family = NetfilterHeader::new(NetfilterProtoFamily::IPv4, 0, 0);
        let mut packet = NetlinkMessage::new(header, NetfilterMessage::new(family, message).into());
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        Ok(())
    }

    /// Reads until the acknowledgement or the end of the dump; the receive timeout bounds it.
    fn receive(&mut self, mut each: impl FnMut(ConntrackMessage)) -> io::Result<()> {
        let mut buffer = Vec::with_capacity(RECEIVE_BUFFER);
        loop {
            buffer.clear();
            let length = self.socket.recv(&mut buffer, 0)?;
            let mut rest = buffer.get(..length).unwrap_or_default();
            while !rest.is_empty() {
                let packet = NetlinkMessage::<NetfilterMessage>::deserialize(rest)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
                // Messages are padded to four bytes; a zero length would loop forever.
                let size = (packet.header.length as usize).next_multiple_of(4).max(4);
                rest = rest.get(size..).unwrap_or_default();
                if packet.header.sequence_number != self.sequence {
                    continue;
                }
                match packet.payload {
                    NetlinkPayload::InnerMessage(NetfilterMessage {
                        inner: NetfilterMessageInner::Conntrack(message),
                        ..
                    }) => each(message),
                    NetlinkPayload::Done(_) => return Ok(()),
                    NetlinkPayload::Error(error) => {
                        return if error.code.is_none() { Ok(()) } else { Err(error.to_io()) };
                    }
                    _ => {}
                }
            }
        }
    }
}

/// The flow and its original tuple, if it is a UDP flow over IPv4.
fn udp_flow(attributes: Vec<ConntrackAttribute>) -> Option<(Flow, Vec<Tuple>)> {
    let (mut original, mut reply) = (None, None);
    for attribute in attributes {
        match attribute {
            ConntrackAttribute::CtaTupleOrig(tuple) => original = Some(tuple),
            ConntrackAttribute::CtaTupleReply(tuple) => reply = Some(tuple),
            _ => {}
        }
    }
    let (original, reply) = (original?, reply?);
    let (there, back) = (ends(&original)?, ends(&reply)?);
    Some((Flow { destination: there.destination, answerer: back.source }, original))
}

struct Ends {
    source: SocketAddrV4,
    destination: SocketAddrV4,
}

fn ends(tuple: &[Tuple]) -> Option<Ends> {
    let (mut from, mut to): (Option<Ipv4Addr>, Option<Ipv4Addr>) = (None, None);
    let (mut protocol, mut source, mut destination) = (None, None, None);
    for part in tuple {
        match part {
            Tuple::Ip(addresses) => {
                for address in addresses {
                    match address {
                        IPTuple::SourceAddress(IpAddr::V4(ip)) => from = Some(*ip),
                        IPTuple::DestinationAddress(IpAddr::V4(ip)) => to = Some(*ip),
                        _ => {}
                    }
                }
            }
            Tuple::Proto(ports) => {
                for port in ports {
                    match port {
                        ProtoTuple::Protocol(found) => protocol = Some(*found),
                        ProtoTuple::SourcePort(port) => source = Some(*port),
                        ProtoTuple::DestinationPort(port) => destination = Some(*port),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    (protocol? == Protocol::Udp).then_some(())?;
    Some(Ends {
        source: SocketAddrV4::new(from?, source?),
        destination: SocketAddrV4::new(to?, destination?),
    })
}
