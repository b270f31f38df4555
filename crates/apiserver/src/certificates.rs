//! Requests for certificates: who asks, who may decide and sign, and whether the bytes are what they claim to be.
//!
//! Everything here looks at this one kind and leaves all others alone.

mod x509;

use gantry_api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestCondition};
use gantry_api::field::{Error, ErrorList, Path};
use gantry_api::scalars::{ExtraValue, Time};
use gantry_api::{Kind, Object, Resource, Subresource, validation};

use crate::authorization::{Attributes, MASTERS, Requester, authorize};
use crate::pipeline::User;
use crate::status::ApiError;

/// The signer of certificates that clients are known by.
const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";

fn kind() -> &'static Kind {
    <CertificateSigningRequest as Resource>::kind()
}

fn of(object: &dyn Object) -> Option<&CertificateSigningRequest> {
    object.downcast_ref()
}

/// Writes who asks, whatever the client wrote there. What the server makes of its own accord says itself.
pub(crate) fn requested_by(object: &mut dyn Object) {
    let Some(request) = object.downcast_mut::<CertificateSigningRequest>() else { return };
    if let Some(requester) = Requester::current() {
        identify(request, requester.user());
    }
}

fn identify(request: &mut CertificateSigningRequest, user: &User) {
    let spec = request.spec.get_or_insert_default();
    spec.username.clone_from(&user.name);
    spec.uid.clone_from(&user.uid);
    spec.groups.clone_from(&user.groups);
    let extra = user.extra.iter().map(|(key, items)| (key.clone(), ExtraValue { items: items.clone() }));
    spec.extra = extra.collect();
}

/// Whether who asks may decide for the signer, or sign in its name.
pub(crate) fn may_update(
    subresource: Option<Subresource>,
    new: &dyn Object,
    old: &dyn Object,
) -> Result<(), ApiError> {
    let (Some(new), Some(old), Some(requester)) = (of(new), of(old), Requester::current()) else {
        return Ok(());
    };
    let verb = match subresource {
        Some(Subresource::Approval) => "approve",
        Some(Subresource::Status) if new.status != old.status => "sign",
        _ => return Ok(()),
    };
    let signer = old.spec.clone().unwrap_or_default().signer_name;
    let domain = signer.split('/').next().unwrap_or_default();
    let allowed = [signer.clone(), format!("{domain}/*")].iter().any(|name| {
        let attributes = Attributes::Resource {
            verb,
            group: "certificates.k8s.io",
            resource: "signers",
            subresource: "",
            namespace: "",
            name,
        };
        authorize(&requester, &attributes).is_ok()
    });
    if allowed {
        return Ok(());
    }
    let detail = format!("user not permitted to {verb} requests with signerName {signer:?}");
    Err(ApiError::forbidden(kind(), old.name(), &detail))
}

/// Whether the request of a new object is one, and its key signed it.
pub(crate) fn check_request(object: &dyn Object) -> ErrorList {
    let Some(request) = of(object) else { return ErrorList::new() };
    let spec = request.spec.clone().unwrap_or_default();
    let problem = x509::request(&spec.request).err();
    let shown =
        || serde_json::to_value(&spec).ok().map(|mut spec| spec["request"].take()).unwrap_or_default();
    let path = Path::new("spec").child("request");
    problem.into_iter().map(|problem| Error::invalid(path.clone(), shown(), problem)).collect()
}

/// Nobody gets a certificate of the group that may do everything by asking for it.
pub(crate) fn restrict(object: &dyn Object) -> Result<(), ApiError> {
    let Some(request) = of(object) else { return Ok(()) };
    let spec = request.spec.clone().unwrap_or_default();
    if spec.signer_name != CLIENT_SIGNER {
        return Ok(());
    }
    let detail = match x509::organizations(&spec.request) {
        Err(problem) => format!("failed to parse CSR: {problem}"),
        Ok(groups) if groups.iter().any(|group| group == MASTERS) => {
            format!("use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed")
        }
        Ok(_) => return Ok(()),
    };
    Err(ApiError::forbidden(kind(), request.name(), &detail))
}

/// Whether a new certificate is one.
pub(crate) fn check_certificate(new: &dyn Object, old: &dyn Object) -> ErrorList {
    let certificate =
        |object: &dyn Object| of(object).and_then(|r| r.status.clone()).unwrap_or_default().certificate;
    let (new, old) = (certificate(new), certificate(old));
    if new == old || new.is_empty() {
        return ErrorList::new();
    }
    let path = Path::new("status").child("certificate");
    let problem = x509::certificates(&new).err();
    problem.into_iter().map(|problem| Error::invalid(path.clone(), "<certificate data>", problem)).collect()
}

