//! Who asks in the name of somebody else, and may.

use std::sync::Arc;

use http::{HeaderMap, Request, Response};
use percent_encoding::percent_decode_str;
use tonic::body::Body;

use super::middleware::{Middleware, Next, run};
use super::{
    ANONYMOUS, AUTHENTICATED, Class, UNAUTHENTICATED, User, as_service_account, reply, service_account_groups,
};
use crate::authorization::{Attributes, Requester, authorize};
use crate::status::ApiError;

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";
/// The API group of what a user has beside name and groups.
const AUTHENTICATION: &str = "authentication.k8s.io";

/// Puts the user whom the request names in the place of the one who asks, if that one may.
#[derive(Clone)]
pub(super) struct Impersonation;

impl Middleware for Impersonation {
    async fn call(self, mut request: Request<Body>, next: impl Next) -> Response<Body> {
        let class = Class::of(&request);
        let wanted = match Wanted::of(request.headers()) {
            Ok(None) => return run(next, request).await,
            Ok(Some(wanted)) => wanted,
            Err(error) => return reply::error(class.grpc, &error),
        };
        let Some(requester) = request.extensions().get::<Requester>().cloned() else {
            let error = ApiError::internal("the request has not passed authentication");
            return reply::error(class.grpc, &error);
        };
        if let Err(error) = wanted.allowed(&requester) {
            return reply::error(class.grpc, &error);
        }
        let user = Arc::new(wanted.into_user());
        tracing::debug!(by = requester.user().name, user = user.name, "impersonated");
        let requester = requester.become_user(user.clone());
        let named: Vec<_> = request
            .headers()
            .keys()
            .filter(|name| name.as_str().starts_with("impersonate-"))
            .cloned()
            .collect();
        for name in named {
            request.headers_mut().remove(name);
        }
        request.extensions_mut().insert(user);
        request.extensions_mut().insert(requester.clone());
        requester.scope(run(next, request)).await
    }
}

/// The user that a request names.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    user: String,
    groups: Vec<String>,
    uid: String,
    /// Key and value, several of a key.
    extra: Vec<(String, String)>,
}

impl Wanted {
    fn of(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        let text = |value: &http::HeaderValue| {
            let unreadable = |_| ApiError::bad_request("the headers of impersonation must be UTF-8");
            String::from_utf8(value.as_bytes().to_vec()).map_err(unreadable)
        };
        let first = |name: &str| headers.get(name).map(text).transpose().map(Option::unwrap_or_default);
        let groups = headers.get_all(GROUP).iter().map(text).collect::<Result<Vec<_>, _>>()?;
        let mut extra = Vec::new();
        for (name, value) in headers {
            if let Some(key) = name.as_str().strip_prefix(EXTRA) {
                let key = percent_decode_str(key).decode_utf8_lossy().to_lowercase();
                extra.push((key, text(value)?));
            }
        }
        let wanted = Self { user: first(USER)?, groups, uid: first(UID)?, extra };
        if !wanted.user.is_empty() {
            return Ok(Some(wanted));
        }
        if wanted.groups.is_empty() && wanted.extra.is_empty() && wanted.uid.is_empty() {
            return Ok(None);
        }
        Err(ApiError::internal("requested groups, extra or a uid without impersonating a user"))
    }

    /// Whether the one who asks may be the user, in each of the groups, with the uid and with each value.
    fn allowed(&self, requester: &Requester) -> Result<(), ApiError> {
        let ask = |group, resource, subresource, namespace, name| {
            let verb = "impersonate";
            authorize(
                requester,
                &Attributes::Resource { verb, group, resource, subresource, namespace, name },
            )
        };
        match as_service_account(&self.user) {
            Some((namespace, name)) => ask("", "serviceaccounts", "", namespace, name)?,
            None => ask("", "users", "", "", &self.user)?,
        }
        for group in &self.groups {
            ask("", "groups", "", "", group)?;
        }
        for (key, value) in &self.extra {
            ask(AUTHENTICATION, "userextras", key, "", value)?;
        }
        if !self.uid.is_empty() {
            ask(AUTHENTICATION, "uids", "", "", &self.uid)?;
        }
        Ok(())
    }

    fn into_user(self) -> User {
        let mut groups = self.groups;
        if let (true, Some((namespace, _))) = (groups.is_empty(), as_service_account(&self.user)) {
            groups.extend(service_account_groups(namespace));
        }
        let has = |wanted: &str| groups.iter().any(|group| group == wanted);
        if self.user == ANONYMOUS {
            if !has(UNAUTHENTICATED) {
                groups.push(UNAUTHENTICATED.to_owned());
            }
        } else if !has(AUTHENTICATED) && !has(UNAUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        let mut user = User { name: self.user, groups, uid: self.uid, ..User::default() };
        for (key, value) in self.extra {
            user.extra.entry(key).or_default().push(value);
        }
        user
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn wanted(headers: &[(&'static str, &'static str)]) -> Result<Option<Wanted>, ApiError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        Wanted::of(&map)
    }

    fn user(headers: &[(&'static str, &'static str)]) -> User {
        wanted(headers).unwrap().unwrap().into_user()
    }

    #[test]
    fn headers_make_a_user() {
        assert_eq!(wanted(&[("accept", "x")]).unwrap(), None);
        assert!(wanted(&[(GROUP, "dev")]).is_err() && wanted(&[(UID, "u")]).is_err());
        let jane = user(&[
            (USER, "jane"),
            (GROUP, "dev"),
            (GROUP, "ops"),
            (UID, "u"),
            ("impersonate-extra-example.com%2fscopes", "a"),
            ("impersonate-extra-example.com%2fscopes", "b"),
        ]);
        assert_eq!(jane.groups, ["dev", "ops", "system:authenticated"]);
        assert_eq!((jane.name.as_str(), jane.uid.as_str()), ("jane", "u"));
        assert_eq!(jane.extra["example.com/scopes"], ["a", "b"]);
    }

    #[test]
    fn service_accounts_and_nobody_have_groups_of_their_own() {
        let account = user(&[(USER, "system:serviceaccount:a:b")]);
        assert_eq!(
            account.groups,
            ["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"]
        );
        let named = user(&[(USER, "system:serviceaccount:a:b"), (GROUP, "g")]);
        assert_eq!(named.groups, ["g", "system:authenticated"]);
        assert_eq!(user(&[(USER, ANONYMOUS)]), User::anonymous());
        assert_eq!(user(&[(USER, "x"), (GROUP, UNAUTHENTICATED)]).groups, [UNAUTHENTICATED]);
    }
}
