//! Whom front proxies name: servers that have asked the client who it is, and say so in headers.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use super::{ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, User};

/// The headers that no client may send on, whether or not this server reads them: servers behind it do.
const STANDARD: [&str; 3] = ["x-remote-user", "x-remote-uid", "x-remote-group"];
const STANDARD_PREFIX: &str = "x-remote-extra-";

/// The other end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Its address.
    pub(crate) address: SocketAddr,
    /// The common name of its certificate, where the authority of front proxies vouches for it.
    pub(crate) front_proxy: Option<String>,
    /// Whether it has shown a certificate.
    pub(crate) presented: bool,
}

/// How front proxies say for whom they ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RequestHeaders {
    /// Their common names; empty for any.
    pub(crate) allowed_names: Vec<String>,
    /// The headers of the user's name: the first that is there.
    pub(crate) username: Vec<String>,
    /// The headers of the user's UID: the first that is there.
    pub(crate) uid: Vec<String>,
    /// The headers of the groups: all of them.
    pub(crate) group: Vec<String>,
    /// What the headers of everything else begin with.
    pub(crate) extra_prefix: Vec<String>,
}

/// Tells whom front proxies name.
#[derive(Debug, Default)]
pub(crate) struct FrontProxies {
    headers: Option<RequestHeaders>,
}

impl FrontProxies {
    /// Those that speak by these headers; none without.
    pub(crate) fn new(headers: Option<RequestHeaders>) -> Self {
        Self { headers }
    }

    /// The user whom a request names, if it comes from a front proxy.
    pub(super) fn user(&self, peer: &Peer, headers: &HeaderMap) -> Option<User> {
        let (known, proxy) = (self.headers.as_ref()?, peer.front_proxy.as_ref()?);
        if !known.allowed_names.is_empty() && !known.allowed_names.contains(proxy) {
            tracing::debug!(proxy, "the name is not one of --requestheader-allowed-names");
            return None;
        }
        let name = first(headers, &known.username)?;
        let values = known.group.iter().flat_map(|header| headers.get_all(header.as_str()));
        let mut groups: Vec<String> = values.map(text).filter(|group| !group.is_empty()).collect();
        let settled = |group: &String| group == AUTHENTICATED || group == UNAUTHENTICATED;
        if name != ANONYMOUS && !groups.iter().any(settled) {
            groups.push(AUTHENTICATED.to_owned());
        }
        let uid = first(headers, &known.uid).unwrap_or_default();
        let mut user = User { name, groups, uid, ..User::default() };
        for prefix in &known.extra_prefix {
            for (header, value) in headers {
                if let Some(key) = header.as_str().strip_prefix(&prefix.to_ascii_lowercase()) {
                    let key = percent_decode_str(key).decode_utf8_lossy().to_lowercase();
                    user.extra.entry(key).or_default().push(text(value));
                }
            }
        }
        Some(user)
    }

    /// Takes the headers away that name a user.
    pub(super) fn clear(&self, headers: &mut HeaderMap) {
        let own = self.headers.iter().flat_map(|known| [&known.username, &known.uid, &known.group]);
        let own = own.flatten().map(String::as_str);
        for name in own.chain(STANDARD) {
            headers.remove(name);
        }
        let prefixes = self.headers.iter().flat_map(|known| &known.extra_prefix);
        let prefixes: Vec<String> =
            prefixes.map(|prefix| prefix.to_ascii_lowercase()).chain([STANDARD_PREFIX.to_owned()]).collect();
        let is_extra = |name: &&HeaderName| prefixes.iter().any(|prefix| name.as_str().starts_with(prefix));
        let extra: Vec<HeaderName> = headers.keys().filter(is_extra).cloned().collect();
        for name in extra {
            headers.remove(name);
        }
    }
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// The first of some headers that says something.
fn first(headers: &HeaderMap, names: &[String]) -> Option<String> {
    names.iter().filter_map(|name| headers.get(name.as_str())).map(text).find(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(allowed: &[&str]) -> FrontProxies {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        FrontProxies::new(Some(RequestHeaders {
            allowed_names: list(allowed),
            username: list(&["X-Other-User", "X-Remote-User"]),
            uid: list(&["X-Remote-Uid"]),
            group: list(&["X-Remote-Group"]),
            extra_prefix: list(&["X-Remote-Extra-", "X-More-"]),
        }))
    }

    fn peer(front_proxy: Option<&str>) -> Peer {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        Peer { address, front_proxy: front_proxy.map(str::to_owned), presented: true }
    }

    fn headers() -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in [
            ("x-other-user", ""),
            ("x-remote-user", "jane"),
            ("x-remote-group", "dev"),
            ("x-remote-group", "ops"),
            ("x-remote-uid", "7"),
            ("x-remote-extra-example.com%2fscopes", "a"),
            ("x-more-scopes", "b"),
            ("accept", "x"),
        ] {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn a_front_proxy_names_the_user() {
        let jane = proxies(&[]).user(&peer(Some("any")), &headers()).unwrap();
        assert_eq!((jane.name.as_str(), jane.uid.as_str()), ("jane", "7"));
        assert_eq!(jane.groups, ["dev", "ops", AUTHENTICATED]);
        assert_eq!(jane.extra["example.com/scopes"], ["a"]);
        assert_eq!(jane.extra["scopes"], ["b"]);
        assert!(proxies(&["front"]).user(&peer(Some("front")), &headers()).is_some());
    }

    #[test]
    fn nobody_else_does() {
        assert_eq!(proxies(&[]).user(&peer(None), &headers()), None);
        assert_eq!(proxies(&["front"]).user(&peer(Some("other")), &headers()), None);
        assert_eq!(FrontProxies::default().user(&peer(Some("front")), &headers()), None);
        assert_eq!(proxies(&[]).user(&peer(Some("front")), &HeaderMap::new()), None);
    }

    #[test]
    fn nothing_of_it_is_left() {
        let mut left = headers();
        proxies(&[]).clear(&mut left);
        assert_eq!(left.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
        let mut left = headers();
        FrontProxies::default().clear(&mut left);
        let mut names: Vec<&str> = left.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "x-more-scopes", "x-other-user"]);
    }

    #[test]
    fn nobody_in_particular_stays_that() {
        let mut map = HeaderMap::new();
        map.insert("x-remote-user", HeaderValue::from_static(ANONYMOUS));
        map.insert("x-remote-group", HeaderValue::from_static(UNAUTHENTICATED));
        let user = proxies(&[]).user(&peer(Some("front")), &map).unwrap();
        assert_eq!(user, User::anonymous());
    }
}
