//! The objects that show which addresses are taken, and by whom: `IPAddress`.
//!
//! An address is reserved by its key first and shown by its object then; it is free again once both are gone. So
//! servers that do not make objects yet and those that do never give the same address away, and neither does anybody
//! who makes such an object by hand.

use std::collections::BTreeMap;
use std::net::IpAddr;

use gantry_api::Resource;
use gantry_api::meta::v1::ObjectMeta;
use gantry_api::networking::v1::{IpAddress, IpAddressSpec, ParentReference};
use gantry_store::Error;

use super::reserve::Outcome;
use crate::cache::Entry;
use crate::status::ApiError;
use crate::verbs::Verbs;

/// The labels of what the server makes.
const FAMILY: &str = "ipaddress.kubernetes.io/ip-family";
pub(super) const MANAGED_BY: (&str, &str) = ("ipaddress.kubernetes.io/managed-by", "ipallocator.k8s.io");

/// The object of an address that the Service `namespace/name` has.
pub(super) fn object(address: IpAddr, holder: &str) -> IpAddress {
    let (namespace, name) = holder.split_once('/').unwrap_or(("", holder));
    let family = if address.is_ipv6() { "IPv6" } else { "IPv4" };
    let labels = [(FAMILY, family), MANAGED_BY].map(|(key, value)| (key.to_owned(), value.to_owned()));
    IpAddress {
        metadata: Some(ObjectMeta {
            name: address.to_string(),
            labels: BTreeMap::from(labels),
            ..ObjectMeta::default()
        }),
        spec: Some(IpAddressSpec {
            parent_ref: Some(ParentReference {
                resource: "services".to_owned(),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                ..ParentReference::default()
            }),
        }),
    }
}

/// The Service whose address it is, as `namespace/name`.
pub(super) fn holder(address: &IpAddress) -> Option<String> {
    let parent = address.spec.as_ref()?.parent_ref.as_ref()?;
    let of_service = parent.group.is_empty() && parent.resource == "services";
    of_service.then(|| format!("{}/{}", parent.namespace, parent.name))
}

impl Verbs {
    /// Makes the object of an address. One that shows another holder says that the address is taken.
    pub(super) async fn show_address(&self, address: IpAddr, by: &str) -> Result<Outcome, ApiError> {
        match self.make(Box::new(object(address, by))).await {
            Ok(()) => Ok(Outcome::Reserved),
            Err(Error::AlreadyExists { .. }) => {
                let shown = self.shown_address(address).await?;
                let same = shown.is_some_and(|shown| holder(&shown).as_deref() == Some(by));
                Ok(if same { Outcome::Reserved } else { Outcome::Taken })
            }
            Err(error) => Err(ApiError::from_store(IpAddress::kind(), &address.to_string(), error)),
        }
    }

    /// The object of an address, as the store has it.
    pub(super) async fn shown_address(&self, address: IpAddr) -> Result<Option<IpAddress>, ApiError> {
        let entry = self.cache(IpAddress::kind())?.get(&address.to_string()).await?;
        entry.map(|entry| typed(&entry)).transpose()
    }

    /// Removes the object of an address that is free again.
    pub(super) async fn hide_address(&self, address: &str) -> Result<(), ApiError> {
        let failed = |error| ApiError::from_store(IpAddress::kind(), address, error);
        let cache = self.cache(IpAddress::kind())?;
        match self.store().delete(&format!("{}{address}", cache.keys().prefix()), None).await {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}

fn typed(entry: &Entry) -> Result<IpAddress, ApiError> {
    let object = entry.object()?;
    let strange = || ApiError::internal(format_args!("{entry:?} is of another kind"));
    object.downcast_ref::<IpAddress>().cloned().ok_or_else(strange)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_whose_it_is() {
        let address = object("10.96.0.7".parse().unwrap(), "a/web");
        assert_eq!(address.name(), "10.96.0.7");
        assert_eq!(address.meta().labels[FAMILY], "IPv4");
        assert_eq!(holder(&address).as_deref(), Some("a/web"));
        let mut other = address;
        other.spec.as_mut().unwrap().parent_ref.as_mut().unwrap().resource = "gateways".to_owned();
        assert_eq!(holder(&other), None);
    }
}
