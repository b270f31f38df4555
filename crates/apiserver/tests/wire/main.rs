//! The REST side on the wire: a whole server over the store in memory, its TLS port, and clients with certificates.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod admission;
mod api_services;
mod apply;
mod autoscalers;
mod bodies;
mod certificates;
mod contract;
mod custom;
mod devices;
mod documents;
mod eviction;
mod exec;
mod flow;
mod http;
mod impersonation;
mod kinds;
mod lists;
mod networking;
mod node;
mod nodes;
mod objects;
mod openapi;
mod overload;
mod patches;
mod pki;
mod pod_security;
mod policies;
mod protobuf;
mod proxy;
mod rbac;
mod reviews;
mod roles;
mod server;
mod service_accounts;
mod spdy;
mod storage;
mod subresources;
mod tokens;
mod updates;
mod views;
mod watches;
