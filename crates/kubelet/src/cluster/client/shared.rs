//! Objects that many pods refer to, followed once for all of them.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::cluster::{Subscription, WeakSubscription};

/// Subscriptions by namespace, for as long as a pod holds them.
#[derive(Debug)]
pub(super) struct Shared<T>(Mutex<HashMap<String, WeakSubscription<T>>>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Send + Sync + 'static> Shared<T> {
    /// The namespace's subscription; a new one, where nobody holds one.
    pub(super) fn get(&self, namespace: &str, follow: impl FnOnce() -> Subscription<T>) -> Subscription<T> {
        let mut known = self.0.lock();
        if let Some(subscription) = known.get(namespace).and_then(WeakSubscription::upgrade) {
            return subscription;
        }
        // What nobody holds any more goes, so that there are never more than namespaces with pods.
        known.retain(|_, weak| weak.upgrade().is_some());
        let subscription = follow();
        known.insert(namespace.to_owned(), subscription.downgrade());
        subscription
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::sync::watch;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::cluster::Followed;

    #[test]
    fn one_subscription_serves_all_who_hold_it() {
        let shared = Shared::<u32>::default();
        let made = Cell::new(0);
        let follow = || {
            made.set(made.get() + 1);
            Subscription::new(watch::channel(Followed::Absent).1, CancellationToken::new().drop_guard())
        };
        let first = shared.get("a", follow);
        let second = shared.get("a", follow);
        assert_eq!(made.get(), 1);
        drop(shared.get("b", follow));
        assert_eq!(made.get(), 2);
        drop((first, second));
        let _third = shared.get("a", follow);
        assert_eq!(made.get(), 3, "nobody held it");
        assert_eq!(shared.0.lock().len(), 1);
    }
}
