//! Frames: bytes to frames and back.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::Error;

/// The longest control frame that is taken.
pub const MAX_CONTROL: usize = 64 * 1024;
/// The longest piece of data that is handed out at once.
pub const MAX_PIECE: usize = 32 * 1024;

const HEAD: usize = 8;
const CONTROL: u16 = 0x8000;
const VERSION: u16 = 3;
const FIN: u8 = 1;
/// Streams and pings have 31 bits; the first belongs to nobody.
const ID: u32 = 0x7fff_ffff;

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;

/// Why a stream is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Cause {
    /// It breaks the protocol.
    Protocol = 1,
    /// It is not taken.
    Refused = 3,
    /// It is not wanted any more.
    Cancel = 5,
    /// The server failed.
    Internal = 6,
}

/// A frame. Headers are still compressed; data may be a piece of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The other side opens a stream.
    Open {
        /// The stream.
        stream: u32,
        /// Whether nothing follows from that side.
        fin: bool,
        /// Compressed headers.
        headers: Bytes,
    },
    /// A stream is taken.
    Reply {
        /// The stream.
        stream: u32,
        /// Whether nothing follows from that side.
        fin: bool,
        /// Compressed headers.
        headers: Bytes,
    },
    /// Further headers of a stream.
    Headers {
        /// The stream.
        stream: u32,
        /// Whether nothing follows from that side.
        fin: bool,
        /// Compressed headers.
        headers: Bytes,
    },
    /// Data of a stream.
    Data {
        /// The stream.
        stream: u32,
        /// Whether nothing follows from that side.
        fin: bool,
        /// The data.
        data: Bytes,
    },
    /// A stream ends both ways.
    Reset {
        /// The stream.
        stream: u32,
        /// Why, see [`Cause`].
        cause: u32,
    },
    /// To be sent back as it is.
    Ping(u32),
    /// The other side takes leave.
    Leave,
    /// What is passed over: settings, windows, and what is not known.
    Other,
}

/// Reads frames.
#[derive(Debug, Default)]
pub struct Decoder {
    /// A frame of data whose rest has not come yet: its stream, whether it is the last, and how much is left.
    open: Option<(u32, bool, usize)>,
}

impl Decoder {
    /// Takes the next frame out of the bytes; none where its rest has not come yet.
    ///
    /// # Errors
    /// Where it is none, or is too long.
    pub fn next(&mut self, bytes: &mut BytesMut) -> Result<Option<Frame>, Error> {
        loop {
            if let Some((stream, fin, left)) = self.open.take() {
                let length = left.min(bytes.len()).min(MAX_PIECE);
                if length == 0 && left > 0 {
                    self.open = Some((stream, fin, left));
                    return Ok(None);
                }
                let data = bytes.split_to(length).freeze();
                let left = left - length;
                if left > 0 {
                    self.open = Some((stream, fin, left));
                }
                let fin = fin && left == 0;
                if data.is_empty() && !fin {
                    continue;
                }
                return Ok(Some(Frame::Data { stream, fin, data }));
            }
            let Some(head) = bytes.first_chunk::<HEAD>() else { return Ok(None) };
            let [a, b, c, d, flags, x, y, z] = *head;
            let length = usize::try_from(u32::from_be_bytes([0, x, y, z])).unwrap_or(usize::MAX);
            let first = u16::from_be_bytes([a, b]);
            if first & CONTROL == 0 {
                bytes.advance(HEAD);
                let stream = u32::from_be_bytes([a, b, c, d]);
                self.open = Some((stream, flags & FIN != 0, length));
                continue;
            }
            if first != CONTROL | VERSION {
                return Err(Error::Protocol("the version is not 3"));
            }
            if length > MAX_CONTROL {
                return Err(Error::TooLong { what: "a control frame", length, limit: MAX_CONTROL });
            }
            if bytes.len() < HEAD + length {
                return Ok(None);
            }
            bytes.advance(HEAD);
            let body = bytes.split_to(length).freeze();
            return control(u16::from_be_bytes([c, d]), flags & FIN != 0, body).map(Some);
        }
    }
}

