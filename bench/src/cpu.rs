//! Processor time of a process.

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// What the kernel counts in, on every Linux: a hundredth of a second.
const TICK: Duration = Duration::from_millis(10);

/// The time that a process has used so far, in user and kernel mode.
///
/// # Errors
/// Where there is no such process.
pub fn of(pid: i32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    // The name may hold anything, and ends with the last parenthesis. utime and stime are the 12th and 13th after it.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u32>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).with_context(|| format!("{path} is not as documented"))?;
    Ok(TICK * (user + system))
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_has_used_some() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let begin = super::of(pid).unwrap();
        let mut x = 0_u64;
        while super::of(pid).unwrap() == begin {
            x = std::hint::black_box(x.wrapping_add(1));
        }
        assert!(super::of(pid).unwrap() > begin);
    }
}
