//! Programs in pods talk to the API as their service account.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use std::path::Path;
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
    command: [sleep, '1000017']
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

/// Asks for the pods of a namespace: arguments are the service's address, the file of the authority and the token.
const ASK: &str = r#"
import http.client, ssl, sys
host, ca, token = sys.argv[1:]
class Connection(http.client.HTTPSConnection):
    def connect(self):
        http.client.HTTPConnection.connect(self)
        self.sock = self._context.wrap_socket(self.sock, server_hostname="kubernetes.default.svc")
connection = Connection(host, 443, timeout=10, context=ssl.create_default_context(cafile=ca))
headers = {"Authorization": "Bearer " + token}
connection.request("GET", "/api/v1/namespaces/default/pods", headers=headers)
answer = connection.getresponse()
print(answer.status, answer.read().decode())
"#;

/// The process of the pod's container.
fn process() -> Option<i32> {
    let entries = std::fs::read_dir("/proc").ok()?.flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let command = ["sleep", "1000017", ""].join("\0");
    pids.find(|pid| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|arguments| arguments == command)
    })
}

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

    let mut ca = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut ca, authority.as_bytes()).unwrap();
    let network = format!("--net=/proc/{}/ns/net", process().unwrap());
    // What a client in the pod does, by the pod's network; the image has no program that speaks today's TLS.
    let ask = async |token: &str| {
        let ca = ca.path().to_str().unwrap();
        let service = test.exec("client", &["sh", "-c", "echo $KUBERNETES_SERVICE_HOST"]).await.success();
        let arguments = [&network, "python3", "-c", ASK, service.trim(), ca, token];
        test.run(Path::new("nsenter"), &arguments, "").await
    };
    let token = read("token").await;
    eventually(LIMIT, "to be known, and refused", || async {
        let output = ask(&token).await;
        if output.stdout.starts_with("403 ") { Ok(()) } else { Err(format!("{output:?}")) }
    })
    .await;
    test.apply(ROLE).await;
    eventually(LIMIT, "the list", || async {
        let output = ask(&token).await;
        let list = output.stdout.strip_prefix("200 ").map(serde_json::from_str::<serde_json::Value>);
        match list {
            Some(Ok(list)) if list["items"][0]["metadata"]["name"] == "client" => Ok(()),
            _ => Err(format!("{output:?}")),
        }
    })
    .await;
    let output = ask("nobody's").await;
    assert!(output.stdout.starts_with("401 "), "{output:?}");
    test.down_purged().await;
}