/// Writes the `approval` subresource: the conditions and nothing else.
pub(crate) fn copy_conditions(to: &mut dyn Object, from: &dyn Object) {
    let (Some(to), Some(from)) = (to.downcast_mut::<CertificateSigningRequest>(), of(from)) else { return };
    let conditions = from.status.clone().unwrap_or_default().conditions;
    to.status.get_or_insert_default().conditions = conditions;
}

/// Every rule that the change of the `approval` breaks.
pub(crate) fn check_approval(new: &dyn Object, old: &dyn Object) -> ErrorList {
    match (of(new), of(old)) {
        (Some(new), Some(old)) => validation::certificates::approval(new, old),
        _ => ErrorList::new(),
    }
}

/// Fills the times of conditions that have none.
pub(crate) fn stamp(new: &mut dyn Object, old: &dyn Object) {
    let (Some(new), Some(old)) = (new.downcast_mut::<CertificateSigningRequest>(), of(old)) else { return };
    let old = old.status.clone().unwrap_or_default().conditions;
    let conditions = new.status.iter_mut().flat_map(|status| &mut status.conditions);
    conditions.for_each(|condition| stamp_one(condition, &old, Time::now()));
}

fn stamp_one(
    condition: &mut CertificateSigningRequestCondition,
    old: &[CertificateSigningRequestCondition],
    now: Time,
) {
    let is_set = |time: Option<Time>| time.filter(|time| *time != Time::default());
    condition.last_update_time = is_set(condition.last_update_time).or(Some(now));
    let same = |old: &&CertificateSigningRequestCondition| {
        old.r#type == condition.r#type && old.status == condition.status
    };
    let before = old.iter().filter(same).find_map(|old| is_set(old.last_transition_time));
    condition.last_transition_time = is_set(condition.last_transition_time).or(before).or(Some(now));
}

#[cfg(test)]
mod tests {
    use gantry_api::certificates::v1::CertificateSigningRequestStatus;

    use super::*;

    fn condition(status: &str, seconds: i64) -> CertificateSigningRequestCondition {
        let time = (seconds > 0).then_some(Time { seconds, nanos: 0 });
        CertificateSigningRequestCondition {
            r#type: "a".to_owned(),
            status: status.to_owned(),
            last_update_time: time,
            last_transition_time: time,
            ..Default::default()
        }
    }

    #[test]
    fn a_transition_is_a_change_of_the_status() {
        let now = Time { seconds: 9, nanos: 0 };
        for (old, transition) in [(condition("True", 5), 5), (condition("False", 5), 9)] {
            let mut new = condition("True", 0);
            stamp_one(&mut new, &[old], now);
            assert_eq!(new.last_update_time, Some(now));
            assert_eq!(new.last_transition_time.unwrap().seconds, transition);
        }
        let mut new = condition("True", 7);
        stamp_one(&mut new, &[], now);
        assert_eq!(new, condition("True", 7));
    }

    #[test]
    fn who_asks_does_not_say_so() {
        let mut request = CertificateSigningRequest::default();
        request.spec.get_or_insert_default().username = "admin".to_owned();
        request.spec.get_or_insert_default().extra.insert("a".to_owned(), Default::default());
        let known = [("b".to_owned(), vec!["c".to_owned()])];
        let user = User {
            name: "jane".to_owned(),
            groups: vec!["dev".to_owned()],
            uid: "7".to_owned(),
            extra: known.into(),
        };
        identify(&mut request, &user);
        let spec = request.spec.unwrap();
        assert_eq!((spec.username.as_str(), spec.uid.as_str()), ("jane", "7"));
        assert_eq!(spec.groups, ["dev"]);
        assert_eq!(spec.extra.keys().collect::<Vec<_>>(), ["b"]);
        assert_eq!(spec.extra["b"].items, ["c"]);
    }

    #[test]
    fn an_approval_leaves_the_certificate_alone() {
        let with = |certificate: &'static [u8], conditions| CertificateSigningRequest {
            status: Some(CertificateSigningRequestStatus { certificate: certificate.into(), conditions }),
            ..Default::default()
        };
        let (mut to, from) = (with(b"x", Vec::new()), with(b"y", vec![condition("True", 1)]));
        copy_conditions(&mut to, &from);
        assert_eq!(to, with(b"x", vec![condition("True", 1)]));
    }
}
