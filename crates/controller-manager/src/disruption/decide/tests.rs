use gantry_api::core::v1::PodCondition;
use gantry_api::meta::v1::OwnerReference;

use super::*;

fn pod(name: &str, owner: &str, ready: bool) -> Arc<Pod> {
    let mut pod = Pod::default();
    pod.meta_mut().name = name.into();
    if !owner.is_empty() {
        let owner = OwnerReference { uid: owner.into(), controller: Some(true), ..OwnerReference::default() };
        pod.meta_mut().owner_references.push(owner);
    }
    let status = if ready { "True" } else { "False" };
    let condition = PodCondition { r#type: "Ready".into(), status: status.into(), ..PodCondition::default() };
    pod.status.get_or_insert_default().conditions.push(condition);
    Arc::new(pod)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// Four pods of one ReplicaSet of the size 5, three of them ready.
fn snapshot(min: Option<IntOrString>, max: Option<IntOrString>) -> Snapshot {
    Snapshot {
        spec: PodDisruptionBudgetSpec {
            min_available: min,
            max_unavailable: max,
            ..PodDisruptionBudgetSpec::default()
        },
        generation: 7,
        pods: (0..4).map(|i| pod(&format!("p{i}"), "set", i > 0)).collect(),
        owners: BTreeMap::from([("set".to_owned(), Owner::Scale { uid: "set".into(), replicas: 5 })]),
        now: at(1000),
        ..Snapshot::default()
    }
}

/// Expected, desired, healthy, allowed.
fn numbers(snapshot: &Snapshot) -> (i32, i32, i32, i32) {
    let status = reconcile(snapshot).unwrap().status;
    assert_eq!(status.observed_generation, 7);
    assert!(disruption::is_told(&status));
    (status.expected_pods, status.desired_healthy, status.current_healthy, status.disruptions_allowed)
}

#[test]
fn numbers_and_percentages() {
    let none = || None;
    assert_eq!(numbers(&snapshot(Some(2.into()), none())), (4, 2, 3, 1));
    assert_eq!(numbers(&snapshot(Some(9.into()), none())), (4, 9, 3, 0));
    // Of five, rounded up.
    assert_eq!(numbers(&snapshot(Some("50%".into()), none())), (5, 3, 3, 0));
    assert_eq!(numbers(&snapshot(None, Some(3.into()))), (5, 2, 3, 1));
    assert_eq!(numbers(&snapshot(None, Some("50%".into()))), (5, 2, 3, 1));
    assert_eq!(numbers(&snapshot(None, Some(9.into()))), (5, 0, 3, 3));
    assert_eq!(numbers(&snapshot(None, None)), (0, 0, 3, 0));
}

#[test]
fn a_budget_without_pods_allows_nothing() {
    let empty = Snapshot { pods: Vec::new(), ..snapshot(Some(0.into()), None) };
    assert_eq!(numbers(&empty), (0, 0, 0, 0));
}

#[test]
fn pods_that_go_do_not_count() {
    let mut snapshot = snapshot(Some(1.into()), None);
    let mut ending = (*pod("p1", "set", true)).clone();
    ending.meta_mut().deletion_timestamp = Some(Time::default());
    snapshot.pods[1] = Arc::new(ending);
    // Granted: one that goes already, one on its way, one that did not go, one that is not there any more.
    for (name, since) in [("p1", 990), ("p2", 950), ("p3", 800), ("gone", 990)] {
        snapshot.status.disrupted_pods.insert(name.into(), Time { seconds: since, nanos: 0 });
    }
    let outcome = reconcile(&snapshot).unwrap();
    assert_eq!((outcome.status.current_healthy, outcome.status.disruptions_allowed), (1, 0));
    assert_eq!(outcome.status.disrupted_pods.keys().collect::<Vec<_>>(), ["p2"]);
    assert_eq!(outcome.overdue.iter().map(|pod| pod.name()).collect::<Vec<_>>(), ["p3"]);
    assert_eq!(outcome.again, Some(Duration::from_millis(70_001)));
}

#[test]
fn pods_without_a_known_controller() {
    let mut lonely = snapshot(None, Some(1.into()));
    lonely.pods.push(pod("lonely", "", true));
    let outcome = reconcile(&lonely).unwrap();
    assert!(outcome.unmanaged);
    assert_eq!((outcome.status.expected_pods, outcome.status.current_healthy), (5, 4));
    for (owner, text) in [
        (Owner::Missing, "found no controllers for pod \"p0\""),
        (Owner::Unknown("jobs.batch does not implement the scale subresource".into()), "jobs.batch does not"),
    ] {
        let mut lost = snapshot(None, Some(1.into()));
        lost.owners.insert("set".into(), owner.clone());
        assert!(reconcile(&lost).unwrap_err().starts_with(text), "{owner:?}");
        // A number of pods asks nobody.
        lost.spec = snapshot(Some(1.into()), None).spec;
        assert!(reconcile(&lost).is_ok());
    }
}

#[test]
fn what_has_not_changed_is_not_written() {
    let mut snapshot = snapshot(Some(1.into()), None);
    snapshot.status = reconcile(&snapshot).unwrap().status;
    snapshot.now = at(2000);
    assert_eq!(reconcile(&snapshot).unwrap().status, snapshot.status);
}
