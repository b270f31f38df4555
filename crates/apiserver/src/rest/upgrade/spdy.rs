//! The opening of a SPDY connection.

use http::header::{CONNECTION, CONTENT_TYPE, HeaderMap, UPGRADE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use tonic::body::Body;

use super::{Refused, words};

/// What the streams of the connection mean: the client's choices, and the server's answer.
const PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");
/// What the client may choose from.
const ACCEPTED: HeaderName = HeaderName::from_static("x-accepted-stream-protocol-versions");

/// An opening that can be accepted.
#[derive(Debug)]
pub(in super::super) struct Spdy {
    /// What the streams mean; the oldest clients do not say.
    pub(in super::super) protocol: Option<&'static str>,
}

impl Spdy {
    /// Reads the opening from a request's headers: the first of the client's choices that is served.
    pub(in super::super) fn read(headers: &HeaderMap, served: &[&'static str]) -> Result<Self, Refused> {
        let wanted: Vec<&str> = words(headers, &PROTOCOL).filter(|word| !word.is_empty()).collect();
        if wanted.is_empty() {
            return Ok(Self { protocol: None });
        }
        let known = wanted.iter().find_map(|wanted| served.iter().find(|served| *served == wanted));
        match known {
            Some(protocol) => Ok(Self { protocol: Some(protocol) }),
            None => Err(Refused::Answer(Box::new(refusal(&wanted, served)))),
        }
    }

    /// The answer after which the connection speaks SPDY.
    pub(in super::super) fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("SPDY/3.1"));
        if let Some(protocol) = self.protocol {
            headers.insert(PROTOCOL, HeaderValue::from_static(protocol));
        }
        response
    }
}

fn refusal(wanted: &[&str], served: &[&'static str]) -> Response<Body> {
    let text = format!(
        "unable to upgrade: unable to negotiate protocol: client supports [{}], server accepts [{}]\n",
        wanted.join(" "),
        served.join(" ")
    );
    let mut response = Response::new(Body::new(http_body_util::Full::new(text.into())));
    *response.status_mut() = StatusCode::FORBIDDEN;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    for protocol in served {
        headers.append(ACCEPTED, HeaderValue::from_static(protocol));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_order_decides() {
        let served = ["v4.channel.k8s.io", "v3.channel.k8s.io"];
        let read = |wanted: &[&'static str]| {
            let headers = wanted.iter().map(|wanted| (PROTOCOL, HeaderValue::from_static(wanted)));
            Spdy::read(&headers.collect(), &served)
        };
        let chosen = |wanted: &[&'static str]| read(wanted).unwrap().protocol;
        assert_eq!(chosen(&["v9", "v3.channel.k8s.io", "v4.channel.k8s.io"]), Some("v3.channel.k8s.io"));
        assert_eq!(chosen(&[]), None);
        let response = read(&["v4.channel.k8s.io"]).unwrap().response();
        assert_eq!(
            (response.status().as_u16(), &response.headers()[UPGRADE]),
            (101, &"SPDY/3.1".parse().unwrap())
        );
        assert_eq!(response.headers()[PROTOCOL], "v4.channel.k8s.io");
        let Err(Refused::Answer(refused)) = read(&["v9"]) else { panic!("v9 is not served") };
        assert_eq!(refused.status(), 403);
        assert_eq!(refused.headers().get_all(ACCEPTED).iter().count(), 2);
    }
}
