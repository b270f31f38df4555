//! An API server in memory that does as a script says: objects, a log of their changes, and faults in between.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gantry_api::grpc::api::resources_server::ResourcesServer;
use gantry_api::grpc::api::{EventType, ResourceRef};
use gantry_api::meta::v1::Status;
use gantry_api::{Kind, Object, Resource, registry};
use parking_lot::Mutex;
use prost::Message;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tonic::Code;

use super::Network;
use crate::Client;

mod service;

/// What happens to one call.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// It is refused.
    Refuse(Refusal),
    /// It is answered after so long.
    Delay(Duration),
    /// It is never answered.
    Hang,
    /// The connections break before it takes effect.
    CutBefore,
    /// The connections break after it took effect, before the answer.
    CutAfter,
}

/// What happens to all watches that are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// They end, as they do after their time.
    Close,
    /// They are told that their revision is too old.
    Expire,
    /// They are told the present revision.
    Bookmark,
}

/// A call that was made.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: &'static str,
    pub(super) name: String,
    pub(super) resource_version: String,
    pub(super) token: String,
    pub(super) time: Instant,
}

type Key = (String, String, String);

#[derive(Clone)]
pub(super) struct Change {
    revision: i64,
    plural: String,
    r#type: EventType,
    object: Bytes,
}

pub(super) struct State {
    revision: i64,
    /// Changes up to this revision are forgotten.
    floor: i64,
    objects: BTreeMap<Key, Box<dyn Object>>,
    log: Vec<Change>,
    faults: HashMap<&'static str, VecDeque<Fault>>,
    calls: Vec<Call>,
    /// Objects per page of a list, at most.
    page: usize,
    /// The rest of lists that are being paged, by their revision.
    pages: HashMap<i64, Vec<Bytes>>,
}

/// Cheap to clone; clones are the same server.
#[derive(Clone)]
pub(super) struct Server {
    network: Network,
    state: Arc<Mutex<State>>,
    changed: Arc<watch::Sender<i64>>,
    orders: broadcast::Sender<Order>,
}

/// Why a call is refused.
pub(super) type Refusal = Box<Status>;

/// A refusal, as the API server words it.
pub(super) fn status(code: i32, reason: &str) -> Refusal {
    Box::new(Status {
        status: "Failure".into(),
        code,
        reason: reason.into(),
        message: reason.into(),
        ..Status::default()
    })
}

fn rpc(status: &Status) -> tonic::Status {
    let code = match status.code {
        404 => Code::NotFound,
        409 => Code::Aborted,
        410 => Code::OutOfRange,
        429 => Code::ResourceExhausted,
        _ => Code::Internal,
    };
    tonic::Status::with_details(code, status.message.clone(), status.encode_to_vec().into())
}

impl Server {
    /// A server that listens.
    pub(super) fn start() -> Self {
        let state = State {
            revision: 1,
            floor: 0,
            objects: BTreeMap::new(),
            log: Vec::new(),
            faults: HashMap::new(),
            calls: Vec::new(),
            page: usize::MAX,
            pages: HashMap::new(),
        };
        let server = Self {
            network: Network::new(),
            state: Arc::new(Mutex::new(state)),
            changed: Arc::new(watch::Sender::new(1)),
            orders: broadcast::Sender::new(64),
        };
        server.listen();
        server
    }

    /// Listens, again after a [`Network::close`].
    pub(super) fn listen(&self) {
        let incoming = self.network.listen();
        let service = ResourcesServer::new(self.clone());
        tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
    }

    pub(super) fn network(&self) -> &Network {
        &self.network
    }

    /// A client over a network of its own to this server.
    pub(super) fn client_from_elsewhere(&self) -> (Client, Network) {
        let network = Network::new();
        let service = ResourcesServer::new(self.clone());
        let serving =
            tonic::transport::Server::builder().add_service(service).serve_with_incoming(network.listen());
        tokio::spawn(serving);
        (Client::over(network.channel(), Duration::from_secs(10), 4 << 20), network)
    }

