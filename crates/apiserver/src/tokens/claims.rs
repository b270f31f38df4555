//! What a token of a service account says, and whether that is still so.

use serde::{Deserialize, Serialize};

use crate::pipeline::{AUTHENTICATED, User, service_account, service_account_groups};

/// How far the clocks of servers may differ, in seconds.
const LEEWAY: i64 = 60;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// Whom the token is for.
    #[serde(default)]
    pub(crate) aud: Vec<String>,
    pub(crate) exp: i64,
    pub(crate) iat: i64,
    pub(crate) iss: String,
    /// The token's own name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) jti: String,
    #[serde(rename = "kubernetes.io")]
    pub(crate) private: Private,
    pub(crate) nbf: i64,
    pub(crate) sub: String,
}

/// Whose a token is, and what it dies with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Private {
    pub(crate) namespace: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) node: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pod: Option<Reference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<Reference>,
    pub(crate) serviceaccount: Reference,
    /// When a client that has not renewed the token is behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) warnafter: Option<i64>,
}

/// An object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Reference {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) uid: String,
}

/// An object as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Found {
    pub(crate) uid: String,
    /// When it began to be deleted, in seconds since the epoch.
    pub(crate) deleted: Option<i64>,
}

impl Claims {
    /// Whether the token is valid now.
    pub(crate) fn check_time(&self, now: i64) -> Result<(), String> {
        if now > self.exp + LEEWAY {
            return Err("service account token has expired".to_owned());
        }
        if now < self.nbf - LEEWAY {
            return Err("service account token is not valid yet".to_owned());
        }
        Ok(())
    }

    /// Those of `audiences` that the token is for.
    pub(crate) fn audiences(&self, audiences: &[String]) -> Result<Vec<String>, String> {
        let both: Vec<String> = audiences.iter().filter(|one| self.aud.contains(one)).cloned().collect();
        if both.is_empty() {
            let (own, wanted) = (&self.aud, audiences);
            return Err(format!("token audiences {own:?} is invalid for the target audiences {wanted:?}"));
        }
        Ok(both)
    }

    /// The user whose token it is.
    pub(crate) fn user(&self) -> User {
        let Private { namespace, node, pod, serviceaccount, .. } = &self.private;
        let mut user = User {
            name: service_account(namespace, &serviceaccount.name),
            uid: serviceaccount.uid.clone(),
            ..User::default()
        };
        user.groups.extend(service_account_groups(namespace));
        user.groups.push(AUTHENTICATED.to_owned());
        let mut extra = |key: &str, value: &str| {
            if !value.is_empty() {
                user.extra.insert(format!("authentication.kubernetes.io/{key}"), vec![value.to_owned()]);
            }
        };
        if !self.jti.is_empty() {
            extra("credential-id", &format!("JTI={}", self.jti));
        }
        for (what, object) in [("pod", pod), ("node", node)] {
            if let Some(object) = object {
                extra(&format!("{what}-name"), &object.name);
                extra(&format!("{what}-uid"), &object.uid);
            }
        }
        user
    }
}

/// Whether an object that a token needs is still the one of the token.
pub(crate) fn check_object(
    what: &str,
    wanted: &Reference,
    found: Option<&Found>,
    now: i64,
) -> Result<(), String> {
    let invalidated = || Err(format!("{what} {:?} has been deleted", wanted.name));
    let Some(found) = found else { return invalidated() };
    if found.deleted.is_some_and(|at| at < now - LEEWAY) {
        return invalidated();
    }
    if wanted.uid != found.uid {
        return Err(format!("the {what} UID ({}) does not match the claim ({})", found.uid, wanted.uid));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims() -> Claims {
        serde_json::from_value(json!({
            "aud": ["https://kubernetes.default.svc"],
            "exp": 2000, "iat": 1000, "nbf": 1000,
            "iss": "https://kubernetes.default.svc",
            "jti": "j",
            "kubernetes.io": {
                "namespace": "a",
                "node": {"name": "n1", "uid": "nu"},
                "pod": {"name": "p", "uid": "pu"},
                "serviceaccount": {"name": "sa", "uid": "su"},
            },
            "sub": "system:serviceaccount:a:sa",
        }))
        .unwrap()
    }

    #[test]
    fn a_token_has_its_time() {
        let claims = claims();
        assert_eq!(claims.check_time(1500), Ok(()));
        assert_eq!(claims.check_time(2060), Ok(()));
        assert_eq!(claims.check_time(2061).unwrap_err(), "service account token has expired");
        assert_eq!(claims.check_time(939).unwrap_err(), "service account token is not valid yet");
    }

    #[test]
    fn a_token_is_for_some() {
        let list = |text: &str| vec![text.to_owned()];
        assert_eq!(claims().audiences(&list("https://kubernetes.default.svc")).unwrap().len(), 1);
        assert!(
            claims().audiences(&list("other")).unwrap_err().contains("is invalid for the target audiences")
        );
    }

    #[test]
    fn a_token_is_of_an_account_in_a_pod_on_a_node() {
        let user = claims().user();
        assert_eq!((user.name.as_str(), user.uid.as_str()), ("system:serviceaccount:a:sa", "su"));
        assert_eq!(
            user.groups,
            ["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"]
        );
        assert_eq!(
            serde_json::to_value(&user.extra).unwrap(),
            json!({
                "authentication.kubernetes.io/credential-id": ["JTI=j"],
                "authentication.kubernetes.io/node-name": ["n1"],
                "authentication.kubernetes.io/node-uid": ["nu"],
                "authentication.kubernetes.io/pod-name": ["p"],
                "authentication.kubernetes.io/pod-uid": ["pu"],
            })
        );
    }

    #[test]
    fn what_a_token_needs_must_be_there() {
        let wanted = Reference { name: "p".into(), uid: "u".into() };
        let found = |uid: &str, deleted| Found { uid: uid.into(), deleted };
        assert_eq!(check_object("pod", &wanted, Some(&found("u", None)), 1000), Ok(()));
        assert_eq!(check_object("pod", &wanted, Some(&found("u", Some(990))), 1000), Ok(()));
        assert_eq!(
            check_object("pod", &wanted, Some(&found("u", Some(900))), 1000).unwrap_err(),
            "pod \"p\" has been deleted"
        );
        assert!(check_object("pod", &wanted, None, 1000).is_err());
        assert_eq!(
            check_object("pod", &wanted, Some(&found("v", None)), 1000).unwrap_err(),
            "the pod UID (v) does not match the claim (u)"
        );
    }
}
