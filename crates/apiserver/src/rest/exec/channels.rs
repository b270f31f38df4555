//! The channels inside of a WebSocket: each message begins with the number of its stream.

use bytes::Bytes;
use gantry_api::grpc::node::TerminalSize;
use tokio_tungstenite::tungstenite::Message;

use super::super::upgrade;

/// A subprotocol: how messages are written, and what its channels can say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Protocol {
    /// Its name; empty where the client asks for none.
    pub(super) name: &'static str,
    /// Whether messages are text: the channel a digit, the rest base64.
    base64: bool,
    /// Whether the error channel carries a Status; the older ones carry its text.
    pub(super) status: bool,
    /// Whether the client can end a single channel.
    close: bool,
}

const PROTOCOLS: [Protocol; 6] = [
    Protocol { name: "v5.channel.k8s.io", base64: false, status: true, close: true },
    Protocol { name: "v4.channel.k8s.io", base64: false, status: true, close: false },
    Protocol { name: "v4.base64.channel.k8s.io", base64: true, status: true, close: false },
    Protocol { name: "channel.k8s.io", base64: false, status: false, close: false },
    Protocol { name: "base64.channel.k8s.io", base64: true, status: false, close: false },
    Protocol { name: "", base64: false, status: false, close: false },
];

const STDIN: u8 = 0;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;

/// What the server writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Output {
    Stdout = 1,
    Stderr = 2,
    Error = 3,
}

/// What a client's message means.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Input {
    Stdin(Bytes),
    CloseStdin,
    Resize(TerminalSize),
}

/// A message that means nothing. It is passed over, and the streams go on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Meaningless {
    #[error("channel {0} takes no input")]
    Channel(u8),
    #[error("the message is not base64 behind a digit")]
    Base64,
    #[error("the terminal's size is not {{\"Width\":columns,\"Height\":rows}}")]
    Size,
}

/// A terminal's size as clients write it.
#[derive(serde::Deserialize)]
pub(super) struct Size {
    #[serde(rename = "Width", alias = "width", default)]
    width: u16,
    #[serde(rename = "Height", alias = "height", default)]
    height: u16,
}

impl From<Size> for TerminalSize {
    fn from(size: Size) -> Self {
        Self { width: size.width.into(), height: size.height.into() }
    }
}

impl Protocol {
    /// The one of this name.
    pub(super) fn by_name(name: &str) -> Option<&'static Self> {
        PROTOCOLS.iter().find(|protocol| protocol.name == name)
    }

    /// The names that a client may choose from; the empty one is for who chooses nothing.
    pub(super) fn names() -> [&'static str; PROTOCOLS.len()] {
        PROTOCOLS.each_ref().map(|protocol| protocol.name)
    }

    /// Reads a message; an empty one says nothing.
    pub(super) fn decode(&self, message: &Bytes) -> Result<Option<Input>, Meaningless> {
        if message.is_empty() {
            return Ok(None);
        }
        let (channel, data) = upgrade::decode(self.base64, message).ok_or(Meaningless::Base64)?;
        match channel {
            STDIN => Ok((!data.is_empty()).then_some(Input::Stdin(data))),
            RESIZE => {
                let size: Size = serde_json::from_slice(&data).map_err(|_| Meaningless::Size)?;
                Ok(Some(Input::Resize(size.into())))
            }
            CLOSE if self.close => match &*data {
                [STDIN] => Ok(Some(Input::CloseStdin)),
                // The other channels are the server's to end.
                _ => Ok(None),
            },
            other => Err(Meaningless::Channel(other)),
        }
    }

    /// Writes a message.
    pub(super) fn encode(&self, channel: Output, data: &[u8]) -> Message {
        upgrade::encode(self.base64, channel as u8, data)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn protocol(name: &str) -> &'static Protocol {
        Protocol::by_name(name).unwrap()
    }

    #[test]
    fn input_is_told_by_its_channel() {
        let v5 = protocol("v5.channel.k8s.io");
        let read = |bytes: &[u8]| v5.decode(&Bytes::copy_from_slice(bytes));
        assert_eq!(read(b""), Ok(None));
        assert_eq!(read(b"\0"), Ok(None));
        assert_eq!(read(b"\0hi"), Ok(Some(Input::Stdin("hi".into()))));
        let size = TerminalSize { width: 80, height: 24 };
        assert_eq!(read(b"\x04{\"Width\":80,\"Height\":24}"), Ok(Some(Input::Resize(size))));
        assert_eq!(read(b"\x04{\"Width\":-1}"), Err(Meaningless::Size));
        assert_eq!(read(b"\xff\0"), Ok(Some(Input::CloseStdin)));
        assert_eq!(read(b"\xff\x01"), Ok(None));
        assert_eq!(read(b"\x01x"), Err(Meaningless::Channel(1)));
    }

    #[test]
    fn a_channel_ends_in_the_fifth_version_only() {
        let closing = Bytes::from_static(b"\xff\0");
        assert_eq!(protocol("v4.channel.k8s.io").decode(&closing), Err(Meaningless::Channel(255)));
    }

    #[test]
    fn base64_is_text() {
        let text = protocol("v4.base64.channel.k8s.io");
        assert_eq!(text.encode(Output::Stdout, b"hi"), Message::text("1aGk="));
        assert_eq!(text.decode(&"0aGk=".into()), Ok(Some(Input::Stdin("hi".into()))));
        assert_eq!(text.decode(&"0a".into()), Err(Meaningless::Base64));
        assert_eq!(text.decode(&"\0aGk=".into()), Err(Meaningless::Base64));
        assert_eq!(protocol("v4.channel.k8s.io").encode(Output::Error, b"x"), Message::binary(&b"\x03x"[..]));
    }

    proptest! {
        #[test]
        fn no_message_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            for protocol in &PROTOCOLS {
                let _ = protocol.decode(&Bytes::copy_from_slice(&bytes));
            }
        }
    }
}
