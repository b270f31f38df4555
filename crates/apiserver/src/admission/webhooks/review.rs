//! The words that webhooks are asked in, and their answers: `AdmissionReview`.

use gantry_api::meta::v1::Status;
use serde::Deserialize;
use serde_json::{Value, json};

use super::hook::{Hook, ReviewVersion};
use super::relevant::Invocation;
use crate::admission::asked::{Asked, name_of};
use crate::admission::selection::Objects;
use crate::status::ApiError;

const KIND: &str = "AdmissionReview";

impl ReviewVersion {
    fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "admission.k8s.io/v1",
            Self::V1Beta1 => "admission.k8s.io/v1beta1",
        }
    }
}

/// What a webhook is asked.
pub(super) fn question(
    invocation: &Invocation,
    version: ReviewVersion,
    asked: &Asked,
    uid: &str,
    objects: Objects<'_>,
) -> Value {
    let name =
        if asked.name.is_empty() && !invocation.hook.mutating { name_of(objects.new) } else { &asked.name };
    let mut request = asked.request(invocation.kind, name);
    request.insert("uid".to_owned(), uid.into());
    request.insert("object".to_owned(), objects.new.cloned().unwrap_or_default());
    request.insert("oldObject".to_owned(), objects.old.cloned().unwrap_or_default());
    json!({"kind": KIND, "apiVersion": version.api_version(), "request": request})
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    response: Option<Answer>,
}

/// What a webhook answers.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    uid: String,
    allowed: bool,
    status: Option<Status>,
    patch: Option<String>,
    patch_type: Option<String>,
    warnings: Option<Vec<String>>,
}

/// An answer that is one.
#[derive(Debug, PartialEq)]
pub(super) struct Verdict {
    /// The refusal, if it is one.
    pub(super) refusal: Option<ApiError>,
    pub(super) warnings: Vec<String>,
    /// A JSON patch; empty where nothing changes.
    pub(super) patch: Vec<u8>,
    pub(super) patch_type: String,
}

/// Reads an answer, or says what is wrong with it.
pub(super) fn verdict(
    hook: &Hook,
    version: ReviewVersion,
    uid: &str,
    answer: &[u8],
) -> Result<Verdict, String> {
    let invalid = |why: String| format!("received invalid webhook response: {why}");
    let review: Review = serde_json::from_slice(answer).map_err(|error| {
        format!("failed to call webhook: couldn't get version/kind; json parse error: {error}")
    })?;
    let found = format!("{}, Kind={}", review.api_version, review.kind);
    let expected = format!("{}, Kind={KIND}", version.api_version());
    let Some(answer) = review.response else {
        return Err(invalid("webhook response was absent".to_owned()));
    };
    let patch = decode(answer.patch.as_deref())?;
    let mut patch_type = answer.patch_type;
    if version == ReviewVersion::V1 {
        if answer.uid != uid {
            return Err(invalid(format!("expected response.uid={uid:?}, got {:?}", answer.uid)));
        }
        if found != expected {
            return Err(invalid(format!("expected webhook response of {expected}, got {found}")));
        }
        let problem = match (hook.mutating, patch.is_empty(), patch_type.as_deref()) {
            (true, false, None) => "webhook returned response.patch but not response.patchType",
            (true, true, Some(_)) => "webhook returned response.patchType but not response.patch",
            (true, _, Some("")) => "webhook returned invalid response.patchType of \"\"",
            (false, false, _) => "validating webhook may not return response.patch",
            (false, _, Some(_)) => "validating webhook may not return response.patchType",
            _ => "",
        };
        if !problem.is_empty() {
            return Err(invalid(problem.to_owned()));
        }
    } else if !patch.is_empty() {
        patch_type = Some("JSONPatch".to_owned());
    }
    Ok(Verdict {
        refusal: (!answer.allowed).then(|| refusal(&hook.name, answer.status)),
        warnings: answer.warnings.unwrap_or_default(),
        patch: if hook.mutating { patch } else { Vec::new() },
        patch_type: patch_type.unwrap_or_default(),
    })
}

fn decode(patch: Option<&str>) -> Result<Vec<u8>, String> {
    use base64::Engine as _;
    let patch = patch.unwrap_or_default();
    base64::engine::general_purpose::STANDARD
        .decode(patch)
        .map_err(|error| format!("failed to call webhook: response.patch is no base64: {error}"))
}

