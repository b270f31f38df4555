use serde_json::{Value, json};

use super::*;
use crate::validation::common::texts;

fn template(labels: Value) -> Value {
    json!({ "metadata": { "labels": labels }, "spec": { "containers": [{ "name": "nginx", "image": "nginx:1.25" }] } })
}

fn deployment_of(spec: Value) -> Deployment {
    let mut deployment: Deployment = serde_json::from_value(json!({ "spec": spec })).unwrap();
    crate::defaults::apps::deployment(&mut deployment);
    deployment
}

fn good() -> Value {
    json!({ "replicas": 3, "selector": { "matchLabels": { "app": "nginx" } }, "template": template(json!({ "app": "nginx" })) })
}

fn errors(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut spec = good();
    change(&mut spec);
    texts(&deployment(&deployment_of(spec)))
}

#[test]
fn the_example_of_the_book_lacks_its_labels() {
    assert_eq!(errors(|_| ()), Vec::<String>::new());
    assert_eq!(
        errors(|spec| spec["template"]["metadata"] = json!({})),
        ["spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`"]
    );
}

#[test]
fn the_selector_is_required_and_fits() {
    assert_eq!(
        errors(|spec| spec["template"]["metadata"]["labels"] = json!({ "app": "other" })),
        [
            "spec.template.metadata.labels: Invalid value: {\"app\":\"other\"}: `selector` does not match template \
             `labels`"
        ]
    );
    assert_eq!(errors(|spec| spec["selector"] = Value::Null), ["spec.selector: Required value"]);
    assert_eq!(
        errors(|spec| spec["selector"] = json!({})),
        ["spec.selector: Invalid value: {}: empty selector is invalid for deployment"]
    );
}

#[test]
fn numbers_are_not_negative() {
    assert_eq!(
        errors(|spec| spec["replicas"] = json!(-1)),
        ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]
    );
    assert_eq!(errors(|spec| spec["minReadySeconds"] = json!(-1)).len(), 1);
    assert_eq!(
        errors(|spec| spec["minReadySeconds"] = json!(600)),
        ["spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds"]
    );
}

#[test]
fn the_strategy_makes_progress() {
    let rolling = |unavailable: Value, surge: Value| {
        errors(|spec| {
            spec["strategy"] =
                json!({ "rollingUpdate": { "maxUnavailable": unavailable, "maxSurge": surge } });
        })
    };
    assert_eq!(rolling(json!(1), json!("50%")), Vec::<String>::new());
    assert_eq!(
        rolling(json!(0), json!("0%")),
        ["spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"]
    );
    assert_eq!(
        rolling(json!("101%"), json!(1)),
        [
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%"
        ]
    );
    assert_eq!(rolling(json!(-1), json!("x")).len(), 2);
    assert_eq!(
        errors(|spec| spec["strategy"] = json!({ "type": "Recreate", "rollingUpdate": {} })),
        ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"]
    );
    assert_eq!(
        errors(|spec| spec["strategy"] = json!({ "type": "Other" })),
        [
            "spec.strategy.type: Unsupported value: \"Other\": supported values: \"Recreate\", \"RollingUpdate\""
        ]
    );
}

#[test]
fn the_template_is_a_pod_that_runs_forever() {
    assert_eq!(
        errors(|spec| spec["template"]["spec"]["restartPolicy"] = json!("Never")),
        ["spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\""]
    );
    assert_eq!(
        errors(|spec| spec["template"]["spec"]["containers"][0]["image"] = json!("")),
        ["spec.template.spec.containers[0].image: Required value"]
    );
    assert_eq!(errors(|spec| spec["template"] = Value::Null).len(), 2);
}

#[test]
fn the_selector_stays() {
    let old = deployment_of(good());
    let mut spec = good();
    spec["selector"]["matchLabels"] = json!({ "app": "nginx", "x": "y" });
    spec["template"] = template(json!({ "app": "nginx", "x": "y" }));
    let errors = deployment_update(&deployment_of(spec), &old);
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].path.as_str(), "spec.selector");
    assert_eq!(errors[0].detail, "field is immutable");
    assert_eq!(deployment_update(&old, &old), []);
}

#[test]
fn the_other_workloads_follow_the_same_rules() {
    let set: ReplicaSet = serde_json::from_value(json!({ "spec": { "replicas": -1 } })).unwrap();
    assert_eq!(
        texts(&replica_set(&set)),
        [
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            "spec.selector: Required value",
            "spec.template.spec.containers: Required value",
        ]
    );
    let mut daemons: DaemonSet = serde_json::from_value(json!({ "spec": good() })).unwrap();
    crate::defaults::apps::daemon_set(&mut daemons);
    assert_eq!(daemon_set(&daemons), []);
    let update = daemons.spec.as_mut().unwrap().update_strategy.as_mut().unwrap();
    update.rolling_update.as_mut().unwrap().max_surge = Some(1.into());
    assert_eq!(daemon_set(&daemons).len(), 1);
    let controller = ReplicationController::default();
    assert_eq!(replication_controller(&controller).len(), 2);
}

#[test]
fn most_of_a_stateful_set_stays() {
    let of = |change: &dyn Fn(&mut Value)| {
        let mut spec = good();
        change(&mut spec);
        let mut set: StatefulSet = serde_json::from_value(json!({ "spec": spec })).unwrap();
        crate::defaults::apps::stateful_set(&mut set);
        set
    };
    let old = of(&|_| ());
    assert_eq!(stateful_set(&old), []);
    assert_eq!(stateful_set_update(&of(&|spec| spec["replicas"] = json!(5)), &old), []);
    let renamed = of(&|spec| spec["serviceName"] = json!("other"));
    assert_eq!(
        texts(&stateful_set_update(&renamed, &old)),
        [format!("spec: Forbidden: {STATEFUL_SET_ONLY}")]
    );
}
