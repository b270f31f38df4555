//! Delete: at once, after a grace period, or once all finalizers are gone.

use std::sync::Arc;

use futures::stream::{self, StreamExt as _};
use gantry_api::apiextensions::v1::CustomResourceDefinition;
use gantry_api::core::v1::{Namespace, Pod};
use gantry_api::field::{Error, Path};
use gantry_api::meta::v1::{DeleteOptions, ListOptions, ObjectMeta};
use gantry_api::scalars::Time;
use gantry_api::{Kind, Object};
use jiff::Timestamp;

use super::finalize::{namespace_is_held, nothing_holds};
use super::modify::Next;
use super::{Deleted, List, Target, Verbs, options, versions};
use crate::admission::{self, Asked, Operation};
use crate::cache::Entry;
use crate::discovery;
use crate::status::{ApiError, Reason};

/// The grace period of a pod that names none.
const POD_GRACE: i64 = 30;
/// How many objects of a collection are deleted side by side.
const PARALLEL: usize = 16;
const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

impl Verbs {
    /// Deletes an object, or begins to.
    pub async fn delete(&self, target: &Target, options: &DeleteOptions) -> Result<Deleted, ApiError> {
        let dry_run = options::dry_run("DeleteOptions", &options.dry_run)?;
        let asked = self.asked(Operation::Delete, target, None, dry_run, ("DeleteOptions", options))?;
        self.delete_asked(target, options, asked.as_ref()).await
    }

    /// The same where `asked` is what webhooks are told; nobody is asked where it is nothing.
    pub(super) async fn delete_asked(
        &self,
        target: &Target,
        options: &DeleteOptions,
        asked: Option<&Asked>,
    ) -> Result<Deleted, ApiError> {
        let dry_run = options::dry_run("DeleteOptions", &options.dry_run)?;
        let dependents = Dependents::of(options)?;
        admission::check_deletion(target.kind, &target.name)?;
        let ruled = versions::ruled(target);
        let propose = |old: &dyn Object| decide(old, options, dependents, Timestamp::now());
        let outcome = self.modify_asked(&ruled, dry_run, asked, propose, |new, _| Ok(new)).await?;
        let entry = versions::served(target.kind, outcome.entry)?;
        Ok(Deleted { entry, finished: outcome.removed })
    }

    /// Deletes the objects of a collection that `selection` matches. Returns them.
    pub async fn delete_collection(
        &self,
        target: &Target,
        options: &DeleteOptions,
        selection: &ListOptions,
    ) -> Result<List, ApiError> {
        if !discovery::verbs(target.kind).contains(&"deletecollection") {
            return Err(ApiError::method_not_allowed(target.kind, "deletecollection"));
        }
        // Refused also where there is nothing to delete.
        options::dry_run("DeleteOptions", &options.dry_run)?;
        Dependents::of(options)?;
        let list = self.list(target, selection).await?;
        let delete = |entry: Arc<Entry>| async move {
            let one = Target {
                kind: target.kind,
                namespace: entry.namespace().to_owned(),
                name: entry.name().to_owned(),
            };
            match self.delete(&one, options).await {
                Ok(deleted) => Ok(Some(deleted.entry)),
                // Somebody else has deleted it.
                Err(error) if error.reason() == Reason::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        };
        let outcomes: Vec<_> = stream::iter(list.items).map(delete).buffered(PARALLEL).collect().await;
        let items = outcomes.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>()?;
        Ok(List { metadata: list.metadata, items })
    }
}

/// What becomes of the objects that the deleted one owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dependents {
    /// What the object's finalizers say: mostly that they go afterwards.
    Default,
    /// They go afterwards.
    Background,
    /// They go first.
    Foreground,
    /// They stay.
    Orphan,
}

impl Dependents {
    fn of(options: &DeleteOptions) -> Result<Self, ApiError> {
        let path = || Path::new("propagationPolicy");
        let refused = |error: Error| Err(ApiError::invalid_options("DeleteOptions", &vec![error]));
        match (options.orphan_dependents, options.propagation_policy.as_deref()) {
            (Some(_), Some(policy)) => {
                let detail = "orphanDependents and deletionPropagation cannot be both set";
                refused(Error::invalid(path(), policy, detail))
            }
            (Some(true), None) | (None, Some("Orphan")) => Ok(Self::Orphan),
            (Some(false), None) | (None, Some("Background")) => Ok(Self::Background),
            (None, Some("Foreground")) => Ok(Self::Foreground),
            (None, None) => Ok(Self::Default),
            (None, Some(other)) => {
                let detail = r#"supported values: "Foreground", "Background", "Orphan", "nil""#.to_owned();
                refused(Error { detail, ..Error::not_supported(path(), other, &["nil"]) })
            }
        }
    }

    /// Whether the finalizers change.
    fn write_to(self, finalizers: &mut Vec<String>) {
        let wanted = match self {
            Self::Default => return,
            Self::Background => None,
            Self::Foreground => Some(FOREGROUND),
            Self::Orphan => Some(ORPHAN),
        };
        finalizers.retain(|finalizer| finalizer != ORPHAN && finalizer != FOREGROUND);
        finalizers.extend(wanted.map(str::to_owned));
    }
}

