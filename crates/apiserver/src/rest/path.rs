//! The REST API's paths.

use std::borrow::Cow;

use http::header::X_CONTENT_TYPE_OPTIONS;
use http::{HeaderValue, Response, StatusCode};
use percent_encoding::percent_decode_str;
use tonic::body::Body;

use super::encode::text;
use crate::status::ApiError;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `/livez`, `/readyz`, `/healthz`, and a single check below them.
    Health { ready: bool, check: Option<String> },
    /// `/version`.
    Version,
    /// `/metrics`.
    Metrics,
    /// `/debug/api_priority_and_fairness/...`: the table.
    Flow(String),
    /// `/openapi/...`: the rest of the path.
    OpenApi(String),
    /// `/.well-known/openid-configuration`.
    OpenId,
    /// `/openid/v1/jwks`.
    Keys,
    /// `/`: the paths there are.
    Paths,
    /// `/api`.
    Core,
    /// `/apis`.
    Groups,
    /// `/apis/GROUP`.
    Group(String),
    /// `/api/v1`, `/apis/GROUP/VERSION`.
    Resources {
        /// Empty for the core group.
        group: String,
        version: String,
    },
    /// A resource, an object or a subresource.
    Resource(ResourcePath),
}

/// A resource, an object or a subresource by its path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ResourcePath {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) namespace: String,
    pub(super) resource: String,
    pub(super) name: String,
    pub(super) subresource: String,
    /// What follows `proxy`, as it stands in the path.
    pub(super) rest: String,
    /// The old form `/api/v1/watch/...`.
    pub(super) watch: bool,
}

/// Reads a path.
pub(super) fn parse(path: &str) -> Result<Route, ApiError> {
    let segments = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| percent_decode_str(segment).decode_utf8())
        .collect::<Result<Vec<Cow<'_, str>>, _>>()
        .map_err(|_| ApiError::bad_request(format!("the path {path:?} is not UTF-8")))?;
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    let route = match segments.as_slice() {
        [] => Route::Paths,
        ["livez" | "healthz"] => Route::Health { ready: false, check: None },
        ["livez" | "healthz", check] => Route::Health { ready: false, check: Some((*check).to_owned()) },
        ["readyz"] => Route::Health { ready: true, check: None },
        ["readyz", check] => Route::Health { ready: true, check: Some((*check).to_owned()) },
        ["version"] => Route::Version,
        ["metrics"] => Route::Metrics,
        ["debug", "api_priority_and_fairness", table] => Route::Flow((*table).to_owned()),
        [".well-known", "openid-configuration"] => Route::OpenId,
        ["openid", "v1", "jwks"] => Route::Keys,
        ["openapi", rest @ ..] => Route::OpenApi(rest.join("/")),
        ["api"] => Route::Core,
        ["apis"] => Route::Groups,
        ["apis", group] => Route::Group((*group).to_owned()),
        ["api", version] => Route::Resources { group: String::new(), version: (*version).to_owned() },
        ["apis", group, version] => {
            Route::Resources { group: (*group).to_owned(), version: (*version).to_owned() }
        }
        ["api", version, rest @ ..] => resource("", version, rest).ok_or_else(not_found)?,
        ["apis", group, version, rest @ ..] => resource(group, version, rest).ok_or_else(not_found)?,
        _ => return Err(not_found()),
    };
    Ok(match route {
        Route::Resource(mut found) if found.subresource == "proxy" => {
            let before = if found.namespace.is_empty() { 5 } else { 7 };
            behind(path, before).clone_into(&mut found.rest);
            Route::Resource(found)
        }
        route => route,
    })
}

/// What follows so many segments of a path, with the slash before it.
fn behind(path: &str, segments: usize) -> &str {
    let mut rest = path;
    for _ in 0..segments {
        rest = rest.trim_start_matches('/');
        rest = &rest[rest.find('/').unwrap_or(rest.len())..];
    }
    rest
}

/// The answer to a path that names nothing below a group and version that are served.
pub(super) fn not_found() -> ApiError {
    ApiError::no_resource()
}

