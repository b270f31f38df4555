//! The file that says where clusters are and who the user is, as kubectl reads it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Config;

/// A kubeconfig is small; a larger file is not one.
const MAX_SIZE: u64 = 4 << 20;

/// Why a kubeconfig cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not a kubeconfig.
    #[error("{path} is not a kubeconfig")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: serde_yaml::Error,
    },
    /// The file is too large to be a kubeconfig.
    #[error("{path} has more than {MAX_SIZE} bytes, which no kubeconfig needs")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A context, cluster or user is named and not there.
    #[error("{path} has no {what} named {name:?}; it has {known:?}")]
    Missing {
        /// The file.
        path: PathBuf,
        /// `context`, `cluster` or `user`.
        what: &'static str,
        /// Its name.
        name: String,
        /// Those that are there.
        known: Vec<String>,
    },
    /// A value breaks a rule.
    #[error("{path}: {field} {value:?}: {rule}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Which field.
        field: &'static str,
        /// Its value.
        value: String,
        /// The rule, and what to do.
        rule: String,
    },
}

/// A kubeconfig.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Kubeconfig {
    /// `v1`.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// `Config`.
    pub kind: String,
    /// The clusters.
    pub clusters: Vec<NamedCluster>,
    /// The users.
    pub users: Vec<NamedUser>,
    /// Pairs of a cluster and a user.
    pub contexts: Vec<NamedContext>,
    /// The context that is used.
    pub current_context: String,
    #[serde(skip)]
    path: PathBuf,
}

/// A cluster.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NamedCluster {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub cluster: Cluster,
}

/// Where a cluster is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Cluster {
    /// The API server's address; several are separated by commas.
    pub server: String,
    /// The authority's certificates: a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_authority: Option<PathBuf>,
    /// The authority's certificates: base64 of PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_authority_data: Option<String>,
    /// The name in the server's certificate, where it is not the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_server_name: Option<String>,
    /// Not supported: the server must prove who it is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub insecure_skip_tls_verify: bool,
}

/// A user.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NamedUser {
    /// The user's name.
    pub name: String,
    /// The credentials.
    pub user: User,
}

impl std::fmt::Debug for NamedUser {
    // Keys and tokens must not reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NamedUser").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Credentials.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct User {
    /// The certificate: a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<PathBuf>,
    /// The certificate: base64 of PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_data: Option<String>,
    /// The key: a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key: Option<PathBuf>,
    /// The key: base64 of PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key_data: Option<String>,
    /// A bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// A bearer token: a file.
    #[serde(rename = "tokenFile", skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
}

/// A context.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NamedContext {
    /// Its name.
    pub name: String,
    /// What it pairs.
    pub context: Context,
}

/// What a context pairs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Context {
    /// The cluster's name.
    pub cluster: String,
    /// The user's name.
    pub user: String,
    /// The namespace where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

