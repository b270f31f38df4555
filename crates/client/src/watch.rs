//! One watch: a stream of changes that ends when the API server or the network says so.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;
use gantry_api::Resource;
use gantry_api::grpc::api::{Event, EventType, WatchRequest, WatchResponse};
use tonic::Streaming;

use crate::{Client, Error, api};

/// Bookmarks come each minute; a stream that is silent for longer is dead.
const SILENCE: Duration = Duration::from_secs(600);

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub enum WatchEvent<T> {
    /// An object that is new to this watch, by creation or because it is selected now.
    Added(T),
    /// A new state of an object.
    Modified(T),
    /// The last state of an object that is gone, or no longer selected.
    Deleted(T),
    /// Everything up to the revision has been sent.
    Bookmark {
        /// The revision.
        revision: i64,
        /// The initial events are over.
        initial_events_end: bool,
    },
}

/// The raw stream: events as bytes.
pub(crate) struct RawWatch {
    client: Client,
    stream: Streaming<WatchResponse>,
    ready: VecDeque<Event>,
}

impl RawWatch {
    pub(crate) async fn open(client: &Client, request: WatchRequest) -> Result<Self, Error> {
        let limit = client.deadline();
        let mut rpc = client.rpc();
        let response = tokio::time::timeout(limit, rpc.watch(client.request(request)))
            .await
            .map_err(|_| Error::Deadline { limit })?
            .map_err(|status| client.error(status))?;
        Ok(Self { client: client.clone(), stream: response.into_inner(), ready: VecDeque::new() })
    }

    /// The next event; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Result<Event, Error>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(match event.error {
                    Some(status) if event.r#type == i32::from(EventType::Error) => Err(status.into()),
                    _ => Ok(event),
                });
            }
            let message = match tokio::time::timeout(SILENCE, self.stream.message()).await {
                Ok(message) => message,
                Err(_) => return Some(Err(Error::Deadline { limit: SILENCE })),
            };
            match message {
                Ok(Some(response)) => self.ready.extend(response.events),
                Ok(None) => return None,
                Err(status) => return Some(Err(self.client.error(status))),
            }
        }
    }
}

/// A stream of changes of one type.
pub struct WatchStream<T> {
    raw: RawWatch,
    marker: PhantomData<fn() -> T>,
}

impl<T: Resource> WatchStream<T> {
    pub(crate) async fn open(client: &Client, request: WatchRequest) -> Result<Self, Error> {
        Ok(Self { raw: RawWatch::open(client, request).await?, marker: PhantomData })
    }

    /// The next change; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Result<WatchEvent<T>, Error>> {
        match self.raw.next().await? {
            Ok(event) => Some(typed(event, &|bytes| api::decode(bytes))),
            Err(error) => Some(Err(error)),
        }
    }
}

/// The event with its object decoded.
pub(crate) fn typed<T>(
    event: Event,
    decode: &impl Fn(&Bytes) -> Result<T, Error>,
) -> Result<WatchEvent<T>, Error> {
    match event.r#type() {
        EventType::Added => Ok(WatchEvent::Added(decode(&event.object)?)),
        EventType::Modified => Ok(WatchEvent::Modified(decode(&event.object)?)),
        EventType::Deleted => Ok(WatchEvent::Deleted(decode(&event.object)?)),
        EventType::Bookmark => Ok(WatchEvent::Bookmark {
            revision: event.revision,
            initial_events_end: event.initial_events_end,
        }),
        EventType::Error | EventType::Unspecified => {
            Err(Error::Incomplete { missing: "the type of a watch event" })
        }
    }
}
