//! The Pod Security Standards: what a namespace's labels let its pods do.

mod baseline;
mod restricted;
mod text;

use std::collections::BTreeMap;

use gantry_api::core::v1::{Container, Namespace, Pod, PodSpec};
use gantry_api::field::{Error, ErrorList, Path};
use gantry_api::{Object, Resource};

use self::text::Finding;
use crate::status::ApiError;
use crate::verbs::Verbs;

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
/// The labels of levels, each with the one of its version.
const LABELS: [(&str, &str); 3] = [
    (ENFORCE, "pod-security.kubernetes.io/enforce-version"),
    ("pod-security.kubernetes.io/audit", "pod-security.kubernetes.io/audit-version"),
    ("pod-security.kubernetes.io/warn", "pod-security.kubernetes.io/warn-version"),
];

/// How much is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Privileged,
    Baseline,
    Restricted,
}

/// The minor version of Kubernetes whose rules count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Version {
    Minor(u32),
    Latest,
}

impl Level {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "privileged" => Self::Privileged,
            "baseline" => Self::Baseline,
            "restricted" => Self::Restricted,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        if text == "latest" {
            return Some(Self::Latest);
        }
        let minor = text.strip_prefix("v1.")?;
        let plain =
            minor == "0" || !minor.starts_with('0') && minor.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| minor.parse().ok().map(Self::Minor)).flatten()
    }

    /// Whether a rule that came with this minor version counts.
    fn since(self, minor: u32) -> bool {
        self >= Self::Minor(minor)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Minor(minor) => write!(f, "v1.{minor}"),
            Self::Latest => f.write_str("latest"),
        }
    }
}

/// What is enforced. A level that nobody knows counts as the strictest, such a version as the latest.
fn enforced(labels: &BTreeMap<String, String>) -> (Level, Version) {
    let (level, version) = LABELS[0];
    let level =
        labels.get(level).map_or(Level::Privileged, |text| Level::parse(text).unwrap_or(Level::Restricted));
    let version = labels.get(version).and_then(|text| Version::parse(text)).unwrap_or(Version::Latest);
    (level, version)
}

