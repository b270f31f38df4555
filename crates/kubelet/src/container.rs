//! One container: what it is made of, and what happens around its life.

pub mod config;
pub mod env;
pub mod expand;
pub mod fields;
pub mod hook;
pub mod image;
pub mod ports;
pub mod resources;
pub mod security;
pub mod termination;
