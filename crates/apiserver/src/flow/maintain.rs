//! Makes the levels and schemas that every cluster has, and keeps them.
//!
//! What is mandatory is put right whoever changed it. What is suggested is kept as it is here while its annotation says
//! so, or while nobody has changed it; an annotation of `false` leaves it alone, and one of `true` lets objects go that
//! are not suggested any more.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use gantry_api::Resource;
use gantry_api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration};
use gantry_api::meta::v1::{CreateOptions, DeleteOptions, Preconditions, UpdateOptions};
use gantry_api::strategy::Strategy;
use tokio_util::sync::CancellationToken;

use super::Flow;
use super::defaults::{self, EXEMPT};
use super::follow::{all, target};
use crate::status::{ApiError, Reason};

/// Says whether a spec is kept as it is here.
const AUTO_UPDATE: &str = "apf.kubernetes.io/autoupdate-spec";
/// How often what was changed is put right.
const INTERVAL: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_millis(200);
/// How many objects are written side by side.
const PARALLEL: usize = 16;

impl Flow {
    /// Makes what is missing, and keeps it so until the token is cancelled.
    pub(crate) async fn maintain(&self, stop: CancellationToken) {
        loop {
            let pause = match stop.run_until_cancelled(self.ensure()).await {
                None => return,
                Some(Ok(())) => {
                    self.settled.store(true, Ordering::Release);
                    INTERVAL
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "flow schemas and priority levels cannot be made yet");
                    RETRY
                }
            };
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    async fn ensure(&self) -> Result<(), ApiError> {
        // Levels first: a schema without one dangles.
        self.ensure_all(defaults::levels()).await?;
        self.ensure_all(defaults::schemas()).await
    }

    async fn ensure_all<T: Maintained>(&self, wanted: Vec<T>) -> Result<(), ApiError> {
        self.verbs.cache(T::kind())?.catch_up().await?;
        let found: Vec<T> = all(&self.verbs)?;
        let mut work: Vec<_> = wanted
            .iter()
            .filter_map(|wanted| {
                let found = found.iter().find(|found| found.name() == wanted.name());
                next(wanted, found)
            })
            .collect();
        let unwanted = |one: &&T| {
            annotation(*one) == Some(true) && !wanted.iter().any(|wanted| wanted.name() == one.name())
        };
        work.extend(found.iter().filter(unwanted).cloned().map(Work::Delete));
        let work: Vec<_> = work.into_iter().map(|work| self.write(work)).collect();
        stream::iter(work).buffer_unordered(PARALLEL).try_collect().await
    }

    async fn write<T: Maintained>(&self, work: Work<T>) -> Result<(), ApiError> {
        let verbs = &self.verbs;
        let written = match work {
            Work::Create(object) => {
                let target = target::<T>(object.name());
                verbs.create(&target, Box::new(object), &CreateOptions::default()).await.map(drop)
            }
            Work::Update(object) => {
                let target = target::<T>(object.name());
                verbs.update(&target, None, Box::new(object), &UpdateOptions::default()).await.map(drop)
            }
            Work::Delete(object) => {
                let same = Preconditions {
                    uid: Some(object.meta().uid.clone()),
                    resource_version: Some(object.meta().resource_version.clone())
                        .filter(|version| !version.is_empty()),
                };
                let options = DeleteOptions { preconditions: Some(same), ..DeleteOptions::default() };
                verbs.delete(&target::<T>(object.name()), &options).await.map(drop)
            }
        };
        match written {
            // Somebody else was faster: the next look shows what there is then.
            Err(error)
                if matches!(error.reason(), Reason::AlreadyExists | Reason::Conflict | Reason::NotFound) =>
            {
                Ok(())
            }
            written => written,
        }
    }
}

/// What is to be written.
#[derive(Debug, PartialEq)]
enum Work<T> {
    Create(T),
    Update(T),
    Delete(T),
}

/// A kind of which every cluster has some.
trait Maintained: Strategy + Clone + PartialEq {
    /// Makes the spec that of `wanted`, but for what others may say.
    fn set_spec(&mut self, wanted: &Self);
}

impl Maintained for FlowSchema {
    fn set_spec(&mut self, wanted: &Self) {
        self.spec.clone_from(&wanted.spec);
    }
}

impl Maintained for PriorityLevelConfiguration {
    fn set_spec(&mut self, wanted: &Self) {
        let exempt = self.spec.as_ref().and_then(|spec| spec.exempt);
        self.spec.clone_from(&wanted.spec);
        // How much is set aside for what never waits is the administrator's.
        if self.name() == EXEMPT
            && let (Some(spec), Some(_)) = (&mut self.spec, exempt)
        {
            spec.exempt = exempt;
        }
    }
}

/// What the annotation says; none where it is missing or no word for yes or no.
fn annotation<T: Maintained>(object: &T) -> Option<bool> {
    match object.meta().annotations.get(AUTO_UPDATE)?.as_str() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// What is to be done about one object.
fn next<T: Maintained>(wanted: &T, found: Option<&T>) -> Option<Work<T>> {
    let Some(found) = found else {
        let mut object = wanted.clone();
        object.meta_mut().annotations.insert(AUTO_UPDATE.to_owned(), "true".to_owned());
        return Some(Work::Create(object));
    };
    let keeps = defaults::is_mandatory(wanted.name())
        // What nobody has changed is as it was made.
        || annotation(found).unwrap_or(found.meta().generation == 1);
    let mut object = found.clone();
    object.meta_mut().annotations.insert(AUTO_UPDATE.to_owned(), keeps.to_string());
    if keeps {
        object.set_spec(wanted);
    }
    (object != *found).then_some(Work::Update(object))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> PriorityLevelConfiguration {
        defaults::levels().into_iter().find(|level| level.name() == name).unwrap()
    }

    fn set_shares(level: &mut PriorityLevelConfiguration, shares: i32) {
        let limited = level.spec.as_mut().unwrap().limited.as_mut().unwrap();
        limited.nominal_concurrency_shares = Some(shares);
    }

    fn annotated(mut level: PriorityLevelConfiguration, value: &str) -> PriorityLevelConfiguration {
        level.meta_mut().annotations.insert(AUTO_UPDATE.to_owned(), value.to_owned());
        level
    }

    #[test]
    fn what_is_missing_is_made() {
        let wanted = of("system");
        assert_eq!(next(&wanted, None), Some(Work::Create(annotated(wanted.clone(), "true"))));
        assert_eq!(next(&wanted, Some(&annotated(wanted.clone(), "true"))), None);
    }

    #[test]
    fn what_is_suggested_is_kept_while_the_annotation_says_so() {
        let wanted = of("system");
        let mut changed = annotated(wanted.clone(), "true");
        set_shares(&mut changed, 7);
        assert_eq!(next(&wanted, Some(&changed)), Some(Work::Update(annotated(wanted.clone(), "true"))));
        assert_eq!(next(&wanted, Some(&annotated(changed.clone(), "false"))), None);
        // Without a word, it depends on whether anybody has changed it.
        changed.meta_mut().annotations.clear();
        changed.meta_mut().generation = 2;
        let left = annotated(changed.clone(), "false");
        assert_eq!(next(&wanted, Some(&changed)), Some(Work::Update(left)));
        changed.meta_mut().generation = 1;
        let mut kept = annotated(wanted.clone(), "true");
        kept.meta_mut().generation = 1;
        assert_eq!(next(&wanted, Some(&changed)), Some(Work::Update(kept)));
    }

    #[test]
    fn what_is_mandatory_is_put_right_but_for_what_is_free() {
        let wanted = of("catch-all");
        let mut changed = annotated(wanted.clone(), "false");
        set_shares(&mut changed, 7);
        assert_eq!(next(&wanted, Some(&changed)), Some(Work::Update(annotated(wanted.clone(), "true"))));
        let wanted = of(EXEMPT);
        let mut reserved = annotated(wanted.clone(), "true");
        reserved.spec.as_mut().unwrap().exempt.as_mut().unwrap().nominal_concurrency_shares = Some(9);
        assert_eq!(next(&wanted, Some(&reserved)), None);
    }
}
