//! The only crate with unsafe code: small wrappers over system calls that std lacks.
