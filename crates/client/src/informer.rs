//! Informers: a local copy of the objects of one type that follows the API server.
//!
//! An informer lists once and then watches. After a break it resumes from the last revision that it has seen, so that
//! nothing is lost; where that is too old (410) it lists again and reports the difference. Objects are shared: the
//! store, its indexes and the events hold the same allocation.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use gantry_api::meta::v1::{ListOptions, ObjectMeta};
use gantry_api::{Kind, Resource};
use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::Client;

mod metadata;
mod reflector;
mod store;

pub use metadata::Metadata;
pub use store::{ObjectKey, Store};

use store::IndexFn;

/// Events that a subscriber may lag behind before it is told to look at the store instead.
const LAG: usize = 1024;

/// What informers can hold: every kind's objects, parts of them, or their [`Metadata`] alone.
pub trait Stored: prost::Message + Default + 'static {
    /// The object's metadata.
    fn metadata(&self) -> &ObjectMeta;
}

impl<T: Resource> Stored for T {
    fn metadata(&self) -> &ObjectMeta {
        self.meta()
    }
}

/// A change of the store.
#[derive(Debug)]
pub enum Event<T> {
    /// An object that the store did not have.
    Added(Arc<T>),
    /// A new state of an object.
    Modified {
        /// The state before.
        old: Arc<T>,
        /// The present state.
        new: Arc<T>,
    },
    /// The last state of an object that is gone.
    Deleted(Arc<T>),
    /// The subscriber joined late or lagged: it must look at the whole store, which says more than the events that it
    /// has not seen.
    Resync,
}

impl<T> Clone for Event<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Added(object) => Self::Added(object.clone()),
            Self::Modified { old, new } => Self::Modified { old: old.clone(), new: new.clone() },
            Self::Deleted(object) => Self::Deleted(object.clone()),
            Self::Resync => Self::Resync,
        }
    }
}

impl<T> Event<T> {
    /// The object's newest state.
    #[must_use]
    pub fn object(&self) -> Option<&Arc<T>> {
        match self {
            Self::Added(object) | Self::Deleted(object) | Self::Modified { new: object, .. } => Some(object),
            Self::Resync => None,
        }
    }
}

type Handler<T> = Box<dyn Fn(&Event<T>) + Send + Sync>;
type Transform<T> = Arc<dyn Fn(&mut T) + Send + Sync>;

/// What an informer follows.
pub struct Builder<T> {
    client: Client,
    kind: &'static Kind,
    namespace: String,
    options: ListOptions,
    indexes: Vec<(&'static str, IndexFn<T>)>,
    transform: Option<Transform<T>>,
}

impl<T: Stored> Builder<T> {
    /// Only the objects of a namespace; empty means all.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// Only the objects whose fields have these values, such as `spec.nodeName=n1`.
    #[must_use]
    pub fn field_selector(mut self, selector: &str) -> Self {
        selector.clone_into(&mut self.options.field_selector);
        self
    }

    /// Only the objects with these labels.
    #[must_use]
    pub fn label_selector(mut self, selector: &str) -> Self {
        selector.clone_into(&mut self.options.label_selector);
        self
    }

    /// Lets [`Store::by_index`] find objects by the values that `values` gives for each.
    #[must_use]
    pub fn index(
        mut self,
        name: &'static str,
        values: impl Fn(&T) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        self.indexes.push((name, Box::new(values)));
        self
    }

    /// Changes each object before it is stored: what nobody reads need not lie in memory.
    #[must_use]
    pub fn transform(mut self, transform: impl Fn(&mut T) + Send + Sync + 'static) -> Self {
        self.transform = Some(Arc::new(transform));
        self
    }

    /// Starts it. It runs until `stop`.
    #[must_use]
    pub fn spawn(self, stop: CancellationToken) -> Informer<T> {
        let shared = Arc::new(Shared {
            store: Store::new(self.indexes),
            subscribers: Mutex::new(Some(broadcast::Sender::new(LAG))),
            handlers: Mutex::new(Vec::new()),
            synced: watch::Sender::new(false),
            transform: self.transform,
            position: AtomicI64::new(0),
        });
        let reflector = reflector::Reflector {
            client: self.client,
            kind: self.kind,
            namespace: self.namespace,
            options: self.options,
            shared: shared.clone(),
        };
        tokio::spawn(reflector.run(stop));
        Informer { shared }
    }
}

/// A local copy of the objects of one type. Cheap to clone.
pub struct Informer<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Clone for Informer<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<T> std::fmt::Debug for Informer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Informer").field("synced", &*self.shared.synced.borrow()).finish_non_exhaustive()
    }
}

impl<T: Resource> Informer<T> {
    /// What to follow: all objects, unless the builder is told otherwise.
    #[must_use]
    pub fn builder(client: &Client) -> Builder<T> {
        Builder::new(client, T::kind())
    }
}

impl Informer<Metadata> {
    /// The metadata of the objects of any kind; nothing else is decoded or kept.
    #[must_use]
    pub fn metadata(client: &Client, kind: &'static Kind) -> Builder<Metadata> {
        Self::partial(client, kind)
    }
}

