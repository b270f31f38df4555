//! Which names a definition gets, and the conditions that tell.

use gantry_api::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionCondition, CustomResourceDefinitionNames,
    CustomResourceDefinitionStatus,
};
use gantry_api::custom::CLEANUP;
use gantry_api::scalars::Time;

pub(super) const ESTABLISHED: &str = "Established";
pub(super) const NAMES_ACCEPTED: &str = "NamesAccepted";
pub(super) const TERMINATING: &str = "Terminating";

/// The names that other definitions of the group have already.
#[derive(Debug, Default)]
pub(super) struct Taken<'a> {
    resources: Vec<&'a str>,
    kinds: Vec<&'a str>,
}

impl<'a> Taken<'a> {
    /// Those of several definitions.
    pub(super) fn by(others: impl IntoIterator<Item = &'a CustomResourceDefinitionNames>) -> Self {
        let mut taken = Self::default();
        for names in others {
            taken.resources.extend([names.plural.as_str(), names.singular.as_str()]);
            taken.resources.extend(names.short_names.iter().map(String::as_str));
            taken.kinds.extend([names.kind.as_str(), names.list_kind.as_str()]);
        }
        taken
    }
}

/// A name that somebody else has, if it is not ours already.
fn conflict(wanted: &str, accepted: &str, taken: &[&str]) -> Option<String> {
    (wanted != accepted && taken.contains(&wanted)).then(|| format!("{wanted:?} is already in use"))
}

/// The status of a definition, from its names and those of others. Once established, it stays so.
pub(super) fn status(
    definition: &CustomResourceDefinition,
    taken: &Taken<'_>,
) -> CustomResourceDefinitionStatus {
    let mut status = definition.status.clone().unwrap_or_default();
    let wanted = definition.spec.as_ref().and_then(|spec| spec.names.clone()).unwrap_or_default();
    let before = status.accepted_names.clone().unwrap_or_default();
    let mut names = before.clone();
    let mut refused = None;
    let mut choose =
        |wanted: &str, accepted: &mut String, taken: &[&str], reason: &'static str| match conflict(
            wanted, accepted, taken,
        ) {
            Some(message) => refused = Some((reason, message)),
            None => wanted.clone_into(accepted),
        };
    choose(&wanted.plural, &mut names.plural, &taken.resources, "PluralConflict");
    choose(&wanted.singular, &mut names.singular, &taken.resources, "SingularConflict");
    let foreign = wanted.short_names.iter().filter(|name| !before.short_names.contains(name));
    let conflicts: Vec<String> = foreign.filter_map(|name| conflict(name, "", &taken.resources)).collect();
    let short = match conflicts.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(format!("[{}]", several.join(", "))),
    };
    choose(&wanted.kind, &mut names.kind, &taken.kinds, "KindConflict");
    choose(&wanted.list_kind, &mut names.list_kind, &taken.kinds, "ListKindConflict");
    match short {
        Some(message) => refused = refused.or(Some(("ShortNamesConflict", message))),
        None => names.short_names = wanted.short_names,
    }
    names.categories = wanted.categories;
    status.accepted_names = Some(names);
    let accepted = refused.is_none();
    match refused {
        Some((reason, message)) => set(&mut status, NAMES_ACCEPTED, false, reason, &message),
        None => set(&mut status, NAMES_ACCEPTED, true, "NoConflicts", "no conflicts found"),
    }
    if !status.conditions.iter().any(|one| one.r#type == ESTABLISHED && one.status == "True") {
        if accepted {
            set(
                &mut status,
                ESTABLISHED,
                true,
                "InitialNamesAccepted",
                "the initial names have been accepted",
            );
        } else {
            set(&mut status, ESTABLISHED, false, "NotAccepted", "not all names are accepted");
        }
    }
    status
}

/// Sets a condition; its time is that of the last change from true to false or back.
pub(super) fn set(
    status: &mut CustomResourceDefinitionStatus,
    r#type: &str,
    holds: bool,
    reason: &str,
    message: &str,
) {
    let value = if holds { "True" } else { "False" };
    let found = status.conditions.iter_mut().find(|condition| condition.r#type == r#type);
    let condition = match found {
        Some(condition) => condition,
        None => {
            let new = CustomResourceDefinitionCondition { r#type: r#type.to_owned(), ..Default::default() };
            status.conditions.push(new);
            // It was pushed just now.
            let Some(new) = status.conditions.last_mut() else { return };
            new
        }
    };
    if condition.status != value {
        value.clone_into(&mut condition.status);
        condition.last_transition_time = Some(Time::now());
    }
    reason.clone_into(&mut condition.reason);
    message.clone_into(&mut condition.message);
}

/// What the first deletion of a definition does: its objects go first.
pub(crate) fn begin_deletion(definition: &mut CustomResourceDefinition) {
    let status = definition.status.get_or_insert_default();
    let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
    set(status, TERMINATING, true, "InstanceDeletionPending", message);
    let finalizers = &mut definition.metadata.get_or_insert_default().finalizers;
    if !finalizers.iter().any(|finalizer| finalizer == CLEANUP) {
        finalizers.push(CLEANUP.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn definition(short: &[&str]) -> CustomResourceDefinition {
        serde_json::from_value(
            json!({"spec": {"group": "example.com", "scope": "Cluster", "versions": [], "names": {
                "plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList",
                "shortNames": short,
            }}}),
        )
        .unwrap()
    }

    fn conditions(status: &CustomResourceDefinitionStatus) -> Vec<(&str, &str, &str)> {
        status
            .conditions
            .iter()
            .map(|one| (one.r#type.as_str(), one.status.as_str(), one.reason.as_str()))
            .collect()
    }

    #[test]
    fn free_names_are_accepted_and_stay_so() {
        let mut one = definition(&["w"]);
        let status = status(&one, &Taken::default());
        assert_eq!(
            conditions(&status),
            [("NamesAccepted", "True", "NoConflicts"), ("Established", "True", "InitialNamesAccepted"),]
        );
        assert_eq!(status.accepted_names, one.spec.as_ref().unwrap().names);
        one.status = Some(status.clone());
        assert_eq!(super::status(&one, &Taken::default()), status);
        // A new short name that another has is not accepted, and the rest goes on.
        one.spec.as_mut().unwrap().names.as_mut().unwrap().short_names = vec!["x".into()];
        let other = CustomResourceDefinitionNames { plural: "x".into(), ..Default::default() };
        let after = super::status(&one, &Taken::by([&other]));
        assert_eq!(
            conditions(&after),
            [
                ("NamesAccepted", "False", "ShortNamesConflict"),
                ("Established", "True", "InitialNamesAccepted"),
            ]
        );
        assert_eq!(after.accepted_names.unwrap().short_names, ["w"]);
        assert_eq!(after.conditions[0].message, "\"x\" is already in use");
    }

    #[test]
    fn taken_names_are_not_accepted() {
        let other = CustomResourceDefinitionNames { kind: "Widget".into(), ..Default::default() };
        let status = status(&definition(&[]), &Taken::by([&other]));
        assert_eq!(
            conditions(&status),
            [("NamesAccepted", "False", "KindConflict"), ("Established", "False", "NotAccepted"),]
        );
        let names = status.accepted_names.unwrap();
        assert_eq!((names.plural.as_str(), names.kind.as_str()), ("widgets", ""));
    }
}
