//! Ports on every node.

use gantry_api::Resource as _;
use gantry_api::core::v1::{Service, ServiceSpec};
use gantry_api::field::{Error, Path};

use super::reserve::{Holder, Outcome, Reserved};
use crate::status::{ApiError, Reason};
use crate::verbs::Verbs;

/// Where the reservations are, below the prefix of all keys.
pub(super) const PREFIX: &str = "gantry/node-ports/";
const TRIES: usize = 64;

/// The key of a port.
pub(super) fn key(port: i32) -> String {
    format!("{PREFIX}{port}")
}

impl Verbs {
    /// Gives every port of a Service a port on the nodes: the one that it asks for, or any. Several protocols of one
    /// Service may share one.
    pub(super) async fn reserve_node_ports(
        &self,
        spec: &mut ServiceSpec,
        holder: &Holder,
        reserved: &mut Reserved,
    ) -> Result<(), ApiError> {
        for index in 0..spec.ports.len() {
            let wanted = spec.ports[index].node_port;
            if wanted != 0 {
                self.that_port(wanted, index, holder, reserved).await?;
                continue;
            }
            // The same port under another protocol gets the same number.
            let shared = spec.ports[..index].iter().find(|one| {
                one.port == spec.ports[index].port
                    && one.protocol != spec.ports[index].protocol
                    && one.node_port != 0
            });
            let port = match shared {
                Some(shared) => shared.node_port,
                None => self.any_port(holder, reserved).await?,
            };
            spec.ports[index].node_port = port;
        }
        Ok(())
    }

    async fn that_port(
        &self,
        port: i32,
        index: usize,
        holder: &Holder,
        reserved: &mut Reserved,
    ) -> Result<(), ApiError> {
        let range = &self.settings().node_ports;
        let refused = |detail: String| {
            let path = Path::new("spec").child("ports").index(index).child("nodePort");
            Err(ApiError::invalid(Service::kind(), holder.name(), &vec![Error::invalid(path, port, detail)]))
        };
        if !u16::try_from(port).is_ok_and(|port| range.contains(&port)) && !holder.holds(&key(port)) {
            let (first, last) = (range.start(), range.end());
            return refused(format!(
                "provided port is not in the valid range. The range of valid ports is {first}-{last}"
            ));
        }
        match self.reserve_key(key(port), holder, reserved).await? {
            Outcome::Reserved => Ok(()),
            Outcome::Taken => refused("provided port is already allocated".to_owned()),
        }
    }

    async fn any_port(&self, holder: &Holder, reserved: &mut Reserved) -> Result<i32, ApiError> {
        let range = self.settings().node_ports.clone();
        let random = (0..TRIES).map(|_| rand::random_range(range.clone()));
        for port in random.chain(range.clone()).map(i32::from) {
            // What the holder has is for another of its ports.
            if holder.holds(&key(port)) || reserved.has(&key(port)) {
                continue;
            }
            if let Outcome::Reserved = self.reserve_key(key(port), holder, reserved).await? {
                return Ok(port);
            }
        }
        Err(ApiError::new(Reason::InternalError, "failed to allocate a nodePort: range is full"))
    }
}
