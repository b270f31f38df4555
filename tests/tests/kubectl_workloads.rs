//! kubectl, where this machine has one: rollouts, and the inside of pods.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use std::path::Path;
use std::time::Duration;

use gantry_tests::{Kubectl, TestCluster, eventually, has};
use tokio::io::{AsyncBufReadExt, BufReader};

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_steers_rollouts() {
    let Some(program) = Kubectl::program() else { return };
    let test = TestCluster::start(1).await;
    let kubectl = Kubectl::new(&test, &program);
    test.apply_example("web.yaml").await;
    let done = "rollout status deployment/web --timeout=60s";
    has(&kubectl.said(done).await, &["successfully rolled out"]);
    kubectl.said("annotate deployment web kubernetes.io/change-cause=first").await;
    kubectl.said(&format!("set image deployment/web web={}", test.image("web:v2"))).await;
    kubectl.said("annotate deployment web kubernetes.io/change-cause=second").await;
    kubectl.said(done).await;
    eventually(LIMIT, "both causes", || async {
        let history = kubectl.run("rollout history deployment/web").await.success();
        if history.contains("1         first") && history.contains("2         second") {
            Ok(())
        } else {
            Err(history)
        }
    })
    .await;
    has(&kubectl.said("rollout history deployment/web --revision=2").await, &["web:v2"]);
    has(&kubectl.said("rollout pause deployment/web").await, &["deployment.apps/web paused"]);
    has(&kubectl.refused("rollout pause deployment/web").await, &["already paused"]);
    kubectl.said("set env deployment/web PAUSED=yes").await;
    has(&kubectl.refused("rollout restart deployment/web").await, &["can't restart paused deployment"]);
    let status = kubectl.run("rollout status deployment/web --timeout=2s").await;
    assert_ne!(status.code, 0, "{}", status.stdout);
    has(&kubectl.said("rollout resume deployment/web").await, &["deployment.apps/web resumed"]);
    kubectl.said(done).await;
    has(
        &kubectl.said("rollout undo deployment/web --to-revision=1").await,
        &["deployment.apps/web rolled back"],
    );
    kubectl.said(done).await;
    let image =
        kubectl.said("get deployment web -o jsonpath={.spec.template.spec.containers[0].image}").await;
    assert!(image.ends_with("web:v1"), "{image}");
    let before = kubectl.said("get pods -l app=web -o jsonpath={.items[*].metadata.name}").await;
    has(&kubectl.said("rollout restart deployment/web").await, &["deployment.apps/web restarted"]);
    kubectl.said(done).await;
    eventually(LIMIT, "new pods alone", || async {
        let now = kubectl.run("get pods -l app=web -o jsonpath={.items[*].metadata.name}").await.success();
        let old = before.split(' ').any(|name| now.contains(name));
        if old { Err(now) } else { Ok(()) }
    })
    .await;
    kubectl.said("wait deployment/web --for=condition=Available --timeout=60s").await;
    kubectl.said("wait deployment/web --for=jsonpath={.status.readyReplicas}=3 --timeout=60s").await;
    kubectl.said("wait pods -l app=web --for=condition=Ready --timeout=60s").await;

    // Logs of many at once, with their names, of the last line, since a moment.
    let logs = kubectl.said("logs -l app=web --prefix --tail=1").await;
    assert_eq!(logs.lines().filter(|line| line.starts_with("[pod/web-")).count(), 3, "{logs}");
    has(
        &kubectl.said("logs deployment/web --all-containers --timestamps --since=1h").await,
        &["Z listening on port"],
    );
    assert_eq!(kubectl.said("logs deployment/web --limit-bytes=9").await, "listening");
    has(
        &kubectl.refused("logs deployment/web -c nothing").await,
        &["container nothing is not valid for pod web-"],
    );
    has(&kubectl.refused("logs deployment/web --previous").await, &["previous terminated container"]);
    test.down_purged().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_works_inside_of_pods() {
    let Some(program) = Kubectl::program() else { return };
    let test = TestCluster::start(1).await;
    let kubectl = Kubectl::new(&test, &program);
    let image = test.image("busybox:1");
    kubectl.said(&format!("run box --image={image} -- sleep 1000000")).await;
    kubectl.said("wait pod/box --for=condition=Ready --timeout=60s").await;

    // A terminal: what is typed is echoed, and the shell knows that it has one.
    let inside = format!("{} exec -it box -- sh", kubectl.path().display());
    let typed = "tty; stty size; echo $((20 + 22)); exit 7\n";
    let script = Path::new("script");
    let terminal =
        test.run(script, &["-qec", &format!("stty rows 33 cols 99; {inside}"), "/dev/null"], typed).await;
    has(&terminal.stdout, &["/dev/pts/", "33 99", "42"]);
    assert_eq!(terminal.code, 7, "{terminal:?}");
    assert_eq!(kubectl.with(&["exec", "-i", "box", "--", "cat"], "through\n").await.success(), "through\n");
    let both = kubectl.with(&["exec", "box", "--", "sh", "-c", "echo out; echo err >&2; exit 3"], "").await;
    assert_eq!((both.code, both.stdout.as_str()), (3, "out\n"));
    has(&both.stderr, &["err\n", "command terminated with exit code 3"]);
    has(&kubectl.refused("exec box -- nonsense").await, &["nonsense"]);
    has(&kubectl.refused("exec nothing -- true").await, &[r#"pods "nothing" not found"#]);
    has(
        &kubectl.refused("exec box -c nothing -- true").await,
        &["container nothing is not valid for pod box"],
    );

    // Files, there and back, also whole directories and what is not small.
    let dir = tempfile::tempdir().unwrap();
    let (out, back) = (dir.path().join("out"), dir.path().join("back"));
    std::fs::create_dir_all(out.join("below")).unwrap();
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    std::fs::write(out.join("large"), &large).unwrap();
    std::fs::write(out.join("below/small"), "small").unwrap();
    kubectl.said(&format!("cp {} box:/tmp/in", out.display())).await;
    assert_eq!(kubectl.said("exec box -- cat /tmp/in/below/small").await, "small");
    kubectl.said(&format!("cp default/box:/tmp/in {}", back.display())).await;
    assert!(std::fs::read(back.join("large")).unwrap() == large, "the file came back changed");

    // A pod of its own for a moment, and how it ends. What it says before it is attached to is not shown.
    let once = ["run", "once", "--image", &image, "--restart=Never", "--rm", "-i", "--quiet"];
    let once = kubectl.with(&[&once[..], &["--", "sh", "-c", "exit 5"]].concat(), "").await;
    assert_eq!(once.code, 5, "{once:?}");
    assert_eq!(kubectl.said("get pod once --ignore-not-found").await, "");

    // A log that is followed ends with its container; the one before stays readable.
    let loops = "i=0; while [ $i -lt 5 ]; do echo line $i; i=$((i+1)); sleep 0.2; done; exit 1";
    kubectl.said_of(&["run", "loops", "--image", &image, "--", "sh", "-c", loops]).await;
    kubectl.said("wait pod/loops --for=condition=Ready --timeout=60s").await;
    let followed = kubectl.run("logs -f loops").await.success();
    has(&followed, &["line 0\n", "line 4\n"]);
    eventually(LIMIT, "its last run", || async {
        let log = kubectl.run("logs loops --previous").await;
        if log.stdout.contains("line 4") { Ok(()) } else { Err(log.stderr) }
    })
    .await;
    has(&kubectl.said("describe pod loops").await, &["Last State:", "Exit Code:    1", "Restart Count:"]);
    kubectl.said("delete pod loops --now").await;

    // A copy of a pod with another command.
    let copy =
        ["debug", "box", "--copy-to=twin", "--container=box", "--share-processes", "--", "sleep", "1000001"];
    kubectl.said_of(&copy).await;
    kubectl.said("wait pod/twin --for=condition=Ready --timeout=60s").await;
    has(&kubectl.said("exec twin -- ps").await, &["sleep 1000001"]);
    // A pod with a node's namespaces needs what every Linux has mounted there, save some virtual machines.
    if Path::new("/dev/mqueue").exists() {
        beside_a_node(&kubectl, &image).await;
    } else {
        println!("skipped: kubectl debug node/..., as this machine has no /dev/mqueue");
    }

    // Attached to what runs already; several at once see the same.
    let ticks = "while true; do echo tick; sleep 0.2; done";
    kubectl.said_of(&["run", "ticks", "--image", &image, "--", "sh", "-c", ticks]).await;
    kubectl.said("wait pod/ticks --for=condition=Ready --timeout=60s").await;
    let mut attached = [kubectl.begin(&["attach", "ticks"]), kubectl.begin(&["attach", "ticks"])];
    for child in &mut attached {
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..3 {
            let line = tokio::time::timeout(LIMIT, lines.next_line()).await.expect("a line").unwrap();
            assert_eq!(line.as_deref(), Some("tick"));
        }
    }
    for mut child in attached {
        child.kill().await.unwrap();
    }
    test.down_purged().await;
}

/// A pod in a node's namespaces, with its files.
async fn beside_a_node(kubectl: &Kubectl<'_>, image: &str) {
    let beside = ["debug", "node/node-1", "--image", image, "--", "sh", "-c", "ls /host; sleep 1000000"];
    let said = kubectl.with(&beside, "").await;
    assert_eq!(said.code, 0, "{said:?}");
    let text = said.stdout + &said.stderr;
    let name = text.split_whitespace().find(|word| word.starts_with("node-debugger-node-1-")).unwrap();
    eventually(LIMIT, "the node's files", || async {
        let log = kubectl.run(&format!("logs {name}")).await;
        if log.stdout.lines().any(|line| line == "etc") { Ok(()) } else { Err(log.stderr) }
    })
    .await;
}
