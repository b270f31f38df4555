//! Limits and quotas of a namespace: what objects use, and whether they may.
//!
//! Pure functions. The API server asks them before an object is stored, the quota controller when it counts again
//! what is there; both must come to the same figures.
//!
//! - [`amounts`]: arithmetic of resource lists;
//! - [`pod`]: what a pod asks for as a whole;
//! - [`usage`]: what an object of any kind uses;
//! - [`scope`]: which objects a quota is about;
//! - [`limits`]: what a `LimitRange` fills in and forbids;
//! - [`charge`]: whether an object fits into a quota.

pub mod amounts;
pub mod charge;
pub mod limits;
pub mod pod;
pub mod scope;
pub mod usage;
