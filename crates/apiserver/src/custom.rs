//! Custom resources: definitions become kinds that are served, and vanish with them.
//!
//! One task follows the definitions. Each change of one is looked at by itself: its names are accepted or not, its
//! kinds are opened or closed, and one that is being deleted is cleaned up. What decides is in [`names`], without I/O.

mod cleanup;
mod names;
mod resources;
mod sync;

use std::time::Duration;

use futures::StreamExt as _;
use gantry_api::Resource as _;
use gantry_api::apiextensions::v1::CustomResourceDefinition;
use tokio_util::sync::CancellationToken;

pub(crate) use names::begin_deletion;
pub(crate) use resources::Resources;

use crate::cache::{Selection, Start};
use crate::verbs::{Verbs, WatchItem};

/// How long one watch of the definitions lasts before it begins anew.
const WATCH: Duration = Duration::from_secs(3600);
/// How long to wait after the definitions could not be followed.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves custom resources until the token is cancelled.
pub(crate) async fn run(verbs: &std::sync::Arc<Verbs>, stop: CancellationToken) {
    let mut state = sync::State::new(verbs.clone(), stop.clone());
    while stop.run_until_cancelled(follow(verbs, &mut state)).await.is_some() {
        // The watch ended; nothing is forgotten, and what vanished meanwhile is found by the list.
        if stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
            break;
        }
    }
    state.finish().await;
}

async fn follow(verbs: &std::sync::Arc<Verbs>, state: &mut sync::State) {
    let Ok(cache) = verbs.cache(CustomResourceDefinition::kind()) else { return };
    if cache.reach(0).await.is_err() {
        // Nothing is filled before the storage answers.
        return;
    }
    let present = match cache.list(&Selection::default(), None, 0) {
        Ok(page) => page,
        Err(error) => return tracing::error!(%error, "definitions of custom resources cannot be read"),
    };
    state.begin(&present.items).await;
    verbs.custom().set_known();
    let mut changes = cache.watch(Selection::default(), Start::After(present.revision), false, WATCH);
    loop {
        let items = tokio::select! {
            items = changes.next() => items,
            name = state.again() => {
                state.look_again(&name).await;
                continue;
            }
        };
        let Some(items) = items else { return };
        for item in items {
            match item {
                WatchItem::Added(entry) | WatchItem::Modified(entry) => state.changed(&entry).await,
                WatchItem::Deleted(entry) => state.deleted(entry.name()).await,
                WatchItem::Bookmark { .. } => {}
                // The next list finds what was missed.
                WatchItem::Error(_) => return,
            }
        }
    }
}
