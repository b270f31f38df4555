//! Security contexts.

use super::mount::descending_path;
use crate::core::v1::{PodSecurityContext, SeccompProfile, SecurityContext};
use crate::field::{Error, ErrorList, Path};
use crate::validation::common::{Unique, enumerated, required_enumerated, shown};

const MAX_ID: i64 = i32::MAX as i64;

fn id(errors: &mut ErrorList, id: Option<i64>, path: &Path) {
    if let Some(id) = id.filter(|id| !(0..=MAX_ID).contains(id)) {
        errors.push(Error::invalid(path.clone(), id, format!("must be between 0 and {MAX_ID}, inclusive")));
    }
}

pub(super) fn pod(errors: &mut ErrorList, context: Option<&PodSecurityContext>, path: &Path) {
    let Some(context) = context else { return };
    id(errors, context.run_as_user, &path.child("runAsUser"));
    id(errors, context.run_as_group, &path.child("runAsGroup"));
    id(errors, context.fs_group, &path.child("fsGroup"));
    for (i, group) in context.supplemental_groups.iter().enumerate() {
        id(errors, Some(*group), &path.child("supplementalGroups").index(i));
    }
    seccomp(errors, context.seccomp_profile.as_ref(), &path.child("seccompProfile"));
    if let Some(policy) = &context.fs_group_change_policy {
        enumerated(
            errors,
            &path.child("fsGroupChangePolicy"),
            policy,
            "core.v1.PodSecurityContext.fsGroupChangePolicy",
        );
    }
    if let Some(policy) = &context.supplemental_groups_policy {
        enumerated(
            errors,
            &path.child("supplementalGroupsPolicy"),
            policy,
            "core.v1.PodSecurityContext.supplementalGroupsPolicy",
        );
    }
    let mut sysctls = Unique::new();
    for (i, sysctl) in context.sysctls.iter().enumerate() {
        let path = path.child("sysctls").index(i).child("name");
        if sysctl.name.is_empty() {
            errors.push(Error::required(path, ""));
            continue;
        }
        if !is_sysctl(&sysctl.name) {
            let detail = "must have at most 253 characters and match regex \
                          ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            errors.push(Error::invalid(path.clone(), sysctl.name.as_str(), detail));
        }
        sysctls.check(errors, &path, &sysctl.name);
    }
}

fn is_sysctl(name: &str) -> bool {
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let part = |part: &str| {
        let bytes = part.as_bytes();
        bytes.first().is_some_and(|b| alnum(*b))
            && bytes.last().is_some_and(|b| alnum(*b))
            && bytes.iter().all(|b| alnum(*b) || matches!(b, b'-' | b'_'))
    };
    name.len() <= 253 && name.split(['.', '/']).all(part)
}

pub(super) fn container(errors: &mut ErrorList, context: Option<&SecurityContext>, path: &Path) {
    let Some(context) = context else { return };
    id(errors, context.run_as_user, &path.child("runAsUser"));
    id(errors, context.run_as_group, &path.child("runAsGroup"));
    seccomp(errors, context.seccomp_profile.as_ref(), &path.child("seccompProfile"));
    if let Some(kind) = &context.proc_mount {
        enumerated(errors, &path.child("procMount"), kind, "core.v1.SecurityContext.procMount");
    }
    if context.allow_privilege_escalation != Some(false) {
        return;
    }
    if context.privileged == Some(true) {
        let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
        errors.push(Error::invalid(path.clone(), shown(context), detail));
    }
    let mut added = context.capabilities.iter().flat_map(|capabilities| &capabilities.add);
    if added.any(|capability| capability == "CAP_SYS_ADMIN") {
        let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
        errors.push(Error::invalid(path.clone(), shown(context), detail));
    }
}

fn seccomp(errors: &mut ErrorList, profile: Option<&SeccompProfile>, path: &Path) {
    let Some(profile) = profile else { return };
    required_enumerated(errors, &path.child("type"), &profile.r#type, "core.v1.SeccompProfile.type");
    let path = path.child("localhostProfile");
    match (profile.r#type.as_str(), &profile.localhost_profile) {
        ("Localhost", None) => {
            errors.push(Error::required(path, "must be set when seccomp type is Localhost"));
        }
        ("Localhost", Some(file)) => descending_path(errors, file, &path),
        (_, Some(file)) => {
            let detail = "can only be set when seccomp type is Localhost";
            errors.push(Error::invalid(path, file.as_str(), detail));
        }
        (_, None) => {}
    }
}
