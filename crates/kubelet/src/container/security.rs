//! Whom a container runs as, and what it may do.

use gantry_api::core::v1::{Container, PodSpec};
use gantry_container_runtime::{Capabilities, ImageConfig, Security, User};

/// Why a container may not run as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecurityError {
    /// It would run as root and must not.
    #[error("container has runAsNonRoot and image will run as root")]
    Root,
    /// Whether it would is not known.
    #[error(
        "container has runAsNonRoot and image has non-numeric user ({0}), cannot verify user is non-root"
    )]
    UnknownUser(String),
    /// An id beyond 32 bits.
    #[error("{field}: {value} is not a user or group id")]
    Id {
        /// The field's name.
        field: &'static str,
        /// Its value.
        value: i64,
    },
}

/// The user and groups of a container. The container's own settings come before the pod's.
pub fn user(spec: &PodSpec, container: &Container, image: &ImageConfig) -> Result<User, SecurityError> {
    let pod = spec.security_context.clone().unwrap_or_default();
    let own = container.security_context.clone().unwrap_or_default();
    let id = |field, value: i64| u32::try_from(value).map_err(|_| SecurityError::Id { field, value });
    let uid = own.run_as_user.or(pod.run_as_user).map(|uid| id("runAsUser", uid)).transpose()?;
    let gid = own.run_as_group.or(pod.run_as_group).map(|gid| id("runAsGroup", gid)).transpose()?;
    if own.run_as_non_root.or(pod.run_as_non_root) == Some(true) {
        check_non_root(uid, image)?;
    }
    let mut supplemental_groups = Vec::new();
    for group in pod.fs_group.iter().chain(&pod.supplemental_groups) {
        supplemental_groups.push(id("supplementalGroups", *group)?);
    }
    Ok(User { uid, gid, supplemental_groups })
}

fn check_non_root(uid: Option<u32>, image: &ImageConfig) -> Result<(), SecurityError> {
    let name = image.user.split(':').next().unwrap_or_default();
    let uid = match uid {
        Some(uid) => uid,
        None if name.is_empty() => 0,
        None => name.parse().map_err(|_| SecurityError::UnknownUser(name.to_owned()))?,
    };
    if uid == 0 { Err(SecurityError::Root) } else { Ok(()) }
}

/// The privileges of a container.
#[must_use]
pub fn security(container: &Container) -> Security {
    let own = container.security_context.clone().unwrap_or_default();
    let capabilities = own.capabilities.unwrap_or_default();
    let privileged = own.privileged == Some(true);
    Security {
        privileged,
        capabilities: Capabilities { add: capabilities.add, drop: capabilities.drop },
        read_only_root: own.read_only_root_filesystem == Some(true),
        no_new_privileges: own.allow_privilege_escalation == Some(false) && !privileged,
        unmasked_proc: own.proc_mount.as_deref() == Some("Unmasked"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pod: &str, own: &str, image_user: &str) -> Result<User, SecurityError> {
        let spec: PodSpec = serde_json::from_str(&format!(
            r#"{{"securityContext":{pod},"containers":[{{"name":"c","securityContext":{own}}}]}}"#
        ))
        .unwrap();
        let image = ImageConfig { user: image_user.into(), ..ImageConfig::default() };
        user(&spec, &spec.containers[0], &image)
    }

    #[test]
    fn the_containers_settings_come_first() {
        let found = check(
            r#"{"runAsUser":1,"runAsGroup":2,"fsGroup":3,"supplementalGroups":[4]}"#,
            r#"{"runAsUser":5}"#,
            "",
        );
        assert_eq!(found.unwrap(), User { uid: Some(5), gid: Some(2), supplemental_groups: vec![3, 4] });
    }

    #[test]
    fn root_is_refused_where_it_must_not_be() {
        assert_eq!(check(r#"{"runAsNonRoot":true}"#, "{}", ""), Err(SecurityError::Root));
        assert_eq!(check(r#"{"runAsNonRoot":true}"#, "{}", "0:5"), Err(SecurityError::Root));
        assert_eq!(
            check(r#"{"runAsNonRoot":true}"#, "{}", "web"),
            Err(SecurityError::UnknownUser("web".into()))
        );
        assert!(check(r#"{"runAsNonRoot":true}"#, "{}", "7").is_ok());
        assert!(check(r#"{"runAsNonRoot":true}"#, r#"{"runAsNonRoot":false}"#, "").is_ok());
    }
}
