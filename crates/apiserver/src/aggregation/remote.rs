//! The servers behind this one, by the groups and versions that they serve.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use gantry_api::Resource;
use gantry_api::apiregistration::v1::{ApiService, ServiceReference};
use gantry_api::core::v1::Service;
use gantry_api::discovery::v1::EndpointSlice;
use gantry_api::selector::LabelSelector;
use http::header::{ACCEPT, IF_NONE_MATCH};
use http::{Request, Response};
use hyper::body::Incoming;
use parking_lot::RwLock;
use percent_encoding::percent_decode_str;
use tonic::body::Body;

use super::availability;
use super::connection::{Connections, Identity, IdentityError, Target};
use super::discovery::{Found, Known, Merged, Priorities};
use super::place::{self, Place};
use crate::cache::Selection;
use crate::pipeline::User;
use crate::status::ApiError;
use crate::verbs::Verbs;

/// The label of a slice that names its Service.
pub(super) const OF_SERVICE: &str = "kubernetes.io/service-name";
/// How often a server is asked side by side: one answer is enough.
const ATTEMPTS: usize = 5;
/// How long it may take to answer.
const LIMIT: Duration = Duration::from_secs(5);

/// A server behind this one that serves a group and version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    /// The name of the APIService.
    pub(super) name: String,
    pub(super) group: String,
    pub(super) version: String,
    pub(super) target: Target,
    /// Whether the APIService says that it is available.
    available: bool,
}

impl Remote {
    /// What an APIService says.
    pub(super) fn of(object: &ApiService) -> Option<Self> {
        let (spec, service) = (object.spec.as_ref()?, availability::reference(object)?);
        availability::is_remote(object).then(|| Self {
            name: object.name().to_owned(),
            group: spec.group.clone(),
            version: spec.version.clone(),
            target: Target {
                namespace: service.namespace.clone(),
                name: service.name.clone(),
                port: service.port.unwrap_or(443),
                ca: spec.ca_bundle.clone(),
                anybody: spec.insecure_skip_tls_verify,
            },
            available: availability::is_available(object),
        })
    }

    /// Whether requests are sent there.
    pub(crate) fn is_available(&self) -> bool {
        self.available
    }

    /// The name and port of its Service, as requests name it.
    pub(crate) fn authority(&self) -> String {
        self.target.authority()
    }

    /// Whether another is the same server, available or not.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (&self.name, &self.group, &self.version, &self.target)
            == (&other.name, &other.group, &other.version, &other.target)
    }

    /// Whether it is behind a Service.
    pub(super) fn is_at(&self, namespace: &str, service: &str) -> bool {
        self.target.namespace == namespace && self.target.name == service
    }

    /// Its path.
    pub(super) fn path(&self) -> String {
        format!("/apis/{}/{}", self.group, self.version)
    }
}

/// Why a server did not answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Its Service leads nowhere.
    Nowhere(String),
    /// It cannot be reached.
    Unreachable(String),
}

#[derive(Default)]
struct Table {
    remotes: BTreeMap<String, Arc<Remote>>,
    priorities: Priorities,
    known: BTreeMap<String, Known>,
    /// What is to be seen of all that.
    merged: Option<Arc<Merged>>,
}

/// The servers behind this one.
pub(crate) struct Remotes {
    verbs: Arc<Verbs>,
    connections: Connections,
    table: RwLock<Table>,
}

impl Remotes {
    /// Nobody, until [`Remotes::update`]; they are shown a certificate, where there is one.
    pub(crate) fn new(verbs: Arc<Verbs>, identity: Option<Identity>) -> Result<Arc<Self>, IdentityError> {
        let connections = Connections::new(identity)?;
        Ok(Arc::new(Self { verbs, connections, table: RwLock::default() }))
    }

    /// Whether another server serves a path.
    pub(crate) fn serves(&self, path: &str) -> bool {
        self.of_path(path).is_some()
    }

    /// The server that serves a path.
    pub(crate) fn of_path(&self, path: &str) -> Option<Arc<Remote>> {
        let table = self.table.read();
        if table.remotes.is_empty() {
            return None;
        }
        let decoded = percent_decode_str(path).decode_utf8().ok()?;
        let mut segments = decoded.trim_matches('/').split('/');
        if segments.next() != Some("apis") {
            return None;
        }
        let (group, version) = (segments.next()?, segments.next()?);
        let found = table.remotes.get(&format!("{version}.{group}"))?;
        // Dots are in both.
        (found.group == group && found.version == version).then(|| Arc::clone(found))
    }

    /// What they add to discovery; nothing where there are none.
    pub(crate) fn merged(&self) -> Option<Arc<Merged>> {
        self.table.read().merged.clone()
    }

