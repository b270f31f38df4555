//! What becomes of an object, given its owners.

use gantry_api::meta::v1::OwnerReference;

use super::graph::Node;

/// What an owner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// It is there.
    Present,
    /// It is being deleted and waits for its dependents.
    Leaving,
    /// It is gone.
    Absent,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing.
    Keep,
    /// Remove the references to these owners; another one keeps the object.
    Drop(Vec<String>),
    /// Delete it, with this policy for its own dependents.
    Delete(&'static str),
}

/// What becomes of an object.
pub(super) fn decide(node: &Node, owners: &[(OwnerReference, Owner)], has_dependents: bool) -> Decision {
    if owners.is_empty() {
        return Decision::Keep;
    }
    let not_present: Vec<String> = owners
        .iter()
        .filter(|(_, owner)| *owner != Owner::Present)
        .map(|(reference, _)| reference.uid.clone())
        .collect();
    if not_present.len() < owners.len() {
        return if not_present.is_empty() { Decision::Keep } else { Decision::Drop(not_present) };
    }
    let awaited = owners.iter().any(|(_, owner)| *owner == Owner::Leaving);
    if awaited && has_dependents {
        // Its own dependents go before it, as it goes before its owner.
        Decision::Delete("Foreground")
    } else if node.orphan {
        Decision::Delete("Orphan")
    } else if node.foreground {
        Decision::Delete("Foreground")
    } else {
        Decision::Delete("Background")
    }
}

#[cfg(test)]
mod tests {
    use super::{Decision, Owner, decide};
    use crate::garbagecollector::graph::Node;
    use gantry_api::Resource;
    use gantry_api::core::v1::Pod;
    use gantry_api::meta::v1::OwnerReference;

    fn result(owners: &[Owner], has_dependents: bool) -> Decision {
        let owners: Vec<_> = owners
            .iter()
            .enumerate()
            .map(|(number, owner)| (OwnerReference { uid: number.to_string(), ..Default::default() }, *owner))
            .collect();
        let node = Node {
            kind: Pod::kind(),
            key: Default::default(),
            uid: "x".into(),
            owners: vec![],
            deleting: false,
            foreground: false,
            orphan: false,
        };
        decide(&node, &owners, has_dependents)
    }

    #[test]
    fn an_object_lives_as_long_as_one_owner_does() {
        assert_eq!(result(&[], false), Decision::Keep);
        assert_eq!(result(&[Owner::Present], false), Decision::Keep);
        assert_eq!(result(&[Owner::Present, Owner::Absent], false), Decision::Drop(vec!["1".into()]));
        assert_eq!(result(&[Owner::Absent], false), Decision::Delete("Background"));
        assert_eq!(result(&[Owner::Leaving], false), Decision::Delete("Background"));
        assert_eq!(result(&[Owner::Leaving], true), Decision::Delete("Foreground"));
    }
}
