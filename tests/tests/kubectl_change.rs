//! kubectl, where this machine has one: the ways to change objects and to look at them.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use gantry_tests::{Kubectl, TestCluster, has};
use tokio::io::{AsyncBufReadExt, BufReader};

const LIMIT: Duration = Duration::from_secs(60);

fn map(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  labels:\n    set: pruned\ndata:\n  key: \"{value}\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_changes_objects() {
    let Some(program) = Kubectl::program() else { return };
    let test = TestCluster::start(1).await;
    let kubectl = Kubectl::new(&test, &program);
    let dir = tempfile::tempdir().unwrap();
    kubectl.said(&format!("create deployment web --image={} --replicas=1", test.image("web:v1"))).await;
    let value = async |path: &str| {
        kubectl.said_of(&["get", "deployment/web", "-o", &format!("jsonpath={path}")]).await
    };
    let container = "{.spec.template.spec.containers[0]";

    // set
    kubectl.said(&format!("set image deployment/web web={}", test.image("web:v2"))).await;
    assert!(value(&format!("{container}.image}}")).await.ends_with("web:v2"));
    kubectl.said("set env deployment/web A=1 B=2").await;
    kubectl.said("set env deployment/web A-").await;
    assert_eq!(value(&format!("{container}.env}}")).await, r#"[{"name":"B","value":"2"}]"#);
    has(&kubectl.said("set env deployment/web --list").await, &["B=2"]);
    kubectl.said("set resources deployment/web --requests=cpu=50m,memory=16Mi --limits=memory=64Mi").await;
    assert_eq!(value(&format!("{container}.resources.limits.memory}}")).await, "64Mi");
    kubectl.said("create serviceaccount robot").await;
    kubectl.said("set serviceaccount deployment web robot").await;
    assert_eq!(value("{.spec.template.spec.serviceAccountName}").await, "robot");
    kubectl.said("create service clusterip web --tcp=80:8080").await;
    kubectl.said("set selector service web app=web,tier=x").await;
    assert_eq!(kubectl.said("get service web -o jsonpath={.spec.selector.tier}").await, "x");
    kubectl.said("create rolebinding robots --clusterrole=view --user=jane").await;
    kubectl.said("set subject rolebinding robots --serviceaccount=default:robot --group=team").await;
    let subjects = kubectl.said("get rolebinding robots -o jsonpath={.subjects[*].name}").await;
    assert_eq!(subjects, "jane team robot");

    // label and annotate
    kubectl.said("label deployment web tier=front").await;
    has(&kubectl.refused("label deployment web tier=back").await, &["--overwrite is false"]);
    kubectl.said("label deployment web tier=back --overwrite").await;
    kubectl.said("label deployment web tier-").await;
    kubectl.said("annotate deployment --all note=here").await;
    assert_eq!(value("{.metadata.annotations.note}").await, "here");
    has(&kubectl.refused("label deployment web bad=a/b").await, &["a valid label must be"]);

    // patch, in three ways, also of a subresource
    let strategic =
        r#"{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"C","value":"3"}]}]}}}}"#;
    kubectl.said_of(&["patch", "deployment", "web", "-p", strategic]).await;
    has(&value(&format!("{container}.env[*].name}}")).await, &["B", "C"]);
    kubectl
        .said_of(&[
            "patch",
            "deployment",
            "web",
            "--type=merge",
            "-p",
            r#"{"metadata":{"labels":{"x":"y"}}}"#,
        ])
        .await;
    let json = r#"[{"op":"test","path":"/metadata/labels/x","value":"y"},{"op":"remove","path":"/metadata/labels/x"}]"#;
    kubectl.said_of(&["patch", "deployment", "web", "--type=json", "-p", json]).await;
    let failed = kubectl.with(&["patch", "deployment", "web", "--type=json", "-p", json], "").await.failure();
    has(&failed, &["the server rejected our request due to an error in our request"]);
    let same = kubectl.said_of(&["patch", "deployment", "web", "--type=merge", "-p", "{}"]).await;
    has(&same, &["deployment.apps/web patched (no change)"]);
    let scale = r#"{"spec":{"replicas":2}}"#;
    kubectl
        .said_of(&["patch", "deployment", "web", "--subresource=scale", "--type=merge", "-p", scale])
        .await;
    assert_eq!(value("{.spec.replicas}").await, "2");
    kubectl.said("scale deployment web --replicas=1 --current-replicas=2").await;
    has(
        &kubectl.refused("scale deployment web --replicas=5 --current-replicas=4").await,
        &["Expected replicas to be 4"],
    );

    // edit, with an editor that is a script
    let editor = dir.path().join("editor");
    std::fs::write(&editor, "#!/bin/sh\nsed -i 's/note: here/note: there/' \"$1\"\n").unwrap();
    std::fs::set_permissions(&editor, PermissionsExt::from_mode(0o755)).unwrap();
    let variable = format!("KUBE_EDITOR={}", editor.display());
    let edited = kubectl.in_environment(&variable, "edit deployment/web").await.success();
    has(&edited, &["deployment.apps/web edited"]);
    assert_eq!(value("{.metadata.annotations.note}").await, "there");
    let unchanged = kubectl.in_environment("KUBE_EDITOR=true", "edit deployment/web").await;
    has(&(unchanged.stdout + &unchanged.stderr), &["no changes made"]);

    // apply without the server, and what is not there any more
    let (a, b) = (map("a", "one"), map("b", "one"));
    kubectl
        .given(
            "apply -f - --prune -l set=pruned --prune-allowlist=core/v1/ConfigMap",
            &format!("{a}---\n{b}"),
        )
        .await;
    let pruned =
        kubectl.given("apply -f - --prune -l set=pruned --prune-allowlist=core/v1/ConfigMap", &a).await;
    has(&pruned, &["configmap/a unchanged", "configmap/b pruned"]);
    let changed = map("a", "two");
    let diff = kubectl.with(&["diff", "-f", "-"], &changed).await;
    assert_eq!(diff.code, 1, "{}", diff.stderr);
    has(&diff.stdout, &["-  key: one", "+  key: two"]);
    has(
        &kubectl.given("apply -f - --dry-run=server", &changed).await,
        &["configmap/a configured (server dry run)"],
    );
    has(&kubectl.given("apply -f -", &changed).await, &["configmap/a configured"]);
    has(&kubectl.said("apply view-last-applied configmap/a").await, &["key: two"]);
    has(&kubectl.given("apply set-last-applied -f -", &map("a", "three")).await, &["configmap/a configured"]);

    // replace, and replace by deleting first, which even what never changes cannot resist
    has(&kubectl.given("replace -f -", &map("a", "four")).await, &["configmap/a replaced"]);
    let fixed = format!("immutable: true\n{}", map("a", "five"));
    kubectl.given("replace -f -", &fixed).await;
    let refused = kubectl.with(&["replace", "-f", "-"], &map("a", "six")).await.failure();
    has(&refused, &["field is immutable when `immutable` is set"]);
    has(&kubectl.given("replace --force -f -", &map("a", "six")).await, &["configmap/a replaced"]);
    assert_eq!(kubectl.said("get configmap a -o jsonpath={.data.key}").await, "six");
    let unknown = kubectl.with(&["apply", "-f", "-"], &format!("nonsense: 1\n{a}")).await.failure();
    has(&unknown, &[r#"strict decoding error: unknown field "nonsense""#]);

    // kustomize
    std::fs::write(dir.path().join("map.yaml"), map("k", "v")).unwrap();
    std::fs::write(dir.path().join("kustomization.yaml"), "resources: [map.yaml]\nnamePrefix: my-\n")
        .unwrap();
    let place = dir.path().display();
    has(&kubectl.said(&format!("kustomize {place}")).await, &["name: my-k"]);
    has(&kubectl.said(&format!("apply -k {place}")).await, &["configmap/my-k created"]);
    has(&kubectl.said(&format!("delete -k {place}")).await, &[r#"configmap "my-k" deleted"#]);
    test.down_purged().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_shows_objects() {
    let Some(program) = Kubectl::program() else { return };
    let test = TestCluster::start(1).await;
    let kubectl = Kubectl::new(&test, &program);
    for (name, value) in [("c", "1"), ("a", "3"), ("b", "2")] {
        kubectl.given("apply -f -", &map(name, value)).await;
    }
    let mine = "-l set=pruned";
    assert_eq!(
        kubectl.said(&format!("get configmap {mine} -o name")).await,
        "configmap/a\nconfigmap/b\nconfigmap/c\n"
    );
    let sorted = kubectl.said(&format!("get cm {mine} --sort-by=.data.key --no-headers")).await;
    let names: Vec<&str> = sorted.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["c", "b", "a"]);
    let columns =
        kubectl.said(&format!("get cm {mine} -o custom-columns=N:.metadata.name,V:.data.key")).await;
    let rows: Vec<Vec<&str>> = columns.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows, [["N", "V"], ["a", "3"], ["b", "2"], ["c", "1"]]);
    let range = r#"jsonpath={range .items[?(@.data.key!="2")]}{.metadata.name}={.data.key};{end}"#;
    assert_eq!(kubectl.said_of(&["get", "cm", "-l", "set=pruned", "-o", range]).await, "a=3;c=1;");
    let template = r#"go-template={{range .items}}{{.metadata.name}} {{end}}"#;
    assert_eq!(kubectl.said_of(&["get", "cm", "-l", "set=pruned", "-o", template]).await, "a b c ");
    has(&kubectl.said(&format!("get cm {mine} -o yaml")).await, &["kind: List", "  kind: ConfigMap"]);
    has(&kubectl.said("get cm a -o json").await, &[r#""kind": "ConfigMap""#]);
    has(
        &kubectl.said(&format!("get cm {mine} --show-labels --show-kind")).await,
        &["configmap/a", "set=pruned"],
    );
    has(&kubectl.said(&format!("get cm {mine} -L set")).await, &["SET"]);
    has(&kubectl.said("get cm --chunk-size=1 -A").await, &["kube-root-ca.crt", "NAMESPACE"]);
    assert_eq!(kubectl.said("get cm --field-selector metadata.name=b -o name").await, "configmap/b\n");
    has(&kubectl.said("get all -A").await, &["service/kubernetes"]);
    has(&kubectl.refused("get nonsense").await, &[r#"the server doesn't have a resource type "nonsense""#]);
    let uri = kubectl.said("get --raw /api/v1/namespaces/default/configmaps/a").await;
    has(&uri, &[r#""name":"a""#]);
    let both = kubectl.run("get cm a nothing").await;
    has(&both.failure(), &[r#"configmaps "nothing" not found"#]);
    for kind in
        ["nodes", "namespaces", "serviceaccounts", "clusterroles", "services", "endpointslices", "leases -A"]
    {
        has(&kubectl.said(&format!("get {kind} -o wide")).await, &["NAME"]);
    }

    // A watch shows what is there and what comes.
    let mut watch =
        kubectl.begin(&["get", "cm", "-l", "set=pruned", "--watch", "-o", "wide", "--output-watch-events"]);
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut seen = String::new();
    let watching = async {
        while !seen.contains("DELETED") {
            let line = lines.next_line().await.unwrap().expect("the watch goes on");
            // The last of those that are there.
            if line.starts_with("ADDED") && line.contains(" c ") {
                kubectl.said("annotate cm a x=y").await;
                kubectl.said("delete cm b").await;
            }
            seen.push_str(&line);
            seen.push('\n');
        }
    };
    tokio::time::timeout(LIMIT, watching).await.expect("all events");
    has(&seen, &["EVENT", "ADDED", "MODIFIED", "DELETED"]);
    watch.kill().await.unwrap();

    has(
        &kubectl.said("explain pods --recursive").await,
        &["containers\t<[]Container>", "ephemeralContainers"],
    );
    let field = kubectl.said("explain deployment.spec.strategy.rollingUpdate.maxSurge").await;
    has(&field, &["KIND:       Deployment", "FIELD: maxSurge <IntOrString>"]);
    has(
        &kubectl.said("explain cronjobs --api-version=batch/v1").await,
        &["VERSION:    v1", "GROUP:      batch"],
    );
    has(&kubectl.said("explain pods --output=plaintext-openapiv2").await, &["KIND:", "Pod"]);
    has(&kubectl.refused("explain pod.spec.nonsense").await, &[r#"field "nonsense" does not exist"#]);

    // Events, of all and of one object, oldest first.
    kubectl.said(&format!("run quiet --image={}", test.image("web:v1"))).await;
    kubectl.said("wait pod/quiet --for=condition=Ready --timeout=60s").await;
    has(&kubectl.said("events --for pod/quiet").await, &["Scheduled", "Started"]);
    has(&kubectl.said("events -A --types=Normal").await, &["NAMESPACE", "Scheduled"]);
    has(&kubectl.said("get events --field-selector involvedObject.name=quiet").await, &["pod/quiet"]);
    kubectl.said("delete pod quiet --wait=false").await;
    kubectl.said("wait pod/quiet --for=delete --timeout=60s").await;
    has(&kubectl.refused("wait pod/quiet --for=condition=Ready --timeout=1s").await, &["not found"]);
    test.down_purged().await;
}
