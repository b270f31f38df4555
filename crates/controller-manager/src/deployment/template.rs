//! Pod templates: when two are the same, and the name that follows from one.

use std::hash::Hasher;

use gantry_api::apps::v1::{Deployment, ReplicaSet};
use gantry_api::core::v1::PodTemplateSpec;
use prost::Message;

/// The label that tells the pods of a Deployment's ReplicaSets apart.
pub(super) const HASH: &str = "pod-template-hash";

/// Characters that make no words and are not mistaken for each other.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const DIGITS: u32 = 10;

/// Whether a ReplicaSet's pods are what the Deployment asks for.
pub(super) fn same(set: &ReplicaSet, deployment: &Deployment) -> bool {
    let of_set = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.template.as_ref());
    without_hash(of_set) == without_hash(wanted)
}

fn without_hash(template: Option<&PodTemplateSpec>) -> PodTemplateSpec {
    let mut template = template.cloned().unwrap_or_default();
    template.metadata.get_or_insert_default().labels.remove(HASH);
    template
}

/// The template's hash, for names and labels. It depends on nothing but the template's bytes, which never change for a
/// template that does not, and on how often names collided.
pub(super) fn hash(template: &PodTemplateSpec, collisions: i32) -> String {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    hasher.write(&template.encode_to_vec());
    if collisions > 0 {
        hasher.write(&collisions.to_le_bytes());
    }
    let (hash, base) = (hasher.finish(), ALPHABET.len() as u64);
    (0..DIGITS)
        .map(|digit| char::from(ALPHABET[usize::try_from(hash / base.pow(digit) % base).unwrap_or(0)]))
        .collect()
}

/// FNV-1a: stable across releases and machines, which the standard library's hasher does not promise.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::hash;
    use gantry_api::core::v1::PodTemplateSpec;

    #[test]
    fn hashes_are_stable_and_differ() {
        let mut template = PodTemplateSpec::default();
        template.metadata.get_or_insert_default().labels.insert("app".into(), "web".into());
        // A change of this value renames every ReplicaSet of every cluster, which rolls all of them out anew.
        let first = hash(&template, 0);
        assert_eq!(first.len(), 10);
        assert_eq!(first, hash(&template.clone(), 0));
        assert_ne!(first, hash(&template, 1));
        template.spec.get_or_insert_default().node_name = "n1".into();
        assert_ne!(first, hash(&template, 0));
    }
}
