//! Finding where the last lines of a file begin.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const BLOCK: u64 = 64 * 1024;

/// Where the last `lines` complete lines of a file begin, and how many lines the file is short of.
pub(super) fn find(file: &File, lines: u64) -> io::Result<(u64, u64)> {
    let size = file.metadata()?.len();
    // The line before the first one wanted ends where that begins, so one line end more is looked for.
    let mut wanted = lines.saturating_add(1);
    let mut end = size;
    let mut block = vec![0; BLOCK as usize];
    while end > 0 {
        let begin = end.saturating_sub(BLOCK);
        let part = &mut block[..(end - begin) as usize];
        file.read_exact_at(part, begin)?;
        for (at, _) in part.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            wanted -= 1;
            if wanted == 0 {
                return Ok((begin + at as u64 + 1, 0));
            }
        }
        end = begin;
    }
    // The beginning of the file serves as one more line end.
    Ok((0, wanted - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn lines_are_counted_from_the_end() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"one\ntwo\nthree\n").unwrap();
        assert_eq!(find(&file, 0).unwrap(), (14, 0));
        assert_eq!(find(&file, 1).unwrap(), (8, 0));
        assert_eq!(find(&file, 2).unwrap(), (4, 0));
        assert_eq!(find(&file, 3).unwrap(), (0, 0));
        assert_eq!(find(&file, 5).unwrap(), (0, 2));
        assert_eq!(find(&tempfile::tempfile().unwrap(), 5).unwrap(), (0, 5));
    }

    #[test]
    fn blocks_are_joined() {
        let mut file = tempfile::tempfile().unwrap();
        let line = format!("{}\n", "x".repeat(999));
        file.write_all(line.repeat(300).as_bytes()).unwrap();
        for lines in [1, 65, 66, 131, 299] {
            assert_eq!(find(&file, lines).unwrap(), ((300 - lines) * 1000, 0), "{lines}");
        }
    }
}
