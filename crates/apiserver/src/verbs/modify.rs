//! Read, change, write: again from what is stored now if somebody else was faster.

use std::sync::Arc;

use gantry_api::Object;

use super::finalize::nothing_holds;
use super::ownership::keep_readable;
use super::write::Sealed;
use super::{Target, Verbs};
use crate::admission::{Asked, Operation, Round, Written, services};
use crate::cache::{Cache, Entry};
use crate::status::ApiError;

/// How often a change is tried while others change the same object. Each attempt that fails is one of theirs that
/// succeeded.
const ATTEMPTS: usize = 64;

/// What is to become of an object.
pub(crate) enum Next {
    /// It becomes this.
    Put(Box<dyn Object>),
    /// It goes.
    Remove,
    /// It stays as it is.
    Keep,
}

/// What became of an object.
pub(crate) struct Outcome {
    /// The object, or its last state.
    pub(crate) entry: Arc<Entry>,
    /// Whether it is gone.
    pub(crate) removed: bool,
}

impl Verbs {
    /// Changes the target as `decide` says. It is called with the cache's state first, which may be old: whatever
    /// comes of that other than a successful write is decided again on what is stored.
    pub(crate) async fn modify(
        &self,
        target: &Target,
        dry_run: bool,
        decide: impl FnMut(&dyn Object) -> Result<Next, ApiError> + Send,
    ) -> Result<Outcome, ApiError> {
        self.modify_asked(target, dry_run, None, decide, |new, _| Ok(new)).await
    }

    /// The same for somebody who asks for it: webhooks may change what is proposed before `finish` makes of it what is
    /// stored, and are asked about that.
    pub(super) async fn modify_asked(
        &self,
        target: &Target,
        dry_run: bool,
        asked: Option<&Asked>,
        propose: impl FnMut(&dyn Object) -> Result<Next, ApiError> + Send,
        finish: impl Fn(Box<dyn Object>, &dyn Object) -> Result<Box<dyn Object>, ApiError> + Send + Sync,
    ) -> Result<Outcome, ApiError> {
        let mut change = Change { dry_run, asked, propose, finish };
        let cache = self.cache(target.kind)?;
        let key = target.key(&cache)?;
        let mut cached = cache.peek(&key);
        let mut conflicts = 0;
        // What a state led to that may be old.
        let mut guessed: Option<(i64, Result<Outcome, ApiError>)> = None;
        loop {
            let guess = cached.is_some();
            let current = match cached.take() {
                Some(entry) => entry,
                None => {
                    let stored = self.read_through(&cache, &key, &target.name).await?;
                    stored.ok_or_else(|| ApiError::not_found(target.kind, &target.name))?
                }
            };
            if let Some((revision, outcome)) = guessed.take()
                && revision == current.revision()
            {
                // It was not old.
                return outcome;
            }
            let current = match self.converted(current.clone()).await {
                Ok(converted) => converted,
                Err(error) if guess => {
                    guessed = Some((current.revision(), Err(error)));
                    continue;
                }
                Err(error) => return Err(error),
            };
            match self.attempt(&cache, &current, &mut change).await {
                Ok(Attempt::Done(Outcome { entry, removed })) => {
                    return Ok(Outcome { entry: self.converted(entry).await?, removed });
                }
                // Decided on what may be old: once more on what is stored, if that is something else.
                Ok(Attempt::Unchanged) => {
                    let outcome = Outcome { entry: current.clone(), removed: false };
                    if !guess {
                        return Ok(outcome);
                    }
                    guessed = Some((current.revision(), Ok(outcome)));
                }
                Err(error) if guess => guessed = Some((current.revision(), Err(error))),
                Err(error) => return Err(error),
                Ok(Attempt::Outrun) => {
                    conflicts += 1;
                    if conflicts >= ATTEMPTS {
                        return Err(ApiError::modified(target.kind, &target.name));
                    }
                }
            }
        }
    }

