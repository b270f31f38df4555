//! Informers: whatever breaks, the store comes to equal the server's, and the events tell how.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gantry_api::Resource;
use gantry_api::core::v1::Pod;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio_util::sync::CancellationToken;

use super::server::{Order, status};
use super::{Fault, Server, eventually, pod};
use crate::{Event, Informer};

/// What an informer's events say: replayed, they are the store. Checks each event against those before it.
#[derive(Clone, Default)]
struct Replay {
    objects: Arc<Mutex<BTreeMap<String, String>>>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Replay {
    fn follow(informer: &Informer<Pod>) -> Self {
        let replay = Self::default();
        let copy = replay.clone();
        informer.on_event(move |event| copy.take(event));
        replay
    }

    fn take(&self, event: &Event<Pod>) {
        let facts = |pod: &Pod| (pod.name().to_owned(), pod.meta().resource_version.clone());
        let revision = |text: &str| text.parse::<i64>().unwrap();
        let (mut objects, mut log) = (self.objects.lock(), self.log.lock());
        match event {
            Event::Added(pod) => {
                let (name, version) = facts(pod);
                log.push(format!("+{name}"));
                assert_eq!(objects.insert(name, version), None, "added twice: {log:?}");
            }
            Event::Modified { old, new } => {
                let ((name, before), (_, version)) = (facts(old), facts(new));
                log.push(format!("~{name}"));
                assert!(revision(&version) > revision(&before), "goes back: {log:?}");
                assert_eq!(objects.insert(name, version), Some(before), "a change was lost: {log:?}");
            }
            Event::Deleted(pod) => {
                let (name, _) = facts(pod);
                log.push(format!("-{name}"));
                assert!(objects.remove(&name).is_some(), "deleted what was not there: {log:?}");
            }
            Event::Resync => panic!("handlers lag behind nothing"),
        }
    }

    fn objects(&self) -> BTreeMap<String, String> {
        self.objects.lock().clone()
    }

    fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock())
    }
}

struct Rig {
    server: Server,
    informer: Informer<Pod>,
    replay: Replay,
    _stop: tokio_util::sync::DropGuard,
}

impl Rig {
    fn new(server: Server) -> Self {
        let stop = CancellationToken::new();
        let informer = Informer::<Pod>::builder(&server.client()).spawn(stop.clone());
        let replay = Replay::follow(&informer);
        Self { server, informer, replay, _stop: stop.drop_guard() }
    }

    async fn synced(server: Server) -> Self {
        let rig = Self::new(server);
        assert!(rig.informer.synced().await);
        eventually("the watch is open", || rig.server.watchers() == 1).await;
        rig
    }

    /// Waits until events and store say what the server has.
    async fn settled(&self) {
        eventually("the informer has caught up", || self.replay.objects() == self.server.objects("pods"))
            .await;
        let store: BTreeMap<String, String> = self
            .informer
            .store()
            .list()
            .iter()
            .map(|pod| (pod.name().to_owned(), pod.meta().resource_version.clone()))
            .collect();
        assert_eq!(store, self.server.objects("pods"));
    }

