//! When to come back: the more are sent away, the later.

use std::collections::VecDeque;

/// The longest wait, in seconds.
const LONGEST: u64 = 32;

/// How many requests were sent away in the last seconds.
#[derive(Debug)]
pub(super) struct Dropped {
    /// Seconds, and how many in each.
    history: VecDeque<(u64, u64)>,
    retry_after: u64,
    changed: u64,
}

impl Default for Dropped {
    fn default() -> Self {
        Self { history: VecDeque::new(), retry_after: 1, changed: 0 }
    }
}

impl Dropped {
    /// A request is sent away in this second; says after how many it may come back.
    pub(super) fn add(&mut self, second: u64) -> u64 {
        match self.history.back_mut() {
            Some((last, count)) if *last == second => *count += 1,
            _ => {
                self.adjust(second);
                self.history.push_back((second, 1));
            }
        }
        self.retry_after
    }

    /// Twice the wait while many are sent away, a second less when few are.
    fn adjust(&mut self, second: u64) {
        while self.history.front().is_some_and(|(first, _)| first + LONGEST < second) {
            self.history.pop_front();
        }
        if second < self.changed + self.retry_after {
            return;
        }
        let recent = self.history.iter().filter(|(at, _)| at + self.retry_after >= second);
        let count: u64 = recent.map(|(_, count)| count).sum();
        let next = if count >= 3 * self.retry_after {
            (self.retry_after * 2).min(LONGEST)
        } else if count < self.retry_after {
            (self.retry_after - 1).max(1)
        } else {
            self.retry_after
        };
        if next != self.retry_after {
            (self.retry_after, self.changed) = (next, second);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_and_shrinks() {
        let mut dropped = Dropped::default();
        assert_eq!(dropped.add(10), 1);
        assert_eq!(dropped.add(12), 1);
        for second in 20..100 {
            for _ in 0..100 {
                dropped.add(second);
            }
        }
        assert_eq!(dropped.add(100), 32);
        assert!(dropped.history.len() <= 34);
        assert_eq!(dropped.add(200), 31);
        assert_eq!(dropped.add(300), 30);
    }
}
