//! Events of a watch in the bytes that carry them, found without decoding them.

use std::io::BufRead;

use anyhow::bail;

/// No event is larger.
const MAX_EVENT: usize = 8 << 20;
/// What is in front of a mark's number.
const MARK: &[u8] = b"sent=";
/// How many digits a mark's number has.
const DIGITS: usize = 16;

/// How the events are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// By their length, in front of each.
    Protobuf,
    /// By line ends.
    Json,
}

/// Divides a stream into events.
#[derive(Debug)]
pub struct Events {
    format: Format,
    /// The beginning of an event whose rest is still to come.
    begun: Vec<u8>,
}

impl Events {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, begun: Vec::new() }
    }

    /// Takes what came next and calls `each` with every event that is whole now.
    ///
    /// # Errors
    /// Where an event is too large to be one.
    pub fn push(&mut self, chunk: &[u8], mut each: impl FnMut(&[u8])) -> anyhow::Result<()> {
        if self.begun.is_empty() {
            let rest = self.split(chunk, &mut each);
            self.begun.extend_from_slice(rest);
        } else {
            let mut whole = std::mem::take(&mut self.begun);
            whole.extend_from_slice(chunk);
            let rest = self.split(&whole, &mut each).len();
            whole.drain(..whole.len() - rest);
            self.begun = whole;
        }
        if self.begun.len() > MAX_EVENT {
            bail!("an event has more than {MAX_EVENT} bytes");
        }
        Ok(())
    }

    fn split<'a>(&self, mut rest: &'a [u8], each: &mut impl FnMut(&[u8])) -> &'a [u8] {
        while let Some(length) = self.length(rest) {
            let (event, after) = rest.split_at(length);
            each(event);
            rest = after;
        }
        rest
    }

    /// How many bytes the first event has, with what divides it from others; none if it is not whole.
    fn length(&self, rest: &[u8]) -> Option<usize> {
        match self.format {
            Format::Protobuf => {
                let length = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?) as usize + 4;
                (rest.len() >= length).then_some(length)
            }
            Format::Json => {
                // The standard library looks for many bytes at once.
                let length = { rest }.skip_until(b'\n').ok()?;
                (rest.get(length.checked_sub(1)?) == Some(&b'\n')).then_some(length)
            }
        }
    }
}

/// A mark that says when something was sent, in microseconds after a moment that writer and reader know.
#[must_use]
pub fn mark(micros: u64) -> String {
    format!("sent={micros:0DIGITS$}")
}

/// The number of the mark in an event; none if it has no mark.
#[must_use]
pub fn marked(event: &[u8]) -> Option<u64> {
    let at = event.windows(MARK.len()).position(|window| window == MARK)? + MARK.len();
    std::str::from_utf8(event.get(at..at + DIGITS)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events that come of a stream in pieces of one size.
    fn pieces(format: Format, stream: &[u8], size: usize) -> Vec<Vec<u8>> {
        let (mut events, mut found) = (Events::new(format), Vec::new());
        for piece in stream.chunks(size) {
            events.push(piece, |event| found.push(event.to_vec())).unwrap();
        }
        found
    }

    #[test]
    fn events_are_the_same_however_they_are_cut() {
        let texts = ["{\"a\":1}", "{}", "{\"a\":\"sent=0000000000000042\"}"];
        let json: Vec<u8> = texts.iter().flat_map(|text| format!("{text}\n").into_bytes()).collect();
        let protobuf: Vec<u8> = texts
            .iter()
            .flat_map(|text| [&u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat())
            .collect();
        for size in 1..json.len() {
            let lines = pieces(Format::Json, &json, size);
            assert_eq!(
                lines.iter().map(|line| line.len() - 1).collect::<Vec<_>>(),
                texts.map(str::len),
                "{size}"
            );
            let framed = pieces(Format::Protobuf, &protobuf, size);
            assert_eq!(
                framed.iter().map(|event| &event[4..]).collect::<Vec<_>>(),
                texts.map(str::as_bytes),
                "{size}"
            );
            assert_eq!(lines.iter().filter_map(|event| marked(event)).collect::<Vec<_>>(), [42]);
        }
    }

    #[test]
    fn marks_are_found_again() {
        assert_eq!(marked(mark(1_234_567).as_bytes()), Some(1_234_567));
        assert_eq!(marked(b"sent=12"), None);
        assert_eq!(marked(b"nothing"), None);
    }
}
