//! The verbs, without the protocols: the same battery over the store in memory and over a real etcd.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod basics;
mod concurrency;
mod etcd;
mod history;
mod random;
mod server;
mod watching;

use server::Server;

/// Runs every test over both stores.
macro_rules! battery {
    ($($module:ident :: $test:ident,)*) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $test() {
                super::$module::$test(super::Server::in_memory().await).await;
            })*
        }

        mod on_etcd {
            $(#[tokio::test]
            async fn $test() {
                super::$module::$test(super::Server::on_etcd().await).await;
            })*
        }
    };
}

battery! {
    basics::an_object_lives_from_create_to_delete,
    basics::a_name_is_made_where_there_is_none,
    basics::a_pod_is_bound_once,
    basics::patches_of_the_status_touch_nothing_else,
    basics::watchers_see_what_they_select,
    basics::pages_are_of_one_revision,
    basics::services_get_addresses_of_their_own,
    basics::a_namespace_goes_once_it_is_finalized,
    basics::a_dry_run_writes_nothing,
    basics::both_groups_serve_the_same_events,
    basics::a_collection_is_deleted_by_its_selector,
    basics::fields_select_and_unknown_ones_are_refused,
    concurrency::patches_of_many_all_count,
    concurrency::updates_of_many_lose_nothing,
    concurrency::one_of_many_creates_wins,
    concurrency::one_of_many_bindings_wins,
    concurrency::addresses_are_given_once_by_two_servers,
    concurrency::own_writes_are_read_from_another_server,
    watching::a_watch_goes_on_where_it_ended,
    watching::watchers_of_one_node_see_only_its_pods,
    watching::all_watchers_see_the_same_order,
    watching::what_is_forgotten_is_gone,
    history::a_page_survives_changes_and_a_restart,
    history::a_compacted_page_offers_a_fresh_token,
}
