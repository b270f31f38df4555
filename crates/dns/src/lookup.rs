//! Answers to questions about the cluster's names: a pure function of the index and the question.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_server::proto::rr::rdata::{A, AAAA, CNAME, PTR, SOA, SRV, TXT};
use hickory_server::proto::rr::{Name, RData, Record, RecordType};

use crate::index::{Endpoint, Index, Port, ServiceRecords};

/// Seconds that clients may keep an answer: little, since endpoints come and go.
pub const TTL: u32 = 5;
/// The version of the DNS specification, which `dns-version` answers.
const SPECIFICATION: &str = "1.1.0";

/// The names that the server is the authority for.
#[derive(Debug, Clone)]
pub struct Zone {
    domain: Name,
    labels: Vec<String>,
    soa: Record,
}

/// What a question is answered with.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// These records. A last CNAME that leaves the cluster is the caller's to follow.
    Records {
        /// The answers.
        answers: Vec<Record>,
        /// Addresses of names in the answers.
        additionals: Vec<Record>,
        /// The name outside the cluster that the answers lead to.
        follow: Option<Name>,
    },
    /// The name exists, without records of this type.
    NoData,
    /// The name does not exist.
    NoSuchName,
    /// The name is none of the cluster's.
    NotOurs,
}

impl Answer {
    fn records(answers: Vec<Record>) -> Self {
        if answers.is_empty() {
            Self::NoData
        } else {
            Self::Records { answers, additionals: Vec::new(), follow: None }
        }
    }
}

impl Zone {
    /// The zone of `domain`, such as `cluster.local`.
    ///
    /// # Errors
    /// Where `domain` is no DNS name.
    pub fn new(domain: &str) -> Result<Self, hickory_server::proto::ProtoError> {
        let mut name = Name::from_ascii(domain)?.to_lowercase();
        name.set_fqdn(true);
        let server = Name::from_ascii("ns.dns")?.append_domain(&name)?;
        let mailbox = Name::from_ascii("hostmaster")?.append_domain(&name)?;
        let soa = SOA::new(server, mailbox, 1, 7200, 1800, 86400, TTL);
        let labels = labels(&name);
        Ok(Self { soa: Record::from_rdata(name.clone(), TTL, RData::SOA(soa)), labels, domain: name })
    }

    /// The SOA record, which negative answers carry.
    #[must_use]
    pub fn soa(&self) -> &Record {
        &self.soa
    }

    /// Answers a question.
    #[must_use]
    pub fn lookup(&self, index: &Index, name: &Name, kind: RecordType) -> Answer {
        let name = &name.to_lowercase();
        let mut labels = labels(name);
        if kind == RecordType::PTR
            && let Some(address) = reverse_address(&labels)
        {
            return self.pointers(index, name, address);
        }
        if !labels.ends_with(&self.labels) {
            return Answer::NotOurs;
        }
        labels.truncate(labels.len() - self.labels.len());
        let parts: Vec<&str> = labels.iter().map(String::as_str).collect();
        match parts.as_slice() {
            [] if kind == RecordType::SOA => Answer::records(vec![self.soa.clone()]),
            [] | ["svc" | "pod" | "dns"] => Answer::NoData,
            ["ns", "dns"] => Answer::NoData,
            ["dns-version"] => of_type(kind, RecordType::TXT, || {
                vec![Record::from_rdata(
                    name.clone(),
                    TTL,
                    RData::TXT(TXT::new(vec![SPECIFICATION.to_owned()])),
                )]
            }),
            [namespace, "svc" | "pod"] if index.has_namespace(namespace) => Answer::NoData,
            [service, namespace, "svc"] => self.service(index, name, kind, (namespace, service), Part::Whole),
            [port, protocol, service, namespace, "svc"]
                if port.starts_with('_') && protocol.starts_with('_') =>
            {
                self.service(index, name, kind, (namespace, service), Part::Port(&port[1..], &protocol[1..]))
            }
            [endpoint, service, namespace, "svc"]
                if matches!(index.service(namespace, service), Some(ServiceRecords::Headless { .. })) =>
            {
                self.service(index, name, kind, (namespace, service), Part::Endpoint(endpoint))
            }
            [address, _, "pod"] => pod(name, kind, address),
            [before @ .., _, "svc"] => self.search_path(index, name, kind, before),
            _ => Answer::NoSuchName,
        }
    }

