//! Eviction: a pod is deleted if its disruption budget allows it.

mod budget;

use std::time::Duration;

use gantry_api::core::v1::{Pod, PodCondition};
use gantry_api::meta::v1::{
    CreateOptions, DeleteOptions, GetOptions, ListMeta, ListOptions, ObjectMeta, Status, StatusDetails,
};
use gantry_api::policy::v1::{Eviction, PodDisruptionBudget};
use gantry_api::scalars::Time;
use gantry_api::selector::LabelSelector;
use gantry_api::{Resource as _, Subresource};
use prost::Message as _;

use super::modify::Next;
use super::{Target, Verbs, options};
use crate::admission::asked::EVICTION;
use crate::admission::{self, Operation};
use crate::status::{ApiError, Reason};

/// How often an eviction is tried while others change the pod, and the pause between.
const ATTEMPTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// What a pod that is taken away says.
const CONDITION: &str = "DisruptionTarget";
const REASON: &str = "EvictionByEvictionAPI";
const MESSAGE: &str = "Eviction API: evicting";

impl Verbs {
    /// Evicts a pod: deletes it if its disruption budget allows that.
    pub async fn evict(
        &self,
        target: &Target,
        eviction: Eviction,
        create: &CreateOptions,
    ) -> Result<Status, ApiError> {
        let dry_run = options::dry_run("CreateOptions", &create.dry_run)?;
        let sub = Some(Subresource::Eviction);
        let asked = self.asked(Operation::Create, target, sub, dry_run, ("CreateOptions", create))?;
        let eviction = self.admit_message(asked, EVICTION, eviction, None).await?;
        let meta = eviction.metadata.unwrap_or_default();
        if !meta.namespace.is_empty() && meta.namespace != target.namespace {
            let text =
                "the namespace of the provided object does not match the namespace sent on the request";
            return Err(ApiError::bad_request(text));
        }
        if meta.name != target.name {
            return Err(ApiError::bad_request("name in URL does not match name in Eviction object"));
        }
        let wish = delete_options(eviction.delete_options, &create.dry_run)?;
        if let Some(pod) = self.evict_regardless(target, &wish).await? {
            self.evict_within_budget(target, &pod, &wish).await?;
        }
        Ok(Status {
            metadata: Some(ListMeta::default()),
            status: "Success".to_owned(),
            code: http::StatusCode::CREATED.as_u16().into(),
            ..Status::default()
        })
    }

