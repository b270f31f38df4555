//! Questions about pods that many components ask.

use gantry_api::core::v1::{Pod, PodCondition};
use gantry_api::meta::v1::ObjectMeta;
use gantry_api::{Resource, scalars::Time};
use jiff::{SignedDuration, Timestamp};

/// Questions about pods, or about what a component keeps of them.
pub trait PodExt {
    /// The phase; empty before the first status.
    fn phase(&self) -> &str;
    /// The node, empty before the assignment.
    fn node_name(&self) -> &str;
    /// A condition.
    fn condition(&self, r#type: &str) -> Option<&PodCondition>;
    /// Whether the pod is being deleted.
    fn is_terminating(&self) -> bool;

    /// Whether the pod takes traffic.
    fn is_ready(&self) -> bool {
        self.condition("Ready").is_some_and(|condition| condition.status == "True")
    }

    /// Whether the pod has been ready for so long.
    fn is_available(&self, min_ready_seconds: i32, now: Timestamp) -> bool {
        self.is_ready()
            && (min_ready_seconds <= 0
                || self.available_at(min_ready_seconds).is_some_and(|time| time <= now))
    }

    /// When a ready pod becomes available, where it is not yet.
    fn available_at(&self, min_ready_seconds: i32) -> Option<Timestamp> {
        let condition = self.condition("Ready").filter(|condition| condition.status == "True")?;
        let since = condition.last_transition_time.as_ref().and_then(Time::timestamp)?;
        since.checked_add(SignedDuration::from_secs(min_ready_seconds.into())).ok()
    }

    /// Whether all containers have ended for good.
    fn is_finished(&self) -> bool {
        matches!(self.phase(), "Succeeded" | "Failed")
    }

    /// Whether the pod counts for its controller: neither finished nor being deleted.
    fn is_active(&self) -> bool {
        !self.is_finished() && !self.is_terminating()
    }
}

impl PodExt for Pod {
    fn phase(&self) -> &str {
        self.status.as_ref().map_or("", |status| &status.phase)
    }

    fn node_name(&self) -> &str {
        self.spec.as_ref().map_or("", |spec| &spec.node_name)
    }

    fn condition(&self, r#type: &str) -> Option<&PodCondition> {
        self.status.as_ref()?.conditions.iter().find(|condition| condition.r#type == r#type)
    }

    fn is_terminating(&self) -> bool {
        let meta: &ObjectMeta = Resource::meta(self);
        meta.deletion_timestamp.is_some()
    }
}
