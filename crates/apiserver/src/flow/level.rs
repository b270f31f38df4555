//! A priority level: its fair queues, with clock and wakers.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::dropped::Dropped;
use super::fair::{Arrival, Fair, Place, Queuing};
use super::metrics::OfSchema;
use super::shares::{Demand, Observed};

/// A level, for as long as requests are under way there.
pub(super) struct Level {
    pub(super) name: String,
    pub(super) exempt: bool,
    origin: Instant,
    state: Mutex<State>,
}

/// What one lock guards.
pub(super) struct State {
    pub(super) fair: Fair<Ticket>,
    pub(super) counts: Counts,
    pub(super) demand: Demand,
    dropped: Dropped,
}

/// What became of a level's requests.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) dispatched: u64,
    pub(super) rejected: u64,
    pub(super) timed_out: u64,
    pub(super) cancelled: u64,
}

/// Who waits.
pub(super) struct Ticket {
    wake: oneshot::Sender<Place>,
    pub(super) details: Details,
}

/// What is shown of who waits.
#[derive(Debug, Clone)]
pub(super) struct Details {
    pub(super) schema: String,
    pub(super) flow: String,
    pub(super) user: String,
    pub(super) verb: String,
    pub(super) path: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) resource: String,
    pub(super) subresource: String,
    pub(super) arrived: jiff::Timestamp,
}

/// Why a request is sent away.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(super) reason: &'static str,
    /// When to come back, in seconds.
    pub(crate) retry_after: u64,
}

/// A request that runs. Its seats are free again when this is dropped.
#[must_use]
#[derive(Debug)]
pub(crate) struct Seat {
    level: Arc<Level>,
    metrics: Arc<OfSchema>,
    place: Place,
}

impl std::fmt::Debug for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Level").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.metrics.ended(self.place.seats());
        self.level.change(|fair, now| fair.finish(now, self.place));
    }
}

impl Level {
    pub(super) fn new(name: &str, exempt: bool, limit: Option<u32>, queuing: Option<Queuing>) -> Arc<Self> {
        let state = State {
            fair: Fair::new(limit, queuing),
            counts: Counts::default(),
            demand: Demand::default(),
            dropped: Dropped::default(),
        };
        Arc::new(Self { name: name.to_owned(), exempt, origin: Instant::now(), state: Mutex::new(state) })
    }

    /// Looks at the state.
    pub(super) fn look<R>(&self, look: impl FnOnce(&State) -> R) -> R {
        look(&self.state.lock())
    }

    fn now(&self) -> f64 {
        self.origin.elapsed().as_secs_f64()
    }

    /// Changes the queues, and lets run what may run then.
    fn change<R>(&self, change: impl FnOnce(&mut Fair<Ticket>, f64) -> R) -> R {
        let now = self.now();
        let mut state = self.state.lock();
        let changed = change(&mut state.fair, now);
        while let Some((ticket, place)) = state.fair.next(now) {
            state.counts.dispatched += 1;
            // Who has just gone away gives its seats back, as it finds that it has some.
            let _ = ticket.wake.send(place);
        }
        changed
    }

    /// Queues and limit as they are to be from now on.
    pub(super) fn set(&self, limit: Option<u32>, queuing: Option<Queuing>) {
        self.change(|fair, _| {
            fair.set_queuing(queuing);
            fair.set_limit(limit);
        });
    }

    pub(super) fn set_limit(&self, limit: Option<u32>) {
        self.change(|fair, _| fair.set_limit(limit));
    }

    /// Ends a period: what was needed in it, and what is thought to be needed.
    pub(super) fn observe(&self) -> (Observed, Demand) {
        let now = self.now();
        let mut state = self.state.lock();
        let observed = state.fair.observe(now);
        state.demand.update(observed);
        (observed, state.demand)
    }

    /// Gets seats for a request of a flow: at once, or within `limit`.
    pub(super) async fn enter(
        self: &Arc<Self>,
        metrics: &Arc<OfSchema>,
        (flow, seats): (u64, u32),
        limit: Duration,
        details: impl FnOnce() -> Details,
    ) -> Result<Seat, Refused> {
        let seat = |place| Seat { level: Arc::clone(self), metrics: Arc::clone(metrics), place };
        let begun = self.now();
        let mut woken = None;
        let arrival = {
            let mut state = self.state.lock();
            let arrival = state.fair.arrive(begun, flow, seats, || {
                let (wake, receiver) = oneshot::channel();
                woken = Some(receiver);
                Ticket { wake, details: details() }
            });
            if let Arrival::Run(_) = arrival {
                state.counts.dispatched += 1;
            }
            arrival
        };
        let refused = match (arrival, woken) {
            (Arrival::Run(place), _) => {
                metrics.begun(seats, 0.0);
                return Ok(seat(place));
            }
            (Arrival::Wait(number, queue), Some(woken)) => {
                metrics.waiting.inc();
                let mut waiting = Waiting { level: self, metrics, number, queue, woken, over: false };
                match tokio::time::timeout(limit, &mut waiting.woken).await {
                    Ok(Ok(place)) => {
                        waiting.over = true;
                        metrics.begun(seats, self.now() - begun);
                        return Ok(seat(place));
                    }
                    // Nobody drops a ticket but with its request.
                    Ok(Err(_)) => "cancelled",
                    Err(_) => match waiting.leave() {
                        None => {
                            self.state.lock().counts.timed_out += 1;
                            "time-out"
                        }
                        // It was its turn in this very moment.
                        Some(place) => {
                            metrics.begun(seats, self.now() - begun);
                            return Ok(seat(place));
                        }
                    },
                }
            }
            (Arrival::NoSeat, _) => "concurrency-limit",
            (Arrival::Full | Arrival::Wait(..), _) => "queue-full",
        };
        metrics.rejected(refused, self.now() - begun);
        let mut state = self.state.lock();
        if refused != "time-out" {
            state.counts.rejected += 1;
        }
        let retry_after = state.dropped.add(self.origin.elapsed().as_secs());
        Err(Refused { reason: refused, retry_after })
    }
}

