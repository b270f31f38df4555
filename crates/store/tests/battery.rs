//! One battery of tests for every implementation of the store, and what only etcd can be put through.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod battery {
    pub(crate) mod contract;
    pub(crate) mod etcd_process;
    mod faults;
    mod tls;
    pub(crate) mod watching;
}

use battery::{contract, etcd_process::Etcd, watching};
use gantry_store::{EtcdConfig, EtcdStore, MemoryStore, Store};

/// Each test of the battery, against both stores. A fresh store each time, and for etcd a process of its own.
macro_rules! battery {
    ($($module:ident :: $test:ident,)*) => {
        mod memory {
            use super::*;
            $(#[tokio::test]
            async fn $test() {
                $module::$test(&MemoryStore::new()).await;
            })*
        }

        mod etcd {
            use super::*;
            $(#[tokio::test]
            async fn $test() {
                let etcd = Etcd::start().await;
                let config = EtcdConfig { previous_values: true, ..EtcdConfig::new([etcd.url()]) };
                let store = EtcdStore::connect(config).await.unwrap();
                $module::$test(&store).await;
            })*
        }
    };
}

battery! {
    contract::a_created_key_is_read_back,
    contract::creating_twice_fails,
    contract::an_update_needs_the_present_revision,
    contract::a_conflict_carries_what_is_stored,
    contract::deleting_returns_the_value,
    contract::lists_are_paged_at_one_revision,
    contract::a_long_list_is_whole,
    contract::the_past_is_read_until_it_is_compacted,
    contract::the_future_is_refused,
    contract::a_value_can_be_too_large,
    contract::keys_expire,
    contract::concurrent_writers_lose_no_increment,
    contract::the_current_revision_is_never_behind,
    watching::every_change_is_seen_once_and_in_order,
    watching::a_watch_starts_in_the_past,
    watching::a_watch_far_behind_catches_up,
    watching::a_compacted_start_is_refused,
    watching::an_idle_prefix_learns_the_revision,
    watching::a_slow_watcher_misses_nothing,
    watching::expiry_is_seen_as_a_deletion,
}

/// The trait can be used as an object.
#[allow(dead_code)]
fn object_safe(store: &dyn Store) -> &dyn Store {
    store
}
