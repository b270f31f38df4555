//! Where a webhook is, as its configuration says.

use std::time::Duration;

use bytes::Bytes;
use gantry_api::admissionregistration::v1::WebhookClientConfig;
use gantry_api::apiextensions;
use http::Uri;

/// The port of a Service that the configuration leaves open.
const PORT: i32 = 443;

/// Where a webhook is and who vouches for it.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    place: Place,
    ca: Bytes,
}

#[derive(Debug, Clone)]
enum Place {
    Url(Uri),
    Service { service: Service, path: String },
}

/// A Service's port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) port: i32,
}

impl Endpoint {
    /// Where a webhook of admission is.
    pub(crate) fn of(config: &WebhookClientConfig) -> Result<Self, String> {
        let service = config.service.as_ref().map(|service| {
            (service.namespace.as_str(), service.name.as_str(), service.path.as_deref(), service.port)
        });
        Self::new(config.url.as_deref(), service, config.ca_bundle.clone())
    }

    /// Where a webhook is that converts custom resources.
    pub(crate) fn of_conversion(config: &apiextensions::v1::WebhookClientConfig) -> Result<Self, String> {
        let service = config.service.as_ref().map(|service| {
            (service.namespace.as_str(), service.name.as_str(), service.path.as_deref(), service.port)
        });
        Self::new(config.url.as_deref(), service, config.ca_bundle.clone())
    }

    fn new(
        url: Option<&str>,
        service: Option<(&str, &str, Option<&str>, Option<i32>)>,
        ca: Bytes,
    ) -> Result<Self, String> {
        let place = match (service, url) {
            (Some((namespace, name, path, port)), _) => Place::Service {
                service: Service {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                    port: port.unwrap_or(PORT),
                },
                path: path.unwrap_or_default().trim_start_matches('/').to_owned(),
            },
            (None, Some(url)) => {
                Place::Url(url.parse().map_err(|error| format!("Unparsable URL {url:?}: {error}"))?)
            }
            (None, None) => return Err("webhook configuration must have either service or URL".to_owned()),
        };
        Ok(Self { place, ca })
    }

    /// The authority that its certificate must have; those that everybody knows where it is empty.
    pub(super) fn ca(&self) -> &Bytes {
        &self.ca
    }

    /// The Service, where it is one.
    pub(super) fn service(&self) -> Option<&Service> {
        match &self.place {
            Place::Service { service, .. } => Some(service),
            Place::Url(_) => None,
        }
    }

    /// Name and port of the server.
    pub(super) fn authority(&self) -> String {
        match &self.place {
            Place::Service { service, .. } => {
                format!("{}.{}.svc:{}", service.name, service.namespace, service.port)
            }
            Place::Url(url) => url.authority().map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// What is posted to by a call that may take so long.
    pub(super) fn url(&self, limit: Duration) -> String {
        let path = match &self.place {
            Place::Service { path, .. } => format!("/{path}"),
            Place::Url(url) => url.path().to_owned(),
        };
        let seconds = limit.as_millis().div_ceil(1000);
        format!("https://{}{path}?timeout={seconds}s", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn endpoint(config: serde_json::Value) -> Result<Endpoint, String> {
        Endpoint::of(&serde_json::from_value(config).unwrap())
    }

    #[test]
    fn a_service_has_a_name_of_the_cluster() {
        let found = endpoint(json!({"service": {"namespace": "n", "name": "s", "path": "/a/b"}})).unwrap();
        assert_eq!(found.url(Duration::from_millis(9100)), "https://s.n.svc:443/a/b?timeout=10s");
        let found = endpoint(json!({"service": {"namespace": "n", "name": "s", "port": 8443}})).unwrap();
        assert_eq!(found.url(Duration::from_secs(10)), "https://s.n.svc:8443/?timeout=10s");
        assert_eq!(found.service().unwrap().port, 8443);
    }

    #[test]
    fn a_url_is_taken_as_it_is() {
        let found = endpoint(json!({"url": "https://127.0.0.1:9/x"})).unwrap();
        assert_eq!(found.url(Duration::from_secs(1)), "https://127.0.0.1:9/x?timeout=1s");
        assert!(found.service().is_none());
        let error = "webhook configuration must have either service or URL";
        assert_eq!(endpoint(json!({})).unwrap_err(), error);
    }
}
