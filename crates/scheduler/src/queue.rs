//! The scheduling queue: which pod is next. A pure data structure; the caller brings the time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// The first wait after a failure; it doubles up to [`MAX_BACKOFF`].
const INITIAL_BACKOFF: Duration = Duration::from_secs(1);
/// The longest wait after a failure.
const MAX_BACKOFF: Duration = Duration::from_secs(10);
/// A pod that no event has woken is tried again after this long.
const UNSCHEDULABLE_TIMEOUT: Duration = Duration::from_secs(300);

/// Instants are durations since the start of the scheduler.
pub type Instant = Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// Higher priorities come first.
    priority: std::cmp::Reverse<i32>,
    /// Then the pod that has waited longest.
    added: Instant,
    /// Then the order of arrival.
    sequence: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Active(Rank),
    /// Waits until then.
    BackingOff(Instant),
    /// Waits for an event that may help, or until then.
    Unschedulable(Instant),
    /// Being scheduled. `woken`: something happened meanwhile that may help, so a failure must not wait for an event.
    InFlight {
        woken: bool,
    },
}

#[derive(Debug, Clone)]
struct Waiting {
    priority: i32,
    added: Instant,
    sequence: u64,
    attempts: u32,
    place: Place,
}

impl Waiting {
    fn rank(&self) -> Rank {
        Rank { priority: std::cmp::Reverse(self.priority), added: self.added, sequence: self.sequence }
    }

    fn backoff(&self) -> Duration {
        let doublings = self.attempts.saturating_sub(1).min(10);
        (INITIAL_BACKOFF * 2u32.pow(doublings)).min(MAX_BACKOFF)
    }
}

/// How many pods wait where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ready to be scheduled.
    pub active: usize,
    /// Waiting after a failure.
    pub backoff: usize,
    /// Waiting for an event.
    pub unschedulable: usize,
}

/// The queue. Pods are named by `namespace/name`.
#[derive(Debug, Default)]
pub struct Queue {
    pods: HashMap<String, Waiting>,
    active: BTreeMap<Rank, String>,
    timers: BTreeSet<(Instant, String)>,
    sequence: u64,
}

impl Queue {
    /// Adds an unassigned pod, or notes its new priority. A changed pod that waits for an event is tried again.
    pub fn add(&mut self, key: &str, priority: i32, now: Instant) {
        let Some(waiting) = self.pods.get_mut(key) else {
            self.sequence += 1;
            let waiting = Waiting {
                priority,
                added: now,
                sequence: self.sequence,
                attempts: 0,
                place: Place::InFlight { woken: false },
            };
            self.pods.insert(key.to_owned(), waiting);
            self.activate(key);
            return;
        };
        let changed = waiting.priority != priority;
        if changed && matches!(waiting.place, Place::Active(_)) {
            self.unplace(key);
            if let Some(waiting) = self.pods.get_mut(key) {
                waiting.priority = priority;
            }
            self.activate(key);
        } else {
            waiting.priority = priority;
        }
    }

    /// A pod's specification changed in a way that may make it schedulable.
    pub fn wake(&mut self, key: &str, now: Instant) {
        let Some(waiting) = self.pods.get_mut(key) else { return };
        match waiting.place {
            Place::Unschedulable(_) => {
                let until = now + waiting.backoff();
                self.unplace(key);
                self.place(key, Place::BackingOff(until));
            }
            Place::InFlight { .. } => waiting.place = Place::InFlight { woken: true },
            Place::Active(_) | Place::BackingOff(_) => {}
        }
    }

