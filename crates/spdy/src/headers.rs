//! Blocks of headers: names and values, compressed over the life of a connection.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::{Error, dictionary};

/// The longest block, before it is compressed.
pub const MAX_BLOCK: usize = 64 * 1024;
/// The most headers in a block.
const MAX_COUNT: usize = 256;
/// The head of compressed data that refers to a dictionary.
const HEAD: [u8; 2] = [0x78, 0xbb];
const USES_DICTIONARY: u8 = 0x20;
const PIECE: usize = 4096;

/// Headers, their names in small letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The value of a header; the case of `name` does not matter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The same with another header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    fn encode(&self) -> Vec<u8> {
        let mut block = Vec::new();
        let number = |block: &mut Vec<u8>, value: usize| {
            block.extend_from_slice(&u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes());
        };
        number(&mut block, self.0.len());
        for text in self.0.iter().flat_map(|(name, value)| [name, value]) {
            number(&mut block, text.len());
            block.extend_from_slice(text.as_bytes());
        }
        block
    }

    fn decode(mut block: &[u8]) -> Result<Self, Error> {
        let count = number(&mut block)?;
        if count > MAX_COUNT {
            return Err(Error::TooLong { what: "a block of headers", length: count, limit: MAX_COUNT });
        }
        let mut headers = Vec::with_capacity(count);
        for _ in 0..count {
            let name = text(&mut block)?;
            if name.is_empty() || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                return Err(Error::Protocol("the name of a header is empty or has capital letters"));
            }
            headers.push((name, text(&mut block)?));
        }
        if !block.is_empty() {
            return Err(Error::Protocol("a block of headers has more than its headers"));
        }
        Ok(Self(headers))
    }
}

fn number(block: &mut &[u8]) -> Result<usize, Error> {
    let (head, rest) = block.split_first_chunk::<4>().ok_or(CUT)?;
    *block = rest;
    usize::try_from(u32::from_be_bytes(*head)).map_err(|_| CUT)
}

const CUT: Error = Error::Protocol("a block of headers ends too early");

fn text(block: &mut &[u8]) -> Result<String, Error> {
    let length = number(block)?;
    let (text, rest) = block.split_at_checked(length).ok_or(CUT)?;
    *block = rest;
    String::from_utf8(text.to_vec()).map_err(|_| Error::Protocol("a header is not UTF-8"))
}

/// Compresses the blocks of one direction of a connection.
#[derive(Debug)]
pub struct Compressor {
    begun: bool,
    deflate: Compress,
}

impl Default for Compressor {
    fn default() -> Self {
        Self { begun: false, deflate: Compress::new(Compression::fast(), false) }
    }
}

impl Compressor {
    /// Compresses a block.
    ///
    /// # Errors
    /// Where the library fails, which it does not for data in memory.
    pub fn write(&mut self, headers: &Headers) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        if !std::mem::replace(&mut self.begun, true) {
            // The dictionary is named, as the other side wants it, and never referred to.
            out.extend_from_slice(&HEAD);
            out.extend_from_slice(&dictionary::ID.to_be_bytes());
        }
        let block = headers.encode();
        let mut rest = block.as_slice();
        let mut piece = [0; PIECE];
        loop {
            let (read, written) = (self.deflate.total_in(), self.deflate.total_out());
            self.deflate
                .compress(rest, &mut piece, FlushCompress::Sync)
                .map_err(|_| Error::Protocol("headers cannot be compressed"))?;
            rest = &rest[difference(self.deflate.total_in(), read)..];
            let made = difference(self.deflate.total_out(), written);
            out.extend_from_slice(&piece[..made]);
            // A piece that is not full is the last one.
            if rest.is_empty() && made < PIECE {
                return Ok(out);
            }
        }
    }
}

/// Decompresses the blocks of one direction of a connection.
#[derive(Debug)]
pub struct Decompressor {
    begun: bool,
    inflate: Decompress,
}

impl Default for Decompressor {
    fn default() -> Self {
        Self { begun: false, inflate: Decompress::new(false) }
    }
}

impl Decompressor {
    /// Decompresses a block.
    ///
    /// # Errors
    /// Where it is not one, or is too long. The connection cannot go on then.
    pub fn read(&mut self, mut block: &[u8]) -> Result<Headers, Error> {
        if !std::mem::replace(&mut self.begun, true) {
            block = self.begin(block)?;
        }
        Headers::decode(&self.inflate(block)?)
    }

