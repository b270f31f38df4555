//! Following containerd's events.

use std::sync::Arc;
use std::time::Duration;

use containerd_client::events::{TaskExit, TaskOom};
use containerd_client::services::v1::{PublishRequest, SubscribeRequest};
use containerd_client::types::Envelope;
use prost::Message;
use prost_types::Any;
use tonic::{Response, Status, Streaming};

use super::connection::{SHORT, call};
use super::record::{self, Finished};
use super::{Inner, tasks};
use crate::error::chain;
use crate::{Error, Result, RuntimeEvent};

const EXIT: &str = "/tasks/exit";
const OOM: &str = "/tasks/oom";
/// Our own: once it comes back, the subscription is in force.
const HELLO: &str = "/gantry/subscribed";

const HELLO_INTERVAL: Duration = Duration::from_millis(20);
const MAX_HELLOS: usize = 500;

/// How long to wait before the next attempt to subscribe.
const FIRST_DELAY: Duration = Duration::from_millis(20);
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// Follows events for ever. Whatever may have been missed is made up for by a resync.
pub(super) async fn follow(inner: Arc<Inner>) {
    let mut delay = FIRST_DELAY;
    loop {
        match subscribe(&inner).await {
            Ok(mut events) => {
                inner.emit(RuntimeEvent::Resync);
                delay = FIRST_DELAY;
                while let Ok(Some(envelope)) = events.message().await {
                    handle(&inner, &envelope);
                }
                tracing::warn!("containerd's event stream ended; following it again");
            }
            Err(error) => tracing::debug!(%error, "containerd's events cannot be followed at present"),
        }
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(LONGEST_DELAY);
    }
}

/// Subscribes, and returns once the subscription is in force.
///
/// containerd answers a subscription only with its first event, so we publish events of our own until one arrives:
/// nothing that happens after the first of them can be missed.
async fn subscribe(inner: &Arc<Inner>) -> Result<Streaming<Envelope>> {
    let namespace = inner.connection.namespace();
    let filter = |topic| format!("topic==\"{topic}\",namespace==\"{namespace}\"");
    let filters = [EXIT, OOM, HELLO].map(filter).to_vec();
    let mut client = inner.connection.events();
    let subscribing = client.subscribe(inner.connection.stream_request(SubscribeRequest { filters }));
    tokio::pin!(subscribing);
    for _ in 0..MAX_HELLOS {
        tokio::select! {
            biased;
            answer = &mut subscribing => return accept(answer),
            () = tokio::time::sleep(HELLO_INTERVAL) => {}
        }
        tokio::select! {
            biased;
            answer = &mut subscribing => return accept(answer),
            published = publish_hello(inner) => published?,
        }
    }
    Err(Error::Deadline { call: "subscribe", after: HELLO_INTERVAL * MAX_HELLOS as u32 })
}

fn accept(answer: Result<Response<Streaming<Envelope>>, Status>) -> Result<Streaming<Envelope>> {
    match answer {
        Ok(response) => Ok(response.into_inner()),
        Err(status) => Err(Error::Unavailable { call: "subscribe", reason: chain(&status) }),
    }
}

async fn publish_hello(inner: &Inner) -> Result<()> {
    let event = Any { type_url: "gantry.dev/Subscribed".into(), value: Vec::new() };
    let message = PublishRequest { topic: HELLO.into(), event: Some(event) };
    let request = inner.connection.request(message, SHORT);
    call("publish", SHORT, inner.connection.events().publish(request)).await.map(drop)
}

fn handle(inner: &Arc<Inner>, envelope: &Envelope) {
    let Some(event) = envelope.event.as_ref().filter(|_| envelope.namespace == inner.connection.namespace())
    else {
        return;
    };
    match envelope.topic.as_str() {
        // Execs in the container end by this event too, under their own id.
        EXIT => match TaskExit::decode(event.value.as_slice()) {
            Ok(exit) if exit.id == exit.container_id => {
                tokio::spawn(exited(Arc::clone(inner), exit));
            }
            Ok(_) => {}
            Err(error) => unreadable(inner, &error),
        },
        OOM => match TaskOom::decode(event.value.as_slice()) {
            Ok(oom) => inner.emit(RuntimeEvent::Oom { id: oom.container_id }),
            Err(error) => unreadable(inner, &error),
        },
        _ => {}
    }
}

fn unreadable(inner: &Inner, error: &prost::DecodeError) {
    tracing::warn!(%error, "an event of containerd could not be read");
    inner.emit(RuntimeEvent::Resync);
}

async fn exited(inner: Arc<Inner>, exit: TaskExit) {
    let id = exit.container_id;
    if inner.abandoned.lock().contains(&id) {
        return;
    }
    let exit_code = tasks::exit_code(exit.exit_status);
    let time = record::time(exit.exited_at);
    let container = match inner.find(&id).await {
        Ok(Some(container)) => container,
        // Removed meanwhile: whoever did so knows.
        Ok(None) => return,
        Err(error) => {
            tracing::warn!(container = id, %error, "the record of a container that ended could not be read");
            inner.emit(RuntimeEvent::Resync);
            return;
        }
    };
    let oom_killed = match record::take(&id, &mut container.labels.clone()) {
        // A process that was made and never got to run is no end of the container.
        Ok((_, None, _)) => return,
        Ok((created, _, None)) => tasks::oom_killed(exit_code, &created.cgroup),
        Ok((_, _, Some(finished))) => finished.oom_killed,
        // Not one of ours.
        Err(_) => return,
    };
    let finished = Finished { exit_code, at: time, oom_killed };
    let Ok(status) = Inner::describe(container, finished) else { return };
    let (pid, status) = (exit.pid, Box::new(status));
    inner.emit(RuntimeEvent::Exit { id: id.clone(), pid, exit_code, time, oom_killed, status });
    Inner::bury(&inner, id, finished);
}
