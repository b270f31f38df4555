//! Measures how long containers take to start on a containerd of its own: one after another and side by side.
//!
//! Run as root: `cargo run --release -p gantry-container-runtime --example start_bench`.

#[path = "../tests/runtime/support.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "it serves the tests, which need more of it and may panic")]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use gantry_container_runtime::{ContainerConfig, Containerd, LogConfig, Runtime};

const ONE_BY_ONE: usize = 10;
const SIDE_BY_SIDE: usize = 24;
const WIDTHS: [usize; 4] = [2, 4, 8, SIDE_BY_SIDE];

#[tokio::main]
async fn main() {
    let node = support::Node::start().await;
    let runtime = node.ready().await;
    let config = |id: String| ContainerConfig {
        log: Some(LogConfig::new(node.directory.path().join("logs").join(&id).join("0.log"))),
        id,
        image: node.image.clone(),
        cgroup_parent: node.cgroup.clone(),
        ..ContainerConfig::default()
    };
    start(&runtime, config("warm".into())).await;

    let mut times = Vec::new();
    for i in 0..ONE_BY_ONE {
        times.push(start(&runtime, config(format!("one-{i}"))).await);
    }
    let creates: Vec<Duration> = times.iter().map(|(create, _)| *create).collect();
    let totals: Vec<Duration> = times.iter().map(|(create, start)| *create + *start).collect();
    report("create", creates);
    report("create and start", totals);
    let mut times = Vec::new();
    for i in 0..ONE_BY_ONE {
        let config = ContainerConfig { log: None, ..config(format!("mute-{i}")) };
        let (create, start) = start(&runtime, config).await;
        times.push(create + start);
    }
    report("create and start without a log driver", times);

    for width in WIDTHS {
        side_by_side(&runtime, width, &config).await;
    }

    let mut times = Vec::new();
    for _ in 0..ONE_BY_ONE {
        let began = Instant::now();
        let argv = ["true".to_owned()].map(|_| "/bin/true".to_owned());
        runtime.exec_sync("warm", &argv, support::LIMIT, 100).await.expect("exec works");
        times.push(began.elapsed());
    }
    report("exec", times);
    let mut times = Vec::new();
    for i in 0..ONE_BY_ONE {
        let began = Instant::now();
        runtime.remove_container(&format!("one-{i}")).await.expect("removing works");
        times.push(began.elapsed());
        runtime.remove_container(&format!("mute-{i}")).await.expect("removing works");
    }
    report("remove", times);
    runtime.remove_container("warm").await.expect("removing works");
}

/// Starts containers, at most `width` of them at the same time, and removes them again.
async fn side_by_side(runtime: &Arc<Containerd>, width: usize, config: &impl Fn(String) -> ContainerConfig) {
    let slots = Arc::new(tokio::sync::Semaphore::new(width));
    let began = Instant::now();
    let starts = (0..SIDE_BY_SIDE).map(|i| {
        let (runtime, slots) = (Arc::clone(runtime), Arc::clone(&slots));
        let config = config(format!("many-{i}"));
        tokio::spawn(async move {
            let _slot = slots.acquire().await;
            start(&runtime, config).await;
            began.elapsed()
        })
    });
    let starts: Vec<_> = starts.collect();
    let mut times = Vec::new();
    for start in starts {
        times.push(start.await.expect("starting does not panic"));
    }
    let took = began.elapsed();
    report(&format!("started, {width} at a time"), times);
    println!("{width} at a time: {:.1} containers/s", SIDE_BY_SIDE as f64 / took.as_secs_f64());
    for i in 0..SIDE_BY_SIDE {
        runtime.remove_container(&format!("many-{i}")).await.expect("removing works");
    }
}

async fn start(runtime: &Containerd, config: ContainerConfig) -> (Duration, Duration) {
    let id = config.id.clone();
    let began = Instant::now();
    runtime.create_container(config).await.expect("creating works");
    let created = began.elapsed();
    runtime.start_container(&id).await.expect("starting works");
    (created, began.elapsed() - created)
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{what}: median {:.1} ms (min {:.1}, max {:.1}) of {}",
        ms(times[times.len() / 2]),
        ms(times[0]),
        ms(times[times.len() - 1]),
        times.len()
    );
}
