//! Runtime classes.

use super::{
    common::{check, immutable},
    meta, names, pod,
};
use crate::core::v1::ResourceRequirements;
use crate::field::{ErrorList, Path};
use crate::node::v1::RuntimeClass;

pub(crate) fn class(class: &RuntimeClass) -> ErrorList {
    let mut errors = ErrorList::new();
    check(&mut errors, &Path::new("handler"), &class.handler, names::dns1123_label(&class.handler));
    if let Some(overhead) = &class.overhead {
        // Upstream checks it as a container's limits, and so names the field.
        let limits = ResourceRequirements { limits: overhead.pod_fixed.clone(), ..Default::default() };
        pod::requirements(&mut errors, Some(&limits), &Path::new("overhead"));
    }
    if let Some(scheduling) = &class.scheduling {
        let path = Path::new("scheduling");
        meta::labels(&mut errors, &scheduling.node_selector, &path.child("nodeSelector"));
        pod::tolerations(&mut errors, &scheduling.tolerations, &path.child("tolerations"));
    }
    errors
}

pub(crate) fn update(new: &RuntimeClass, old: &RuntimeClass) -> ErrorList {
    let mut errors = class(new);
    immutable(&mut errors, &Path::new("handler"), &new.handler, &old.handler);
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::validation::common::texts;

    fn of(json: serde_json::Value) -> RuntimeClass {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn every_part_is_checked() {
        let good = of(json!({
            "handler": "runsc",
            "overhead": { "podFixed": { "cpu": "10m" } },
            "scheduling": { "nodeSelector": { "a": "b" }, "tolerations": [{ "key": "a", "operator": "Exists" }] },
        }));
        assert_eq!(class(&good), []);
        let bad = of(json!({
            "handler": "Runsc",
            "overhead": { "podFixed": { "cpu": "-1" } },
            "scheduling": { "nodeSelector": { "a b": "c" }, "tolerations": [{ "operator": "Equal" }] },
        }));
        let errors = class(&bad);
        let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
        let expected = [
            "handler",
            "overhead.limits[cpu]",
            "scheduling.nodeSelector",
            "scheduling.tolerations[0].operator",
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn the_handler_stays() {
        let (new, old) = (of(json!({ "handler": "a" })), of(json!({ "handler": "b" })));
        assert_eq!(texts(&update(&new, &old)), ["handler: Invalid value: \"a\": field is immutable"]);
    }
}
