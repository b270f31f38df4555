//! The API server: gRPC and REST over one implementation of every verb.

pub mod admission;
mod aggregation;
pub mod app;
mod authorization;
pub mod bootstrap;
pub mod cache;
mod catalog;
mod certificates;
mod compaction;
mod config;
mod conversion;
mod custom;
mod discovery;
mod flow;
mod go_json;
pub mod grpc;
mod metrics;
pub mod nodes;
mod openapi;
pub mod options;
pub mod patch;
pub mod pipeline;
mod readiness;
mod rest;
mod reviews;
pub mod server;
mod split;
pub mod status;
mod table;
mod tokens;
mod trust;
pub mod verbs;
mod webhook;

pub use rest::decoders;
