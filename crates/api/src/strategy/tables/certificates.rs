//! Requests for certificates.

use jiff::Timestamp;
use serde_json::Value;

use super::{Column, NONE, or_none};
use crate::Resource as _;
use crate::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestStatus};
use crate::strategy::{age, human_duration};

pub(in crate::strategy) const REQUEST: &[Column] = &[
    Column::NAME,
    Column::AGE,
    Column::new("SignerName", "string", "The signer that is asked"),
    Column::new("Requestor", "string", "Who asks"),
    Column::new("RequestedDuration", "string", "For how long the certificate is to be valid"),
    Column::new("Condition", "string", "What became of the request"),
];

pub(in crate::strategy) fn request(request: &CertificateSigningRequest, now: Timestamp) -> Vec<Value> {
    let spec = request.spec.clone().unwrap_or_default();
    let duration = spec.expiration_seconds.map_or_else(|| NONE.to_owned(), |s| human_duration(s.into()));
    vec![
        request.name().into(),
        age(request.meta(), now),
        or_none(&spec.signer_name),
        spec.username.into(),
        duration.into(),
        condition(request.status.as_ref()).into(),
    ]
}

fn condition(status: Option<&CertificateSigningRequestStatus>) -> String {
    let has = |wanted: &str| {
        status.iter().flat_map(|status| &status.conditions).any(|condition| condition.r#type == wanted)
    };
    let decision = if has("Denied") {
        "Denied"
    } else if has("Approved") {
        "Approved"
    } else {
        "Pending"
    };
    let issued = status.is_some_and(|status| !status.certificate.is_empty());
    let more = [(has("Failed"), ",Failed"), (issued, ",Issued")];
    more.iter().filter(|(holds, _)| *holds).fold(decision.to_owned(), |text, (_, word)| text + word)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_shows_what_became_of_it() {
        let mut object = json!({
            "metadata": { "name": "r" },
            "spec": { "signerName": "a.b/c", "username": "jane", "expirationSeconds": 7200 },
        });
        let cells =
            |object: &Value| request(&serde_json::from_value(object.clone()).unwrap(), Timestamp::UNIX_EPOCH);
        assert_eq!(cells(&object), ["r", "<unknown>", "a.b/c", "jane", "120m", "Pending"]);
        object["status"] =
            json!({ "certificate": "eA==", "conditions": [{ "type": "Approved" }, { "type": "Failed" }] });
        assert_eq!(cells(&object)[5], "Approved,Failed,Issued");
        object["status"]["conditions"][1]["type"] = json!("Denied");
        assert_eq!(cells(&object)[5], "Denied,Issued");
        assert_eq!(cells(&object).len(), REQUEST.len());
    }
}
