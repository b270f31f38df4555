//! Pods that were to be taken away and are still there: after a while they do not say so any more.

use std::time::Duration;

use gantry_api::scalars::Time;
use gantry_client::{ObjectKey, PatchType, PodExt, WorkQueue, controller};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::pod::{DISRUPTION_TARGET, Pod};
use crate::{Context, Error};

/// How long a pod may say that it is to go.
const LIMIT: SignedDuration = SignedDuration::from_secs(120);
/// What a kubelet says holds for as long as it likes.
const BY_KUBELET: &str = "TerminationByKubelet";

/// Runs until the context's end.
pub(super) async fn run(context: &Context) {
    let queue = WorkQueue::new("disruption-stale-pods");
    let pods = queue.clone();
    context.pods.on_event(move |event| {
        if let Some(pod) = event.object()
            && let Some(left) = left(pod, Timestamp::now())
        {
            pods.add_after(ObjectKey::of_meta(pod.meta()), left);
        }
    });
    let (stop, shutdown) = (context.stop.clone().cancelled_owned(), queue.clone());
    tokio::join!(controller::run(queue, 1, |key| sync(context, key)), async {
        stop.await;
        shutdown.shutdown();
    });
}

/// How long the pod may still say so; none where it does not, or is about to go.
fn left(pod: &Pod, now: Timestamp) -> Option<Duration> {
    let condition = pod.condition(DISRUPTION_TARGET)?;
    let stands = condition.status == "True" && condition.reason != BY_KUBELET;
    if !stands || pod.is_terminating() || pod.is_finished() {
        return None;
    }
    let since = condition.last_transition_time.as_ref().and_then(Time::timestamp);
    let end = since.and_then(|since| since.checked_add(LIMIT).ok());
    Some(end.map_or(Duration::ZERO, |end| Duration::try_from(now.duration_until(end)).unwrap_or_default()))
}

async fn sync(context: &Context, key: ObjectKey) -> Result<Option<Duration>, Error> {
    let Some(pod) = context.pods.store().get_key(&key) else { return Ok(None) };
    let now = Timestamp::now();
    match left(&pod, now) {
        None => return Ok(None),
        Some(left) if !left.is_zero() => return Ok(Some(left)),
        Some(_) => {}
    }
    let meta = pod.meta();
    let condition = json!({
        "type": DISRUPTION_TARGET, "status": "False", "reason": null, "message": null,
        "lastTransitionTime": Time::from(now),
    });
    let patch = json!({"metadata": {"uid": meta.uid}, "status": {"conditions": [condition]}});
    let api = context.client.dynamic(Pod::kind(), &meta.namespace);
    match api.patch(&meta.name, "status", PatchType::StrategicMerge, &patch, &Default::default()).await {
        Ok(_) => Ok(None),
        // Gone, or another one of its name.
        Err(error) if error.is_not_found() || error.is_conflict() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use gantry_api::core::v1::PodCondition;

    use super::*;

    #[test]
    fn only_pods_that_stay_are_looked_at() {
        let now = Timestamp::from_second(1000).unwrap();
        let mut pod = Pod::default();
        assert_eq!(left(&pod, now), None);
        let condition = PodCondition {
            r#type: DISRUPTION_TARGET.into(),
            status: "True".into(),
            reason: "EvictionByEvictionAPI".into(),
            last_transition_time: Some(Time { seconds: 900, nanos: 0 }),
            ..PodCondition::default()
        };
        pod.status.get_or_insert_default().conditions.push(condition);
        assert_eq!(left(&pod, now), Some(Duration::from_secs(20)));
        assert_eq!(left(&pod, Timestamp::from_second(1030).unwrap()), Some(Duration::ZERO));
        let mut ending = pod.clone();
        ending.meta_mut().deletion_timestamp = Some(Time::default());
        assert_eq!(left(&ending, now), None);
        pod.status.get_or_insert_default().conditions[0].reason = BY_KUBELET.into();
        assert_eq!(left(&pod, now), None);
    }
}
