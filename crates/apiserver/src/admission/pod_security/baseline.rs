//! What the baseline forbids: the known ways from a pod to its node.

use std::collections::BTreeSet;

use gantry_api::core::v1::{Container, LifecycleHandler, Probe, SeLinuxOptions, SecurityContext};

use super::Subject;
use super::text::{Finding, containers, finding, plural, quoted, setters};

const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
/// The capabilities that container engines give anyway.
const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// The sysctls that concern the pod alone, with the version since which they count as such.
const SYSCTLS: [(&str, u32); 12] = [
    ("kernel.shm_rmid_forced", 0),
    ("net.ipv4.ip_local_port_range", 0),
    ("net.ipv4.tcp_syncookies", 0),
    ("net.ipv4.ping_group_range", 0),
    ("net.ipv4.ip_unprivileged_port_start", 0),
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_wmem", 32),
];

/// Everything that is forbidden. The restricted level has rules of its own in place of some.
pub(super) fn findings(subject: &Subject<'_>, restricted: bool) -> Vec<Finding> {
    let since = |minor| restricted && subject.version.since(minor);
    [
        app_armor(subject),
        if since(22) { None } else { capabilities(subject) },
        host_namespaces(subject),
        if restricted { None } else { host_paths(subject) },
        host_ports(subject),
        hosts(subject),
        privileged(subject),
        proc_mount(subject),
        se_linux(subject),
        if since(19) { None } else { seccomp(subject) },
        sysctls(subject),
        host_process(subject),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The names of the containers of which something holds.
pub(super) fn named<'a>(subject: &'a Subject<'_>, is: impl Fn(&Container) -> bool) -> Vec<&'a str> {
    subject.containers.iter().filter(|one| is(one)).map(|one| one.name.as_str()).collect()
}

/// The names of the containers of whose security context something holds.
fn secured<'a>(subject: &'a Subject<'_>, is: impl Fn(&SecurityContext) -> bool) -> Vec<&'a str> {
    named(subject, |container| container.security_context.as_ref().is_some_and(&is))
}

fn app_armor(subject: &Subject<'_>) -> Option<Finding> {
    let mut values = BTreeSet::new();
    let mut is_bad = |r#type: &str| {
        let bad = !matches!(r#type, "RuntimeDefault" | "Localhost");
        if bad {
            values.insert(r#type.to_owned());
        }
        bad
    };
    let of_pod =
        subject.spec.security_context.as_ref().and_then(|context| context.app_armor_profile.as_ref());
    let pod = of_pod.is_some_and(|profile| is_bad(&profile.r#type));
    let mut names = Vec::new();
    for container in &subject.containers {
        let profile =
            container.security_context.as_ref().and_then(|context| context.app_armor_profile.as_ref());
        if profile.is_some_and(|profile| is_bad(&profile.r#type)) {
            names.push(container.name.as_str());
        }
    }
    let allowed =
        |value: &str| value.is_empty() || value == "runtime/default" || value.starts_with("localhost/");
    let annotated =
        subject.annotations.iter().filter(|(key, value)| key.starts_with(APP_ARMOR) && !allowed(value));
    let annotated: Vec<String> = annotated.map(|(key, value)| format!("{key}={value:?}")).collect();
    let mut all: Vec<String> = setters(pod, &names).into_iter().collect();
    if !annotated.is_empty() {
        all.push(plural("annotation", "annotations", annotated.len()).to_owned());
    }
    let values: Vec<String> = values.into_iter().chain(annotated).collect();
    if all.is_empty() {
        return None;
    }
    let reason = plural("forbidden AppArmor profile", "forbidden AppArmor profiles", values.len());
    finding(reason, format!("{} must not set AppArmor profile type to {}", all.join(" and "), quoted(values)))
}

fn capabilities(subject: &Subject<'_>) -> Option<Finding> {
    let mut forbidden = BTreeSet::new();
    let mut names = Vec::new();
    for container in &subject.containers {
        let added = container.security_context.iter().flat_map(|context| &context.capabilities);
        let bad: Vec<&String> =
            added.flat_map(|all| &all.add).filter(|one| !CAPABILITIES.contains(&one.as_str())).collect();
        if !bad.is_empty() {
            names.push(container.name.as_str());
            forbidden.extend(bad);
        }
    }
    if names.is_empty() {
        return None;
    }
    let (names, forbidden) = (containers(&names), quoted(forbidden));
    finding(
        "non-default capabilities",
        format!("{names} must not include {forbidden} in securityContext.capabilities.add"),
    )
}

fn host_namespaces(subject: &Subject<'_>) -> Option<Finding> {
    let spec = subject.spec;
    let all = [
        (spec.host_network, "hostNetwork=true"),
        (spec.host_pid, "hostPID=true"),
        (spec.host_ipc, "hostIPC=true"),
    ];
    let shared: Vec<&str> = all.into_iter().filter(|(is, _)| *is).map(|(_, text)| text).collect();
    if shared.is_empty() { None } else { finding("host namespaces", shared.join(", ")) }
}

fn host_paths(subject: &Subject<'_>) -> Option<Finding> {
    let is = |source: &gantry_api::core::v1::VolumeSource| source.host_path.is_some();
    let volumes = subject.spec.volumes.iter().filter(|volume| volume.volume_source.as_ref().is_some_and(is));
    let names: Vec<&str> = volumes.map(|volume| volume.name.as_str()).collect();
    if names.is_empty() {
        return None;
    }
    finding("hostPath volumes", format!("{} {}", plural("volume", "volumes", names.len()), quoted(&names)))
}

fn host_ports(subject: &Subject<'_>) -> Option<Finding> {
    let names = named(subject, |container| container.ports.iter().any(|port| port.host_port != 0));
    let ports = subject.containers.iter().flat_map(|container| &container.ports);
    // Upstream sorts them as text.
    let ports: BTreeSet<String> =
        ports.filter(|port| port.host_port != 0).map(|port| port.host_port.to_string()).collect();
    if names.is_empty() {
        return None;
    }
    let uses = plural("uses", "use", names.len());
    let what = plural("hostPort", "hostPorts", ports.len());
    let ports = ports.into_iter().collect::<Vec<_>>().join(", ");
    finding("hostPort", format!("{} {uses} {what} {ports}", containers(&names)))
}

/// The node's probes and hooks go to the pod, and to no other host.
fn hosts(subject: &Subject<'_>) -> Option<Finding> {
    if !subject.version.since(34) {
        return None;
    }
    let mut forbidden = BTreeSet::new();
    let mut names = BTreeSet::new();
    for container in &subject.containers {
        let found = hosts_of(container);
        if !found.is_empty() {
            names.insert(container.name.as_str());
            forbidden.extend(found);
        }
    }
    if names.is_empty() {
        return None;
    }
    let names: Vec<&str> = names.into_iter().collect();
    let uses = plural("uses", "use", names.len());
    let what = plural("probe or lifecycle host", "probe or lifecycle hosts", forbidden.len());
    finding("probe or lifecycle host", format!("{} {uses} {what} {}", containers(&names), quoted(&forbidden)))
}

fn hosts_of(container: &Container) -> Vec<&str> {
    let probes = [&container.liveness_probe, &container.readiness_probe, &container.startup_probe];
    let probes = probes.into_iter().flatten().filter_map(|probe: &Probe| probe.handler.as_ref());
    let of_probes = probes.flat_map(|handler| {
        let web = handler.http_get.as_ref().map(|action| action.host.as_str());
        let socket = handler.tcp_socket.as_ref().map(|action| action.host.as_str());
        [web, socket]
    });
    let hooks = container.lifecycle.iter().flat_map(|all| [&all.post_start, &all.pre_stop]).flatten();
    let of_hooks = hooks.flat_map(|handler: &LifecycleHandler| {
        let web = handler.http_get.as_ref().map(|action| action.host.as_str());
        let socket = handler.tcp_socket.as_ref().map(|action| action.host.as_str());
        [web, socket]
    });
    of_probes.chain(of_hooks).flatten().filter(|host| !host.is_empty()).collect()
}

fn privileged(subject: &Subject<'_>) -> Option<Finding> {
    let names = secured(subject, |context| context.privileged == Some(true));
    if names.is_empty() {
        return None;
    }
    let detail = format!("{} must not set securityContext.privileged=true", containers(&names));
    finding("privileged", detail)
}

fn proc_mount(subject: &Subject<'_>) -> Option<Finding> {
    let is_bad = |value: &str| value != "Default";
    let names = secured(subject, |context| context.proc_mount.as_deref().is_some_and(is_bad));
    if names.is_empty() {
        return None;
    }
    let contexts = subject.containers.iter().filter_map(|container| container.security_context.as_ref());
    let values: BTreeSet<&str> =
        contexts.filter_map(|context| context.proc_mount.as_deref()).filter(|value| is_bad(value)).collect();
    let detail =
        format!("{} must not set securityContext.procMount to {}", containers(&names), quoted(values));
    finding("procMount", detail)
}

fn se_linux(subject: &Subject<'_>) -> Option<Finding> {
    let allowed = |r#type: &str| {
        matches!(r#type, "" | "container_t" | "container_init_t" | "container_kvm_t")
            || r#type == "container_engine_t" && subject.version.since(31)
    };
    let is_bad = |options: &&SeLinuxOptions| {
        !allowed(&options.r#type) || !options.user.is_empty() || !options.role.is_empty()
    };
    let of_pod = subject.spec.security_context.as_ref().and_then(|context| context.se_linux_options.as_ref());
    let mut bad: Vec<&SeLinuxOptions> = of_pod.filter(|options| is_bad(options)).into_iter().collect();
    let pod = !bad.is_empty();
    let mut names = Vec::new();
    for container in &subject.containers {
        let options =
            container.security_context.as_ref().and_then(|context| context.se_linux_options.as_ref());
        if let Some(options) = options.filter(|options| is_bad(options)) {
            names.push(container.name.as_str());
            bad.push(options);
        }
    }
    let setters = setters(pod, &names)?;
    let types: BTreeSet<&str> =
        bad.iter().map(|options| options.r#type.as_str()).filter(|one| !allowed(one)).collect();
    let mut data = Vec::new();
    if !types.is_empty() {
        data.push(format!("{} {}", plural("type", "types", types.len()), quoted(types)));
    }
    if bad.iter().any(|options| !options.user.is_empty()) {
        data.push("user may not be set".to_owned());
    }
    if bad.iter().any(|options| !options.role.is_empty()) {
        data.push("role may not be set".to_owned());
    }
    let data = data.join("; ");
    finding("seLinuxOptions", format!("{setters} set forbidden securityContext.seLinuxOptions: {data}"))
}

fn seccomp(subject: &Subject<'_>) -> Option<Finding> {
    if !subject.version.since(19) {
        return None;
    }
    let is_bad = |r#type: &str| !matches!(r#type, "RuntimeDefault" | "Localhost");
    let of_pod = subject.spec.security_context.as_ref().and_then(|context| context.seccomp_profile.as_ref());
    let pod = of_pod.is_some_and(|profile| is_bad(&profile.r#type));
    let names = secured(subject, |context| {
        context.seccomp_profile.as_ref().is_some_and(|profile| is_bad(&profile.r#type))
    });
    let setters = setters(pod, &names)?;
    let contexts = subject.containers.iter().filter_map(|container| container.security_context.as_ref());
    let profiles = of_pod.into_iter().chain(contexts.filter_map(|context| context.seccomp_profile.as_ref()));
    let values: BTreeSet<&str> =
        profiles.map(|profile| profile.r#type.as_str()).filter(|one| is_bad(one)).collect();
    let detail = format!("{setters} must not set securityContext.seccompProfile.type to {}", quoted(values));
    finding("seccompProfile", detail)
}

fn sysctls(subject: &Subject<'_>) -> Option<Finding> {
    let allowed =
        |name: &str| SYSCTLS.iter().any(|(safe, minor)| *safe == name && subject.version.since(*minor));
    let set = subject.spec.security_context.iter().flat_map(|context| &context.sysctls);
    let bad: Vec<&str> = set.map(|sysctl| sysctl.name.as_str()).filter(|name| !allowed(name)).collect();
    if bad.is_empty() { None } else { finding("forbidden sysctls", bad.join(", ")) }
}

fn host_process(subject: &Subject<'_>) -> Option<Finding> {
    let of_pod = subject.spec.security_context.as_ref().and_then(|context| context.windows_options.as_ref());
    let pod = of_pod.is_some_and(|options| options.host_process == Some(true));
    let names = secured(subject, |context| {
        context.windows_options.as_ref().is_some_and(|options| options.host_process == Some(true))
    });
    let setters = setters(pod, &names)?;
    finding("hostProcess", format!("{setters} must not set securityContext.windowsOptions.hostProcess=true"))
}
