//! What the client does when the network and the API server fail: a scripted server behind a network in memory, on
//! paused time, so that hours of failures take milliseconds and nothing depends on the machine's speed.

mod calls;
mod elections;
mod events;
mod informers;
mod network;
mod server;
mod writes;

use std::time::Duration;

use gantry_api::Resource;
use gantry_api::core::v1::Pod;

use network::Network;
use server::{Fault, Server};

/// Long enough for every failure in these tests; on paused time it costs nothing.
const PATIENCE: Duration = Duration::from_secs(600);

fn pod(name: &str) -> Pod {
    let mut pod = Pod::default();
    pod.meta_mut().name = name.to_owned();
    pod.meta_mut().namespace = "default".to_owned();
    pod
}

/// Waits until something holds.
async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "waited in vain: {what}");
}
