//! What the status of a disruption budget says, to those who write it: the controller and the eviction of pods.

use crate::meta::v1::Condition;
use crate::policy::v1::PodDisruptionBudgetStatus;
use crate::scalars::Time;

/// The condition that says whether pods may be evicted now.
pub const ALLOWED: &str = "DisruptionAllowed";
/// Its reason where they may.
pub const SUFFICIENT_PODS: &str = "SufficientPods";
/// Its reason where there are too few healthy ones.
pub const INSUFFICIENT_PODS: &str = "InsufficientPods";
/// Its reason where the budget could not be worked out.
pub const SYNC_FAILED: &str = "SyncFailed";

/// Says in the conditions what the number of allowed disruptions means.
pub fn tell_allowed(status: &mut PodDisruptionBudgetStatus, now: Time) {
    let (word, reason) =
        if status.disruptions_allowed > 0 { ("True", SUFFICIENT_PODS) } else { ("False", INSUFFICIENT_PODS) };
    tell(status, word, reason, "", now);
}

/// Says that the budget could not be worked out, and allows nothing.
pub fn tell_failure(status: &mut PodDisruptionBudgetStatus, why: &str, now: Time) {
    status.disruptions_allowed = 0;
    tell(status, "False", SYNC_FAILED, why, now);
}

/// Whether the conditions say what the number of allowed disruptions means.
#[must_use]
pub fn is_told(status: &PodDisruptionBudgetStatus) -> bool {
    let wanted =
        if status.disruptions_allowed > 0 { ("True", SUFFICIENT_PODS) } else { ("False", INSUFFICIENT_PODS) };
    let found = status.conditions.iter().find(|condition| condition.r#type == ALLOWED);
    found.is_some_and(|found| (found.status.as_str(), found.reason.as_str()) == wanted)
}

fn tell(status: &mut PodDisruptionBudgetStatus, word: &str, reason: &str, message: &str, now: Time) {
    let wanted = Condition {
        r#type: ALLOWED.to_owned(),
        status: word.to_owned(),
        observed_generation: status.observed_generation,
        last_transition_time: Some(now),
        reason: reason.to_owned(),
        message: message.to_owned(),
    };
    match status.conditions.iter_mut().find(|condition| condition.r#type == ALLOWED) {
        Some(found) => {
            let since = if found.status == word { found.last_transition_time } else { Some(now) };
            *found = Condition { last_transition_time: since, ..wanted };
        }
        None => status.conditions.push(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_condition_follows_the_number() {
        let mut status = PodDisruptionBudgetStatus { disruptions_allowed: 1, ..Default::default() };
        assert!(!is_told(&status));
        let at = |seconds| Time { seconds, nanos: 0 };
        tell_allowed(&mut status, at(1));
        assert!(is_told(&status));
        tell_failure(&mut status, "no", at(2));
        assert_eq!((status.disruptions_allowed, is_told(&status)), (0, false));
        tell_allowed(&mut status, at(3));
        let condition = &status.conditions[0];
        assert_eq!((condition.reason.as_str(), condition.message.as_str()), (INSUFFICIENT_PODS, ""));
        // It was False before.
        assert_eq!(condition.last_transition_time, Some(at(2)));
    }
}
