//! A pod's `/etc/hosts`.

use std::fmt::Write as _;
use std::net::IpAddr;

use gantry_api::core::v1::{HostAlias, PodSpec};

/// The host name that a pod sees: its own choice, else its name, cut to what the kernel takes.
#[must_use]
pub fn hostname(spec: &PodSpec, pod: &str) -> String {
    let name = match &spec.hostname_override {
        Some(name) if !name.is_empty() => name,
        _ if spec.hostname.is_empty() => pod,
        _ => &spec.hostname,
    };
    const MAX: usize = 63;
    name.get(..MAX).unwrap_or(name).trim_end_matches(['-', '.']).to_owned()
}

/// The name by which the rest of the cluster finds the pod, where its subdomain gives it one.
#[must_use]
pub fn domain_name(spec: &PodSpec, hostname: &str, namespace: &str, domain: &str) -> Option<String> {
    let subdomain = &spec.subdomain;
    (!subdomain.is_empty() && !domain.is_empty())
        .then(|| format!("{hostname}.{subdomain}.{namespace}.svc.{domain}"))
}

/// The file of a pod with a network of its own.
#[must_use]
pub fn pod_file(
    addresses: &[IpAddr],
    hostname: &str,
    domain_name: Option<&str>,
    aliases: &[HostAlias],
) -> String {
    let mut text = "# Managed by the kubelet: changes are overwritten.\n\
                    127.0.0.1\tlocalhost\n\
                    ::1\tlocalhost ip6-localhost ip6-loopback\n\
                    fe00::0\tip6-localnet\n\
                    fe00::0\tip6-mcastprefix\n\
                    fe00::1\tip6-allnodes\n\
                    fe00::2\tip6-allrouters\n"
        .to_owned();
    for address in addresses {
        let names = domain_name.map_or_else(|| hostname.to_owned(), |full| format!("{full}\t{hostname}"));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{address}\t{names}");
    }
    append(&mut text, aliases);
    text
}

/// The file of a pod on the node's network: the node's, with the pod's aliases.
#[must_use]
pub fn node_file(node: &str, aliases: &[HostAlias]) -> String {
    let mut text = node.to_owned();
    if !text.ends_with('\n') && !text.is_empty() {
        text.push('\n');
    }
    append(&mut text, aliases);
    text
}

fn append(text: &mut String, aliases: &[HostAlias]) {
    if aliases.is_empty() {
        return;
    }
    text.push_str("\n# Entries added by HostAliases.\n");
    for alias in aliases {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}\t{}", alias.ip, alias.hostnames.join("\t"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pods_names_and_aliases_are_in_it() {
        let aliases = [HostAlias { ip: "1.2.3.4".into(), hostnames: vec!["a".into(), "b".into()] }];
        let text = pod_file(&["10.0.0.5".parse().unwrap()], "web-0", Some("web-0.web.ns.svc.c"), &aliases);
        assert!(text.contains("\n10.0.0.5\tweb-0.web.ns.svc.c\tweb-0\n"), "{text}");
        assert!(text.ends_with("1.2.3.4\ta\tb\n"), "{text}");
    }

    #[test]
    fn long_names_are_cut() {
        let name = format!("{}-{}", "a".repeat(62), "b".repeat(20));
        assert_eq!(hostname(&PodSpec::default(), &name), "a".repeat(62));
    }
}
