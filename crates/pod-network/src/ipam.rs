//! Host-local address management: which pod has which address of the node's range.
//!
//! One file per address, named after it, holding the pod's UID. A file appears by hard link, which fails when
//! the name is taken: an address is never given out twice, not even by two processes, and a file is never
//! seen half-written, whenever the process was killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    net::Ipv4Addr,
    path::PathBuf,
    time::SystemTime,
};

use ipnet::Ipv4Net;

use crate::Error;

const TEMPORARY: &str = ".new";

/// The gateway of a range: its first usable address.
pub(crate) fn gateway(range: Ipv4Net) -> Result<Ipv4Addr, Error> {
    if range.prefix_len() > 30 {
        return Err(Error::RangeTooSmall(range));
    }
    Ok(Ipv4Addr::from(u32::from(range.network()) + 1))
}

/// The next free address after `last`, wrapping around, so that a freed address rests as long as possible
/// before another pod gets it. The network, gateway and broadcast addresses are never chosen.
fn choose(range: Ipv4Net, taken: &BTreeMap<Ipv4Addr, String>, last: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
    let first = u32::from(range.network()).checked_add(2)?;
    let end = u32::from(range.broadcast());
    let start = last.map(u32::from).filter(|last| (first..end).contains(last)).map_or(first, |last| last + 1);
    (start..end).chain(first..start.min(end)).map(Ipv4Addr::from).find(|address| !taken.contains_key(address))
}

/// The addresses in use on this node.
#[derive(Debug)]
pub(crate) struct Allocations {
    dir: PathBuf,
    range: Ipv4Net,
    taken: BTreeMap<Ipv4Addr, String>,
    last: Option<Ipv4Addr>,
}

impl Allocations {
    /// Reads the allocations that a predecessor made. Those outside `range` are kept until their pods end.
    pub(crate) fn load(dir: impl Into<PathBuf>, range: Ipv4Net) -> Result<Self, Error> {
        let dir = dir.into();
        fs::create_dir_all(&dir).map_err(Error::path("create", &dir))?;
        let mut taken = BTreeMap::new();
        let mut newest: Option<(SystemTime, Ipv4Addr)> = None;
        for entry in fs::read_dir(&dir).map_err(Error::path("list", &dir))? {
            let entry = entry.map_err(Error::path("list", &dir))?;
            let path = entry.path();
            let Some(address) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            taken.insert(address, fs::read_to_string(&path).map_err(Error::path("read", &path))?);
            let modified =
                entry.metadata().and_then(|meta| meta.modified()).map_err(Error::path("inspect", &path))?;
            newest = newest.max(Some((modified, address)));
        }
        Ok(Self { dir, range, taken, last: newest.map(|(_, address)| address) })
    }

    /// The pod's address: the one it has, or a free one.
    pub(crate) fn allocate(&mut self, pod: &str) -> Result<Ipv4Addr, Error> {
        if let Some(address) = self.address(pod) {
            return Ok(address);
        }
        // Each round takes an address out of the race, so this ends.
        loop {
            let address = choose(self.range, &self.taken, self.last)
                .ok_or(Error::AddressesExhausted { range: self.range, used: self.taken.len() })?;
            match self.claim(address, pod) {
                Ok(()) => {
                    self.taken.insert(address, pod.to_owned());
                    self.last = Some(address);
                    return Ok(address);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let path = self.dir.join(address.to_string());
                    let owner = fs::read_to_string(&path).map_err(Error::path("read", &path))?;
                    self.taken.insert(address, owner);
                }
                Err(error) => return Err(Error::path("claim an address in", &self.dir)(error)),
            }
        }
    }

    /// The address that a pod has.
    pub(crate) fn address(&self, pod: &str) -> Option<Ipv4Addr> {
        let in_range = |address: &Ipv4Addr| self.range.contains(address);
        self.taken.iter().find(|(address, owner)| *owner == pod && in_range(address)).map(|(a, _)| *a)
    }

