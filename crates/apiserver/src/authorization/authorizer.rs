//! The decision: what the cluster's nodes may do, and what roles permit.

use std::sync::atomic::{AtomicBool, Ordering};

use gantry_api::rbac::v1::{PolicyRule, RoleRef};
use gantry_api::selector::FieldSelector;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::bootstrap::Defaults;
use super::followed::{Nodes, Roles};
use super::rbac::{Grant, Missing, Policy};
use super::{Attributes, node};
use crate::pipeline::{User, is_health};
use crate::status::ApiError;
use crate::verbs::Verbs;

/// Who may do everything.
pub(crate) const MASTERS: &str = "system:masters";

/// What the authorizer makes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Whether it is permitted.
    pub(crate) allowed: bool,
    /// Why, where there is more to say than that.
    pub(crate) reason: String,
}

/// Decides who may do what.
pub(crate) struct Authorizer {
    roles: RwLock<Roles>,
    nodes: RwLock<Nodes>,
    node_rules: Vec<PolicyRule>,
    /// What the default roles permit, for as long as they are being made in a new cluster.
    defaults: Policy,
    /// Whether the default roles have been seen to be there.
    settled: AtomicBool,
}

impl Authorizer {
    /// An authorizer over the roles that `verbs` serve.
    pub(crate) fn new(verbs: &Verbs, defaults: &Defaults) -> Result<Self, ApiError> {
        Ok(Self {
            roles: RwLock::new(Roles::new(verbs)?),
            nodes: RwLock::new(Nodes::new(verbs)?),
            node_rules: defaults.rules("system:node"),
            defaults: defaults.policy(),
            settled: AtomicBool::new(false),
        })
    }

    /// From now on a refusal is one, and not for want of the default roles.
    pub(crate) fn settle(&self) {
        self.settled.store(true, Ordering::Release);
    }

    /// Whether the default roles have been seen to be there.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Whether `user` may do this to what `fields` select; the error is the answer if not.
    pub(crate) fn authorize(
        &self,
        user: &User,
        attributes: &Attributes<'_>,
        fields: Option<&FieldSelector>,
    ) -> Result<(), ApiError> {
        let decision = self.decide(user, attributes, fields, false);
        if decision.allowed {
            return Ok(());
        }
        if !self.is_settled() {
            // A client that is told that it is forbidden may give up; what it may do is not known yet.
            return Err(ApiError::unavailable("the cluster's roles are not there yet"));
        }
        Err(attributes.forbidden(&user.name, &decision.reason))
    }

    /// Decides about a request. Why it is permitted is said where `tell` is: only reviews ask for that.
    pub(crate) fn decide(
        &self,
        user: &User,
        attributes: &Attributes<'_>,
        fields: Option<&FieldSelector>,
        tell: bool,
    ) -> Decision {
        let by = |grant: &Grant<'_>| {
            let reason = if tell { format!("RBAC: allowed by {grant}") } else { String::new() };
            Decision { allowed: true, reason }
        };
        if user.is_in(MASTERS) {
            return Decision { allowed: true, reason: String::new() };
        }
        let mut reasons = Vec::new();
        if user.is_in(NODES) {
            match self.of_node(user, attributes, fields) {
                Ok(()) => return Decision { allowed: true, reason: String::new() },
                Err(reason) => reasons.push(reason),
            }
        }
        if let Attributes::Path { verb: "get", path } = *attributes
            && is_health(path)
            && !self.is_settled()
        {
            return Decision { allowed: true, reason: String::new() };
        }
        let roles = self.roles();
        match roles.policy.decide(user, attributes) {
            Ok(grant) => return by(&grant),
            Err(missing) => reasons.push(not_found(&missing)),
        }
        if !self.is_settled()
            && roles.is_fresh()
            && let Ok(grant) = self.defaults.decide(user, attributes)
        {
            return by(&grant);
        }
        reasons.retain(|reason| !reason.is_empty());
        Decision { allowed: false, reason: reasons.join("\n") }
    }

    fn of_node(
        &self,
        user: &User,
        attributes: &Attributes<'_>,
        fields: Option<&FieldSelector>,
    ) -> Result<(), String> {
        // Who is in the group, but bears no node's name, is no node.
        let Some(name) = user.node() else { return Err(String::new()) };
        let nodes = if node::needs_graph(attributes) { self.nodes() } else { self.nodes.read() };
        let asking = node::Asking { node: name, graph: &nodes.graph, rules: &self.node_rules };
        asking.decide(attributes, fields)
    }

    /// All rules that hold for a user in a namespace, and what is wrong with others.
    pub(crate) fn rules_for(&self, user: &User, namespace: &str) -> (Vec<PolicyRule>, Vec<Missing>) {
        self.roles().policy.rules_for(user, namespace)
    }

    /// The rules of a role that a binding in `namespace` names.
    pub(crate) fn rules_of(&self, role: &RoleRef, namespace: &str) -> Result<Vec<PolicyRule>, Missing> {
        self.roles().policy.rules_of(role, namespace).map(<[_]>::to_vec)
    }

    fn roles(&self) -> RwLockReadGuard<'_, Roles> {
        let roles = self.roles.read();
        if !roles.is_behind() {
            return roles;
        }
        drop(roles);
        let mut roles = self.roles.write();
        roles.catch_up();
        RwLockWriteGuard::downgrade(roles)
    }

    fn nodes(&self) -> RwLockReadGuard<'_, Nodes> {
        let nodes = self.nodes.read();
        if !nodes.is_behind() {
            return nodes;
        }
        drop(nodes);
        let mut nodes = self.nodes.write();
        nodes.catch_up();
        RwLockWriteGuard::downgrade(nodes)
    }
}

/// The group of all nodes.
const NODES: &str = "system:nodes";

/// The roles that bindings name and that are not there, as a reason.
fn not_found(missing: &[Missing]) -> String {
    let texts: Vec<String> = missing.iter().map(ToString::to_string).collect();
    match texts.as_slice() {
        [] => String::new(),
        [one] => format!("RBAC: {one}"),
        several => format!("RBAC: [{}]", several.join(", ")),
    }
}
