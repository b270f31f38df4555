//! What is known of each definition, and what a change of it does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionNames, CustomResourceDefinitionSpec,
    CustomResourceDefinitionStatus,
};
use gantry_api::custom::CLEANUP;
use gantry_api::{Kind, Resource as _};
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::cleanup;
use super::names::{self, ESTABLISHED, NAMES_ACCEPTED, Taken};
use crate::cache::Entry;
use crate::status::ApiError;
use crate::verbs::{Next, Target, Verbs};

/// When something is tried again that failed.
const RETRY: Duration = Duration::from_secs(1);

/// What is known of one definition.
#[derive(Default)]
struct Known {
    group: String,
    names: CustomResourceDefinitionNames,
    /// Whether it did not get all names that it wants.
    conflicted: bool,
    /// Of what its kinds were made.
    made_of: Vec<u8>,
    terminating: bool,
    cleaning: bool,
    kinds: Vec<Open>,
}

/// A kind of a definition.
#[derive(Clone, Copy)]
struct Open {
    kind: &'static Kind,
    served: bool,
    storage: bool,
}

/// What is known of all definitions.
pub(super) struct State {
    verbs: Arc<Verbs>,
    stop: CancellationToken,
    known: BTreeMap<String, Known>,
    /// Definitions to look at again, and when.
    pending: BTreeMap<String, Instant>,
    tasks: JoinSet<()>,
}

impl State {
    pub(super) fn new(verbs: Arc<Verbs>, stop: CancellationToken) -> Self {
        Self { verbs, stop, known: BTreeMap::new(), pending: BTreeMap::new(), tasks: JoinSet::new() }
    }

