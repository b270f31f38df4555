//! Ownership by creates, updates and patches.

use serde_json::{Value, json};

use super::{Written, config_map, pod};
use crate::meta::v1::ManagedFieldsEntry;

fn deployment() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "labels": {"app": "a"}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "a"}},
            "template": {
                "metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}]},
            },
        },
    })
}

#[test]
fn a_creator_owns_everything_with_its_defaults() {
    let mut deployment_ = Written::new("apps", "Deployment");
    deployment_.write("kubectl-create", "", deployment());
    // As upstream writes it for the same object.
    assert_eq!(
        deployment_.fields("kubectl-create", "Update"),
        json!({
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {
                "f:progressDeadlineSeconds": {}, "f:replicas": {}, "f:revisionHistoryLimit": {}, "f:selector": {},
                "f:strategy": {
                    "f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}, "f:type": {}
                },
                "f:template": {
                    "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                    "f:spec": {
                        "f:containers": {r#"k:{"name":"c"}"#: {
                            ".": {}, "f:image": {}, "f:imagePullPolicy": {}, "f:name": {},
                            "f:ports": {
                                ".": {},
                                r#"k:{"containerPort":80,"protocol":"TCP"}"#: {
                                    ".": {}, "f:containerPort": {}, "f:protocol": {}
                                },
                            },
                            "f:resources": {}, "f:terminationMessagePath": {}, "f:terminationMessagePolicy": {},
                        }},
                        "f:dnsPolicy": {}, "f:restartPolicy": {}, "f:schedulerName": {}, "f:securityContext": {},
                        "f:terminationGracePeriodSeconds": {},
                    },
                },
            },
        })
    );
}

#[test]
fn an_updater_takes_what_it_changes_and_nothing_else() {
    let mut map = Written::new("", "ConfigMap");
    map.write("one", "", config_map(json!({"a": "1", "b": "2"})));
    assert_eq!(map.fields("one", "Update"), json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}}));
    map.update("two", |value| value["data"] = json!({"a": "1", "b": "3", "c": "4"}));
    assert_eq!(map.fields("one", "Update"), json!({"f:data": {".": {}, "f:a": {}}}));
    assert_eq!(map.fields("two", "Update"), json!({"f:data": {"f:b": {}, "f:c": {}}}));
    let times = |map: &Written| {
        let meta = map.object.as_ref().unwrap().meta().clone();
        meta.managed_fields.iter().map(|entry| entry.time.unwrap().seconds).collect::<Vec<_>>()
    };
    assert_eq!(times(&map), [1, 2]);
    // Nothing changes, so nothing is written; a removal takes the field from everyone.
    map.update("three", |_| {});
    assert_eq!(
        (map.managers(), times(&map)),
        (vec!["one Update".to_owned(), "two Update".to_owned()], vec![1, 2])
    );
    map.update("three", |value| value["data"] = json!({"b": "3"}));
    assert_eq!(map.fields("one", "Update"), json!({"f:data": {}}));
    assert_eq!(map.fields("two", "Update"), json!({"f:data": {"f:b": {}}}));
    assert_eq!(map.fields("three", "Update"), Value::Null);
}

#[test]
fn a_status_is_written_apart() {
    let mut pod_ = Written::new("", "Pod");
    pod_.write("creator", "", pod(json!({"containers": [{"name": "c", "image": "i"}]})));
    let mut value = pod_.value();
    value["status"] = json!({
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "podIPs": [{"ip": "10.0.0.1"}],
    });
    value["spec"]["nodeName"] = json!("ignored");
    pod_.write("kubelet", "status", value);
    let entry = pod_.object.as_ref().unwrap().meta().managed_fields[1].clone();
    assert_eq!((entry.manager.as_str(), entry.subresource.as_str()), ("kubelet", "status"));
    assert_eq!(
        pod_.fields("kubelet", "Update"),
        json!({"f:status": {
            "f:conditions": {
                ".": {},
                r#"k:{"type":"Ready"}"#: {
                    ".": {}, "f:lastProbeTime": {}, "f:lastTransitionTime": {}, "f:status": {}, "f:type": {}
                },
            },
            "f:phase": {},
            "f:podIPs": {".": {}, r#"k:{"ip":"10.0.0.1"}"#: {".": {}, "f:ip": {}}},
        }})
    );
    // A write of the object itself does not own a status.
    let mut other = Written::new("", "Pod");
    let mut value = pod(json!({"containers": [{"name": "c", "image": "i"}]}));
    value["status"] = json!({"phase": "Running"});
    other.write("creator", "", value);
    assert_eq!(other.fields("creator", "Update")["f:status"], Value::Null);
}

#[test]
fn too_many_updaters_are_put_together() {
    let mut map = Written::new("", "ConfigMap");
    map.write("m00", "", config_map(json!({"k00": ""})));
    for i in 1..12 {
        map.update(&format!("m{i:02}"), |value| value["data"][format!("k{i:02}")] = json!(""));
    }
    let managers = map.managers();
    assert_eq!(managers.len(), 10, "{managers:?}");
    assert_eq!(managers[0], "ancient-changes Update");
    assert_eq!(
        map.fields("ancient-changes", "Update"),
        json!({"f:data": {".": {}, "f:k00": {}, "f:k01": {}, "f:k02": {}}})
    );
}

#[test]
fn owners_are_taken_away_on_purpose_alone() {
    let mut map = Written::new("", "ConfigMap");
    map.write("one", "", config_map(json!({"a": "1"})));
    map.update("two", |value| {
        value["metadata"]["managedFields"] = json!([]);
        value["data"]["b"] = json!("2");
    });
    assert_eq!(map.managers(), ["one Update", "two Update"]);
    // What cannot be read is not taken over.
    map.update("two", |value| {
        value["metadata"]["managedFields"] = json!([{"manager": "x", "operation": "Steal"}]);
    });
    assert_eq!(map.managers(), ["one Update", "two Update"]);
    let writer = map.writer("two", "");
    let mut new = map.object.as_ref().unwrap().clone_object();
    new.meta_mut().managed_fields = vec![ManagedFieldsEntry::default()];
    super::record(map.object.as_deref(), &mut *new, &writer);
    map.object = Some(new);
    assert!(map.managers().is_empty());
    map.update("two", |value| value["data"]["c"] = json!("3"));
    assert!(map.managers().is_empty());
}
