//! Names outside the cluster: asked of the upstream servers, and cached.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_server::net::runtime::TokioRuntimeProvider;
use hickory_server::net::{DnsError, NetError};
use hickory_server::proto::op::ResponseCode;
use hickory_server::proto::rr::{Name, Record, RecordType};
use hickory_server::resolver::TokioResolver;
use hickory_server::resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};

/// How many answers are kept.
const CACHE_SIZE: u64 = 10_000;
/// How long an upstream server may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// No answer is kept longer.
const MAX_TTL: Duration = Duration::from_secs(30);

/// Asks the upstream servers.
#[derive(Debug)]
pub struct Forwarder {
    resolver: Option<TokioResolver>,
}

/// What the upstream servers say.
#[derive(Debug)]
pub struct Forwarded {
    /// The response code.
    pub code: ResponseCode,
    /// The answers.
    pub answers: Vec<Record>,
    /// The SOA record of a negative answer.
    pub soa: Option<Record>,
}

impl Forwarded {
    fn code(code: ResponseCode) -> Self {
        Self { code, answers: Vec::new(), soa: None }
    }
}

impl Forwarder {
    /// Forwards to these servers; with none, every name outside the cluster is refused.
    ///
    /// # Errors
    /// Where the resolver cannot be set up.
    pub fn new(upstream: &[SocketAddr]) -> Result<Self, NetError> {
        if upstream.is_empty() {
            return Ok(Self { resolver: None });
        }
        let servers = upstream.iter().map(name_server).collect();
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let mut options = ResolverOpts::default();
        options.timeout = TIMEOUT;
        options.attempts = 2;
        options.cache_size = CACHE_SIZE;
        options.use_hosts_file = ResolveHosts::Never;
        options.positive_max_ttl = Some(MAX_TTL);
        options.negative_max_ttl = Some(Duration::from_secs(u64::from(crate::lookup::TTL)));
        options.preserve_intermediates = true;
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()?;
        Ok(Self { resolver: Some(resolver) })
    }

    /// Asks for records.
    pub async fn lookup(&self, name: Name, kind: RecordType) -> Forwarded {
        let Some(resolver) = &self.resolver else { return Forwarded::code(ResponseCode::Refused) };
        match resolver.lookup(name.clone(), kind).await {
            Ok(lookup) => {
                Forwarded { code: ResponseCode::NoError, answers: lookup.answers().to_vec(), soa: None }
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => Forwarded {
                code: none.response_code,
                answers: Vec::new(),
                soa: none.soa.map(|soa| (*soa).into_record_of_rdata()),
            },
            Err(error) => {
                tracing::debug!(%name, %kind, %error, "the upstream servers did not answer");
                Forwarded::code(ResponseCode::ServFail)
            }
        }
    }
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let with_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = vec![with_port(ConnectionConfig::udp()), with_port(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), true, connections)
}

/// The servers that a resolv.conf names. Loopback addresses are kept: a local cache is a fair upstream.
#[must_use]
pub fn parse_resolv_conf(text: &str) -> Vec<SocketAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some("nameserver")).then(|| words.next())?
        })
        .filter_map(|word| word.parse::<IpAddr>().ok())
        .map(|address| SocketAddr::new(address, 53))
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn resolv_conf_is_read() {
        let text = "# comment\nnameserver 10.0.0.2\nsearch example.com\nnameserver fd00::1\nnameserver bad\n";
        let servers: Vec<String> = super::parse_resolv_conf(text).iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.0.2:53", "[fd00::1]:53"]);
    }
}
