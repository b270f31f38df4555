//! Rules as the text that `nft -f` reads. One text is one transaction: all of it takes effect, or none.

use std::{collections::BTreeMap, fmt::Write as _, net::SocketAddrV4};

use ipnet::Ipv4Net;

use crate::{
    change::{Change, diff},
    ruleset::{Chain, Client, Entry, INSIDE, Ruleset, Slot, Sticky, Value},
};

/// The table that holds everything; nothing else on the machine is touched.
pub const TABLE: &str = "gantry-proxy";
/// How many clients a service with session affinity remembers for each endpoint.
const MAX_CLIENTS: u32 = 65_535;

/// The maps, sets and base chains, before any service. The endpoint maps spell their types by example,
/// because a drawn number has no type name, and are one for each protocol, because the example of a port has
/// one.
const SKELETON: &str = r#"
  comment "services of the cluster"

  set cluster-ips { type ipv4_addr; }
  set hairpin { type ipv4_addr . ipv4_addr; }
  map services { type ipv4_addr . inet_proto . inet_service : verdict; }
  map tcp-endpoints { typeof ip daddr . tcp dport . numgen random mod 2 : ip daddr . tcp dport; }
  map udp-endpoints { typeof ip daddr . udp dport . numgen random mod 2 : ip daddr . udp dport; }
  map sctp-endpoints { typeof ip daddr . sctp dport . numgen random mod 2 : ip daddr . sctp dport; }
  map node-ports { type inet_proto . inet_service : verdict; }
  map tcp-node-port-endpoints { typeof tcp dport . numgen random mod 2 : ip daddr . tcp dport; }
  map udp-node-port-endpoints { typeof udp dport . numgen random mod 2 : ip daddr . udp dport; }
  map sctp-node-port-endpoints { typeof sctp dport . numgen random mod 2 : ip daddr . sctp dport; }
  map no-endpoint { type ipv4_addr . inet_proto . inet_service : verdict; }
  map no-endpoint-node-ports { type inet_proto . inet_service : verdict; }

  chain mark-for-masquerade {
    meta mark set meta mark | 0x4000
  }
  chain dispatch {
    ip daddr . meta l4proto . th dport vmap @services
    fib daddr type local meta l4proto . th dport vmap @node-ports
  }
  chain nat-prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    jump dispatch
  }
  chain nat-output {
    type nat hook output priority -100; policy accept;
    jump dispatch
  }
  chain nat-postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ct status dnat ip saddr . ip daddr @hairpin masquerade fully-random
    meta mark & 0x4000 == 0 return
    meta mark set meta mark & 0xffffbfff
    masquerade fully-random
  }

  chain refuse {
    meta l4proto tcp reject with tcp reset
    reject with icmp type port-unreachable
  }
  chain unserved {
    ct state established,related return
    ip daddr . meta l4proto . th dport vmap @no-endpoint
    fib daddr type local meta l4proto . th dport vmap @no-endpoint-node-ports
    ip daddr @cluster-ips goto refuse
  }
  chain filter-input {
    type filter hook input priority filter - 10; policy accept;
    iifname != "lo" ip daddr 127.0.0.0/8 ct status & dnat == 0 ct direction original drop
    jump unserved
  }
  chain filter-forward {
    type filter hook forward priority filter - 10; policy accept;
    jump unserved
  }
  chain filter-output {
    type filter hook output priority filter - 10; policy accept;
    jump unserved
  }
"#;

/// The transaction that replaces whatever the table holds. There is no moment without rules, and connections
/// that exist go on, because connection tracking knows their endpoints.
pub fn replace(rules: &Ruleset) -> String {
    let mut text = remove();
    let _infallible = writeln!(text, "table ip {TABLE} {{{SKELETON}}}");
    text.push_str(&update(&diff(&Ruleset::default(), rules), rules.pod_range));
    text
}

/// The transaction that removes the table, whether it is there or not.
pub fn remove() -> String {
    format!("add table ip {TABLE}\ndelete table ip {TABLE}\n")
}

/// The transaction that carries out these changes.
pub fn update(changes: &[Change], pod_range: Option<Ipv4Net>) -> String {
    let mut text = String::new();
    let mut rest = changes;
    while let Some((first, tail)) = rest.split_first() {
        match first {
            Change::AddChain(chain) => add_chain(&mut text, *chain, pod_range),
            Change::AddClients(id, endpoints, timeout) => {
                for endpoint in endpoints {
                    add_clients(&mut text, *id, *endpoint, *timeout);
                }
            }
            Change::SetSticky(id, sticky) => set_sticky(&mut text, *id, sticky, pod_range),
            Change::RemoveSticky(id) => {
                statement(&mut text, &format!("delete chain ip {TABLE} {}", Chain::Sticky(*id)));
            }
            Change::RemoveClients(id, endpoints) => {
                for endpoint in endpoints {
                    remove_clients(&mut text, *id, *endpoint);
                }
            }
            // Neighbouring elements of one kind of change become one statement for each map or set.
            Change::Remove(_) | Change::Insert(..) => {
                let run = rest.iter().take_while(|change| same_kind(first, change)).count();
                let (elements, after) = rest.split_at(run);
                change_elements(&mut text, elements);
                rest = after;
                continue;
            }
        }
        rest = tail;
    }
    text
}

