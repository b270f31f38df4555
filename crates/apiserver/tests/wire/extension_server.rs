//! An API server behind the one that is tested: it serves `ext.example/v1` to a front proxy that it knows, and tells what
//! it was asked.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, LOCATION, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::server::WebPkiClientVerifier;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::pki::{Pki, file};
use crate::server::Server;

pub(crate) const SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
pub(crate) const NAME: &str = "v1.ext.example";
pub(crate) const GROUP: &str = "/apis/ext.example/v1";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A server that is tested, and one behind it.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) back: Extension,
    pub(crate) front: Pki,
    _dir: TempDir,
}

impl World {
    /// Starts both. They know each other, but the one behind is registered by [`World::register`].
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let front = Pki::new(dir.path());
        let [certificate, key] = front.client_files(dir.path(), "front-proxy-client");
        let flags = [
            format!("--requestheader-client-ca-file={}", file(dir.path(), "ca").display()),
            "--requestheader-allowed-names=front-proxy-client".to_owned(),
            "--requestheader-username-headers=X-Remote-User".to_owned(),
            "--requestheader-uid-headers=X-Remote-Uid".to_owned(),
            "--requestheader-group-headers=X-Remote-Group".to_owned(),
            "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
            format!("--proxy-client-cert-file={}", certificate.display()),
            format!("--proxy-client-key-file={}", key.display()),
        ];
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let server = Server::start_with(&flags).await;
        let back = Extension::start(&front).await;
        Self { server, back, front, _dir: dir }
    }

    /// The same, with what is behind registered and available.
    pub(crate) async fn ready() -> Self {
        let world = Self::start().await;
        world.register(&json!({"caBundle": world.back.ca})).await;
        world.until("True", "Passed").await;
        world
    }

    /// Registers the server behind, by a Service that leads to it.
    pub(crate) async fn register(&self, trust: &Value) {
        let service = json!({
            "metadata": {"name": "back"},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        });
        self.server.post("/api/v1/namespaces/default/services", &service).await.ok(201);
        let mut object = json!({
            "metadata": {"name": NAME},
            "spec": {
                "group": "ext.example", "version": "v1", "groupPriorityMinimum": 17_900, "versionPriority": 10,
                "service": {"namespace": "default", "name": "back", "port": self.back.port},
            },
        });
        for (key, value) in trust.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        self.server.post(SERVICES, &object).await.ok(201);
    }

    /// Waits until the condition says so, and gives back its message.
    pub(crate) async fn until(&self, status: &str, reason: &str) -> String {
        available(&self.server, NAME, status, reason).await
    }
}

/// Waits until the condition of an APIService says so, and gives back its message.
pub(crate) async fn available(server: &Server, name: &str, status: &str, reason: &str) -> String {
    let path = format!("{SERVICES}/{name}");
    let mut message = String::new();
    let looking = async {
        loop {
            let condition = server.get(&path).await.ok(200)["status"]["conditions"][0].clone();
            if condition["status"] == status && condition["reason"] == reason {
                return condition["message"].as_str().unwrap().to_owned();
            }
            message = condition.to_string();
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    match tokio::time::timeout(crate::http::PATIENCE, looking).await {
        Ok(found) => found,
        Err(_) => panic!("{name} is not {status} ({reason}), but {message}"),
    }
}

/// A running server; it ends when it is dropped.
pub(crate) struct Extension {
    pub(crate) port: u16,
    pub(crate) ca: String,
    state: Arc<State>,
    task: JoinHandle<()>,
    _dir: TempDir,
}

#[derive(Default)]
struct State {
    /// Lets a watch go on.
    go_on: Notify,
    /// Whether it knows aggregated discovery.
    old: AtomicBool,
    /// Whether it fails.
    broken: AtomicBool,
}

impl Drop for Extension {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Extension {
    async fn start(front: &Pki) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let own = Pki::new(dir.path());
        let (certificate, key) = own.server("back.default.svc");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(front.authority.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::<State>::default();
        let task = tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), state.clone()));
        Self { port, ca: ca(dir.path()), state, task, _dir: dir }
    }

    /// Lets a watch go on.
    pub(crate) fn go_on(&self) {
        self.state.go_on.notify_one();
    }

    /// From now on it does not know aggregated discovery.
    pub(crate) fn grow_old(&self) {
        self.state.old.store(true, Ordering::SeqCst);
    }

    /// From now on it fails, or not any more.
    pub(crate) fn set_broken(&self, broken: bool) {
        self.state.broken.store(broken, Ordering::SeqCst);
    }
}