    /// Reads the head, and lets the data refer to the dictionary by sending it ahead as if it were data.
    fn begin<'a>(&mut self, block: &'a [u8]) -> Result<&'a [u8], Error> {
        const NO_HEAD: Error = Error::Protocol("headers are not compressed as the protocol says");
        let (head, rest) = block.split_first_chunk::<2>().ok_or(NO_HEAD)?;
        if head[0] & 0x0f != 8 || u16::from_be_bytes(*head) % 31 != 0 || head[1] & USES_DICTIONARY == 0 {
            return Err(NO_HEAD);
        }
        let (id, rest) = rest.split_first_chunk::<4>().ok_or(NO_HEAD)?;
        if u32::from_be_bytes(*id) != dictionary::ID {
            return Err(Error::Protocol("headers are compressed with another dictionary"));
        }
        let length = u16::try_from(dictionary::BYTES.len()).unwrap_or(u16::MAX);
        let mut stored = vec![0];
        stored.extend_from_slice(&length.to_le_bytes());
        stored.extend_from_slice(&(!length).to_le_bytes());
        stored.extend_from_slice(&dictionary::BYTES);
        self.inflate(&stored)?;
        Ok(rest)
    }

    fn inflate(&mut self, mut rest: &[u8]) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        let mut piece = [0; PIECE];
        loop {
            let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress(rest, &mut piece, FlushDecompress::Sync)
                .map_err(|_| Error::Protocol("headers cannot be decompressed"))?;
            let (used, made) =
                (difference(self.inflate.total_in(), read), difference(self.inflate.total_out(), written));
            rest = &rest[used..];
            out.extend_from_slice(&piece[..made]);
            if out.len() > MAX_BLOCK {
                return Err(Error::TooLong {
                    what: "a block of headers",
                    length: out.len(),
                    limit: MAX_BLOCK,
                });
            }
            if status == Status::StreamEnd {
                return Err(Error::Protocol("the compression of headers has ended"));
            }
            if (rest.is_empty() && made < PIECE) || (used == 0 && made == 0) {
                return Ok(out);
            }
        }
    }
}

/// How far a counter has moved: never further than a buffer is long.
fn difference(now: u64, before: u64) -> usize {
    usize::try_from(now - before).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_block_that_refers_to_the_dictionary_is_read() {
        // Both made by zlib with the dictionary, one after the other.
        let first = [
            0x78, 0xf9, 0xe3, 0xc6, 0xa7, 0xc2, 0x02, 0xe5, 0x0e, 0x70, 0x3a, 0x2b, 0x29, 0x4a, 0x4d, 0xcc,
            0x85, 0x16, 0x25, 0xac, 0xa9, 0xa0, 0x80, 0xc6, 0x5a, 0x52, 0x31, 0x9a, 0x03, 0x00, 0x00, 0x00,
            0xff, 0xff,
        ];
        let second = [
            0xc2, 0xaa, 0x03, 0x54, 0xf8, 0x24, 0x42, 0xca, 0xf1, 0x22, 0x50, 0x9a, 0x67, 0xb2, 0x30, 0x00,
            0x00, 0x00, 0x00, 0xff, 0xff,
        ];
        let mut reader = Decompressor::default();
        let headers = reader.read(&first).unwrap();
        assert_eq!(headers, Headers::default().with("streamtype", "error").with("content-length", "7"));
        let headers = reader.read(&second).unwrap();
        assert_eq!(headers, Headers::default().with("streamtype", "data").with("port", "80"));
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for block in [&b""[..], b"x", b"\x78\x9c\0\0\0\0", b"\x78\xbb\0\0\0\0", &[0xff; 64]] {
            assert!(Decompressor::default().read(block).is_err(), "{block:?}");
        }
        let headers = Headers::default().with("Port", "80");
        assert_eq!((headers.get("PORT"), headers.get("other")), (Some("80"), None));
        for block in
            [&[0, 0, 0, 1, 0, 0, 0, 0][..], &[0, 0, 0, 0, 1], &[0, 0, 9, 9], &[0, 0, 0, 1, 0, 0, 0, 9, 1]]
        {
            assert!(Headers::decode(block).is_err(), "{block:?}");
        }
    }

    #[test]
    fn a_block_that_unfolds_without_end_is_cut_off() {
        let mut bomb = Compressor::default();
        let mut last = Ok(Headers::default());
        let mut reader = Decompressor::default();
        for size in [1000, MAX_BLOCK + 1] {
            let block = bomb.write(&Headers::default().with("a", "a".repeat(size))).unwrap();
            assert!(block.len() < 2000);
            last = reader.read(&block);
        }
        assert!(matches!(last, Err(Error::TooLong { .. })));
    }

    fn some() -> impl Strategy<Value = Vec<Headers>> {
        let one = prop::collection::vec(("[a-z-]{1,12}", ".{0,40}"), 0..6).prop_map(Headers);
        prop::collection::vec(one, 1..8)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(blocks in some()) {
            let (mut writer, mut reader) = (Compressor::default(), Decompressor::default());
            for headers in blocks {
                let block = writer.write(&headers).unwrap();
                prop_assert_eq!(reader.read(&block).unwrap(), headers);
            }
        }

        #[test]
        fn no_bytes_do_harm(blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..4)) {
            let mut reader = Decompressor::default();
            for block in blocks {
                // Whatever comes of it: it comes to an end.
                let _ = reader.read(&block);
            }
            let mut reader = Decompressor::default();
            let head = Compressor::default().write(&Headers::default()).unwrap();
            prop_assert!(reader.read(&head).is_ok());
        }
    }
}
