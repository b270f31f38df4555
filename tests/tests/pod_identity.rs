//! Programs in pods talk to the API as their service account.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use std::time::Duration;

use gantry_tests::{TestCluster, eventually};

const LIMIT: Duration = Duration::from_secs(60);
const MOUNTED: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: default}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: 10.243.0.1:5000/busybox:1
    command: [sh, -c, 'sleep 1000000']
";

const ROLE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: pod-reader, namespace: default}
rules:
- {apiGroups: [''], resources: [pods], verbs: [get, list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: client-reads-pods, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: pod-reader}
subjects:
- {kind: ServiceAccount, name: default, namespace: default}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_calls_the_api_with_its_token() {
    let test = TestCluster::start(1).await;
    test.apply(POD).await;
    eventually(LIMIT, "the pod", || async {
        let object = test.api().get_json("/api/v1/namespaces/default/pods/client").await;
        let object = object.map_err(|error| error.to_string())?;
        if object["status"]["phase"] == "Running" { Ok(()) } else { Err(object["status"].to_string()) }
    })
    .await;

    let read = async |name: &str| test.exec("client", &["cat", &format!("{MOUNTED}/{name}")]).await.success();
    assert_eq!(read("namespace").await, "default");
    assert_eq!(read("token").await.split('.').count(), 3, "a JSON web token has three parts");
    let authority = read("ca.crt").await;
    let own = std::fs::read_to_string(test.cluster().paths().certificate("ca")).unwrap();
    assert_eq!(authority.trim(), own.trim());

    // This wget does not verify certificates; that the authority is the right one is seen above.
    let url = "https://kubernetes.default.svc/api/v1/namespaces/default/pods";
    let script = format!(
        "wget -qO- --no-check-certificate --header \"Authorization: Bearer $(cat {MOUNTED}/token)\" {url} 2>&1"
    );
    let ask = async || test.exec("client", &["sh", "-c", &script]).await;
    eventually(LIMIT, "to be known, and refused", || async {
        let output = ask().await;
        if output.stdout.contains("403 Forbidden") { Ok(()) } else { Err(format!("{output:?}")) }
    })
    .await;
    test.apply(ROLE).await;
    eventually(LIMIT, "the list", || async {
        let output = ask().await;
        let list = serde_json::from_str::<serde_json::Value>(&output.stdout);
        match list {
            Ok(list) if list["items"][0]["metadata"]["name"] == "client" => Ok(()),
            _ => Err(format!("{output:?}")),
        }
    })
    .await;
    let anonymous = format!("wget -qO- --no-check-certificate {url} 2>&1");
    let output = test.exec("client", &["sh", "-c", &anonymous]).await;
    assert!(
        output.stdout.contains("401 Unauthorized") || output.stdout.contains("403 Forbidden"),
        "{output:?}"
    );
    test.down_purged().await;
}
