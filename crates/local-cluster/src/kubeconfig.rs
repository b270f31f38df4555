//! Kubeconfig files for the administrator and the components.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_yaml::{Mapping, Value};

use crate::pki::Identities;
use crate::spec::Spec;
use crate::{Error, Paths, Result, files, pki};

/// Where each kind of client finds the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Servers {
    /// What the cluster is called in the files.
    pub cluster: String,
    /// For the administrator.
    pub admin: String,
    /// For the scheduler, the controller manager and the DNS server.
    pub control_plane: String,
    /// For nodes.
    pub nodes: String,
}

impl Servers {
    /// Those of a local cluster: nodes use the bridge's address, the others 127.0.0.1.
    pub(crate) fn of(spec: &Spec) -> Self {
        let local = format!("https://127.0.0.1:{}", spec.ports.api);
        let nodes = format!("https://{}:{}", spec.network.gateway(), spec.ports.api);
        Self { cluster: spec.network.bridge(), admin: local.clone(), control_plane: local, nodes }
    }
}

/// Writes every kubeconfig of the cluster.
pub(crate) fn write_all(paths: &Paths, servers: &Servers, identities: &Identities) -> Result<()> {
    let component = |server: &str, name: &str| {
        files::write(&paths.component_kubeconfig(name), render(paths, servers, server, name)?)
    };
    files::write(&paths.kubeconfig(), render(paths, servers, &servers.admin, pki::ADMIN)?)?;
    for name in ["scheduler", "controller-manager", "dns"] {
        component(&servers.control_plane, name)?;
    }
    component(&servers.nodes, "proxy")?;
    for (node, _) in &identities.nodes {
        component(&servers.nodes, &format!("kubelet-{node}"))?;
    }
    Ok(())
}

fn render(paths: &Paths, servers: &Servers, server: &str, certificate: &str) -> Result<String> {
    let cluster = &servers.cluster;
    let user = if certificate == pki::ADMIN { format!("{cluster}-admin") } else { certificate.to_owned() };
    Ok(format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {cluster}\nclusters:\n- name: {cluster}\n  cluster:\n    \
         server: {server}\n    certificate-authority-data: {ca}\nusers:\n- name: {user}\n  user:\n    \
         client-certificate-data: {cert}\n    client-key-data: {key}\ncontexts:\n- name: {cluster}\n  context:\n    \
         cluster: {cluster}\n    user: {user}\n",
        ca = encoded(&paths.certificate(pki::CA))?,
        cert = encoded(&paths.certificate(certificate))?,
        key = encoded(&paths.key(certificate))?,
    ))
}

fn encoded(path: &Path) -> Result<String> {
    std::fs::read(path).map(|content| STANDARD.encode(content)).map_err(Error::file(path))
}

/// Adds the cluster, user and context of the kubeconfig `from` to the kubeconfig `into` and makes the context current.
///
/// Entries of the same name are replaced, everything else is kept. The file is replaced at once, so a crash leaves
/// the old or the new one.
pub fn merge_into(from: &Path, into: &Path) -> Result<()> {
    let added = load(from)?;
    let mut merged = if into.exists() { load(into)? } else { Mapping::new() };
    merge(&mut merged, &added);
    let text = serde_yaml::to_string(&merged)
        .map_err(|error| Error::Mismatch(format!("{}: {error}", into.display())))?;
    // A link, as some keep it under version control, stays a link.
    let target = into.canonicalize().unwrap_or_else(|_| into.to_owned());
    files::write(&target, text)
}

fn load(path: &Path) -> Result<Mapping> {
    let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
    match serde_yaml::from_str(&text) {
        Ok(Value::Mapping(map)) => Ok(map),
        Ok(Value::Null) => Ok(Mapping::new()),
        _ => Err(Error::Mismatch(format!("{} is not a kubeconfig; nothing was changed", path.display()))),
    }
}

fn merge(into: &mut Mapping, added: &Mapping) {
    for key in ["apiVersion", "kind", "current-context"] {
        if let Some(value) = added.get(key) {
            into.insert(key.into(), value.clone());
        }
    }
    for key in ["clusters", "users", "contexts"] {
        let new = added.get(key).and_then(Value::as_sequence).cloned().unwrap_or_default();
        let old = into.get(key).and_then(Value::as_sequence).cloned().unwrap_or_default();
        let kept = old.into_iter().filter(|entry| !new.iter().any(|n| n.get("name") == entry.get("name")));
        let all = kept.chain(new.iter().cloned()).collect();
        into.insert(key.into(), Value::Sequence(all));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_keeps_other_clusters_and_replaces_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, theirs) = (dir.path().join("ours"), dir.path().join("theirs"));
        let entry = |server| {
            format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: gantry\n\
                 clusters: [{{name: gantry, cluster: {{server: {server}}}}}]\nusers: []\ncontexts: []\n"
            )
        };
        std::fs::write(
            &theirs,
            "current-context: work\nclusters: [{name: work}]\npreferences: {colors: true}\n",
        )
        .unwrap();
        for server in ["old", "new"] {
            std::fs::write(&ours, entry(server)).unwrap();
            merge_into(&ours, &theirs).unwrap();
        }
        let merged = load(&theirs).unwrap();
        assert_eq!(merged["current-context"], "gantry");
        assert_eq!(merged["preferences"]["colors"], true);
        let clusters = merged["clusters"].as_sequence().unwrap();
        assert_eq!(clusters.len(), 2);
        assert_eq!(clusters[1]["cluster"]["server"], "new");
    }

    #[test]
    fn what_is_not_a_kubeconfig_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, theirs) = (dir.path().join("ours"), dir.path().join("theirs"));
        std::fs::write(&ours, "kind: Config\n").unwrap();
        std::fs::write(&theirs, "- a list\n").unwrap();
        assert!(merge_into(&ours, &theirs).is_err());
        assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "- a list\n");
    }
}