    fn service(
        &self,
        index: &Index,
        name: &Name,
        kind: RecordType,
        key: (&str, &str),
        part: Part<'_>,
    ) -> Answer {
        let Some(records) = index.service(key.0, key.1) else { return Answer::NoSuchName };
        match (records, part) {
            (ServiceRecords::External { target }, Part::Whole) => external(name, target),
            (ServiceRecords::Cluster { addresses, .. }, Part::Whole) if is_address(kind) => {
                Answer::records(address_records(name, kind, addresses.iter().copied()))
            }
            (ServiceRecords::Headless { endpoints }, Part::Whole) if is_address(kind) => {
                match endpoints.as_slice() {
                    [] => Answer::NoSuchName,
                    _ => Answer::records(address_records(
                        name,
                        kind,
                        endpoints.iter().map(|endpoint| endpoint.address),
                    )),
                }
            }
            (ServiceRecords::Headless { endpoints }, Part::Endpoint(label)) => {
                let addresses: Vec<IpAddr> =
                    endpoints.iter().filter(|endpoint| endpoint.label == label).map(|e| e.address).collect();
                if addresses.is_empty() {
                    return Answer::NoSuchName;
                }
                Answer::records(address_records(name, kind, addresses.into_iter()))
            }
            (records, part @ (Part::Whole | Part::Port(..))) => self.srv(name, kind, key, records, part),
            _ => Answer::NoSuchName,
        }
    }

    /// `_port._protocol.service`, and, for the service's own name, all of its ports.
    fn srv(
        &self,
        name: &Name,
        kind: RecordType,
        (namespace, service): (&str, &str),
        records: &ServiceRecords,
        part: Part<'_>,
    ) -> Answer {
        let wanted = |port: &&Port| match part {
            Part::Port(name, protocol) => port.name == name && port.protocol == protocol,
            _ => true,
        };
        let mut answers = Vec::new();
        let mut additionals = Vec::new();
        let mut add = |port: &Port, target: Name, addresses: &[IpAddr]| {
            let srv = SRV::new(0, 100, port.number, target.clone());
            answers.push(Record::from_rdata(name.clone(), TTL, RData::SRV(srv)));
            for address in addresses {
                let record = address_record(&target, *address);
                if !additionals.contains(&record) {
                    additionals.push(record);
                }
            }
        };
        match records {
            ServiceRecords::Cluster { addresses, ports } => {
                let Some(target) = self.name(&[service, namespace, "svc"]) else { return Answer::NoSuchName };
                for port in ports.iter().filter(wanted) {
                    add(port, target.clone(), addresses);
                }
            }
            ServiceRecords::Headless { endpoints } => {
                for Endpoint { label, address, ports, .. } in endpoints {
                    let Some(target) = self.name(&[label, service, namespace, "svc"]) else { continue };
                    for port in ports.iter().filter(wanted) {
                        add(port, target.clone(), &[*address]);
                    }
                }
            }
            ServiceRecords::External { .. } => return Answer::NoSuchName,
        }
        match part {
            Part::Port(..) if answers.is_empty() => Answer::NoSuchName,
            _ if kind != RecordType::SRV || answers.is_empty() => Answer::NoData,
            _ => Answer::Records { answers, additionals, follow: None },
        }
    }

    fn pointers(&self, index: &Index, name: &Name, address: IpAddr) -> Answer {
        let mut names: Vec<Name> = index
            .reverse(address)
            .filter_map(|((namespace, service), label)| match label {
                Some(label) => self.name(&[label, service, namespace, "svc"]),
                None => self.name(&[service, namespace, "svc"]),
            })
            .collect();
        names.sort();
        if names.is_empty() {
            return Answer::NotOurs;
        }
        let record = |target| Record::from_rdata(name.clone(), TTL, RData::PTR(PTR(target)));
        Answer::records(names.into_iter().map(record).collect())
    }

    /// A resolver with a search list and `ndots:5` asks for `web.default.svc.cluster.local` as
    /// `web.default.svc.cluster.local.NAMESPACE.svc.cluster.local` first. What stands before is a whole name of ours,
    /// so it is answered at once, through a CNAME, and the resolver need not walk its list.
    fn search_path(&self, index: &Index, name: &Name, kind: RecordType, before: &[&str]) -> Answer {
        let is_whole = before.len() > self.labels.len()
            && before[before.len() - self.labels.len()..].iter().zip(&self.labels).all(|(a, b)| a == b);
        let Some(target) =
            is_whole.then(|| Name::from_labels(before.iter().map(|label| label.as_bytes())).ok()).flatten()
        else {
            return Answer::NoSuchName;
        };
        match self.lookup(index, &target, kind) {
            Answer::Records { mut answers, additionals, follow } => {
                answers.insert(0, Record::from_rdata(name.clone(), TTL, RData::CNAME(CNAME(target))));
                Answer::Records { answers, additionals, follow }
            }
            Answer::NoData => Answer::NoData,
            Answer::NoSuchName | Answer::NotOurs => Answer::NoSuchName,
        }
    }

