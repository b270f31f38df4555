//! Exponential backoff with jitter.

use std::time::Duration;

/// Growing pauses between attempts. The pause is drawn from the upper half of the present step, so that clients that
/// failed together do not come back together.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    step: Duration,
}

impl Backoff {
    /// Steps of `first`, twice that, four times that, up to `max`.
    #[must_use]
    pub fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, step: first }
    }

    /// The next pause.
    pub fn next_delay(&mut self) -> Duration {
        let step = self.step.min(self.max);
        self.step = step.saturating_mul(2).min(self.max);
        step.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// Starts anew, after a success.
    pub fn reset(&mut self) {
        self.step = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use std::time::Duration;

    #[test]
    fn grows_to_the_maximum_and_starts_anew() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(300));
        for step in [100, 200, 300, 300] {
            let delay = backoff.next_delay();
            assert!(delay >= Duration::from_millis(step / 2), "{delay:?} of {step} ms");
            assert!(delay <= Duration::from_millis(step), "{delay:?} of {step} ms");
        }
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_millis(100));
    }
}
