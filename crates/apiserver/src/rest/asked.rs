//! What a request asks for, as its address says it.

use http::Request;

use super::path::{self, ResourcePath, Route};
use super::query::Query;
use super::resource;
use crate::flow::{Asked, Reach, Resource};

/// What a request asks for. Whether there is such a thing is not looked at.
pub(crate) fn asked<B>(request: &Request<B>) -> Asked {
    let uri = request.uri();
    let Ok(Route::Resource(found)) = path::parse(uri.path()) else {
        return Asked::path_only(request.method().as_str().to_ascii_lowercase(), uri.path());
    };
    let query = Query::parse(uri.query().unwrap_or_default());
    let watch = found.watch || query.watch();
    let Ok(verb) = resource::verb(request.method(), &found, watch) else {
        return Asked::path_only(request.method().as_str().to_ascii_lowercase(), uri.path());
    };
    let selected = query.fields().and_then(|fields| fields.exact("metadata.name").map(str::to_owned));
    let reach = match (verb, &selected) {
        ("list", Some(_)) => Some(Reach::One),
        ("list", None) => Some(Reach::UpTo(query.limit())),
        ("watch", _) if query.begins_with_objects() => {
            Some(selected.as_ref().map_or(Reach::UpTo(0), |_| Reach::One))
        }
        _ => None,
    };
    let ResourcePath { group, resource, subresource, namespace, name, .. } = found;
    let name = if name.is_empty() { selected.unwrap_or_default() } else { name };
    Asked::resource(verb, uri.path(), Resource { group, resource, subresource, namespace, name }, reach)
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::authorization::Attributes;

    fn of(method: Method, uri: &str) -> Asked {
        asked(&Request::builder().method(method).uri(uri).body(()).unwrap())
    }

    #[test]
    fn an_address_names_a_resource_or_a_path() {
        let scale = of(Method::PATCH, "/apis/apps/v1/namespaces/a/deployments/b/scale");
        let expected = Attributes::Resource {
            verb: "patch",
            group: "apps",
            resource: "deployments",
            subresource: "scale",
            namespace: "a",
            name: "b",
        };
        assert_eq!(scale.attributes(), expected);
        let path = of(Method::POST, "/healthz");
        assert_eq!(path.attributes(), Attributes::Path { verb: "post", path: "/healthz" });
        let namespace = of(Method::GET, "/api/v1/namespaces/a");
        assert!(matches!(namespace.attributes(), Attributes::Resource { namespace: "a", name: "a", .. }));
    }

    #[test]
    fn a_list_says_how_much_it_reads() {
        let reach = |uri: &str| of(Method::GET, uri).reach().copied();
        assert_eq!(reach("/api/v1/pods"), Some(Reach::UpTo(0)));
        assert_eq!(reach("/api/v1/pods?limit=500"), Some(Reach::UpTo(500)));
        assert_eq!(reach("/api/v1/pods?limit=x"), Some(Reach::UpTo(0)));
        assert_eq!(reach("/api/v1/pods?fieldSelector=metadata.name%3Da"), Some(Reach::One));
        assert_eq!(reach("/api/v1/pods?watch=1"), Some(Reach::UpTo(0)));
        assert_eq!(reach("/api/v1/pods?watch=1&resourceVersion=7"), None);
        assert_eq!(
            reach("/api/v1/pods?watch=1&resourceVersion=7&sendInitialEvents=true"),
            Some(Reach::UpTo(0))
        );
        assert_eq!(reach("/api/v1/namespaces/a/pods/b"), None);
    }
}