    /// Something happened in the cluster that may make any pod schedulable: a node came, a pod went.
    pub fn wake_all(&mut self, now: Instant) {
        let keys: Vec<String> = self
            .pods
            .iter()
            .filter(|(_, waiting)| matches!(waiting.place, Place::Unschedulable(_) | Place::InFlight { .. }))
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            self.wake(&key, now);
        }
    }

    /// Forgets a pod: it is assigned or gone.
    pub fn remove(&mut self, key: &str) {
        self.unplace(key);
        self.pods.remove(key);
    }

    /// The next pod to schedule, which is then in flight until [`Queue::failed`] or [`Queue::remove`].
    pub fn pop(&mut self, now: Instant) -> Option<String> {
        self.fire_timers(now);
        let (_, key) = self.active.pop_first()?;
        if let Some(waiting) = self.pods.get_mut(&key) {
            waiting.attempts += 1;
            waiting.place = Place::InFlight { woken: false };
        }
        Some(key)
    }

    /// No node could take the pod: it waits for an event that may help.
    pub fn unschedulable(&mut self, key: &str, now: Instant) {
        let Some(waiting) = self.pods.get(key) else { return };
        let place = match waiting.place {
            Place::InFlight { woken: true } => Place::BackingOff(now + waiting.backoff()),
            _ => Place::Unschedulable(now + UNSCHEDULABLE_TIMEOUT),
        };
        self.unplace(key);
        self.place(key, place);
    }

    /// The attempt failed for a reason outside the cluster's state, such as the API: it is tried again after a while.
    pub fn failed(&mut self, key: &str, now: Instant) {
        let Some(waiting) = self.pods.get(key) else { return };
        let until = now + waiting.backoff();
        self.unplace(key);
        self.place(key, Place::BackingOff(until));
    }

    /// When [`Queue::pop`] may have more to give, where nothing else happens.
    #[must_use]
    pub fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// How many pods wait where.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { active: self.active.len(), ..Counts::default() };
        for waiting in self.pods.values() {
            match waiting.place {
                Place::BackingOff(_) => counts.backoff += 1,
                Place::Unschedulable(_) => counts.unschedulable += 1,
                Place::Active(_) | Place::InFlight { .. } => {}
            }
        }
        counts
    }

    fn fire_timers(&mut self, now: Instant) {
        while let Some((at, key)) = self.timers.first().cloned() {
            if at > now {
                break;
            }
            self.timers.remove(&(at, key.clone()));
            self.activate(&key);
        }
    }

    fn activate(&mut self, key: &str) {
        if let Some(waiting) = self.pods.get_mut(key) {
            let rank = waiting.rank();
            waiting.place = Place::Active(rank);
            self.active.insert(rank, key.to_owned());
        }
    }

    fn place(&mut self, key: &str, place: Place) {
        if let Some(waiting) = self.pods.get_mut(key) {
            waiting.place = place;
            if let Place::BackingOff(at) | Place::Unschedulable(at) = place {
                self.timers.insert((at, key.to_owned()));
            }
        }
    }

    fn unplace(&mut self, key: &str) {
        match self.pods.get(key).map(|waiting| waiting.place) {
            Some(Place::Active(rank)) => {
                self.active.remove(&rank);
            }
            Some(Place::BackingOff(at) | Place::Unschedulable(at)) => {
                self.timers.remove(&(at, key.to_owned()));
            }
            Some(Place::InFlight { .. }) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Queue;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn priority_then_age() {
        let mut queue = Queue::default();
        queue.add("old", 0, at(0));
        queue.add("young", 0, at(1));
        queue.add("urgent", 10, at(2));
        let order: Vec<String> = std::iter::from_fn(|| queue.pop(at(3))).collect();
        assert_eq!(order, ["urgent", "old", "young"]);
    }

    #[test]
    fn failures_back_off_ever_longer() {
        let mut queue = Queue::default();
        queue.add("p", 0, at(0));
        let mut now = at(0);
        for wait in [1, 2, 4, 8, 10, 10] {
            assert_eq!(queue.pop(now).as_deref(), Some("p"));
            queue.failed("p", now);
            assert_eq!(queue.next_timer(), Some(now + at(wait)));
            assert_eq!(queue.pop(now), None);
            now += at(wait);
        }
    }

    #[test]
    fn unschedulable_pods_wait_for_an_event() {
        let mut queue = Queue::default();
        queue.add("p", 0, at(0));
        queue.pop(at(0));
        queue.unschedulable("p", at(0));
        assert_eq!(queue.pop(at(60)), None);
        queue.wake_all(at(60));
        assert_eq!(queue.pop(at(60)), None);
        assert_eq!(queue.pop(at(61)).as_deref(), Some("p"));
        queue.unschedulable("p", at(61));
        assert_eq!(queue.pop(at(361)).as_deref(), Some("p"), "tried again without an event");
    }

    #[test]
    fn an_event_during_the_attempt_is_not_lost() {
        let mut queue = Queue::default();
        queue.add("p", 0, at(0));
        queue.pop(at(0));
        queue.wake_all(at(0));
        queue.unschedulable("p", at(0));
        assert_eq!(queue.pop(at(1)).as_deref(), Some("p"));
    }

    #[test]
    fn removed_pods_are_gone_from_everywhere() {
        let mut queue = Queue::default();
        queue.add("a", 0, at(0));
        queue.add("b", 0, at(0));
        queue.pop(at(0));
        queue.failed("a", at(0));
        queue.remove("a");
        queue.remove("b");
        assert_eq!(queue.pop(at(100)), None);
        assert_eq!(queue.next_timer(), None);
    }
}