    /// Takes all APIServices as they are now.
    pub(super) fn update(&self, all: &[ApiService]) {
        let remotes = all.iter().filter_map(Remote::of).map(|remote| (remote.name.clone(), Arc::new(remote)));
        let remotes: BTreeMap<_, _> = remotes.collect();
        let mut table = self.table.write();
        table.known.retain(|name, _| remotes.contains_key(name));
        table.remotes = remotes;
        table.priorities = Priorities::of(all);
        table.merge();
    }

    /// Takes what a server serves, or that it is not known any more whether that is still so.
    pub(super) fn describe(&self, name: &str, found: Option<Found>) {
        let mut table = self.table.write();
        if !table.remotes.contains_key(name) {
            return;
        }
        let known = table.known.entry(name.to_owned()).or_default();
        let before = known.clone();
        known.take(found);
        if *known != before {
            table.merge();
        }
    }

    /// What a server was found to serve.
    pub(super) fn found(&self, name: &str) -> Option<Found> {
        self.table.read().known.get(name)?.found().cloned()
    }

    pub(super) fn find(&self, name: &str) -> Option<Arc<Remote>> {
        self.table.read().remotes.get(name).cloned()
    }

    /// The Services that matter, by namespace and name.
    pub(super) fn services(&self) -> HashSet<(String, String)> {
        let table = self.table.read();
        let all = table.remotes.values().map(|remote| &remote.target);
        all.map(|target| (target.namespace.clone(), target.name.clone())).collect()
    }

