//! Whose a token is.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use gantry_api::Resource;
use gantry_api::core::v1::{Node, Pod, Secret, ServiceAccount};
use jiff::Timestamp;

use super::Issuer;
use super::bootstrap::{self, BootstrapToken};
use super::claims::{Claims, Found, Reference, check_object};
use super::file::StaticTokens;
use crate::authorization::identity::identity;
use crate::pipeline::User;
use crate::status::ApiError;
use crate::verbs::Verbs;

/// How often it is told at most that tokens are used after their time, in seconds: such clients do so all the time.
const TELL_EVERY: i64 = 60;

/// Whose a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) user: User,
    /// Those who asked and for whom the token is.
    pub(crate) audiences: Vec<String>,
}

/// Tells whose tokens are.
pub(crate) struct Authenticator {
    verbs: Arc<Verbs>,
    issuer: Option<Arc<Issuer>>,
    file: StaticTokens,
    /// Whether Secrets let machines in that join.
    bootstrap: bool,
    /// When it was told last that a token is used after its time.
    told: AtomicI64,
}

impl Authenticator {
    pub(crate) fn new(verbs: Arc<Verbs>, issuer: Option<Arc<Issuer>>, file: StaticTokens) -> Self {
        Self { verbs, issuer, file, bootstrap: false, told: AtomicI64::new(0) }
    }

    /// The same, which knows bootstrap tokens, or does not.
    pub(crate) fn with_bootstrap_tokens(self, bootstrap: bool) -> Self {
        Self { bootstrap, ..self }
    }

    /// What signs tokens, where something does.
    pub(crate) fn issuer(&self) -> Option<&Arc<Issuer>> {
        self.issuer.as_ref()
    }

    /// Whose a token is that is for one of `audiences`, or for the API where that is empty. The error says why it is
    /// nobody's; nothing is said of what is no token.
    pub(crate) async fn identify(&self, token: &str, audiences: &[String]) -> Result<Option<Known>, String> {
        let own = self.issuer.as_ref().map(|issuer| issuer.audiences()).unwrap_or_default();
        let wanted = if audiences.is_empty() { own } else { audiences };
        let of_file = self.file.get(token).cloned();
        let known = match of_file {
            None if self.bootstrap => self.of_bootstrap(token).await?,
            known => known,
        };
        if let Some(user) = known {
            // What such a token says of audiences is nothing: it is for the API.
            let fitting: Vec<String> = wanted.iter().filter(|one| own.contains(one)).cloned().collect();
            if fitting.is_empty() && !audiences.is_empty() {
                return Ok(None);
            }
            return Ok(Some(Known { user, audiences: fitting }));
        }
        let Some(issuer) = &self.issuer else { return Ok(None) };
        let Some(claims) = issuer.verify(token) else { return Ok(None) };
        let audiences = claims.audiences(wanted)?;
        self.check(&claims, Timestamp::now().as_second()).await?;
        Ok(Some(Known { user: claims.user(), audiences }))
    }

    /// The user of a bootstrap token, if it is one.
    async fn of_bootstrap(&self, token: &str) -> Result<Option<User>, String> {
        let Some(token) = BootstrapToken::parse(token) else { return Ok(None) };
        let key = format!("{}/{}", bootstrap::NAMESPACE, token.object());
        let unread = |error: ApiError| format!("the bootstrap token's secret cannot be read: {error}");
        let cache = self.verbs.cache(Secret::kind()).map_err(unread)?;
        // Only what the cache has: whoever guesses must not make the server ask its store.
        let Some(entry) = cache.peek(&key) else { return Ok(None) };
        let object = entry.object().map_err(unread)?;
        Ok(object.downcast_ref().and_then(|secret| token.user(secret, Timestamp::now())))
    }

    /// Whether a token is still valid: in its time, and with all that it needs.
    async fn check(&self, claims: &Claims, now: i64) -> Result<(), String> {
        claims.check_time(now)?;
        let private = &claims.private;
        let namespace = private.namespace.as_str();
        self.object::<ServiceAccount>("service account", namespace, Some(&private.serviceaccount), now)
            .await?;
        self.object::<Secret>("secret", namespace, private.secret.as_ref(), now).await?;
        self.object::<Pod>("pod", namespace, private.pod.as_ref(), now).await?;
        // A token of a pod names its node, too, which may go before the pod.
        if private.pod.is_none() {
            self.object::<Node>("node", "", private.node.as_ref(), now).await?;
        }
        if private.warnafter.is_some_and(|at| now > at) {
            self.tell_stale(claims, now);
        }
        Ok(())
    }

    /// Says that a client does not renew its token: with the usual time of a token it would be refused.
    fn tell_stale(&self, claims: &Claims, now: i64) {
        let before = self.told.load(Ordering::Relaxed);
        if now.saturating_sub(before) < TELL_EVERY {
            return;
        }
        self.told.store(now, Ordering::Relaxed);
        let pod = claims.private.pod.as_ref().map_or("", |pod| pod.name.as_str());
        tracing::warn!(account = %claims.sub, pod, "a token is used after its time: its client does not renew it");
    }

    async fn object<T: Resource>(
        &self,
        what: &str,
        namespace: &str,
        wanted: Option<&Reference>,
        now: i64,
    ) -> Result<(), String> {
        let Some(wanted) = wanted else { return Ok(()) };
        let found = self.find::<T>(namespace, &wanted.name).await;
        let found = found.map_err(|error| format!("the {what} cannot be read: {error}"))?;
        check_object(what, wanted, found.as_ref(), now)
    }

    async fn find<T: Resource>(&self, namespace: &str, name: &str) -> Result<Option<Found>, ApiError> {
        let cache = self.verbs.cache(T::kind())?;
        let key = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
        let entry = match cache.peek(&key) {
            Some(entry) => Some(entry),
            // It may be newer than the cache.
            None => cache.get(&key).await?,
        };
        let Some(entry) = entry else { return Ok(None) };
        let found = identity(&entry)?;
        Ok(Some(Found { deleted: found.deletion_timestamp.map(|time| time.seconds), uid: found.uid }))
    }
}