/// What a webhook's no is to the client.
fn refusal(name: &str, status: Option<Status>) -> ApiError {
    let mut status = status.unwrap_or_default();
    // A refusal is one, whatever its code says.
    status.code = status.code.max(400);
    "Failure".clone_into(&mut status.status);
    let denied = format!("admission webhook {name:?} denied the request");
    status.message = if !status.message.is_empty() {
        format!("{denied}: {}", status.message)
    } else if !status.reason.is_empty() {
        format!("{denied}: {}", status.reason)
    } else {
        format!("{denied} without explanation")
    };
    status.metadata.get_or_insert_default();
    ApiError::of_status(status)
}

#[cfg(test)]
mod tests {
    use gantry_api::admissionregistration::v1::{MutatingWebhook, ValidatingWebhook};

    use super::*;

    fn hook(mutating: bool) -> Hook {
        let name = "a.b.c".to_owned();
        let made = if mutating {
            Hook::mutating("x", &[MutatingWebhook { name, ..MutatingWebhook::default() }])
        } else {
            Hook::validating("x", &[ValidatingWebhook { name, ..ValidatingWebhook::default() }])
        };
        made.into_iter().next().unwrap()
    }

    fn answer(mutating: bool, response: Value) -> Result<Verdict, String> {
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": KIND, "response": response});
        verdict(&hook(mutating), ReviewVersion::V1, "u", review.to_string().as_bytes())
    }

    fn refused(status: Value) -> (i32, String, String) {
        let verdict = answer(false, json!({"uid": "u", "allowed": false, "status": status})).unwrap();
        let status = verdict.refusal.unwrap().status().clone();
        (status.code, status.reason, status.message)
    }

    #[test]
    fn a_refusal_says_what_the_webhook_says() {
        let denied = "admission webhook \"a.b.c\" denied the request";
        let (none, text) = (String::new(), |more: &str| format!("{denied}{more}"));
        assert_eq!(refused(Value::Null), (400, none.clone(), text(" without explanation")));
        assert_eq!(refused(json!({"message": "no"})), (400, none, text(": no")));
        assert_eq!(
            refused(json!({"reason": "Forbidden", "code": 403})),
            (403, "Forbidden".to_owned(), text(": Forbidden"))
        );
        assert_eq!(refused(json!({"status": "Success", "code": 200, "message": "x"})).0, 400);
    }

    #[test]
    fn an_answer_fits_its_question() {
        for (mutating, response, problem) in [
            (true, Value::Null, "webhook response was absent"),
            (true, json!({"uid": "other"}), "expected response.uid=\"u\", got \"other\""),
            (
                true,
                json!({"uid": "u", "patch": "W10="}),
                "webhook returned response.patch but not response.patchType",
            ),
            (
                true,
                json!({"uid": "u", "patchType": "JSONPatch"}),
                "webhook returned response.patchType but not response.patch",
            ),
            (false, json!({"uid": "u", "patch": "W10="}), "validating webhook may not return response.patch"),
            (
                false,
                json!({"uid": "u", "patchType": "JSONPatch"}),
                "validating webhook may not return response.patchType",
            ),
        ] {
            let wanted = format!("received invalid webhook response: {problem}");
            assert_eq!(answer(mutating, response).unwrap_err(), wanted);
        }
        let review = json!({"apiVersion": "v1", "kind": "Pod", "response": {"uid": "u", "allowed": true}});
        let error = verdict(&hook(false), ReviewVersion::V1, "u", review.to_string().as_bytes()).unwrap_err();
        assert_eq!(
            error,
            "received invalid webhook response: expected webhook response of admission.k8s.io/v1, \
             Kind=AdmissionReview, got v1, Kind=Pod"
        );
        // The older words say less.
        let review = json!({"response": {"allowed": true, "patch": "W10="}});
        let verdict =
            verdict(&hook(true), ReviewVersion::V1Beta1, "u", review.to_string().as_bytes()).unwrap();
        assert_eq!(
            (verdict.refusal, &verdict.patch[..], &*verdict.patch_type),
            (None, &b"[]"[..], "JSONPatch")
        );
    }
}