/// The authority of a directory as a `caBundle`.
pub(crate) fn ca(dir: &Path) -> String {
    STANDARD.encode(std::fs::read(file(dir, "ca")).unwrap())
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, state: Arc<State>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, state) = (tls.clone(), state.clone());
        connections.spawn(async move {
            // Who is not believed goes away.
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = service_fn(move |request: Request<Incoming>| {
                let state = state.clone();
                async move { Ok::<_, Infallible>(respond(request, &state).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            let _ended = connection.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
        });
    }
}

fn answer(status: StatusCode, content_type: &str, body: &Value) -> Response<Body> {
    let body = Full::new(Bytes::from(body.to_string())).boxed_unsync();
    Response::builder().status(status).header(CONTENT_TYPE, content_type).body(body).unwrap()
}

async fn respond(mut request: Request<Incoming>, state: &Arc<State>) -> Response<Body> {
    let json = "application/json";
    let path = request.uri().path().to_owned();
    if state.broken.load(Ordering::SeqCst) {
        return answer(StatusCode::INTERNAL_SERVER_ERROR, json, &Value::Null);
    }
    let accept = request.headers().get(ACCEPT).map(|value| value.to_str().unwrap().to_owned());
    match path.as_str() {
        "/apis" => {
            let old = state.old.load(Ordering::SeqCst);
            if old || !accept.unwrap_or_default().contains("as=APIGroupDiscoveryList") {
                return answer(StatusCode::NOT_FOUND, json, &Value::Null);
            }
            let kind = json!({"group": "ext.example", "version": "v1", "kind": "Gear"});
            let gears = json!({
                "resource": "gears", "responseKind": kind, "scope": "Namespaced",
                "singularResource": "gear", "verbs": ["get", "list", "watch"], "shortNames": ["gr"],
            });
            let versions = json!([{"version": "v1", "resources": [gears], "freshness": "Current"}]);
            let items = json!([{"metadata": {"name": "ext.example"}, "versions": versions}]);
            let list = json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "items": items});
            answer(StatusCode::OK, AGGREGATED, &list)
        }
        GROUP => {
            let cogs = json!({
                "name": "cogs", "singularName": "cog", "namespaced": false, "kind": "Cog", "verbs": ["get"],
            });
            let list = json!({
                "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "ext.example/v1", "resources": [cogs],
            });
            answer(StatusCode::OK, json, &list)
        }
        "/openapi/v3" => {
            let link = format!("/openapi/v3{GROUP}?hash=ABC");
            let index = json!({"paths": {"apis/ext.example/v1": {"serverRelativeURL": link}}});
            answer(StatusCode::OK, json, &index)
        }
        "/openapi/v2" => {
            let schema = json!({"$ref": "#/definitions/example.ext.v1.Gear"});
            let responses = json!({"200": {"description": "OK", "schema": schema}});
            let gears = json!({"get": {"operationId": "listGears", "responses": responses}});
            let document = json!({
                "swagger": "2.0",
                "info": {"title": "ext", "version": "v1"},
                "paths": {format!("{GROUP}/gears"): gears, "/api/v1/secrets": gears},
                "definitions": {"example.ext.v1.Gear": {"type": "object"}, "Unused": {"type": "object"}},
            });
            answer(StatusCode::OK, json, &document)
        }
        path if path.ends_with("/moved") => {
            let mut moved = answer(StatusCode::FOUND, json, &Value::Null);
            moved.headers_mut().insert(LOCATION, "https://elsewhere.example/".parse().unwrap());
            moved
        }
        path if path.ends_with("/tunnel") => {
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let mut stream = TokioIo::new(upgrade.await.unwrap());
                let mut word = [0; 4];
                tokio::io::AsyncReadExt::read_exact(&mut stream, &mut word).await.unwrap();
                word.reverse();
                tokio::io::AsyncWriteExt::write_all(&mut stream, &word).await.unwrap();
            });
            let mut switched = answer(StatusCode::SWITCHING_PROTOCOLS, json, &Value::Null);
            *switched.body_mut() = Full::default().boxed_unsync();
            switched.headers_mut().insert(CONNECTION, "Upgrade".parse().unwrap());
            switched.headers_mut().insert(UPGRADE, "backwards".parse().unwrap());
            switched
        }
        _ if request.uri().query().is_some_and(|query| query.contains("watch=")) => watch(state.clone()),
        _ => echo(request).await,
    }
}

/// Two events, the second one when the test says so.
fn watch(state: Arc<State>) -> Response<Body> {
    let event = |name: &str| {
        let event = json!({"type": "ADDED", "object": {"metadata": {"name": name}}});
        Ok::<_, Infallible>(Frame::data(Bytes::from(format!("{event}\n"))))
    };
    let events = futures::stream::unfold((0, state), move |(count, state)| async move {
        match count {
            0 => Some((event("first"), (1, state))),
            1 => {
                state.go_on.notified().await;
                Some((event("second"), (2, state)))
            }
            _ => None,
        }
    });
    let body = StreamBody::new(events).boxed_unsync();
    Response::builder().header(CONTENT_TYPE, "application/json").body(body).unwrap()
}

async fn echo(request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut headers = json!({});
    for name in parts.headers.keys() {
        let all = parts.headers.get_all(name).iter();
        headers[name.as_str()] = all.map(|value| value.to_str().unwrap()).collect();
    }
    let told = json!({
        "method": parts.method.as_str(),
        "uri": parts.uri.to_string(),
        "headers": headers,
        "length": body.len(),
    });
    answer(StatusCode::OK, "application/json", &told)
}
