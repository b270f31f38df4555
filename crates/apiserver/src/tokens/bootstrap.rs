//! Bootstrap tokens: Secrets that let machines join before they have a certificate.

use std::collections::BTreeMap;

use bytes::Bytes;
use gantry_api::core::v1::Secret;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::pipeline::{AUTHENTICATED, User};

/// Where the Secrets are, and how their names begin.
pub(super) const NAMESPACE: &str = "kube-system";
const PREFIX: &str = "bootstrap-token-";
const TYPE: &str = "bootstrap.kubernetes.io/token";
/// The group of all of them; further ones must begin with it.
const GROUP: &str = "system:bootstrappers";
const MAX_GROUP: usize = 256;

/// The two halves of a token: `abcdef.0123456789abcdef`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BootstrapToken<'a> {
    id: &'a str,
    secret: &'a str,
}

impl<'a> BootstrapToken<'a> {
    /// Reads a token; nothing where it is one of another form.
    pub(super) fn parse(token: &'a str) -> Option<Self> {
        let (id, secret) = token.split_once('.')?;
        let plain = |text: &str, length| {
            text.len() == length && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        (plain(id, 6) && plain(secret, 16)).then_some(Self { id, secret })
    }

    /// The name of its Secret.
    pub(super) fn object(&self) -> String {
        format!("{PREFIX}{}", self.id)
    }

    /// The user of the token, if this is its Secret and lets it in.
    pub(super) fn user(&self, secret: &Secret, now: Timestamp) -> Option<User> {
        let data = &secret.data;
        let deleted = secret.metadata.as_ref().is_some_and(|meta| meta.deletion_timestamp.is_some());
        // Of the digests, so that a comparison takes as long whatever it finds.
        let digest = |text: &str| -> [u8; 32] { Sha256::digest(text).into() };
        let known = digest(text(data, "token-secret")) == digest(self.secret);
        let usable = known
            && !deleted
            && secret.r#type == TYPE
            && text(data, "token-id") == self.id
            && !has_expired(text(data, "expiration"), now)
            && text(data, "usage-bootstrap-authentication") == "true";
        if !usable {
            return None;
        }
        let mut groups = groups(text(data, "auth-extra-groups"))?;
        groups.push(AUTHENTICATED.to_owned());
        Some(User { name: format!("system:bootstrap:{}", self.id), groups, ..User::default() })
    }
}

fn text<'a>(data: &'a BTreeMap<String, Bytes>, key: &str) -> &'a str {
    data.get(key).and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default()
}

/// Whether a time is over; one that cannot be read is, and none is not.
fn has_expired(expiration: &str, now: Timestamp) -> bool {
    !expiration.is_empty() && expiration.parse::<Timestamp>().map_or(true, |at| at < now)
}

/// The groups of a token, in order; none where one of them must not be its.
fn groups(extra: &str) -> Option<Vec<String>> {
    let mut groups = vec![GROUP.to_owned()];
    for group in extra.split(',').map(str::trim).filter(|_| !extra.is_empty()) {
        let rest = group.strip_prefix(GROUP)?.strip_prefix(':')?;
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let all = rest.bytes().all(|byte| fits(byte) || matches!(byte, b':' | b'-'));
        if rest.len() > MAX_GROUP || !all || !rest.bytes().last().is_some_and(fits) {
            return None;
        }
        groups.push(group.to_owned());
    }
    groups.sort_unstable();
    groups.dedup();
    Some(groups)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TOKEN: &str = "abcdef.0123456789abcdef";

    fn secret(changes: &[(&str, &str)]) -> Secret {
        let mut data = BTreeMap::from([
            ("token-id", "abcdef"),
            ("token-secret", "0123456789abcdef"),
            ("usage-bootstrap-authentication", "true"),
        ]);
        data.extend(changes.iter().copied());
        let mut secret: Secret = serde_json::from_value(json!({ "type": TYPE })).unwrap();
        secret.data =
            data.into_iter().map(|(key, value)| (key.to_owned(), Bytes::from(value.to_owned()))).collect();
        secret
    }

    fn user(secret: &Secret) -> Option<User> {
        BootstrapToken::parse(TOKEN).unwrap().user(secret, Timestamp::from_second(1_800_000_000).unwrap())
    }

    #[test]
    fn a_token_has_two_halves() {
        assert_eq!(BootstrapToken::parse(TOKEN).unwrap().object(), "bootstrap-token-abcdef");
        for other in ["abcdef.0123456789abcde", "ABCDEF.0123456789abcdef", "abcdef0123456789abcdef", "a.b.c"]
        {
            assert_eq!(BootstrapToken::parse(other), None, "{other}");
        }
    }

    #[test]
    fn its_secret_says_who_it_is() {
        let plain = user(&secret(&[])).unwrap();
        assert_eq!(plain.name, "system:bootstrap:abcdef");
        assert_eq!(plain.groups, ["system:bootstrappers", "system:authenticated"]);
        let extra = "system:bootstrappers:kubeadm:default-node-token,system:bootstrappers:a";
        let more = user(&secret(&[("auth-extra-groups", extra)])).unwrap();
        assert_eq!(
            more.groups[..3],
            [
                "system:bootstrappers",
                "system:bootstrappers:a",
                "system:bootstrappers:kubeadm:default-node-token"
            ]
        );
        assert!(user(&secret(&[("expiration", "2099-01-01T00:00:00Z")])).is_some());
    }

    #[test]
    fn a_secret_that_does_not_fit_lets_nobody_in() {
        for (key, value) in [
            ("token-secret", "0123456789abcdee"),
            ("token-id", "abcdee"),
            ("expiration", "2020-01-01T00:00:00Z"),
            ("expiration", "soon"),
            ("usage-bootstrap-authentication", "false"),
            ("auth-extra-groups", "system:masters"),
            ("auth-extra-groups", "system:bootstrappers:a-"),
        ] {
            assert_eq!(user(&secret(&[(key, value)])), None, "{key}: {value}");
        }
        let other = Secret { r#type: "Opaque".to_owned(), ..secret(&[]) };
        assert_eq!(user(&other), None);
        let mut going = secret(&[]);
        going.metadata.get_or_insert_default().deletion_timestamp = Some(gantry_api::scalars::Time::now());
        assert_eq!(user(&going), None);
    }
}
