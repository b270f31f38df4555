//! A webhook of a test's own: a TLS server on the loopback that answers reviews and remembers them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::server::Server;

type Answer = dyn Fn(&str, &Value) -> Value + Send + Sync;

/// A running webhook; it ends when it is dropped.
pub(crate) struct Webhook {
    address: SocketAddr,
    ca: String,
    seen: Arc<Mutex<Vec<(String, Value)>>>,
    task: JoinHandle<()>,
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Webhook {
    /// Starts a webhook whose answers are made of the path and the request of each review; it does not answer with null.
    pub(crate) async fn start(
        server: &Server,
        answer: impl Fn(&str, &Value) -> Value + Send + Sync + 'static,
    ) -> Self {
        let chain = vec![CertificateDer::from_pem_slice(&server.pem("server")).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(&server.pem("server-key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<(String, Value)>>>::default();
        let answer: Arc<Answer> = Arc::new(answer);
        let task = tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), answer, seen.clone()));
        Self { address, ca: STANDARD.encode(server.pem("ca")), seen, task }
    }

    /// How a configuration finds a path of it.
    pub(crate) fn client_config(&self, path: &str) -> Value {
        json!({"url": format!("https://{}{path}", self.address), "caBundle": self.ca})
    }

    /// The requests of the reviews so far.
    pub(crate) fn take(&self) -> Vec<Value> {
        self.seen.lock().unwrap().drain(..).map(|(_, request)| request).collect()
    }

    /// The paths that were asked so far.
    pub(crate) fn take_paths(&self) -> Vec<String> {
        self.seen.lock().unwrap().drain(..).map(|(path, _)| path).collect()
    }
}

async fn accept(
    listener: TcpListener,
    tls: TlsAcceptor,
    answer: Arc<Answer>,
    seen: Arc<Mutex<Vec<(String, Value)>>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, answer, seen) = (tls.clone(), answer.clone(), seen.clone());
        tokio::spawn(async move {
            // A client that goes away is no failure of the webhook.
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = service_fn(move |request: Request<Incoming>| {
                let (answer, seen) = (answer.clone(), seen.clone());
                async move { Ok::<_, Infallible>(respond(request, &*answer, &seen).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new();
            let _ended = connection.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond(
    request: Request<Incoming>,
    answer: &Answer,
    seen: &Mutex<Vec<(String, Value)>>,
) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    assert!(request.uri().query().is_some_and(|query| query.starts_with("timeout=")), "{:?}", request.uri());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let review: Value = serde_json::from_slice(&body).unwrap();
    let mut asked = review["request"].clone();
    asked["apiVersionOfReview"] = review["apiVersion"].clone();
    let mut response = answer(&path, &asked);
    seen.lock().unwrap().push((path, asked));
    if response.is_null() {
        // It never answers.
        std::future::pending::<()>().await;
    }
    if response["uid"].is_null() {
        response["uid"] = review["request"]["uid"].clone();
    }
    let body = json!({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response});
    Response::new(Full::new(Bytes::from(body.to_string())))
}

/// Yes.
pub(crate) fn allowed() -> Value {
    json!({"allowed": true})
}

/// Yes, with changes.
pub(crate) fn patched(operations: &Value) -> Value {
    json!({"allowed": true, "patchType": "JSONPatch", "patch": STANDARD.encode(operations.to_string())})
}
