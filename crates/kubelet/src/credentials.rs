//! Registry credentials from the pod's pull secrets.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gantry_api::core::v1::Secret;
use gantry_container_runtime::RegistryAuth;
use serde::Deserialize;

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

/// The credentials for `image`: of all entries that name its registry, the one with the longest matching path.
#[must_use]
pub fn find(secrets: &[&Secret], image: &str) -> Option<RegistryAuth> {
    let image = normalise(image);
    let mut best: Option<(usize, RegistryAuth)> = None;
    for secret in secrets {
        for (host, entry) in entries(secret) {
            let prefix = strip(&host);
            let rest = image.strip_prefix(prefix.as_str());
            let matches = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':', '@']));
            if matches
                && best.as_ref().is_none_or(|(length, _)| *length < prefix.len())
                && let Some(auth) = credentials(&entry)
            {
                best = Some((prefix.len(), auth));
            }
        }
    }
    best.map(|(_, auth)| auth)
}

fn entries(secret: &Secret) -> BTreeMap<String, Entry> {
    if let Some(data) = secret.data.get(".dockerconfigjson") {
        return serde_json::from_slice::<DockerConfig>(data).map(|config| config.auths).unwrap_or_default();
    }
    let old = secret.data.get(".dockercfg");
    old.and_then(|data| serde_json::from_slice(data).ok()).unwrap_or_default()
}

/// With the default registry spelled out.
fn normalise(image: &str) -> String {
    let first = image.split('/').next().unwrap_or_default();
    let named = image.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    if named { image.to_owned() } else { format!("docker.io/{image}") }
}

/// `https://index.docker.io/v1/` is how the default registry is written in such files.
fn strip(host: &str) -> String {
    let host = host.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    match host {
        "index.docker.io/v1" | "index.docker.io" => "docker.io".to_owned(),
        other => other.to_owned(),
    }
}

fn credentials(entry: &Entry) -> Option<RegistryAuth> {
    if !entry.registrytoken.is_empty() {
        return Some(RegistryAuth::RegistryToken(entry.registrytoken.clone()));
    }
    if !entry.identitytoken.is_empty() {
        return Some(RegistryAuth::IdentityToken(entry.identitytoken.clone()));
    }
    if !entry.username.is_empty() {
        let (username, password) = (entry.username.clone(), entry.password.clone());
        return Some(RegistryAuth::Basic { username, password });
    }
    let decoded = String::from_utf8(STANDARD.decode(entry.auth.trim()).ok()?).ok()?;
    let (username, password) = decoded.split_once(':')?;
    Some(RegistryAuth::Basic { username: username.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_entry_counts() {
        let config = r#"{"auths":{"r.example:5000":{"auth":"YTpi"},
            "r.example:5000/team":{"username":"c","password":"d"},
            "https://index.docker.io/v1/":{"identitytoken":"t"}}}"#;
        let mut secret = Secret::default();
        secret.data.insert(".dockerconfigjson".into(), config.into());
        let basic = |username: &str, password: &str| {
            Some(RegistryAuth::Basic { username: username.into(), password: password.into() })
        };
        assert_eq!(find(&[&secret], "r.example:5000/web:1"), basic("a", "b"));
        assert_eq!(find(&[&secret], "r.example:5000/team/web:1"), basic("c", "d"));
        assert_eq!(find(&[&secret], "r.example:5000/teams/web"), basic("a", "b"));
        assert_eq!(find(&[&secret], "busybox"), Some(RegistryAuth::IdentityToken("t".into())));
        assert_eq!(find(&[&secret], "other.example/web"), None);
    }
}