/// The answer to a path that nobody knows.
pub(super) fn no_page() -> Response<Body> {
    let mut response = text(StatusCode::NOT_FOUND, "404 page not found\n".to_owned());
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn resource(group: &str, version: &str, rest: &[&str]) -> Option<Route> {
    let (watch, rest) = match rest {
        ["watch", rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    // `namespaces/NAME/status` is a namespace's subresource, `namespaces/NAME/pods` a collection inside of it.
    let (namespace, rest) = match rest {
        ["namespaces", _, "status" | "finalize"] | ["namespaces"] | ["namespaces", _] => ("", rest),
        ["namespaces", namespace, rest @ ..] => (*namespace, rest),
        rest => ("", rest),
    };
    let (resource, name, subresource) = match rest {
        [resource] => (*resource, "", ""),
        [resource, name] => (*resource, *name, ""),
        [resource, name, subresource] => (*resource, *name, *subresource),
        [resource @ ("pods" | "services" | "nodes"), name, "proxy", ..] => (*resource, *name, "proxy"),
        _ => return None,
    };
    Some(Route::Resource(ResourcePath {
        group: group.to_owned(),
        version: version.to_owned(),
        namespace: namespace.to_owned(),
        resource: resource.to_owned(),
        name: name.to_owned(),
        subresource: subresource.to_owned(),
        rest: String::new(),
        watch,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(path: &str) -> (String, String, String, String) {
        match parse(path).unwrap() {
            Route::Resource(path) => (path.namespace, path.resource, path.name, path.subresource),
            other => panic!("{other:?}"),
        }
    }

    fn parts(
        namespace: &str,
        resource: &str,
        name: &str,
        subresource: &str,
    ) -> (String, String, String, String) {
        (namespace.into(), resource.into(), name.into(), subresource.into())
    }

    #[test]
    fn objects_collections_and_subresources() {
        assert_eq!(resource("/api/v1/pods"), parts("", "pods", "", ""));
        assert_eq!(resource("/api/v1/namespaces/a/pods/b"), parts("a", "pods", "b", ""));
        assert_eq!(resource("/api/v1/namespaces/a/pods/b/log"), parts("a", "pods", "b", "log"));
        assert_eq!(resource("/api/v1/namespaces"), parts("", "namespaces", "", ""));
        assert_eq!(resource("/api/v1/namespaces/a"), parts("", "namespaces", "a", ""));
        assert_eq!(resource("/api/v1/namespaces/a/finalize"), parts("", "namespaces", "a", "finalize"));
        assert_eq!(resource("/apis/apps/v1/namespaces/a/deployments/"), parts("a", "deployments", "", ""));
        assert_eq!(resource("/api/v1/nodes/a%2Db"), parts("", "nodes", "a-b", ""));
    }

    #[test]
    fn what_is_behind_a_proxy_stays_as_it_is() {
        let rest = |path: &str| match parse(path).unwrap() {
            Route::Resource(path) => (path.resource, path.name, path.subresource, path.rest),
            other => panic!("{other:?}"),
        };
        let wanted = |resource: &str, name: &str, rest: &str| {
            (resource.to_owned(), name.to_owned(), "proxy".to_owned(), rest.to_owned())
        };
        let pods = "/api/v1/namespaces/a/pods";
        assert_eq!(rest(&format!("{pods}/b:80/proxy")), wanted("pods", "b:80", ""));
        assert_eq!(rest(&format!("{pods}/b/proxy/")), wanted("pods", "b", "/"));
        assert_eq!(rest(&format!("{pods}/b/proxy/c%2Fd//e/")), wanted("pods", "b", "/c%2Fd//e/"));
        assert_eq!(rest("/api/v1/nodes/n/proxy/stats"), wanted("nodes", "n", "/stats"));
        assert!(parse("/api/v1/namespaces/a/configmaps/b/proxy/c").is_err());
    }

    #[test]
    fn other_paths() {
        assert_eq!(parse("/readyz/etcd").unwrap(), Route::Health { ready: true, check: Some("etcd".into()) });
        assert!(parse("/readyz/etcd/more").is_err());
        assert_eq!(parse("/apis/apps").unwrap(), Route::Group("apps".into()));
        assert_eq!(parse("/openapi/v3/api/v1").unwrap(), Route::OpenApi("v3/api/v1".into()));
        assert!(parse("/nothing").is_err());
        assert!(parse("/api/v1/namespaces/a/pods/b/c/d").is_err());
        assert!(parse("/api/v1/%ff").is_err());
    }
}
