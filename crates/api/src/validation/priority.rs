//! Priority classes.

use super::common::{enumerated, immutable, required};
use crate::Resource as _;
use crate::field::{Error, ErrorList, Path};
use crate::scheduling::v1::PriorityClass;

/// The highest priority that is not one of the system's own.
const HIGHEST: i32 = 1_000_000_000;
const SYSTEM_PREFIX: &str = "system-";
/// The system's own classes and their priorities.
const SYSTEM: [(&str, i32); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

pub(crate) fn class(class: &PriorityClass) -> ErrorList {
    let mut errors = ErrorList::new();
    if class.name().starts_with(SYSTEM_PREFIX) {
        if let Err(problem) = system(class) {
            let detail = format!(
                "priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use only. error: {problem}"
            );
            errors.push(Error::forbidden(Path::new("metadata").child("name"), detail));
        }
    } else if class.value > HIGHEST {
        let detail = format!("maximum allowed value of a user defined priority is {HIGHEST}");
        errors.push(Error::forbidden(Path::new("value"), detail));
    }
    let path = Path::new("preemptionPolicy");
    match class.preemption_policy.as_deref() {
        None => {}
        Some("") => required(&mut errors, &path, ""),
        Some(policy) => {
            enumerated(&mut errors, &path, policy, "scheduling.v1.PriorityClass.preemptionPolicy");
        }
    }
    errors
}

/// Whether a class with a name of the system is what the system has under that name.
fn system(class: &PriorityClass) -> Result<(), String> {
    let name = class.name();
    let Some((_, value)) = SYSTEM.iter().find(|(known, _)| *known == name) else {
        return Err(format!("{name} is not a known system priority class"));
    };
    if class.value != *value {
        return Err(format!("value of {name} PriorityClass must be {value}"));
    }
    if class.global_default {
        return Err(format!("globalDefault of {name} PriorityClass must be false"));
    }
    Ok(())
}

/// An update is checked for what must not change, and for nothing else.
pub(crate) fn update(new: &PriorityClass, old: &PriorityClass) -> ErrorList {
    let mut errors = ErrorList::new();
    if new.value != old.value {
        errors.push(Error::forbidden(Path::new("value"), "may not be changed in an update."));
    }
    let path = Path::new("preemptionPolicy");
    immutable(&mut errors, &path, &new.preemption_policy, &old.preemption_policy);
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::validation::common::texts;

    fn of(name: &str, value: i32) -> PriorityClass {
        serde_json::from_value(json!({ "metadata": { "name": name }, "value": value })).unwrap()
    }

    #[test]
    fn the_highest_priorities_are_the_systems() {
        assert_eq!(class(&of("high", HIGHEST)), []);
        assert_eq!(
            texts(&class(&of("higher", HIGHEST + 1))),
            ["value: Forbidden: maximum allowed value of a user defined priority is 1000000000"]
        );
        assert_eq!(class(&of("system-node-critical", 2_000_001_000)), []);
        let reserved = "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system \
                        use only. error: ";
        assert_eq!(
            texts(&class(&of("system-node-critical", 1))),
            [format!("{reserved}value of system-node-critical PriorityClass must be 2000001000")]
        );
        assert_eq!(
            texts(&class(&of("system-mine", 1))),
            [format!("{reserved}system-mine is not a known system priority class")]
        );
    }

    #[test]
    fn value_and_policy_stay() {
        let never = PriorityClass { preemption_policy: Some("Never".into()), ..of("a", 1) };
        assert_eq!(update(&never, &never), []);
        assert_eq!(
            texts(&update(&never, &of("a", 2))),
            [
                "value: Forbidden: may not be changed in an update.",
                "preemptionPolicy: Invalid value: \"Never\": field is immutable",
            ]
        );
        let wrong = PriorityClass { preemption_policy: Some("Perhaps".into()), ..of("a", 1) };
        assert_eq!(class(&wrong).len(), 1);
    }
}
