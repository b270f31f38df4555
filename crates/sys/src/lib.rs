//! The only crate with unsafe code: small wrappers over system calls that std lacks.
#![allow(unsafe_code)]

pub mod inherited;
