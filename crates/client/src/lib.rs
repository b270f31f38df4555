//! Typed client, informers, work queues, leader election and event recording.
//!
//! Everything that talks to the API server is written on this crate; nothing else holds a watch loop.
//!
//! ```no_run
//! use gantry_api::core::v1::Pod;
//! use gantry_client::{Client, Config, Informer, ListOptions};
//! use tokio_util::sync::CancellationToken;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new(Config::from_kubeconfig("kubeconfig".as_ref())?)?;
//! let pods = client.api::<Pod>("default").list(&ListOptions::default()).await?;
//! println!("{} pods", pods.items.len());
//!
//! let stop = CancellationToken::new();
//! let informer = Informer::<Pod>::builder(&client)
//!     .index("node", |pod| pod.spec.iter().map(|spec| spec.node_name.clone()).collect())
//!     .spawn(stop);
//! informer.synced().await;
//! println!("{} pods on n1", informer.store().by_index("node", "n1").len());
//! # Ok(())
//! # }
//! ```

mod api;
mod backoff;
mod client;
pub mod config;
pub mod controller;
mod custom;
mod dynamic;
mod error;
#[cfg(test)]
mod faults;
mod informer;
pub mod leader;

mod node;
mod owner;
mod pod;
mod queue;
pub mod recorder;

mod watch;
mod writer;

pub use api::{Api, List};
pub use backoff::Backoff;
pub use client::{Client, SetupError};
pub use config::Config;
pub use dynamic::{DynamicApi, DynamicEvent, DynamicList, DynamicWatch};
pub use error::Error;
pub use informer::{
    Builder as InformerBuilder, Event, Informer, Metadata, ObjectKey, Store, Stored, Subscription,
};

pub use leader::LeaderElector;
pub use node::{NodeClient, NodeStream};
pub use owner::{controller_of, controller_reference, is_controlled_by};
pub use pod::PodExt;
pub use queue::WorkQueue;

pub use recorder::{Recorder, object_reference};
pub use watch::{WatchEvent, WatchStream};
pub use writer::Writer;

pub use gantry_api::grpc::api::{PatchType, Resource as DiscoveredResource};
pub use gantry_api::meta::v1::{
    CreateOptions, DeleteOptions, GetOptions, ListOptions, PatchOptions, Preconditions, UpdateOptions,
};
