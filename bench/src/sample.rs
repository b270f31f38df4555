//! Figures from many measurements.

use std::time::Duration;

/// Durations of the same thing.
#[derive(Debug, Default, Clone)]
pub struct Sample(Vec<Duration>);

impl Sample {
    /// Adds a measurement.
    pub fn add(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    /// The duration that this share of the measurements, 0 to 1, does not exceed; zero without measurements.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        let index = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
        sorted.get(index).copied().unwrap_or_default()
    }
}

impl FromIterator<Duration> for Sample {
    fn from_iter<T: IntoIterator<Item = Duration>>(durations: T) -> Self {
        Self(durations.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[test]
    fn quantiles_are_of_the_sorted_values() {
        let mut sample = super::Sample::default();
        for millis in [5, 1, 3, 2, 4] {
            sample.add(Duration::from_millis(millis));
        }
        assert_eq!(sample.quantile(0.5), Duration::from_millis(3));
        assert_eq!(sample.quantile(1.0), Duration::from_millis(5));
    }
}