    fn watched_from(&self) -> Vec<i64> {
        let calls = self.server.calls("watch");
        calls.iter().map(|call| call.resource_version.parse().unwrap()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_is_resumed_where_it_ended() {
    let server = Server::start();
    server.put(pod("a"));
    let rig = Rig::synced(server).await;
    rig.server.put(pod("b"));
    rig.settled().await;
    let before = rig.server.revision();
    rig.server.order(Order::Close);
    eventually("the watch has ended", || rig.server.watchers() == 0).await;
    rig.server.put(pod("c"));
    rig.server.remove("pods", "default", "a");
    rig.settled().await;
    assert_eq!(rig.replay.log(), ["+a", "+b", "+c", "-a"]);
    assert_eq!(rig.server.calls("list").len(), 1);
    assert_eq!(rig.watched_from(), [2, before]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_loses_and_doubles_nothing() {
    let rig = Rig::synced(Server::start()).await;
    for round in 0..20 {
        rig.server.put(pod(&format!("before-{round}")));
        rig.server.network().cut();
        rig.server.put(pod(&format!("after-{round}")));
        rig.server.remove("pods", "default", &format!("before-{round}"));
        rig.settled().await;
    }
    assert_eq!(rig.server.calls("list").len(), 1, "nothing is listed again where resuming does");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_restarts_is_found_again() {
    let rig = Rig::synced(Server::start()).await;
    rig.server.put(pod("a"));
    rig.settled().await;
    rig.server.network().close();
    rig.server.put(pod("b"));
    tokio::time::sleep(Duration::from_secs(60)).await;
    rig.server.listen();
    rig.settled().await;
    assert_eq!(rig.server.calls("list").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_network_is_given_up() {
    let rig = Rig::synced(Server::start()).await;
    rig.server.network().silence(true);
    rig.server.put(pod("a"));
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(rig.replay.objects().len(), 0);
    rig.server.network().silence(false);
    rig.settled().await;
}

#[tokio::test(start_paused = true)]
async fn bookmarks_move_the_place_to_resume_from() {
    let rig = Rig::synced(Server::start()).await;
    // Another kind's change: only the bookmark tells of it.
    rig.server.put(gantry_api::core::v1::Node::default());
    rig.server.order(Order::Bookmark);
    tokio::time::sleep(Duration::from_secs(1)).await;
    rig.server.compact();
    rig.server.order(Order::Close);
    eventually("the watch has ended", || rig.server.watchers() == 0).await;
    rig.server.put(pod("a"));
    rig.settled().await;
    assert_eq!(rig.watched_from(), [1, 2]);
    assert_eq!(rig.server.calls("list").len(), 1, "without the bookmark the compaction asks for a list");
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_is_too_old_asks_for_a_list_which_tells_the_difference() {
    let server = Server::start();
    for name in ["gone", "kept", "changed", "replaced"] {
        server.put(pod(name));
    }
    let rig = Rig::synced(server).await;
    rig.replay.log();
    let miss_something = |rig: &Rig| {
        rig.server.network().close();
        rig.server.remove("pods", "default", "gone");
        rig.server.put(pod("changed"));
        rig.server.remove("pods", "default", "replaced");
        rig.server.put(pod("replaced"));
        rig.server.put(pod("new"));
        rig.server.compact();
        rig.server.listen();
    };
    miss_something(&rig);
    rig.settled().await;
    let mut told = rig.replay.log();
    told.sort();
    assert_eq!(told, ["+new", "-gone", "~changed", "~replaced"]);
    assert_eq!(rig.server.calls("list").len(), 2);

    // The same where a watch is told so in its midst.
    rig.server.remove("pods", "default", "new");
    rig.settled().await;
    rig.server.order(Order::Expire);
    eventually("it listed again", || rig.server.calls("list").len() == 3).await;
    rig.settled().await;
    assert_eq!(rig.replay.log(), ["-new"], "a list that brings nothing new tells nothing");
}

#[tokio::test(start_paused = true)]
async fn lists_that_fail_are_repeated_ever_more_slowly() {
    let server = Server::start();
    server.put(pod("a"));
    for _ in 0..12 {
        server.fault("list", Fault::Refuse(status(500, "InternalError")));
    }
    let rig = Rig::new(server);
    assert!(!rig.informer.has_synced());
    assert!(rig.informer.synced().await);
    let times: Vec<_> = rig.server.calls("list").iter().map(|call| call.time).collect();
    let pauses: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses.len(), 12);
    assert!(pauses[0] <= Duration::from_millis(100), "{pauses:?}");
    assert!(pauses[11] >= Duration::from_millis(2400), "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= Duration::from_millis(5100)), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_always_says_410_is_not_hammered() {
    let rig = Rig::synced(Server::start()).await;
    for _ in 0..1000 {
        rig.server.fault("watch", Fault::Refuse(status(410, "Expired")));
    }
    rig.server.order(Order::Expire);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let lists = rig.server.calls("list").len();
    assert!((10..40).contains(&lists), "{lists} lists in a minute");
}

#[tokio::test(start_paused = true)]
async fn pages_make_one_list_and_one_that_expires_starts_anew() {
    let server = Server::start();
    for number in 0..25 {
        server.put(pod(&format!("pod-{number:02}")));
    }
    server.page(10);
    let rig = Rig::synced(server).await;
    rig.settled().await;
    let tokens: Vec<bool> = rig.server.calls("list").iter().map(|call| call.token.is_empty()).collect();
    assert_eq!(tokens, [true, false, false]);

    // The second page of the next list is refused; what was deleted meanwhile must go nevertheless.
    rig.server.network().close();
    rig.server.remove("pods", "default", "pod-24");
    rig.server.compact();
    rig.server.fault("list", Fault::Delay(Duration::ZERO));
    rig.server.fault("list", Fault::Refuse(status(410, "Expired")));
    rig.server.listen();
    rig.settled().await;
    assert_eq!(rig.replay.objects().len(), 24);
}

#[tokio::test(start_paused = true)]
async fn what_this_process_wrote_is_seen_once() {
    let rig = Rig::synced(Server::start()).await;
    let pods = rig.server.client().api::<Pod>("default");
    let created = pods.create(&pod("a")).await.unwrap();
    rig.informer.note(created.clone());
    rig.settled().await;
    pods.delete("a", &Default::default()).await.unwrap();
    rig.informer.note_deleted(&created);
    tokio::time::sleep(Duration::from_secs(10)).await;
    rig.settled().await;
    assert_eq!(rig.replay.log(), ["+a", "-a"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_after_the_deletion_brings_nothing_back() {
    let rig = Rig::synced(Server::start()).await;
    let pods = rig.server.client().api::<Pod>("default");
    let created = pods.create(&pod("a")).await.unwrap();
    rig.settled().await;
    let changed = pods.update(&created).await.unwrap();
    rig.settled().await;
    rig.server.remove("pods", "default", "a");
    rig.settled().await;
    rig.informer.note(changed.clone());
    rig.settled().await;
    assert_eq!(rig.replay.log(), ["+a", "~a", "-a"]);
    // The same where the deletion was learnt from a list.
    let created = pods.create(&pod("b")).await.unwrap();
    rig.settled().await;
    rig.server.network().close();
    rig.server.remove("pods", "default", "b");
    rig.server.compact();
    rig.server.listen();
    rig.settled().await;
    rig.informer.note(created);
    rig.settled().await;
    assert_eq!(rig.replay.log(), ["+b", "-b"]);
}

/// Changes and failures in random order: at the end, and whenever it is quiet, the informer knows what the server knows.
#[tokio::test(start_paused = true)]
async fn random_failures_lose_and_double_nothing() {
    for seed in 0..40 {
        let mut random = StdRng::seed_from_u64(seed);
        let server = Server::start();
        server.page(7);
        let rig = Rig::synced(server).await;
        for step in 0..120 {
            let name = format!("pod-{}", random.random_range(0..20));
            match random.random_range(0..20) {
                0 => rig.server.network().cut(),
                1 => rig.server.order(Order::Close),
                2 => rig.server.order(Order::Expire),
                3 => rig.server.order(Order::Bookmark),
                4 => rig.server.compact(),
                5 => rig.server.fault("watch", Fault::CutBefore),
                6 => rig.server.fault("watch", Fault::CutAfter),
                7 => rig
                    .server
                    .fault("list", Fault::Delay(Duration::from_millis(random.random_range(0..9000)))),
                8 => rig.server.fault("list", Fault::CutAfter),
                9 => rig.server.fault("list", Fault::Refuse(status(410, "Expired"))),
                10 => rig.server.fault("watch", Fault::Refuse(status(500, "InternalError"))),
                11 => {
                    rig.server.network().close();
                    tokio::time::sleep(Duration::from_millis(random.random_range(0..20_000))).await;
                    rig.server.listen();
                }
                12 => tokio::time::sleep(Duration::from_millis(random.random_range(0..30_000))).await,
                13..16 => rig.server.remove("pods", "default", &name),
                _ => rig.server.put(pod(&name)),
            }
            tokio::time::sleep(Duration::from_millis(random.random_range(0..50))).await;
            if step % 40 == 39 {
                rig.settled().await;
            }
        }
    }
}