    pub(super) fn client(&self) -> Client {
        self.client_with(Duration::from_secs(10), 4 << 20)
    }

    pub(super) fn client_with(&self, deadline: Duration, max_message: usize) -> Client {
        Client::over(self.network.channel(), deadline, max_message)
    }

    /// What happens to the next call of a method; several happen one after the other, each to one call.
    pub(super) fn fault(&self, method: &'static str, fault: Fault) {
        self.state.lock().faults.entry(method).or_default().push_back(fault);
    }

    pub(super) fn order(&self, order: Order) {
        // Nobody watches: nothing happens.
        let _ = self.orders.send(order);
    }

    pub(super) fn watchers(&self) -> usize {
        self.orders.receiver_count()
    }

    /// Forgets the history up to now.
    pub(super) fn compact(&self) {
        let mut state = self.state.lock();
        state.floor = state.revision;
        state.log.clear();
        state.pages.clear();
    }

    pub(super) fn page(&self, size: usize) {
        self.state.lock().page = size;
    }

    pub(super) fn revision(&self) -> i64 {
        self.state.lock().revision
    }

    pub(super) fn calls(&self, method: &str) -> Vec<Call> {
        self.state.lock().calls.iter().filter(|call| call.method == method).cloned().collect()
    }

    /// Creates or replaces an object.
    pub(super) fn put<T: Resource + gantry_api::strategy::Strategy>(&self, object: T) {
        let mut state = self.state.lock();
        state.write(T::kind(), Box::new(object));
        self.changed.send_replace(state.revision);
    }

    pub(super) fn remove(&self, plural: &str, namespace: &str, name: &str) {
        let mut state = self.state.lock();
        state.remove(&(plural.to_owned(), namespace.to_owned(), name.to_owned()));
        self.changed.send_replace(state.revision);
    }

    /// The names of a kind's objects with their revisions.
    pub(super) fn objects(&self, plural: &str) -> BTreeMap<String, String> {
        let state = self.state.lock();
        let of_kind = state.objects.iter().filter(|((kind, ..), _)| kind == plural);
        of_kind.map(|((.., name), object)| (name.clone(), object.meta().resource_version.clone())).collect()
    }

    pub(super) fn get<T: Resource>(&self, namespace: &str, name: &str) -> Option<T> {
        let key = (T::kind().plural.to_owned(), namespace.to_owned(), name.to_owned());
        self.state.lock().objects.get(&key)?.downcast_ref::<T>().cloned()
    }
}

impl State {
    fn write(&mut self, kind: &'static Kind, mut object: Box<dyn Object>) -> Bytes {
        self.revision += 1;
        let meta = object.meta().clone();
        let key = (kind.plural.to_owned(), meta.namespace, meta.name);
        let r#type = match self.objects.get(&key) {
            Some(present) => {
                object.meta_mut().uid.clone_from(&present.meta().uid);
                EventType::Modified
            }
            None => {
                object.meta_mut().uid = format!("uid-{}", self.revision);
                EventType::Added
            }
        };
        object.meta_mut().resource_version = self.revision.to_string();
        let bytes = object.encode();
        self.log.push(Change {
            revision: self.revision,
            plural: key.0.clone(),
            r#type,
            object: bytes.clone(),
        });
        self.objects.insert(key, object);
        bytes
    }

    fn remove(&mut self, key: &Key) -> Option<Bytes> {
        let mut object = self.objects.remove(key)?;
        self.revision += 1;
        object.meta_mut().resource_version = self.revision.to_string();
        let change = Change {
            revision: self.revision,
            plural: key.0.clone(),
            r#type: EventType::Deleted,
            object: object.encode(),
        };
        self.log.push(change);
        Some(object.encode())
    }
}

fn key(at: &ResourceRef, name: &str) -> Key {
    (at.resource.clone(), at.namespace.clone(), name.to_owned())
}

fn kind(at: &ResourceRef) -> Result<&'static Kind, Refusal> {
    registry::by_resource(&at.group, &at.version, &at.resource).ok_or_else(|| status(404, "NotFound"))
}
