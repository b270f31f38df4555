//! The tokens in a pod's volumes: asked for, kept in memory only, and renewed in time.

use std::collections::BTreeMap;
use std::time::Duration;

use gantry_api::core::v1::Pod;
use jiff::{SignedDuration, Timestamp};
use rand::Rng as _;
use tokio::sync::{Mutex, mpsc, watch};

use super::message::Message;
use crate::cluster::Cluster;
use crate::volumes::tokens::{Tokens, Wanted, renew_at, wanted};

/// The longest time by which a token is renewed earlier than it must be, in seconds.
const MAX_JITTER: i64 = 10;
/// The shortest time after which a token is asked for again: where one was refused, or where the clocks differ so much
/// that it looks old already.
const RETRY: SignedDuration = SignedDuration::from_secs(30);
/// The longest sleep: the clock may be set.
const MAX_SLEEP: Duration = Duration::from_secs(60);

/// The tokens of one pod.
#[derive(Debug)]
pub(super) struct Held {
    tokens: Mutex<BTreeMap<Wanted, Token>>,
    /// When the next is to be renewed.
    due: watch::Sender<Option<Timestamp>>,
}

#[derive(Debug, Clone)]
struct Token {
    text: String,
    expires: Timestamp,
    renew_at: Timestamp,
}

impl Held {
    pub(super) fn new() -> Self {
        Self { tokens: Mutex::default(), due: watch::Sender::new(None) }
    }

    /// Tokens for everything that the pod's volumes ask for. The error says which cannot be had.
    pub(super) async fn obtain(&self, cluster: &dyn Cluster, pod: &Pod) -> Result<Tokens, String> {
        let spec = pod.spec.clone().unwrap_or_default();
        let mut found = Tokens::new();
        let wanted = wanted(&spec);
        if wanted.is_empty() {
            return Ok(found);
        }
        let mut tokens = self.tokens.lock().await;
        let mut failed = Ok(());
        for one in wanted {
            let now = Timestamp::now();
            let old = tokens.get(&one).cloned();
            if let Some(fresh) = old.as_ref().filter(|token| now < token.renew_at) {
                found.insert(one, fresh.text.clone());
                continue;
            }
            match (request(cluster, pod, &spec.service_account_name, &one).await, old) {
                (Ok(token), _) => {
                    found.insert(one.clone(), token.text.clone());
                    tokens.insert(one, token);
                }
                (Err(error), Some(old)) if now < old.expires => {
                    tracing::warn!(%error, "a token cannot be renewed yet");
                    found.insert(one.clone(), old.text.clone());
                    tokens.insert(one, Token { renew_at: later(now), ..old });
                }
                (Err(error), _) => failed = failed.and(Err(error)),
            }
        }
        let retry = failed.is_err().then(|| later(Timestamp::now()));
        self.due.send_replace(tokens.values().map(|token| token.renew_at).chain(retry).min());
        failed.map(|()| found)
    }

    /// Reports whenever a token is to be renewed, until the set is dropped.
    pub(super) fn watch(&self, reports: mpsc::Sender<Message>) -> impl Future<Output = ()> + Send + 'static {
        remind(self.due.subscribe(), reports)
    }
}

/// Reports whenever `due` has come, until there is nobody to report to or nothing that could become due.
async fn remind(mut due: watch::Receiver<Option<Timestamp>>, reports: mpsc::Sender<Message>) {
    // Each round waits for a time or for news.
    loop {
        let at = *due.borrow_and_update();
        let left = at.map(|at| Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default());
        let news = match left {
            Some(left) if left.is_zero() => {
                if reports.send(Message::ReferencesChanged).await.is_err() {
                    return;
                }
                due.changed().await
            }
            Some(left) => match tokio::time::timeout(left.min(MAX_SLEEP), due.changed()).await {
                Ok(news) => news,
                Err(_) => continue,
            },
            None => due.changed().await,
        };
        if news.is_err() {
            return;
        }
    }
}

fn later(now: Timestamp) -> Timestamp {
    now.checked_add(RETRY).unwrap_or(Timestamp::MAX)
}

async fn request(cluster: &dyn Cluster, pod: &Pod, account: &str, wanted: &Wanted) -> Result<Token, String> {
    if account.is_empty() {
        return Err("the pod asks for a token and has no service account".to_owned());
    }
    let namespace = pod.metadata.as_ref().map_or("", |meta| meta.namespace.as_str());
    let failed = |why: String| format!("failed to fetch token: {why}");
    let given = cluster.token(namespace, account, wanted.request(pod)).await;
    let given = given.map_err(|error| failed(error.to_string()))?;
    let seconds = given.spec.and_then(|spec| spec.expiration_seconds).unwrap_or(wanted.seconds);
    let status = given.status.unwrap_or_default();
    let expires = status.expiration_timestamp.and_then(|time| time.timestamp());
    let expires = expires.ok_or_else(|| failed("the answer does not say when it ends".to_owned()))?;
    if status.token.is_empty() {
        return Err(failed("the answer holds none".to_owned()));
    }
    let jitter = SignedDuration::from_millis(rand::rng().random_range(0..MAX_JITTER * 1000));
    let renew_at = renew_at(expires, seconds, jitter).max(later(Timestamp::now()));
    Ok(Token { text: status.token, expires, renew_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_due_is_reported_once() {
        let (due, receiver) = watch::channel(None);
        let (reports, mut reported) = mpsc::channel(4);
        let task = tokio::spawn(remind(receiver, reports));
        let quiet = Duration::from_secs(600);
        assert!(tokio::time::timeout(quiet, reported.recv()).await.is_err(), "nothing is due");
        due.send_replace(Some(Timestamp::now()));
        assert!(matches!(reported.recv().await, Some(Message::ReferencesChanged)));
        assert!(tokio::time::timeout(quiet, reported.recv()).await.is_err(), "once is enough");
        due.send_replace(Some(Timestamp::now()));
        assert!(matches!(reported.recv().await, Some(Message::ReferencesChanged)));
        drop(due);
        task.await.unwrap();
    }
}