/// Every label that cannot be understood.
fn broken_labels(labels: &BTreeMap<String, String>) -> ErrorList {
    let path = |label: &str| Path::new("metadata").child("labels").key(label);
    let mut errors = ErrorList::new();
    for (level, version) in LABELS {
        if let Some(text) = labels.get(level).filter(|text| Level::parse(text).is_none()) {
            let detail = "must be one of privileged, baseline, restricted";
            errors.push(Error::invalid(path(level), text.as_str(), detail));
        }
        if let Some(text) = labels.get(version).filter(|text| Version::parse(text).is_none()) {
            errors.push(Error::invalid(path(version), text.as_str(), r#"must be "latest" or "v1.x""#));
        }
    }
    errors
}

/// Refuses labels that cannot be understood, where they were not there before.
pub(super) fn check_labels(new: &Namespace, old: Option<&Namespace>) -> Result<(), ApiError> {
    let errors = broken_labels(&Resource::meta(new).labels);
    if errors.is_empty() || old.is_some_and(|old| !broken_labels(&Resource::meta(old).labels).is_empty()) {
        return Ok(());
    }
    Err(ApiError::invalid(<Namespace as Resource>::kind(), new.name(), &errors))
}

/// Whether the change of a pod is one that its security depends on: another image, or more containers.
pub(super) fn matters(new: &Pod, old: &Pod) -> bool {
    let images = |pod: &Pod| {
        let spec = pod.spec.clone().unwrap_or_default();
        containers(&spec).into_iter().map(|container| container.image).collect::<Vec<_>>()
    };
    images(new) != images(old)
}

impl Verbs {
    /// Refuses a pod that its namespace forbids.
    pub(super) async fn check_pod_security(&self, pod: &Pod) -> Result<(), ApiError> {
        let namespace = self.cluster_object::<Namespace>(Resource::meta(pod).namespace.as_str()).await?;
        let Some(namespace) = namespace else { return Ok(()) };
        let (level, version) = enforced(&Resource::meta(&namespace).labels);
        let findings = findings(pod, level, version);
        if findings.is_empty() {
            return Ok(());
        }
        let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
        let detail = format!("violates PodSecurity \"{}:{version}\": {}", level.name(), findings.join(", "));
        Err(ApiError::forbidden(Object::kind(pod), &Object::meta(pod).name, &detail))
    }
}

/// Everything that the level forbids, in the order of the rules' names, those of the baseline first.
fn findings(pod: &Pod, level: Level, version: Version) -> Vec<Finding> {
    let nothing = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&nothing);
    let subject = Subject {
        annotations: &Resource::meta(pod).annotations,
        spec,
        containers: containers(spec),
        windows: spec.os.as_ref().is_some_and(|os| os.name == "windows"),
        version,
    };
    match level {
        Level::Privileged => Vec::new(),
        Level::Baseline => baseline::findings(&subject, false),
        Level::Restricted => {
            let mut all = baseline::findings(&subject, true);
            all.extend(restricted::findings(&subject));
            all
        }
    }
}

fn containers(spec: &PodSpec) -> Vec<Container> {
    let ephemeral = gantry_api::ephemeral::containers(spec);
    spec.init_containers.iter().chain(&spec.containers).cloned().chain(ephemeral).collect()
}

/// What is looked at.
struct Subject<'a> {
    annotations: &'a BTreeMap<String, String>,
    spec: &'a PodSpec,
    containers: Vec<Container>,
    windows: bool,
    version: Version,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(spec: serde_json::Value, level: &str, version: &str) -> String {
        let pod: Pod = serde_json::from_value(json!({ "spec": spec })).unwrap();
        let findings = findings(&pod, Level::parse(level).unwrap(), Version::parse(version).unwrap());
        findings.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_plain_pod_is_not_restricted() {
        let plain = json!({"containers": [{"name": "a"}]});
        assert_eq!(found(plain.clone(), "baseline", "latest"), "");
        assert_eq!(
            found(plain.clone(), "restricted", "latest"),
            "allowPrivilegeEscalation != false (container \"a\" must set securityContext.allowPrivilegeEscalation=false), \
             unrestricted capabilities (container \"a\" must set securityContext.capabilities.drop=[\"ALL\"]), \
             runAsNonRoot != true (pod or container \"a\" must set securityContext.runAsNonRoot=true), \
             seccompProfile (pod or container \"a\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" \
             or \"Localhost\")"
        );
        assert!(!found(plain, "restricted", "v1.18").contains("seccompProfile"));
        let good = json!({
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "a", "securityContext": {
                "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}
            }}],
            "volumes": [{"name": "v", "emptyDir": {}}]
        });
        assert_eq!(found(good, "restricted", "latest"), "");
    }

    #[test]
    fn the_baseline_forbids_the_host() {
        let spec = json!({
            "hostNetwork": true, "hostPID": true,
            "securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]},
            "volumes": [{"name": "h", "hostPath": {"path": "/"}}],
            "initContainers": [{"name": "i", "securityContext": {"privileged": true}}],
            "containers": [{"name": "a", "ports": [{"containerPort": 80, "hostPort": 80}],
                "livenessProbe": {"httpGet": {"host": "10.0.0.1"}},
                "securityContext": {"capabilities": {"add": ["SYS_ADMIN", "KILL"]}, "procMount": "Unmasked",
                    "seLinuxOptions": {"type": "spc_t", "user": "u"}, "seccompProfile": {"type": "Unconfined"}}}]
        });
        let baseline = found(spec.clone(), "baseline", "latest");
        assert_eq!(
            baseline,
            "non-default capabilities (container \"a\" must not include \"SYS_ADMIN\" in \
             securityContext.capabilities.add), \
             host namespaces (hostNetwork=true, hostPID=true), hostPath volumes (volume \"h\"), \
             hostPort (container \"a\" uses hostPort 80), \
             probe or lifecycle host (container \"a\" uses probe or lifecycle host \"10.0.0.1\"), \
             privileged (container \"i\" must not set securityContext.privileged=true), \
             procMount (container \"a\" must not set securityContext.procMount to \"Unmasked\"), \
             seLinuxOptions (container \"a\" set forbidden securityContext.seLinuxOptions: type \"spc_t\"; user may not \
             be set), \
             seccompProfile (container \"a\" must not set securityContext.seccompProfile.type to \"Unconfined\"), \
             forbidden sysctls (kernel.msgmax)"
        );
        assert!(!found(spec.clone(), "baseline", "v1.33").contains("lifecycle host"));
        let restricted = found(spec.clone(), "restricted", "latest");
        assert!(
            restricted
                .contains("restricted volume types (volume \"h\" uses restricted volume type \"hostPath\")")
        );
        assert!(!restricted.contains("hostPath volumes") && !restricted.contains("non-default capabilities"));
        assert_eq!(found(spec, "privileged", "latest"), "");
    }

    #[test]
    fn labels_are_understood_or_named() {
        let labels = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(enforced(&labels(&[])), (Level::Privileged, Version::Latest));
        let both = labels(&[(ENFORCE, "baseline"), ("pod-security.kubernetes.io/enforce-version", "v1.25")]);
        assert_eq!(enforced(&both), (Level::Baseline, Version::Minor(25)));
        assert!(broken_labels(&both).is_empty());
        let wrong = labels(&[(ENFORCE, "strict"), ("pod-security.kubernetes.io/warn-version", "1.2")]);
        assert_eq!(enforced(&wrong).0, Level::Restricted);
        assert_eq!(broken_labels(&wrong).len(), 2);
        assert!(Version::parse("v1.01").is_none() && Version::parse("v1.").is_none());
    }
}
