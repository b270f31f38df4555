//! A pod's `/etc/resolv.conf`.

use gantry_api::core::v1::{PodDnsConfig, PodSpec};

/// What the resolver takes.
const MAX_NAMESERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;

/// What the cluster and the node say about names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsSettings {
    /// The cluster's servers.
    pub servers: Vec<String>,
    /// The cluster's domain.
    pub domain: String,
    /// The node's own file.
    pub node: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Resolver {
    nameservers: Vec<String>,
    searches: Vec<String>,
    options: Vec<String>,
}

/// The file of a pod.
#[must_use]
pub fn resolv_conf(spec: &PodSpec, namespace: &str, settings: &DnsSettings) -> String {
    let node = parse(&settings.node);
    let cluster = match spec.dns_policy.as_str() {
        "None" | "Default" => false,
        "ClusterFirstWithHostNet" => true,
        // Where there is no cluster DNS, the node's is all there is.
        _ => !spec.host_network,
    } && !settings.servers.is_empty();
    let mut resolver = match spec.dns_policy.as_str() {
        "None" => Resolver::default(),
        _ if cluster => {
            let domain = &settings.domain;
            let mut searches =
                vec![format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.clone()];
            searches.extend(node.searches);
            Resolver { nameservers: settings.servers.clone(), searches, options: vec!["ndots:5".to_owned()] }
        }
        _ => node,
    };
    if let Some(config) = &spec.dns_config {
        merge(&mut resolver, config);
    }
    render(&resolver)
}

fn parse(text: &str) -> Resolver {
    let mut resolver = Resolver::default();
    for line in text.lines() {
        let mut words = line.split_whitespace().map(str::to_owned);
        match words.next().as_deref() {
            Some("nameserver") => resolver.nameservers.extend(words.next()),
            // The last one counts.
            Some("search") => resolver.searches = words.collect(),
            Some("options") => resolver.options = words.collect(),
            _ => {}
        }
    }
    resolver
}

fn merge(resolver: &mut Resolver, config: &PodDnsConfig) {
    let add = |list: &mut Vec<String>, more: &[String]| {
        for item in more {
            if !list.contains(item) {
                list.push(item.clone());
            }
        }
    };
    add(&mut resolver.nameservers, &config.nameservers);
    add(&mut resolver.searches, &config.searches);
    for option in &config.options {
        resolver.options.retain(|known| known.split(':').next() != Some(option.name.as_str()));
        resolver.options.push(match &option.value {
            Some(value) if !value.is_empty() => format!("{}:{value}", option.name),
            _ => option.name.clone(),
        });
    }
}

fn render(resolver: &Resolver) -> String {
    let mut text = String::new();
    if !resolver.searches.is_empty() {
        let count = resolver.searches.len().min(MAX_SEARCHES);
        text.push_str(&format!("search {}\n", resolver.searches[..count].join(" ")));
    }
    for server in resolver.nameservers.iter().take(MAX_NAMESERVERS) {
        text.push_str(&format!("nameserver {server}\n"));
    }
    if !resolver.options.is_empty() {
        text.push_str(&format!("options {}\n", resolver.options.join(" ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(spec: &str) -> String {
        let settings = DnsSettings {
            servers: vec!["10.96.0.10".into()],
            domain: "cluster.local".into(),
            node: "# a comment\nnameserver 10.0.0.1\nsearch example\noptions timeout:1\n".into(),
        };
        resolv_conf(&serde_json::from_str(spec).unwrap(), "ns", &settings)
    }

    #[test]
    fn each_policy_has_its_file() {
        let cluster = "search ns.svc.cluster.local svc.cluster.local cluster.local example\n\
                       nameserver 10.96.0.10\noptions ndots:5\n";
        let node = "search example\nnameserver 10.0.0.1\noptions timeout:1\n";
        assert_eq!(file("{}"), cluster);
        assert_eq!(file(r#"{"dnsPolicy":"ClusterFirst"}"#), cluster);
        assert_eq!(file(r#"{"dnsPolicy":"ClusterFirst","hostNetwork":true}"#), node);
        assert_eq!(file(r#"{"dnsPolicy":"ClusterFirstWithHostNet","hostNetwork":true}"#), cluster);
        assert_eq!(file(r#"{"dnsPolicy":"Default"}"#), node);
        assert_eq!(
            file(
                r#"{"dnsPolicy":"None","dnsConfig":{"nameservers":["1.1.1.1"],"searches":["x"],
                    "options":[{"name":"ndots","value":"2"},{"name":"edns0"}]}}"#
            ),
            "search x\nnameserver 1.1.1.1\noptions ndots:2 edns0\n"
        );
    }

    #[test]
    fn a_pods_options_replace_those_of_the_policy() {
        let text = file(r#"{"dnsConfig":{"options":[{"name":"ndots","value":"1"}]}}"#);
        assert!(text.ends_with("options ndots:1\n"), "{text}");
    }
}
