//! The OCI runtime specification of a container, computed from its configuration and its image.

mod linux;
mod mounts;

use oci_spec::OciSpecError;
use oci_spec::runtime::{
    LinuxCapabilities, PosixRlimit, PosixRlimitBuilder, PosixRlimitType, Process, Root, Spec,
};

use crate::bounds::Bounds;
use crate::users::Credentials;
use crate::{ContainerConfig, Error, ExecConfig, ImageConfig, Result, Rlimit};

pub(crate) use linux::{cgroup_path, resources};

const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Builds the specification. `bounds` caps what is asked for.
pub(crate) fn build(
    config: &ContainerConfig,
    image: &ImageConfig,
    credentials: &Credentials,
    bounds: &Bounds,
) -> Result<Spec> {
    let mut root = Root::default();
    root.set_path("rootfs".into()).set_readonly(Some(config.security.read_only_root));
    let mut spec = Spec::default();
    spec.set_version("1.0.2".into())
        .set_root(Some(root))
        .set_process(Some(process(config, image, credentials, bounds)?))
        .set_mounts(Some(mounts::build(config)?))
        .set_hostname(match config.namespaces.uts {
            crate::Namespace::Private => config.hostname.clone(),
            _ => None,
        })
        .set_linux(Some(linux::build(config)?));
    Ok(spec)
}

/// The specification of a further process in a container whose own is `process`.
pub(crate) fn exec(process: &Process, config: &ExecConfig) -> Process {
    let mut exec = process.clone();
    let mut env = process.env().clone().unwrap_or_default();
    config.env.iter().for_each(|(name, value)| set_env(&mut env, name, value));
    if config.tty && !env.iter().any(|entry| entry.starts_with("TERM=")) {
        env.push("TERM=xterm".into());
    }
    exec.set_args(Some(config.argv.clone())).set_env(Some(env)).set_terminal(Some(config.tty));
    exec
}

fn process(
    config: &ContainerConfig,
    image: &ImageConfig,
    credentials: &Credentials,
    bounds: &Bounds,
) -> Result<Process> {
    let mut user = oci_spec::runtime::User::default();
    user.set_uid(credentials.uid).set_gid(credentials.gid);
    user.set_additional_gids(Some(credentials.groups.clone()).filter(|groups| !groups.is_empty()));
    let cwd = match &config.working_dir {
        Some(dir) if !dir.is_empty() => dir,
        _ if !image.working_dir.is_empty() => &image.working_dir,
        _ => "/",
    };
    let capabilities = linux::capabilities(&config.security, bounds)?;
    let mut sets = LinuxCapabilities::default();
    sets.set_bounding(Some(capabilities.clone()))
        .set_effective(Some(capabilities.clone()))
        .set_permitted(Some(capabilities))
        .set_inheritable(None)
        .set_ambient(None);
    let mut process = Process::default();
    process
        .set_terminal(Some(config.tty))
        .set_user(user)
        .set_args(Some(arguments(config, image)?))
        .set_env(Some(environment(config, image, credentials)))
        .set_cwd(cwd.into())
        .set_capabilities(Some(sets))
        .set_no_new_privileges(Some(config.security.no_new_privileges))
        .set_apparmor_profile(None)
        .set_oom_score_adj(config.resources.oom_score_adj.map(|score| score.max(bounds.min_oom_score_adj)))
        .set_rlimits(rlimits(&config.rlimits, bounds)?);
    Ok(process)
}

/// A command of the configuration also replaces the image's arguments, which were meant for its entry point.
fn arguments(config: &ContainerConfig, image: &ImageConfig) -> Result<Vec<String>> {
    let (program, arguments) = match (config.command.is_empty(), config.args.is_empty()) {
        (false, _) => (&config.command, &config.args),
        (true, false) => (&image.entrypoint, &config.args),
        (true, true) => (&image.entrypoint, &image.cmd),
    };
    let all: Vec<String> = program.iter().chain(arguments).cloned().collect();
    if all.is_empty() {
        return Err(Error::InvalidConfig {
            field: "command",
            value: config.image.clone(),
            reason: "names no program, and neither does the configuration: set a command".into(),
        });
    }
    Ok(all)
}

fn environment(config: &ContainerConfig, image: &ImageConfig, credentials: &Credentials) -> Vec<String> {
    let mut env = vec![DEFAULT_PATH.to_owned()];
    if let Some(home) = &credentials.home {
        env.push(format!("HOME={home}"));
    }
    if config.tty {
        env.push("TERM=xterm".into());
    }
    if let Some(hostname) = &config.hostname {
        env.push(format!("HOSTNAME={hostname}"));
    }
    for entry in &image.env {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        set_env(&mut env, name, value);
    }
    config.env.iter().for_each(|(name, value)| set_env(&mut env, name, value));
    env
}

fn set_env(env: &mut Vec<String>, name: &str, value: &str) {
    let entry = format!("{name}={value}");
    match env.iter_mut().find(|e| e.split_once('=').is_some_and(|(existing, _)| existing == name)) {
        Some(existing) => *existing = entry,
        None => env.push(entry),
    }
}

fn rlimits(wanted: &[Rlimit], bounds: &Bounds) -> Result<Option<Vec<PosixRlimit>>> {
    let limit = |wanted: &Rlimit| {
        let cap = match (wanted.kind.as_str(), bounds.max_open_files) {
            ("RLIMIT_NOFILE", Some(cap)) => cap,
            _ => u64::MAX,
        };
        let typ: PosixRlimitType =
            serde_json::from_value(wanted.kind.clone().into()).map_err(|_| Error::InvalidConfig {
                field: "rlimits",
                value: wanted.kind.clone(),
                reason: "is not a limit of this system: it must be like RLIMIT_NOFILE".into(),
            })?;
        let builder = PosixRlimitBuilder::default();
        let (soft, hard) = (wanted.soft.min(cap), wanted.hard.min(cap));
        builder.typ(typ).soft(soft).hard(hard).build().map_err(|e| broken("rlimits", &e))
    };
    let limits: Vec<PosixRlimit> = wanted.iter().map(limit).collect::<Result<_>>()?;
    Ok(Some(limits).filter(|limits| !limits.is_empty()))
}

/// A part of the specification that its builder refused.
fn broken(field: &'static str, error: &OciSpecError) -> Error {
    Error::InvalidConfig { field, value: String::new(), reason: error.to_string() }
}

#[cfg(test)]
mod tests;
