//! What differs between two states of the rules. No input or output happens here.

use std::{collections::BTreeSet, net::SocketAddrV4};

use crate::ruleset::{Chain, Ruleset, Slot, Sticky, Value};

/// One step of a transaction. In the order in which [`diff`] returns them each refers only to what exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Add a shared chain. They are few and are never removed.
    AddChain(Chain),
    /// Add the sets and chains for clients of these endpoints.
    AddClients(u64, Vec<SocketAddrV4>, u32),
    /// Add or replace the rules of a service with session affinity.
    SetSticky(u64, Sticky),
    /// Remove an element.
    Remove(Slot),
    /// Add an element.
    Insert(Slot, Value),
    /// Remove the chain of a service with session affinity.
    RemoveSticky(u64),
    /// Remove the sets and chains for clients of these endpoints.
    RemoveClients(u64, Vec<SocketAddrV4>),
}

/// The steps from `old` to `new`; none when they are equal. The pod range must be the same in both.
pub fn diff(old: &Ruleset, new: &Ruleset) -> Vec<Change> {
    let existing = old.chains();
    let mut changes: Vec<_> = new.chains().difference(&existing).copied().map(Change::AddChain).collect();
    add_sticky(old, new, &mut changes);
    for (slot, value) in &old.elements {
        if new.elements.get(slot) != Some(value) {
            changes.push(Change::Remove(*slot));
        }
    }
    for (slot, value) in &new.elements {
        if old.elements.get(slot) != Some(value) {
            changes.push(Change::Insert(*slot, *value));
        }
    }
    remove_sticky(old, new, &mut changes);
    changes
}

/// Chains and sets must exist before an element leads to them. The timeout is part of the id, so it is the
/// same on both sides.
fn add_sticky(old: &Ruleset, new: &Ruleset, changes: &mut Vec<Change>) {
    for (id, sticky) in &new.sticky {
        let before = old.sticky.get(id);
        if before == Some(sticky) {
            continue;
        }
        let known = before.map(|before| before.endpoints.as_slice()).unwrap_or_default();
        let added = without(&sticky.endpoints, known);
        if !added.is_empty() {
            changes.push(Change::AddClients(*id, added, sticky.timeout));
        }
        changes.push(Change::SetSticky(*id, sticky.clone()));
    }
}

/// Chains and sets can go only when nothing leads to them any more.
fn remove_sticky(old: &Ruleset, new: &Ruleset, changes: &mut Vec<Change>) {
    for (id, sticky) in &old.sticky {
        let after = new.sticky.get(id);
        if after.is_none() {
            changes.push(Change::RemoveSticky(*id));
        }
        let kept = after.map(|after| after.endpoints.as_slice()).unwrap_or_default();
        let gone = without(&sticky.endpoints, kept);
        if !gone.is_empty() {
            changes.push(Change::RemoveClients(*id, gone));
        }
    }
}

fn without(all: &[SocketAddrV4], others: &[SocketAddrV4]) -> Vec<SocketAddrV4> {
    let others: BTreeSet<_> = others.iter().collect();
    all.iter().filter(|address| !others.contains(address)).copied().collect()
}

/// Whether entries of connection tracking can have become wrong: only UDP outlives its endpoint silently.
pub fn touches_udp(changes: &[Change]) -> bool {
    use crate::model::Protocol::Udp;
    changes.iter().any(|change| match change {
        Change::Remove(slot) | Change::Insert(slot, _) => slot.protocol() == Some(Udp),
        Change::SetSticky(..) => true,
        _ => false,
    })
}
