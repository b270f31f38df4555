//! The scripts.

use gantry_api::Resource;
use gantry_api::core::v1::Pod as WholePod;
use gantry_api::scalars::Time;
use serde_json::{Value, json};

use super::World;

fn rolling(surge: &Value, unavailable: &Value) -> Value {
    json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {
        "maxSurge": surge, "maxUnavailable": unavailable
    }}})
}

#[test]
fn golden_creation() {
    let mut world = World::new(3, &json!({}));
    world.roll();
    world.note("a pod fails");
    world.available(1, 2);
    world.look("look");
    world.check("creation");
}

#[test]
fn golden_rolling_by_numbers() {
    let mut world = World::complete(4, &rolling(&json!(1), &json!(1)));
    world.image("2");
    world.roll();
    world.check("rolling_by_numbers");
}

#[test]
fn golden_rolling_by_percents() {
    let mut world = World::complete(10, &rolling(&json!("25%"), &json!("25%")));
    world.image("2");
    world.roll();
    world.check("rolling_by_percents");
}

#[test]
fn golden_rolling_without_unavailable_pods() {
    let mut world = World::complete(3, &rolling(&json!(1), &json!(0)));
    world.image("2");
    world.roll();
    world.check("rolling_without_unavailable_pods");
}

#[test]
fn golden_rolling_with_both_limits_zero() {
    let mut world = World::complete(2, &rolling(&json!("0%"), &json!("0%")));
    world.image("2");
    world.roll();
    world.check("rolling_with_both_limits_zero");
}

#[test]
fn golden_broken_pods_go_first() {
    let mut world = World::complete(4, &rolling(&json!(1), &json!(1)));
    world.image("2");
    world.look("step 1");
    world.pods_follow();
    world.note("none of the new pods gets ready");
    world.look("step 2");
    world.pods_follow();
    world.image("3");
    for step in 3..=5 {
        world.look(&format!("step {step}"));
        world.pods_follow();
    }
    world.note("those of image 3 do");
    world.all_ready();
    world.roll();
    world.check("broken_pods_go_first");
}

#[test]
fn golden_a_status_that_lags() {
    let mut world = World::complete(4, &rolling(&json!(2), &json!(0)));
    world.image("2");
    world.look("step 1");
    world.all_ready();
    world.look("step 2");
    world.look("step 3");
    world.note("rs2 has 3 of 4 pods available, rs1 still counts the two that it gives up");
    let status = world.sets[1].status.as_mut().unwrap();
    (status.replicas, status.available_replicas) = (4, 3);
    world.look("step 4");
    world.check("a_status_that_lags");
}

#[test]
fn golden_recreate() {
    let mut world = World::complete(2, &json!({"strategy": {"type": "Recreate"}}));
    let pod: WholePod = serde_json::from_value(json!({
        "metadata": {"name": "p", "ownerReferences": [
            {"uid": "u1", "controller": true, "kind": "ReplicaSet", "name": "x", "apiVersion": "apps/v1"}
        ]},
        "status": {"phase": "Running"}
    }))
    .unwrap();
    world.pods.push(pod.into());
    world.image("2");
    world.look("old pods run");
    world.pods_follow();
    world.look("one of them still does");
    world.pods.clear();
    world.note("the last old pod is gone");
    world.roll();
    world.check("recreate");
}

#[test]
fn golden_rollback() {
    let mut world = World::complete(2, &rolling(&json!(1), &json!(0)));
    world.image("2");
    world.roll();
    world.image("1");
    world.roll();
    world.image("2");
    world.look("step 1");
    world.check("rollback");
}

#[test]
fn golden_paused() {
    let mut world = World::complete(3, &rolling(&json!(1), &json!(1)));
    world.edit("pause", |spec| spec.paused = true);
    world.look("look");
    world.image("2");
    world.look("look");
    world.scale(5);
    world.roll();
    world.edit("resume", |spec| spec.paused = false);
    world.roll();
    world.check("paused");
}

