//! The wire formats against independent implementations.

use gantry_api::core::v1::Pod;
use prost::Message;

#[test]
fn a_pod_survives_json_and_protobuf() {
    let json = serde_json::json!({
        "metadata": {"name": "a", "labels": {"x": "y"}, "creationTimestamp": null},
        "spec": {
            "containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "1000m", "memory": "64Mi"}},
                "livenessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 3}}],
            "volumes": [{"name": "v", "configMap": {"name": "cm", "defaultMode": 420}}, {"name": "e", "emptyDir": {}}],
            "hostPID": true
        },
        "status": {"podIP": "1.2.3.4", "podIPs": [{"ip": "1.2.3.4"}], "startTime": "2026-01-01T00:00:00Z"}
    });
    let pod: Pod = serde_json::from_value(json).unwrap();
    let spec = pod.spec.as_ref().unwrap();
    assert!(spec.host_pid);
    assert!(spec.volumes[1].volume_source.as_ref().unwrap().empty_dir.is_some());
    let theirs: k8s_openapi::api::core::v1::Pod =
        serde_json::from_value(serde_json::to_value(&pod).unwrap()).unwrap();
    assert_eq!(theirs.status.unwrap().pod_ip.unwrap(), "1.2.3.4");
    let decoded = Pod::decode(pod.encode_to_vec().as_slice()).unwrap();
    assert_eq!(decoded, pod);
    let text = serde_json::to_string(&pod).unwrap();
    assert!(text.contains(r#""limits":{"cpu":"1","memory":"64Mi"}"#), "{text}");
}
