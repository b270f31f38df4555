//! What a namespace says about its deletion.

use std::collections::BTreeMap;

use gantry_api::Kind;
use gantry_api::core::v1::{Namespace, NamespaceCondition};
use gantry_api::scalars::Time;
use jiff::Timestamp;

/// What is left of a kind.
#[derive(Debug)]
pub(super) struct Remains {
    pub(super) kind: &'static Kind,
    pub(super) objects: usize,
    /// The finalizers of those objects.
    pub(super) finalizers: Vec<String>,
    /// Why the objects could not be deleted.
    pub(super) error: Option<String>,
}

impl Remains {
    pub(super) fn is_nothing(&self) -> bool {
        self.objects == 0 && self.error.is_none()
    }
}

/// The conditions that follow; `None` where the namespace has them.
pub(super) fn renew(
    namespace: &Namespace,
    remains: &[Remains],
    now: Timestamp,
) -> Option<Vec<NamespaceCondition>> {
    let errors: Vec<&str> = remains.iter().filter_map(|remains| remains.error.as_deref()).collect();
    let content: Vec<String> = remains
        .iter()
        .filter(|remains| remains.objects > 0)
        .map(|remains| {
            let group = if remains.kind.group.is_empty() { "" } else { "." };
            let (name, count) = (remains.kind.plural, remains.objects);
            format!("{name}{group}{} has {count} resource instances", remains.kind.group)
        })
        .collect();
    let mut finalizers: BTreeMap<&str, usize> = BTreeMap::new();
    for finalizer in remains.iter().flat_map(|remains| &remains.finalizers) {
        *finalizers.entry(finalizer).or_default() += 1;
    }
    let finalizers: Vec<String> =
        finalizers.iter().map(|(name, count)| format!("{name} in {count} resource instances")).collect();
    let conditions = [
        condition(
            "NamespaceDeletionContentFailure",
            (!errors.is_empty())
                .then(|| ("ContentDeletionFailed", format!("Failed to delete all: {}", errors.join(", ")))),
            ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
        ),
        condition(
            "NamespaceContentRemaining",
            (!content.is_empty()).then(|| {
                ("SomeResourcesRemain", format!("Some resources are remaining: {}", content.join(", ")))
            }),
            ("ContentRemoved", "All content successfully removed"),
        ),
        condition(
            "NamespaceFinalizersRemaining",
            (!finalizers.is_empty()).then(|| {
                let names = finalizers.join(", ");
                (
                    "SomeFinalizersRemain",
                    format!("Some content in the namespace has finalizers remaining: {names}"),
                )
            }),
            ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
        ),
    ];
    let present = namespace.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
    let mut wanted = present.clone();
    for mut condition in conditions {
        match wanted.iter_mut().find(|present| present.r#type == condition.r#type) {
            Some(present) => {
                condition.last_transition_time = if present.status == condition.status {
                    present.last_transition_time
                } else {
                    Some(Time::from(now))
                };
                *present = condition;
            }
            // What never was true need not be said to be false.
            None if condition.status == "False" => {}
            None => {
                condition.last_transition_time = Some(Time::from(now));
                wanted.push(condition);
            }
        }
    }
    (wanted != present).then_some(wanted)
}

fn condition(r#type: &str, trouble: Option<(&str, String)>, fine: (&str, &str)) -> NamespaceCondition {
    let (status, reason, message) = match trouble {
        Some((reason, message)) => ("True", reason, message),
        None => ("False", fine.0, fine.1.to_owned()),
    };
    NamespaceCondition {
        r#type: r#type.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        last_transition_time: None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Remains, renew};
    use gantry_api::Resource;
    use gantry_api::core::v1::{Namespace, Pod};
    use jiff::Timestamp;

    #[test]
    fn what_remains_is_said_and_then_unsaid() {
        let remains = |objects| Remains { kind: Pod::kind(), objects, finalizers: vec![], error: None };
        let mut namespace = Namespace::default();
        assert_eq!(renew(&namespace, &[remains(0)], Timestamp::UNIX_EPOCH), None);
        let conditions = renew(&namespace, &[remains(2)], Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(conditions.len(), 1);
        assert_eq!(conditions[0].message, "Some resources are remaining: pods has 2 resource instances");
        namespace.status.get_or_insert_default().conditions = conditions;
        assert_eq!(renew(&namespace, &[remains(2)], Timestamp::UNIX_EPOCH), None);
        let conditions = renew(&namespace, &[remains(0)], Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(conditions[0].status, "False");
    }
}
