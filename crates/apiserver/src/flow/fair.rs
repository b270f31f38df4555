//! Fair queues: which request of a level runs next. Neither clock nor I/O; time is what the caller says.
//!
//! Each queue has a virtual time, at which all that it has been given so far would be done if every queue that has
//! something to do got the same. A request goes to the queue of its hand that has the least to do, and of the queues the
//! one whose next request would be done first goes on. How long a request takes is not known before: it is guessed, and
//! put right when it ends.

use std::collections::VecDeque;

use super::shares::Observed;
use super::shuffle;

/// How long a request is thought to take, in seconds, until it is known.
const GUESS: f64 = 0.003;

/// The work that requests of so many seats are thought to be.
pub(super) fn guess(seats: u32) -> f64 {
    GUESS * f64::from(seats)
}

/// How requests of a level wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Queuing {
    /// How many queues there are; none where nothing waits.
    pub(super) queues: usize,
    /// How many of them a flow may use.
    pub(super) hand: usize,
    /// How many requests wait in one of them.
    pub(super) length: usize,
}

/// What becomes of a request that comes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It runs now.
    Run(Place),
    /// It waits: its number there, and in which queue.
    Wait(u64, usize),
    /// Nothing waits here, and no seat is free.
    NoSeat,
    /// Its queue is full.
    Full,
}

/// Where a running request sits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    /// Its queue; none where there are none.
    pub(super) queue: Option<usize>,
    seats: u32,
    since: f64,
}

impl Eq for Place {}

impl Place {
    pub(super) fn seats(&self) -> u32 {
        self.seats
    }
}

/// A request that waits.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    number: u64,
    pub(super) seats: u32,
    /// The virtual time at which it came.
    came: f64,
    pub(super) ticket: T,
}

/// One queue.
#[derive(Debug)]
pub(super) struct Queue<T> {
    pub(super) waiting: VecDeque<Waiting<T>>,
    pub(super) executing: u32,
    pub(super) seats_in_use: u32,
    pub(super) seats_waiting: u32,
    /// The virtual time at which its next request begins.
    pub(super) next: f64,
}

impl<T> Queue<T> {
    fn new() -> Self {
        Self { waiting: VecDeque::new(), executing: 0, seats_in_use: 0, seats_waiting: 0, next: 0.0 }
    }

    fn is_idle(&self) -> bool {
        self.executing == 0 && self.waiting.is_empty()
    }

    /// The seats that it has and wants.
    fn load(&self) -> u32 {
        self.seats_in_use + self.seats_waiting
    }
}

/// The queues of a level.
#[derive(Debug)]
pub(super) struct Fair<T> {
    limit: Option<u32>,
    queuing: Option<Queuing>,
    pub(super) queues: Vec<Queue<T>>,
    pub(super) executing: u32,
    pub(super) seats_in_use: u32,
    pub(super) waiting: usize,
    seats_waiting: u32,
    /// Queues that have something to do.
    pub(super) active: u32,
    number: u64,
    /// The virtual time, and when it was that.
    virtual_now: f64,
    now: f64,
    demand: DemandSum,
}

/// The need of seats over a period.
#[derive(Debug, Default)]
struct DemandSum {
    began: f64,
    sum: f64,
    squares: f64,
    high: u32,
}

impl<T> Fair<T> {
    /// Without a limit, nothing ever waits; without queues, what has no seat is refused.
    pub(super) fn new(limit: Option<u32>, queuing: Option<Queuing>) -> Self {
        let mut fair = Self {
            limit,
            queuing: None,
            queues: Vec::new(),
            executing: 0,
            seats_in_use: 0,
            waiting: 0,
            seats_waiting: 0,
            active: 0,
            number: 0,
            virtual_now: 0.0,
            now: 0.0,
            demand: DemandSum::default(),
        };
        fair.set_queuing(queuing);
        fair
    }

    /// Other queues from now on. Those that are too many are dealt to nobody, and emptied.
    pub(super) fn set_queuing(&mut self, queuing: Option<Queuing>) {
        self.queuing = queuing.filter(|queuing| queuing.queues > 0);
        let wanted = self.queuing.map_or(0, |queuing| queuing.queues);
        if self.queues.len() < wanted {
            self.queues.resize_with(wanted, Queue::new);
        }
        while self.queues.len() > wanted && self.queues.last().is_some_and(Queue::is_idle) {
            self.queues.pop();
        }
    }

    /// Another limit from now on; whoever calls lets the next ones run.
    pub(super) fn set_limit(&mut self, limit: Option<u32>) {
        self.limit = limit;
    }

    pub(super) fn limit(&self) -> Option<u32> {
        self.limit
    }

    /// The need of seats since this was asked last.
    pub(super) fn observe(&mut self, now: f64) -> Observed {
        self.advance(now);
        let demand = std::mem::replace(
            &mut self.demand,
            DemandSum {
                began: self.now,
                high: self.seats_in_use + self.seats_waiting,
                ..DemandSum::default()
            },
        );
        let time = self.now - demand.began;
        if time <= 0.0 {
            return Observed { high: demand.high, ..Observed::default() };
        }
        let average = demand.sum / time;
        let variance = (demand.squares / time - average * average).max(0.0);
        Observed { average, deviation: variance.sqrt(), high: demand.high }
    }

