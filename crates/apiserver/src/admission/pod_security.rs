//! The Pod Security Standards: what a namespace's labels let its pods do.

mod baseline;
mod policy;
mod restricted;
mod text;
mod warnings;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use gantry_api::core::v1::{Container, Namespace, Pod, PodSpec};
use gantry_api::{Object, Resource};

use self::policy::{Level, Policy, Standard, Version, broken_labels};
use self::text::{Finding, listed};
pub(super) use self::warnings::makes_pods;
use crate::status::ApiError;
use crate::verbs::Verbs;

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
    /// Refuses a pod that its namespace forbids, and warns of one that it warns of.
    pub(super) async fn check_pod_security(&self, pod: &Pod) -> Result<(), ApiError> {
        let Some(policy) = self.security_policy(&Resource::meta(pod).namespace).await? else { return Ok(()) };
        let (annotations, spec) = parts(pod);
        let found = findings(annotations, spec, policy.enforce);
        if found.is_empty() {
            warnings::warn(annotations, spec, policy.warn);
            return Ok(());
        }
        let detail = format!("violates PodSecurity \"{}\": {}", policy.enforce, listed(&found));
        Err(ApiError::forbidden(Object::kind(pod), &Object::meta(pod).name, &detail))
    }

    /// What a namespace asks for, if it is there.
    async fn security_policy(&self, namespace: &str) -> Result<Option<Policy>, ApiError> {
        let namespace = self.cluster_object::<Namespace>(namespace).await?;
        Ok(namespace.map(|namespace| Policy::of(&Resource::meta(&namespace).labels)))
    }
}

/// Everything that the level forbids, in the order of the rules' names, those of the baseline first.
fn findings(annotations: &BTreeMap<String, String>, spec: &PodSpec, standard: Standard) -> Vec<Finding> {
    let windows = spec.os.as_ref().is_some_and(|os| os.name == "windows");
    let subject =
        Subject { annotations, spec, containers: containers(spec), windows, version: standard.version };
    match standard.level {
        Level::Privileged => Vec::new(),
        Level::Baseline => baseline::findings(&subject, false),
        Level::Restricted => {
            let mut all = baseline::findings(&subject, true);
            all.extend(restricted::findings(&subject));
            all
        }
    }
}

/// What of a pod is looked at.
fn parts(pod: &Pod) -> (&BTreeMap<String, String>, &PodSpec) {
    (&Resource::meta(pod).annotations, pod.spec.as_ref().unwrap_or(&NOTHING))
}

/// The specification of what has none.
static NOTHING: LazyLock<PodSpec> = LazyLock::new(PodSpec::default);

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
        let spec: PodSpec = serde_json::from_value(spec).unwrap();
        let standard =
            Standard { level: Level::parse(level).unwrap(), version: Version::parse(version).unwrap() };
        listed(&findings(&BTreeMap::new(), &spec, standard))
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
}