    async fn attempt<P, F>(
        &self,
        cache: &Cache,
        current: &Arc<Entry>,
        change: &mut Change<'_, P, F>,
    ) -> Result<Attempt, ApiError>
    where
        P: FnMut(&dyn Object) -> Result<Next, ApiError> + Send,
        F: Fn(Box<dyn Object>, &dyn Object) -> Result<Box<dyn Object>, ApiError> + Send + Sync,
    {
        let dry_run = change.dry_run;
        let old = current.object()?;
        let next = (change.propose)(&*old)?;
        if let Some(asked) = change.asked.filter(|asked| asked.operation == Operation::Delete) {
            self.admit_deletion(asked, &*old).await?;
        }
        let proposed = match next {
            Next::Keep => return Ok(Attempt::Unchanged),
            Next::Remove => return self.remove(cache, current, &*old, dry_run).await,
            Next::Put(new) => new,
        };
        let mut new = match change.asked.filter(|asked| asked.operation == Operation::Update) {
            Some(asked) => {
                let changed = self.mutate_twice(asked, proposed, &*old).await?;
                let new = (change.finish)(changed, &*old)?;
                self.check_asked(asked, Some(&*new), Some(&*old)).await?;
                new
            }
            None => (change.finish)(proposed, &*old)?,
        };
        if nothing_holds(&*new) {
            return self.remove(cache, current, &*old, dry_run).await;
        }
        if new.equals(&*old) && !current.is_outdated() {
            return Ok(Attempt::Unchanged);
        }
        self.check_changed(&*new, &*old).await?;
        let stored = self.to_storage(&*new).await?;
        let taken = self.take(&mut *new, Some(&*old), dry_run).await?;
        let sealed = Sealed::new(new, current.key()).converted_to(stored);
        if sealed.raw() == current.raw() && !current.is_outdated() {
            self.settle(taken, Written::No).await;
            return Ok(Attempt::Unchanged);
        }
        if dry_run {
            return Ok(Attempt::Done(Outcome { entry: sealed.entry(current.revision()), removed: false }));
        }
        let written = self.store_changed(cache, sealed, current.revision()).await;
        self.settle(taken, outcome(&written)).await;
        finish(cache, current, written, false)
    }

    /// Lets webhooks change what is to replace an object; those that want to see what others made of it are asked again.
    async fn mutate_twice(
        &self,
        asked: &Asked,
        mut new: Box<dyn Object>,
        old: &dyn Object,
    ) -> Result<Box<dyn Object>, ApiError> {
        let owners = new.meta().managed_fields.clone();
        let mut round = Round::default();
        new = self.mutate(asked, new, Some(old), &mut round).await?;
        if round.again() {
            new = self.mutate(asked, new, Some(old), &mut round).await?;
        }
        keep_readable(&mut *new, owners);
        Ok(new)
    }

    async fn remove(
        &self,
        cache: &Cache,
        current: &Arc<Entry>,
        old: &dyn Object,
        dry_run: bool,
    ) -> Result<Attempt, ApiError> {
        if dry_run {
            return Ok(Attempt::Done(Outcome { entry: current.clone(), removed: true }));
        }
        let removed = self.store_removed(cache, current).await;
        if removed.is_ok() {
            self.release(services::held_by(old)).await;
        }
        finish(cache, current, removed, true)
    }
}

/// How an object is to change.
struct Change<'a, P, F> {
    dry_run: bool,
    asked: Option<&'a Asked>,
    propose: P,
    finish: F,
}

enum Attempt {
    Done(Outcome),
    Unchanged,
    /// Somebody else has written since.
    Outrun,
}

fn finish(
    cache: &Cache,
    current: &Entry,
    written: gantry_store::Result<Arc<Entry>>,
    removed: bool,
) -> Result<Attempt, ApiError> {
    match written {
        Ok(entry) => Ok(Attempt::Done(Outcome { entry, removed })),
        Err(gantry_store::Error::Conflict { .. }) => Ok(Attempt::Outrun),
        Err(error) => Err(ApiError::from_store(cache.kind(), current.name(), error)),
    }
}

/// What became of a write.
pub(super) fn outcome<T>(written: &gantry_store::Result<T>) -> Written {
    match written {
        Ok(_) => Written::Yes,
        Err(gantry_store::Error::OutcomeUnknown { .. }) => Written::Perhaps,
        Err(_) => Written::No,
    }
}
