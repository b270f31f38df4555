//! A kubelet that is killed in the middle of starting pods neither loses nor doubles a container, and restarts none.

#![allow(clippy::unwrap_used, reason = "a panic is a test's report, in its helpers, too")]

use std::fmt::Write as _;
use std::time::Duration;

use gantry_tests::{TestCluster, eventually};

const LIMIT: Duration = Duration::from_secs(60);
const PODS: usize = 15;
/// When the kubelet is killed after the pods were asked for: in all stages of their starts, and some of it twice.
const KILLS: [&[u64]; 6] = [&[100], &[250], &[400], &[550, 150], &[300, 250], &[150, 150, 150]];
/// What a container that a kubelet gives up may still show of itself.
const SETTLING: Duration = Duration::from_secs(20);

fn manifests(image: &str, round: usize) -> String {
    let mut text = String::new();
    for i in 0..PODS {
        write!(
            text,
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{round}-{i}, namespace: default, labels: {{round: r{round}}}}}\n\
             spec:\n  terminationGracePeriodSeconds: 0\n  containers:\n  - name: c\n    image: {image}\n    \
             command: [sleep, '1000000']\n"
        )
        .unwrap();
    }
    text
}

/// The processes in the cgroups of the node's pods, as their command lines.
fn processes(test: &TestCluster) -> Vec<String> {
    let cgroup = test.cluster().spec().nodes().next().unwrap().cgroup();
    let mark = cgroup.trim_start_matches('/').to_owned();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        // The dead have no command line.
        let line = read("cmdline").replace('\0', " ");
        (!line.is_empty() && read("cgroup").contains(&mark)).then_some(line)
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kubelet_killed_in_the_middle_of_starts_doubles_and_restarts_nothing() {
    let test = TestCluster::start(1).await;
    let image = test.image("busybox:1");
    for (round, kills) in KILLS.iter().enumerate() {
        test.kctl_with_input(&["apply", "-f", "-"], &manifests(&image, round)).await.success();
        for delay in *kills {
            tokio::time::sleep(Duration::from_millis(*delay)).await;
            let old = test.kill_9("kubelet-node-1");
            eventually(LIMIT, "the kubelet", || async {
                let now = test.cluster().pid("kubelet-node-1").map_err(|error| error.to_string())?;
                now.filter(|pid| *pid != old).ok_or_else(|| "not back".to_owned())
            })
            .await;
        }
        let path = format!("/api/v1/namespaces/default/pods?labelSelector=round%3Dr{round}");
        let restarts = eventually(LIMIT, "all pods to be ready", || async {
            let pods = test.items(&path).await;
            let statuses: Vec<_> = pods.iter().map(|pod| &pod["status"]["containerStatuses"][0]).collect();
            let ready = statuses.iter().filter(|status| status["ready"] == true).count();
            let restarts = statuses.iter().map(|status| status["restartCount"].as_i64().unwrap_or_default());
            if ready == PODS {
                Ok(restarts.sum::<i64>())
            } else {
                Err(format!("{ready} of {PODS} are ready"))
            }
        })
        .await;
        eventually(SETTLING, "one process for each pod", || async {
            let processes = processes(&test);
            if processes.len() == PODS { Ok(()) } else { Err(format!("{processes:?}")) }
        })
        .await;
        println!("kubelet killed {kills:?} ms into {PODS} starts: {PODS} processes, {restarts} restarts");
        assert_eq!(restarts, 0, "round {round}");
        test.kctl(&["delete", "pod", "-l", &format!("round=r{round}")]).await.success();
        eventually(LIMIT, "all processes to end", || async {
            let processes = processes(&test);
            if processes.is_empty() { Ok(()) } else { Err(format!("{processes:?}")) }
        })
        .await;
    }
    test.down_purged().await;
}