/// A request that waits: leaves its queue, or gives its seats back, also when its client goes away.
struct Waiting<'a> {
    level: &'a Arc<Level>,
    metrics: &'a Arc<OfSchema>,
    number: u64,
    queue: usize,
    woken: oneshot::Receiver<Place>,
    over: bool,
}

impl Waiting<'_> {
    /// Leaves the queue; where it was its turn already, its place.
    fn leave(&mut self) -> Option<Place> {
        self.over = true;
        let (number, queue) = (self.number, self.queue);
        if self.level.change(|fair, now| fair.cancel(now, number, queue)) {
            return None;
        }
        // Places are sent under the lock that was just held.
        self.woken.try_recv().ok()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.metrics.waiting.dec();
        if self.over {
            return;
        }
        if let Some(place) = self.leave() {
            self.level.change(|fair, now| fair.finish(now, place));
        }
        self.level.state.lock().counts.cancelled += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details() -> Details {
        let text = || "x".to_owned();
        Details {
            schema: text(),
            flow: text(),
            user: text(),
            verb: text(),
            path: text(),
            namespace: text(),
            name: text(),
            resource: text(),
            subresource: text(),
            arrived: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    fn level(limit: u32, length: usize) -> (Arc<Level>, Arc<OfSchema>) {
        let queuing = Queuing { queues: 1, hand: 1, length };
        (Level::new("l", false, Some(limit), Some(queuing)), Arc::new(OfSchema::new("l", "s")))
    }

    const LIMIT: Duration = Duration::from_secs(15);

    async fn enter(level: &Arc<Level>, metrics: &Arc<OfSchema>) -> Result<Seat, Refused> {
        level.enter(metrics, (1, 1), LIMIT, details).await
    }

    fn spawn(level: &Arc<Level>, metrics: &Arc<OfSchema>) -> tokio::task::JoinHandle<Result<Seat, Refused>> {
        let (level, metrics) = (level.clone(), metrics.clone());
        tokio::spawn(async move { enter(&level, &metrics).await })
    }

    fn in_use(level: &Level) -> (u32, usize) {
        level.look(|state| (state.fair.seats_in_use, state.fair.waiting))
    }

    #[tokio::test(start_paused = true)]
    async fn a_seat_that_becomes_free_goes_to_who_waits() {
        let (level, metrics) = level(1, 1);
        let first = enter(&level, &metrics).await.unwrap();
        let second = spawn(&level, &metrics);
        tokio::task::yield_now().await;
        assert_eq!(in_use(&level), (1, 1));
        let full = enter(&level, &metrics).await.err().unwrap();
        assert_eq!(full, Refused { reason: "queue-full", retry_after: 1 });
        drop(first);
        let second = second.await.unwrap().unwrap();
        assert_eq!(in_use(&level), (1, 0));
        drop(second);
        assert_eq!(in_use(&level), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_too_long_is_sent_away() {
        let (level, metrics) = level(1, 1);
        let _first = enter(&level, &metrics).await.unwrap();
        let refused = enter(&level, &metrics).await.err().unwrap();
        assert_eq!(refused.reason, "time-out");
        assert_eq!(in_use(&level), (1, 0));
        assert_eq!(level.look(|state| state.counts.timed_out), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_takes_no_seat() {
        let (level, metrics) = level(1, 5);
        let first = enter(&level, &metrics).await.unwrap();
        let (gone, also_gone) = (spawn(&level, &metrics), spawn(&level, &metrics));
        tokio::task::yield_now().await;
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        assert_eq!(in_use(&level), (1, 1));
        // This one goes away when it was its turn, before it has seen that.
        drop(first);
        assert_eq!(in_use(&level), (1, 0));
        also_gone.abort();
        let ended = also_gone.await;
        assert!(ended.is_err() || ended.is_ok_and(|seat| seat.is_ok()));
        assert_eq!(in_use(&level), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn more_seats_let_more_run() {
        let (level, metrics) = level(1, 5);
        let _first = enter(&level, &metrics).await.unwrap();
        let second = spawn(&level, &metrics);
        tokio::task::yield_now().await;
        level.set_limit(Some(2));
        let _second = second.await.unwrap().unwrap();
        assert_eq!(in_use(&level), (2, 0));
    }
}