/// What a deletion does to the object as it is now.
fn decide(
    old: &dyn Object,
    options: &DeleteOptions,
    dependents: Dependents,
    now: Timestamp,
) -> Result<Next, ApiError> {
    check_preconditions(old.kind(), old.meta(), options)?;
    admission::may_delete(old)?;
    let mut new = old.clone_object();
    dependents.write_to(&mut new.meta_mut().finalizers);
    let grace = grace_period(old, options);
    let meta = new.meta_mut();
    let mut begun = false;
    match meta.deletion_timestamp {
        // Already being deleted: the grace period can only become shorter.
        Some(at) => {
            let before = meta.deletion_grace_period_seconds.unwrap_or(0);
            if options.grace_period_seconds.is_some() && grace < before {
                meta.deletion_grace_period_seconds = Some(grace);
                meta.deletion_timestamp = Some(Time { seconds: at.seconds - before + grace, ..at });
            }
        }
        None => {
            begun = true;
            meta.deletion_grace_period_seconds = Some(grace);
            let at = now.as_second().saturating_add(grace);
            meta.deletion_timestamp = Some(Time { seconds: at, nanos: 0 });
            if meta.generation > 0 {
                meta.generation += 1;
            }
        }
    }
    if begun && let Some(definition) = new.downcast_mut::<CustomResourceDefinition>() {
        crate::custom::begin_deletion(definition);
    }
    if namespace_is_held(&*new)
        && let Some(namespace) = new.downcast_mut::<Namespace>()
    {
        "Terminating".clone_into(&mut namespace.status.get_or_insert_default().phase);
    }
    if nothing_holds(&*new) { Ok(Next::Remove) } else { Ok(Next::Put(new)) }
}

fn check_preconditions(kind: &Kind, meta: &ObjectMeta, options: &DeleteOptions) -> Result<(), ApiError> {
    let Some(preconditions) = &options.preconditions else { return Ok(()) };
    let failed = |what: &str, wanted: &str, found: &str| {
        let detail =
            format!("Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}");
        Err(ApiError::conflict(kind, &meta.name, &detail))
    };
    if let Some(uid) = preconditions.uid.as_deref().filter(|uid| *uid != meta.uid) {
        return failed("UID", uid, &meta.uid);
    }
    let revision = preconditions.resource_version.as_deref();
    if let Some(revision) = revision.filter(|revision| *revision != meta.resource_version) {
        return failed("ResourceVersion", revision, &meta.resource_version);
    }
    Ok(())
}

/// The seconds that the object stays for its kubelet to end it; only pods that may be running have any.
fn grace_period(object: &dyn Object, options: &DeleteOptions) -> i64 {
    let Some(pod) = object.downcast_ref::<Pod>() else { return 0 };
    let spec = pod.spec.as_ref();
    let unscheduled = spec.is_none_or(|spec| spec.node_name.is_empty());
    let finished =
        pod.status.as_ref().is_some_and(|status| matches!(status.phase.as_str(), "Succeeded" | "Failed"));
    if unscheduled || finished {
        return 0;
    }
    let own = spec.and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(POD_GRACE);
    match options.grace_period_seconds.unwrap_or(own) {
        // What negative numbers mean upstream: as soon as is orderly.
        ..0 => 1,
        seconds => seconds,
    }
}

#[cfg(test)]
mod tests {
    use gantry_api::core::v1::{PodSpec, PodStatus};

    use super::*;

    fn running() -> Pod {
        let mut pod = Pod {
            spec: Some(PodSpec { node_name: "n".into(), ..PodSpec::default() }),
            status: Some(PodStatus { phase: "Running".into(), ..PodStatus::default() }),
            ..Pod::default()
        };
        pod.metadata.get_or_insert_default().uid = "1".into();
        pod
    }

    fn after(pod: &Pod, options: &DeleteOptions) -> Option<Pod> {
        match decide(pod, options, Dependents::of(options).unwrap(), Timestamp::UNIX_EPOCH).unwrap() {
            Next::Put(new) => new.downcast_ref::<Pod>().cloned(),
            Next::Remove => None,
            Next::Keep => panic!("a deletion changes something"),
        }
    }

    #[test]
    fn a_running_pod_is_left_to_its_kubelet() {
        let pod = after(&running(), &DeleteOptions::default()).unwrap();
        let meta = pod.metadata.clone().unwrap();
        assert_eq!(meta.deletion_grace_period_seconds, Some(30));
        assert_eq!(meta.deletion_timestamp, Some(Time { seconds: 30, nanos: 0 }));
        // Shorter, but never longer.
        let shorter = DeleteOptions { grace_period_seconds: Some(5), ..DeleteOptions::default() };
        let meta = after(&pod, &shorter).unwrap().metadata.unwrap();
        assert_eq!(meta.deletion_timestamp, Some(Time { seconds: 5, nanos: 0 }));
        let longer = DeleteOptions { grace_period_seconds: Some(60), ..DeleteOptions::default() };
        assert_eq!(after(&pod, &longer).unwrap().metadata.unwrap().deletion_grace_period_seconds, Some(30));
        let now = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
        assert!(after(&pod, &now).is_none());
    }

    #[test]
    fn an_unbound_or_finished_pod_goes_at_once() {
        let mut pod = running();
        pod.status.as_mut().unwrap().phase = "Succeeded".into();
        assert!(after(&pod, &DeleteOptions::default()).is_none());
        let mut pod = running();
        pod.spec.as_mut().unwrap().node_name.clear();
        assert!(after(&pod, &DeleteOptions::default()).is_none());
    }

    #[test]
    fn propagation_is_written_as_finalizers() {
        let now = Some(0);
        for (policy, finalizers) in [("Foreground", &["foregroundDeletion"]), ("Orphan", &["orphan"])] {
            let options = DeleteOptions {
                grace_period_seconds: now,
                propagation_policy: Some(policy.into()),
                ..DeleteOptions::default()
            };
            assert_eq!(after(&running(), &options).unwrap().metadata.unwrap().finalizers, finalizers);
        }
    }
}
