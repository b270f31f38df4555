//! Leader election by a Lease: of several processes one works, the others wait.
//!
//! The leader renews the lease every [`Settings::retry_period`]; where it cannot for [`Settings::renew_deadline`], it
//! must stop. A candidate takes a lease that was not renewed for [`Settings::lease_duration`], by its own clock. A
//! leader that shuts down gives the lease back; the lease of a process that died on this machine is free at once,
//! because its [identity](identity::Identity) says which process held it.

use std::time::Duration;

use gantry_api::coordination::v1::Lease;
use gantry_api::meta::v1::ObjectMeta;
use gantry_api::scalars::MicroTime;
use jiff::Timestamp;
use thiserror::Error;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{Client, Error};

mod election;
pub mod identity;

use election::{Election, Step};
use identity::Identity;

/// How long the work may take to end before the lease is left to expire.
const DRAIN: Duration = Duration::from_secs(20);

/// Who elects, and how fast. The defaults are upstream's.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The lease's namespace.
    pub namespace: String,
    /// The lease's name.
    pub name: String,
    /// Who this process is; must differ from that of every other process that lives.
    pub identity: String,
    /// How long others wait after the last renewal.
    pub lease_duration: Duration,
    /// How long the leader tries to renew before it stops. Shorter than the lease's duration.
    pub renew_deadline: Duration,
    /// The pause between attempts. Shorter than the renew deadline.
    pub retry_period: Duration,
}

impl Settings {
    /// Upstream's defaults: 15 s, 10 s, 2 s, in `kube-system`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            namespace: "kube-system".to_owned(),
            name: name.to_owned(),
            identity: Identity::of_this_process().to_string(),
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

/// Why the work ended although nobody asked for it.
#[derive(Debug, Error)]
#[error("lost the lease {namespace}/{name}: it could not be renewed within {limit:?}")]
pub struct Lost {
    namespace: String,
    name: String,
    limit: Duration,
}

/// Takes part in an election.
#[derive(Debug)]
pub struct LeaderElector {
    client: Client,
    settings: Settings,
    election: Election,
}

impl LeaderElector {
    /// Prepares to take part.
    #[must_use]
    pub fn new(client: &Client, settings: Settings) -> Self {
        // One slow call must leave time for another.
        let client = client.with_deadline(settings.renew_deadline / 2);
        let election = Election::new(&settings.identity, settings.lease_duration);
        Self { client, settings, election }
    }

    /// Waits for the lead, then runs `work` with a token that is cancelled when it must end: on `stop`, or when the
    /// lead is lost. Work that has not ended when another candidate may lead is dropped. After a loss the process should
    /// exit: tasks that the work left behind would go on beside those of the next leader.
    pub async fn run<F, Fut>(mut self, stop: CancellationToken, work: F) -> Result<(), Lost>
    where
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future<Output = ()>,
    {
        let Some(held) = stop.run_until_cancelled(self.acquire()).await else { return Ok(()) };
        info!(lease = self.settings.name, identity = self.settings.identity, "leading");
        let leading = CancellationToken::new();
        let mut ended = false;
        let lost = {
            let work = work(leading.clone());
            let renewal = self.renew(held);
            tokio::pin!(work, renewal);
            let mut lost = tokio::select! {
                () = &mut work => { ended = true; None }
                () = stop.cancelled() => None,
                end = &mut renewal => Some(end),
            };
            leading.cancel();
            // The lease is kept until the work has ended.
            if !ended && lost.is_none() {
                let drain = tokio::time::sleep(DRAIN);
                tokio::select! {
                    () = &mut work => ended = true,
                    end = &mut renewal => lost = Some(end),
                    () = drain => {}
                }
            }
            if let Some(until) = lost
                && !ended
            {
                ended = tokio::time::timeout_at(until, &mut work).await.is_ok();
            }
            lost
        };
        if lost.is_none() {
            if ended {
                self.release().await;
            }
            return Ok(());
        }
        if !ended {
            warn!(lease = self.settings.name, "the work did not end in time");
        }
        let Settings { namespace, name, renew_deadline, .. } = self.settings;
        Err(Lost { namespace, name, limit: renew_deadline })
    }

