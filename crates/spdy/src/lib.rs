//! SPDY/3.1 as the server of it: what kubectl and client-go speak to the streams of pods.
//!
//! The protocol is long dead elsewhere, so no library that is looked after speaks it. Only what those clients use is
//! here: streams that the client opens, data both ways, half-closed and reset streams, pings and the leave. Settings and
//! windows are passed over, as the clients pass them over: how much is on its way is bounded by the connection itself
//! and by the short queue of each stream.
//!
//! - [`frame`]: bytes to frames and back, piece by piece, so that a long frame is never held as a whole;
//! - [`headers`]: blocks of headers, compressed over the life of a connection with a dictionary that both sides know;
//! - [`accept`]: a connection and its [`Stream`]s.

mod connection;
mod dictionary;
pub mod frame;
pub mod headers;
mod stream;

pub use connection::{Closer, Incoming, accept};
pub use stream::{Gone, Input, Output, Stream};

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The other side breaks the protocol.
    #[error("SPDY: {0}")]
    Protocol(&'static str),
    /// A control frame or a block of headers is longer than is sensible.
    #[error("SPDY: {what} has {length} bytes, at most {limit} are taken")]
    TooLong {
        /// What is.
        what: &'static str,
        /// How long it is.
        length: usize,
        /// How long it may be.
        limit: usize,
    },
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[from] std::io::Error),
}
