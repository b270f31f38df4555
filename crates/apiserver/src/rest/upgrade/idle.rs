//! How long a session has been silent.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// When something was last moved, in either direction.
pub(in super::super) struct Idle(Mutex<Instant>);

impl Idle {
    /// Something was moved just now.
    pub(in super::super) fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    /// Something was moved.
    pub(in super::super) fn touch(&self) {
        *self.0.lock() = Instant::now();
    }

    /// Returns once nothing has been moved for so long. A side that takes nothing any more is silent, too.
    pub(in super::super) async fn longer_than(&self, limit: Duration) {
        loop {
            let end = *self.0.lock() + limit;
            if end <= Instant::now() {
                return;
            }
            sleep_until(end).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_moved_puts_the_end_off() {
        let (idle, begin) = (Idle::new(), Instant::now());
        let work = async {
            tokio::time::sleep(Duration::from_secs(7)).await;
            idle.touch();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = work => {}
            () = idle.longer_than(Duration::from_secs(10)) => {}
        }
        assert_eq!(begin.elapsed(), Duration::from_secs(17));
    }
}
