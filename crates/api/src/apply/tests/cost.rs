//! What ownership costs. Prints times; run with `--nocapture`, best in a release build.

use std::hint::black_box;
use std::time::Instant;

use serde_json::json;

use super::{Written, pod};

#[test]
fn ownership_of_a_pod_is_cheap() {
    const ROUNDS: u32 = 500;
    let mut written = Written::new("", "Pod");
    let spec = json!({
        "containers": [
            {"name": "c", "image": "i", "ports": [{"containerPort": 80}], "env": [{"name": "A", "value": "1"}],
             "volumeMounts": [{"name": "v", "mountPath": "/v"}], "resources": {"requests": {"cpu": "1"}}},
        ],
        "volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}],
        "tolerations": [{"key": "a", "operator": "Exists"}], "nodeSelector": {"a": "b"},
    });
    let creator = written.writer("creator", "");
    let mut new = written.kind.decode_value(pod(spec)).unwrap();
    new.strategy_mut().set_defaults();
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        new.meta_mut().managed_fields.clear();
        super::record(None, black_box(&mut *new), &creator);
    }
    println!("create: {:?}", begin.elapsed() / ROUNDS);
    assert_eq!(new.meta().managed_fields.len(), 1);

    let mut value = new.to_value().unwrap();
    value["status"] = json!({"phase": "Running", "conditions": [
        {"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"},
        {"type": "Initialized", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"},
    ], "podIPs": [{"ip": "10.0.0.1"}]});
    let running = written.kind.decode_value(value).unwrap();
    let kubelet = written.writer("kubelet", "status");
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        let mut next = running.clone_object();
        super::record(Some(&*new), black_box(&mut *next), &kubelet);
    }
    println!("status: {:?}", begin.elapsed() / ROUNDS);
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        black_box(running.clone_object());
    }
    println!("of which the copy: {:?}", begin.elapsed() / ROUNDS);
}