    /// Evicts a pod that no budget counts any more, or yet. Gives back one that must be asked for.
    async fn evict_regardless(&self, target: &Target, wish: &DeleteOptions) -> Result<Option<Pod>, ApiError> {
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            let entry = self.get(target, &GetOptions::default()).await?;
            let pod = Pod::decode(entry.bytes()).map_err(ApiError::internal)?;
            // Who may not delete it must not spend its budget, nor mark it.
            admission::may_delete(&pod)?;
            let mut options = wish.clone();
            match course(&pod) {
                Course::AskBudget => return Ok(Some(pod)),
                Course::Delete => {}
                // It may become ready meanwhile, and then count.
                Course::DeleteAsItIs => guard(&mut options, &pod),
            }
            match self.condemn(target, &options).await {
                Err(error) if retries(&error, wish) && left > 0 => tokio::time::sleep(PAUSE).await,
                outcome => return outcome.map(|()| None),
            }
        }
    }

    async fn evict_within_budget(
        &self,
        target: &Target,
        pod: &Pod,
        wish: &DeleteOptions,
    ) -> Result<(), ApiError> {
        let budgets = self.budgets_of(pod).await?;
        let budget = match budgets.as_slice() {
            [] => return self.condemn(target, wish).await,
            [one] => one,
            _ => {
                return Err(ApiError::without_reason(
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
                ));
            }
        };
        if !is_ready(pod) && budget::lets_unhealthy_go(budget) {
            let mut options = wish.clone();
            guard(&mut options, pod);
            return match self.condemn(target, &options).await {
                Err(error) if retries(&error, wish) => Err(budget::in_process(budget.name())),
                outcome => outcome,
            };
        }
        let dry_run = options::dry_run("DeleteOptions", &wish.dry_run)?;
        let place = Target {
            kind: PodDisruptionBudget::kind(),
            namespace: target.namespace.clone(),
            name: budget.name().to_owned(),
        };
        self.modify(&place, dry_run, |old| {
            let mut new = old.clone_object();
            if let Some(budget) = new.downcast_mut::<PodDisruptionBudget>() {
                budget::take_one(budget, &target.name, Time::now())?;
            }
            Ok(Next::Put(new))
        })
        .await?;
        self.condemn(target, wish).await
    }

    async fn budgets_of(&self, pod: &Pod) -> Result<Vec<PodDisruptionBudget>, ApiError> {
        let all = Target {
            kind: PodDisruptionBudget::kind(),
            namespace: pod.namespace().to_owned(),
            name: String::new(),
        };
        let list = self.list(&all, &ListOptions::default()).await?;
        let mut budgets = Vec::new();
        for entry in list.items {
            let budget = PodDisruptionBudget::decode(entry.bytes()).map_err(ApiError::internal)?;
            let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
            // A selector that cannot be understood matches nothing.
            if LabelSelector::from_meta(selector).is_ok_and(|selector| selector.matches(&pod.meta().labels)) {
                budgets.push(budget);
            }
        }
        Ok(budgets)
    }

    /// Says in the pod's status why it goes, and deletes it.
    async fn condemn(&self, target: &Target, wish: &DeleteOptions) -> Result<(), ApiError> {
        let mut options = wish.clone();
        if !options::dry_run("DeleteOptions", &options.dry_run)? {
            let marked = self
                .modify(target, false, |old| {
                    check_preconditions(old.meta(), wish)?;
                    // It may be another of its name by now.
                    admission::may_delete(old)?;
                    let mut new = old.clone_object();
                    if let Some(pod) = new.downcast_mut::<Pod>() {
                        mark(pod, Time::now());
                    }
                    Ok(Next::Put(new))
                })
                .await?;
            // The mark was our own change.
            let preconditions = options.preconditions.as_mut();
            if let Some(revision) = preconditions.and_then(|found| found.resource_version.as_mut()) {
                *revision = marked.entry.revision().to_string();
            }
        }
        // Who was asked about the eviction is not asked about the deletion.
        self.delete_asked(target, &options, None).await?;
        Ok(())
    }
}

/// How a pod in its present state is evicted.
#[derive(Debug, PartialEq, Eq)]
enum Course {
    /// Whatever its budget says.
    Delete,
    /// Whatever its budget says, while it stays as it is.
    DeleteAsItIs,
    /// If its budget says so.
    AskBudget,
}

fn course(pod: &Pod) -> Course {
    let phase = pod.status.as_ref().map_or("", |status| status.phase.as_str());
    match phase {
        "Succeeded" | "Failed" => Course::Delete,
        _ if pod.meta().deletion_timestamp.is_some() => Course::Delete,
        "Pending" => Course::DeleteAsItIs,
        _ => Course::AskBudget,
    }
}