fn control(r#type: u16, fin: bool, mut body: Bytes) -> Result<Frame, Error> {
    let least = match r#type {
        SYN_STREAM => 10,
        SYN_REPLY | HEADERS | PING => 4,
        RST_STREAM | GOAWAY => 8,
        _ => return Ok(Frame::Other),
    };
    if body.len() < least {
        return Err(Error::Protocol("a control frame is too short"));
    }
    let stream = body.get_u32() & ID;
    Ok(match r#type {
        SYN_STREAM => {
            // The stream that it belongs to, its priority and a slot: nobody uses them.
            body.advance(6);
            Frame::Open { stream, fin, headers: body }
        }
        SYN_REPLY => Frame::Reply { stream, fin, headers: body },
        HEADERS => Frame::Headers { stream, fin, headers: body },
        RST_STREAM => Frame::Reset { stream, cause: body.get_u32() },
        PING => Frame::Ping(stream),
        _ => Frame::Leave,
    })
}

/// Writes a frame. Data is at most [`MAX_PIECE`] long, and other frames are short.
pub fn encode(frame: &Frame, out: &mut BytesMut) {
    match frame {
        Frame::Open { stream, fin, headers } => {
            head(out, SYN_STREAM, *fin, 10 + headers.len());
            out.put_u32(*stream);
            out.put_u32(0);
            out.put_u16(0);
            out.put_slice(headers);
        }
        Frame::Reply { stream, fin, headers } => {
            head(out, SYN_REPLY, *fin, 4 + headers.len());
            out.put_u32(*stream);
            out.put_slice(headers);
        }
        Frame::Headers { stream, fin, headers } => {
            head(out, HEADERS, *fin, 4 + headers.len());
            out.put_u32(*stream);
            out.put_slice(headers);
        }
        Frame::Data { stream, fin, data } => {
            out.put_u32(*stream & ID);
            put_length(out, *fin, data.len());
            out.put_slice(data);
        }
        Frame::Reset { stream, cause } => {
            head(out, RST_STREAM, false, 8);
            out.put_u32(*stream);
            out.put_u32(*cause);
        }
        Frame::Ping(id) => {
            head(out, PING, false, 4);
            out.put_u32(*id);
        }
        Frame::Leave => {
            head(out, GOAWAY, false, 8);
            out.put_u64(0);
        }
        // What is passed over is not written either.
        Frame::Other => {}
    }
}

