//! The recorder: what becomes of events on their way to the API server.

use std::time::Duration;

use gantry_api::core::v1::Event;
use gantry_api::core::v1::Pod;

use super::{Fault, Server, eventually, pod};
use crate::recorder::{NORMAL, WARNING};
use crate::{Client, Recorder};

fn events(server: &Server) -> Vec<Event> {
    let names = server.objects("events");
    names.keys().filter_map(|name| server.get::<Event>("default", name)).collect()
}

fn recorder(client: Client) -> (Recorder, Pod) {
    (Recorder::new(client, "tester"), pod("web"))
}

#[tokio::test(start_paused = true)]
async fn repeats_are_counted_in_one_event() {
    let server = Server::start();
    let (recorder, pod) = recorder(server.client());
    for count in 1..=5 {
        recorder.event_for(&pod, WARNING, "BackOff", "it fell over");
        eventually("it is written", || events(&server).first().is_some_and(|event| event.count == count))
            .await;
    }
    let events = events(&server);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].involved_object.as_ref().map(|object| object.name.as_str()), Some("web"));
    assert_eq!(events[0].source.as_ref().map(|source| source.component.as_str()), Some("tester"));
}

#[tokio::test(start_paused = true)]
async fn the_repeat_of_an_event_that_expired_is_written_anew() {
    let server = Server::start();
    let (recorder, pod) = recorder(server.client());
    recorder.event_for(&pod, NORMAL, "Pulled", "the image is there");
    eventually("it is written", || events(&server).len() == 1).await;
    let name = server.objects("events").into_keys().next().unwrap();
    server.remove("events", "default", &name);
    recorder.event_for(&pod, NORMAL, "Pulled", "the image is there");
    eventually("it is written again", || events(&server).first().is_some_and(|event| event.count == 2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_event_holds_up_none_of_the_others() {
    let server = Server::start();
    let (recorder, pod) = recorder(server.client());
    server.fault("mutate", Fault::Hang);
    recorder.event_for(&pod, NORMAL, "Started", "first");
    recorder.event_for(&pod, NORMAL, "Pulled", "second");
    eventually("the second is written", || events(&server).len() == 1).await;
    // The server goes, and whatever was recorded meanwhile is dropped or written; recording never waits.
    server.network().close();
    for number in 0..2000 {
        recorder.event_for(&pod, NORMAL, "Flood", format!("message {number}"));
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    server.listen();
    recorder.event_for(&super::pod("db"), NORMAL, "Started", "the last");
    eventually("the last is written", || events(&server).iter().any(|event| event.message == "the last"))
        .await;
    assert!(events(&server).len() < 40, "{}", events(&server).len());
}
