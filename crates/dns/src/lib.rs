//! The cluster's DNS server: names of services, headless services and pods, by Kubernetes' DNS specification 1.1.0.
//!
//! [`index`] turns Services and EndpointSlices into records, [`lookup`] answers a question from them; both are pure.
//! [`server`] speaks DNS and forwards other names, [`follow`] keeps the index up to date, [`publish`] makes the
//! `kube-dns` Service.

pub mod follow;
pub mod forward;
pub mod index;
pub mod lookup;
pub mod options;
pub mod publish;
pub mod server;
