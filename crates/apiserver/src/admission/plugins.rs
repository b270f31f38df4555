//! Which of the built-in admission plugins are on: upstream's names, and its flags.

use std::collections::BTreeSet;

/// The plugins that this server has, in upstream's order. All are on unless they are switched off.
const AVAILABLE: [&str; 23] = [
    NAMESPACE_LIFECYCLE,
    LIMIT_RANGER,
    SERVICE_ACCOUNT,
    NODE_RESTRICTION,
    TAINT_NODES,
    POD_SECURITY,
    PRIORITY,
    DEFAULT_TOLERATION_SECONDS,
    DEFAULT_STORAGE_CLASS,
    STORAGE_PROTECTION,
    CLAIM_RESIZE,
    RUNTIME_CLASS,
    CERTIFICATE_APPROVAL,
    CERTIFICATE_SIGNING,
    CLUSTER_TRUST_BUNDLE,
    CERTIFICATE_SUBJECT,
    DEFAULT_INGRESS_CLASS,
    POD_TOPOLOGY_LABELS,
    MUTATING_POLICY,
    MUTATING_WEBHOOK,
    VALIDATING_POLICY,
    VALIDATING_WEBHOOK,
    RESOURCE_QUOTA,
];

pub(crate) const NAMESPACE_LIFECYCLE: &str = "NamespaceLifecycle";
pub(crate) const LIMIT_RANGER: &str = "LimitRanger";
pub(crate) const SERVICE_ACCOUNT: &str = "ServiceAccount";
pub(crate) const NODE_RESTRICTION: &str = "NodeRestriction";
pub(crate) const TAINT_NODES: &str = "TaintNodesByCondition";
pub(crate) const POD_SECURITY: &str = "PodSecurity";
pub(crate) const PRIORITY: &str = "Priority";
pub(crate) const DEFAULT_TOLERATION_SECONDS: &str = "DefaultTolerationSeconds";
pub(crate) const DEFAULT_STORAGE_CLASS: &str = "DefaultStorageClass";
pub(crate) const STORAGE_PROTECTION: &str = "StorageObjectInUseProtection";
pub(crate) const CLAIM_RESIZE: &str = "PersistentVolumeClaimResize";
pub(crate) const RUNTIME_CLASS: &str = "RuntimeClass";
const CERTIFICATE_APPROVAL: &str = "CertificateApproval";
const CERTIFICATE_SIGNING: &str = "CertificateSigning";
/// It guards a kind that no server has unless its beta version is switched on, which this one cannot do.
const CLUSTER_TRUST_BUNDLE: &str = "ClusterTrustBundleAttest";
const CERTIFICATE_SUBJECT: &str = "CertificateSubjectRestriction";
pub(crate) const DEFAULT_INGRESS_CLASS: &str = "DefaultIngressClass";
pub(crate) const POD_TOPOLOGY_LABELS: &str = "PodTopologyLabels";
pub(crate) const MUTATING_POLICY: &str = "MutatingAdmissionPolicy";
pub(crate) const MUTATING_WEBHOOK: &str = "MutatingAdmissionWebhook";
pub(crate) const VALIDATING_POLICY: &str = "ValidatingAdmissionPolicy";
pub(crate) const VALIDATING_WEBHOOK: &str = "ValidatingAdmissionWebhook";
pub(crate) const RESOURCE_QUOTA: &str = "ResourceQuota";

/// Plugins that guard what the server's own safety rests on, or that its verbs cannot do without.
const FIXED: [&str; 6] = [
    NAMESPACE_LIFECYCLE,
    NODE_RESTRICTION,
    CERTIFICATE_APPROVAL,
    CERTIFICATE_SIGNING,
    CERTIFICATE_SUBJECT,
    RESOURCE_QUOTA,
];