fn is_ready(pod: &Pod) -> bool {
    let mut conditions = pod.status.iter().flat_map(|status| &status.conditions);
    conditions.any(|condition| condition.r#type == "Ready" && condition.status == "True")
}

/// How the pod is to be deleted; the request and its body must not say different things of a dry run.
fn delete_options(wanted: Option<DeleteOptions>, dry_run: &[String]) -> Result<DeleteOptions, ApiError> {
    let mut options = wanted.unwrap_or_default();
    if options.dry_run.is_empty() {
        options.dry_run = dry_run.to_vec();
    } else if !dry_run.is_empty() && options.dry_run != dry_run {
        let shown = |values: &[String]| format!("[{}]", values.join(" "));
        return Err(ApiError::without_reason(format!(
            "Non-matching dry-run options in request and content: {} and {}",
            shown(dry_run),
            shown(&options.dry_run)
        )));
    }
    Ok(options)
}

fn names_revision(options: &DeleteOptions) -> bool {
    options.preconditions.as_ref().is_some_and(|found| found.resource_version.is_some())
}

/// Whether a conflict is not the client's: it named no revision.
fn retries(error: &ApiError, wish: &DeleteOptions) -> bool {
    error.reason() == Reason::Conflict && !names_revision(wish)
}

/// Deletes the pod only as it is now, unless the client named a revision itself.
fn guard(options: &mut DeleteOptions, pod: &Pod) {
    if !names_revision(options) {
        let revision = pod.meta().resource_version.clone();
        options.preconditions.get_or_insert_default().resource_version = Some(revision);
    }
}

fn check_preconditions(meta: &ObjectMeta, options: &DeleteOptions) -> Result<(), ApiError> {
    let Some(wanted) = &options.preconditions else { return Ok(()) };
    let failed = |text: String| {
        let name = meta.name.clone();
        let message = format!("Operation cannot be fulfilled on Pod {name:?}: {text}");
        let details = StatusDetails { name, kind: "Pod".to_owned(), ..StatusDetails::default() };
        Err(ApiError::new(Reason::Conflict, message).with_details(details))
    };
    if let Some(uid) = wanted.uid.as_deref().filter(|uid| *uid != meta.uid) {
        return failed(format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been \
             deleted and then recreated",
            meta.uid
        ));
    }
    let revision = wanted.resource_version.as_deref();
    if let Some(revision) = revision.filter(|revision| *revision != meta.resource_version) {
        return failed(format!(
            "the ResourceVersion in the precondition ({revision}) does not match the ResourceVersion in record ({}). \
             The object might have been modified",
            meta.resource_version
        ));
    }
    Ok(())
}

/// Says why the pod goes.
fn mark(pod: &mut Pod, now: Time) {
    let generation = pod.meta().generation;
    let wanted = PodCondition {
        r#type: CONDITION.to_owned(),
        status: "True".to_owned(),
        reason: REASON.to_owned(),
        message: MESSAGE.to_owned(),
        observed_generation: generation,
        last_transition_time: Some(now),
        ..PodCondition::default()
    };
    let conditions = &mut pod.status.get_or_insert_default().conditions;
    match conditions.iter_mut().find(|condition| condition.r#type == CONDITION) {
        Some(found) => {
            let since = if found.status == wanted.status { found.last_transition_time } else { Some(now) };
            *found = PodCondition { last_transition_time: since, ..wanted };
        }
        None => conditions.push(wanted),
    }
}

#[cfg(test)]
mod tests {
    use gantry_api::core::v1::PodStatus;

    use super::*;

    fn pod(phase: &str) -> Pod {
        Pod { status: Some(PodStatus { phase: phase.into(), ..PodStatus::default() }), ..Pod::default() }
    }

    #[test]
    fn only_pods_that_may_serve_need_a_budget() {
        for (phase, wanted) in [
            ("Succeeded", Course::Delete),
            ("Failed", Course::Delete),
            ("Pending", Course::DeleteAsItIs),
            ("Running", Course::AskBudget),
            ("Unknown", Course::AskBudget),
        ] {
            assert_eq!(course(&pod(phase)), wanted, "{phase}");
        }
        let mut ending = pod("Running");
        ending.meta_mut().deletion_timestamp = Some(Time::now());
        assert_eq!(course(&ending), Course::Delete);
    }

    #[test]
    fn a_dry_run_is_said_once_or_twice_alike() {
        let all = vec!["All".to_owned()];
        let body =
            |dry_run: &[String]| DeleteOptions { dry_run: dry_run.to_vec(), ..DeleteOptions::default() };
        assert_eq!(delete_options(None, &all).unwrap().dry_run, all);
        assert_eq!(delete_options(Some(body(&all)), &[]).unwrap().dry_run, all);
        assert_eq!(delete_options(Some(body(&all)), &all).unwrap().dry_run, all);
        let error = delete_options(Some(body(&["Some".to_owned()])), &all).unwrap_err();
        assert_eq!((error.http().as_u16(), error.status().reason.as_str()), (500, ""));
        assert!(error.to_string().ends_with("[All] and [Some]"));
    }

    #[test]
    fn a_mark_is_set_once() {
        let mut pod = pod("Running");
        let (first, second) = (Time { seconds: 1, nanos: 0 }, Time { seconds: 2, nanos: 0 });
        mark(&mut pod, first);
        mark(&mut pod, second);
        let conditions = &pod.status.unwrap().conditions;
        assert_eq!((conditions.len(), conditions[0].last_transition_time), (1, Some(first)));
    }
}
