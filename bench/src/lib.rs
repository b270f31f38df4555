//! Benchmarks and their baselines.

pub mod api;
pub mod apply;
pub mod bindings;
pub mod cache;
pub mod cluster;
pub mod cpu;
pub mod events;
pub mod lists;
pub mod memory;
pub mod pods;
pub mod rest;
pub mod runc;
pub mod sample;
pub mod watchers;
pub mod watches;
