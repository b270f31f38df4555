//! Fetching images from registries: the OCI distribution protocol, as far as pulling needs it.

mod auth;
mod client;
mod config;
mod manifest;
mod reference;
mod tls;

pub(crate) use client::{Client, Fetched, Source};
pub use config::{RegistryEndpoint, RegistryOptions};
pub(crate) use manifest::{Config, Descriptor, Document, Manifest, for_this_platform};
pub(crate) use reference::Reference;
