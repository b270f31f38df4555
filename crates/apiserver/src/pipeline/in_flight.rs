//! How much runs at once. What cannot run waits in a short queue, and what finds the queue full is told to come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body;

use super::middleware::{Middleware, Next, run};
use super::{Class, User, reply};
use crate::status::ApiError;

/// Reads under way at once, as upstream's `--max-requests-inflight`.
const READS: usize = 400;
/// Writes under way at once, as upstream's `--max-mutating-requests-inflight`.
const WRITES: usize = 200;
/// Requests that wait for each of the two.
const QUEUE: usize = 2000;
/// How long a request waits before it is sent away.
const WAIT: Duration = Duration::from_secs(15);
/// When to come back.
const RETRY_AFTER_SECONDS: i32 = 1;

/// The requests in flight. The cluster's own components have places of their own, so that no other client's load keeps
/// a node from its heartbeats or a leader from its lease.
#[derive(Clone)]
pub(crate) struct InFlight {
    system: Arc<Pools>,
    others: Arc<Pools>,
}

struct Pools {
    reads: Pool,
    writes: Pool,
}

struct Pool {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Default for InFlight {
    fn default() -> Self {
        let pools = || Arc::new(Pools { reads: Pool::new(READS), writes: Pool::new(WRITES) });
        Self { system: pools(), others: pools() }
    }
}

impl Pool {
    fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), waiting: AtomicUsize::new(0) }
    }

    async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        let _waiting = Waiting::new(&self.waiting)?;
        tokio::time::timeout(WAIT, Arc::clone(&self.places).acquire_owned()).await.ok()?.ok()
    }
}

/// A place in the queue, given back also when the client goes away while waiting.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Option<Self> {
        let waiting = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < QUEUE).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether the user is one of the cluster's own components. Service accounts are what anybody's pods run as, save those
/// of the cluster's own namespace.
fn is_component(user: &User) -> bool {
    let own = match user.name.strip_prefix("system:serviceaccount:") {
        Some(account) => account.starts_with("kube-system:"),
        None => user.name.starts_with("system:"),
    };
    own && user.is_authenticated()
}

impl Middleware for InFlight {
    async fn call(self, request: Request<Body>, next: impl Next) -> Response<Body> {
        let class = Class::of(&request);
        if class.long_running || class.health {
            return run(next, request).await;
        }
        let user = request.extensions().get::<Arc<User>>();
        let system = user.is_some_and(|user| is_component(user));
        let pools = if system { &self.system } else { &self.others };
        let pool = if class.mutating { &pools.writes } else { &pools.reads };
        let Some(_place) = pool.enter().await else {
            let error =
                ApiError::too_many_requests("too many requests, please try again later", RETRY_AFTER_SECONDS);
            return reply::error(class.grpc, &error);
        };
        run(next, request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clusters_own_components_have_places() {
        for (name, own) in [
            ("system:node:n1", true),
            ("system:kube-scheduler", true),
            ("system:serviceaccount:kube-system:robot", true),
            ("system:serviceaccount:default:robot", false),
            ("system:serviceaccount:kube-systems:robot", false),
            ("jane", false),
        ] {
            assert_eq!(is_component(&User::authenticated(name, [])), own, "{name}");
        }
        assert!(!is_component(&User::anonymous()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_pool_queues_and_then_sends_away() {
        let pool = Arc::new(Pool::new(1));
        let first = pool.enter().await.unwrap();
        let second = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move { pool.enter().await.is_some() }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(second.await.unwrap());

        let _held = pool.enter().await.unwrap();
        assert!(pool.enter().await.is_none());
        assert_eq!(pool.waiting.load(Ordering::Relaxed), 0);
    }
}
