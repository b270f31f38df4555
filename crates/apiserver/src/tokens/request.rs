//! `serviceaccounts/NAME/token`: a token is asked for.

use std::time::Duration;

use gantry_api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestStatus};
use gantry_api::core::v1::{Node, Pod, PodSpec, Secret, ServiceAccount};
use gantry_api::field::{Error, ErrorList, Path};
use gantry_api::meta::v1::{CreateOptions, GetOptions, ObjectMeta};
use gantry_api::scalars::Time;
use gantry_api::{Object, Resource, Subresource};
use jiff::Timestamp;

use super::claims::{Claims, Private, Reference};
use crate::admission::Operation;
use crate::admission::asked::TOKEN;
use crate::authorization::Requester;
use crate::pipeline::service_account;
use crate::status::{ApiError, Reason};
use crate::verbs::{Target, Verbs};

/// How long a token is valid that says nothing of it, in seconds.
const DEFAULT: i64 = 3600;
/// The shortest and the longest time that may be asked for.
const MIN: i64 = 600;
const MAX: i64 = 1 << 32;
/// What a kubelet asks for whose pods may be too old to renew their tokens: such a token lives for a year, and is
/// reported where it is used after its time.
const WARN_ONLY: i64 = 3607;
const YEAR: i64 = 365 * 24 * 3600;

/// Gives a token of the service account `target`.
pub(crate) async fn create(
    verbs: &Verbs,
    requester: &Requester,
    target: &Target,
    request: TokenRequest,
    options: &CreateOptions,
) -> Result<TokenRequest, ApiError> {
    let issuer = requester.authenticator().issuer().filter(|issuer| issuer.signs());
    let missing = || ApiError::new(Reason::NotFound, "the server could not find the requested resource");
    let issuer = issuer.ok_or_else(missing)?;
    let account = get::<ServiceAccount>(verbs, &target.namespace, &target.name).await?;
    let uid = account.meta().uid.clone();
    let sub = Some(Subresource::Token);
    let asked = verbs.asked(
        Operation::Create,
        target,
        sub,
        !options.dry_run.is_empty(),
        ("CreateOptions", options),
    )?;
    let mut request = verbs.admit_message(asked, TOKEN, request, None).await?;
    place(target, request.metadata.get_or_insert_default())?;
    let spec = request.spec.get_or_insert_default();
    if spec.audiences.is_empty() {
        spec.audiences = issuer.audiences().to_vec();
    }
    let wanted = *spec.expiration_seconds.get_or_insert(DEFAULT);
    let errors = validate(wanted);
    if !errors.is_empty() {
        return Err(invalid(&target.name, &errors));
    }
    let expiration = limited(wanted, issuer.max_expiration());
    spec.expiration_seconds = Some(expiration);
    let account = Reference { name: target.name.clone(), uid };
    let mut private =
        Private { namespace: target.namespace.clone(), serviceaccount: account, ..Private::default() };
    let of_pod = match &spec.bound_object_ref {
        Some(object) => bind(verbs, target, object, &mut private).await?,
        None => Vec::new(),
    };
    if let Some(node) = requester.user().node() {
        let with_uid = spec.bound_object_ref.as_ref().is_some_and(|object| !object.uid.is_empty());
        of_node(node, &private, with_uid)
            .and_then(|()| for_whom(&spec.audiences, issuer.audiences(), &of_pod))
            .map_err(|detail| ApiError::forbidden(target.kind, &target.name, &detail))?;
    }
    let now = Timestamp::now().as_second();
    let own = spec.audiences == issuer.audiences();
    let claims = claims(issuer.name(), spec.audiences.clone(), private, expiration, now, own);
    let token = issuer.sign(&claims)?;
    let ends = Time { seconds: now + expiration, nanos: 0 };
    request.status = Some(TokenRequestStatus { token, expiration_timestamp: Some(ends) });
    let meta = request.metadata.get_or_insert_default();
    meta.creation_timestamp = Some(Time { seconds: now, nanos: 0 });
    Ok(request)
}

