use super::{Candidate, Rejection};
use crate::snapshot::NodeInfo;

/// What the pod requires must be free; every resource that is short is a reason.
pub(super) fn fit(candidate: &Candidate<'_>, node: &NodeInfo) -> Vec<Rejection> {
    let mut rejections = Vec::new();
    let pods = i64::try_from(node.pods.len()).unwrap_or(i64::MAX);
    if pods >= node.max_pods {
        rejections.push(Rejection::new("Too many pods", format!("{pods} pods of {} allowed", node.max_pods)));
    }
    let required = &candidate.requests.required;
    let mut check = |name: &str, unit: &str, wanted: i64, used: i64, offered: i64| {
        if wanted > 0 && wanted > offered.saturating_sub(used) {
            let detail = format!("{name}: requests {wanted}{unit}, {used}{unit} of {offered}{unit} taken");
            rejections.push(Rejection::new(format!("Insufficient {name}"), detail));
        }
    };
    check("cpu", "m", required.milli_cpu, node.requested.milli_cpu, node.allocatable.milli_cpu);
    check("memory", " bytes", required.memory, node.requested.memory, node.allocatable.memory);
    check(
        "ephemeral-storage",
        " bytes",
        required.ephemeral_storage,
        node.requested.ephemeral_storage,
        node.allocatable.ephemeral_storage,
    );
    for (name, wanted) in &required.extended {
        let used = node.requested.extended.get(name).copied().unwrap_or(0);
        let offered = node.allocatable.extended.get(name).copied().unwrap_or(0);
        check(name, "", *wanted, used, offered);
    }
    rejections
}
