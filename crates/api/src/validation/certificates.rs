//! Requests for certificates. What is in the request itself, and in the certificate, is looked at by who can read
//! them: the API server.

mod signer;

use super::common::{Unique, enumerated, one_of, required};
use crate::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestCondition, CertificateSigningRequestSpec,
};
use crate::field::{Error, ErrorList, Path};

/// Decisions about a request.
const DECISIONS: [&str; 2] = ["Approved", "Denied"];
/// What is found once and for all.
const FINAL: [&str; 3] = ["Approved", "Denied", "Failed"];
/// The signer of requests that named none, in versions that are gone.
const LEGACY_SIGNER: &str = "kubernetes.io/legacy-unknown";
const MIN_SECONDS: i32 = 600;
const USAGES: &str = "certificates.v1.CertificateSigningRequestSpec.usages";

/// Who writes, and so what may change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// Of the object itself.
    Anybody,
    /// Of the `status`.
    Signer,
    /// Of the `approval`.
    Approver,
}

pub(crate) fn request(request: &CertificateSigningRequest) -> ErrorList {
    validate(request, None)
}

pub(crate) fn update(new: &CertificateSigningRequest, old: &CertificateSigningRequest) -> ErrorList {
    validate_update(new, old, Writer::Anybody)
}

pub(crate) fn status_update(new: &CertificateSigningRequest, old: &CertificateSigningRequest) -> ErrorList {
    validate_update(new, old, Writer::Signer)
}

/// Every rule that the change of the `approval` breaks.
#[must_use]
pub fn approval(new: &CertificateSigningRequest, old: &CertificateSigningRequest) -> ErrorList {
    validate_update(new, old, Writer::Approver)
}

fn conditions(request: &CertificateSigningRequest) -> &[CertificateSigningRequestCondition] {
    request.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
}

fn of_type<'a>(
    request: &'a CertificateSigningRequest,
    wanted: &'a str,
) -> impl Iterator<Item = &'a CertificateSigningRequestCondition> {
    conditions(request).iter().filter(move |condition| condition.r#type == wanted)
}

/// A signer's write leaves the decisions as they are; one that adds or removes some is refused later.
pub(crate) fn keep_decisions(new: &mut CertificateSigningRequest, old: &CertificateSigningRequest) {
    for decision in DECISIONS {
        if of_type(new, decision).count() != of_type(old, decision).count() {
            continue;
        }
        let all = new.status.iter_mut().flat_map(|status| &mut status.conditions);
        for (new, old) in all.filter(|new| new.r#type == decision).zip(of_type(old, decision)) {
            new.clone_from(old);
        }
    }
}

/// What an old object breaks is not asked of the new one.
fn validate(request: &CertificateSigningRequest, old: Option<&CertificateSigningRequest>) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = CertificateSigningRequestSpec::default();
    let spec = request.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    let of_usages = path.child("usages");
    if spec.usages.is_empty() {
        errors.push(Error::required(of_usages.clone(), ""));
    }
    let old_spec = old.and_then(|old| old.spec.as_ref());
    usages(&mut errors, &spec.usages, old_spec.map(|spec| spec.usages.as_slice()), &of_usages);
    let of_signer = path.child("signerName");
    let legacy = |spec: &CertificateSigningRequestSpec| spec.signer_name == LEGACY_SIGNER;
    if legacy(spec) && !old_spec.is_some_and(legacy) {
        let detail = "the legacy signerName is not allowed via this API version";
        errors.push(Error::invalid(of_signer, LEGACY_SIGNER, detail));
    } else {
        signer::name(&mut errors, &spec.signer_name, &of_signer);
    }
    if let Some(seconds) = spec.expiration_seconds.filter(|seconds| *seconds < MIN_SECONDS) {
        let detail = "may not specify a duration less than 600 seconds (10 minutes)";
        errors.push(Error::invalid(path.child("expirationSeconds"), seconds, detail));
    }
    found(&mut errors, conditions(request), old.map(conditions), &Path::new("status").child("conditions"));
    errors
}