/// Name and namespace are those of the account.
fn place(target: &Target, meta: &mut ObjectMeta) -> Result<(), ApiError> {
    for (what, field, wanted) in
        [("name", &mut meta.name, &target.name), ("namespace", &mut meta.namespace, &target.namespace)]
    {
        if field.is_empty() {
            field.clone_from(wanted);
        }
        if field != wanted {
            return Err(ApiError::bad_request(format!(
                "the {what} of the provided object does not match the {what} sent on the request"
            )));
        }
    }
    Ok(())
}

fn validate(seconds: i64) -> ErrorList {
    let path = || Path::new("spec").child("expirationSeconds");
    let mut errors = ErrorList::new();
    if seconds < MIN {
        errors.push(Error::invalid(path(), seconds, "may not specify a duration less than 10 minutes"));
    }
    if seconds > MAX {
        errors.push(Error::invalid(path(), seconds, "may not specify a duration larger than 2^32 seconds"));
    }
    errors
}

fn invalid(name: &str, errors: &ErrorList) -> ApiError {
    ApiError::invalid_of("authentication.k8s.io", "TokenRequest", name, errors)
}

/// The time that a token gets of the time that is wanted.
fn limited(wanted: i64, longest: Option<Duration>) -> i64 {
    let longest = longest.and_then(|longest| i64::try_from(longest.as_secs()).ok()).unwrap_or(i64::MAX);
    wanted.min(longest)
}

fn claims(
    issuer: &str,
    audiences: Vec<String>,
    mut private: Private,
    expiration: i64,
    now: i64,
    own: bool,
) -> Claims {
    let mut ends = now + expiration;
    if expiration == WARN_ONLY && private.pod.is_some() && own {
        private.warnafter = Some(ends);
        ends = now + YEAR;
    }
    Claims {
        aud: audiences,
        exp: ends,
        iat: now,
        nbf: now,
        iss: issuer.to_owned(),
        jti: uuid::Uuid::new_v4().to_string(),
        sub: service_account(&private.namespace, &private.serviceaccount.name),
        private,
    }
}

/// What a node may ask for: tokens of its pods, as it knows them.
fn of_node(node: &str, private: &Private, with_uid: bool) -> Result<(), String> {
    if private.pod.is_none() {
        return Err("node requested token not bound to a pod".to_owned());
    }
    if !with_uid {
        return Err("node requested token with a pod binding without a uid".to_owned());
    }
    if private.node.as_ref().is_none_or(|of| of.name != node) {
        return Err("node requested token bound to a pod scheduled on a different node".to_owned());
    }
    Ok(())
}

/// For whom a node may ask: for the API, and for those whom the pod's volumes name.
fn for_whom(wanted: &[String], own: &[String], of_pod: &[String]) -> Result<(), String> {
    match wanted.iter().find(|one| !own.contains(one) && !of_pod.contains(one)) {
        Some(other) => Err(format!("audience {other:?} not found in pod spec volume")),
        None => Ok(()),
    }
}

/// For whom a pod's volumes have tokens.
fn audiences_of(spec: &PodSpec) -> Vec<String> {
    let sources = spec.volumes.iter().filter_map(|volume| volume.volume_source.as_ref());
    let parts = sources.filter_map(|source| source.projected.as_ref()).flat_map(|all| &all.sources);
    let tokens = parts.filter_map(|part| part.service_account_token.as_ref());
    tokens.map(|token| token.audience.clone()).collect()
}

async fn get<T: Resource>(verbs: &Verbs, namespace: &str, name: &str) -> Result<Box<dyn Object>, ApiError> {
    let target =
        Target { kind: <T as Resource>::kind(), namespace: namespace.to_owned(), name: name.to_owned() };
    verbs.get(&target, &GetOptions::default()).await?.object()
}

