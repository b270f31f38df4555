//! Whether an object fits into a quota.

use gantry_api::Object;
use gantry_api::core::v1::{Pod, ResourceQuota};
use jiff::Timestamp;

use crate::amounts::{self, Amounts};
use crate::usage;

/// What an object uses more than its predecessor did.
#[must_use]
pub fn growth(new: &dyn Object, old: Option<&dyn Object>, now: Timestamp) -> Amounts {
    let used = usage::of(new, now);
    let grown = match old {
        Some(old) => amounts::difference(&used, &usage::of(old, now)),
        None => used,
    };
    amounts::without_zeros(grown)
}

/// What a quota asks of an object that it is about, whatever it uses. The error says what is missing.
pub fn check(quota: &ResourceQuota, object: &dyn Object) -> Result<(), String> {
    // A quota limits nothing before it was counted for the first time, as upstream's.
    let Some(status) = &quota.status else { return Ok(()) };
    let name = name(quota);
    let limited: Vec<&String> =
        status.hard.keys().filter(|resource| usage::measures(object.kind(), resource)).collect();
    if let Some(pod) = object.downcast_ref::<Pod>() {
        let unsaid = usage::unsaid(pod, limited.iter().copied());
        if !unsaid.is_empty() {
            let parts: Vec<String> = unsaid
                .iter()
                .map(|(resource, containers)| format!("{resource} for: {}", containers.join(",")))
                .collect();
            return Err(format!("failed quota: {name}: must specify {}", parts.join("; ")));
        }
    }
    let uncounted: Vec<&str> = limited
        .iter()
        .filter(|resource| !status.used.contains_key(**resource))
        .map(|name| name.as_str())
        .collect();
    if !uncounted.is_empty() {
        let limited: Vec<&str> = limited.iter().map(|name| name.as_str()).collect();
        return Err(format!("status unknown for quota: {name}, resources: {}", limited.join(",")));
    }
    Ok(())
}

/// The amounts that are used once `more` is added; `None` where the quota limits nothing of it. The error says which
/// limit is exceeded.
pub fn charged(quota: &ResourceQuota, more: &Amounts) -> Result<Option<Amounts>, String> {
    let Some(status) = &quota.status else { return Ok(None) };
    let asked = amounts::only(more, status.hard.keys());
    let negative: Vec<&str> = asked
        .iter()
        .filter(|(_, amount)| amounts::is_negative(amount))
        .map(|(resource, _)| resource.as_str())
        .collect();
    if !negative.is_empty() {
        return Err(format!("quota usage is negative for resource(s): {}", negative.join(",")));
    }
    if asked.is_empty() {
        return Ok(None);
    }
    let mut used = status.used.clone();
    amounts::add(&mut used, &asked);
    let exceeded = amounts::exceeding(&amounts::only(&used, asked.keys()), &status.hard);
    if exceeded.is_empty() {
        return Ok(Some(used));
    }
    let of = |list: &Amounts| amounts::describe(&amounts::only(list, &exceeded));
    Err(format!(
        "exceeded quota: {}, requested: {}, used: {}, limited: {}",
        name(quota),
        of(&asked),
        of(&status.used),
        of(&status.hard)
    ))
}

/// The amounts that are used once what was [`charged`] is given back.
#[must_use]
pub fn refunded(quota: &ResourceQuota, less: &Amounts) -> Amounts {
    quota.status.as_ref().map(|status| amounts::difference(&status.used, less)).unwrap_or_default()
}

fn name(quota: &ResourceQuota) -> &str {
    quota.metadata.as_ref().map(|meta| meta.name.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::amounts::{amounts, describe};

    fn quota(hard: Value, used: Value) -> ResourceQuota {
        serde_json::from_value(json!({
            "metadata": {"name": "team"}, "spec": {"hard": hard}, "status": {"hard": hard, "used": used}
        }))
        .unwrap()
    }

    fn pod(resources: Value) -> Pod {
        let containers =
            json!([{"name": "b", "resources": resources}, {"name": "a", "resources": resources}]);
        serde_json::from_value(json!({"spec": {"containers": containers}})).unwrap()
    }

    #[test]
    fn what_exceeds_a_limit_is_said_with_all_figures() {
        let quota = quota(json!({"pods": "2", "cpu": "1"}), json!({"pods": "1", "cpu": "700m"}));
        let more = amounts(&[("pods", "1"), ("cpu", "300m"), ("memory", "1Gi")]);
        assert_eq!(describe(&charged(&quota, &more).unwrap().unwrap()), "cpu=1,pods=2");
        let more = amounts(&[("pods", "2"), ("cpu", "400m")]);
        assert_eq!(
            charged(&quota, &more).unwrap_err(),
            "exceeded quota: team, requested: cpu=400m,pods=2, used: cpu=700m,pods=1, limited: cpu=1,pods=2"
        );
        assert_eq!(charged(&quota, &amounts(&[("memory", "1Gi")])).unwrap(), None);
        assert_eq!(describe(&refunded(&quota, &amounts(&[("cpu", "1")]))), "cpu=0,pods=1");
    }

    #[test]
    fn containers_must_say_what_is_limited() {
        let quota =
            quota(json!({"cpu": "1", "limits.memory": "1Gi"}), json!({"cpu": "0", "limits.memory": "0"}));
        assert_eq!(
            check(&quota, &pod(json!({}))).unwrap_err(),
            "failed quota: team: must specify cpu for: a,b; limits.memory for: a,b"
        );
        let said = json!({"requests": {"cpu": "1"}, "limits": {"memory": "1"}});
        assert_eq!(check(&quota, &pod(said)), Ok(()));
    }

    #[test]
    fn nothing_fits_into_a_quota_that_was_not_counted() {
        let quota = quota(json!({"pods": "2"}), json!({}));
        let error = check(&quota, &pod(json!({}))).unwrap_err();
        assert_eq!(error, "status unknown for quota: team, resources: pods");
    }

    #[test]
    fn an_update_is_charged_for_what_it_adds() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let old = pod(json!({"requests": {"cpu": "1", "memory": "2Gi"}}));
        let new = pod(json!({"requests": {"cpu": "2", "memory": "1Gi"}}));
        assert_eq!(describe(&growth(&new, Some(&old), now)), "cpu=2,requests.cpu=2");
        assert_eq!(describe(&growth(&old, Some(&old), now)), "");
    }
}
