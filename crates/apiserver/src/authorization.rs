//! Who may do what: nodes what belongs to their pods, all others what roles permit.
//!
//! Decisions are pure functions of the attributes of a request and of an index of the live roles and bindings; see
//! [`rbac`] and [`node`]. [`followed`] keeps the index, [`bootstrap`] the roles that every cluster has, and
//! [`escalation`] keeps those who write roles from giving away more than they have.

mod attributes;
mod authorizer;
pub(crate) mod bootstrap;
pub(crate) mod escalation;
mod followed;
pub(crate) mod identity;
mod node;
pub(crate) mod rbac;
mod requester;

pub(crate) use attributes::Attributes;
pub(crate) use authorizer::{Authorizer, Decision, MASTERS};
pub(crate) use node::named_by;
pub(crate) use requester::{Requester, authorize, authorize_selected};
