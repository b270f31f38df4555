//! How much is started at the same time, and how long each part of it takes.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::metrics::Metrics;

/// Starts at the same time for each CPU: while one waits for the kernel, another uses the CPU.
const PER_CPU: usize = 3;
const LEAST: usize = 4;
/// Whoever has waited this long goes on without a slot: what holds them all is stuck.
const PATIENCE: Duration = Duration::from_secs(10);

/// Slots for starting containers. A start is mostly CPU time, so that more at once only makes all of them late.
#[derive(Debug)]
pub struct Starts {
    slots: Semaphore,
}

impl Default for Starts {
    /// As many as this machine's CPUs can make use of.
    fn default() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new((cpus * PER_CPU).max(LEAST))
    }
}

impl Starts {
    /// This many at the same time.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self { slots: Semaphore::new(slots) }
    }

    /// Waits for its turn, in the order of asking, but not for ever.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        tokio::time::timeout(PATIENCE, self.slots.acquire()).await.ok()?.ok()
    }
}

/// Measures the phases of a start one after the other, for the metrics and for the log at its end.
#[derive(Debug)]
pub struct Phases<'a> {
    metrics: &'a Metrics,
    began: Instant,
    last: Instant,
    told: String,
}

impl<'a> Phases<'a> {
    /// Begins with the first phase.
    #[must_use]
    pub fn begin(metrics: &'a Metrics) -> Self {
        let now = Instant::now();
        Self { metrics, began: now, last: now, told: String::new() }
    }

    /// The phase that was going on is over, and was this one.
    pub fn done(&mut self, phase: &'static str) {
        let now = Instant::now();
        let took = now - self.last;
        self.last = now;
        self.metrics.start_phases.with_label_values(&[phase]).observe(took.as_secs_f64());
        // Writing to a string cannot fail.
        let _infallible = write!(self.told, " {phase} {:.1}", took.as_secs_f64() * 1e3);
    }

    /// All of it so far.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

impl std::fmt::Display for Phases<'_> {
    /// In milliseconds.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} ms:{}", self.elapsed().as_secs_f64() * 1e3, self.told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_are_taken_and_nobody_waits_for_ever() {
        let starts = Starts::new(1);
        let first = starts.turn().await;
        assert!(first.is_some());
        assert!(starts.turn().await.is_none(), "who holds the only slot is taken to be stuck");
        drop(first);
        assert!(starts.turn().await.is_some());
    }
}
