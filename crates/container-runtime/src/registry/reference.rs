//! Image references: `[registry/]repository[:tag][@digest]`.

use std::fmt;

use crate::{Error, Result};

const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_TAG: &str = "latest";
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// A reference with everything spelled out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Reference {
    /// Host, perhaps with a port.
    pub(crate) registry: String,
    /// Path of the image at the registry.
    pub(crate) repository: String,
    pub(crate) tag: Option<String>,
    pub(crate) digest: Option<String>,
}

impl Reference {
    /// Parses what people write. `busybox` stands for `docker.io/library/busybox:latest`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let invalid =
            |reason: &str| Err(Error::InvalidReference { reference: text.into(), reason: reason.into() });
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return invalid("the digest must be sha256: and 64 hexadecimal digits");
        }
        let (registry, rest) = match rest.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
            _ => (DEFAULT_REGISTRY, rest),
        };
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return invalid(
                "the tag must be 1 to 128 letters, digits, '_', '.' or '-', not beginning with '.' or '-'",
            );
        }
        if !is_host(registry) {
            return invalid("the registry must be a host name, perhaps with a port");
        }
        if path.is_empty() || path.len() > MAX_NAME || !path.split('/').all(is_component) {
            return invalid(
                "the repository must be lower-case letters and digits, with single '.', '_', '__' or '-' between them, in parts separated by '/'",
            );
        }
        let official = registry == DEFAULT_REGISTRY && !path.contains('/');
        let repository = if official { format!("library/{path}") } else { path.to_owned() };
        let tag = tag.or(if digest.is_none() { Some(DEFAULT_TAG) } else { None });
        let registry = if registry == "index.docker.io" { DEFAULT_REGISTRY } else { registry };
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }

    /// Registry and repository.
    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// What is asked for at the registry: a digest is more exact than a tag.
    pub(crate) fn selector(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or(DEFAULT_TAG)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        match (&self.digest, &self.tag) {
            // The tag of a name with a digest says nothing more.
            (Some(digest), _) => write!(f, "@{digest}"),
            (None, Some(tag)) => write!(f, ":{tag}"),
            (None, None) => Ok(()),
        }
    }
}

/// Whether this is `sha256:` and 64 digits.
pub(crate) fn is_digest(text: &str) -> bool {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    text.strip_prefix("sha256:").is_some_and(|digits| digits.len() == 64 && digits.chars().all(hex))
}

fn is_tag(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= MAX_TAG && text.starts_with(word) && text.chars().all(|c| word(c) || ".-".contains(c))
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') => (host, Some(port)),
        _ => (text, None),
    };
    let label = |label: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric();
        label.starts_with(plain) && label.ends_with(plain) && label.chars().all(|c| plain(c) || c == '-')
    };
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let named = v6.map_or_else(|| host.split('.').all(label), |v6| v6.parse::<std::net::Ipv6Addr>().is_ok());
    named && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// Letters and digits with separators between them.
fn is_component(text: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    let separators = bytes.split(plain).filter(|run| !run.is_empty());
    let allowed = |run: &[u8]| matches!(run, b"." | b"_" | b"__") || run.iter().all(|byte| *byte == b'-');
    plain(first) && plain(last) && separators.into_iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(text: &str) -> String {
        Reference::parse(text).unwrap().to_string()
    }

    #[test]
    fn short_names_are_spelled_out() {
        assert_eq!(full("busybox"), "docker.io/library/busybox:latest");
        assert_eq!(full("team/app:v1"), "docker.io/team/app:v1");
        assert_eq!(full("localhost/app"), "localhost/app:latest");
        assert_eq!(full("10.243.0.1:5000/web:v1"), "10.243.0.1:5000/web:v1");
        assert_eq!(full("registry.k8s.io/a/b__c-d.e/f:1.0"), "registry.k8s.io/a/b__c-d.e/f:1.0");
        let digest = format!("sha256:{}", "a".repeat(64));
        assert_eq!(full(&format!("app:v1@{digest}")), format!("docker.io/library/app@{digest}"));
        assert_eq!(Reference::parse(&format!("app:v1@{digest}")).unwrap().selector(), digest);
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for bad in
            ["", "Upper", "a//b", "/a", "a:", "a:-x", "a@sha256:12", "-a", "a_-b", "a.b:99999/c", "a:b:c"]
        {
            let error = Reference::parse(bad).unwrap_err().to_string();
            assert!(error.starts_with("invalid image reference"), "{bad}: {error}");
        }
    }
}
