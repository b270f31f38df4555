//! Custom resources, whose kinds come and go.

use std::time::Duration;

use gantry_api::Kind;
use gantry_client::{Informer, Metadata};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{Feed, lean};
use crate::{Context, Error};

/// How often the API server is asked which custom resources there are.
const AGAIN: Duration = Duration::from_secs(10);

/// The custom resources that are known.
#[derive(Default)]
pub(super) struct Custom(Mutex<Vec<&'static Kind>>);

/// The informer of a kind, and what ends it.
struct Followed {
    kind: &'static Kind,
    stop: CancellationToken,
    _informer: Informer<Metadata>,
}

impl Custom {
    /// Brings the objects of custom resources into the graph until the context's end.
    pub(super) async fn follow(&self, context: &Context, feed: &Feed) {
        let mut followed: Vec<Followed> = Vec::new();
        loop {
            match context.client.custom_resources().await {
                Ok(kinds) => follow(context, feed, &mut followed, &kinds),
                Err(error) => debug!(%error, "the custom resources are not known"),
            }
            if context.stop.run_until_cancelled(tokio::time::sleep(AGAIN)).await.is_none() {
                return;
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
        if let Some(kind) = find(&self.0.lock()) {
            return Ok(Some(kind));
        }
        // It may be a new one.
        let kinds = context.client.custom_kinds().await?;
        let found = find(&kinds);
        *self.0.lock() = kinds;
        Ok(found)
    }
}

fn follow(context: &Context, feed: &Feed, followed: &mut Vec<Followed>, kinds: &[&'static Kind]) {
    followed.retain(|one| {
        let stays = kinds.iter().any(|kind| std::ptr::eq(*kind, one.kind));
        if !stays {
            one.stop.cancel();
        }
        stays
    });
    for &kind in kinds {
        if followed.iter().any(|one| std::ptr::eq(one.kind, kind)) {
            continue;
        }
        let stop = context.stop.child_token();
        let informer = Informer::metadata(&context.client, kind).transform(lean).spawn(stop.clone());
        feed.attach(&informer, kind);
        followed.push(Followed { kind, stop, _informer: informer });
    }
}
