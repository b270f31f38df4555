//! What a quota says is used.

use gantry_api::core::v1::{ResourceQuota, ResourceQuotaStatus};
use gantry_api::scalars::Quantity;
use gantry_api::{Kind, Object};
use gantry_quota::amounts::{Amounts, add, only};
use gantry_quota::{scope, usage};
use jiff::Timestamp;

/// What a namespace has of a kind.
#[derive(Debug)]
pub(super) enum Content {
    /// The objects.
    Objects(&'static Kind, Vec<Box<dyn Object>>),
    /// How many there are.
    Number(&'static Kind, i64),
}

/// Whether each object of the kind uses the same, whatever it is.
pub(super) fn is_counted_alone(kind: &Kind) -> bool {
    !(kind.group.is_empty() && matches!(kind.plural, "pods" | "services" | "persistentvolumeclaims"))
}

/// Whether a quota limits something that objects of the kind use.
pub(super) fn matters(quota: &ResourceQuota, kind: &Kind) -> bool {
    kind.namespaced() && hard(quota).keys().any(|resource| usage::measures(kind, resource))
}

/// The status of a quota in a namespace with these contents.
pub(super) fn count(quota: &ResourceQuota, contents: &[Content], now: Timestamp) -> ResourceQuotaStatus {
    let hard = hard(quota);
    let mut used = Amounts::new();
    for content in contents {
        let kind = match content {
            Content::Objects(kind, _) | Content::Number(kind, _) => kind,
        };
        let measured: Vec<&String> = hard.keys().filter(|resource| usage::measures(kind, resource)).collect();
        // What nobody uses is a zero, not a gap.
        let nothing = measured.iter().map(|resource| ((*resource).clone(), Quantity::from_units(0)));
        add(&mut used, &nothing.collect());
        match content {
            Content::Objects(_, objects) => {
                for object in objects.iter().filter(|object| scope::concerns(quota, &***object)) {
                    add(&mut used, &only(&usage::of(&**object, now), measured.iter().copied()));
                }
            }
            Content::Number(_, _) if scoped(quota) => {}
            Content::Number(_, number) => {
                let number = |resource: &&String| ((*resource).clone(), Quantity::from_units(*number));
                add(&mut used, &measured.iter().map(number).collect());
            }
        }
    }
    ResourceQuotaStatus { hard: hard.clone(), used }
}

fn hard(quota: &ResourceQuota) -> &Amounts {
    static NOTHING: Amounts = Amounts::new();
    quota.spec.as_ref().map_or(&NOTHING, |spec| &spec.hard)
}

/// Scopes are of pods and claims: what is only counted is in none.
fn scoped(quota: &ResourceQuota) -> bool {
    let spec = quota.spec.as_ref();
    spec.is_some_and(|spec| !spec.scopes.is_empty() || spec.scope_selector.is_some())
}

#[cfg(test)]
mod tests {
    use gantry_api::core::v1::{Pod, Secret};
    use gantry_quota::amounts::describe;
    use serde_json::{Value, json};

    use super::*;

    fn pod_kind() -> &'static Kind {
        <Pod as gantry_api::Resource>::kind()
    }

    fn secret_kind() -> &'static Kind {
        <Secret as gantry_api::Resource>::kind()
    }

    fn quota(spec: Value) -> ResourceQuota {
        serde_json::from_value(json!({ "spec": spec })).unwrap()
    }

    fn pods() -> Content {
        let pod = |phase: &str, qos: &str| -> Box<dyn Object> {
            let resources = json!({"requests": {"cpu": "500m"}});
            let pod: Pod = serde_json::from_value(json!({
                "spec": {"containers": [{"name": "a", "resources": resources}]},
                "status": {"phase": phase, "qosClass": qos}
            }))
            .unwrap();
            Box::new(pod)
        };
        Content::Objects(
            pod_kind(),
            vec![pod("Running", "Burstable"), pod("Running", "BestEffort"), pod("Failed", "Burstable")],
        )
    }

    #[test]
    fn what_is_limited_is_counted() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let contents = [pods(), Content::Number(secret_kind(), 3)];
        let used = |spec: Value| describe(&count(&quota(spec), &contents, now).used);
        assert_eq!(
            used(json!({"hard": {"pods": "9", "requests.cpu": "9", "count/pods": "9", "secrets": "9"}})),
            "count/pods=3,pods=2,requests.cpu=1,secrets=3"
        );
        assert_eq!(
            used(json!({"hard": {"pods": "9", "secrets": "9"}, "scopes": ["BestEffort"]})),
            "pods=1,secrets=0"
        );
        assert_eq!(used(json!({"hard": {"limits.memory": "1", "unknown": "1"}})), "limits.memory=0");
    }

    #[test]
    fn the_hard_limits_are_repeated() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let quota = quota(json!({"hard": {"pods": "9"}}));
        assert_eq!(describe(&count(&quota, &[], now).hard), "pods=9");
        assert!(matters(&quota, pod_kind()) && !matters(&quota, secret_kind()));
        assert!(is_counted_alone(secret_kind()) && !is_counted_alone(pod_kind()));
    }
}
