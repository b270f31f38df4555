//! The pods of a ReplicaSet.

use gantry_api::Resource;
use gantry_api::apps::v1::ReplicaSet;
use gantry_api::core::v1::Pod;
use gantry_api::meta::v1::ObjectMeta;
use gantry_client::controller_reference;

/// Characters that make no words and are not mistaken for each other.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX: usize = 5;
/// Names are labels of DNS, of 63 characters.
const MAX_BASE: usize = 63 - SUFFIX;

/// Five characters of a random number.
pub(crate) fn suffix(random: u64) -> String {
    let base = ALPHABET.len() as u64;
    (0..SUFFIX as u32)
        .map(|digit| char::from(ALPHABET[usize::try_from(random / base.pow(digit) % base).unwrap_or(0)]))
        .collect()
}

/// A pod made from the template. It is named here and not by the API server, so that a creation whose answer was lost
/// is not repeated under another name.
pub(super) fn pod(set: &ReplicaSet, suffix: &str) -> Pod {
    let template = set.spec.as_ref().and_then(|spec| spec.template.clone()).unwrap_or_default();
    let meta = template.metadata.unwrap_or_default();
    let base = format!("{}-", set.name());
    let cut: String = base.chars().take(MAX_BASE).collect();
    Pod {
        metadata: Some(ObjectMeta {
            name: format!("{cut}{suffix}"),
            generate_name: base,
            namespace: set.namespace().to_owned(),
            labels: meta.labels,
            annotations: meta.annotations,
            finalizers: meta.finalizers,
            owner_references: vec![controller_reference(set)],
            ..ObjectMeta::default()
        }),
        spec: template.spec,
        status: None,
    }
}

#[cfg(test)]
mod tests {
    use super::{pod, suffix};
    use gantry_api::Resource;
    use gantry_api::apps::v1::ReplicaSet;
    use gantry_api::core::v1::PodTemplateSpec;

    #[test]
    fn the_template_becomes_a_pod() {
        let mut set = ReplicaSet::default();
        set.meta_mut().name = "w".repeat(70);
        set.meta_mut().uid = "u".into();
        let mut template = PodTemplateSpec::default();
        template.metadata.get_or_insert_default().labels.insert("app".into(), "web".into());
        set.spec.get_or_insert_default().template = Some(template);
        let pod = pod(&set, &suffix(1));
        assert_eq!(pod.name().len(), 63);
        assert_eq!(pod.name().strip_prefix(&"w".repeat(58)), Some("cbbbb"));
        assert_eq!(pod.meta().labels["app"], "web");
        assert_eq!(pod.meta().owner_references[0].controller, Some(true));
    }
}
