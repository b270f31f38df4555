//! Quotas: what a write uses more is charged before it is stored.
//!
//! A charge is a guarded write of the quota's status, so however many servers write at once, no limit is passed. What
//! comes to nothing is given back; where nobody knows, the quota controller counts again.

use gantry_api::core::v1::{PersistentVolumeClaim, Pod, ResourceQuota, Service};
use gantry_api::{Object, Resource};
use gantry_quota::amounts::{Amounts, only};
use gantry_quota::{charge, scope};
use jiff::Timestamp;

use crate::status::{ApiError, Reason};
use crate::verbs::{Next, Target, Verbs};

/// What a write was charged with.
#[derive(Debug, Default)]
pub(crate) struct Charged {
    quotas: Vec<(Target, Amounts)>,
}

impl Verbs {
    /// Charges the quotas of the namespace with what `new` uses more than `old`. In a dry run nothing is charged.
    pub(crate) async fn charge(
        &self,
        new: &dyn Object,
        old: Option<&dyn Object>,
        dry_run: bool,
    ) -> Result<Charged, ApiError> {
        let mut charged = Charged::default();
        if !is_charged(new, old) {
            return Ok(charged);
        }
        let quotas = self.cached::<ResourceQuota>(&new.meta().namespace)?;
        let about = |quota: &ResourceQuota| scope::concerns(quota, new);
        let quotas: Vec<ResourceQuota> = quotas.into_iter().filter(about).collect();
        if quotas.is_empty() {
            return Ok(charged);
        }
        let forbidden = |detail: String| ApiError::forbidden(new.kind(), &new.meta().name, &detail);
        for quota in &quotas {
            charge::check(quota, new).map_err(forbidden)?;
        }
        let growth = charge::growth(new, old, Timestamp::now());
        for quota in &quotas {
            let target = target(quota);
            let taken = self.charge_one(&target, &growth, dry_run).await;
            match taken {
                Ok(Some(amounts)) => charged.quotas.push((target, amounts)),
                Ok(None) => {}
                Err(refused) => {
                    if !dry_run {
                        self.refund(charged).await;
                    }
                    return Err(refused.map_or_else(|error| error, forbidden));
                }
            }
        }
        Ok(if dry_run { Charged::default() } else { charged })
    }

    /// Gives back what a write was charged with that came to nothing.
    pub(crate) async fn refund(&self, charged: Charged) {
        for (target, amounts) in charged.quotas {
            let given_back = Box::pin(self.modify(&target, false, |old| {
                let Some(quota) = old.downcast_ref::<ResourceQuota>() else { return Ok(Next::Keep) };
                Ok(with_used(quota, charge::refunded(quota, &amounts)))
            }));
            match given_back.await {
                Ok(_) => {}
                // Nothing is owed to a quota that is gone.
                Err(error) if error.reason() == Reason::NotFound => {}
                // The quota controller counts again.
                Err(error) => {
                    tracing::warn!(quota = %target.name, %error, "cannot give back what was charged");
                }
            }
        }
    }

    /// Charges one quota. The error is the quota's refusal, or whatever else went wrong.
    async fn charge_one(
        &self,
        target: &Target,
        growth: &Amounts,
        dry_run: bool,
    ) -> Result<Option<Amounts>, Result<String, ApiError>> {
        let mut refusal = None;
        let mut taken = None;
        let outcome = Box::pin(self.modify(target, dry_run, |old| {
            (refusal, taken) = (None, None);
            let Some(quota) = old.downcast_ref::<ResourceQuota>() else { return Ok(Next::Keep) };
            match charge::charged(quota, growth) {
                Ok(None) => Ok(Next::Keep),
                Ok(Some(used)) => {
                    let hard = quota.status.iter().flat_map(|status| status.hard.keys());
                    taken = Some(only(growth, hard));
                    Ok(with_used(quota, used))
                }
                Err(detail) => {
                    // An error, so that it is decided again on what is stored.
                    let error = ApiError::forbidden(target.kind, &target.name, &detail);
                    refusal = Some(detail);
                    Err(error)
                }
            }
        }))
        .await;
        match (outcome, refusal) {
            (Ok(_), _) => Ok(taken),
            (Err(_), Some(detail)) => Err(Ok(detail)),
            // A quota that is gone limits nothing.
            (Err(error), None) if error.reason() == Reason::NotFound => Ok(None),
            (Err(error), None) => Err(Err(error)),
        }
    }
}

/// Whether a write can use more than before. Events are not counted, and of what is there already only some kinds grow.
fn is_charged(new: &dyn Object, old: Option<&dyn Object>) -> bool {
    let kind = new.kind();
    if !kind.namespaced() || kind.plural == "events" {
        return false;
    }
    let Some(old) = old else { return true };
    let grows = new.downcast_ref::<Pod>().is_some()
        || new.downcast_ref::<Service>().is_some()
        || new.downcast_ref::<PersistentVolumeClaim>().is_some();
    grows && !new.spec_equals(old)
}

fn target(quota: &ResourceQuota) -> Target {
    Target {
        kind: <ResourceQuota as Resource>::kind(),
        namespace: quota.namespace().to_owned(),
        name: quota.name().to_owned(),
    }
}

/// The quota with other amounts used.
fn with_used(quota: &ResourceQuota, used: Amounts) -> Next {
    let mut new = quota.clone();
    new.status.get_or_insert_default().used = used;
    Next::Put(Box::new(new))
}
