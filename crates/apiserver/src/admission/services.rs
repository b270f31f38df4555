//! Addresses and node ports of Services.
//!
//! An address is taken from a range that is ready (`ServiceCIDR`). Each is reserved by a key of its own in the store, which exactly one writer can create: two servers never give the
//! same address away, and nothing has to be rebuilt when one starts. A reservation comes before its Service and goes
//! after it, so a crash between the two leaves one too many, never one too few; [`repair`] finds those.

mod addresses;
mod objects;
mod ports;
pub(crate) mod repair;
mod reserve;

use gantry_api::Object;
use gantry_api::core::v1::{Service, ServiceSpec};

use crate::status::ApiError;
use crate::verbs::Verbs;

pub(crate) use reserve::Reserved;

/// What a Service of this specification holds: the keys of its reservations.
fn held(spec: Option<&ServiceSpec>) -> Vec<String> {
    let Some(spec) = spec else { return Vec::new() };
    let mut keys: Vec<String> =
        spec.cluster_ips.iter().chain([&spec.cluster_ip]).filter_map(|ip| addresses::key(ip)).collect();
    keys.extend(spec.ports.iter().filter(|port| port.node_port != 0).map(|port| ports::key(port.node_port)));
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// What an object holds; nothing, if it is no Service.
pub(crate) fn held_by(object: &dyn Object) -> Vec<String> {
    held(object.downcast_ref::<Service>().and_then(|service| service.spec.as_ref()))
}

/// Whether it has an address in the cluster.
fn wants_address(spec: &ServiceSpec) -> bool {
    spec.r#type != "ExternalName" && spec.cluster_ip != "None"
}

/// Whether it has ports on every node.
fn wants_node_ports(spec: &ServiceSpec) -> bool {
    spec.r#type == "NodePort"
        || (spec.r#type == "LoadBalancer" && spec.allocate_load_balancer_node_ports != Some(false))
}

impl Verbs {
    /// Gives a Service what it lacks, and notes what it holds no more. In a dry run nothing is reserved.
    pub(super) async fn reserve(
        &self,
        new: &mut dyn Object,
        old: Option<&dyn Object>,
        dry_run: bool,
    ) -> Result<Reserved, ApiError> {
        let Some(service) = new.downcast_mut::<Service>() else { return Ok(Reserved::default()) };
        let before = old.map(held_by).unwrap_or_default();
        self.reserve_for(service, &before, dry_run).await
    }

    async fn reserve_for(
        &self,
        service: &mut Service,
        before: &[String],
        dry_run: bool,
    ) -> Result<Reserved, ApiError> {
        let mut reserved = Reserved::default();
        let outcome = self.fill(service, before, dry_run, &mut reserved).await;
        if let Err(error) = outcome {
            self.release(reserved.take_fresh()).await;
            return Err(error);
        }
        let now = held(service.spec.as_ref());
        if !dry_run {
            reserved.set_stale(before.iter().filter(|key| !now.contains(key)).cloned().collect());
        }
        Ok(reserved)
    }

    async fn fill(
        &self,
        service: &mut Service,
        before: &[String],
        dry_run: bool,
        reserved: &mut Reserved,
    ) -> Result<(), ApiError> {
        let holder = reserve::Holder::of(service, before, dry_run);
        let spec = service.spec.get_or_insert_default();
        if wants_address(spec) {
            self.reserve_address(spec, &holder, reserved).await?;
        } else if spec.cluster_ip == "None" {
            spec.cluster_ips = vec!["None".to_owned()];
            addresses::set_family(spec, None);
        } else {
            spec.cluster_ip.clear();
            spec.cluster_ips.clear();
            spec.ip_families.clear();
            spec.ip_family_policy = None;
        }
        if wants_node_ports(spec) {
            self.reserve_node_ports(spec, &holder, reserved).await?;
        } else {
            spec.ports.iter_mut().for_each(|port| port.node_port = 0);
        }
        Ok(())
    }
}
