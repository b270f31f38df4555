//! The node's heartbeat: a Lease in `kube-node-lease`.

use std::time::Duration;

use gantry_api::coordination::v1::{Lease, LeaseSpec};
use gantry_api::core::v1::Node;
use gantry_api::meta::v1::{ObjectMeta, OwnerReference};
use gantry_api::scalars::MicroTime;
use gantry_client::{Client, Error};
use tokio_util::sync::CancellationToken;

const NAMESPACE: &str = "kube-node-lease";
/// The first retry of a renewal that failed; each further one doubles it.
const RETRY: Duration = Duration::from_millis(200);

/// Renews the node's lease four times as often as it has to be, until `stop`.
pub async fn heartbeat(client: Client, node: String, duration: Duration, stop: CancellationToken) {
    let period = duration / 4;
    let mut known: Option<Lease> = None;
    let mut failures = 0u32;
    loop {
        let delay = match tokio::time::timeout(period, renew(&client, &node, duration, &mut known)).await {
            Ok(Ok(())) => {
                failures = 0;
                period
            }
            Ok(Err(error)) => {
                failures = failures.saturating_add(1);
                known = None;
                tracing::warn!(%error, failures, "heartbeat not sent");
                (RETRY * (1 << failures.min(6))).min(period)
            }
            Err(_) => {
                failures = failures.saturating_add(1);
                known = None;
                tracing::warn!(failures, "heartbeat not answered in time");
                RETRY
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(delay) => {}
        }
    }
}

async fn renew(
    client: &Client,
    node: &str,
    duration: Duration,
    known: &mut Option<Lease>,
) -> Result<(), Error> {
    let leases = client.api::<Lease>(NAMESPACE);
    let current = match known.take() {
        Some(lease) => Some(lease),
        None => leases.get_opt(node).await?,
    };
    *known = Some(match current {
        Some(mut lease) => {
            lease.spec = Some(spec(node, duration));
            leases.update(&lease).await?
        }
        None => {
            // The lease goes with its node.
            let owner = client.api::<Node>("").get_opt(node).await?.and_then(|node| node.metadata);
            let owner = owner.map(|meta| OwnerReference {
                api_version: "v1".into(),
                kind: "Node".into(),
                name: meta.name,
                uid: meta.uid,
                ..OwnerReference::default()
            });
            let metadata = ObjectMeta {
                name: node.to_owned(),
                namespace: NAMESPACE.to_owned(),
                owner_references: owner.into_iter().collect(),
                ..ObjectMeta::default()
            };
            leases.create(&Lease { metadata: Some(metadata), spec: Some(spec(node, duration)) }).await?
        }
    });
    Ok(())
}

fn spec(node: &str, duration: Duration) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some(node.to_owned()),
        lease_duration_seconds: Some(i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)),
        renew_time: Some(MicroTime::now()),
        ..LeaseSpec::default()
    }
}
