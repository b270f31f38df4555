//! The CRI log format: `TIME STREAM TAG TEXT`, one record per line.

use std::io::Write as _;

use jiff::Timestamp;

/// The longest piece of a line in one record; a longer line is split into partial records.
pub const MAX_RECORD: usize = 16 * 1024;

/// Which of its outputs a container wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// As it is written in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// One record of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// When it was read from the container.
    pub time: Timestamp,
    /// Where it came from.
    pub stream: Stream,
    /// Whether the line ends here; its next piece is in the stream's next record otherwise.
    pub full: bool,
    /// The text without line end.
    pub text: &'a [u8],
}

impl Record<'_> {
    /// Appends the record with its line end.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let tag = if self.full { 'F' } else { 'P' };
        // Writing to a vector cannot fail.
        let _ = write!(out, "{:.9} {} {tag} ", self.time, self.stream.as_str());
        out.extend_from_slice(self.text);
        out.push(b'\n');
    }
}

/// Why a line of a log file is not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The line ends before the text begins.
    #[error("no {0}")]
    Missing(&'static str),
    /// A part of it cannot be read.
    #[error("bad {field} {value:?}")]
    Bad {
        /// Which part.
        field: &'static str,
        /// What it says.
        value: String,
    },
}

/// Parses a line of a log file, given without its line end.
pub fn parse(line: &[u8]) -> Result<Record<'_>, ParseError> {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let mut part = |name| parts.next().ok_or(ParseError::Missing(name));
    let bad =
        |field, value: &[u8]| ParseError::Bad { field, value: String::from_utf8_lossy(value).into_owned() };
    let time = part("time")?;
    let time =
        std::str::from_utf8(time).ok().and_then(|t| t.parse().ok()).ok_or_else(|| bad("time", time))?;
    let stream = match part("stream")? {
        b"stdout" => Stream::Stdout,
        b"stderr" => Stream::Stderr,
        other => return Err(bad("stream", other)),
    };
    // Further tags may follow after colons.
    let tags = part("tag")?;
    let full = match tags.split(|byte| *byte == b':').next() {
        Some(b"F") => true,
        Some(b"P") => false,
        _ => return Err(bad("tag", tags)),
    };
    Ok(Record { time, stream, full, text: part("text")? })
}

/// Cuts a stream of bytes into lines and long lines into pieces of [`MAX_RECORD`].
#[derive(Debug, Default)]
pub struct Splitter {
    /// The beginning of a line whose rest has not come yet; never longer than a record.
    pending: Vec<u8>,
}

impl Splitter {
    /// Takes what was read and calls `emit(text, full)` for each piece that is complete.
    pub fn feed(&mut self, mut bytes: &[u8], mut emit: impl FnMut(&[u8], bool)) {
        while !bytes.is_empty() {
            let room = MAX_RECORD - self.pending.len();
            // A line end directly after a full piece belongs to it.
            let window = &bytes[..bytes.len().min(room + 1)];
            let end = window.iter().position(|byte| *byte == b'\n');
            let (piece, full, used) = match end {
                Some(end) => (&bytes[..end], true, end + 1),
                None if bytes.len() > room => (&bytes[..room], false, room),
                None => {
                    self.pending.extend_from_slice(bytes);
                    return;
                }
            };
            if self.pending.is_empty() {
                emit(piece, full);
            } else {
                self.pending.extend_from_slice(piece);
                emit(&self.pending, full);
                self.pending.clear();
            }
            bytes = &bytes[used..];
        }
    }

    /// The stream has ended: what is left is a line without its end.
    pub fn finish(&mut self, mut emit: impl FnMut(&[u8], bool)) {
        if !self.pending.is_empty() {
            emit(&self.pending, false);
            self.pending = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let mut pieces = Vec::new();
        let mut splitter = Splitter::default();
        for chunk in chunks {
            splitter.feed(chunk, |text, full| pieces.push((text.to_vec(), full)));
        }
        splitter.finish(|text, full| pieces.push((text.to_vec(), full)));
        pieces
    }

    #[test]
    fn a_record_is_written_and_read_back() {
        let time = "2026-01-01T00:00:00.5Z".parse().unwrap();
        let record = Record { time, stream: Stream::Stdout, full: true, text: b"a line" };
        let mut out = Vec::new();
        record.write_to(&mut out);
        assert_eq!(out, b"2026-01-01T00:00:00.500000000Z stdout F a line\n");
        assert_eq!(parse(out.strip_suffix(b"\n").unwrap()).unwrap(), record);
    }

    #[test]
    fn empty_texts_further_tags_and_zones_are_understood() {
        let record = parse(b"2026-01-01T02:00:00+02:00 stderr P:x ").unwrap();
        assert_eq!((record.text, record.full), (&b""[..], false));
        assert_eq!(record.time, "2026-01-01T00:00:00Z".parse().unwrap());
    }

    #[test]
    fn broken_lines_say_what_is_wrong() {
        assert_eq!(parse(b"").unwrap_err().to_string(), "bad time \"\"");
        assert_eq!(parse(b"2026-01-01T00:00:00Z").unwrap_err().to_string(), "no stream");
        assert_eq!(parse(b"2026-01-01T00:00:00Z stdin F x").unwrap_err().to_string(), "bad stream \"stdin\"");
        assert_eq!(parse(b"2026-01-01T00:00:00Z stdout X x").unwrap_err().to_string(), "bad tag \"X\"");
        assert_eq!(parse(b"2026-01-01T00:00:00Z stdout F").unwrap_err().to_string(), "no text");
    }

    #[test]
    fn lines_are_put_together_from_chunks() {
        let pieces = split(&[b"on", b"e\ntwo\n", b"\nrest"]);
        let texts: Vec<_> = pieces.iter().map(|(t, full)| (std::str::from_utf8(t).unwrap(), *full)).collect();
        assert_eq!(texts, [("one", true), ("two", true), ("", true), ("rest", false)]);
    }

    #[test]
    fn a_line_of_exactly_one_record_is_not_split() {
        let mut line = vec![b'x'; MAX_RECORD];
        line.push(b'\n');
        for cut in [1, MAX_RECORD - 1, MAX_RECORD] {
            let (a, b) = line.split_at(cut);
            let pieces = split(&[a, b]);
            assert_eq!(pieces.len(), 1, "cut at {cut}");
            assert!(pieces[0].1 && pieces[0].0.len() == MAX_RECORD);
        }
    }

    #[test]
    fn long_lines_become_partial_records_that_add_up() {
        let line: Vec<u8> = (0..3 * MAX_RECORD + 5).map(|i| b'a' + (i % 26) as u8).chain([b'\n']).collect();
        for size in [1000, MAX_RECORD, 65536] {
            let pieces = split(&line.chunks(size).collect::<Vec<_>>());
            let full: Vec<bool> = pieces.iter().map(|(_, full)| *full).collect();
            assert_eq!(full, [false, false, false, true], "chunks of {size}");
            assert_eq!(pieces.concat_texts(), line[..line.len() - 1]);
        }
    }

    trait Concat {
        fn concat_texts(&self) -> Vec<u8>;
    }

    impl Concat for Vec<(Vec<u8>, bool)> {
        fn concat_texts(&self) -> Vec<u8> {
            self.iter().flat_map(|(text, _)| text.clone()).collect()
        }
    }
}