/// Upstream's other plugins: known by name, and not in this server.
const UNAVAILABLE: [&str; 14] = [
    "AlwaysAdmit",
    "NamespaceAutoProvision",
    "NamespaceExists",
    "LimitPodHardAntiAffinityTopology",
    "AlwaysPullImages",
    "ImagePolicyWebhook",
    "PodNodeSelector",
    "PodTolerationRestriction",
    "EventRateLimit",
    "ExtendedResourceToleration",
    "OwnerReferencesPermissionEnforcement",
    "DenyServiceExternalIPs",
    "NodeDeclaredFeatureValidator",
    "AlwaysDeny",
];

/// The plugins that are on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugins {
    off: BTreeSet<&'static str>,
}

/// Why the flags do not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PluginError {
    /// No plugin has this name.
    #[error("{flag} plugin {name:?} is unknown")]
    Unknown {
        /// The flag.
        flag: &'static str,
        /// The name.
        name: String,
    },
    /// Names that both flags have.
    #[error("[{0}] in enable-admission-plugins and disable-admission-plugins overlapped")]
    Both(String),
    /// It cannot be switched on.
    #[error("enable-admission-plugins plugin {0:?} is not available in this server")]
    Unavailable(String),
    /// It cannot be switched off.
    #[error("disable-admission-plugins plugin {0:?} cannot be switched off in this server")]
    Fixed(String),
}

impl Plugins {
    /// The plugins that are on once these are switched on and those off.
    pub fn new(enable: &[String], disable: &[String]) -> Result<Self, PluginError> {
        for (flag, names) in [("enable-admission-plugins", enable), ("disable-admission-plugins", disable)] {
            let known = |name: &str| AVAILABLE.contains(&name) || UNAVAILABLE.contains(&name);
            if let Some(name) = names.iter().find(|name| !known(name)) {
                return Err(PluginError::Unknown { flag, name: name.clone() });
            }
        }
        let both: BTreeSet<&str> =
            enable.iter().filter(|name| disable.contains(name)).map(String::as_str).collect();
        if !both.is_empty() {
            return Err(PluginError::Both(both.into_iter().collect::<Vec<_>>().join(" ")));
        }
        if let Some(name) = enable.iter().find(|name| UNAVAILABLE.contains(&name.as_str())) {
            return Err(PluginError::Unavailable(name.clone()));
        }
        if let Some(name) = disable.iter().find(|name| FIXED.contains(&name.as_str())) {
            return Err(PluginError::Fixed(name.clone()));
        }
        let off = AVAILABLE.into_iter().filter(|name| disable.iter().any(|other| other == name)).collect();
        Ok(Self { off })
    }

    /// Whether a plugin is on.
    pub(crate) fn has(&self, name: &'static str) -> bool {
        !self.off.contains(name)
    }
}

impl Default for Plugins {
    /// All of them.
    fn default() -> Self {
        Self { off: BTreeSet::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugins(enable: &[&str], disable: &[&str]) -> Result<Plugins, String> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Plugins::new(&owned(enable), &owned(disable)).map_err(|error| error.to_string())
    }

    #[test]
    fn plugins_are_on_unless_they_are_switched_off() {
        let some = plugins(&["NodeRestriction"], &["ServiceAccount", "PodNodeSelector"]).unwrap();
        assert!(some.has(NODE_RESTRICTION) && some.has(LIMIT_RANGER) && !some.has(SERVICE_ACCOUNT));
        assert_eq!(plugins(&[], &[]).unwrap(), Plugins::default());
        assert!(Plugins::default().has(SERVICE_ACCOUNT));
    }

    #[test]
    fn names_are_checked() {
        let error = |enable, disable| plugins(enable, disable).unwrap_err();
        assert_eq!(error(&["Nothing"], &[]), r#"enable-admission-plugins plugin "Nothing" is unknown"#);
        assert_eq!(error(&[], &["Nothing"]), r#"disable-admission-plugins plugin "Nothing" is unknown"#);
        assert_eq!(
            error(&["Priority", "RuntimeClass"], &["RuntimeClass"]),
            "[RuntimeClass] in enable-admission-plugins and disable-admission-plugins overlapped"
        );
        assert!(error(&["AlwaysPullImages"], &[]).contains("is not available"));
        assert!(error(&[], &["NamespaceLifecycle"]).contains("cannot be switched off"));
    }
}