    fn name(&self, labels: &[&str]) -> Option<Name> {
        Name::from_labels(labels.iter().map(|label| label.as_bytes())).ok()?.append_domain(&self.domain).ok()
    }
}

#[derive(Debug, Clone, Copy)]
enum Part<'a> {
    Whole,
    Port(&'a str, &'a str),
    Endpoint(&'a str),
}

fn labels(name: &Name) -> Vec<String> {
    name.iter().map(|label| String::from_utf8_lossy(label).to_ascii_lowercase()).collect()
}

fn is_address(kind: RecordType) -> bool {
    matches!(kind, RecordType::A | RecordType::AAAA | RecordType::ANY)
}

fn of_type(asked: RecordType, has: RecordType, records: impl FnOnce() -> Vec<Record>) -> Answer {
    if asked == has || asked == RecordType::ANY { Answer::records(records()) } else { Answer::NoData }
}

fn external(name: &Name, target: &str) -> Answer {
    let Ok(mut target) = Name::from_ascii(target) else { return Answer::NoData };
    target.set_fqdn(true);
    let record = Record::from_rdata(name.clone(), TTL, RData::CNAME(CNAME(target.clone())));
    Answer::Records { answers: vec![record], additionals: Vec::new(), follow: Some(target) }
}

/// `10-1-2-3.NAMESPACE.pod`: the address that the name spells.
fn pod(name: &Name, kind: RecordType, label: &str) -> Answer {
    let four = label.replace('-', ".").parse::<Ipv4Addr>().map(IpAddr::V4);
    let six = || label.replace('-', ":").parse::<Ipv6Addr>().map(IpAddr::V6);
    match four.or_else(|_| six()) {
        Ok(address) if is_address(kind) => {
            Answer::records(address_records(name, kind, std::iter::once(address)))
        }
        Ok(_) => Answer::NoData,
        Err(_) => Answer::NoSuchName,
    }
}

fn address_records(name: &Name, kind: RecordType, addresses: impl Iterator<Item = IpAddr>) -> Vec<Record> {
    addresses
        .filter(|address| match kind {
            RecordType::A => address.is_ipv4(),
            RecordType::AAAA => address.is_ipv6(),
            RecordType::ANY => true,
            _ => false,
        })
        .map(|address| address_record(name, address))
        .collect()
}

fn address_record(name: &Name, address: IpAddr) -> Record {
    let data = match address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    };
    Record::from_rdata(name.clone(), TTL, data)
}