    /// Waits for what was begun; everything ends with the server.
    pub(super) async fn finish(mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            report(ended);
        }
    }

    /// Takes in what there is now.
    pub(super) async fn begin(&mut self, present: &[Arc<Entry>]) {
        let names: Vec<&str> = present.iter().map(|entry| entry.name()).collect();
        let gone: Vec<String> =
            self.known.keys().filter(|name| !names.contains(&name.as_str())).cloned().collect();
        for name in gone {
            self.deleted(&name).await;
        }
        // Names that others have are theirs, whoever is looked at first.
        for entry in present {
            let Ok(object) = entry.object() else { continue };
            let Some(definition) = object.downcast_ref::<CustomResourceDefinition>() else { continue };
            let known = self.known.entry(entry.name().to_owned()).or_default();
            known.group = definition.spec.as_ref().map(|spec| spec.group.clone()).unwrap_or_default();
            known.names = definition
                .status
                .as_ref()
                .and_then(|status| status.accepted_names.clone())
                .unwrap_or_default();
        }
        for entry in present {
            self.changed(entry).await;
        }
    }

    /// The next definition that is to be looked at again.
    pub(super) async fn again(&self) -> String {
        match self.pending.iter().min_by_key(|(_, at)| **at) {
            Some((name, at)) => {
                tokio::time::sleep_until(*at).await;
                name.clone()
            }
            None => std::future::pending().await,
        }
    }

    pub(super) async fn look_again(&mut self, name: &str) {
        self.pending.remove(name);
        let Ok(cache) = self.verbs.cache(CustomResourceDefinition::kind()) else { return };
        if let Some(entry) = cache.peek(name) {
            self.changed(&entry).await;
        }
    }

    /// Takes in a new or changed definition.
    pub(super) async fn changed(&mut self, entry: &Entry) {
        while let Some(ended) = self.tasks.try_join_next() {
            report(ended);
        }
        let name = entry.name();
        self.pending.remove(name);
        if let Err(error) = self.sync(entry).await {
            tracing::warn!(definition = name, %error, "custom resource not served as it should be, trying again");
            self.pending.insert(name.to_owned(), Instant::now() + RETRY);
        }
    }

    /// Takes in that a definition is gone. Others may get its names.
    pub(super) async fn deleted(&mut self, name: &str) {
        self.pending.remove(name);
        let Some(known) = self.known.remove(name) else { return };
        self.verbs.custom().set_versions(name, Vec::new());
        for open in &known.kinds {
            self.verbs.custom().remove(open.kind);
            self.verbs.custom().kinds().close(open.kind);
        }
        self.publish();
        let waiting = self.known.iter().filter(|(_, other)| other.conflicted && other.group == known.group);
        let waiting: Vec<String> = waiting.map(|(name, _)| name.clone()).collect();
        for name in waiting {
            self.pending.insert(name, Instant::now());
        }
    }

    async fn sync(&mut self, entry: &Entry) -> Result<(), ApiError> {
        let (name, object) = (entry.name(), entry.object()?);
        let Some(definition) = object.downcast_ref::<CustomResourceDefinition>() else { return Ok(()) };
        let Some(spec) = &definition.spec else { return Ok(()) };
        let wanted = names::status(definition, &self.taken(name, &spec.group));
        let known = self.known.entry(name.to_owned()).or_default();
        known.group.clone_from(&spec.group);
        known.names = wanted.accepted_names.clone().unwrap_or_default();
        known.conflicted = !has(&wanted, NAMES_ACCEPTED);
        let terminating = object.meta().deletion_timestamp.is_some();
        if has(&wanted, ESTABLISHED) {
            // Served before clients are told that it is.
            self.open(name, spec, terminating).await;
        }
        if definition.status.as_ref() != Some(&wanted) {
            self.write(name, &spec.group).await?;
        }
        if terminating && object.meta().finalizers.iter().any(|finalizer| finalizer == CLEANUP) {
            self.clean(name, has(&wanted, ESTABLISHED));
        }
        Ok(())
    }

    /// The names that others of the group have.
    fn taken(&self, name: &str, group: &str) -> Taken<'_> {
        let others = self.known.iter().filter(|(other, known)| *other != name && known.group == group);
        Taken::by(others.map(|(_, known)| &known.names))
    }

    async fn write(&self, name: &str, group: &str) -> Result<(), ApiError> {
        let target = definition(name);
        let taken = self.taken(name, group);
        let written = self.verbs.modify(&target, false, |old| {
            let mut new = old.clone_object();
            let Some(definition) = new.downcast_mut::<CustomResourceDefinition>() else {
                return Ok(Next::Keep);
            };
            definition.status = Some(names::status(definition, &taken));
            Ok(Next::Put(new))
        });
        written.await.map(drop)
    }

    /// Opens the kinds of a definition that is established, and closes those that it has no more.
    async fn open(&mut self, name: &str, spec: &CustomResourceDefinitionSpec, terminating: bool) {
        let resources = self.verbs.custom();
        let Some(known) = self.known.get_mut(name) else { return };
        let made_of = fingerprint(spec, &known.names);
        let same = known.made_of == made_of;
        if same && known.terminating == terminating {
            return;
        }
        let mut kinds = Vec::new();
        for version in &spec.versions {
            let (served, storage) = (version.served, version.storage);
            // Also what is neither: objects may still be stored in it, and are converted by its schema.
            match resources.kinds().open(spec, &known.names, version, terminating) {
                Ok(kind) => kinds.push(Open { kind, served, storage }),
                Err(error) => {
                    tracing::error!(definition = name, version = version.name, %error, "version not served");
                }
            }
        }
        let before = std::mem::replace(&mut known.kinds, kinds.clone());
        (known.made_of, known.terminating) = (made_of, terminating);
        resources.set_versions(name, kinds.iter().map(|open| open.kind).collect());
        if !same {
            let readable = kinds.iter().filter(|open| open.served || open.storage);
            let caches: Vec<_> = readable.map(|open| self.verbs.new_cache(open.kind)).collect();
            for cache in &caches {
                self.tasks.spawn(cache.clone().run(self.stop.clone()));
                resources.insert(cache.clone());
            }
            let filled = futures::future::join_all(caches.iter().map(|cache| cache.reach(0))).await;
            for error in filled.into_iter().filter_map(Result::err) {
                tracing::warn!(definition = name, %error, "objects not listed yet");
            }
        }
        self.publish();
        if same {
            return;
        }
        // Only now: what is written to a kind without its definition is neither pruned nor checked.
        for open in before {
            if !kinds.iter().any(|new| new.kind == open.kind && (new.served || new.storage)) {
                resources.remove(open.kind);
            }
            if !kinds.iter().any(|new| std::ptr::eq(new.kind, open.kind)) {
                resources.kinds().close(open.kind);
            }
        }
    }

    fn publish(&self) {
        let kinds = self.known.values().flat_map(|known| &known.kinds);
        self.verbs.serve(kinds.filter(|open| open.served).map(|open| open.kind));
    }

    /// Begins to delete the objects of a definition that is being deleted.
    fn clean(&mut self, name: &str, established: bool) {
        let Some(known) = self.known.get_mut(name) else { return };
        if known.cleaning {
            return;
        }
        let kind = known.kinds.iter().find(|open| open.storage).map(|open| open.kind);
        if kind.is_none() && established {
            // There may be objects, which would stay behind.
            tracing::error!(
                definition = name,
                "not deleted: the version that its objects are stored in is not open"
            );
            return;
        }
        known.cleaning = true;
        self.tasks.spawn(cleanup::run(self.verbs.clone(), name.to_owned(), kind, self.stop.clone()));
    }
}

/// The definition of a name.
pub(super) fn definition(name: &str) -> Target {
    Target { kind: CustomResourceDefinition::kind(), namespace: String::new(), name: name.to_owned() }
}

fn has(status: &CustomResourceDefinitionStatus, condition: &str) -> bool {
    status.conditions.iter().any(|one| one.r#type == condition && one.status == "True")
}

fn fingerprint(spec: &CustomResourceDefinitionSpec, names: &CustomResourceDefinitionNames) -> Vec<u8> {
    let mut digest = Sha256::new();
    digest.update(spec.encode_to_vec());
    digest.update(names.encode_to_vec());
    digest.finalize().to_vec()
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a task of custom resources ended badly");
    }
}