    /// Sends a request on.
    pub(crate) async fn send(
        &self,
        remote: &Remote,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, Failure> {
        let place = self.locate(&remote.target).map_err(Failure::Nowhere)?;
        self.connections.send(&remote.target, place, request).await.map_err(Failure::Unreachable)
    }

    /// Asks a server for its group and version. As upstream, its certificate does not matter here: nothing of the answer
    /// is used but that there is one.
    pub(super) async fn probe(&self, remote: &Remote) -> Result<(), String> {
        let target = remote.target.unverified();
        let url = format!("https://{}{}", remote.authority(), remote.path());
        let place = self.locate(&target)?;
        let count = if matches!(&place, Place::Addresses(all) if all.len() > 1) { ATTEMPTS } else { 1 };
        let ask = || async {
            let request = as_aggregator(&url)?.body(Body::empty()).map_err(|error| error.to_string())?;
            let failed = |why: String| format!("failing or missing response from {url}: {why}");
            let answer = self.connections.send(&target, place.clone(), request);
            let answer = match tokio::time::timeout(LIMIT, answer).await {
                Ok(answer) => answer,
                Err(_) => Err("context deadline exceeded".to_owned()),
            };
            let status = answer.map_err(|why| failed(format!("Get {url:?}: {why}")))?.status();
            if status.is_success() {
                return Ok(());
            }
            Err(failed(format!("bad status from {url}: {}", status.as_u16())))
        };
        let mut attempts: FuturesUnordered<_> = (0..count).map(|_| ask()).collect();
        let mut outcome = Err(format!("{url} was not asked"));
        while let Some(answer) = attempts.next().await {
            outcome = answer;
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// Asks a server for a document, in the server's own name.
    pub(super) async fn fetch(
        &self,
        remote: &Remote,
        path: &str,
        accept: &str,
        etag: Option<&str>,
    ) -> Result<Response<Incoming>, String> {
        let mut request =
            as_aggregator(&format!("https://{}{path}", remote.authority()))?.header(ACCEPT, accept);
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let request = request.body(Body::empty()).map_err(|error| error.to_string())?;
        self.send(remote, request).await.map_err(|failure| match failure {
            Failure::Nowhere(why) | Failure::Unreachable(why) => why,
        })
    }

    fn locate(&self, target: &Target) -> Result<Place, String> {
        let reference = ServiceReference {
            namespace: target.namespace.clone(),
            name: target.name.clone(),
            port: Some(target.port),
        };
        let (service, slices) = self.service(&reference).map_err(|error| error.to_string())?;
        let service = service.ok_or_else(|| format!("service {:?} not found", target.name))?;
        if target.namespace == "default" && target.name == "kubernetes" {
            return Ok(Place::Addresses(vec![self.verbs.settings().advertise.into()]));
        }
        place::find(&service, &slices, target.port)
    }

    /// A Service and its endpoints, as the caches have them.
    pub(super) fn service(
        &self,
        reference: &ServiceReference,
    ) -> Result<(Option<Service>, Vec<EndpointSlice>), ApiError> {
        let key = format!("{}/{}", reference.namespace, reference.name);
        let found = match self.verbs.cache(Service::kind())?.peek(&key) {
            Some(entry) => entry.object()?.downcast_ref::<Service>().cloned(),
            None => return Ok((None, Vec::new())),
        };
        let labels = LabelSelector::parse(&format!("{OF_SERVICE}={}", reference.name));
        let labels = labels.map_err(|error| ApiError::bad_request(error.to_string()))?;
        let selection = Selection { namespace: reference.namespace.clone(), labels, ..Selection::default() };
        let page = self.verbs.cache(EndpointSlice::kind())?.list(&selection, None, 0)?;
        let mut slices = Vec::with_capacity(page.items.len());
        for entry in &page.items {
            slices.extend(entry.object()?.downcast_ref::<EndpointSlice>().cloned());
        }
        Ok((found, slices))
    }
}

impl Table {
    fn merge(&mut self) {
        if self.remotes.is_empty() {
            self.merged = None;
            return;
        }
        let (mut remotes, mut openapi, mut schemas) = (Vec::new(), BTreeMap::new(), Vec::new());
        for remote in self.remotes.values() {
            let known = self.known.get(&remote.name);
            let version = known.map_or_else(
                || Known::default().version(&remote.version),
                |known| known.version(&remote.version),
            );
            remotes.push((remote.group.clone(), version));
            let Some(found) = known.and_then(Known::found) else { continue };
            if let Some(link) = &found.openapi {
                openapi.insert(remote.path().trim_start_matches('/').to_owned(), link.clone());
            }
            schemas.extend(found.schema.iter().map(|schema| Arc::clone(&schema.part)));
        }
        let priorities = self.priorities.clone();
        let merged = Merged { priorities, remotes, openapi, schemas, ..Merged::default() };
        self.merged = Some(Arc::new(merged));
    }
}

/// A request in the name of the part of the server that asks for its own sake.
fn as_aggregator(url: &str) -> Result<http::request::Builder, String> {
    let user = User {
        name: "system:kube-aggregator".to_owned(),
        groups: vec!["system:masters".to_owned()],
        ..User::default()
    };
    let mut request = Request::get(url);
    if let Some(headers) = request.headers_mut() {
        write_user(headers, &user)?;
    }
    Ok(request)
}

/// What may stand in the name of a header as it is.
const KEY: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'*')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// Says in whose name a request is made. What the headers said of that is taken away.
pub(crate) fn write_user(headers: &mut http::HeaderMap, user: &User) -> Result<(), String> {
    let is_one = |name: &&http::HeaderName| name.as_str().starts_with("x-remote-");
    let old: Vec<_> = headers.keys().filter(is_one).cloned().collect();
    for name in old {
        headers.remove(name);
    }
    let mut put = |name: String, value: &str| {
        let wrong = |error: &dyn std::error::Error| format!("{name}: {value:?} cannot be sent on: {error}");
        let header = http::HeaderName::from_bytes(name.as_bytes()).map_err(|error| wrong(&error))?;
        let value = http::HeaderValue::from_bytes(value.as_bytes()).map_err(|error| wrong(&error))?;
        headers.append(header, value);
        Ok::<_, String>(())
    };
    put("x-remote-user".to_owned(), &user.name)?;
    if !user.uid.is_empty() {
        put("x-remote-uid".to_owned(), &user.uid)?;
    }
    for group in &user.groups {
        put("x-remote-group".to_owned(), group)?;
    }
    for (key, values) in &user.extra {
        for value in values {
            put(format!("x-remote-extra-{}", percent_encoding::utf8_percent_encode(key, KEY)), value)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    #[test]
    fn a_user_replaces_what_was_said_of_one() {
        let mut headers = HeaderMap::new();
        for name in ["x-remote-user", "x-remote-group", "x-remote-extra-a", "x-remote-uid", "x-other"] {
            headers.insert(name, HeaderValue::from_static("forged"));
        }
        let extra = [("example.com/A".to_owned(), vec!["1".to_owned(), "2".to_owned()])];
        let user = User {
            name: "jane".to_owned(),
            groups: vec!["dev".to_owned(), "ops".to_owned()],
            uid: String::new(),
            extra: extra.into(),
        };
        write_user(&mut headers, &user).unwrap();
        let all = |name: &str| headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(all("x-remote-user"), ["jane"]);
        assert_eq!(all("x-remote-group"), ["dev", "ops"]);
        assert_eq!(all("x-remote-extra-example.com%2fa"), ["1", "2"]);
        assert!(all("x-remote-uid").is_empty() && all("x-remote-extra-a").is_empty());
        assert_eq!(all("x-other"), ["forged"]);
        let broken = User { name: "a\nb".to_owned(), ..User::default() };
        assert!(write_user(&mut headers, &broken).unwrap_err().contains("x-remote-user"));
    }
}
