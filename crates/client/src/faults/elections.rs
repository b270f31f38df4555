//! Elections: whatever the network does, there are never two leaders.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gantry_api::coordination::v1::Lease;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Fault, Server, eventually};
use crate::leader::{LeaderElector, Settings};
use crate::{Client, leader};

const SECOND: Duration = Duration::from_secs(1);

/// Who leads; panics where two do.
#[derive(Clone, Default)]
struct Throne {
    leaders: Arc<AtomicUsize>,
    reigns: Arc<Mutex<Vec<(String, Instant)>>>,
}

/// A reign ends when the work is over or was dropped.
struct Reign(Throne);

impl Throne {
    fn ascend(&self, name: &str) -> Reign {
        let others = self.leaders.fetch_add(1, Ordering::SeqCst);
        assert_eq!(others, 0, "{name} leads beside another");
        self.reigns.lock().push((name.to_owned(), Instant::now()));
        Reign(self.clone())
    }

    fn is_taken(&self) -> bool {
        self.leaders.load(Ordering::SeqCst) > 0
    }

    fn names(&self) -> Vec<String> {
        self.reigns.lock().iter().map(|(name, _)| name.clone()).collect()
    }
}

impl Drop for Reign {
    fn drop(&mut self) {
        self.0.leaders.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A candidate whose work takes `drain` to end once it is told to.
async fn stand(
    client: Client,
    name: &str,
    throne: Throne,
    drain: Duration,
    stop: CancellationToken,
) -> Result<(), leader::Lost> {
    let settings = Settings { identity: name.to_owned(), ..Settings::new("test") };
    LeaderElector::new(&client, settings)
        .run(stop, |end| async move {
            let _reign = throne.ascend(name);
            end.cancelled().await;
            tokio::time::sleep(drain).await;
        })
        .await
}

fn holder(server: &Server) -> String {
    let lease = server.get::<Lease>("kube-system", "test");
    lease.and_then(|lease| lease.spec?.holder_identity).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_stops_hands_over_at_once() {
    let (server, throne) = (Server::start(), Throne::default());
    let (stop_a, stop_b) = (CancellationToken::new(), CancellationToken::new());
    let a = tokio::spawn(stand(server.client(), "a", throne.clone(), SECOND, stop_a.clone()));
    eventually("a leads", || throne.is_taken()).await;
    let b = tokio::spawn(stand(server.client(), "b", throne.clone(), SECOND, stop_b.clone()));
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(throne.names(), ["a"]);
    let start = Instant::now();
    stop_a.cancel();
    a.await.unwrap().unwrap();
    eventually("b leads", || throne.names() == ["a", "b"]).await;
    assert!(start.elapsed() < 6 * SECOND, "{:?}", start.elapsed());
    stop_b.cancel();
    b.await.unwrap().unwrap();
    assert_eq!(holder(&server), "", "given back");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_stops_before_another_starts() {
    // Work that ends at once, work that takes its time, and work that never ends.
    for drain in [Duration::ZERO, 3 * SECOND, 3600 * SECOND] {
        let (server, throne) = (Server::start(), Throne::default());
        let stop = CancellationToken::new();
        let (client, network) = server.client_from_elsewhere();
        let a = tokio::spawn(stand(client, "a", throne.clone(), drain, CancellationToken::new()));
        eventually("a leads", || throne.is_taken()).await;
        let b = tokio::spawn(stand(server.client(), "b", throne.clone(), SECOND, stop.clone()));
        tokio::time::sleep(7 * SECOND).await;
        network.silence(true);
        let lost = a.await.unwrap().unwrap_err();
        assert!(lost.to_string().contains("kube-system/test"), "{lost}");
        eventually("b leads", || throne.names() == ["a", "b"]).await;
        stop.cancel();
        b.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_takes_long_to_stop_keeps_its_lease_until_then() {
    let (server, throne) = (Server::start(), Throne::default());
    let (stop_a, stop_b) = (CancellationToken::new(), CancellationToken::new());
    let a = tokio::spawn(stand(server.client(), "a", throne.clone(), 19 * SECOND, stop_a.clone()));
    eventually("a leads", || throne.is_taken()).await;
    let b = tokio::spawn(stand(server.client(), "b", throne.clone(), SECOND, stop_b.clone()));
    tokio::time::sleep(5 * SECOND).await;
    stop_a.cancel();
    a.await.unwrap().unwrap();
    eventually("b leads", || throne.names() == ["a", "b"]).await;
    stop_b.cancel();
    b.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_renewal_whose_answer_is_lost_is_no_loss() {
    let (server, throne) = (Server::start(), Throne::default());
    let stop = CancellationToken::new();
    let a = tokio::spawn(stand(server.client(), "a", throne.clone(), SECOND, stop.clone()));
    eventually("a leads", || throne.is_taken()).await;
    for fault in [Fault::CutAfter, Fault::CutBefore, Fault::Delay(4 * SECOND), Fault::CutAfter] {
        server.fault("update", fault);
        tokio::time::sleep(9 * SECOND).await;
    }
    assert_eq!((throne.is_taken(), throne.names().len()), (true, 1));
    stop.cancel();
    a.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_somebody_else_took_ends_the_lead_at_once() {
    let (server, throne) = (Server::start(), Throne::default());
    let a =
        tokio::spawn(stand(server.client(), "a", throne.clone(), 3600 * SECOND, CancellationToken::new()));
    eventually("a leads", || holder(&server) == "a").await;
    let mut lease = server.get::<Lease>("kube-system", "test").unwrap();
    lease.spec.as_mut().unwrap().holder_identity = Some("usurper".into());
    server.put(lease);
    let start = Instant::now();
    a.await.unwrap().unwrap_err();
    assert!(start.elapsed() <= 3 * SECOND && !throne.is_taken(), "{:?}", start.elapsed());
}

/// Half an hour of networks that fail and heal, three candidates that come back whenever they lose.
#[tokio::test(start_paused = true)]
async fn random_partitions_never_make_two_leaders() {
    for seed in 0..2 {
        let mut random = StdRng::seed_from_u64(seed);
        let (server, throne) = (Server::start(), Throne::default());
        let stop = CancellationToken::new();
        let mut networks = Vec::new();
        let mut candidates = Vec::new();
        for name in ["a", "b", "c"] {
            let (client, network) = server.client_from_elsewhere();
            networks.push(network);
            let (throne, stop) = (throne.clone(), stop.clone());
            let drain = Duration::from_millis(random.random_range(0..12_000));
            candidates.push(tokio::spawn(async move {
                while !stop.is_cancelled() {
                    // Lost: the process would end, and its supervisor start another.
                    let _ = stand(client.clone(), name, throne.clone(), drain, stop.clone()).await;
                    tokio::time::sleep(SECOND).await;
                }
            }));
        }
        let mut led = 0;
        for _ in 0..120 {
            let network = &networks[random.random_range(0..networks.len())];
            match random.random_range(0..5) {
                0 => network.silence(true),
                1 => network.cut(),
                2 => server
                    .fault("update", Fault::Delay(Duration::from_millis(random.random_range(0..12_000)))),
                _ => network.silence(false),
            }
            tokio::time::sleep(Duration::from_millis(random.random_range(0..15_000))).await;
            led += usize::from(throne.is_taken());
        }
        for network in &networks {
            network.silence(false);
        }
        eventually("somebody leads in the end", || throne.is_taken()).await;
        assert!(led > 30 && throne.names().len() > 1, "seed {seed}: led {led}, {:?}", throne.names().len());
        stop.cancel();
        for candidate in candidates {
            candidate.await.unwrap();
        }
    }
}
