//! What is in PEM: requests and certificates.

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};

const REQUEST: &str = "CERTIFICATE REQUEST";
const CERTIFICATE: &str = "CERTIFICATE";

/// The first block of a text, if it is a request.
fn block(pem: &[u8]) -> Result<Pem, String> {
    let first = Pem::iter_from_buffer(pem).next();
    let block = first.and_then(Result::ok).filter(|block| block.label == REQUEST);
    block.ok_or_else(|| format!("PEM block type must be {REQUEST}"))
}

/// Whether a text is a request, and the key in it signed it.
pub(super) fn request(pem: &[u8]) -> Result<(), String> {
    let block = block(pem)?;
    let request = parse(&block.contents)?;
    request.verify_signature().map_err(|error| format!("x509: the signature cannot be verified: {error}"))
}

fn parse(der: &[u8]) -> Result<X509CertificationRequest<'_>, String> {
    let (rest, request) =
        X509CertificationRequest::from_der(der).map_err(|error| format!("asn1: {error}"))?;
    if rest.is_empty() { Ok(request) } else { Err("asn1: syntax error: trailing data".to_owned()) }
}

/// The organizations of the subject that a request is about.
pub(super) fn organizations(pem: &[u8]) -> Result<Vec<String>, String> {
    let block = block(pem)?;
    let request = parse(&block.contents)?;
    let all = request.certification_request_info.subject.iter_organization();
    // One that is no text is none that anybody could be in.
    Ok(all.filter_map(|name| name.as_str().ok()).map(str::to_owned).collect())
}

/// Whether a text is certificates and nothing else. Headers of blocks, which upstream refuses by name, are taken for
/// broken base64 here.
pub(super) fn certificates(pem: &[u8]) -> Result<(), String> {
    let mut any = false;
    for block in Pem::iter_from_buffer(pem) {
        let block = block.map_err(|error| error.to_string())?;
        if block.label != CERTIFICATE {
            return Err(format!("only {CERTIFICATE} PEM blocks are allowed, found {:?}", block.label));
        }
        let (rest, _) = X509Certificate::from_der(&block.contents)
            .map_err(|error| format!("x509: malformed certificate: {error}"))?;
        if !rest.is_empty() {
            return Err("x509: trailing data".to_owned());
        }
        any = true;
    }
    if any { Ok(()) } else { Err(format!("must contain at least one {CERTIFICATE} PEM block")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(organization: &str) -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::default();
        parameters.distinguished_name.push(rcgen::DnType::OrganizationName, organization);
        parameters.serialize_request(&key).unwrap().pem().unwrap()
    }

    #[test]
    fn a_request_is_signed_by_its_own_key() {
        let pem = made("dev");
        assert_eq!(request(pem.as_bytes()), Ok(()));
        assert_eq!(organizations(pem.as_bytes()), Ok(vec!["dev".to_owned()]));
        let mut forged = block(pem.as_bytes()).unwrap().contents;
        let end = forged.len() - 1;
        forged[end] ^= 1;
        let parsed = parse(&forged).unwrap();
        assert!(parsed.verify_signature().is_err());
        for bad in ["", "x", "-----BEGIN CERTIFICATE-----\neA==\n-----END CERTIFICATE-----\n"] {
            assert_eq!(request(bad.as_bytes()), Err("PEM block type must be CERTIFICATE REQUEST".to_owned()));
        }
        let empty = "-----BEGIN CERTIFICATE REQUEST-----\neA==\n-----END CERTIFICATE REQUEST-----\n";
        assert!(request(empty.as_bytes()).unwrap_err().starts_with("asn1: "));
    }

    #[test]
    fn certificates_are_nothing_else() {
        let made_one = rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap().cert.pem();
        assert_eq!(certificates(made_one.as_bytes()), Ok(()));
        assert_eq!(certificates(format!("{made_one}{made_one}").as_bytes()), Ok(()));
        let other = made("dev");
        assert_eq!(
            certificates(format!("{made_one}{other}").as_bytes()),
            Err("only CERTIFICATE PEM blocks are allowed, found \"CERTIFICATE REQUEST\"".to_owned())
        );
        assert_eq!(certificates(b"x"), Err("must contain at least one CERTIFICATE PEM block".to_owned()));
        let empty = "-----BEGIN CERTIFICATE-----\neA==\n-----END CERTIFICATE-----\n";
        assert!(certificates(empty.as_bytes()).is_err());
    }
}
