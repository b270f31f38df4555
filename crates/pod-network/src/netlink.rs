//! A blocking netlink socket: requests that the kernel acknowledges, and dumps.
//!
//! Setting up a pod is a handful of requests that each take microseconds and must run in a given network
//! namespace. A blocking socket opened by a thread inside that namespace does it with the fewest moving
//! parts; callers run it on a thread that may block.

use std::{io, time::Duration};

use nix::sys::{
    socket::{setsockopt, sockopt},
    time::TimeVal,
};
use rtnetlink::{
    packet_core::{
        NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage,
        NetlinkPayload,
    },
    packet_route::RouteNetlinkMessage,
    sys::{Socket, protocols::NETLINK_ROUTE},
};

/// The kernel answers at once; a wait this long means that it never will.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The kernel fills at most 32 KiB of a dump into one datagram.
const RECEIVE_BUFFER: usize = 64 * 1024;

/// How a request treats what exists already.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mode {
    /// Change or delete what exists.
    Modify,
    /// Create, and fail with `AlreadyExists` when it is there.
    Create,
    /// Create, or replace what is there.
    Replace,
}

impl Mode {
    fn flags(self) -> u16 {
        match self {
            Self::Modify => 0,
            Self::Create => NLM_F_CREATE | NLM_F_EXCL,
            Self::Replace => NLM_F_CREATE | NLM_F_REPLACE,
        }
    }
}

/// A socket bound to the network namespace of the thread that opened it.
pub(crate) struct Connection {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Connection {
    /// Opens a socket in the calling thread's network namespace.
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        let timeout = TimeVal::new(TIMEOUT.as_secs() as i64, 0);
        setsockopt(&socket, sockopt::ReceiveTimeout, &timeout)?;
        Ok(Self { socket, sequence: 0, buffer: Vec::with_capacity(RECEIVE_BUFFER) })
    }

    /// Sends one change and waits for the kernel's verdict on it.
    pub(crate) fn change(&mut self, message: RouteNetlinkMessage, mode: Mode) -> io::Result<()> {
        self.send(message, NLM_F_REQUEST | NLM_F_ACK | mode.flags())?;
        self.receive(|_| {})
    }

    /// Asks for one object.
    pub(crate) fn get(&mut self, message: RouteNetlinkMessage) -> io::Result<RouteNetlinkMessage> {
        let mut found = None;
        self.send(message, NLM_F_REQUEST | NLM_F_ACK)?;
        self.receive(|message| found = Some(message))?;
        found.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
    }

    /// Asks for all objects of a kind.
    pub(crate) fn dump(&mut self, message: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        let mut found = Vec::new();
        self.send(message, NLM_F_REQUEST | NLM_F_DUMP)?;
        self.receive(|message| found.push(message))?;
        Ok(found)
    }

    fn send(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = NetlinkMessage::from(message);
        packet.header.flags = flags;
        packet.header.sequence_number = self.sequence;
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        Ok(())
    }

    /// Reads until the acknowledgement or the end of the dump. Bounded by the receive timeout: every
    /// datagram either brings the end nearer or is the answer to an abandoned request, of which there are none
    /// because each method reads its own answers to the end.
    fn receive(&mut self, mut each: impl FnMut(RouteNetlinkMessage)) -> io::Result<()> {
        loop {
            self.buffer.clear();
            let length = self.socket.recv(&mut self.buffer, 0)?;
            let mut rest = self.buffer.get(..length).unwrap_or_default();
            while !rest.is_empty() {
                let packet = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
                // Messages are padded to four bytes; a zero length would loop forever.
                let size = (packet.header.length as usize).next_multiple_of(4).max(4);
                rest = rest.get(size..).unwrap_or_default();
                if packet.header.sequence_number != self.sequence {
                    continue;
                }
                match packet.payload {
                    NetlinkPayload::InnerMessage(message) => each(message),
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

/// Whether an error says that the object is not there, in any of the ways the kernel says so.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    use nix::errno::Errno;
    error.raw_os_error().is_some_and(|code| {
        matches!(Errno::from_raw(code), Errno::ENODEV | Errno::ENOENT | Errno::ESRCH | Errno::EADDRNOTAVAIL)
    })
}
