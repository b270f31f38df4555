//! Leases for keys with a time to live, shared by the keys of about the same age.
//!
//! Each lease is a record in etcd, written through its log like a key, and its end is one more write. One for
//! each event object would triple the writes. So the keys written within a short window share one, which lives
//! that window longer: a key may outlive its time a little, and never dies before it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{sync::Mutex, time::Instant};

use super::client::Client;
use crate::Result;

/// The longest window in which keys share a lease, and its share of the time to live.
const MAX_WINDOW: Duration = Duration::from_secs(60);
const WINDOW_DIVISOR: u32 = 20;
/// All keys of a lease are deleted in one transaction of etcd: this bounds it.
const MAX_KEYS: usize = 1000;

pub(super) struct Leases {
    client: Arc<Client>,
    /// The open lease for each time to live. There are as many as configured values, mostly one.
    open: Mutex<HashMap<Duration, Open>>,
}

struct Open {
    id: i64,
    until: Instant,
    keys: usize,
}

impl Leases {
    pub(super) fn new(client: Arc<Client>) -> Self {
        Self { client, open: Mutex::default() }
    }

    /// A lease under which a key lives at least `ttl`. Concurrent callers wait for one grant.
    pub(super) async fn lease_for(&self, ttl: Duration) -> Result<i64> {
        let mut open = self.open.lock().await;
        let now = Instant::now();
        if let Some(lease) = open.get_mut(&ttl)
            && now < lease.until
            && lease.keys < MAX_KEYS
        {
            lease.keys += 1;
            return Ok(lease.id);
        }
        open.retain(|_, lease| now < lease.until);
        let window = window(ttl);
        // etcd counts whole seconds.
        let id = self.client.grant_lease(ttl + window + Duration::from_millis(999)).await?;
        open.insert(ttl, Open { id, until: now + window, keys: 1 });
        Ok(id)
    }

    /// Stops using a lease that etcd does not know any more.
    pub(super) async fn forget(&self, id: i64) {
        self.open.lock().await.retain(|_, lease| lease.id != id);
    }
}

fn window(ttl: Duration) -> Duration {
    (ttl / WINDOW_DIVISOR).min(MAX_WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_a_small_share_of_the_time_to_live() {
        assert_eq!(window(Duration::from_secs(3600)), Duration::from_secs(60));
        assert_eq!(window(Duration::from_secs(20)), Duration::from_secs(1));
    }
}
