//! The keys of service account tokens, from PEM files.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RsaKeyPair};
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use x509_parser::der_parser::parse_der;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

/// Before the point of a public key of P-256, as SubjectPublicKeyInfo.
const P256_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The algorithm of an RSA key, as SubjectPublicKeyInfo and PKCS#8 have it.
const RSA: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
/// The algorithm of a key of P-256, as PKCS#8 has it, with the version before it.
const P256_PRIVATE: [u8; 24] = [
    0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
];

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read as PEM.
    #[error("{flag} {}: cannot be read as PEM", path.display())]
    Pem {
        /// The flag that names the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// The key is of another kind.
    #[error("{flag} {}: holds no RSA key and no ECDSA key of P-256", path.display())]
    Unsupported {
        /// The flag that names the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
    },
}

/// What verifies tokens.
#[derive(Clone)]
pub(crate) struct PublicKey {
    /// Names the key in tokens: a digest of it.
    pub(crate) id: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
    /// The key as a JSON Web Key.
    pub(crate) jwk: Value,
}

/// What signs tokens, with what verifies them.
pub(crate) struct SigningKey {
    pub(crate) key: EncodingKey,
    pub(crate) public: PublicKey,
}

impl SigningKey {
    /// Reads a private key.
    pub(crate) fn load(flag: &'static str, path: &Path) -> Result<Self, KeyError> {
        let der = PrivateKeyDer::from_pem_file(path).map_err(|source| KeyError::Pem {
            flag,
            path: path.to_owned(),
            source,
        })?;
        Self::of(&der).ok_or_else(|| KeyError::Unsupported { flag, path: path.to_owned() })
    }

    fn of(der: &PrivateKeyDer<'_>) -> Option<Self> {
        match der {
            PrivateKeyDer::Pkcs1(der) => Self::rsa(der.secret_pkcs1_der()),
            PrivateKeyDer::Sec1(der) => {
                let inner = tlv(0x04, der.secret_sec1_der());
                Self::p256(&tlv(0x30, &[&P256_PRIVATE[..], &inner].concat()))
            }
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                Self::p256(der).or_else(|| Self::rsa(&inside_pkcs8(der)?))
            }
            _ => None,
        }
    }

    fn p256(pkcs8: &[u8]) -> Option<Self> {
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &SystemRandom::new()).ok()?;
        let info = [&P256_HEAD[..], pair.public_key().as_ref()].concat();
        Some(Self { key: EncodingKey::from_ec_der(pkcs8), public: PublicKey::of(&info)? })
    }

    fn rsa(pkcs1: &[u8]) -> Option<Self> {
        let pair = RsaKeyPair::from_der(pkcs1).ok()?;
        let bits = [&[0][..], pair.public_key().as_ref()].concat();
        let info = tlv(0x30, &[&RSA[..], &tlv(0x03, &bits)].concat());
        Some(Self { key: EncodingKey::from_rsa_der(pkcs1), public: PublicKey::of(&info)? })
    }
}

impl PublicKey {
    /// Reads a public key, or the public part of a private one.
    pub(crate) fn load(flag: &'static str, path: &Path) -> Result<Self, KeyError> {
        if let Ok(key) = SigningKey::load(flag, path) {
            return Ok(key.public);
        }
        let info = SubjectPublicKeyInfoDer::from_pem_file(path).map_err(|source| KeyError::Pem {
            flag,
            path: path.to_owned(),
            source,
        })?;
        Self::of(&info).ok_or_else(|| KeyError::Unsupported { flag, path: path.to_owned() })
    }

    fn of(info: &[u8]) -> Option<Self> {
        let id = URL_SAFE_NO_PAD.encode(Sha256::digest(info));
        let (_, parsed) = SubjectPublicKeyInfo::from_der(info).ok()?;
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (algorithm, key, jwk) = match parsed.parsed().ok()? {
            Parsed::RSA(rsa) => {
                let trim = |bytes: &[u8]| text(&bytes[bytes.iter().take_while(|byte| **byte == 0).count()..]);
                let (n, e) = (trim(rsa.modulus), trim(rsa.exponent));
                let jwk = json!({"use": "sig", "kty": "RSA", "kid": id, "alg": "RS256", "n": n, "e": e});
                (Algorithm::RS256, DecodingKey::from_rsa_components(&n, &e).ok()?, jwk)
            }
            Parsed::EC(point) if info.starts_with(&P256_HEAD) => {
                let (x, y) = point.data().get(1..65)?.split_at(32);
                let (x, y) = (text(x), text(y));
                let jwk = json!({"use": "sig", "kty": "EC", "kid": id, "crv": "P-256", "alg": "ES256", "x": x, "y": y});
                (Algorithm::ES256, DecodingKey::from_ec_components(&x, &y).ok()?, jwk)
            }
            _ => return None,
        };
        Some(Self { id, algorithm, key, jwk })
    }
}

/// The RSA key inside of a PKCS#8 structure.
fn inside_pkcs8(der: &[u8]) -> Option<Vec<u8>> {
    let (_, object) = parse_der(der).ok()?;
    let parts = object.as_sequence().ok()?;
    Some(parts.get(2)?.as_slice().ok()?.to_vec())
}

/// A DER element.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    match content.len() {
        0..=127 => out.push(length.first().copied().unwrap_or(0)),
        // A length has at most eight bytes.
        _ => {
            out.push(0x80 | length.len() as u8);
            out.extend_from_slice(length);
        }
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn a_key_is_named_alike_from_both_of_its_parts() {
        let dir = tempfile::tempdir().unwrap();
        let pair = rcgen::KeyPair::generate().unwrap();
        let private = write(dir.path(), "sa.key", &pair.serialize_pem());
        let public = write(dir.path(), "sa.pub", &pair.public_key_pem());
        let signing = SigningKey::load("--key", &private).unwrap();
        let verifying = PublicKey::load("--key", &public).unwrap();
        assert_eq!(signing.public.id, verifying.id);
        assert_eq!(signing.public.jwk, verifying.jwk);
        assert_eq!(signing.public.jwk["alg"], "ES256");
        assert_eq!(PublicKey::load("--key", &private).unwrap().id, verifying.id);
    }

    #[test]
    fn what_is_no_key_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), "x", "nothing");
        let error = SigningKey::load("--service-account-signing-key-file", &path).err().unwrap().to_string();
        assert!(error.contains("--service-account-signing-key-file") && error.contains("/x"), "{error}");
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let path = write(dir.path(), "ed", &pair.serialize_pem());
        assert!(matches!(SigningKey::load("--key", &path), Err(KeyError::Unsupported { .. })));
    }

    #[test]
    fn lengths_are_as_short_as_they_can_be() {
        assert_eq!(tlv(4, &[]), [4, 0]);
        assert_eq!(tlv(4, &[7; 127])[..2], [4, 127]);
        assert_eq!(tlv(4, &[7; 128])[..3], [4, 0x81, 128]);
        assert_eq!(tlv(4, &[7; 300])[..4], [4, 0x82, 1, 44]);
    }
}
