//! kctl with resources that it learns of from the server.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use std::process::Stdio;
use std::time::Duration;

use gantry_tests::{TestCluster, bin_dir, has};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

const LIMIT: Duration = Duration::from_secs(60);

const DEFINITION: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, shortNames: [wd], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: Colour, type: string, jsonPath: .spec.colour, priority: 1}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: {type: integer, maximum: 9}
              colour: {type: string, default: red}
          status:
            type: object
            x-kubernetes-preserve-unknown-fields: true
";

fn widget(name: &str, spec: &str) -> String {
    format!("---\napiVersion: example.com/v1\nkind: Widget\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn kctl_works_with_custom_resources() {
    let test = TestCluster::start(1).await;
    let said =
        async |line: &str| -> String { test.kctl(&line.split(' ').collect::<Vec<_>>()).await.success() };
    let apply = async |text: &str| test.kctl_with_input(&["apply", "-f", "-"], text).await;

    // What is not defined is not known; what the same files define is.
    let unknown = apply(&widget("a", "{size: 1}")).await.failure();
    has(&unknown, &["no matches for kind \"Widget\" in version \"example.com/v1\""]);
    let both = apply(&format!("{}---{DEFINITION}", widget("a", "{size: 1}"))).await.success();
    assert_eq!(
        both.lines().collect::<Vec<_>>(),
        [
            "customresourcedefinition.apiextensions.k8s.io/widgets.example.com created",
            "widget.example.com/a created",
        ]
    );
    has(&apply(&widget("a", "{size: 1}")).await.success(), &["widget.example.com/a unchanged"]);
    has(&apply(&widget("b", "{size: 2, colour: blue}")).await.success(), &["widget.example.com/b created"]);
    has(&apply(&widget("a", "{size: 3}")).await.success(), &["widget.example.com/a configured"]);
    let refused = apply(&widget("c", "{size: 10}")).await.failure();
    has(&refused, &["spec.size", "less than or equal to 9"]);
    let dropped = apply(&widget("a", "{size: 3, sise: 4}")).await;
    has(&dropped.stderr, &["Warning: unknown field \"spec.sise\""]);
    // A field that the file does not have any more goes, and gets its default.
    apply(&widget("b", "{size: 2}")).await.success();
    has(&said("get widget b -o yaml").await, &["colour: red"]);

    let table = said("get widgets").await;
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().take(2).collect()).collect();
    assert_eq!(rows, [["NAME", "SIZE"], ["a", "3"], ["b", "2"]]);
    has(&said("get wd/a wd/b -o wide").await, &["COLOUR", "red"]);
    has(&said("get widgets.example.com -A").await, &["NAMESPACE", "default"]);
    has(&said("get all").await, &["kubernetes"]);
    assert_eq!(said("get wd -o name").await, "widget.example.com/a\nwidget.example.com/b\n");
    has(&said("get wd a -o json").await, &["\"kind\": \"Widget\"", "\"size\": 3"]);
    has(&said("describe widget a").await, &["Kind:          Widget (example.com/v1)", "Size:  3"]);
    has(&said("api-resources").await, &["widgets"]);
    has(&test.kctl(&["get", "gadgets"]).await.failure(), &["no resource type \"gadgets\""]);
    has(&test.kctl(&["get", "wd", "nothing"]).await.failure(), &["\"nothing\" not found"]);

    let mut watch = Command::new(bin_dir().join("kctl"))
        .args(["get", "wd", "--watch"])
        .env("KUBECONFIG", test.cluster().paths().kubeconfig())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next =
        async || tokio::time::timeout(LIMIT, lines.next_line()).await.expect("a row").unwrap().unwrap();
    for wanted in ["NAME", "a ", "b "] {
        let line = next().await;
        assert!(line.starts_with(wanted), "{line}");
    }
    apply(&widget("c", "{size: 5}")).await.success();
    let line = next().await;
    assert_eq!(line.split_whitespace().take(2).collect::<Vec<_>>(), ["c", "5"]);

    has(&said("wait widget/c --for=jsonpath={.spec.size}=5").await, &["widget.example.com/c condition met"]);
    let wait = async { said("wait wd c --for=delete --timeout=60").await };
    let delete = async { said("delete wd c").await };
    let (waited, deleted) = tokio::join!(wait, delete);
    assert_eq!(
        (waited.as_str(), deleted.as_str()),
        ("widget.example.com/c deleted\n", "widget.example.com/c deleted\n")
    );
    let line = next().await;
    assert_eq!(line.split_whitespace().take(2).collect::<Vec<_>>(), ["c", "5"], "its last row");
    watch.kill().await.unwrap();
    let timeout = test.kctl(&["wait", "wd/a", "--for=condition=Ready", "--timeout=1"]).await.failure();
    has(&timeout, &["timed out after 1 s"]);
    has(&test.kctl(&["wait", "wd/x", "--for=condition=Ready"]).await.failure(), &["does not exist"]);
    has(&said("wait node --all --for=condition=Ready").await, &["node/node-1 condition met"]);

    said("delete wd --all").await;
    assert_eq!(said("get wd -o name").await, "");
    said("delete crd widgets.example.com").await;
    has(&test.kctl(&["get", "wd"]).await.failure(), &["no resource type \"wd\""]);
    test.down_purged().await;
}