fn head(out: &mut BytesMut, r#type: u16, fin: bool, length: usize) {
    out.put_u16(CONTROL | VERSION);
    out.put_u16(r#type);
    put_length(out, fin, length);
}

/// Flags and 24 bits of length.
fn put_length(out: &mut BytesMut, fin: bool, length: usize) {
    let length = u32::try_from(length).unwrap_or(u32::MAX) & 0x00ff_ffff;
    out.put_u32((u32::from(fin) * u32::from(FIN)) << 24 | length);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Frame>, Error> {
        let (mut decoder, mut bytes) = (Decoder::default(), BytesMut::from(bytes));
        let mut frames = Vec::new();
        while let Some(frame) = decoder.next(&mut bytes)? {
            frames.push(frame);
        }
        Ok(frames)
    }

    #[test]
    fn frames_lie_as_the_protocol_says() {
        let mut out = BytesMut::new();
        encode(&Frame::Ping(7), &mut out);
        assert_eq!(&out[..], b"\x80\x03\0\x06\0\0\0\x04\0\0\0\x07");
        let mut out = BytesMut::new();
        encode(&Frame::Data { stream: 3, fin: true, data: "ab".into() }, &mut out);
        assert_eq!(&out[..], b"\0\0\0\x03\x01\0\0\x02ab");
        let open = read(b"\x80\x03\0\x01\x01\0\0\x0c\0\0\0\x05\0\0\0\0\x20\0hh").unwrap();
        assert_eq!(open, [Frame::Open { stream: 5, fin: true, headers: "hh".into() }]);
        // Settings and windows are passed over.
        let other =
            read(b"\x80\x03\0\x04\0\0\0\x04\0\0\0\0\x80\x03\0\x09\0\0\0\x08\0\0\0\x01\0\0\0\xff").unwrap();
        assert_eq!(other, [Frame::Other, Frame::Other]);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        assert!(read(b"\x80\x02\0\x06\0\0\0\x04\0\0\0\x07").is_err());
        assert!(read(b"\x80\x03\0\x06\0\0\0\x03\0\0\0").is_err());
        assert!(matches!(read(b"\x80\x03\0\x01\0\xff\xff\xff"), Err(Error::TooLong { .. })));
    }

    #[test]
    fn long_data_comes_in_pieces() {
        let mut bytes = BytesMut::new();
        bytes.put_u32(1);
        put_length(&mut bytes, true, 100_000);
        bytes.put_slice(&[7; 40_000]);
        let mut decoder = Decoder::default();
        let mut got = 0;
        let mut take = |bytes: &mut BytesMut, decoder: &mut Decoder| {
            let mut ended = false;
            while let Some(frame) = decoder.next(bytes).unwrap() {
                let Frame::Data { stream: 1, fin, data } = frame else { panic!("{frame:?}") };
                assert!(data.len() <= MAX_PIECE);
                got += data.len();
                ended = fin;
            }
            (got, ended)
        };
        assert_eq!(take(&mut bytes, &mut decoder), (40_000, false));
        bytes.put_slice(&[7; 60_000]);
        assert_eq!(take(&mut bytes, &mut decoder), (100_000, true));
    }

    fn frame() -> impl Strategy<Value = Frame> {
        let id = || 1..ID;
        let some = || prop::collection::vec(any::<u8>(), 0..60).prop_map(Bytes::from);
        prop_oneof![
            (id(), any::<bool>(), some()).prop_map(|(stream, fin, headers)| Frame::Open {
                stream,
                fin,
                headers
            }),
            (id(), any::<bool>(), some()).prop_map(|(stream, fin, headers)| Frame::Reply {
                stream,
                fin,
                headers
            }),
            (id(), any::<bool>(), some()).prop_map(|(stream, fin, headers)| Frame::Headers {
                stream,
                fin,
                headers
            }),
            (id(), some()).prop_map(|(stream, data)| Frame::Data { stream, fin: true, data }),
            (id(), any::<u32>()).prop_map(|(stream, cause)| Frame::Reset { stream, cause }),
            id().prop_map(Frame::Ping),
            Just(Frame::Leave),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(frames in prop::collection::vec(frame(), 0..10)) {
            let mut bytes = BytesMut::new();
            for frame in &frames {
                encode(frame, &mut bytes);
            }
            prop_assert_eq!(read(&bytes).unwrap(), frames);
        }

        #[test]
        fn the_cuts_of_the_transport_do_not_matter(
            frames in prop::collection::vec(frame(), 1..6), cut in 1usize..9,
        ) {
            let mut whole = BytesMut::new();
            for frame in &frames {
                encode(frame, &mut whole);
            }
            let (mut decoder, mut bytes) = (Decoder::default(), BytesMut::new());
            let (mut found, mut data) = (Vec::new(), BytesMut::new());
            for piece in whole.chunks(cut) {
                bytes.extend_from_slice(piece);
                while let Some(frame) = decoder.next(&mut bytes).unwrap() {
                    match frame {
                        // Its pieces are put together again.
                        Frame::Data { stream, fin, data: piece } => {
                            data.extend_from_slice(&piece);
                            if fin {
                                let data = data.split().freeze();
                                found.push(Frame::Data { stream, fin, data });
                            }
                        }
                        other => found.push(other),
                    }
                }
            }
            prop_assert_eq!(found, frames);
        }

        #[test]
        fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            // Whatever comes of it: it comes to an end.
            let _ = read(&bytes);
        }
    }
}