/// Binds a token to an object: it dies with it. Gives back for whom a pod's volumes have tokens.
async fn bind(
    verbs: &Verbs,
    target: &Target,
    object: &BoundObjectReference,
    private: &mut Private,
) -> Result<Vec<String>, ApiError> {
    let BoundObjectReference { kind, api_version, name, uid } = object;
    if api_version != "v1" || !matches!(kind.as_str(), "Pod" | "Secret" | "Node") {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let gvk = format!("{group}/{version}, Kind={kind}");
        return Err(ApiError::bad_request(format!("cannot bind token to object of type {gvk}")));
    }
    let found = match kind.as_str() {
        "Pod" => get::<Pod>(verbs, &target.namespace, name).await?,
        "Secret" => get::<Secret>(verbs, &target.namespace, name).await?,
        _ => get::<Node>(verbs, "", name).await?,
    };
    let is = found.meta().uid.clone();
    if !uid.is_empty() && *uid != is {
        let detail = format!(
            "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been \
             deleted and then recreated"
        );
        return Err(ApiError::conflict(found.kind(), name, &detail));
    }
    let reference = Some(Reference { name: name.clone(), uid: is });
    let mut audiences = Vec::new();
    match kind.as_str() {
        "Secret" => private.secret = reference,
        "Node" => private.node = reference,
        _ => {
            let spec = found.downcast_ref::<Pod>().and_then(|pod| pod.spec.clone()).unwrap_or_default();
            if spec.service_account_name != target.name {
                return Err(ApiError::bad_request(format!(
                    "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
                    target.name
                )));
            }
            private.pod = reference;
            audiences = audiences_of(&spec);
            if !spec.node_name.is_empty() {
                private.node = Some(node_of(verbs, spec.node_name).await?);
            }
        }
    }
    Ok(audiences)
}

/// A node that is not there is named all the same.
async fn node_of(verbs: &Verbs, name: String) -> Result<Reference, ApiError> {
    let uid = match get::<Node>(verbs, "", &name).await {
        Ok(node) => node.meta().uid.clone(),
        Err(error) if error.reason() == Reason::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    Ok(Reference { name, uid })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pod: bool, expiration: i64, own: bool) -> Claims {
        let pod = pod.then(|| Reference { name: "p".into(), uid: "u".into() });
        let private = Private {
            namespace: "a".into(),
            pod,
            serviceaccount: Reference { name: "sa".into(), uid: "u".into() },
            ..Private::default()
        };
        claims("https://a", vec!["x".into()], private, expiration, 1000, own)
    }

    #[test]
    fn a_token_ends_when_it_should() {
        assert_eq!(of(true, 600, true).exp, 1600);
        let warned = of(true, WARN_ONLY, true);
        assert_eq!((warned.exp, warned.private.warnafter), (1000 + YEAR, Some(4607)));
        assert_eq!(of(false, WARN_ONLY, true).exp, 4607);
        assert_eq!(of(true, WARN_ONLY, false).exp, 4607);
        assert_eq!(of(true, 600, true).sub, "system:serviceaccount:a:sa");
    }

    #[test]
    fn times_have_bounds() {
        assert!(validate(600).is_empty() && validate(MAX).is_empty());
        assert_eq!(validate(599).len(), 1);
        assert_eq!(validate(MAX + 1).len(), 1);
        assert_eq!(limited(7200, Some(Duration::from_secs(3600))), 3600);
        assert_eq!(limited(7200, None), 7200);
    }

    #[test]
    fn a_node_asks_for_its_pods() {
        let reference = |name: &str| Some(Reference { name: name.into(), uid: "u".into() });
        let mut private = Private::default();
        assert!(of_node("n1", &private, true).unwrap_err().contains("not bound to a pod"));
        private.pod = reference("p");
        assert!(of_node("n1", &private, true).unwrap_err().contains("a different node"));
        private.node = reference("n1");
        assert!(of_node("n1", &private, false).unwrap_err().contains("without a uid"));
        assert_eq!(of_node("n1", &private, true), Ok(()));
    }

    #[test]
    fn a_node_asks_for_those_whom_the_pod_names() {
        let spec: PodSpec = serde_json::from_value(serde_json::json!({"volumes": [
            {"name": "a", "emptyDir": {}},
            {"name": "t", "projected": {"sources": [
                {"serviceAccountToken": {"audience": "vault", "path": "t"}}, {"secret": {"name": "s"}},
            ]}},
        ]}))
        .unwrap();
        let of_pod = audiences_of(&spec);
        assert_eq!(of_pod, ["vault"]);
        let list = |text: &str| vec![text.to_owned()];
        assert_eq!(for_whom(&list("api"), &list("api"), &of_pod), Ok(()));
        assert_eq!(for_whom(&list("vault"), &list("api"), &of_pod), Ok(()));
        assert_eq!(
            for_whom(&list("bank"), &list("api"), &of_pod).unwrap_err(),
            r#"audience "bank" not found in pod spec volume"#
        );
    }
}
