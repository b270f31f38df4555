//! Storage of encoded objects: etcd and in memory, behind one interface.
//!
//! The crate moves bytes. It knows keys, values and revisions, and nothing of the API's types: whatever is
//! above it decides what a value means. [`envelope`] and [`keys`] hold the two conventions that make the bytes
//! in etcd readable by Kubernetes' own tools.
//!
//! # The model
//!
//! Both implementations, [`EtcdStore`] and [`MemoryStore`], are multi-version stores with one counter, the
//! *revision*. Each write raises it by one and stamps what it wrote with it; that stamp is the
//! `resourceVersion` of the API. Reads see one revision, watches replay the revisions after a given one, and
//! compaction forgets the old ones, after which asking for them is [`Error::Compacted`].
//!
//! # Failures
//!
//! A write whose fate is not known is [`Error::OutcomeUnknown`]: it may have happened or may yet happen. It is
//! never reported as a success and never sent again by this crate. Everything else in [`Error`] is definite.
//!
//! # Watches and progress
//!
//! A [`Watch`] yields [`Batch`]es. Each says up to which revision its prefix is now known in full, so a cache
//! can serve a consistent read by taking [`Store::current_revision`], asking the watch to report once it has
//! got there ([`Progress::request`]) and waiting for that batch.

pub mod envelope;
mod error;
mod etcd;
mod fanout;
pub mod keys;
mod memory;
mod types;
mod watch;

pub use error::{Error, Result};
pub use etcd::{ClientIdentity, EtcdConfig, EtcdStore, TlsConfig};
pub use memory::MemoryStore;
pub use types::{Deleted, Event, Found, KeyValue, ListOptions, ListPage, Store};
pub use watch::{Batch, Progress, Watch};
