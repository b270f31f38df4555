//! Single calls.

use std::time::Duration;

use gantry_api::Resource;
use gantry_api::core::v1::Pod;
use gantry_api::meta::v1::{ListOptions, StatusDetails};
use tokio::time::Instant;

use super::server::status;
use super::{Fault, Server, eventually, pod};
use crate::Error;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_is_said_as_such() {
    let server = Server::start();
    server.put(pod("a"));
    let pods = server.client_with(2 * SECOND, 4 << 20).api::<Pod>("default");
    let expect = |error: Error| match error {
        Error::Deadline { limit } => assert_eq!(limit, 2 * SECOND),
        other => panic!("{other:?}"),
    };
    for _ in 0..20 {
        server.fault("get", Fault::Hang);
        let start = Instant::now();
        expect(pods.get("a").await.unwrap_err());
        assert!(start.elapsed() >= 2 * SECOND && start.elapsed() < 3 * SECOND, "{:?}", start.elapsed());
    }
    server.fault("create", Fault::Hang);
    expect(pods.create(&pod("b")).await.unwrap_err());
    assert_eq!(server.calls("create").len(), 1, "a write whose outcome is unknown is not repeated");
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_within_the_deadline_is_an_answer() {
    let server = Server::start();
    server.put(pod("a"));
    server.fault("get", Fault::Delay(9 * SECOND));
    assert_eq!(server.client().api::<Pod>("default").get("a").await.unwrap().name(), "a");
    assert_eq!(server.calls("get").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn reads_are_repeated_over_broken_connections_and_writes_are_not() {
    let server = Server::start();
    server.put(pod("a"));
    let pods = server.client().api::<Pod>("default");
    for fault in [Fault::CutBefore, Fault::CutAfter, Fault::CutBefore] {
        server.fault("get", fault);
    }
    assert_eq!(pods.get("a").await.unwrap().name(), "a");
    assert_eq!(server.calls("get").len(), 4);

    for (fault, name) in [(Fault::CutBefore, "b"), (Fault::CutAfter, "c")] {
        server.fault("create", fault);
        let error = pods.create(&pod(name)).await.unwrap_err();
        assert!(matches!(error, Error::Broken { .. }), "{error:?}");
    }
    assert_eq!(server.calls("create").len(), 2);
    let there = server.objects("pods");
    assert!(!there.contains_key("b") && there.contains_key("c"), "{there:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_is_waited_for() {
    let server = Server::start();
    server.put(pod("a"));
    let client = server.client();
    let pods = client.api::<Pod>("default");
    server.network().close();
    let start = Instant::now();
    let error = pods.create(&pod("b")).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    assert!(start.elapsed() >= 8 * SECOND && start.elapsed() <= 10 * SECOND, "{:?}", start.elapsed());

    // A write that was never sent may wait for the server, too.
    let waiting = tokio::spawn({
        let pods = pods.clone();
        async move { pods.create(&pod("b")).await }
    });
    tokio::time::sleep(3 * SECOND).await;
    server.listen();
    assert_eq!(waiting.await.unwrap().unwrap().name(), "b");
    assert_eq!(server.calls("create").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_says_how_long_to_wait() {
    let server = Server::start();
    server.put(pod("a"));
    let mut busy = status(429, "TooManyRequests");
    busy.details = Some(StatusDetails { retry_after_seconds: 4, ..StatusDetails::default() });
    server.fault("get", Fault::Refuse(busy.clone()));
    let pods = server.client().api::<Pod>("default");
    let start = Instant::now();
    pods.get("a").await.unwrap();
    assert!(start.elapsed() >= 4 * SECOND, "{:?}", start.elapsed());
    // Where there is no time left to wait, the refusal is the answer.
    for _ in 0..3 {
        server.fault("get", Fault::Refuse(busy.clone()));
    }
    let error = pods.get("a").await.unwrap_err();
    assert_eq!(error.reason(), "TooManyRequests");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_too_large_is_neither_retried_nor_taken_for_a_410() {
    let server = Server::start();
    for number in 0..200 {
        server.put(pod(&format!("pod-{number:03}")));
    }
    let client = server.client_with(10 * SECOND, 2 << 10);
    let error = client.api::<Pod>("default").list(&ListOptions::default()).await.unwrap_err();
    assert!(matches!(error, Error::Decode { .. }) && !error.is_gone(), "{error:?}");
    assert_eq!(server.calls("list").len(), 1);
    // The connection is as good as before.
    client.api::<Pod>("default").get("pod-007").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dead_network_is_noticed_by_an_idle_watch() {
    let server = Server::start();
    let client = server.client();
    let options = ListOptions { resource_version: "1".into(), ..ListOptions::default() };
    let mut watch = client.api::<Pod>("default").watch(&options).await.unwrap();
    eventually("the watch is open", || server.watchers() == 1).await;
    server.network().silence(true);
    let start = Instant::now();
    let error = watch.next().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Broken { .. }), "{error:?}");
    assert!(start.elapsed() <= 20 * SECOND, "{:?}", start.elapsed());
}
