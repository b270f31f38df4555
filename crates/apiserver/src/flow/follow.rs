//! Follows the objects, and lets levels lend and borrow.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt as _;
use gantry_api::Resource;
use gantry_api::flowcontrol::v1::{
    FlowSchema, FlowSchemaCondition, FlowSchemaStatus, PriorityLevelConfiguration,
};
use gantry_api::scalars::Time;
use tokio_util::sync::CancellationToken;

use super::Flow;
use super::config::{Config, level_of};
use crate::cache::{Selection, Start};
use crate::status::{ApiError, Reason};
use crate::verbs::{Next, Target, Verbs, WatchItem, WatchStream};

/// How often seats are lent anew.
const LENDING: Duration = Duration::from_secs(10);
/// How long one watch of the objects lasts before it begins anew.
const WATCH: Duration = Duration::from_secs(3600);
/// How long to wait after the objects could not be followed.
const PAUSE: Duration = Duration::from_millis(200);
/// How long changes are collected before they are taken in.
const SETTLE: Duration = Duration::from_millis(20);

const DANGLING: &str = "Dangling";

impl Flow {
    /// Keeps levels and schemas as their objects say until the token is cancelled.
    pub(crate) async fn follow(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let ended = stop.run_until_cancelled(self.follow_once()).await;
            match ended {
                None => return,
                Some(Ok(())) => {}
                Some(Err(error)) => tracing::warn!(%error, "flow schemas cannot be followed yet"),
            }
            if stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                return;
            }
        }
    }

    async fn follow_once(&self) -> Result<(), ApiError> {
        let mut levels = self.watch::<PriorityLevelConfiguration>().await?;
        let mut schemas = self.watch::<FlowSchema>().await?;
        self.take().await?;
        self.followed.store(true, Ordering::Release);
        let mut lending = tokio::time::interval(LENDING);
        lending.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let items = tokio::select! {
                items = levels.next() => items,
                items = schemas.next() => items,
                _ = lending.tick() => {
                    self.config().lend();
                    continue;
                }
            };
            let Some(items) = items else { return Ok(()) };
            if items.iter().any(|item| matches!(item, WatchItem::Error(_))) {
                return Ok(());
            }
            tokio::time::sleep(SETTLE).await;
            self.take().await?;
        }
    }

    async fn watch<T: Resource>(&self) -> Result<WatchStream, ApiError> {
        let cache = self.verbs.cache(T::kind())?;
        let revision = cache.reach(0).await.map(|()| cache.list(&Selection::default(), None, 0))??.revision;
        Ok(cache.watch(Selection::default(), Start::After(revision), false, WATCH))
    }

    /// Takes in what the objects say now, and says of each schema whether its level is there.
    async fn take(&self) -> Result<(), ApiError> {
        let levels: Vec<PriorityLevelConfiguration> = all(&self.verbs)?;
        let schemas: Vec<FlowSchema> = all(&self.verbs)?;
        let before = self.config();
        let config = Config::new(self.total, &levels, &schemas, &before);
        *self.config.write() = Arc::new(config);
        for schema in &schemas {
            let exists = levels.iter().any(|level| level.name() == level_of(schema));
            if judged(schema, exists).is_none() {
                continue;
            }
            let target = target::<FlowSchema>(schema.name());
            let written = self.verbs.modify(&target, false, |old| {
                let Some(old) = old.downcast_ref::<FlowSchema>() else { return Ok(Next::Keep) };
                let Some(status) = judged(old, exists) else { return Ok(Next::Keep) };
                Ok(Next::Put(Box::new(FlowSchema { status: Some(status), ..old.clone() })))
            });
            match written.await {
                Ok(_) => {}
                // It has vanished meanwhile.
                Err(error) if error.reason() == Reason::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

pub(super) fn target<T: Resource>(name: &str) -> Target {
    Target { kind: T::kind(), namespace: String::new(), name: name.to_owned() }
}

/// All objects of a kind, as the cache has them. What cannot be read is not there.
pub(super) fn all<T: Resource + Clone>(verbs: &Verbs) -> Result<Vec<T>, ApiError> {
    let page = verbs.cache(T::kind())?.list(&Selection::default(), None, 0)?;
    let read = |entry: &Arc<crate::cache::Entry>| entry.object().ok()?.downcast_ref::<T>().cloned();
    Ok(page.items.iter().filter_map(read).collect())
}

/// The status of a schema, where it says something else yet.
fn judged(schema: &FlowSchema, exists: bool) -> Option<FlowSchemaStatus> {
    let level = level_of(schema);
    let said = format!("This FlowSchema references the PriorityLevelConfiguration object named {level:?}");
    let (status, reason, message) = if exists {
        ("False", "Found", format!("{said} and it exists"))
    } else {
        ("True", "NotFound", format!("{said} but there is no such object"))
    };
    let mut next = schema.status.clone().unwrap_or_default();
    let found = next.conditions.iter().position(|condition| condition.r#type == DANGLING);
    let since = match found.map(|at| &next.conditions[at]) {
        Some(old)
            if (old.status.as_str(), old.reason.as_str(), &old.message) == (status, reason, &message) =>
        {
            return None;
        }
        Some(old) if old.status == status => old.last_transition_time,
        _ => None,
    };
    let condition = FlowSchemaCondition {
        r#type: DANGLING.to_owned(),
        status: status.to_owned(),
        last_transition_time: Some(since.unwrap_or_else(Time::now)),
        reason: reason.to_owned(),
        message,
    };
    match found {
        Some(at) => next.conditions[at] = condition,
        None => next.conditions.push(condition),
    }
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::super::defaults;
    use super::*;

    #[test]
    fn a_schema_dangles_without_its_level() {
        let mut schema = defaults::schemas().remove(0);
        let status = judged(&schema, false).unwrap();
        let condition = &status.conditions[0];
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("True", "NotFound"));
        assert_eq!(
            condition.message,
            "This FlowSchema references the PriorityLevelConfiguration object named \"exempt\" but there is no \
             such object"
        );
        schema.status = Some(status);
        assert_eq!(judged(&schema, false), None);
        let status = judged(&schema, true).unwrap();
        assert_eq!((status.conditions.len(), status.conditions[0].status.as_str()), (1, "False"));
    }
}
