//! Create.

use std::sync::Arc;

use gantry_api::core::v1::Namespace;
use gantry_api::meta::v1::{CreateOptions, ObjectMeta};
use gantry_api::scalars::Time;
use gantry_api::{Kind, Object, Resource, validation};
use rand::seq::IndexedRandom as _;

use super::modify::outcome;
use super::options;
use super::ownership::{Ownership, keep_readable, writer};
use super::write::Sealed;
use super::{Target, Verbs, versions};
use crate::admission::{self, Asked, Operation, Round};
use crate::cache::{Cache, Entry};
use crate::certificates;
use crate::status::{ApiError, Reason};

/// How many names are tried for an object that leaves its name to the server.
const NAMES: usize = 8;
/// Without vowels and look-alikes, so that no words come out.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX: usize = 5;
/// The longest part of `generateName` that is kept: with the suffix it makes a DNS label.
const MAX_BASE: usize = 63 - SUFFIX;

impl Verbs {
    /// Creates an object. The target's name is empty or the object's.
    pub async fn create(
        &self,
        target: &Target,
        object: Box<dyn Object>,
        options: &CreateOptions,
    ) -> Result<Arc<Entry>, ApiError> {
        let dry_run = options::of_write("CreateOptions", &options.field_manager, &options.dry_run)?;
        let writer = writer(&options.field_manager, None);
        self.create_as(target, object, options, dry_run, Ownership::TakenBy(&writer, target.kind)).await
    }

    /// Creates an object whose fields become owned as `ownership` says.
    pub(super) async fn create_as(
        &self,
        target: &Target,
        object: Box<dyn Object>,
        options: &CreateOptions,
        dry_run: bool,
        ownership: Ownership<'_>,
    ) -> Result<Arc<Entry>, ApiError> {
        let ruled = versions::ruled(target);
        let cache = self.cache(ruled.kind)?;
        check_kind(target.kind, &*object)?;
        if target.kind.definition().is_some_and(|definition| definition.terminating()) {
            let message = "create not allowed while custom resource definition is terminating";
            return Err(ApiError::about(Reason::MethodNotAllowed, target.kind, "", message));
        }
        let mut object = versions::ruled_object(ruled.kind, object)?;
        place(target, object.meta_mut())?;
        if !object.meta().resource_version.is_empty() {
            return Err(ApiError::bad_request("resourceVersion should not be set on objects to be created"));
        }
        let generated = object.meta().name.is_empty() && !object.meta().generate_name.is_empty();
        let asked = self.asked(Operation::Create, target, None, dry_run, ("CreateOptions", options))?;
        let asked = asked.map(|asked| named(asked, if generated { "" } else { &object.meta().name }));
        let mut left = if generated { NAMES } else { 1 };
        begin(&mut *object);
        loop {
            left -= 1;
            if generated {
                let base = object.meta().generate_name.clone();
                object.meta_mut().name = generate_name(&base);
            }
            // Kept only where another attempt may need it.
            let again = (left > 0).then(|| object.clone_object());
            let created =
                self.create_named(&cache, ruled.kind, object, dry_run, ownership, asked.as_ref()).await;
            match (created, again) {
                (Err(error), Some(again)) if error.reason() == Reason::AlreadyExists => object = again,
                (outcome, _) => return versions::served(target.kind, self.converted(outcome?).await?),
            }
        }
    }

    /// Makes an object of the server's own, which nobody is asked about.
    pub(crate) async fn make(&self, mut object: Box<dyn Object>) -> gantry_store::Result<()> {
        let internal = |error: ApiError| gantry_store::Error::Internal { reason: error.to_string() };
        let kind = object.kind();
        let cache = self.cache(kind).map_err(internal)?;
        begin(&mut *object);
        object.strategy_mut().set_defaults();
        let (namespace, name) = (object.meta().namespace.clone(), object.meta().name.clone());
        let key = Target { kind, namespace, name }.key(&cache).map_err(internal)?;
        self.store_new(&cache, Sealed::new(object, &key)).await.map(drop)
    }

