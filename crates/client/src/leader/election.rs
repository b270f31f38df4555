//! The decision of an election: no clock, no network.

use std::time::Duration;

use gantry_api::coordination::v1::LeaseSpec;
use gantry_api::scalars::MicroTime;
use jiff::Timestamp;
use tokio::time::Instant;

/// What to do about the lease.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Somebody else holds it.
    Wait,
    /// Write this, guarded by the revision that was read: then this process holds it.
    Hold(LeaseSpec),
}

/// What a candidate knows.
#[derive(Debug)]
pub(super) struct Election {
    identity: String,
    duration: Duration,
    /// The lease as it was last seen to change, and when that was by this process' clock: clocks of other machines
    /// are never compared.
    observed: Option<(LeaseSpec, Instant)>,
}

impl Election {
    pub(super) fn new(identity: &str, duration: Duration) -> Self {
        Self { identity: identity.to_owned(), duration, observed: None }
    }

    /// Who held the lease when it was last seen.
    pub(super) fn holder(&self) -> Option<&str> {
        self.observed.as_ref()?.0.holder_identity.as_deref()
    }

    /// What to do about a lease as it is now. `holder_died` says that its holder is known to be dead.
    pub(super) fn step(
        &mut self,
        lease: Option<&LeaseSpec>,
        holder_died: bool,
        now: Instant,
        wall: Timestamp,
    ) -> Step {
        let Some(lease) = lease else { return Step::Hold(self.spec(None, wall)) };
        if self.observed.as_ref().is_none_or(|(seen, _)| seen != lease) {
            self.observed = Some((lease.clone(), now));
        }
        let since = self.observed.as_ref().map_or(now, |(_, since)| *since);
        let holder = lease.holder_identity.as_deref().unwrap_or_default();
        let duration = u64::try_from(lease.lease_duration_seconds.unwrap_or(0)).unwrap_or(0);
        let expired = now >= since + Duration::from_secs(duration);
        if holder.is_empty() || holder == self.identity || holder_died || expired {
            Step::Hold(self.spec(Some(lease), wall))
        } else {
            Step::Wait
        }
    }

    /// Takes note of what was written.
    pub(super) fn written(&mut self, lease: Option<&LeaseSpec>, now: Instant) {
        self.observed = lease.map(|lease| (lease.clone(), now));
    }

    fn spec(&self, before: Option<&LeaseSpec>, wall: Timestamp) -> LeaseSpec {
        let now = MicroTime::from(wall);
        let before = before.cloned().unwrap_or_default();
        let kept = before.holder_identity.as_deref() == Some(&self.identity);
        let transitions = before.lease_transitions.unwrap_or(0);
        let first = before.acquire_time.is_none();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(whole_seconds(self.duration)),
            acquire_time: if kept { before.acquire_time } else { Some(now) },
            renew_time: Some(now),
            lease_transitions: Some(if kept || first { transitions } else { transitions.saturating_add(1) }),
            ..before
        }
    }
}

/// Rounded up: a lease that others take for shorter than it is makes two leaders.
fn whole_seconds(duration: Duration) -> i32 {
    let more = u64::from(duration.subsec_nanos() > 0);
    i32::try_from(duration.as_secs().saturating_add(more)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Election, Step};
    use gantry_api::coordination::v1::LeaseSpec;
    use jiff::Timestamp;
    use std::time::Duration;
    use tokio::time::Instant;

    fn hold(step: Step) -> LeaseSpec {
        match step {
            Step::Hold(spec) => spec,
            Step::Wait => panic!("expected to hold"),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn the_first_candidate_leads_and_the_second_waits_for_the_expiry() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut a = Election::new("a", Duration::from_secs(15));
        let mut b = Election::new("b", Duration::from_secs(15));
        let first = hold(a.step(None, false, start, at(0)));
        assert_eq!((first.holder_identity.as_deref(), first.lease_transitions), (Some("a"), Some(0)));
        assert_eq!(b.step(Some(&first), false, after(1), at(1)), Step::Wait);
        let renewed = hold(a.step(Some(&first), false, after(2), at(2)));
        assert_eq!(renewed.acquire_time, first.acquire_time);
        // The renewal starts b's wait anew.
        assert_eq!(b.step(Some(&renewed), false, after(15), at(15)), Step::Wait);
        assert_eq!(b.step(Some(&renewed), false, after(29), at(29)), Step::Wait);
        let taken = hold(b.step(Some(&renewed), false, after(30), at(30)));
        assert_eq!((taken.holder_identity.as_deref(), taken.lease_transitions), (Some("b"), Some(1)));
        assert_eq!(a.step(Some(&taken), false, after(31), at(31)), Step::Wait);
    }

    #[test]
    fn a_released_lease_and_that_of_a_dead_holder_are_free_at_once() {
        let start = Instant::now();
        let mut b = Election::new("b", Duration::from_secs(15));
        let released = LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            ..Default::default()
        };
        hold(b.step(Some(&released), false, start, at(0)));
        let held = LeaseSpec {
            holder_identity: Some("a".into()),
            lease_duration_seconds: Some(15),
            ..Default::default()
        };
        assert_eq!(b.step(Some(&held), false, start, at(0)), Step::Wait);
        hold(b.step(Some(&held), true, start, at(0)));
    }
}