impl Kubeconfig {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = read(path)?;
        let mut config: Self =
            serde_yaml::from_slice(&text).map_err(|source| Error::Parse { path: path.to_owned(), source })?;
        path.clone_into(&mut config.path);
        Ok(config)
    }

    /// What a context, the current one unless named, says.
    pub fn config(&self, context: Option<&str>) -> Result<Config, Error> {
        let name = context.unwrap_or(&self.current_context);
        let context = &self.find("context", name, &self.contexts, |entry| &entry.name)?.context;
        let cluster = &self.find("cluster", &context.cluster, &self.clusters, |entry| &entry.name)?.cluster;
        let user = &self.find("user", &context.user, &self.users, |entry| &entry.name)?.user;
        if cluster.insecure_skip_tls_verify {
            let rule = "the server must prove who it is: name its certificate-authority instead".to_owned();
            return Err(self.invalid("insecure-skip-tls-verify", "true".to_owned(), rule));
        }
        let servers =
            cluster.server.split(',').map(|server| self.server(server.trim())).collect::<Result<_, _>>()?;
        let token = match (&user.token, &user.token_file) {
            (Some(token), _) => Some(token.trim().to_owned()),
            (None, Some(file)) => {
                Some(String::from_utf8_lossy(&read(&self.resolve(file))?).trim().to_owned())
            }
            (None, None) => None,
        };
        let mut config = Config::plain(Uri::default());
        config.servers = servers;
        config.certificate_authority = self.pem(
            "certificate-authority-data",
            cluster.certificate_authority_data.as_deref(),
            cluster.certificate_authority.as_deref(),
        )?;
        config.client_certificate = self.pem(
            "client-certificate-data",
            user.client_certificate_data.as_deref(),
            user.client_certificate.as_deref(),
        )?;
        config.client_key =
            self.pem("client-key-data", user.client_key_data.as_deref(), user.client_key.as_deref())?;
        config.token = token;
        config.server_name.clone_from(&cluster.tls_server_name);
        if let Some(namespace) = context.namespace.as_deref().filter(|namespace| !namespace.is_empty()) {
            namespace.clone_into(&mut config.namespace);
        }
        Ok(config)
    }

    fn find<'a, T>(
        &self,
        what: &'static str,
        name: &str,
        entries: &'a [T],
        name_of: impl Fn(&T) -> &String,
    ) -> Result<&'a T, Error> {
        entries.iter().find(|entry| name_of(entry) == name).ok_or_else(|| Error::Missing {
            path: self.path.clone(),
            what,
            name: name.to_owned(),
            known: entries.iter().map(|entry| name_of(entry).clone()).collect(),
        })
    }

    fn server(&self, server: &str) -> Result<Uri, Error> {
        let invalid = |rule: String| self.invalid("server", server.to_owned(), rule);
        let uri: Uri = server.parse().map_err(|error| invalid(format!("not a URL: {error}")))?;
        match uri.scheme_str() {
            Some("https" | "http") if uri.host().is_some() => Ok(uri),
            _ => Err(invalid("must be https://HOST:PORT".to_owned())),
        }
    }

    fn pem(
        &self,
        field: &'static str,
        data: Option<&str>,
        file: Option<&Path>,
    ) -> Result<Option<Vec<u8>>, Error> {
        match (data, file) {
            (Some(data), _) => STANDARD.decode(data.trim()).map(Some).map_err(|error| {
                // The value may be a key.
                self.invalid(field, "...".to_owned(), format!("not base64: {error}"))
            }),
            (None, Some(file)) => read(&self.resolve(file)).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn invalid(&self, field: &'static str, value: String, rule: String) -> Error {
        Error::Invalid { path: self.path.clone(), field, value, rule }
    }

    /// Relative paths start at the kubeconfig's directory.
    fn resolve(&self, file: &Path) -> PathBuf {
        self.path.parent().map_or_else(|| file.to_owned(), |directory| directory.join(file))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    if fs::metadata(path).map_err(failed)?.len() > MAX_SIZE {
        return Err(Error::TooLarge { path: path.to_owned() });
    }
    fs::read(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::{Error, Kubeconfig};
    use std::path::PathBuf;

    const TEXT: &str = r#"
apiVersion: v1
kind: Config
clusters:
- name: c
  cluster: {server: "https://10.0.0.1:6443,https://10.0.0.2:6443", certificate-authority-data: Y2E=}
users:
- name: u
  user: {client-certificate: cert.pem, client-key-data: a2V5, token: " t "}
contexts:
- name: x
  context: {cluster: c, user: u, namespace: web}
current-context: x
"#;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kubeconfig");
        std::fs::write(&path, text).unwrap();
        std::fs::write(dir.path().join("cert.pem"), "cert").unwrap();
        (dir, path)
    }

    #[test]
    fn data_and_files_are_read() {
        let (_dir, path) = file(TEXT);
        let config = Kubeconfig::read(&path).unwrap().config(None).unwrap();
        assert_eq!(config.servers.len(), 2);
        assert_eq!(config.certificate_authority.as_deref(), Some(&b"ca"[..]));
        assert_eq!(config.client_certificate.as_deref(), Some(&b"cert"[..]));
        assert_eq!(config.client_key.as_deref(), Some(&b"key"[..]));
        assert_eq!(config.token.as_deref(), Some("t"));
        assert_eq!(config.namespace, "web");
    }

    #[test]
    fn what_is_missing_is_named() {
        let (_dir, path) = file(&TEXT.replace("user: u,", "user: nobody,"));
        let error = Kubeconfig::read(&path).unwrap().config(None).unwrap_err();
        assert!(error.to_string().ends_with(r#"has no user named "nobody"; it has ["u"]"#), "{error}");
        let error = Kubeconfig::read(&path).unwrap().config(Some("y")).unwrap_err();
        assert!(matches!(error, Error::Missing { what: "context", .. }));
    }

    #[test]
    fn a_bad_server_is_refused() {
        let (_dir, path) = file(&TEXT.replace("https://10.0.0.1:6443,", "10.0.0.1:6443,"));
        let error = Kubeconfig::read(&path).unwrap().config(None).unwrap_err();
        assert!(
            error.to_string().contains(r#"server "10.0.0.1:6443": must be https://HOST:PORT"#),
            "{error}"
        );
    }
}
