//! Whether the server can serve: its caches are filled, and its storage answers.

use std::sync::Arc;
use std::time::Duration;

use gantry_telemetry::health::{Checks, Kind};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::aggregation::Registration;
use crate::authorization::Authorizer;
use crate::flow::Flow;
use crate::verbs::Verbs;

/// How long an answer of the storage counts: probes of many clients ask it once.
const FRESH: Duration = Duration::from_secs(1);
/// How long the storage may take.
const LIMIT: Duration = Duration::from_millis(1500);

/// The server's checks: for `/readyz` here, and for the service manager. Liveness asks only whether the process answers:
/// a restart does not bring the storage back.
pub(crate) fn checks(
    verbs: &Arc<Verbs>,
    authorizer: &Arc<Authorizer>,
    flow: &Arc<Flow>,
    fair: bool,
    registration: &Arc<Registration>,
) -> Checks {
    let checks = Checks::new();
    let caches = Arc::clone(verbs);
    checks.readyz("informer-sync", move || match caches.not_ready().as_slice() {
        [] => Ok(()),
        waiting => Err(format!("{} not listed yet", waiting.join(", "))),
    });
    let authorizer = Arc::clone(authorizer);
    checks.readyz("poststarthook/rbac/bootstrap-roles", move || {
        if authorizer.is_settled() { Ok(()) } else { Err("not finished".to_owned()) }
    });
    let registration = Arc::clone(registration);
    checks.readyz("autoregister-completion", move || {
        if registration.is_complete() { Ok(()) } else { Err("not finished".to_owned()) }
    });
    let made = Arc::clone(flow);
    checks.readyz("poststarthook/priority-and-fairness-config-producer", move || {
        if made.is_settled() { Ok(()) } else { Err("not finished".to_owned()) }
    });
    if fair {
        let followed = Arc::clone(flow);
        checks.readyz("poststarthook/priority-and-fairness-config-consumer", move || {
            if followed.is_followed() { Ok(()) } else { Err("not finished".to_owned()) }
        });
    }
    let storage = Arc::new(Storage { verbs: Arc::clone(verbs), last: Mutex::new(None) });
    checks.ask("etcd", Kind::Ready, move || {
        let storage = Arc::clone(&storage);
        async move { storage.check().await }
    });
    checks
}

/// The storage, with its last answer.
struct Storage {
    verbs: Arc<Verbs>,
    last: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Storage {
    async fn check(&self) -> Result<(), String> {
        // Whoever comes while another asks waits for that answer.
        let mut last = self.last.lock().await;
        if let Some((at, result)) = &*last
            && at.elapsed() < FRESH
        {
            return result.clone();
        }
        let asked = tokio::time::timeout(LIMIT, self.verbs.store().current_revision()).await;
        let result = match asked {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {LIMIT:?}")),
        };
        *last = Some((Instant::now(), result.clone()));
        result
    }
}
