//! Whether and when something that ended or failed is tried again.

use std::time::Duration;

use jiff::Timestamp;

use super::snapshot::{Instance, after};

/// The first delay after repeated failures; each further one doubles it.
const BASE: Duration = Duration::from_secs(10);
/// No delay is longer.
const CAP: Duration = Duration::from_secs(300);
/// An instance that ran this long has not crashed.
const STEADY: Duration = Duration::from_secs(600);

/// What a pod says about containers that end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Start them again.
    Always,
    /// Start those again that failed.
    OnFailure,
    /// Leave them.
    Never,
}

impl RestartPolicy {
    /// Reads the field of the API, whose default is `Always`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "OnFailure" => Self::OnFailure,
            "Never" => Self::Never,
            _ => Self::Always,
        }
    }

    /// Whether a container that ended with this code is started again.
    #[must_use]
    pub fn restarts(self, exit_code: i32) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => exit_code != 0,
            Self::Never => false,
        }
    }
}

/// How many instances in a row have ended soon after their start, with this one.
#[must_use]
pub fn crashes(ended: &Instance) -> u32 {
    if ended.ran_for().is_some_and(|time| time >= STEADY) { 1 } else { ended.crashes.saturating_add(1) }
}

/// How long to wait after the last of so many crashes: the first restart is immediate.
#[must_use]
pub fn crash_delay(crashes: u32) -> Duration {
    if crashes <= 1 { Duration::ZERO } else { backoff(crashes - 1) }
}

/// How long to wait after so many failures in a row: 10 s, 20 s, ... 5 min.
#[must_use]
pub fn backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(5);
    (BASE * (1 << doublings)).min(CAP)
}

/// When an ended instance may be followed by the next.
#[must_use]
pub fn restart_at(ended: &Instance) -> Option<Timestamp> {
    Some(after(ended.finished_at()?, crash_delay(crashes(ended))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_cap() {
        let delays: Vec<u64> = (1..=8).map(|crashes| crash_delay(crashes).as_secs()).collect();
        assert_eq!(delays, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(backoff(u32::MAX), CAP);
    }

    #[test]
    fn policies_restart_what_they_say() {
        let table = [
            (RestartPolicy::Always, true, true),
            (RestartPolicy::OnFailure, false, true),
            (RestartPolicy::Never, false, false),
        ];
        for (policy, after_success, after_failure) in table {
            assert_eq!(policy.restarts(0), after_success, "{policy:?}");
            assert_eq!(policy.restarts(1), after_failure, "{policy:?}");
        }
        assert_eq!(RestartPolicy::parse(""), RestartPolicy::Always);
    }
}
