//! Benchmarks and their baselines.

pub mod api;
pub mod bindings;
pub mod cluster;
pub mod cpu;
pub mod lists;
pub mod memory;
pub mod pods;
pub mod runc;
pub mod sample;
