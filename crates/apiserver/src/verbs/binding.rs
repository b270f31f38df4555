//! Binding: a pod gets its node.

use std::sync::Arc;

use gantry_api::core::v1::{Binding, Pod, PodCondition};
use gantry_api::meta::v1::CreateOptions;
use gantry_api::scalars::Time;
use gantry_api::{Object, Subresource};

use super::modify::Next;
use super::{Target, Verbs, options};
use crate::admission::Operation;
use crate::admission::asked::BINDING;
use crate::cache::Entry;
use crate::status::ApiError;

impl Verbs {
    /// Assigns a pod to a node. Returns the pod.
    pub async fn bind(
        &self,
        target: &Target,
        mut binding: Binding,
        options: &CreateOptions,
    ) -> Result<Arc<Entry>, ApiError> {
        let dry_run = options::of_write("CreateOptions", &options.field_manager, &options.dry_run)?;
        let sub = Some(Subresource::Binding);
        let asked = self.asked(Operation::Create, target, sub, dry_run, ("CreateOptions", options))?;
        self.label_binding(&mut binding).await?;
        let binding = self.admit_message(asked, BINDING, binding, None).await?;
        let node = binding.target.as_ref().map(|node| node.name.as_str()).unwrap_or_default();
        let kind = binding.target.as_ref().map(|node| node.kind.as_str()).unwrap_or_default();
        if node.is_empty() {
            return Err(ApiError::bad_request("target.name: Required value: the node to bind the pod to"));
        }
        if !matches!(kind, "" | "Node") {
            return Err(ApiError::bad_request(format!(
                "target.kind: Unsupported value: {kind:?}: supported values: \"Node\", \"\""
            )));
        }
        let outcome = self.modify(target, dry_run, |old| bound(target, old, &binding, node)).await?;
        Ok(outcome.entry)
    }
}

fn bound(target: &Target, old: &dyn Object, binding: &Binding, node: &str) -> Result<Next, ApiError> {
    let mut new = old.clone_object();
    // Upstream's word for what is asked for.
    let conflict = |detail: String| Err(ApiError::conflict_about("pods/binding", &target.name, &detail));
    let Some(pod) = new.downcast_mut::<Pod>() else {
        return Err(ApiError::method_not_allowed(target.kind, "binding"));
    };
    let uid = binding.metadata.as_ref().map(|meta| meta.uid.as_str()).unwrap_or_default();
    let meta = pod.metadata.get_or_insert_default();
    if !uid.is_empty() && uid != meta.uid {
        let uid_now = &meta.uid;
        return conflict(format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {uid_now}"
        ));
    }
    if meta.deletion_timestamp.is_some() {
        return conflict(format!("pod {} is being deleted, cannot be assigned to a host", target.name));
    }
    let annotations = binding.metadata.iter().flat_map(|meta| &meta.annotations);
    meta.annotations.extend(annotations.map(|(key, value)| (key.clone(), value.clone())));
    let labels = binding.metadata.iter().flat_map(|meta| &meta.labels);
    meta.labels.extend(labels.map(|(key, value)| (key.clone(), value.clone())));
    let spec = pod.spec.get_or_insert_default();
    if !spec.node_name.is_empty() {
        let assigned = &spec.node_name;
        return conflict(format!("pod {} is already assigned to node {assigned:?}", target.name));
    }
    if !spec.scheduling_gates.is_empty() {
        return conflict(format!("pod {} has non-empty .spec.schedulingGates", target.name));
    }
    spec.node_name = node.to_owned();
    let conditions = &mut pod.status.get_or_insert_default().conditions;
    let now = Some(Time::now());
    match conditions.iter_mut().find(|condition| condition.r#type == "PodScheduled") {
        Some(condition) if condition.status == "True" => {}
        Some(condition) => {
            condition.status = "True".to_owned();
            condition.reason.clear();
            condition.message.clear();
            condition.last_transition_time = now;
        }
        None => conditions.push(PodCondition {
            r#type: "PodScheduled".to_owned(),
            status: "True".to_owned(),
            last_transition_time: now,
            ..PodCondition::default()
        }),
    }
    Ok(Next::Put(new))
}
