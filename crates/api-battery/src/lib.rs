//! Requests with the answers that they must get, for any Kubernetes API server.
//!
//! A case is a list of steps: a request, and what its answer must look like. Cases are YAML files below `cases/`, so that
//! they say nothing of the server. `make test-api` runs them all: against the server of `GANTRY_API_URL` with the files of
//! `GANTRY_API_CA`, `GANTRY_API_CERT` and `GANTRY_API_KEY`, or else against a server of its own over an etcd of its own.
//!
//! What a case may say is described at [`case::Step`] and [`expect::Pattern`].

pub mod case;
pub mod client;
pub mod expect;
pub mod kinds;
pub mod run;
pub mod subject;
