//! The queue itself: no clock, no waiting.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::Key;

const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1000);

#[derive(Debug)]
pub(super) struct State<K> {
    /// What waits, in order, with the time since when.
    queue: VecDeque<(K, Instant)>,
    /// What must be worked on (again).
    dirty: HashSet<K>,
    /// What is worked on, since when.
    processing: HashMap<K, Instant>,
    /// When delayed keys become due. An entry of the heap that is not in here is void.
    due: HashMap<K, Instant>,
    heap: BinaryHeap<Reverse<(Instant, u64)>>,
    delayed: HashMap<u64, K>,
    sequence: u64,
    failures: HashMap<K, u32>,
    shut_down: bool,
}

impl<K> Default for State<K> {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            dirty: HashSet::new(),
            processing: HashMap::new(),
            due: HashMap::new(),
            heap: BinaryHeap::new(),
            delayed: HashMap::new(),
            sequence: 0,
            failures: HashMap::new(),
            shut_down: false,
        }
    }
}

impl<K: Key> State<K> {
    /// Queues a key. False where that changes nothing.
    pub(super) fn add(&mut self, key: K, now: Instant) -> bool {
        if self.shut_down || !self.dirty.insert(key.clone()) {
            return false;
        }
        if !self.processing.contains_key(&key) {
            self.queue.push_back((key, now));
        }
        true
    }

    /// Queues a key at a time. Of several times the earliest counts.
    pub(super) fn add_at(&mut self, key: K, time: Instant) {
        if self.shut_down || self.due.get(&key).is_some_and(|due| *due <= time) {
            return;
        }
        self.sequence += 1;
        self.due.insert(key.clone(), time);
        self.delayed.insert(self.sequence, key);
        self.heap.push(Reverse((time, self.sequence)));
    }

    /// Queues the delayed keys that are due; says how many were not queued yet.
    pub(super) fn promote(&mut self, now: Instant) -> u64 {
        let mut added = 0;
        while let Some(Reverse((time, sequence))) = self.heap.peek().copied() {
            if time > now {
                break;
            }
            self.heap.pop();
            let Some(key) = self.delayed.remove(&sequence) else { continue };
            if self.due.get(&key) == Some(&time) {
                self.due.remove(&key);
                added += u64::from(self.add(key, now));
            }
        }
        added
    }

    /// When the next delayed key is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((time, _))| *time)
    }

    /// The next key and how long it waited.
    pub(super) fn get(&mut self, now: Instant) -> Option<(K, Duration)> {
        let (key, since) = self.queue.pop_front()?;
        self.dirty.remove(&key);
        self.processing.insert(key.clone(), now);
        Some((key, now - since))
    }

    /// Ends the work on a key: how long it took, and whether the key is queued again.
    pub(super) fn done(&mut self, key: &K, now: Instant) -> (Option<Duration>, bool) {
        let took = self.processing.remove(key).map(|since| now - since);
        let again = took.is_some() && self.dirty.contains(key);
        if again {
            self.queue.push_back((key.clone(), now));
        }
        (took, again)
    }

    /// Counts a failure; says how long to wait.
    pub(super) fn fail(&mut self, key: &K) -> Duration {
        let failures = self.failures.entry(key.clone()).or_default();
        let pause =
            FIRST_PAUSE.saturating_mul(1u32.checked_shl(*failures).unwrap_or(u32::MAX)).min(LONGEST_PAUSE);
        *failures = failures.saturating_add(1);
        pause
    }

    pub(super) fn forget(&mut self, key: &K) {
        self.failures.remove(key);
    }

    pub(super) fn failures(&self, key: &K) -> u32 {
        self.failures.get(key).copied().unwrap_or(0)
    }

    /// How many keys can be had now, for metrics.
    pub(super) fn len(&self) -> i64 {
        i64::try_from(self.queue.len()).unwrap_or(i64::MAX)
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn shut_down(&mut self) {
        self.shut_down = true;
    }

    pub(super) fn is_shut_down(&self) -> bool {
        self.shut_down
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_PAUSE, State};
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn a_key_waits_once() {
        let (mut state, now) = (State::default(), Instant::now());
        assert!(state.add("a", now));
        assert!(!state.add("a", now));
        assert_eq!(state.get(now).unwrap().0, "a");
        assert!(state.get(now).is_none());
    }

    #[test]
    fn a_key_added_while_worked_on_comes_again_afterwards() {
        let (mut state, now) = (State::default(), Instant::now());
        state.add("a", now);
        state.get(now).unwrap();
        state.add("a", now);
        assert!(state.get(now).is_none(), "two workers must not have one key");
        assert!(state.done(&"a", now).1);
        assert_eq!(state.get(now).unwrap().0, "a");
        assert!(!state.done(&"a", now).1);
    }

    #[test]
    fn the_earliest_of_several_times_counts() {
        let (mut state, now) = (State::default(), Instant::now());
        state.add_at("a", now + Duration::from_secs(9));
        state.add_at("a", now + Duration::from_secs(3));
        state.add_at("a", now + Duration::from_secs(5));
        assert_eq!(state.promote(now + Duration::from_secs(2)), 0);
        assert_eq!(state.promote(now + Duration::from_secs(3)), 1);
        state.get(now).unwrap();
        state.done(&"a", now);
        assert_eq!(state.promote(now + Duration::from_secs(10)), 0, "the later time is void");
    }

    #[test]
    fn pauses_end_at_the_longest() {
        let mut state = State::default();
        let pauses: Vec<_> = (0..40).map(|_| state.fail(&"a")).collect();
        assert_eq!(pauses[0], Duration::from_millis(5));
        assert_eq!(pauses[7], Duration::from_millis(640));
        assert_eq!(pauses[39], LONGEST_PAUSE);
    }
}