    async fn create_named(
        &self,
        cache: &Cache,
        kind: &'static Kind,
        mut object: Box<dyn Object>,
        dry_run: bool,
        ownership: Ownership<'_>,
        asked: Option<&Asked>,
    ) -> Result<Arc<Entry>, ApiError> {
        object.strategy_mut().set_defaults();
        // Before admission completes the object: what a node may write is what it wrote.
        admission::may_create(&*object)?;
        ownership.settle(None, &mut *object)?;
        self.admit_new(&mut *object).await?;
        if let Some(asked) = asked {
            let owners = object.meta().managed_fields.clone();
            let mut round = Round::default();
            object = self.mutate(asked, object, None, &mut round).await?;
            if round.again() {
                self.admit_new(&mut *object).await?;
                object = self.mutate(asked, object, None, &mut round).await?;
            }
            keep_readable(&mut *object, owners);
        }
        object.strategy_mut().prepare_for_create();
        let name = object.meta().name.clone();
        let mut errors = validation::meta::object_meta(kind, object.meta());
        errors.extend(certificates::check_request(&*object));
        errors.extend(object.strategy().validate());
        if !errors.is_empty() {
            return Err(ApiError::invalid(kind, &name, &errors));
        }
        self.check_new(&*object).await?;
        if let Some(asked) = asked {
            self.check_asked(asked, Some(&*object), None).await?;
        }
        let place = Target { kind, namespace: object.meta().namespace.clone(), name };
        let key = place.key(cache)?;
        let stored = self.to_storage(&*object).await?;
        let taken = self.take(&mut *object, None, dry_run).await?;
        if dry_run {
            // Nothing was taken.
            drop(taken);
            return match cache.get(&key).await? {
                Some(_) => Err(ApiError::already_exists(kind, &place.name)),
                None => Ok(Sealed::new(object, &key).converted_to(stored).entry(0)),
            };
        }
        let written = self.store_new(cache, Sealed::new(object, &key).converted_to(stored)).await;
        self.settle(taken, outcome(&written)).await;
        written.map_err(|error| ApiError::from_store(kind, &place.name, error))
    }
}

/// What is asked, about an object of this name.
fn named(mut asked: Asked, name: &str) -> Asked {
    name.clone_into(&mut asked.name);
    if asked.kind == <Namespace as Resource>::kind() {
        name.clone_into(&mut asked.namespace);
    }
    asked
}

/// The object must be what the request says.
pub(super) fn check_kind(kind: &'static Kind, object: &dyn Object) -> Result<(), ApiError> {
    if object.kind() == kind {
        return Ok(());
    }
    let (given, wanted) = (object.kind(), kind);
    Err(ApiError::bad_request(format!(
        "the object provided is unrecognized: it is a {} of {}, and the request is about {} of {}",
        given.kind,
        given.api_version(),
        wanted.plural,
        wanted.api_version(),
    )))
}

/// Namespace and name must be those of the request, and are taken from it where the object has none.
pub(super) fn place(target: &Target, meta: &mut ObjectMeta) -> Result<(), ApiError> {
    if target.kind.namespaced() {
        if target.namespace.is_empty() {
            return Err(ApiError::bad_request("an empty namespace may not be set during creation"));
        }
        if meta.namespace.is_empty() {
            meta.namespace.clone_from(&target.namespace);
        }
    } else {
        // What is in no namespace may name one, which means nothing.
        meta.namespace.clear();
    }
    if meta.namespace != target.namespace {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if !target.name.is_empty() {
        if meta.name.is_empty() {
            meta.name.clone_from(&target.name);
        }
        if meta.name != target.name {
            return Err(ApiError::bad_request(format!(
                "the name of the object ({}) does not match the name on the URL ({})",
                meta.name, target.name
            )));
        }
    }
    Ok(())
}

/// What only the server says about a new object.
fn begin(object: &mut dyn Object) {
    let generation = i64::from(object.kind().generation);
    let meta = object.meta_mut();
    meta.uid = uuid::Uuid::new_v4().to_string();
    meta.creation_timestamp = Some(Time::now());
    meta.deletion_timestamp = None;
    meta.deletion_grace_period_seconds = None;
    meta.generation = generation;
    meta.self_link.clear();
}

/// A name that begins with `base`, and is new in all likelihood.
pub(crate) fn generate_name(base: &str) -> String {
    let mut random = rand::rng();
    let suffix = (0..SUFFIX).filter_map(|_| ALPHABET.choose(&mut random).map(|byte| char::from(*byte)));
    let mut end = base.len().min(MAX_BASE);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    base[..end].chars().chain(suffix).collect()
}
