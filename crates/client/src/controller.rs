//! The loop of every controller: keys from a queue, several at a time, failures again later.
//!
//! A reconciler brings one object's world to what it should be. It is called with a key and nothing else: whatever
//! happened, it looks at the present state. It does not retry by itself; it fails, and is called again.

use std::convert::Infallible;
use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use prometheus::{IntCounterVec, Opts};
use tracing::{debug, error, warn};

use crate::queue::{Key, WorkQueue};

/// What comes after a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Next {
    /// Nothing, until something changes.
    #[default]
    Wait,
    /// Look again after so long, whatever happens.
    After(Duration),
}

impl From<()> for Next {
    fn from((): ()) -> Self {
        Self::Wait
    }
}

impl From<Option<Duration>> for Next {
    fn from(delay: Option<Duration>) -> Self {
        delay.map_or(Self::Wait, Self::After)
    }
}

impl From<Infallible> for Next {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

fn outcomes() -> prometheus::Result<IntCounterVec> {
    let opts = Opts::new("gantry_reconcile_total", "Reconciliations by controller and outcome");
    let outcomes = IntCounterVec::new(opts, &["controller", "outcome"])?;
    prometheus::default_registry().register(Box::new(outcomes.clone()))?;
    Ok(outcomes)
}

// Fails only where the name is invalid or taken, which every test finds.
static OUTCOMES: LazyLock<IntCounterVec> =
    LazyLock::new(|| outcomes().expect("the name is valid and unique"));

/// Works on the keys of `queue`, `workers` at a time, until the queue is shut down; the work that is under way is
/// finished. A key whose reconciliation fails or panics comes again after a growing pause.
pub async fn run<K, F, Fut, N, E>(queue: WorkQueue<K>, workers: usize, reconcile: F)
where
    K: Key,
    F: Fn(K) -> Fut + Sync,
    Fut: Future<Output = Result<N, E>>,
    N: Into<Next>,
    E: Error + 'static,
{
    join_all((0..workers.max(1)).map(|_| work(&queue, &reconcile))).await;
}

async fn work<K, F, Fut, N, E>(queue: &WorkQueue<K>, reconcile: &F)
where
    K: Key,
    F: Fn(K) -> Fut,
    Fut: Future<Output = Result<N, E>>,
    N: Into<Next>,
    E: Error + 'static,
{
    let controller = queue.name();
    while let Some(key) = queue.get().await {
        // A reconciler holds no state across calls that a panic could leave half changed.
        let outcome = AssertUnwindSafe(async { reconcile(key.clone()).await }).catch_unwind().await;
        let label = match outcome {
            Ok(Ok(next)) => {
                queue.forget(&key);
                if let Next::After(delay) = next.into() {
                    queue.add_after(key.clone(), delay);
                }
                "success"
            }
            Ok(Err(error)) => {
                let error = &error as &(dyn Error + 'static);
                // Conflicts and the like pass by themselves; what stays is worth a line.
                if queue.failures(&key) < 3 {
                    debug!(controller, ?key, error, "reconciliation failed; will retry");
                } else {
                    warn!(controller, ?key, error, "reconciliation keeps failing; will retry");
                }
                queue.add_rate_limited(key.clone());
                "error"
            }
            Err(panic) => {
                let panic = panic
                    .downcast_ref::<&str>()
                    .map(ToString::to_string)
                    .or_else(|| panic.downcast_ref::<String>().cloned())
                    .unwrap_or_else(|| "no message".to_owned());
                error!(controller, ?key, panic, "reconciliation panicked; will retry");
                queue.add_rate_limited(key.clone());
                "panic"
            }
        };
        OUTCOMES.with_label_values(&[controller, label]).inc();
        queue.done(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::{Next, run};
    use crate::WorkQueue;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn failures_and_panics_are_retried() {
        let queue = WorkQueue::new("test-controller");
        queue.add("key");
        let calls = AtomicU32::new(0);
        run(queue.clone(), 2, |_key| async {
            match calls.fetch_add(1, Ordering::Relaxed) {
                0 => Err(std::fmt::Error),
                1 => panic!("a bug"),
                2 => Ok(Next::After(Duration::from_secs(3600))),
                _ => {
                    queue.shutdown();
                    Ok(Next::Wait)
                }
            }
        })
        .await;
        assert_eq!(calls.load(Ordering::Relaxed), 4);
    }
}