    /// Waits for the lease; says since when it is held, at the latest.
    async fn acquire(&mut self) -> Instant {
        let mut announced = false;
        loop {
            // Others count from when they see the lease, which is after this.
            let asked = Instant::now();
            match self.step().await {
                Ok(true) => return asked,
                Ok(false) => {
                    if !std::mem::replace(&mut announced, true) {
                        let holder = self.election.holder().unwrap_or_default();
                        info!(lease = self.settings.name, holder, "waiting for the lead");
                    }
                }
                Err(error) => {
                    debug!(
                        lease = self.settings.name,
                        error = &error as &dyn std::error::Error,
                        "cannot acquire"
                    );
                }
            }
            let pause = self.settings.retry_period.mul_f64(rand::random_range(0.8..=1.2));
            tokio::time::sleep(pause).await;
        }
    }

    /// Renews until that fails for too long; says until when nobody else can lead.
    async fn renew(&mut self, mut renewed: Instant) -> Instant {
        loop {
            tokio::time::sleep(self.settings.retry_period).await;
            let deadline = renewed + self.settings.renew_deadline;
            let asked = Instant::now();
            match tokio::time::timeout_at(deadline, self.step()).await {
                Ok(Ok(true)) => renewed = asked,
                // Somebody else leads already.
                Ok(Ok(false)) => return asked,
                Ok(Err(error)) => {
                    let error = &error as &dyn std::error::Error;
                    warn!(lease = self.settings.name, error, "cannot renew");
                }
                Err(_) => return renewed + self.settings.lease_duration,
            }
            if Instant::now() >= deadline {
                return renewed + self.settings.lease_duration;
            }
        }
    }

    /// One attempt to get or keep the lease; whether this process holds it then.
    async fn step(&mut self) -> Result<bool, Error> {
        let leases = self.client.api::<Lease>(&self.settings.namespace);
        let lease = leases.get_opt(&self.settings.name).await?;
        let holder_died = lease
            .as_ref()
            .and_then(|lease| lease.spec.as_ref()?.holder_identity.as_deref())
            .is_some_and(Identity::is_dead);
        let step = self.election.step(
            lease.as_ref().and_then(|lease| lease.spec.as_ref()),
            holder_died,
            Instant::now(),
            Timestamp::now(),
        );
        let spec = match step {
            Step::Wait => return Ok(false),
            Step::Hold(spec) => spec,
        };
        let written = match lease {
            Some(mut lease) => {
                lease.spec = Some(spec);
                leases.update(&lease).await
            }
            None => {
                let metadata = ObjectMeta {
                    namespace: self.settings.namespace.clone(),
                    name: self.settings.name.clone(),
                    ..ObjectMeta::default()
                };
                leases.create(&Lease { metadata: Some(metadata), spec: Some(spec) }).await
            }
        };
        match written {
            Ok(lease) => {
                self.election.written(lease.spec.as_ref(), Instant::now());
                Ok(true)
            }
            // Somebody else was faster, or our own write before this one arrived late: the next attempt will see.
            Err(error) => Err(error),
        }
    }

    /// Gives the lease back, so that the next leader need not wait.
    async fn release(&mut self) {
        let leases = self.client.api::<Lease>(&self.settings.namespace);
        let released = async {
            let mut lease = leases.get(&self.settings.name).await?;
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() != Some(&self.settings.identity) {
                return Ok(());
            }
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(MicroTime::now());
            leases.update(&lease).await.map(|_| ())
        };
        match released.await {
            Ok(()) => debug!(lease = self.settings.name, "released"),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                warn!(
                    lease = self.settings.name,
                    error, "cannot release; the next leader waits until it expires"
                );
            }
        }
    }
}
