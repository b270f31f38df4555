//! The loop of one probe of one instance, and the pure counting behind it.

use std::time::Duration;

use gantry_api::core::v1::{Probe, ProbeHandler};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::check::{Target, check};
use crate::pod::snapshot::{ProbeKind, after};

/// The first retry of a readiness probe that has never succeeded; each further one doubles it, up to the period.
const EAGER: Duration = Duration::from_millis(50);

/// A probe's numbers, with the API's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From the container's start to the first question.
    pub initial_delay: Duration,
    /// Between questions.
    pub period: Duration,
    /// For one answer.
    pub timeout: Duration,
    /// Successes in a row that count.
    pub success: u32,
    /// Failures in a row that count.
    pub failure: u32,
}

impl Timing {
    /// The numbers of `probe`.
    #[must_use]
    pub fn of(probe: &Probe) -> Self {
        let count = |value: i32, default| u32::try_from(value).ok().filter(|v| *v > 0).unwrap_or(default);
        let seconds = |value, default| Duration::from_secs(u64::from(count(value, default)));
        Self {
            initial_delay: seconds(probe.initial_delay_seconds, 0),
            period: seconds(probe.period_seconds, 10),
            timeout: seconds(probe.timeout_seconds, 1),
            success: count(probe.success_threshold, 1),
            failure: count(probe.failure_threshold, 3),
        }
    }
}

/// What a probe has found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Enough successes in a row.
    Healthy,
    /// Enough failures in a row.
    Unhealthy,
    /// One more failure, which does not decide yet or has been decided on.
    Failing,
}

/// Counts answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    timing: Timing,
    successes: u32,
    failures: u32,
}

impl Counter {
    /// Nothing counted.
    #[must_use]
    pub fn new(timing: Timing) -> Self {
        Self { timing, successes: 0, failures: 0 }
    }

    /// Takes one answer in; says what follows from it.
    pub fn record(&mut self, success: bool) -> Option<Verdict> {
        if success {
            self.failures = 0;
            self.successes = self.successes.saturating_add(1);
            return (self.successes >= self.timing.success).then_some(Verdict::Healthy);
        }
        self.successes = 0;
        self.failures = self.failures.saturating_add(1);
        Some(if self.failures >= self.timing.failure { Verdict::Unhealthy } else { Verdict::Failing })
    }
}

/// Something that a worker reports.
#[derive(Debug, Clone)]
pub struct Report {
    /// The container's name.
    pub container: String,
    /// The instance's id.
    pub id: String,
    /// Which of its probes.
    pub kind: ProbeKind,
    /// What follows from the last answer.
    pub verdict: Verdict,
    /// Why it failed, if it is to be told.
    pub message: Option<String>,
}

/// Asks until it is dropped or, for a startup probe, until it has succeeded.
pub async fn run(
    target: Target,
    kind: ProbeKind,
    probe: Probe,
    started_at: Timestamp,
    reports: mpsc::Sender<Report>,
) {
    let timing = Timing::of(&probe);
    let handler = probe.handler.unwrap_or_default();
    let first = after(started_at, timing.initial_delay).duration_since(Timestamp::now());
    let first = Duration::try_from(first).unwrap_or_default();
    let worker = Worker { target, kind, timing, handler, reports };
    worker.ask_forever(Instant::now() + first).await;
}

struct Worker {
    target: Target,
    kind: ProbeKind,
    timing: Timing,
    handler: ProbeHandler,
    reports: mpsc::Sender<Report>,
}

impl Worker {
    async fn ask_forever(self, first: Instant) {
        let mut counter = Counter::new(self.timing);
        // The regular times; a container that is not ready yet is asked in between too, so that it is used as soon
        // as it can be.
        let mut due = first;
        let mut eager = (self.kind == ProbeKind::Readiness).then_some(EAGER);
        tokio::time::sleep_until(first).await;
        loop {
            let answer = check(&self.target, &self.handler, self.timing.timeout).await;
            let now = Instant::now();
            let regular = now >= due;
            if regular {
                due += self.timing.period;
                // Answers that took longer than the period are not made up for.
                due = due.max(now);
            }
            if answer.is_ok() {
                eager = None;
            }
            // Only the regular questions count against the container.
            if (regular || answer.is_ok())
                && let Some(verdict) = counter.record(answer.is_ok())
            {
                let done = self.kind == ProbeKind::Startup && verdict == Verdict::Healthy;
                if !self.report(verdict, answer.err()).await || done {
                    return;
                }
            }
            let next = match &mut eager {
                Some(delay) if *delay < self.timing.period => {
                    let next = (now + *delay).min(due);
                    *delay *= 2;
                    next
                }
                _ => due,
            };
            tokio::time::sleep_until(next).await;
        }
    }

    /// `false` when nobody listens any more.
    async fn report(&self, verdict: Verdict, message: Option<String>) -> bool {
        let report = Report {
            container: self.target.container.name.clone(),
            id: self.target.id.clone(),
            kind: self.kind,
            verdict,
            message,
        };
        self.reports.send(report).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_count_in_a_row() {
        let timing = Timing::of(&Probe { success_threshold: 2, failure_threshold: 2, ..Probe::default() });
        let mut counter = Counter::new(timing);
        let answers = [true, false, true, true, false, false, false, true];
        let verdicts: Vec<_> = answers.into_iter().map(|answer| counter.record(answer)).collect();
        assert_eq!(
            verdicts,
            [
                None,
                Some(Verdict::Failing),
                None,
                Some(Verdict::Healthy),
                Some(Verdict::Failing),
                Some(Verdict::Unhealthy),
                Some(Verdict::Unhealthy),
                None,
            ]
        );
    }

    #[test]
    fn absent_numbers_are_the_apis_defaults() {
        let timing = Timing::of(&Probe::default());
        assert_eq!(timing.initial_delay, Duration::ZERO);
        assert_eq!((timing.period, timing.timeout), (Duration::from_secs(10), Duration::from_secs(1)));
        assert_eq!((timing.success, timing.failure), (1, 3));
    }
}
