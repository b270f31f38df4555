//! A container's last words: what it wrote to its termination log, or the end of its log.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use gantry_log_driver::cri;

/// Most that is read from the termination log.
const MAX_FILE: u64 = 4096;
/// Most that is taken from the end of the log, and in how many lines.
const MAX_LOG: u64 = 2048;
const MAX_LINES: usize = 80;

/// The message of a container that ended. With `fall_back`, the end of its log where it left none.
pub fn message(file: Option<&Path>, log: &Path, fall_back: bool) -> io::Result<Option<String>> {
    if let Some(file) = file {
        let text = String::from_utf8_lossy(&tail(file, MAX_FILE)?).into_owned();
        if !text.is_empty() {
            return Ok(Some(text));
        }
    }
    if !fall_back {
        return Ok(None);
    }
    let text = log_tail(&tail(log, 4 * MAX_LOG)?);
    Ok((!text.is_empty()).then_some(text))
}

/// The last bytes of a file; none where there is no file.
fn tail(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(limit)))?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of the last records. The first line of a cut-off log may be half a record: it is left out.
fn log_tail(bytes: &[u8]) -> String {
    let records = bytes.split(|byte| *byte == b'\n').filter_map(|line| cri::parse(line).ok());
    let lines: Vec<String> =
        records.map(|record| String::from_utf8_lossy(record.text).into_owned()).collect();
    let text = lines[lines.len().saturating_sub(MAX_LINES)..].join("\n");
    let limit = usize::try_from(MAX_LOG).unwrap_or(usize::MAX);
    let mut start = text.len().saturating_sub(limit);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text[start..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_comes_before_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let (file, log) = (dir.path().join("file"), dir.path().join("log"));
        std::fs::write(&log, "2026-01-01T00:00:00Z stderr F boom\n").unwrap();
        assert_eq!(message(Some(&file), &log, false).unwrap(), None);
        assert_eq!(message(Some(&file), &log, true).unwrap().as_deref(), Some("boom"));
        std::fs::write(&file, "why").unwrap();
        assert_eq!(message(Some(&file), &log, true).unwrap().as_deref(), Some("why"));
    }

    #[test]
    fn only_the_end_of_a_long_log_is_kept() {
        let line = format!("2026-01-01T00:00:00Z stderr F {}ü\n", "x".repeat(99));
        let text = log_tail(line.repeat(100).as_bytes());
        assert!(text.len() <= 2048 && text.ends_with('ü'));
    }
}
