//! The store over an etcd cluster.

mod client;
mod config;
mod convert;
mod failure;
mod feed;
mod lease;
mod revision;

pub use config::{ClientIdentity, EtcdConfig, TlsConfig};

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use etcd_client::{Compare, CompareOp, DeleteOptions, GetOptions, PutOptions, Txn, TxnOp};

use self::{client::Client, convert::Range, feed::Feed, lease::Leases, revision::CurrentRevision};
use crate::{Deleted, Error, Found, ListOptions, ListPage, Result, Store, Watch};

/// A list without a limit is fetched in pages of this many keys, all at one revision.
const LIST_PAGE: usize = 2000;

/// A [`Store`] over an etcd cluster. Dropping it ends its background task.
pub struct EtcdStore {
    client: Arc<Client>,
    feed: Feed,
    leases: Leases,
    revision: CurrentRevision,
}

impl EtcdStore {
    /// Prepares the connections. They are made when first needed and again whenever they break, so this
    /// succeeds while etcd is down; only a configuration that makes no sense fails.
    ///
    /// Must be called within a tokio runtime.
    pub async fn connect(config: EtcdConfig) -> Result<Self> {
        let previous_values = config.previous_values;
        let client = Arc::new(Client::new(config).await?);
        let revision = CurrentRevision::new(client.clone());
        let feed = Feed::start(client.clone(), previous_values);
        Ok(Self { feed, leases: Leases::new(client.clone()), client, revision })
    }

    /// Puts a key if `guard` holds. `None` is the answer that it did not, with what the key holds then.
    async fn guarded_put(
        &self,
        key: &str,
        value: Bytes,
        ttl: Option<Duration>,
        guard: i64,
    ) -> Result<Result<i64, Found>> {
        let mut retried = false;
        loop {
            let lease = match ttl {
                Some(ttl) => Some(self.leases.lease_for(ttl).await?),
                None => None,
            };
            let options = lease.map(|lease| PutOptions::new().with_lease(lease));
            let txn = Txn::new()
                .when([Compare::mod_revision(key, CompareOp::Equal, guard)])
                .and_then([TxnOp::put(key, value.clone(), options)])
                .or_else([TxnOp::get(key, None)]);
            match self.client.transact(key, txn).await {
                // The lease ran out or was revoked. The transaction did not happen, so another lease may try.
                Err(client::TransactError::LeaseNotFound) if !retried => {
                    retried = true;
                    if let Some(lease) = lease {
                        self.leases.forget(lease).await;
                    }
                }
                Err(error) => return Err(error.into_store_error(key)),
                Ok(answer) if answer.0.succeeded => {
                    return Ok(Ok(convert::revision(answer.0.header.as_ref())?));
                }
                Ok(answer) => return Ok(Err(convert::found(answer.0)?)),
            }
        }
    }
}

#[async_trait]
impl Store for EtcdStore {
    async fn get(&self, key: &str) -> Result<Found> {
        let answer = self.client.range(key, GetOptions::new()).await?;
        let revision = convert::revision(answer.0.header.as_ref())?;
        let kv = answer.0.kvs.into_iter().next().map(convert::key_value).transpose()?;
        Ok(Found { kv, revision })
    }

    async fn list(&self, prefix: &str, options: ListOptions) -> Result<ListPage> {
        let mut page = ListPage { items: Vec::new(), revision: 0, remaining: 0 };
        let mut after = options.after;
        let mut revision = options.revision;
        // Each turn returns or adds at least one item, and the revision is fixed: this ends.
        loop {
            let wanted = if options.limit == 0 { LIST_PAGE } else { options.limit - page.items.len() };
            let Range { start, end } = convert::range(prefix, after.as_deref());
            let mut request = GetOptions::new()
                .with_range(end)
                .with_limit(i64::try_from(wanted.min(LIST_PAGE)).unwrap_or(0));
            if let Some(revision) = revision {
                request = request.with_revision(revision);
            }
            let answer =
                self.client.range(start, request).await.map_err(|e| failure::at_revision(e, revision))?;
            page.revision = match revision {
                Some(revision) => revision,
                None => convert::revision(answer.0.header.as_ref())?,
            };
            let fetched = answer.0.kvs.len();
            page.remaining = usize::try_from(answer.0.count).unwrap_or(0).saturating_sub(fetched);
            for kv in answer.0.kvs {
                page.items.push(convert::key_value(kv)?);
            }
            let full = options.limit != 0 && page.items.len() >= options.limit;
            if page.remaining == 0 || fetched == 0 || full {
                return Ok(page);
            }
            revision = Some(page.revision);
            after = page.items.last().map(|kv| kv.key.clone());
        }
    }

    async fn create(&self, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<i64> {
        let outcome = self.guarded_put(key, value, ttl, 0).await?;
        outcome.map_err(|_| Error::AlreadyExists { key: key.to_owned() })
    }

    async fn update(&self, key: &str, value: Bytes, expected: i64, ttl: Option<Duration>) -> Result<i64> {
        if expected <= 0 {
            return Err(Error::Internal { reason: format!("update of {key} expects revision {expected}") });
        }
        let outcome = self.guarded_put(key, value, ttl, expected).await?;
        outcome.map_err(|found| not_as_expected(key, expected, found))
    }

    async fn delete(&self, key: &str, expected: Option<i64>) -> Result<Deleted> {
        let guard = match expected {
            Some(expected) => Compare::mod_revision(key, CompareOp::Equal, expected),
            None => Compare::version(key, CompareOp::Greater, 0),
        };
        let txn = Txn::new()
            .when([guard])
            .and_then([TxnOp::delete(key, Some(DeleteOptions::new().with_prev_key()))])
            .or_else([TxnOp::get(key, None)]);
        let answer = self.client.transact(key, txn).await.map_err(|error| error.into_store_error(key))?;
        if answer.0.succeeded {
            // A guard for revision 0 holds for a missing key, of which nothing is deleted.
            return convert::deleted(answer.0)?.ok_or_else(|| Error::NotFound { key: key.to_owned() });
        }
        Err(not_as_expected(key, expected.unwrap_or(0), convert::found(answer.0)?))
    }

    async fn watch(&self, prefix: &str, after: Option<i64>) -> Result<Watch> {
        let after = match after {
            Some(after) => after,
            None => self.current_revision().await?,
        };
        self.feed.watch(prefix, after).await
    }

    async fn current_revision(&self) -> Result<i64> {
        self.revision.read().await
    }

    async fn compact(&self, revision: i64) -> Result<()> {
        self.client.compact(revision).await
    }
}

fn not_as_expected(key: &str, expected: i64, found: Found) -> Error {
    match found.kv {
        Some(current) => Error::Conflict { expected, current: Box::new(current) },
        None => Error::NotFound { key: key.to_owned() },
    }
}