impl<T: Stored> Informer<T> {
    /// Parts of the objects of a kind: `T` is a message with some of the fields of the kind's own, under the same
    /// numbers. Nothing else is decoded or kept, which makes a large difference where there are many objects.
    #[must_use]
    pub fn partial(client: &Client, kind: &'static Kind) -> Builder<T> {
        Builder::new(client, kind)
    }
}

impl<T> Builder<T> {
    fn new(client: &Client, kind: &'static Kind) -> Self {
        Self {
            client: client.clone(),
            kind,
            namespace: String::new(),
            options: ListOptions::default(),
            indexes: Vec::new(),
            transform: None,
        }
    }
}

impl<T: Stored> Informer<T> {
    /// The objects.
    #[must_use]
    pub fn store(&self) -> Store<T> {
        self.shared.store.clone()
    }

    /// Whether the first list is complete.
    #[must_use]
    pub fn has_synced(&self) -> bool {
        *self.shared.synced.borrow()
    }

    /// Waits for the first list, or for the end. Handlers have seen what the list brought. Put a deadline on it where
    /// waiting for the API server is not the thing to do.
    pub async fn synced(&self) -> bool {
        self.shared.synced.subscribe().wait_for(|synced| *synced).await.is_ok()
    }

    /// Takes over what the API server answered to a write of this process, so that the next look at the store sees it
    /// and need not guess what is still under way. The watch brings the same state later, and nothing happens then.
    pub fn note(&self, mut object: T) {
        self.shared.lighten(&mut object);
        self.shared.apply(|store| {
            // What the watch has passed and the store does not have was deleted meanwhile: the answer came late.
            let key = ObjectKey::of_meta(object.metadata());
            let passed = store::revision(&object) <= self.shared.position.load(Ordering::Relaxed);
            if passed && store.get_key(&key).is_none() { None } else { store.upsert(object) }
        });
    }

    /// Takes over that this process deleted an object at once. One that stays for a while, with a deletion time, is a
    /// case for [`Informer::note`].
    pub fn note_deleted(&self, object: &T) {
        let key = ObjectKey::of_meta(object.metadata());
        self.shared.apply(|store| store.bury(&key, &object.metadata().uid));
    }

    /// Events from now on. A subscriber never loses one unnoticed: where it lags or joins late, it gets
    /// [`Event::Resync`].
    #[must_use]
    pub fn subscribe(&self) -> Subscription<T> {
        let handlers = self.shared.handlers.lock();
        let receiver = self.shared.subscribers.lock().as_ref().map(broadcast::Sender::subscribe);
        let subscription = Subscription { receiver, resync: !self.shared.store.is_empty() };
        drop(handlers);
        subscription
    }

    /// Calls `handler` for every object that is there now, as added, and for every event from then on, in order. It is
    /// called by the informer itself and must return at once: put a key in a queue.
    pub fn on_event(&self, handler: impl Fn(&Event<T>) + Send + Sync + 'static) {
        // Events are dispatched under the same lock, so none falls between the objects and the events.
        let mut handlers = self.shared.handlers.lock();
        for object in self.shared.store.list() {
            handler(&Event::Added(object));
        }
        handlers.push(Box::new(handler));
    }
}

/// The events of an informer.
#[derive(Debug)]
pub struct Subscription<T> {
    receiver: Option<broadcast::Receiver<Event<T>>>,
    resync: bool,
}

impl<T> Subscription<T> {
    /// The next event; `None` when the informer has ended.
    pub async fn next(&mut self) -> Option<Event<T>> {
        if std::mem::take(&mut self.resync) {
            return Some(Event::Resync);
        }
        let receiver = self.receiver.as_mut()?;
        match receiver.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Closed) => None,
            Err(broadcast::error::RecvError::Lagged(_)) => {
                // What is still in the channel is in the store already.
                *receiver = receiver.resubscribe();
                Some(Event::Resync)
            }
        }
    }
}

struct Shared<T> {
    store: Store<T>,
    subscribers: Mutex<Option<broadcast::Sender<Event<T>>>>,
    handlers: Mutex<Vec<Handler<T>>>,
    synced: watch::Sender<bool>,
    transform: Option<Transform<T>>,
    /// Every change up to this revision is in the store. Changes under the lock of the handlers only.
    position: AtomicI64,
}

impl<T: Stored> Shared<T> {
    /// Notes that every change up to a revision is in the store.
    fn reached(&self, revision: i64) {
        let _changing = self.handlers.lock();
        self.position.fetch_max(revision, Ordering::Relaxed);
    }

    /// Makes an object what is stored of it.
    fn lighten(&self, object: &mut T) {
        if let Some(transform) = &self.transform {
            transform(object);
        }
    }

    /// Changes the store and reports the change.
    fn apply(&self, change: impl FnOnce(&Store<T>) -> Option<Event<T>>) {
        let handlers = self.handlers.lock();
        let Some(event) = change(&self.store) else { return };
        for handler in handlers.iter() {
            handler(&event);
        }
        if let Some(subscribers) = self.subscribers.lock().as_ref()
            && subscribers.receiver_count() > 0
        {
            // An error says that the last subscriber left meanwhile.
            drop(subscribers.send(event));
        }
    }
}
