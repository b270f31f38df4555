//! What the restricted level asks for beside the baseline: current practice of hardening.

use std::collections::BTreeSet;

use gantry_api::core::v1::VolumeSource;

use super::Subject;
use super::baseline::named;
use super::text::{Finding, containers, finding, plural, quoted, setters};

/// Everything that is missing or forbidden.
pub(super) fn findings(subject: &Subject<'_>) -> Vec<Finding> {
    // Windows knows neither of some of these.
    let linux = !(subject.windows && subject.version.since(25));
    [
        if linux { privilege_escalation(subject) } else { None },
        if linux { capabilities(subject) } else { None },
        volumes(subject),
        run_as_non_root(subject),
        run_as_user(subject),
        if linux { seccomp(subject) } else { None },
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn privilege_escalation(subject: &Subject<'_>) -> Option<Finding> {
    let names = named(subject, |container| {
        let context = container.security_context.as_ref();
        context.and_then(|context| context.allow_privilege_escalation) != Some(false)
    });
    if names.is_empty() || !subject.version.since(8) {
        return None;
    }
    let detail = format!("{} must set securityContext.allowPrivilegeEscalation=false", containers(&names));
    finding("allowPrivilegeEscalation != false", detail)
}

fn capabilities(subject: &Subject<'_>) -> Option<Finding> {
    if !subject.version.since(22) {
        return None;
    }
    let of = |container: &gantry_api::core::v1::Container| {
        container
            .security_context
            .as_ref()
            .and_then(|context| context.capabilities.clone())
            .unwrap_or_default()
    };
    let keeping = named(subject, |container| !of(container).drop.iter().any(|one| one == "ALL"));
    let adding = named(subject, |container| of(container).add.iter().any(|one| one != "NET_BIND_SERVICE"));
    let added: BTreeSet<String> = subject
        .containers
        .iter()
        .flat_map(|one| of(one).add)
        .filter(|one| one != "NET_BIND_SERVICE")
        .collect();
    let mut details = Vec::new();
    if !keeping.is_empty() {
        details
            .push(format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", containers(&keeping)));
    }
    if !adding.is_empty() {
        details.push(format!(
            "{} must not include {} in securityContext.capabilities.add",
            containers(&adding),
            quoted(added)
        ));
    }
    if details.is_empty() { None } else { finding("unrestricted capabilities", details.join("; ")) }
}

fn volumes(subject: &Subject<'_>) -> Option<Finding> {
    let mut names = Vec::new();
    let mut types = BTreeSet::new();
    for volume in &subject.spec.volumes {
        let source = volume.volume_source.clone().unwrap_or_default();
        if !is_core(&source) {
            names.push(volume.name.as_str());
            types.insert(type_of(&source));
        }
    }
    if names.is_empty() {
        return None;
    }
    let detail = format!(
        "{} {} {} {} {}",
        plural("volume", "volumes", names.len()),
        quoted(&names),
        plural("uses", "use", names.len()),
        plural("restricted volume type", "restricted volume types", types.len()),
        quoted(types)
    );
    finding("restricted volume types", detail)
}

fn is_core(source: &VolumeSource) -> bool {
    source.config_map.is_some()
        || source.csi.is_some()
        || source.downward_api.is_some()
        || source.empty_dir.is_some()
        || source.ephemeral.is_some()
        || source.persistent_volume_claim.is_some()
        || source.projected.is_some()
        || source.secret.is_some()
        || source.image.is_some()
}

/// The name of the source that is set: the only key of its JSON.
fn type_of(source: &VolumeSource) -> String {
    let value = serde_json::to_value(source).unwrap_or_default();
    let key = value.as_object().and_then(|fields| fields.keys().next().cloned());
    key.unwrap_or_else(|| "unknown".to_owned())
}

fn run_as_non_root(subject: &Subject<'_>) -> Option<Finding> {
    const REASON: &str = "runAsNonRoot != true";
    let of_pod = subject.spec.security_context.as_ref().and_then(|context| context.run_as_non_root);
    let of = |container: &gantry_api::core::v1::Container| {
        container.security_context.as_ref().and_then(|context| context.run_as_non_root)
    };
    let explicit = named(subject, |container| of(container) == Some(false));
    if let Some(setters) = setters(of_pod == Some(false), &explicit) {
        return finding(REASON, format!("{setters} must not set securityContext.runAsNonRoot=false"));
    }
    let silent = named(subject, |container| of(container).is_none() && of_pod != Some(true));
    if silent.is_empty() {
        return None;
    }
    finding(REASON, format!("pod or {} must set securityContext.runAsNonRoot=true", containers(&silent)))
}

fn run_as_user(subject: &Subject<'_>) -> Option<Finding> {
    if !subject.version.since(23) {
        return None;
    }
    let of_pod = subject.spec.security_context.as_ref().and_then(|context| context.run_as_user);
    let names = named(subject, |container| {
        container.security_context.as_ref().and_then(|context| context.run_as_user) == Some(0)
    });
    let setters = setters(of_pod == Some(0), &names)?;
    finding("runAsUser=0", format!("{setters} must not set runAsUser=0"))
}

fn seccomp(subject: &Subject<'_>) -> Option<Finding> {
    const REASON: &str = "seccompProfile";
    if !subject.version.since(19) {
        return None;
    }
    let is_good = |r#type: &str| matches!(r#type, "RuntimeDefault" | "Localhost");
    let of_pod = subject.spec.security_context.as_ref().and_then(|context| context.seccomp_profile.as_ref());
    let of = |container: &gantry_api::core::v1::Container| {
        let context = container.security_context.as_ref();
        context.and_then(|context| context.seccomp_profile.as_ref()).map(|profile| profile.r#type.clone())
    };
    let pod_type = of_pod.map(|profile| profile.r#type.clone());
    let explicit = named(subject, |container| of(container).is_some_and(|one| !is_good(&one)));
    if let Some(setters) = setters(pod_type.as_deref().is_some_and(|one| !is_good(one)), &explicit) {
        let all = pod_type.iter().cloned().chain(subject.containers.iter().filter_map(of));
        let values: BTreeSet<String> = all.filter(|one| !is_good(one)).collect();
        let values = quoted(values);
        return finding(
            REASON,
            format!("{setters} must not set securityContext.seccompProfile.type to {values}"),
        );
    }
    let set = pod_type.as_deref().is_some_and(is_good);
    let silent = named(subject, |container| of(container).is_none() && !set);
    if silent.is_empty() {
        return None;
    }
    let silent = containers(&silent);
    let detail = format!(
        r#"pod or {silent} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost""#
    );
    finding(REASON, detail)
}