/// The address of a name below `in-addr.arpa` or `ip6.arpa`.
fn reverse_address(labels: &[String]) -> Option<IpAddr> {
    let (digits, family) = labels.split_at_checked(labels.len().checked_sub(2)?)?;
    match (family[0].as_str(), family[1].as_str(), digits.len()) {
        ("in-addr", "arpa", 4) => {
            let text: Vec<&str> = digits.iter().rev().map(String::as_str).collect();
            text.join(".").parse::<Ipv4Addr>().ok().map(IpAddr::V4)
        }
        ("ip6", "arpa", 32) => {
            let text: String = digits.iter().rev().map(String::as_str).collect();
            (text.len() == 32)
                .then(|| u128::from_str_radix(&text, 16).ok())?
                .map(|bits| IpAddr::V6(bits.into()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use gantry_api::core::v1::Service;
    use gantry_api::discovery::v1::EndpointSlice;
    use hickory_server::proto::rr::{Name, RecordType};
    use serde_json::{Value, json};

    use super::{Answer, Zone};
    use crate::index::{Index, records};

    fn service(name: &str, spec: Value) -> Service {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec}))
            .unwrap()
    }

    fn index() -> Index {
        let slice: EndpointSlice = serde_json::from_value(json!({
            "metadata": {"name": "db-1", "namespace": "default", "labels": {"kubernetes.io/service-name": "db"}},
            "addressType": "IPv4",
            "endpoints": [
                {"addresses": ["10.244.1.5"], "hostname": "db-0", "conditions": {"ready": true}},
                {"addresses": ["10.244.2.6"], "conditions": {"ready": true}},
                {"addresses": ["10.244.3.7"], "conditions": {"ready": false}}
            ],
            "ports": [{"name": "sql", "protocol": "TCP", "port": 5432}]
        }))
        .unwrap();
        let mut index = Index::default();
        for (service, slices) in [
            (
                service(
                    "web",
                    json!({"clusterIP": "10.96.0.20", "clusterIPs": ["10.96.0.20", "fd00::20"],
                    "ports": [{"name": "http", "port": 80}]}),
                ),
                vec![],
            ),
            (
                service("db", json!({"clusterIP": "None", "ports": [{"name": "sql", "port": 5432}]})),
                vec![slice],
            ),
            (service("empty", json!({"clusterIP": "None"})), vec![]),
            (service("out", json!({"type": "ExternalName", "externalName": "example.com"})), vec![]),
        ] {
            let key = ("default".to_owned(), service.metadata.as_ref().unwrap().name.clone());
            index.set(&key, records(&service, slices.iter()));
        }
        index
    }

    fn ask(name: &str, kind: RecordType) -> String {
        let zone = Zone::new("cluster.local").unwrap();
        match zone.lookup(&index(), &Name::from_ascii(name).unwrap(), kind) {
            Answer::Records { answers, .. } => {
                answers.iter().map(|record| format!("{}", record.data)).collect::<Vec<_>>().join(" ")
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn names_stand_for_what_the_specification_says() {
        use RecordType::{A, AAAA, CNAME, PTR, SRV, TXT};
        for (name, kind, expected) in [
            ("web.default.svc.cluster.local.", A, "10.96.0.20"),
            ("WEB.default.svc.Cluster.Local.", A, "10.96.0.20"),
            ("web.default.svc.cluster.local.", AAAA, "fd00::20"),
            ("web.default.svc.cluster.local.", TXT, "NoData"),
            ("none.default.svc.cluster.local.", A, "NoSuchName"),
            ("web.other.svc.cluster.local.", A, "NoSuchName"),
            ("_http._tcp.web.default.svc.cluster.local.", SRV, "0 100 80 web.default.svc.cluster.local."),
            ("_http._udp.web.default.svc.cluster.local.", SRV, "NoSuchName"),
            ("db.default.svc.cluster.local.", A, "10.244.1.5 10.244.2.6"),
            ("db-0.db.default.svc.cluster.local.", A, "10.244.1.5"),
            ("10-244-2-6.db.default.svc.cluster.local.", A, "10.244.2.6"),
            ("db-9.db.default.svc.cluster.local.", A, "NoSuchName"),
            (
                "_sql._tcp.db.default.svc.cluster.local.",
                SRV,
                "0 100 5432 db-0.db.default.svc.cluster.local. 0 100 5432 10-244-2-6.db.default.svc.cluster.local.",
            ),
            ("empty.default.svc.cluster.local.", A, "NoSuchName"),
            ("out.default.svc.cluster.local.", CNAME, "example.com."),
            ("10-1-2-3.default.pod.cluster.local.", A, "10.1.2.3"),
            ("nonsense.default.pod.cluster.local.", A, "NoSuchName"),
            ("20.0.96.10.in-addr.arpa.", PTR, "web.default.svc.cluster.local."),
            ("5.1.244.10.in-addr.arpa.", PTR, "db-0.db.default.svc.cluster.local."),
            ("4.4.8.8.in-addr.arpa.", PTR, "NotOurs"),
            ("dns-version.cluster.local.", TXT, "1.1.0"),
            ("default.svc.cluster.local.", A, "NoData"),
            ("absent.svc.cluster.local.", A, "NoSuchName"),
            ("cluster.local.", A, "NoData"),
            ("example.com.", A, "NotOurs"),
        ] {
            assert_eq!(ask(name, kind), expected, "{name} {kind}");
        }
    }

    #[test]
    fn whole_names_are_answered_below_a_search_domain() {
        let name = "web.default.svc.cluster.local.other.svc.cluster.local.";
        assert_eq!(ask(name, RecordType::A), "web.default.svc.cluster.local. 10.96.0.20");
        assert_eq!(ask("example.com.default.svc.cluster.local.", RecordType::A), "NoSuchName");
    }

    #[test]
    fn records_vanish_with_their_service() {
        let mut index = index();
        index.set(&("default".into(), "db".into()), None);
        assert!(index.reverse("10.244.1.5".parse().unwrap()).next().is_none());
        assert!(index.has_namespace("default"));
        for name in ["web", "empty", "out"] {
            index.set(&("default".into(), name.into()), None);
        }
        assert!(index.is_empty());
    }
}
