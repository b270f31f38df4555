//! kubectl, where this machine has one: the cluster, its nodes, who may do what, and kubectl's own settings.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use std::time::Duration;

use gantry_tests::{Kubectl, TestCluster, eventually, has};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(60);

/// A request for a certificate that nothing approves by itself; the key is anybody's.
async fn request(test: &TestCluster, name: &str, dir: &std::path::Path) -> String {
    let (key, csr) = (dir.join("key"), dir.join("csr"));
    let (key, csr_path) = (key.display().to_string(), csr.display().to_string());
    let openssl = std::path::Path::new("openssl");
    let args = [
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=jane/O=team",
        "-keyout",
        &key,
        "-out",
        &csr_path,
    ];
    test.run(openssl, &args, "").await.success();
    let base64 = test.run(std::path::Path::new("base64"), &["-w0", &csr_path], "").await.success();
    format!(
        "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {{name: {name}}}\nspec:\n  \
         request: {base64}\n  signerName: kubernetes.io/kube-apiserver-client\n  usages: [client auth]\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_looks_after_the_cluster() {
    let Some(program) = Kubectl::program() else { return };
    let test = TestCluster::start(1).await;
    let kubectl = Kubectl::new(&test, &program);
    let dir = tempfile::tempdir().unwrap();

    has(&kubectl.said("cluster-info").await, &["Kubernetes control plane", "is running at"]);
    let dump = dir.path().join("dump");
    kubectl.said(&format!("cluster-info dump --output-directory={}", dump.display())).await;
    let nodes = std::fs::read_to_string(dump.join("nodes.json")).unwrap();
    has(&nodes, &[r#""name": "node-1""#]);
    has(&kubectl.said("version -o yaml").await, &["serverVersion:", "gitVersion: v1."]);
    has(&kubectl.said("api-versions").await, &["apps/v1\n", "rbac.authorization.k8s.io/v1\n", "\nv1\n"]);
    has(
        &kubectl.said("api-resources -o wide").await,
        &["deployments", "deploy", "create,delete,deletecollection,get,list,patch,update,watch"],
    );
    has(
        &kubectl.said("api-resources --namespaced=false --api-group=rbac.authorization.k8s.io -o name").await,
        &["clusterroles.rbac.authorization.k8s.io"],
    );
    // There are no metrics yet, and it says so.
    has(&kubectl.refused("top nodes").await, &["Metrics API not available"]);
    has(&kubectl.refused("top pods").await, &["Metrics API not available"]);
    has(&kubectl.said("get --raw /readyz?verbose").await, &["ok"]);

    // Nodes
    has(&kubectl.said("cordon node-1").await, &["node/node-1 cordoned"]);
    has(&kubectl.said("get nodes").await, &["Ready,SchedulingDisabled"]);
    has(&kubectl.said("cordon node-1").await, &["already cordoned"]);
    has(&kubectl.said("uncordon node-1").await, &["node/node-1 uncordoned"]);
    has(
        &kubectl.said("taint nodes node-1 a=b:NoSchedule c:PreferNoSchedule").await,
        &["node/node-1 tainted"],
    );
    has(
        &kubectl.said("describe node node-1").await,
        &["a=b:NoSchedule", "c:PreferNoSchedule", "Capacity:", "Lease:"],
    );
    has(&kubectl.refused("taint nodes node-1 a=x:NoSchedule").await, &["--overwrite is false"]);
    kubectl.said("taint nodes node-1 a=x:NoSchedule --overwrite").await;
    has(&kubectl.said("taint nodes node-1 a- c:PreferNoSchedule-").await, &["node/node-1 untainted"]);
    kubectl.said("label node node-1 disk=fast").await;
    assert_eq!(kubectl.said("get nodes -l disk=fast -o name").await, "node/node-1\n");

    // Certificates
    for (name, verb, state) in [("good", "approve", "Approved"), ("bad", "deny", "Denied")] {
        kubectl.given("create -f -", &request(&test, name, dir.path()).await).await;
        has(
            &kubectl.said(&format!("get csr {name}")).await,
            &["Pending", "kubernetes.io/kube-apiserver-client"],
        );
        kubectl.said(&format!("certificate {verb} {name}")).await;
        eventually(LIMIT, state, || async {
            let shown = kubectl.run(&format!("get csr {name}")).await.success();
            if shown.contains(state) { Ok(()) } else { Err(shown) }
        })
        .await;
        has(&kubectl.said(&format!("describe csr {name}")).await, &["Common Name:", "jane"]);
    }

    // Who may do what
    has(&kubectl.said("auth whoami").await, &["Username", "system:masters"]);
    assert_eq!(kubectl.said("auth can-i create pods").await, "yes\n");
    let cannot = kubectl.run("auth can-i list secrets --as=jane").await;
    assert_eq!((cannot.code, cannot.stdout.as_str()), (1, "no\n"));
    has(
        &kubectl.said("auth can-i --list --as=jane").await,
        &["selfsubjectaccessreviews.authorization.k8s.io"],
    );
    let rules = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: lister, namespace: default}\nrules:\n- \
         {apiGroups: [''], resources: [secrets], verbs: [list]}\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: \
         RoleBinding\nmetadata: {name: lister, namespace: default}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: \
         Role, name: lister}\nsubjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: jane}]\n";
    has(
        &kubectl.given("auth reconcile -f -", rules).await,
        &["role.rbac.authorization.k8s.io/lister reconciled"],
    );
    eventually(LIMIT, "jane may list", || async {
        let may = kubectl.run("auth can-i list secrets --as=jane").await;
        if may.stdout == "yes\n" { Ok(()) } else { Err(may.stdout) }
    })
    .await;
    has(
        &kubectl.refused("get pods --as=jane").await,
        &[
            r#"pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default""#,
        ],
    );
    has(&kubectl.said("auth whoami --as=jane --as-group=team").await, &["jane", "team"]);
    test.down_purged().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_serves_a_proxy_and_itself() {
    let Some(program) = Kubectl::program() else { return };
    let test = TestCluster::start(1).await;
    let kubectl = Kubectl::new(&test, &program);

    let mut proxy = kubectl.begin(&["proxy", "--port=0"]);
    let mut lines = BufReader::new(proxy.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(LIMIT, lines.next_line()).await.expect("a line").unwrap().unwrap();
    let port: u16 = line.rsplit(':').next().unwrap().trim().parse().unwrap();
    let ask = async |head: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream
            .write_all(format!("{head}\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        tokio::time::timeout(LIMIT, stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
        answer
    };
    has(&ask("GET /version HTTP/1.1").await, &["200 OK", "gitVersion"]);
    has(&ask("GET /api/v1/nodes/node-1 HTTP/1.1").await, &[r#""kind":"Node""#]);
    // What a watch sends comes through as well, piece by piece.
    has(
        &ask("GET /api/v1/nodes?watch=true&timeoutSeconds=1 HTTP/1.1").await,
        &[r#"{"type":"ADDED""#, "node-1"],
    );
    kubectl.said(&format!("run web --image={} --port=8080", test.image("web:v1"))).await;
    kubectl.said("wait pod/web --for=condition=Ready --timeout=60s").await;
    has(&ask("GET /api/v1/namespaces/default/pods/web/log HTTP/1.1").await, &["200 OK", "listening on port"]);
    proxy.kill().await.unwrap();

    // kubectl's own settings, in a copy.
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("config");
    std::fs::copy(test.cluster().paths().kubeconfig(), &copy).unwrap();
    let own = format!("--kubeconfig={}", copy.display());
    let config = async |line: &str| kubectl.said(&format!("config {line} {own}")).await;
    let context = config("current-context").await;
    has(&config("get-contexts").await, &[context.trim()]);
    has(&config("get-clusters").await, &["NAME"]);
    has(&config("get-users").await, &["NAME"]);
    has(&config("view --minify").await, &["current-context:", "DATA+OMITTED"]);
    config("set-context --current --namespace=kube-system").await;
    has(&kubectl.said(&format!("get services -o name {own}")).await, &["service/kube-dns"]);
    config("set-credentials robot --token=abc").await;
    config("set-context other --user=robot").await;
    config("rename-context other another").await;
    config("use-context another").await;
    assert_eq!(config("current-context").await, "another\n");
    config("delete-context another").await;
    config("set-cluster nowhere --server=https://127.0.0.1:1").await;
    config("unset users.robot").await;
    has(&kubectl.said("completion bash").await, &["__start_kubectl"]);
    has(&kubectl.said("options").await, &["--kubeconfig"]);
    let plugins = kubectl.in_environment("PATH=/nonexistent", "plugin list").await;
    assert_eq!(plugins.code, 1, "{}", plugins.stdout);
    // A token of an account is as good as a certificate, for what the account may do.
    kubectl.said("create serviceaccount robot").await;
    kubectl.said("create rolebinding robot --clusterrole=view --serviceaccount=default:robot").await;
    let token = kubectl.said("create token robot").await;
    let cluster = kubectl.said("config view --minify --raw -o jsonpath={.clusters[0].cluster.server}").await;
    let authority = test.cluster().paths().certificate("ca");
    let token = token.trim();
    let robot = format!(
        "--kubeconfig=/dev/null --server={cluster} --certificate-authority={} --token={token}",
        authority.display()
    );
    eventually(LIMIT, "the account's rights", || async {
        let pods = kubectl.run(&format!("get pods -n default -o name {robot}")).await;
        if pods.stdout == "pod/web\n" { Ok(()) } else { Err(pods.stderr) }
    })
    .await;
    has(&kubectl.said(&format!("auth whoami {robot}")).await, &["system:serviceaccount:default:robot"]);
    has(
        &kubectl.refused(&format!("get secrets -n default {robot}")).await,
        &["Error from server (Forbidden)"],
    );
    has(&kubectl.refused(&format!("get pods {robot}x")).await, &["Unauthorized"]);
    test.down_purged().await;
}
