use serde_json::{Value, json};

use super::{pod, update};
use crate::core::v1::Pod;
use crate::validation::common::texts;

fn pod_of(spec: Value) -> Pod {
    let mut pod: Pod = serde_json::from_value(json!({ "spec": spec })).unwrap();
    crate::defaults::pod::pod(&mut pod);
    pod
}

fn good() -> Value {
    json!({ "containers": [{ "name": "web", "image": "nginx:1.25" }] })
}

/// The errors of a good pod after a change.
fn errors(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut spec = good();
    change(&mut spec);
    texts(&pod(&pod_of(spec)))
}

/// ... after a change of its container.
fn container(fields: Value) -> Vec<String> {
    errors(|spec| merge(&mut spec["containers"][0], fields))
}

fn merge(into: &mut Value, fields: Value) {
    let Value::Object(fields) = fields else { panic!("not an object") };
    into.as_object_mut().unwrap().extend(fields);
}

const NONE: [&str; 0] = [];

#[test]
fn a_pod_needs_containers() {
    assert_eq!(errors(|_| ()), NONE);
    assert_eq!(errors(|spec| spec["containers"] = json!([])), ["spec.containers: Required value"]);
    assert_eq!(texts(&pod(&Pod::default())), ["spec.containers: Required value"]);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let wrong = json!({ "containers": [
        { "name": "A", "image": "" },
        { "name": "b", "image": " x", "imagePullPolicy": "Sometimes" },
        { "name": "b", "image": "x" },
    ], "restartPolicy": "Maybe" });
    let found = errors(|spec| *spec = wrong);
    let paths: Vec<_> = found.iter().map(|error| error.split(": ").next().unwrap()).collect();
    assert_eq!(
        paths,
        [
            "spec.containers[0].name",
            "spec.containers[0].image",
            "spec.containers[1].image",
            "spec.containers[1].imagePullPolicy",
            "spec.containers[2].name",
            "spec.restartPolicy",
        ]
    );
}

#[test]
fn ports_are_checked() {
    let ports = |ports: Value| container(json!({ "ports": ports }));
    assert_eq!(
        ports(json!([{ "name": "a", "containerPort": 80 }, { "name": "b", "containerPort": 80 }])),
        NONE
    );
    assert_eq!(
        ports(json!([{ "containerPort": 80 }, { "containerPort": 80 }])),
        ["spec.containers[0].ports[1].containerPort: Duplicate value: 80"]
    );
    assert_eq!(
        ports(json!([{ "name": "a", "containerPort": 80 }, { "name": "a", "containerPort": 81 }])),
        ["spec.containers[0].ports[1].name: Duplicate value: \"a\""]
    );
    assert_eq!(
        ports(json!([{ "containerPort": 0 }, { "containerPort": 65536, "protocol": "X" }])),
        [
            "spec.containers[0].ports[0].containerPort: Required value",
            "spec.containers[0].ports[1].containerPort: Invalid value: 65536: must be between 1 and 65535, inclusive",
            "spec.containers[0].ports[1].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \
             \"UDP\"",
        ]
    );
    assert_eq!(
        ports(json!([{ "containerPort": 80, "hostPort": 8080 }, { "containerPort": 81, "hostPort": 8080 }])),
        ["spec.containers[0].ports[1].hostPort: Duplicate value: \"TCP//8080\""]
    );
}

