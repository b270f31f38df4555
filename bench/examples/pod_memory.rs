//! Prints how much memory a pod takes in the processes that hold all of them.
//!
//! `cargo run --release -p gantry-bench --example pod_memory [PODS]`. Each form is measured in a process of its own, by
//! what the kernel counts: that includes what the allocator cannot use.

use std::process::Command;
use std::sync::Arc;

use anyhow::Context;
use gantry_api::core::v1::Pod;
use gantry_client::{Metadata, PodExt, Stored};
use prost::Message;
use serde_json::json;

/// A pod of a ReplicaSet, as it is stored once it runs.
fn pod(number: usize) -> anyhow::Result<Vec<u8>> {
    let probe = json!({"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10,
        "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3});
    let condition =
        |name: &str| json!({"type": name, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let conditions = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]
        .map(condition);
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {
            "name": format!("web-5d4f8c7b9d-{number:05}"), "generateName": "web-5d4f8c7b9d-", "namespace": "default",
            "uid": format!("7d1f0d5e-5b9c-4a57-9d0e-{number:012}"), "resourceVersion": number.to_string(),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"app": "web", "pod-template-hash": "5d4f8c7b9d", "tier": "front"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d4f8c7b9d",
                "uid": "0b6c3d52-0d6e-4f5c-8f3e-1f2d3c4b5a69", "controller": true, "blockOwnerDeletion": true}]
        },
        "spec": {
            "nodeName": format!("node-{}", number % 50), "schedulerName": "default-scheduler", "priority": 0,
            "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "serviceAccountName": "default",
            "terminationGracePeriodSeconds": 30, "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority",
            "securityContext": {},
            "containers": [{
                "name": "web", "image": "registry.example.com/team/web:v1.2.3", "imagePullPolicy": "IfNotPresent",
                "env": [{"name": "MODE", "value": "production"}, {"name": "LEVEL", "value": "info"}],
                "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
                "readinessProbe": probe, "livenessProbe": probe,
                "volumeMounts": [{"name": "token", "readOnly": true,
                    "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"
            }],
            "volumes": [{"name": "token", "projected": {"defaultMode": 420, "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}}
            ]}}],
            "tolerations": [
                {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
                {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            ]
        },
        "status": {
            "phase": "Running", "hostIP": "192.0.2.7", "podIP": "10.244.7.9", "podIPs": [{"ip": "10.244.7.9"}],
            "hostIPs": [{"ip": "192.0.2.7"}], "startTime": "2026-01-01T00:00:00Z", "qosClass": "Burstable",
            "conditions": conditions,
            "containerStatuses": [{
                "name": "web", "ready": true, "started": true, "restartCount": 0,
                "image": "registry.example.com/team/web:v1.2.3",
                "imageID": format!("registry.example.com/team/web@sha256:{:064}", 1),
                "containerID": format!("containerd://{number:064}"),
                "state": {"running": {"startedAt": "2026-01-01T00:00:01Z"}}
            }]
        }
    }))?;
    Ok(pod.encode_to_vec())
}

/// Memory that the kernel counts for this process, in bytes.
fn resident() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib << 10)
}

fn hold<T: Stored>(count: usize, trim: impl Fn(&mut T)) -> anyhow::Result<u64> {
    let before = resident()?;
    let mut held = Vec::with_capacity(count);
    for number in 0..count {
        let mut object = T::decode(&pod(number)?[..])?;
        trim(&mut object);
        held.push(Arc::new(object));
    }
    let after = resident()?;
    anyhow::ensure!(held.iter().all(|object| !object.metadata().uid.is_empty()), "a pod was not read");
    Ok(after.saturating_sub(before) / count as u64)
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let count: usize = arguments.next().map_or(Ok(5000), |text| text.parse())?;
    let Some(form) = arguments.next() else {
        println!("{count} pods of {} bytes each, encoded", pod(1)?.len());
        for form in ["whole", "scheduler", "controller-manager", "metadata"] {
            let output = Command::new(std::env::current_exe()?).args([&count.to_string(), form]).output()?;
            anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            println!("{form:<20} {:>7} bytes per pod", String::from_utf8_lossy(&output.stdout).trim());
        }
        return Ok(());
    };
    // The first pod brings what is made once.
    let whole: Pod = Pod::decode(&pod(0)?[..])?;
    anyhow::ensure!(whole.is_ready(), "the sample is not ready");
    let bytes = match form.as_str() {
        "whole" => hold::<Pod>(count, |_| {})?,
        "scheduler" => hold(count, gantry_scheduler::pod::Pod::trim)?,
        "controller-manager" => hold(count, gantry_controller_manager::pod::Pod::trim)?,
        "metadata" => hold::<Metadata>(count, |_| {})?,
        other => anyhow::bail!("unknown form {other}"),
    };
    println!("{bytes}");
    Ok(())
}
