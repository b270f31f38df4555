//! Ends the process when an input takes too long.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an input may take. Builds for tests are slow, and machines may be busy.
const LIMIT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(200);
/// What the process ends with.
pub const HANGS: i32 = 3;

/// Watches over one thread.
#[derive(Debug, Clone, Default)]
pub struct Watchdog(Arc<Mutex<Option<Instant>>>);

impl Watchdog {
    /// Begins to watch. The thread ends with the process.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "a thread of its own, which no runtime has")]
    pub fn start() -> Self {
        let watchdog = Self::default();
        let watched = watchdog.clone();
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(PAUSE);
                let begun = *watched.0.lock().unwrap_or_else(PoisonError::into_inner);
                if begun.is_some_and(|begun| begun.elapsed() > LIMIT) {
                    eprintln!("an input takes more than {LIMIT:?}");
                    std::process::exit(HANGS);
                }
            }
        });
        watchdog
    }

    /// An input begins.
    pub fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// The input is done.
    pub fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
