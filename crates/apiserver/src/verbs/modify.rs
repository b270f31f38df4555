//! Read, change, write: again from what is stored now if somebody else was faster.

use std::sync::Arc;

use gantry_api::Object;

use super::write::Sealed;
use super::{Target, Verbs};
use crate::admission::{Written, services};
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
        mut decide: impl FnMut(&dyn Object) -> Result<Next, ApiError> + Send,
    ) -> Result<Outcome, ApiError> {
        let cache = self.cache(target.kind)?;
        let key = target.key(&cache)?;
        let mut cached = cache.peek(&key);
        let mut conflicts = 0;
        loop {
            let guess = cached.is_some();
            let current = match cached.take() {
                Some(entry) => entry,
                None => {
                    let stored = self.read_through(&cache, &key, &target.name).await?;
                    stored.ok_or_else(|| ApiError::not_found(target.kind, &target.name))?
                }
            };
            match self.attempt(&cache, &current, dry_run, &mut decide).await {
                Ok(Attempt::Done(outcome)) => return Ok(outcome),
                Ok(Attempt::Unchanged) if !guess => return Ok(Outcome { entry: current, removed: false }),
                Err(error) if !guess => return Err(error),
                // Decided on what may be old: once more on what is stored.
                Ok(Attempt::Unchanged) | Err(_) => {}
                Ok(Attempt::Outrun) => {
                    conflicts += 1;
                    if conflicts >= ATTEMPTS {
                        return Err(ApiError::modified(target.kind, &target.name));
                    }
                }
            }
        }
    }

    async fn attempt(
        &self,
        cache: &Cache,
        current: &Arc<Entry>,
        dry_run: bool,
        decide: &mut (impl FnMut(&dyn Object) -> Result<Next, ApiError> + Send),
    ) -> Result<Attempt, ApiError> {
        let old = current.object()?;
        let mut new = match decide(&*old)? {
            Next::Keep => return Ok(Attempt::Unchanged),
            Next::Remove => return self.remove(cache, current, &*old, dry_run).await,
            Next::Put(new) => new,
        };
        self.check_changed(&*new, &*old).await?;
        let taken = self.take(&mut *new, Some(&*old), dry_run).await?;
        let sealed = Sealed::new(new, current.key());
        if sealed.raw() == current.raw() {
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
