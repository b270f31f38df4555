//! What is to be done about one range: a function of all ranges and of the addresses that are given.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::Resource;
use gantry_api::meta::v1::Condition;
use gantry_api::networking::v1::{IpAddress, ServiceCidr};
use gantry_api::scalars::Time;
use ipnet::IpNet;

/// Holds a range until no address of it is needed.
const FINALIZER: &str = "networking.k8s.io/service-cidr-finalizer";
const READY: &str = "Ready";
/// Says of an address that the API server gave it.
const MANAGED_BY: (&str, &str) = ("ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io");

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    /// Nothing.
    Keep,
    /// Look again after so long.
    Wait(Duration),
    /// The object is to become this.
    Write(Box<ServiceCidr>),
    /// Its status is to become this one's.
    WriteStatus(Box<ServiceCidr>),
}

/// Decides about `range`. `grace` passes between its deletion and its end.
pub(super) fn decide(
    range: &ServiceCidr,
    all: &[Arc<ServiceCidr>],
    addresses: &[Arc<IpAddress>],
    now: Time,
    grace: Duration,
) -> Action {
    let held = range.meta().finalizers.iter().any(|name| name == FINALIZER);
    let Some(deleted) = range.meta().deletion_timestamp else {
        if !held {
            let mut new = range.clone();
            new.meta_mut().finalizers.push(FINALIZER.to_owned());
            return Action::Write(Box::new(new));
        }
        return ready(range, "True", "", "Kubernetes Service CIDR is ready", now);
    };
    if !held {
        return Action::Keep;
    }
    if is_needed(range, all, addresses) {
        let message = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new \
                       ServiceCIDR";
        return ready(range, "False", "Terminating", message, now);
    }
    let since = u64::try_from(now.seconds.saturating_sub(deleted.seconds)).unwrap_or_default();
    let left = grace.saturating_sub(Duration::from_secs(since));
    if !left.is_zero() {
        return Action::Wait(left);
    }
    let mut new = range.clone();
    new.meta_mut().finalizers.retain(|name| name != FINALIZER);
    Action::Write(Box::new(new))
}

/// Writes the condition, where it is another. One that is true is left as it is, whoever says so.
fn ready(range: &ServiceCidr, status: &str, reason: &str, message: &str, now: Time) -> Action {
    let mut new = range.clone();
    let conditions = &mut new.status.get_or_insert_default().conditions;
    let before = conditions.iter().position(|condition| condition.r#type == READY);
    if before.is_some_and(|at| conditions[at].status == status) {
        return Action::Keep;
    }
    let condition = Condition {
        r#type: READY.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: Some(now),
        ..Condition::default()
    };
    match before {
        Some(at) => conditions[at] = condition,
        None => conditions.push(condition),
    }
    Action::WriteStatus(Box::new(new))
}

fn ranges(object: &ServiceCidr) -> Vec<IpNet> {
    let cidrs = object.spec.iter().flat_map(|spec| &spec.cidrs);
    cidrs.filter_map(|cidr| cidr.parse().ok()).collect()
}

/// Whether an address is given that no other range has.
fn is_needed(range: &ServiceCidr, all: &[Arc<ServiceCidr>], addresses: &[Arc<IpAddress>]) -> bool {
    let others: Vec<IpNet> = all
        .iter()
        .filter(|other| other.name() != range.name() && other.meta().deletion_timestamp.is_none())
        .flat_map(|other| ranges(other))
        .collect();
    let own = ranges(range);
    let given = |address: &&Arc<IpAddress>| {
        address.meta().labels.get(MANAGED_BY.0).is_some_and(|by| by == MANAGED_BY.1)
    };
    addresses.iter().filter(given).filter_map(|address| address.name().parse::<IpAddr>().ok()).any(
        |address| {
            own.iter().any(|range| range.contains(&address))
                && !others.iter().any(|other| other.contains(&address))
        },
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    fn range(name: &str, cidr: &str, deleted: bool) -> ServiceCidr {
        let mut range: ServiceCidr = serde_json::from_value(json!({
            "metadata": {"name": name, "finalizers": [FINALIZER]}, "spec": {"cidrs": [cidr]},
        }))
        .unwrap();
        range.meta_mut().deletion_timestamp = deleted.then_some(Time { seconds: 100, nanos: 0 });
        range
    }

    fn address(name: &str) -> Arc<IpAddress> {
        let labels = json!({MANAGED_BY.0: MANAGED_BY.1});
        Arc::new(serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap())
    }

    fn at(seconds: i64) -> Time {
        Time { seconds, nanos: 0 }
    }

    #[test]
    fn a_range_is_held_and_then_ready() {
        let mut new = range("a", "10.0.0.0/24", false);
        new.meta_mut().finalizers.clear();
        let Action::Write(held) = decide(&new, &[], &[], at(1), GRACE) else { panic!("it is held") };
        assert_eq!(held.meta().finalizers, [FINALIZER]);
        let Action::WriteStatus(ready) = decide(&held, &[], &[], at(1), GRACE) else { panic!("it is ready") };
        let condition = &ready.status.as_ref().unwrap().conditions[0];
        assert_eq!(
            (condition.status.as_str(), condition.message.as_str()),
            ("True", "Kubernetes Service CIDR is ready")
        );
        assert_eq!(decide(&ready, &[], &[], at(2), GRACE), Action::Keep);
    }

    #[test]
    fn a_range_stays_while_its_addresses_are_needed() {
        let going = range("a", "10.0.0.0/24", true);
        let addresses = [address("10.0.0.9"), address("10.9.0.1")];
        let Action::WriteStatus(waiting) = decide(&going, &[], &addresses, at(200), GRACE) else {
            panic!("it says why it stays")
        };
        let condition = &waiting.status.as_ref().unwrap().conditions[0];
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("False", "Terminating"));
        assert_eq!(decide(&waiting, &[], &addresses, at(200), GRACE), Action::Keep);
        let wider = [Arc::new(range("b", "10.0.0.0/16", false))];
        let Action::Write(gone) = decide(&waiting, &wider, &addresses, at(200), GRACE) else {
            panic!("it goes")
        };
        assert!(gone.meta().finalizers.is_empty());
        assert_eq!(decide(&gone, &wider, &addresses, at(200), GRACE), Action::Keep);
        let leaving = [Arc::new(range("b", "10.0.0.0/16", true))];
        assert_eq!(decide(&waiting, &leaving, &addresses, at(200), GRACE), Action::Keep);
        assert_eq!(decide(&going, &[], &[], at(103), GRACE), Action::Wait(Duration::from_secs(7)));
    }
}
