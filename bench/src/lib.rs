//! Benchmarks of a running cluster, each printed beside a baseline of the same minute.
//!
//! [`api`] measures the API server's writes and reads beside etcd's own puts, [`pods`] how long pods take to run,
//! [`memory`] what the processes occupy.

pub mod api;
pub mod memory;
pub mod pods;
pub mod sample;
