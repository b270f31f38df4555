//! Requests and limits as the kernel takes them.

use gantry_api::core::v1::{Container, PodSpec};
use gantry_api::scalars::Quantity;
use gantry_container_runtime::Resources;

use crate::pod::qos::{QosClass, qos_class};

/// The scheduler's period.
const PERIOD_US: u64 = 100_000;
/// The kernel takes no smaller quota.
const MIN_QUOTA_US: i64 = 1000;
const MIN_SHARES: u64 = 2;
const MAX_SHARES: u64 = 262_144;

/// What a container may use. `node_memory` weighs how early it is killed when memory runs out.
#[must_use]
pub fn container_resources(spec: &PodSpec, container: &Container, node_memory: i64) -> Resources {
    let resources = container.resources.clone().unwrap_or_default();
    let cpu_limit = resources.limits.get("cpu").and_then(Quantity::milli);
    let cpu_request = resources.requests.get("cpu").and_then(Quantity::milli).or(cpu_limit);
    let memory_limit = resources.limits.get("memory").and_then(Quantity::units);
    let memory_request = resources.requests.get("memory").and_then(Quantity::units).or(memory_limit);
    Resources {
        cpu_shares: Some(shares(cpu_request.unwrap_or_default())),
        cpu_quota_us: cpu_limit.and_then(quota),
        cpu_period_us: cpu_limit.and_then(quota).map(|_| PERIOD_US),
        memory_limit_bytes: memory_limit.filter(|bytes| *bytes > 0),
        oom_score_adj: Some(oom_score(qos_class(spec), memory_request.unwrap_or_default(), node_memory)),
        ..Resources::default()
    }
}

/// What all containers of a pod may use together: limits count only where every container has one.
#[must_use]
pub fn pod_resources(spec: &PodSpec) -> Resources {
    let sum = |pick: &dyn Fn(&Container) -> Option<i64>| -> Option<i64> {
        let mains = spec.containers.iter().map(pick).sum::<Option<i64>>()?;
        let inits: Option<Vec<i64>> = spec.init_containers.iter().map(pick).collect();
        Some(mains.max(inits?.into_iter().max().unwrap_or_default()))
    };
    let limit = |name: &'static str| {
        move |container: &Container| {
            let limit = container.resources.as_ref()?.limits.get(name)?;
            if name == "cpu" { limit.milli() } else { limit.units() }
        }
    };
    let request = |container: &Container| {
        let resources = container.resources.as_ref();
        let cpu = resources.and_then(|r| r.requests.get("cpu").or_else(|| r.limits.get("cpu")));
        Some(cpu.and_then(Quantity::milli).unwrap_or_default())
    };
    let cpu_limit = sum(&limit("cpu")).and_then(quota);
    Resources {
        cpu_shares: Some(shares(sum(&request).unwrap_or_default())),
        cpu_quota_us: cpu_limit,
        cpu_period_us: cpu_limit.map(|_| PERIOD_US),
        memory_limit_bytes: sum(&limit("memory")).filter(|bytes| *bytes > 0),
        ..Resources::default()
    }
}

fn shares(milli: i64) -> u64 {
    let milli = u64::try_from(milli).unwrap_or_default();
    (milli.saturating_mul(1024) / 1000).clamp(MIN_SHARES, MAX_SHARES)
}

fn quota(milli: i64) -> Option<i64> {
    let period = i64::try_from(PERIOD_US).unwrap_or(i64::MAX);
    (milli > 0).then(|| (milli.saturating_mul(period) / 1000).max(MIN_QUOTA_US))
}

/// How early the kernel kills the container when memory runs out.
fn oom_score(class: QosClass, memory_request: i64, node_memory: i64) -> i32 {
    match class {
        QosClass::Guaranteed => -997,
        QosClass::BestEffort => 1000,
        QosClass::Burstable => {
            let share = memory_request.saturating_mul(1000).checked_div(node_memory).unwrap_or_default();
            i32::try_from((1000 - share).clamp(3, 999)).unwrap_or(999)
        }
    }
}

/// The cgroup of a pod below `root`, such as `/kubepods/burstable/podUID`.
#[must_use]
pub fn pod_cgroup(root: &str, spec: &PodSpec, uid: &str) -> String {
    let root = root.trim_end_matches('/');
    match qos_class(spec) {
        QosClass::Guaranteed => format!("{root}/kubepods/pod{uid}"),
        QosClass::Burstable => format!("{root}/kubepods/burstable/pod{uid}"),
        QosClass::BestEffort => format!("{root}/kubepods/besteffort/pod{uid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(containers: &str) -> PodSpec {
        serde_json::from_str(&format!("{{\"containers\":{containers}}}")).unwrap()
    }

    #[test]
    fn amounts_become_shares_and_quota() {
        let spec = spec(
            r#"[{"name":"c","resources":{"limits":{"cpu":"500m","memory":"64Mi"},"requests":{"cpu":"250m"}}}]"#,
        );
        let resources = container_resources(&spec, &spec.containers[0], 1 << 30);
        assert_eq!(resources.cpu_shares, Some(256));
        assert_eq!((resources.cpu_quota_us, resources.cpu_period_us), (Some(50_000), Some(100_000)));
        assert_eq!(resources.memory_limit_bytes, Some(64 << 20));
        assert_eq!(resources.oom_score_adj, Some(938));
        assert_eq!(pod_cgroup("/n1", &spec, "u"), "/n1/kubepods/burstable/podu");
    }

    #[test]
    fn who_asks_for_nothing_gets_the_least() {
        let spec = spec(r#"[{"name":"c"}]"#);
        let resources = container_resources(&spec, &spec.containers[0], 1 << 30);
        assert_eq!(resources.cpu_shares, Some(2));
        assert_eq!(resources.cpu_quota_us, None);
        assert_eq!(resources.memory_limit_bytes, None);
        assert_eq!(resources.oom_score_adj, Some(1000));
        assert_eq!(pod_cgroup("", &spec, "u"), "/kubepods/besteffort/podu");
    }

    #[test]
    fn a_pods_limit_needs_every_containers() {
        let limited = r#"{"name":"c","resources":{"limits":{"cpu":"1","memory":"1Mi"}}}"#;
        let both = pod_resources(&spec(&format!("[{limited},{limited}]")));
        assert_eq!((both.cpu_quota_us, both.memory_limit_bytes), (Some(200_000), Some(2 << 20)));
        let one = pod_resources(&spec(&format!("[{limited},{{\"name\":\"d\"}}]")));
        assert_eq!((one.cpu_quota_us, one.memory_limit_bytes), (None, None));
    }
}
