//! What signs and verifies the tokens of service accounts.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use jsonwebtoken::{Header, Validation};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::claims::Claims;
use super::keys::{KeyError, PublicKey, SigningKey};
use crate::status::ApiError;

const SIGNING_KEY: &str = "--service-account-signing-key-file";
const KEY: &str = "--service-account-key-file";
/// How many tokens are remembered whose signature has been verified.
const REMEMBERED: usize = 4096;
/// The largest token that is looked at.
const MAX_TOKEN: usize = 16 << 10;

/// Where the keys of service account tokens lie, and what the tokens say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// The key that signs.
    pub(crate) signing_key: Option<PathBuf>,
    /// The keys that verify, beside the public part of the one that signs.
    pub(crate) keys: Vec<PathBuf>,
    /// Whose tokens they are: the first signs.
    pub(crate) issuers: Vec<String>,
    /// Whom a token is for that says nothing of it.
    pub(crate) audiences: Vec<String>,
    /// The longest time that a token is valid.
    pub(crate) max_expiration: Option<Duration>,
}

/// Signs and verifies the tokens of service accounts.
pub(crate) struct Issuer {
    signing: Option<SigningKey>,
    keys: Vec<PublicKey>,
    issuers: Vec<String>,
    audiences: Vec<String>,
    max_expiration: Option<Duration>,
    /// What tokens say whose signature has been verified, by their digest.
    verified: Mutex<HashMap<[u8; 32], Claims>>,
}

impl Issuer {
    /// Reads the keys; nothing where there are none.
    pub(crate) fn load(settings: &Settings) -> Result<Option<Self>, KeyError> {
        let signing =
            settings.signing_key.as_ref().map(|path| SigningKey::load(SIGNING_KEY, path)).transpose()?;
        let mut keys: Vec<PublicKey> = Vec::new();
        for path in &settings.keys {
            keys.push(PublicKey::load(KEY, path)?);
        }
        if let Some(signing) = &signing
            && !keys.iter().any(|key| key.id == signing.public.id)
        {
            keys.insert(0, signing.public.clone());
        }
        if keys.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            signing,
            keys,
            issuers: settings.issuers.clone(),
            audiences: settings.audiences.clone(),
            max_expiration: settings.max_expiration,
            verified: Mutex::default(),
        }))
    }

    /// Whose tokens it signs.
    pub(crate) fn name(&self) -> &str {
        self.issuers.first().map_or("", String::as_str)
    }

    /// Whom a token is for that says nothing of it.
    pub(crate) fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// The longest time that a token is valid.
    pub(crate) fn max_expiration(&self) -> Option<Duration> {
        self.max_expiration
    }

    /// The keys that verify.
    pub(crate) fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// Whether it signs tokens, or only verifies those that others have signed.
    pub(crate) fn signs(&self) -> bool {
        self.signing.is_some()
    }

    /// Signs a token.
    pub(crate) fn sign(&self, claims: &Claims) -> Result<String, ApiError> {
        let signing = self.signing.as_ref().ok_or_else(|| ApiError::internal("no key signs tokens here"))?;
        let mut header = Header::new(signing.public.algorithm);
        header.typ = None;
        header.kid = Some(signing.public.id.clone());
        jsonwebtoken::encode(&header, claims, &signing.key)
            .map_err(|error| ApiError::internal(format_args!("failed to generate token: {error}")))
    }

    /// What a token says whose signature is right; nothing where it is none of these tokens.
    pub(crate) fn verify(&self, token: &str) -> Option<Claims> {
        if token.len() > MAX_TOKEN || token.bytes().filter(|byte| *byte == b'.').count() != 2 {
            return None;
        }
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some(claims) = self.verified.lock().get(&digest) {
            return Some(claims.clone());
        }
        let header = jsonwebtoken::decode_header(token).ok()?;
        // A token that names its key is verified by that, as one that names none by any.
        let named = |key: &&PublicKey| header.kid.as_ref().is_none_or(|id| *id == key.id);
        let claims = self.keys.iter().filter(named).find_map(|key| {
            let mut validation = Validation::new(key.algorithm);
            // Times and audiences are looked at with each use.
            validation.validate_exp = false;
            validation.validate_aud = false;
            validation.required_spec_claims.clear();
            jsonwebtoken::decode::<Claims>(token, &key.key, &validation).ok()
        });
        let claims = claims?.claims;
        if !self.issuers.contains(&claims.iss) {
            return None;
        }
        let mut verified = self.verified.lock();
        if verified.len() >= REMEMBERED {
            verified.clear();
        }
        verified.insert(digest, claims.clone());
        Some(claims)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::claims::{Private, Reference};
    use super::*;

    pub(crate) fn issuer(dir: &std::path::Path, name: &str) -> Issuer {
        let path = dir.join("sa.key");
        if !path.exists() {
            std::fs::write(&path, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
        }
        let settings = Settings {
            signing_key: Some(path),
            issuers: vec![name.to_owned()],
            audiences: vec![name.to_owned()],
            ..Settings::default()
        };
        Issuer::load(&settings).unwrap().unwrap()
    }

    pub(crate) fn claims(issuer: &str) -> Claims {
        Claims {
            aud: vec![issuer.to_owned()],
            exp: 2000,
            iat: 1000,
            nbf: 1000,
            iss: issuer.to_owned(),
            jti: "j".to_owned(),
            private: Private {
                namespace: "a".to_owned(),
                serviceaccount: Reference { name: "sa".to_owned(), uid: "u".to_owned() },
                ..Private::default()
            },
            sub: "system:serviceaccount:a:sa".to_owned(),
        }
    }

    #[test]
    fn what_is_signed_is_verified() {
        let dir = tempfile::tempdir().unwrap();
        let issuer = issuer(dir.path(), "https://a");
        let token = issuer.sign(&claims("https://a")).unwrap();
        assert_eq!(issuer.verify(&token), Some(claims("https://a")));
        // And once more, from memory.
        assert_eq!(issuer.verify(&token), Some(claims("https://a")));
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!(header.kid.as_deref(), issuer.keys()[0].jwk["kid"].as_str());
    }

    #[test]
    fn what_others_sign_is_none_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        let ours = issuer(dir.path(), "https://a");
        // The same key for another issuer.
        assert_eq!(ours.verify(&ours.sign(&claims("https://b")).unwrap()), None);
        let other = tempfile::tempdir().unwrap();
        let theirs = issuer(other.path(), "https://a");
        let token = theirs.sign(&claims("https://a")).unwrap();
        assert_eq!(ours.verify(&token), None);
        let token = ours.sign(&claims("https://a")).unwrap();
        let mut parts: Vec<&str> = token.split('.').collect();
        let forged = theirs.sign(&Claims { exp: 9000, ..claims("https://a") }).unwrap();
        parts[1] = forged.split('.').nth(1).unwrap();
        assert_eq!(ours.verify(&parts.join(".")), None);
        for nothing in ["", "a", "a.b", "a.b.c"] {
            assert_eq!(ours.verify(nothing), None);
        }
    }
}
