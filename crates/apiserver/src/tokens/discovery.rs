//! What others need who verify tokens: OpenID Connect's discovery.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Issuer;

/// Where the keys are.
const KEYS: &str = "/openid/v1/jwks";

/// `/.well-known/openid-configuration`; the server is reached at `address`, unless the keys are elsewhere.
pub(crate) fn configuration(issuer: &Issuer, keys: &str, address: &str) -> Value {
    let keys = if keys.is_empty() { format!("https://{address}{KEYS}") } else { keys.to_owned() };
    let algorithms: BTreeSet<&str> = issuer.keys().iter().filter_map(|key| key.jwk["alg"].as_str()).collect();
    json!({
        "issuer": issuer.name(),
        "jwks_uri": keys,
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
    })
}

/// `/openid/v1/jwks`.
pub(crate) fn key_set(issuer: &Issuer) -> Value {
    let keys: Vec<&Value> = issuer.keys().iter().map(|key| &key.jwk).collect();
    json!({ "keys": keys })
}

#[cfg(test)]
mod tests {
    use super::super::issuer::tests::issuer;
    use super::*;

    #[test]
    fn what_is_published_verifies() {
        let dir = tempfile::tempdir().unwrap();
        let issuer = issuer(dir.path(), "https://a");
        assert_eq!(
            configuration(&issuer, "", "192.0.2.1:6443"),
            json!({
                "issuer": "https://a",
                "jwks_uri": "https://192.0.2.1:6443/openid/v1/jwks",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            })
        );
        assert_eq!(configuration(&issuer, "https://b/keys", "")["jwks_uri"], "https://b/keys");
        let keys = key_set(&issuer);
        assert_eq!((&keys["keys"][0]["kty"], &keys["keys"][0]["use"]), (&json!("EC"), &json!("sig")));
    }
}