fn usages(errors: &mut ErrorList, usages: &[String], old: Option<&[String]>, path: &Path) {
    let problems = |usages: &[String]| {
        let (mut unknown, mut twice) = (ErrorList::new(), ErrorList::new());
        let mut unique = Unique::new();
        for (i, usage) in usages.iter().enumerate() {
            enumerated(&mut unknown, &path.index(i), usage, USAGES);
            unique.check(&mut twice, &path.index(i), usage);
        }
        [unknown, twice]
    };
    let before = problems(old.unwrap_or_default());
    for (new, _) in problems(usages).into_iter().zip(before).filter(|(_, before)| before.is_empty()) {
        errors.extend(new);
    }
}

fn found(
    errors: &mut ErrorList,
    conditions: &[CertificateSigningRequestCondition],
    old: Option<&[CertificateSigningRequestCondition]>,
    path: &Path,
) {
    let old = old.unwrap_or_default();
    let both = |all: &[CertificateSigningRequestCondition]| {
        DECISIONS.iter().all(|decision| all.iter().any(|condition| condition.r#type == *decision))
    };
    let (may_be_untyped, may_be_both) = (old.iter().any(|condition| condition.r#type.is_empty()), both(old));
    let may_be_twice = old.iter().enumerate().any(|(i, c)| old[..i].iter().any(|o| o.r#type == c.r#type));
    let mut unique = Unique::new();
    for (i, condition) in conditions.iter().enumerate() {
        let (path, r#type) = (path.index(i), condition.r#type.as_str());
        if !may_be_untyped {
            required(errors, &path.child("type"), r#type);
        }
        let statuses: &[&str] =
            if FINAL.contains(&r#type) { &["True"] } else { &["False", "True", "Unknown"] };
        if condition.status.is_empty() {
            errors.push(Error::required(path.child("status"), ""));
        } else {
            one_of(errors, &path.child("status"), &condition.status, statuses);
        }
        let other = DECISIONS.iter().find(|decision| DECISIONS.contains(&r#type) && **decision != r#type);
        if !may_be_both && other.is_some_and(|other| conditions[..i].iter().any(|c| c.r#type == *other)) {
            let detail = "Approved and Denied conditions are mutually exclusive";
            errors.push(Error::invalid(path.child("type"), r#type, detail));
        }
        if !may_be_twice {
            unique.check(errors, &path.child("type"), r#type);
        }
    }
}

fn validate_update(
    new: &CertificateSigningRequest,
    old: &CertificateSigningRequest,
    writer: Writer,
) -> ErrorList {
    let mut errors = validate(new, Some(old));
    let path = Path::new("status");
    let count = |request, r#type| of_type(request, r#type).count();
    for r#type in FINAL {
        if count(new, r#type) < count(old, r#type) {
            let detail = format!("updates may not remove a condition of type {type:?}");
            errors.push(Error::forbidden(path.child("conditions"), detail));
        }
    }
    for r#type in DECISIONS.into_iter().filter(|_| writer != Writer::Approver) {
        if count(new, r#type) > count(old, r#type) {
            let detail = format!("updates may not add a condition of type {type:?}");
            errors.push(Error::forbidden(path.child("conditions"), detail));
        } else if count(new, r#type) == count(old, r#type) && !of_type(new, r#type).eq(of_type(old, r#type)) {
            let detail = format!("updates may not modify a condition of type {type:?}");
            errors.push(Error::forbidden(path.child("conditions"), detail));
        }
    }
    let certificate =
        |request: &CertificateSigningRequest| request.status.clone().unwrap_or_default().certificate;
    let before = certificate(old);
    if certificate(new) != before {
        let detail = match writer {
            Writer::Signer if before.is_empty() => return errors,
            Writer::Signer => "updates may not modify existing certificate content",
            Writer::Anybody | Writer::Approver => "updates may not set certificate content",
        };
        errors.push(Error::forbidden(path.child("certificate"), detail));
    }
    errors
}

#[cfg(test)]
mod tests;