#[test]
fn golden_progress_deadline() {
    let mut world = World::complete(2, &rolling(&json!(1), &json!(0)));
    world.image("2");
    world.look("look");
    world.pods_follow();
    world.look("look");
    world.wait(599);
    world.look("look");
    world.wait(2);
    world.look("look");
    world.wait(3600);
    world.look("look");
    world.available(2, 1);
    world.look("look");
    world.check("progress_deadline");
}

#[test]
fn golden_no_progress_deadline() {
    let mut spec = rolling(&json!(1), &json!(0));
    spec["progressDeadlineSeconds"] = json!(i32::MAX);
    let mut world = World::complete(1, &spec);
    world.image("2");
    world.roll();
    world.check("no_progress_deadline");
}

#[test]
fn golden_history_limit() {
    let mut spec = rolling(&json!(1), &json!(0));
    spec["revisionHistoryLimit"] = json!(2);
    let mut world = World::complete(1, &spec);
    for image in ["2", "3", "4", "5"] {
        world.image(image);
        world.roll();
    }
    world.edit("keep none", |spec| spec.revision_history_limit = Some(0));
    world.look("look");
    world.check("history_limit");
}

#[test]
fn golden_collision() {
    let mut world = World::new(1, &json!({}));
    let snapshot = |world: &World| super::Snapshot {
        deployment: std::sync::Arc::new(world.deployment.clone()),
        sets: Vec::new(),
        pods: Vec::new(),
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    let name = |world: &World| match &super::decide::reconcile(&snapshot(world))[0] {
        super::Action::Create(set) => set.name().to_owned(),
        other => panic!("{other:?}"),
    };
    let first = name(&world);
    assert_eq!(first, name(&world), "the name follows from the template");
    world.deployment.status.get_or_insert_default().collision_count = Some(1);
    assert_ne!(first, name(&world), "a collision gives another");
    world.note("one collision");
    world.roll();
    assert_eq!(world.deployment.status.as_ref().unwrap().collision_count, Some(1), "kept");
    world.check("collision");
}

#[test]
fn golden_scaling_in_the_middle_of_a_roll_out() {
    // Ten pods, three more and two less allowed, an image that cannot be pulled: eight old ones and five new ones.
    let mut world = World::complete(10, &rolling(&json!(3), &json!(2)));
    world.image("2");
    world.look("step 1");
    world.pods_follow();
    world.look("step 2");
    world.pods_follow();
    world.look("step 3");
    world.scale(15);
    world.look("look");
    world.pods_follow();
    world.scale(5);
    world.look("look");
    world.pods_follow();
    world.scale(0);
    world.look("look");
    world.pods_follow();
    world.scale(3);
    world.look("look");
    world.all_ready();
    world.roll();
    world.check("scaling_in_the_middle_of_a_roll_out");
}

#[test]
fn golden_deletion() {
    let mut world = World::complete(2, &rolling(&json!(1), &json!(0)));
    world.image("2");
    world.note("deleted");
    world.deployment.meta_mut().deletion_timestamp = Some(Time::default());
    world.look("look");
    world.check("deletion");
}

#[test]
fn golden_annotations() {
    let mut world = World::complete(1, &json!({}));
    world.note("annotated");
    let annotations = &mut world.deployment.meta_mut().annotations;
    annotations.insert("kubernetes.io/change-cause".into(), "because".into());
    annotations.insert("kubectl.kubernetes.io/last-applied-configuration".into(), "{}".into());
    world.look("look");
    let kept: Vec<&String> = world.sets[0].meta().annotations.keys().collect();
    let kept = format!("kept on the ReplicaSet: {kept:?}");
    world.note(&kept);
    world.edit("minReadySeconds 5", |spec| spec.min_ready_seconds = 5);
    world.look("look");
    assert_eq!(world.sets[0].spec.as_ref().unwrap().min_ready_seconds, 5);
    world.check("annotations");
}