    /// A request comes. It needs a ticket only to wait.
    pub(super) fn arrive(&mut self, now: f64, flow: u64, seats: u32, ticket: impl FnOnce() -> T) -> Arrival {
        self.advance(now);
        let Some(queuing) = self.queuing else {
            if !self.fits(seats) {
                return Arrival::NoSeat;
            }
            return Arrival::Run(self.begin(None, seats));
        };
        let index = self.deal(flow, &queuing);
        let seatless = self.limit.is_some_and(|limit| self.seats_in_use >= limit);
        if seatless && self.queues[index].waiting.len() >= queuing.length {
            return Arrival::Full;
        }
        if self.queues[index].is_idle() {
            self.active += 1;
            self.queues[index].next = self.virtual_now;
        }
        // Nobody waits: it is the next one.
        if self.waiting == 0 && self.fits(seats) {
            return Arrival::Run(self.begin(Some(index), seats));
        }
        self.number += 1;
        let (number, came) = (self.number, self.virtual_now);
        let queue = &mut self.queues[index];
        queue.waiting.push_back(Waiting { number, seats, came, ticket: ticket() });
        queue.seats_waiting += seats;
        self.waiting += 1;
        self.seats_waiting += seats;
        self.note_demand();
        Arrival::Wait(number, index)
    }

    /// Lets the next request run, if one may.
    pub(super) fn next(&mut self, now: f64) -> Option<(T, Place)> {
        if self.waiting == 0 {
            return None;
        }
        self.advance(now);
        let end = |queue: &Queue<T>| {
            let seats = queue.waiting.front()?.seats;
            Some(queue.next + guess(seats))
        };
        let ends = self.queues.iter().enumerate().filter_map(|(index, queue)| Some((index, end(queue)?)));
        let (index, _) = ends.min_by(|(_, a), (_, b)| a.total_cmp(b))?;
        if !self.fits(self.queues[index].waiting.front()?.seats) {
            return None;
        }
        let next = self.remove(index, 0)?;
        Some((next.ticket, self.begin(Some(index), next.seats)))
    }

    /// A request that waits goes away; it runs already where this says no.
    pub(super) fn cancel(&mut self, now: f64, number: u64, index: usize) -> bool {
        self.advance(now);
        let Some(queue) = self.queues.get(index) else { return false };
        let Some(place) = queue.waiting.iter().position(|waiting| waiting.number == number) else {
            return false;
        };
        let found = self.remove(index, place).is_some();
        self.rest(index);
        found
    }

    /// A request ends.
    pub(super) fn finish(&mut self, now: f64, place: Place) {
        self.advance(now);
        self.executing -= 1;
        self.seats_in_use -= place.seats;
        let Some(index) = place.queue else { return };
        let took = (self.now - place.since).max(0.0);
        let queue = &mut self.queues[index];
        queue.executing -= 1;
        queue.seats_in_use -= place.seats;
        queue.next += (took - GUESS) * f64::from(place.seats);
        // Who took less than was thought is not owed the time in which it had nothing to do.
        if let Some(first) = queue.waiting.front() {
            queue.next = queue.next.max(first.came);
        }
        self.rest(index);
    }

    /// A queue may have nothing to do any more.
    fn rest(&mut self, index: usize) {
        if self.queues[index].is_idle() {
            self.active -= 1;
            self.set_queuing(self.queuing);
        }
    }

    fn remove(&mut self, index: usize, place: usize) -> Option<Waiting<T>> {
        let queue = &mut self.queues[index];
        let waiting = queue.waiting.remove(place)?;
        queue.seats_waiting -= waiting.seats;
        self.waiting -= 1;
        self.seats_waiting -= waiting.seats;
        Some(waiting)
    }

    fn begin(&mut self, queue: Option<usize>, seats: u32) -> Place {
        self.executing += 1;
        self.seats_in_use += seats;
        if let Some(index) = queue {
            let queue = &mut self.queues[index];
            queue.executing += 1;
            queue.seats_in_use += seats;
            queue.next += guess(seats);
        }
        self.note_demand();
        Place { queue, seats, since: self.now }
    }

    /// Whether so many seats are free. What wants more than there are runs alone.
    fn fits(&self, seats: u32) -> bool {
        match self.limit {
            None => true,
            Some(limit) if seats > limit => self.executing == 0,
            Some(limit) => self.seats_in_use + seats <= limit,
        }
    }

    /// The queue of the flow's hand that has the least to do.
    fn deal(&self, flow: u64, queuing: &Queuing) -> usize {
        let mut best = (0, u32::MAX);
        shuffle::deal(flow, queuing.queues, queuing.hand, |card| {
            let load = self.queues[card].load();
            if load < best.1 {
                best = (card, load);
            }
        });
        best.0
    }

    fn note_demand(&mut self) {
        self.demand.high = self.demand.high.max(self.seats_in_use + self.seats_waiting);
    }

    fn advance(&mut self, now: f64) {
        let passed = now - self.now;
        if passed <= 0.0 {
            return;
        }
        self.now = now;
        let wanted = self.seats_in_use + self.seats_waiting;
        let demand = f64::from(wanted);
        self.demand.sum += demand * passed;
        self.demand.squares += demand * demand * passed;
        if self.active > 0 {
            let served = f64::from(self.limit.map_or(wanted, |limit| limit.min(wanted)));
            self.virtual_now += passed * served / f64::from(self.active);
        }
    }
}

#[cfg(test)]
mod tests;
