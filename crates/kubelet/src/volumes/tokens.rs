//! Tokens of service accounts in volumes: which a pod wants, and when each is to be renewed.

use std::collections::{BTreeMap, BTreeSet};

use gantry_api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use gantry_api::core::v1::{Pod, PodSpec, ServiceAccountTokenProjection};
use gantry_api::meta::v1::ObjectMeta;
use jiff::{SignedDuration, Timestamp};

/// What the API gives tokens whose time nobody says.
const DEFAULT_SECONDS: i64 = 3600;
/// A token is renewed when less than this part of its time is left, in percent, ...
const LEFT: i64 = 20;
/// ... or when it is older than this.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);

/// What a volume asks for. Equal ones share a token.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// Whom the token is for; empty for the API server.
    pub audience: String,
    /// How long it is to be valid.
    pub seconds: i64,
}

/// The tokens of a pod.
pub type Tokens = BTreeMap<Wanted, String>;

impl Wanted {
    /// What this source asks for.
    #[must_use]
    pub fn of(source: &ServiceAccountTokenProjection) -> Self {
        Self {
            audience: source.audience.clone(),
            seconds: source.expiration_seconds.unwrap_or(DEFAULT_SECONDS),
        }
    }

    /// The request for it, bound to the pod.
    #[must_use]
    pub fn request(&self, pod: &Pod) -> TokenRequest {
        let nothing = ObjectMeta::default();
        let meta = pod.metadata.as_ref().unwrap_or(&nothing);
        let pod = BoundObjectReference {
            kind: "Pod".to_owned(),
            api_version: "v1".to_owned(),
            name: meta.name.clone(),
            uid: meta.uid.clone(),
        };
        TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: Some(self.audience.clone())
                    .filter(|audience| !audience.is_empty())
                    .into_iter()
                    .collect(),
                expiration_seconds: Some(self.seconds),
                bound_object_ref: Some(pod),
            }),
            ..TokenRequest::default()
        }
    }
}

/// Everything that the pod's volumes ask for.
#[must_use]
pub fn wanted(spec: &PodSpec) -> BTreeSet<Wanted> {
    let sources = spec.volumes.iter().filter_map(|volume| volume.volume_source.as_ref());
    let parts = sources.filter_map(|source| source.projected.as_ref()).flat_map(|all| &all.sources);
    parts.filter_map(|part| part.service_account_token.as_ref()).map(Wanted::of).collect()
}

/// When a token that lives for `seconds`, until `expires`, is to be renewed. The jitter spreads the pods of a node.
#[must_use]
pub fn renew_at(expires: Timestamp, seconds: i64, jitter: SignedDuration) -> Timestamp {
    let before = |left: SignedDuration| expires.checked_sub(left).unwrap_or(Timestamp::MIN);
    let late = before(SignedDuration::from_secs(seconds.saturating_mul(LEFT) / 100));
    let issued = before(SignedDuration::from_secs(seconds));
    let old = issued.checked_add(MAX_AGE).unwrap_or(Timestamp::MAX);
    late.min(old).checked_sub(jitter).unwrap_or(Timestamp::MIN)
}

/// The user of all of a pod's containers, if they agree on one: the pod's tokens are that user's files.
#[must_use]
pub fn common_user(spec: &PodSpec) -> Option<u32> {
    let of_pod = spec.security_context.as_ref().and_then(|context| context.run_as_user);
    let ephemeral = gantry_api::ephemeral::containers(spec);
    let mut users = spec.init_containers.iter().chain(&spec.containers).chain(&ephemeral).map(|container| {
        container.security_context.as_ref().and_then(|context| context.run_as_user).or(of_pod)
    });
    let first = users.next().flatten()?;
    users.all(|user| user == Some(first)).then(|| u32::try_from(first).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(value: serde_json::Value) -> PodSpec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_pod_wants_what_its_volumes_name() {
        let source = |token| json!({"name": "v", "projected": {"sources": [{"serviceAccountToken": token}]}});
        let spec = spec(json!({"volumes": [
            source(json!({"path": "a"})), source(json!({"path": "b"})),
            source(json!({"path": "c", "audience": "vault", "expirationSeconds": 600})),
            {"name": "e", "emptyDir": {}},
        ]}));
        let wanted: Vec<Wanted> = wanted(&spec).into_iter().collect();
        assert_eq!(wanted.len(), 2, "equal ones share one");
        assert_eq!((wanted[0].audience.as_str(), wanted[0].seconds), ("", 3600));
        let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "uid": "u"}})).unwrap();
        assert_eq!(
            serde_json::to_value(wanted[1].request(&pod).spec).unwrap(),
            json!({"audiences": ["vault"], "expirationSeconds": 600,
                   "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": "u"}})
        );
        assert_eq!(wanted[0].request(&pod).spec.unwrap().audiences, Vec::<String>::new());
    }

    #[test]
    fn a_token_is_renewed_before_its_end() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let none = SignedDuration::ZERO;
        assert_eq!(renew_at(at(3600), 3600, none), at(2880));
        assert_eq!(renew_at(at(3600), 3600, SignedDuration::from_secs(10)), at(2870));
        let week = 7 * 24 * 3600;
        assert_eq!(renew_at(at(week), week, none), at(24 * 3600), "not older than a day");
    }

    #[test]
    fn files_belong_to_the_user_that_all_containers_have() {
        let user = |value| common_user(&spec(value));
        assert_eq!(user(json!({"containers": [{"name": "a"}]})), None);
        assert_eq!(
            user(json!({"securityContext": {"runAsUser": 7}, "containers": [{"name": "a"}]})),
            Some(7)
        );
        let own = json!({"name": "b", "securityContext": {"runAsUser": 8}});
        assert_eq!(
            user(json!({"securityContext": {"runAsUser": 7}, "containers": [{"name": "a"}, own]})),
            None
        );
        assert_eq!(user(json!({"initContainers": [own], "containers": [own]})), Some(8));
    }
}
