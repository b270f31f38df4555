//! What a bootstrap token's Secret says.

use gantry_api::Resource;
use gantry_api::core::v1::Secret;
use gantry_client::Informer;
use jiff::Timestamp;

use crate::Context;

/// Where the Secrets are, of which type, and how their names begin.
const NAMESPACE: &str = "kube-system";
const TYPE: &str = "bootstrap.kubernetes.io/token";
const PREFIX: &str = "bootstrap-token-";

/// The informer of the Secrets.
pub(crate) fn secrets(context: &Context) -> Informer<Secret> {
    Informer::<Secret>::builder(&context.client)
        .namespace(NAMESPACE)
        .field_selector(&format!("type={TYPE}"))
        .spawn(context.stop.clone())
}

/// How long a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// It does not end.
    Endless,
    /// It ends then.
    Until(Timestamp),
    /// It is over, or nobody can say when it is.
    Over,
}

/// How long the token is good for.
pub(crate) fn lifetime(secret: &Secret, now: Timestamp) -> Lifetime {
    match text(secret, "expiration") {
        "" => Lifetime::Endless,
        time => match time.parse::<Timestamp>() {
            Ok(end) if end > now => Lifetime::Until(end),
            Ok(_) | Err(_) => Lifetime::Over,
        },
    }
}

/// Id and secret of a token that signs, and is good.
pub(crate) fn signing(secret: &Secret, now: Timestamp) -> Option<(&str, &str)> {
    let id = secret.name().strip_prefix(PREFIX)?;
    let key = text(secret, "token-secret");
    let usable = secret.r#type == TYPE
        && secret.meta().deletion_timestamp.is_none()
        && !id.is_empty()
        && text(secret, "token-id") == id
        && !key.is_empty()
        && lifetime(secret, now) != Lifetime::Over
        && text(secret, "usage-bootstrap-signing") == "true";
    usable.then_some((id, key))
}

fn text<'a>(secret: &'a Secret, key: &str) -> &'a str {
    secret.data.get(key).and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The Secret of a token that signs.
    pub(crate) fn secret(changes: &[(&str, &str)]) -> Secret {
        let mut secret = Secret { r#type: TYPE.to_owned(), ..Secret::default() };
        secret.meta_mut().name = format!("{PREFIX}abcdef");
        let fields = [
            ("token-id", "abcdef"),
            ("token-secret", "0123456789abcdef"),
            ("usage-bootstrap-signing", "true"),
        ];
        for (key, value) in fields.iter().chain(changes) {
            secret.data.insert((*key).to_owned(), value.as_bytes().to_vec().into());
        }
        secret
    }

    #[test]
    fn a_token_ends_when_it_says_so() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let ends = |time: &str| lifetime(&secret(&[("expiration", time)]), now);
        assert_eq!(ends(""), Lifetime::Endless);
        assert_eq!(ends("2026-01-01T00:00:01Z"), Lifetime::Until("2026-01-01T00:00:01Z".parse().unwrap()));
        assert_eq!(ends("2026-01-01T00:00:00Z"), Lifetime::Over);
        assert_eq!(ends("tomorrow"), Lifetime::Over);
    }

    #[test]
    fn only_a_good_token_signs() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(signing(&secret(&[]), now), Some(("abcdef", "0123456789abcdef")));
        for (key, value) in [
            ("token-id", "abcdee"),
            ("token-secret", ""),
            ("usage-bootstrap-signing", "false"),
            ("expiration", "2025-01-01T00:00:00Z"),
        ] {
            assert_eq!(signing(&secret(&[(key, value)]), now), None, "{key}");
        }
    }
}