    /// Frees every address of a pod.
    pub(crate) fn release(&mut self, pod: &str) -> Result<(), Error> {
        let addresses: Vec<_> =
            self.taken.iter().filter(|(_, owner)| *owner == pod).map(|(address, _)| *address).collect();
        for address in addresses {
            let path = self.dir.join(address.to_string());
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::path("remove", &path)(error));
                }
                _ => {}
            }
            self.taken.remove(&address);
        }
        Ok(())
    }

    /// The pods that hold an address.
    pub(crate) fn owners(&self) -> BTreeSet<String> {
        self.taken.values().cloned().collect()
    }

    fn claim(&self, address: Ipv4Addr, pod: &str) -> io::Result<()> {
        let temporary = self.dir.join(format!("{TEMPORARY}-{}-{address}", std::process::id()));
        fs::write(&temporary, pod)?;
        let linked = fs::hard_link(&temporary, self.dir.join(address.to_string()));
        fs::remove_file(&temporary)?;
        linked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Ipv4Net {
        text.parse().unwrap()
    }

    fn taken(addresses: &[&str]) -> BTreeMap<Ipv4Addr, String> {
        addresses.iter().map(|address| (address.parse().unwrap(), "pod".to_owned())).collect()
    }

    fn chosen(range_text: &str, used: &[&str], last: Option<&str>) -> Option<String> {
        choose(range(range_text), &taken(used), last.map(|last| last.parse().unwrap()))
            .map(|address| address.to_string())
    }

    #[test]
    fn choice_goes_round_and_skips_what_is_reserved() {
        assert_eq!(chosen("10.0.0.0/24", &[], None).as_deref(), Some("10.0.0.2"));
        assert_eq!(chosen("10.0.0.0/24", &["10.0.0.2"], None).as_deref(), Some("10.0.0.3"));
        assert_eq!(chosen("10.0.0.0/24", &[], Some("10.0.0.2")).as_deref(), Some("10.0.0.3"));
        assert_eq!(chosen("10.0.0.0/24", &[], Some("10.0.0.254")).as_deref(), Some("10.0.0.2"));
        assert_eq!(chosen("10.0.0.0/30", &[], Some("10.0.0.2")).as_deref(), Some("10.0.0.2"));
        assert_eq!(chosen("10.0.0.0/30", &["10.0.0.2"], None), None);
        assert_eq!(chosen("10.0.0.0/24", &[], Some("10.9.0.7")).as_deref(), Some("10.0.0.2"));
    }

    #[test]
    fn every_address_is_used_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut allocations = Allocations::load(dir.path(), range("10.1.0.0/28")).unwrap();
        let all: BTreeSet<_> =
            (0..13).map(|pod| allocations.allocate(&format!("pod-{pod}")).unwrap()).collect();
        assert_eq!(all.len(), 13);
        assert!(matches!(allocations.allocate("one-more"), Err(Error::AddressesExhausted { used: 13, .. })));
        allocations.release("pod-4").unwrap();
        assert!(all.contains(&allocations.allocate("one-more").unwrap()));
    }

    #[test]
    fn allocations_survive_a_restart_and_two_processes_never_share() {
        let dir = tempfile::tempdir().unwrap();
        let mut one = Allocations::load(dir.path(), range("10.1.0.0/24")).unwrap();
        let mut two = Allocations::load(dir.path(), range("10.1.0.0/24")).unwrap();
        let a = one.allocate("a").unwrap();
        let b = two.allocate("b").unwrap();
        assert_ne!(a, b);
        let mut later = Allocations::load(dir.path(), range("10.1.0.0/24")).unwrap();
        assert_eq!(later.allocate("a").unwrap(), a);
        assert_eq!(later.address("b"), Some(b));
        assert_eq!(later.owners(), BTreeSet::from(["a".to_owned(), "b".to_owned()]));
        // The newest allocation is remembered, so the next one goes on from there.
        assert!(later.allocate("c").unwrap() > a.max(b));
    }

    #[test]
    fn a_gateway_needs_room() {
        assert_eq!(gateway(range("10.1.2.0/24")).unwrap(), Ipv4Addr::new(10, 1, 2, 1));
        assert!(gateway(range("10.1.2.0/31")).is_err());
    }
}
