//! The headers of a request and its answer on their way through.

use std::net::SocketAddr;

use http::header::{
    AUTHORIZATION, CONNECTION, HOST, HeaderMap, LOCATION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::Authority;
use http::{HeaderName, HeaderValue, Uri};

use super::super::upgrade::has;

const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
/// About one connection, not about what goes through it.
const HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];
/// What other sites' pages may do is the server's to say, not that of what is behind it.
const CROSS_ORIGIN: [HeaderName; 4] = [
    HeaderName::from_static("access-control-allow-credentials"),
    HeaderName::from_static("access-control-allow-headers"),
    HeaderName::from_static("access-control-allow-methods"),
    HeaderName::from_static("access-control-allow-origin"),
];

/// The protocol that the client wants to go on with, if any.
pub(in super::super) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(UPGRADE).filter(|_| has(headers, &CONNECTION, "upgrade")).cloned()
}

/// What changes on the way.
#[derive(Debug)]
pub(super) struct Rewrite {
    /// The path of the request, as the client sees it.
    path: String,
    /// What of it stands before the path behind the proxy.
    prefix: String,
    /// The address behind the proxy, and the one that the client asked for, each with its port.
    hosts: [String; 2],
}

impl Rewrite {
    pub(super) fn new(path: &str, rest: &str, behind: SocketAddr, headers: &HeaderMap) -> Self {
        let host = headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
        let host = host.map(|host| with_port(&host, true)).unwrap_or_default();
        let prefix = path.strip_suffix(rest).unwrap_or(path);
        Self { path: path.to_owned(), prefix: prefix.to_owned(), hosts: [behind.to_string(), host] }
    }

    /// The headers of the request. Who the client is, and how it proved it, is not told.
    pub(super) fn request(&self, headers: &mut HeaderMap, host: Option<&str>, upgrade: Option<&HeaderValue>) {
        of_request(headers, upgrade);
        if let Some(host) = host.and_then(|host| HeaderValue::from_str(host).ok()) {
            headers.entry(HOST).or_insert(host);
        }
        if let Ok(path) = HeaderValue::from_str(&self.path) {
            headers.insert(FORWARDED_URI, path);
        }
    }

    /// The headers of the answer.
    pub(super) fn response(&self, headers: &mut HeaderMap) {
        of_answer(headers);
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
        if let Some(location) = location.and_then(|location| self.location(location))
            && let Ok(location) = HeaderValue::try_from(location)
        {
            headers.insert(LOCATION, location);
        }
    }

    /// Where a redirect leads, as the client can follow it; none where it can as it is.
    fn location(&self, location: &str) -> Option<String> {
        let uri: Uri = location.parse().ok()?;
        let https = uri.scheme_str() == Some("https");
        let elsewhere = uri.authority().is_some_and(|host| !self.hosts.contains(&with_port(host, https)));
        if elsewhere || !uri.path().starts_with('/') {
            return None;
        }
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let prefix = if uri.path().starts_with(&self.prefix) { "" } else { &self.prefix };
        Some(format!("{prefix}{}{query}", uri.path()))
    }
}

/// The headers of any request that goes on: neither about this connection, nor what proves who the client is.
pub(in super::super) fn of_request(headers: &mut HeaderMap, upgrade: Option<&HeaderValue>) {
    without_hops(headers);
    headers.remove(AUTHORIZATION);
    let own: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("impersonate-")).cloned().collect();
    for name in own {
        headers.remove(name);
    }
    if let Some(protocol) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, protocol.clone());
    }
}

/// The headers of any answer that comes back.
pub(in super::super) fn of_answer(headers: &mut HeaderMap) {
    without_hops(headers);
    for name in CROSS_ORIGIN {
        headers.remove(name);
    }
}

/// Host and port; where it names none, that of its scheme.
fn with_port(authority: &Authority, https: bool) -> String {
    let port = authority.port_u16().unwrap_or(if https { 443 } else { 80 });
    format!("{}:{port}", authority.host())
}

fn without_hops(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|word| word.trim().parse().ok())
        .collect();
    for name in named.into_iter().chain(HOP) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/api/v1/namespaces/a/pods/b/proxy/c/";

    fn rewrite() -> Rewrite {
        let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("server:6443"))]);
        Rewrite::new(PATH, "/c/", SocketAddr::from(([10, 0, 0, 1], 80)), &headers)
    }

    #[test]
    fn redirects_come_back_through_the_proxy() {
        let prefix = "/api/v1/namespaces/a/pods/b/proxy";
        for (from, to) in [
            ("/d?e=f", Some(format!("{prefix}/d?e=f"))),
            ("http://10.0.0.1:80/d/", Some(format!("{prefix}/d/"))),
            // The scheme says the port, as far as it is the same.
            ("http://10.0.0.1/d/", Some(format!("{prefix}/d/"))),
            ("https://10.0.0.1/d/", None),
            ("https://server:6443/d", Some(format!("{prefix}/d"))),
            (&format!("{prefix}/d"), Some(format!("{prefix}/d"))),
            ("https://example.com/d", None),
            ("d", None),
        ] {
            assert_eq!(rewrite().location(from), to, "{from}");
        }
    }

    #[test]
    fn what_is_about_the_connection_or_the_client_stays_here() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "x-own, keep-alive"),
            ("x-own", "1"),
            ("te", "trailers"),
            ("authorization", "Bearer secret"),
            ("impersonate-user", "a"),
            ("accept", "text/html"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        rewrite().request(&mut headers, Some("server:6443"), None);
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "host", "x-forwarded-uri"]);
        assert_eq!(
            (&headers[HOST], &headers[FORWARDED_URI]),
            (&"server:6443".parse().unwrap(), &PATH.parse().unwrap())
        );
        let websocket = HeaderValue::from_static("websocket");
        rewrite().request(&mut headers, None, Some(&websocket));
        assert_eq!(upgrade(&headers), Some(websocket));
        rewrite().response(&mut headers);
        assert_eq!(upgrade(&headers), None);
    }
}
