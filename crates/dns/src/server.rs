//! DNS over UDP and TCP.

use std::sync::Arc;

use hickory_server::net::runtime::Time;
use hickory_server::proto::op::{Header, HeaderCounts, Metadata, OpCode, ResponseCode};
use hickory_server::proto::rr::{Name, Record, RecordType};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use parking_lot::RwLock;
use prometheus::{IntCounterVec, register_int_counter_vec};

use crate::forward::Forwarder;
use crate::index::Index;
use crate::lookup::{Answer, Zone};

/// The index, shared between the server and what keeps it up to date.
pub type SharedIndex = Arc<RwLock<Index>>;

/// Answers requests.
pub struct Handler {
    zone: Zone,
    index: SharedIndex,
    forwarder: Forwarder,
    requests: IntCounterVec,
}

#[derive(Default)]
struct Reply {
    code: Option<ResponseCode>,
    authoritative: bool,
    answers: Vec<Record>,
    soa: Option<Record>,
    additionals: Vec<Record>,
}

impl Handler {
    /// A handler of `zone`, which forwards other names.
    ///
    /// # Errors
    /// Where its metrics are registered already.
    pub fn new(zone: Zone, index: SharedIndex, forwarder: Forwarder) -> Result<Self, prometheus::Error> {
        let requests = register_int_counter_vec!(
            "gantry_dns_responses_total",
            "Responses by response code",
            &["rcode"]
        )?;
        Ok(Self { zone, index, forwarder, requests })
    }

    async fn reply(&self, request: &Request) -> Reply {
        let Ok(info) = request.request_info() else {
            return Reply { code: Some(ResponseCode::FormErr), ..Reply::default() };
        };
        if info.metadata.op_code != OpCode::Query {
            return Reply { code: Some(ResponseCode::NotImp), ..Reply::default() };
        }
        let name: Name = info.query.name().into();
        let kind = info.query.query_type();
        let answer = self.zone.lookup(&self.index.read(), &name, kind);
        match answer {
            Answer::Records { mut answers, additionals, follow } => {
                if let Some(target) = follow.filter(|_| kind != RecordType::CNAME) {
                    answers.extend(self.resolve(target, kind).await);
                }
                Reply { authoritative: true, answers, additionals, ..Reply::default() }
            }
            Answer::NoData => {
                Reply { authoritative: true, soa: Some(self.zone.soa().clone()), ..Reply::default() }
            }
            Answer::NoSuchName => Reply {
                code: Some(ResponseCode::NXDomain),
                authoritative: true,
                soa: Some(self.zone.soa().clone()),
                ..Reply::default()
            },
            Answer::NotOurs => {
                let forwarded = self.forwarder.lookup(name, kind).await;
                Reply {
                    code: Some(forwarded.code),
                    answers: forwarded.answers,
                    soa: forwarded.soa,
                    ..Reply::default()
                }
            }
        }
    }

    /// The records of a name that an ExternalName service leads to, which may be one of ours.
    async fn resolve(&self, target: Name, kind: RecordType) -> Vec<Record> {
        let answer = self.zone.lookup(&self.index.read(), &target, kind);
        match answer {
            // One step only: a chain of ExternalName services is the client's to walk.
            Answer::Records { answers, .. } => answers,
            Answer::NotOurs => self.forwarder.lookup(target, kind).await.answers,
            Answer::NoData | Answer::NoSuchName => Vec::new(),
        }
    }
}

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut sender: R,
    ) -> ResponseInfo {
        let reply = self.reply(request).await;
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.authoritative = reply.authoritative;
        metadata.recursion_available = true;
        metadata.response_code = reply.code.unwrap_or(ResponseCode::NoError);
        self.requests.with_label_values(&[&format!("{:?}", metadata.response_code).to_uppercase()]).inc();
        let response = MessageResponseBuilder::from_message_request(request).build(
            metadata,
            &reply.answers,
            [],
            &reply.soa,
            &reply.additionals,
        );
        match sender.send_response(response).await {
            Ok(info) => info,
            Err(error) => {
                tracing::debug!(%error, client = %request.src(), "the response was not sent");
                Header { metadata, counts: HeaderCounts::default() }.into()
            }
        }
    }
}
