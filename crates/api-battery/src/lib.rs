//! Requests with the answers that they must get, for any Kubernetes API server.
//!
//! A case is a list of steps: a request, and what its answer must look like. Cases are YAML files below `cases/`, so that
//! they say nothing of the server. `make test-api` runs them all: against the server of `GANTRY_API_URL` with the files of
//! `GANTRY_API_CA`, `GANTRY_API_CERT` and `GANTRY_API_KEY`, or else against a server of its own over an etcd of its own.
//!
//! What a case may say is described at [`case::Step`] and [`expect::Pattern`]. Cases that are alike for all kinds, or for
//! all operations, are made from what the server shows of itself: [`kinds`], [`documents`], [`refusals`].
//!
//! Everything that the server shows must be asked for: [`gaps`] compares its discovery and its OpenAPI documents
//! ([`surface`]) with what was answered as expected ([`coverage`]). A kind without a sample, an operation without a case, a
//! parameter or a media type that no case uses fails the battery.

pub mod case;
pub mod client;
pub mod coverage;
pub mod definition;
pub mod documents;
pub mod expect;
pub mod gaps;
pub mod kinds;
pub mod protobuf;
pub mod refusals;
pub mod run;
pub mod subject;
pub mod surface;
