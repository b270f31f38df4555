//! Tokens: those of service accounts, which the server signs itself, those of a file, and those of machines that join.

mod authenticator;
mod bootstrap;
mod claims;
mod discovery;
mod file;
mod issuer;
mod keys;
mod request;

pub(crate) use authenticator::Authenticator;
pub(crate) use discovery::{configuration, key_set};
pub(crate) use file::{FileError, StaticTokens};
pub(crate) use issuer::{Issuer, Settings};
pub(crate) use keys::KeyError;
pub(crate) use request::create;
