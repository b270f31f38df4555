//! The stream of writes: each has exactly one outcome, and one that is not known is said to be so.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use gantry_api::Resource;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::server::{Order, status};
use super::{Fault, Server, eventually, pod};
use crate::Error;

#[tokio::test(start_paused = true)]
async fn outcomes_come_in_any_order_and_each_to_its_own_write() {
    let server = Server::start();
    let writer = server.client().writer();
    for number in 0..50 {
        server.fault(
            "mutate",
            match number % 3 {
                0 => Fault::Delay(Duration::from_millis(5000 - 100 * number)),
                1 => Fault::Refuse(status(422, "Invalid")),
                _ => Fault::Delay(Duration::ZERO),
            },
        );
    }
    let outcomes = join_all((0..50).map(|number| {
        let writer = writer.clone();
        async move { (number, writer.create(&pod(&format!("pod-{number}"))).await) }
    }))
    .await;
    let mut refused = 0;
    for (number, outcome) in outcomes {
        match outcome {
            Ok(written) => assert_eq!(written.name(), format!("pod-{number}")),
            Err(error) => {
                assert!(error.is_invalid(), "{error:?}");
                refused += 1;
            }
        }
    }
    assert_eq!((refused, server.objects("pods").len()), (17, 33));
}

#[tokio::test(start_paused = true)]
async fn a_break_leaves_the_outcome_of_what_was_sent_unknown_and_is_not_repeated() {
    let server = Server::start();
    let writer = server.client().writer();
    server.fault("mutate", Fault::Hang);
    server.fault("mutate", Fault::Hang);
    server.fault("mutate", Fault::CutAfter);
    let outcomes = join_all(["a", "b", "c"].map(|name| {
        let writer = writer.clone();
        async move { writer.create(&pod(name)).await }
    }))
    .await;
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::Broken { .. }), "{error:?}");
    }
    assert_eq!(server.calls("mutate").len(), 3);
    assert_eq!(server.objects("pods").into_keys().collect::<Vec<_>>(), ["c"]);
    // The next write finds its way.
    writer.create(&pod("d")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn writes_wait_for_a_server_that_is_away() {
    let server = Server::start();
    let writer = server.client().writer();
    writer.create(&pod("first")).await.unwrap();
    server.network().close();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let waiting = tokio::spawn({
        let writer = writer.clone();
        async move { writer.create(&pod("second")).await }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    server.listen();
    waiting.await.unwrap().unwrap();
    server.network().close();
    // The break is noticed; before that the write would be sent, and its outcome unknown.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let error = writer.create(&pod("third")).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. } | Error::Deadline { .. }), "{error:?}");
    assert_eq!(server.objects("pods").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_write_without_an_answer_ends_at_its_deadline() {
    let server = Server::start();
    let writer = server.client_with(Duration::from_secs(3), 4 << 20).writer();
    server.fault("mutate", Fault::Hang);
    let error = writer.create(&pod("a")).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { limit } if limit == Duration::from_secs(3)), "{error:?}");
    writer.create(&pod("b")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn more_writes_than_fit_at_once_all_go_through() {
    let server = Server::start();
    let writer = server.client().writer();
    let outcomes = join_all((0..2000).map(|number| {
        let writer = writer.clone();
        async move { writer.create(&pod(&format!("pod-{number}"))).await }
    }))
    .await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(server.objects("pods").len(), 2000);
}

/// Streams that end and break at random moments: a success was applied, a refusal was not, and no write is applied twice.
#[tokio::test(start_paused = true)]
async fn random_breaks_leave_no_write_without_an_outcome() {
    for seed in 0..30 {
        let mut random = StdRng::seed_from_u64(seed);
        let server = Server::start();
        let writer = server.client().writer();
        let mut writes = Vec::new();
        for number in 0..150 {
            match random.random_range(0..40) {
                0 => server.network().cut(),
                1 | 2 => server.order(Order::Close),
                3 => server.fault("mutate", Fault::Refuse(status(422, "Invalid"))),
                4 => server.fault("mutate", Fault::CutAfter),
                5 => server.fault("mutate", Fault::CutBefore),
                6 => {
                    let delay = Duration::from_millis(random.random_range(0..3000));
                    server.fault("mutate", Fault::Delay(delay));
                }
                7 => {
                    server.network().close();
                    tokio::time::sleep(Duration::from_millis(random.random_range(0..3000))).await;
                    server.listen();
                }
                8..12 => tokio::time::sleep(Duration::from_millis(random.random_range(0..30))).await,
                _ => {}
            }
            let writer = writer.clone();
            let name = format!("pod-{number}");
            writes.push(tokio::spawn(async move { (name.clone(), writer.create(&pod(&name)).await) }));
            tokio::task::yield_now().await;
        }
        let mut sent: BTreeMap<String, usize> = BTreeMap::new();
        let mut outcomes = Vec::new();
        for write in writes {
            outcomes.push(write.await.unwrap());
        }
        for call in server.calls("mutate") {
            *sent.entry(call.name).or_default() += 1;
        }
        let there = server.objects("pods");
        for (name, outcome) in outcomes {
            let times = sent.get(&name).copied().unwrap_or(0);
            assert!(times <= 1, "seed {seed}: {name} was sent {times} times");
            match outcome {
                Ok(_) => assert!(there.contains_key(&name), "seed {seed}: {name}"),
                Err(Error::Status(_)) => assert!(!there.contains_key(&name), "seed {seed}: {name}"),
                Err(Error::Broken { .. } | Error::Deadline { .. }) => {}
                Err(Error::Connect { .. }) => assert_eq!(times, 0, "seed {seed}: {name}"),
                Err(other) => panic!("seed {seed}: {name}: {other:?}"),
            }
        }
        drop(writer);
        server.order(Order::Close);
        eventually("the stream is closed", || server.watchers() == 0).await;
    }
}
