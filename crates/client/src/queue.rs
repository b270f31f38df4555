//! Work queues: keys to work on, each at most once at a time.
//!
//! A key that is added while it waits is not added twice; one that is added while it is worked on is queued again when
//! that work is done. So a worker always sees the newest state, and two workers never work on one key.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

mod metrics;
mod state;

use metrics::Metrics;
use state::State;

/// What a key can be.
pub trait Key: Clone + Eq + Hash + Send + Sync + std::fmt::Debug + 'static {}

impl<K: Clone + Eq + Hash + Send + Sync + std::fmt::Debug + 'static> Key for K {}

/// Keys to work on. Cheap to clone; clones share the queue. It holds each key at most once, so it is bounded by what
/// there is to work on.
#[derive(Debug)]
pub struct WorkQueue<K> {
    shared: Arc<Shared<K>>,
}

#[derive(Debug)]
struct Shared<K> {
    state: Mutex<State<K>>,
    changed: Notify,
    metrics: Metrics,
    name: String,
}

impl<K> Clone for WorkQueue<K> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<K: Key> WorkQueue<K> {
    /// An empty queue; metrics carry the name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State::default()),
                changed: Notify::new(),
                metrics: Metrics::new(name),
                name: name.to_owned(),
            }),
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Queues a key, unless it waits already.
    pub fn add(&self, key: K) {
        let mut state = self.shared.state.lock();
        if state.add(key, Instant::now()) {
            self.shared.metrics.adds.inc();
        }
        self.shared.metrics.depth.set(state.len());
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Queues a key after a pause.
    pub fn add_after(&self, key: K, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        self.shared.state.lock().add_at(key, Instant::now() + delay);
        self.shared.changed.notify_one();
    }

    /// Queues a key that failed, after a pause that doubles with each failure: 5 ms to 1000 s.
    pub fn add_rate_limited(&self, key: K) {
        let delay = self.shared.state.lock().fail(&key);
        self.shared.metrics.retries.inc();
        self.add_after(key, delay);
    }

    /// Forgets a key's failures, after a success.
    pub fn forget(&self, key: &K) {
        self.shared.state.lock().forget(key);
    }

    /// How often a key failed since its last success.
    #[must_use]
    pub fn failures(&self, key: &K) -> u32 {
        self.shared.state.lock().failures(key)
    }

    /// The next key, which must be given back by [`WorkQueue::done`]; `None` after a shutdown.
    pub async fn get(&self) -> Option<K> {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            // From here on no change goes unnoticed, so the look at the state may come after it.
            changed.as_mut().enable();
            let due = {
                let now = Instant::now();
                let mut state = self.shared.state.lock();
                if state.is_shut_down() {
                    return None;
                }
                let promoted = state.promote(now);
                self.shared.metrics.adds.inc_by(promoted);
                if let Some((key, waited)) = state.get(now) {
                    self.shared.metrics.depth.set(state.len());
                    self.shared.metrics.waited.observe(waited.as_secs_f64());
                    if !state.is_empty() {
                        // Another worker may sleep although several keys became due at once.
                        self.shared.changed.notify_one();
                    }
                    return Some(key);
                }
                state.next_due()
            };
            match due {
                Some(due) => tokio::select! {
                    () = &mut changed => {}
                    () = tokio::time::sleep_until(due) => {}
                },
                None => changed.await,
            }
        }
    }

    /// Gives back a key: the work on it is over.
    pub fn done(&self, key: &K) {
        let mut state = self.shared.state.lock();
        let (took, again) = state.done(key, Instant::now());
        self.shared.metrics.depth.set(state.len());
        drop(state);
        if let Some(took) = took {
            self.shared.metrics.worked.observe(took.as_secs_f64());
        }
        if again {
            self.shared.changed.notify_one();
        }
    }

    /// How many keys wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.state.lock().waiting()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends the queue: workers get no more keys.
    pub fn shutdown(&self) {
        self.shared.state.lock().shut_down();
        self.shared.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::WorkQueue;
    use std::time::Duration;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn delayed_keys_come_when_they_are_due() {
        let queue = WorkQueue::new("test-delayed");
        let start = Instant::now();
        queue.add_after("late", Duration::from_secs(60));
        queue.add_after("early", Duration::from_secs(1));
        assert_eq!(queue.get().await, Some("early"));
        assert_eq!(start.elapsed().as_secs(), 1);
        assert_eq!(queue.get().await, Some("late"));
        assert_eq!(start.elapsed().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sleeping_worker_notices_an_earlier_key() {
        let queue = WorkQueue::new("test-earlier");
        queue.add_after("late", Duration::from_secs(60));
        let worker = tokio::spawn({
            let queue = queue.clone();
            async move { queue.get().await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        queue.add_after("early", Duration::from_secs(1));
        assert_eq!(worker.await.unwrap(), Some("early"));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_double_the_pause() {
        let queue = WorkQueue::new("test-failures");
        for pause in [5, 10, 20, 40] {
            let start = Instant::now();
            queue.add_rate_limited("key");
            queue.get().await.unwrap();
            assert_eq!(start.elapsed(), Duration::from_millis(pause));
            queue.done(&"key");
        }
        queue.forget(&"key");
        assert_eq!(queue.failures(&"key"), 0);
    }

    #[tokio::test]
    async fn shutdown_wakes_every_worker() {
        let queue = WorkQueue::<u8>::new("test-shutdown");
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let queue = queue.clone();
                tokio::spawn(async move { queue.get().await })
            })
            .collect();
        tokio::task::yield_now().await;
        queue.shutdown();
        for worker in workers {
            assert_eq!(worker.await.unwrap(), None);
        }
    }

    /// Many workers, keys that fail, come late and come again: no key is worked on twice at once, none is forgotten.
    #[tokio::test(start_paused = true)]
    async fn no_key_is_lost_or_worked_on_twice_at_once() {
        use parking_lot::Mutex;
        use rand::{Rng, SeedableRng, rngs::StdRng};
        use std::collections::{HashMap, HashSet};
        use std::sync::Arc;

        for seed in 0..10 {
            let queue = WorkQueue::<u32>::new("test-random");
            // The newest number that was asked for, and the newest that was seen, of each key.
            let asked: Arc<Mutex<HashMap<u32, u64>>> = Arc::default();
            let seen: Arc<Mutex<HashMap<u32, u64>>> = Arc::default();
            let busy: Arc<Mutex<HashSet<u32>>> = Arc::default();
            let workers: Vec<_> = (0..4)
                .map(|worker| {
                    let (queue, asked, seen, busy) =
                        (queue.clone(), asked.clone(), seen.clone(), busy.clone());
                    let mut random = StdRng::seed_from_u64(seed * 10 + worker);
                    tokio::spawn(async move {
                        while let Some(key) = queue.get().await {
                            assert!(busy.lock().insert(key), "{key} is worked on twice");
                            let number = asked.lock()[&key];
                            tokio::time::sleep(Duration::from_millis(random.random_range(0..20))).await;
                            if random.random_bool(0.2) {
                                queue.add_rate_limited(key);
                            } else {
                                queue.forget(&key);
                                seen.lock().insert(key, number);
                            }
                            busy.lock().remove(&key);
                            queue.done(&key);
                        }
                    })
                })
                .collect();
            let mut random = StdRng::seed_from_u64(seed);
            for number in 0..500 {
                let key = random.random_range(0..10);
                asked.lock().insert(key, number);
                if random.random_bool(0.5) {
                    queue.add(key);
                } else {
                    queue.add_after(key, Duration::from_millis(random.random_range(0..100)));
                }
                tokio::time::sleep(Duration::from_millis(random.random_range(0..5))).await;
            }
            tokio::time::sleep(Duration::from_secs(3600)).await;
            assert_eq!(*seen.lock(), *asked.lock(), "seed {seed}");
            queue.shutdown();
            for worker in workers {
                worker.await.unwrap();
            }
        }
    }
}
