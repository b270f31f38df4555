//! How much runs at once where nobody looks at priorities: so many reads, so many writes, and no queue.

use std::sync::Arc;

use http::{Request, Response};
use tokio::sync::Semaphore;
use tonic::body::Body;

use super::flow::sent_away;
use super::middleware::{Next, run};
use super::{Class, User};
use crate::authorization::MASTERS;

/// When to come back.
const RETRY_AFTER_SECONDS: u64 = 1;

/// The requests in flight.
#[derive(Clone)]
pub(crate) struct InFlight {
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
}

impl InFlight {
    /// So many reads and so many writes at once; 0 for any number.
    pub(crate) fn new((reads, writes): (usize, usize)) -> Self {
        let semaphore = |places: usize| {
            let places = if places == 0 { Semaphore::MAX_PERMITS } else { places };
            Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)))
        };
        Self { reads: semaphore(reads), writes: semaphore(writes) }
    }

    pub(super) async fn call(self, request: Request<Body>, next: impl Next) -> Response<Body> {
        let class = Class::of(&request);
        if class.long_running || class.health {
            return run(next, request).await;
        }
        let places = if class.mutating { &self.writes } else { &self.reads };
        let place = places.try_acquire().ok();
        // Whoever may do everything must get in to repair it.
        let passes = request.extensions().get::<Arc<User>>().is_some_and(|user| user.is_in(MASTERS));
        if place.is_none() && !passes {
            return sent_away(class.grpc, RETRY_AFTER_SECONDS);
        }
        run(next, request).await
    }
}