fn same_kind(one: &Change, other: &Change) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

fn change_elements(text: &mut String, changes: &[Change]) {
    let mut statements: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for change in changes {
        match change {
            Change::Remove(slot) => {
                statements.entry(("delete", slot.container())).or_default().push(slot.to_string());
            }
            Change::Insert(slot, value) => {
                statements.entry(("add", slot.container())).or_default().push(element(slot, value));
            }
            _ => {}
        }
    }
    for ((verb, container), elements) in statements {
        statement(text, &format!("{verb} element ip {TABLE} {container} {{ {} }}", elements.join(", ")));
    }
}

fn element(slot: &Slot, value: &Value) -> String {
    format!("{slot}{value}")
}

/// Chains may have been made before and fallen out of use, so they are emptied first.
fn add_chain(text: &mut String, chain: Chain, pod_range: Option<Ipv4Net>) {
    let Chain::Draw { client, entry, protocol, count } = chain else { return };
    let name = chain.to_string();
    let (address, map) = match entry {
        Entry::Address => ("ip daddr . ", "endpoints"),
        Entry::NodePort => ("", "node-port-endpoints"),
    };
    let draw = |count: u32, first: &str| {
        format!(
            "dnat ip to {address}{protocol} dport . numgen random mod {count}{first} map @{protocol}-{map}"
        )
    };
    begin_chain(text, &name);
    if let Client::Kept { all: all @ 1.. } = client {
        let inside = draw(all, &format!(" offset {INSIDE}"));
        if let Some(range) = pod_range {
            rule(text, &name, &format!("ip saddr {range} {inside}"));
        }
        rule(text, &name, "fib saddr type local jump mark-for-masquerade");
        rule(text, &name, &format!("fib saddr type local {inside}"));
    }
    if count > 0 {
        mark_client(text, &name, client, pod_range);
        rule(text, &name, &draw(count, ""));
    }
}

fn mark_client(text: &mut String, chain: &str, client: Client, pod_range: Option<Ipv4Net>) {
    match (client, pod_range) {
        (Client::Cluster, Some(range)) => {
            rule(text, chain, &format!("ip saddr != {range} jump mark-for-masquerade"));
        }
        // Who is outside of the cluster cannot be told without its range.
        (Client::Cluster, None) => {}
        (Client::External, _) => rule(text, chain, "jump mark-for-masquerade"),
        // Answers to a loopback address would never leave the endpoint.
        (Client::Kept { .. }, _) => rule(text, chain, "ip saddr 127.0.0.0/8 jump mark-for-masquerade"),
    }
}

/// The name of an endpoint's set of clients, and of the chain that remembers them.
fn clients_name(id: u64, endpoint: SocketAddrV4) -> String {
    format!("clients-{id:016x}-{}-{}", endpoint.ip(), endpoint.port())
}

fn add_clients(text: &mut String, id: u64, endpoint: SocketAddrV4, timeout: u32) {
    let name = clients_name(id, endpoint);
    statement(
        text,
        &format!(
            "add set ip {TABLE} {name} {{ type ipv4_addr; flags dynamic, timeout; timeout {timeout}s; size {MAX_CLIENTS}; }}"
        ),
    );
    begin_chain(text, &name);
    rule(text, &name, &format!("update @{name} {{ ip saddr }}"));
    rule(text, &name, &format!("meta l4proto {{ tcp, udp, sctp }} dnat ip to {endpoint}"));
}

fn remove_clients(text: &mut String, id: u64, endpoint: SocketAddrV4) {
    let name = clients_name(id, endpoint);
    statement(text, &format!("delete chain ip {TABLE} {name}"));
    statement(text, &format!("delete set ip {TABLE} {name}"));
}

fn set_sticky(text: &mut String, id: u64, sticky: &Sticky, pod_range: Option<Ipv4Net>) {
    let chain = Chain::Sticky(id).to_string();
    begin_chain(text, &chain);
    mark_client(text, &chain, sticky.client, pod_range);
    let names: Vec<_> = sticky.endpoints.iter().map(|endpoint| clients_name(id, *endpoint)).collect();
    for name in &names {
        rule(text, &chain, &format!("ip saddr @{name} goto {name}"));
    }
    let draw: Vec<_> =
        names.iter().enumerate().map(|(number, name)| format!("{number} : goto {name}")).collect();
    rule(text, &chain, &format!("numgen random mod {} vmap {{ {} }}", names.len(), draw.join(", ")));
}

fn begin_chain(text: &mut String, name: &str) {
    statement(text, &format!("add chain ip {TABLE} {name}"));
    statement(text, &format!("flush chain ip {TABLE} {name}"));
}

fn rule(text: &mut String, chain: &str, body: &str) {
    statement(text, &format!("add rule ip {TABLE} {chain} {body}"));
}

fn statement(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
