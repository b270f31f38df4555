//! Custom resources, whose kinds come and go.

use std::sync::Arc;
use std::time::Duration;

use gantry_api::Kind;
use gantry_client::{Informer, Metadata};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{Feed, lean};
use crate::{Context, Error};

/// How often the API server is asked which custom resources there are, also where no definition changes.
const AGAIN: Duration = Duration::from_secs(10);

/// The custom resources that are known.
#[derive(Default)]
pub(super) struct Custom {
    kinds: Mutex<Vec<&'static Kind>>,
    /// A definition has changed.
    changed: Arc<Notify>,
}

/// The informer of a kind, and what ends it.
struct Followed {
    kind: &'static Kind,
    stop: CancellationToken,
    _informer: Informer<Metadata>,
}

impl Custom {
    /// Looks for custom resources when one of their definitions changes.
    pub(super) fn wake_on(&self, definitions: &Informer<Metadata>) {
        let changed = self.changed.clone();
        definitions.on_event(move |_| changed.notify_one());
    }

    /// Brings the objects of custom resources into the graph until the context's end.
    pub(super) async fn follow(&self, context: &Context, feed: &Feed) {
        let mut followed: Vec<Followed> = Vec::new();
        loop {
            match self.ask(context).await {
                Ok(mut kinds) => {
                    // One version of each: all have the same objects.
                    kinds.sort_by_key(|kind| (kind.group, kind.plural));
                    kinds.dedup_by_key(|kind| (kind.group, kind.plural));
                    follow(context, feed, &mut followed, &kinds);
                }
                Err(error) => debug!(%error, "the custom resources are not known"),
            }
            tokio::select! {
                () = context.stop.cancelled() => return,
                () = self.changed.notified() => {}
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }

    /// The kind of an owner.
    pub(super) async fn find(
        &self,
        context: &Context,
        group: &str,
        version: &str,
        name: &str,
    ) -> Result<Option<&'static Kind>, Error> {
        let find = |kinds: &[&'static Kind]| {
            let is =
                |kind: &&&'static Kind| kind.group == group && kind.version == version && kind.kind == name;
            kinds.iter().find(is).copied()
        };
        if let Some(kind) = find(&self.kinds.lock()) {
            return Ok(Some(kind));
        }
        // It may be a new one.
        Ok(find(&self.ask(context).await?))
    }

    /// Whether a kind is served now.
    pub(super) async fn is_served(&self, context: &Context, kind: &Kind) -> Result<bool, Error> {
        Ok(self.ask(context).await?.contains(&kind))
    }

    async fn ask(&self, context: &Context) -> Result<Vec<&'static Kind>, Error> {
        let kinds = context.client.custom_kinds().await?;
        self.kinds.lock().clone_from(&kinds);
        Ok(kinds)
    }
}

fn follow(context: &Context, feed: &Feed, followed: &mut Vec<Followed>, kinds: &[&'static Kind]) {
    followed.retain(|one| {
        let stays = kinds.iter().any(|kind| std::ptr::eq(*kind, one.kind));
        if !stays {
            feed.forget(one.kind, &one.stop);
        }
        stays
    });
    for &kind in kinds {
        if followed.iter().any(|one| std::ptr::eq(one.kind, kind)) {
            continue;
        }
        let stop = context.stop.child_token();
        let informer = Informer::metadata(&context.client, kind).transform(lean).spawn(stop.clone());
        Feed { stop: stop.clone(), ..feed.clone() }.attach(&informer, kind);
        followed.push(Followed { kind, stop, _informer: informer });
    }
}