#[test]
fn environment_variables_have_one_source() {
    let env = |variable: Value| container(json!({ "env": [variable] }));
    assert_eq!(env(json!({ "name": "A", "value": "x" })), NONE);
    assert_eq!(
        env(json!({ "name": "A", "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } } })),
        NONE
    );
    assert_eq!(
        env(json!({ "name": "A", "valueFrom": { "fieldRef": { "fieldPath": "metadata.labels['app']" } } })),
        NONE
    );
    assert_eq!(env(json!({ "name": "" })), ["spec.containers[0].env[0].name: Required value"]);
    assert_eq!(env(json!({ "name": "A=B" })).len(), 1);
    assert_eq!(env(json!({ "name": "A", "valueFrom": {} })).len(), 1);
    assert_eq!(
        env(
            json!({ "name": "A", "value": "x", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k" } } })
        ),
        [
            "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty"
        ]
    );
    assert_eq!(
        env(json!({ "name": "A", "valueFrom": { "configMapKeyRef": { "key": "" } } })),
        [
            "spec.containers[0].env[0].valueFrom.configMapKeyRef.name: Required value",
            "spec.containers[0].env[0].valueFrom.configMapKeyRef.key: Required value",
        ]
    );
    assert_eq!(env(json!({ "name": "A", "valueFrom": { "fieldRef": { "fieldPath": "spec.x" } } })).len(), 1);
    assert_eq!(container(json!({ "envFrom": [{}] })).len(), 1);
}

#[test]
fn probes_do_one_thing() {
    let probe = |field: &str, probe: Value| container(json!({ field: probe }));
    assert_eq!(probe("livenessProbe", json!({ "httpGet": { "port": "http" } })), NONE);
    assert_eq!(
        probe("livenessProbe", json!({})),
        ["spec.containers[0].livenessProbe: Required value: must specify a handler type"]
    );
    assert_eq!(
        probe("readinessProbe", json!({ "exec": { "command": ["x"] }, "tcpSocket": { "port": 80 } })),
        ["spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type"]
    );
    assert_eq!(
        probe("livenessProbe", json!({ "exec": {}, "successThreshold": 2, "periodSeconds": -1 })),
        [
            "spec.containers[0].livenessProbe.exec.command: Required value",
            "spec.containers[0].livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ]
    );
    assert_eq!(probe("readinessProbe", json!({ "httpGet": { "port": 0, "scheme": "ftp" } })).len(), 2);
    assert_eq!(
        container(json!({ "lifecycle": { "preStop": {} } })),
        ["spec.containers[0].lifecycle.preStop: Required value: must specify a handler type"]
    );
}

#[test]
fn resources_are_amounts_that_fit_together() {
    let resources = |resources: Value| container(json!({ "resources": resources }));
    assert_eq!(resources(json!({ "limits": { "cpu": "1" }, "requests": { "cpu": "500m" } })), NONE);
    assert_eq!(
        resources(json!({ "limits": { "cpu": "1" }, "requests": { "cpu": "2" } })),
        [
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1"
        ]
    );
    assert_eq!(
        resources(json!({ "requests": { "memory": "-1" } })),
        [
            "spec.containers[0].resources.requests[memory]: Invalid value: \"-1\": must be greater than or equal to 0"
        ]
    );
    assert_eq!(resources(json!({ "requests": { "gold": "1" } })).len(), 2);
    // Once as the limit, and once as the request that follows from it.
    assert_eq!(resources(json!({ "limits": { "example.com/gpu": "1500m" } })).len(), 2);
    assert_eq!(resources(json!({ "limits": { "example.com/gpu": "2" } })), NONE);
}

#[test]
fn mounts_need_their_volumes() {
    let with = |volumes: Value, mounts: Value| {
        errors(|spec| {
            spec["volumes"] = volumes;
            spec["containers"][0]["volumeMounts"] = mounts;
        })
    };
    let mount = |name: &str, path: &str| json!({ "name": name, "mountPath": path });
    assert_eq!(with(json!([{ "name": "v" }]), json!([mount("v", "/a")])), NONE);
    assert_eq!(
        with(json!([]), json!([mount("v", "/a")])),
        ["spec.containers[0].volumeMounts[0].name: Not found: \"v\""]
    );
    assert_eq!(
        with(json!([{ "name": "v" }]), json!([mount("v", "/a"), mount("v", "/a")])),
        ["spec.containers[0].volumeMounts[1].mountPath: Invalid value: \"/a\": must be unique"]
    );
    let outside = json!([{ "name": "v", "mountPath": "/a", "subPath": "/x/../y" }]);
    assert_eq!(with(json!([{ "name": "v" }]), outside).len(), 2);
}

#[test]
fn volumes_have_one_source() {
    let volume = |fields: Value| {
        errors(|spec| {
            let mut volume = json!({ "name": "v" });
            merge(&mut volume, fields);
            spec["volumes"] = json!([volume]);
        })
    };
    assert_eq!(volume(json!({ "configMap": { "name": "c" } })), NONE);
    assert_eq!(
        volume(json!({ "emptyDir": {}, "hostPath": { "path": "/x" } })),
        ["spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"]
    );
    assert_eq!(volume(json!({ "secret": {} })), ["spec.volumes[0].secret.secretName: Required value"]);
    assert_eq!(volume(json!({ "configMap": {} })), ["spec.volumes[0].configMap.name: Required value"]);
    assert_eq!(volume(json!({ "hostPath": { "path": "/a/../b", "type": "Door" } })).len(), 2);
    assert_eq!(
        volume(json!({ "secret": { "secretName": "s", "defaultMode": 512 } })),
        [
            "spec.volumes[0].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), \
             both inclusive"
        ]
    );
    let twice = json!({ "projected": { "sources": [
        { "configMap": { "name": "a", "items": [{ "key": "k", "path": "p" }] } },
        { "secret": { "name": "a", "items": [{ "key": "k", "path": "p" }] } },
    ] } });
    assert_eq!(volume(twice).len(), 1);
    assert_eq!(
        errors(|spec| spec["volumes"] = json!([{ "name": "v" }, { "name": "v" }])),
        ["spec.volumes[1].name: Duplicate value: \"v\""]
    );
}

#[test]
fn init_containers_have_no_probes() {
    let init = |fields: Value| {
        errors(|spec| {
            let mut init = json!({ "name": "init", "image": "x" });
            merge(&mut init, fields);
            spec["initContainers"] = json!([init]);
        })
    };
    assert_eq!(init(json!({})), NONE);
    let probe = json!({ "readinessProbe": { "tcpSocket": { "port": 80 } } });
    assert_eq!(init(probe.clone()).len(), 1);
    let mut sidecar = probe;
    sidecar["restartPolicy"] = "Always".into();
    assert_eq!(init(sidecar), NONE);
    assert_eq!(init(json!({ "name": "web" })), ["spec.initContainers[0].name: Duplicate value: \"web\""]);
}

#[test]
fn scheduling_is_checked() {
    let toleration = |toleration: Value| errors(|spec| spec["tolerations"] = json!([toleration]));
    assert_eq!(toleration(json!({ "operator": "Exists" })), NONE);
    assert_eq!(toleration(json!({ "key": "a", "value": "b", "effect": "NoSchedule" })), NONE);
    assert_eq!(toleration(json!({ "value": "b" })).len(), 1);
    assert_eq!(toleration(json!({ "key": "a", "operator": "Exists", "value": "b" })).len(), 1);
    assert_eq!(toleration(json!({ "key": "a", "effect": "NoSchedule", "tolerationSeconds": 1 })).len(), 1);
    let node = |expression: Value| {
        errors(|spec| {
            spec["affinity"] = json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{ "matchExpressions": [expression] }],
            } } });
        })
    };
    assert_eq!(node(json!({ "key": "a", "operator": "In", "values": ["b"] })), NONE);
    assert_eq!(node(json!({ "key": "a", "operator": "In" })).len(), 1);
    assert_eq!(node(json!({ "key": "a", "operator": "Gt", "values": ["1", "2"] })).len(), 1);
    let spread = json!({ "maxSkew": 0, "topologyKey": "", "whenUnsatisfiable": "Cry" });
    assert_eq!(errors(|spec| spec["topologySpreadConstraints"] = json!([spread])).len(), 3);
    assert_eq!(errors(|spec| spec["nodeSelector"] = json!({ "a b": "c" })).len(), 1);
}

#[test]
fn security_contexts_do_not_contradict_themselves() {
    let context = |context: Value| container(json!({ "securityContext": context }));
    assert_eq!(context(json!({ "runAsUser": 1000, "allowPrivilegeEscalation": false })), NONE);
    assert_eq!(context(json!({ "runAsUser": -1 })).len(), 1);
    assert_eq!(context(json!({ "privileged": true, "allowPrivilegeEscalation": false })).len(), 1);
    assert_eq!(context(json!({ "seccompProfile": { "type": "Localhost" } })).len(), 1);
}

#[test]
fn names_times_and_dns() {
    let set = |field: &str, value: Value| errors(|spec| spec[field] = value);
    assert_eq!(set("hostname", json!("a.b")).len(), 1);
    assert_eq!(set("nodeName", json!("A")).len(), 1);
    assert_eq!(set("activeDeadlineSeconds", json!(0)).len(), 1);
    assert_eq!(set("terminationGracePeriodSeconds", json!(-1)).len(), 1);
    assert_eq!(set("dnsPolicy", json!("Guess")).len(), 1);
    assert_eq!(set("dnsPolicy", json!("None")).len(), 1);
    assert_eq!(set("dnsConfig", json!({ "nameservers": ["x"] })).len(), 1);
    assert_eq!(set("imagePullSecrets", json!([{}])), ["spec.imagePullSecrets[0].name: Required value"]);
}

#[test]
fn little_of_a_pod_may_change() {
    let old = pod_of(good());
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut spec = good();
        change(&mut spec);
        texts(&update(&pod_of(spec), &old))
    };
    assert_eq!(changed(&|spec| spec["containers"][0]["image"] = json!("nginx:1.26")), NONE);
    assert_eq!(changed(&|spec| spec["tolerations"] = json!([{ "operator": "Exists" }])), NONE);
    assert_eq!(changed(&|spec| spec["activeDeadlineSeconds"] = json!(5)), NONE);
    let found = changed(&|spec| spec["containers"][0]["command"] = json!(["sh"]));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("spec: Forbidden: pod updates may not change fields other than"),
        "{found:?}"
    );
    assert_eq!(
        changed(&|spec| spec["containers"] =
            json!([{ "name": "a", "image": "x" }, { "name": "b", "image": "x" }])),
        ["spec.containers: Forbidden: pod updates may not add or remove containers"]
    );
    let mut tolerant = good();
    tolerant["tolerations"] = json!([{ "key": "a", "operator": "Exists" }]);
    assert_eq!(
        texts(&update(&old, &pod_of(tolerant))),
        ["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"]
    );
}
