//! What the pipeline must know of a request before its handler reads it.

use http::header::CONTENT_TYPE;
use http::{Method, Request};

/// The calls that last as long as their client likes.
const LONG_CALLS: [&str; 7] =
    ["Watch", "Mutate", "Logs", "Exec", "Attach", "PortForward", "ServerReflectionInfo"];

/// A request's class, set once at the top of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Class {
    /// Whether it is a gRPC call: its errors are gRPC's.
    pub(crate) grpc: bool,
    /// Whether it runs until the client ends it: no deadline, and no place among the requests in flight once it has begun.
    pub(crate) long_running: bool,
    /// Whether it is a watch.
    pub(crate) watch: bool,
    /// Whether it changes something.
    pub(crate) mutating: bool,
    /// Whether it asks for the server's health: never queued behind other requests.
    pub(crate) health: bool,
}

impl Class {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let path = request.uri().path();
        if is_grpc(request) {
            let method = path.rsplit('/').next().unwrap_or_default();
            return Self {
                grpc: true,
                long_running: LONG_CALLS.contains(&method),
                watch: method == "Watch",
                mutating: matches!(method, "Create" | "Update" | "Patch" | "Delete" | "DeleteCollection"),
                health: path.starts_with("/grpc.health."),
            };
        }
        let read = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let watch = read && is_watch(request.uri().query().unwrap_or_default()) || path.contains("/watch/");
        Self {
            grpc: false,
            watch,
            long_running: watch
                || matches!(path.rsplit('/').next(), Some("log" | "exec" | "attach" | "portforward"))
                || is_proxy(path),
            mutating: !read,
            health: is_health(path),
        }
    }
}

/// Whether the call is gRPC's.
pub(crate) fn is_grpc<B>(request: &Request<B>) -> bool {
    request.headers().get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Whether the request is for somebody else: a pod, a service or a node.
pub(super) fn is_proxy(path: &str) -> bool {
    let mut segments =
        path.split('/').filter(|segment| !segment.is_empty()).skip_while(|one| *one != "v1").skip(1);
    let first = segments.next();
    let resource = if first == Some("namespaces") { segments.nth(1) } else { first };
    matches!(resource, Some("pods" | "services" | "nodes")) && segments.nth(1) == Some("proxy")
}

/// Whether the path asks for the server's health, which everyone may.
pub(crate) fn is_health(path: &str) -> bool {
    ["/livez", "/readyz", "/healthz"]
        .iter()
        .any(|known| path.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

fn is_watch(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(name, value)| {
        name == "watch" && matches!(&*value, "" | "1" | "t" | "T" | "true" | "TRUE" | "True")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(method: Method, uri: &str) -> Class {
        Class::of(&Request::builder().method(method).uri(uri).body(()).unwrap())
    }

    #[test]
    fn watches_and_logs_run_long() {
        assert!(class(Method::GET, "/api/v1/pods?watch=true").long_running);
        assert!(class(Method::GET, "/api/v1/pods?limit=5&watch=1").long_running);
        assert!(class(Method::GET, "/api/v1/namespaces/a/pods/b/log?follow=true").long_running);
        assert!(class(Method::POST, "/api/v1/namespaces/a/services/b:80/proxy/c/d").long_running);
        assert!(class(Method::GET, "/api/v1/nodes/a/proxy").long_running);
        assert!(!class(Method::GET, "/api/v1/namespaces/proxy/pods/a/status").long_running);
        assert!(!class(Method::GET, "/api/v1/pods?watch=false").long_running);
        assert!(!class(Method::POST, "/api/v1/namespaces/a/pods?watch=true").long_running);
    }

    #[test]
    fn health_is_told_from_other_paths() {
        assert!(class(Method::GET, "/readyz?verbose").health);
        assert!(class(Method::GET, "/livez/ping").health);
        assert!(!class(Method::GET, "/readyzz").health);
    }
}
