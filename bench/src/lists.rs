//! Lists of many pods: whole, in part and by pages, as JSON and protobuf over REST and over gRPC, until the last byte
//! is there.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use gantry_api::core::v1::{Namespace, Node, Pod, ServiceAccount};
use gantry_api::grpc::api::{ListRequest, ResourceRef};
use gantry_api::meta::v1::ListMeta;
use gantry_client::{Client, ListOptions};
use gantry_store::envelope;
use hyper::Method;
use prost::Message;
use serde_json::json;

use crate::api::{pod, rate};
use crate::rest::{Ask, Connection, JSON, PROTOBUF, Rest};

/// How many clients fill the cluster.
const CLIENTS: usize = 64;
/// Each list is made this often.
const ROUNDS: usize = 3;
/// How many objects a page has.
const PAGE: i64 = 500;
/// Every so many pods one is in a namespace of its own, has a label of its own, is on a node of its own.
const PART: usize = 20;
const NODE_PART: usize = 200;
const NAMESPACE: &str = "bench-part";
/// It has no kubelet.
const NODE: &str = "hollow-list";
/// No account takes longer to be made.
const LIMIT: Duration = Duration::from_secs(20);

/// Adds pods until `count` have been added in all, `present` of them before.
///
/// # Errors
/// Where a call fails.
pub async fn fill(client: &Client, present: usize, count: usize) -> anyhow::Result<()> {
    if present == 0 {
        let node: Node = serde_json::from_value(json!({"metadata": {"name": NODE}}))?;
        client.api::<Node>("").create(&node).await?;
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}))?;
        client.api::<Namespace>("").create(&namespace).await?;
        // Pods need the account, which a controller makes.
        let begin = Instant::now();
        while client.api::<ServiceAccount>(NAMESPACE).get_opt("default").await?.is_none() {
            ensure!(begin.elapsed() < LIMIT, "{NAMESPACE} has no account after {LIMIT:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let creator = client.clone();
    let filled = rate(CLIENTS, count.saturating_sub(present), move |i| {
        let (client, i) = (creator.clone(), present + i);
        async move {
            let mut pod = pod(&format!("fill-{i}"))?;
            let meta = pod.metadata.get_or_insert_default();
            meta.labels.insert("part".to_owned(), (i % PART).to_string());
            if i % PART == 1 {
                meta.namespace = NAMESPACE.to_owned();
            }
            if i % NODE_PART == 2 {
                pod.spec.get_or_insert_default().node_name = NODE.to_owned();
            }
            let namespace = meta_namespace(&pod);
            Ok(client.api::<Pod>(&namespace).create(&pod).await.map(drop)?)
        }
    })
    .await?;
    println!("filled up to {count} pods, {filled:.0} creates/s");
    Ok(())
}

fn meta_namespace(pod: &Pod) -> String {
    pod.metadata.as_ref().map(|meta| meta.namespace.clone()).unwrap_or_default()
}

/// How a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
    Grpc,
}

/// Which objects a list has.
#[derive(Debug, Clone, Copy)]
struct Shape {
    name: &'static str,
    namespace: &'static str,
    labels: &'static str,
    fields: &'static str,
    page: i64,
}

const WHOLE: Shape = Shape { name: "whole", namespace: "", labels: "", fields: "", page: 0 };
const SHAPES: [Shape; 5] = [
    WHOLE,
    Shape { name: "a namespace", namespace: NAMESPACE, ..WHOLE },
    Shape { name: "by label", labels: "part=3", ..WHOLE },
    Shape { name: "by node", fields: "spec.nodeName=hollow-list", ..WHOLE },
    Shape { name: "in pages", page: PAGE, ..WHOLE },
];

/// A list, as far as its reader must know it to ask for the next page.
#[derive(Clone, PartialEq, Message)]
struct Head {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ListMeta>,
}

impl Shape {
    fn ask(&self, form: Form, next: &str) -> Ask {
        if form == Form::Grpc {
            let options = ListOptions {
                label_selector: self.labels.to_owned(),
                field_selector: self.fields.to_owned(),
                limit: self.page,
                r#continue: next.to_owned(),
                ..ListOptions::default()
            };
            let pods = ResourceRef {
                version: "v1".to_owned(),
                resource: "pods".to_owned(),
                namespace: self.namespace.to_owned(),
                ..ResourceRef::default()
            };
            let message = ListRequest { r#ref: Some(pods), options: Some(options) };
            let mut body = BytesMut::new();
            // Not compressed, and its length.
            body.put_u8(0);
            body.put_u32(u32::try_from(message.encoded_len()).unwrap_or(u32::MAX));
            body.put_slice(&message.encode_to_vec());
            let path = "/gantry.api.v1.Resources/List";
            return Ask { accept: "", ..Ask::send(Method::POST, path, "application/grpc", body.freeze()) };
        }
        let namespace = match self.namespace {
            "" => String::new(),
            namespace => format!("/namespaces/{namespace}"),
        };
        let mut path = format!("/api/v1{namespace}/pods?limit={}", self.page);
        for (name, value) in
            [("labelSelector", self.labels), ("fieldSelector", self.fields), ("continue", next)]
        {
            if !value.is_empty() {
                path = format!("{path}&{name}={}", value.replace('=', "%3D"));
            }
        }
        Ask::get(path, if form == Form::Json { JSON } else { PROTOBUF })
    }
}

/// Where the list goes on; empty if it does not.
fn next(form: Form, answer: &Bytes) -> anyhow::Result<String> {
    let head = match form {
        Form::Json => {
            let text = String::from_utf8_lossy(answer.get(..answer.len().min(1000)).unwrap_or_default());
            let token = text.split_once(r#""continue":""#).and_then(|(_, rest)| rest.split_once('"'));
            return Ok(token.map(|(token, _)| token.to_owned()).unwrap_or_default());
        }
        Form::Protobuf => Head::decode(envelope::decode(answer)?.raw)?,
        Form::Grpc => Head::decode(answer.get(5..).context("an empty answer")?)?,
    };
    Ok(head.metadata.unwrap_or_default().r#continue)
}

/// One list, all its pages: how many bytes it has, and how many pages.
async fn list(connection: &Connection, shape: &Shape, form: Form) -> anyhow::Result<(usize, usize)> {
    let (mut token, mut bytes, mut pages) = (String::new(), 0, 0);
    loop {
        let answer = connection.ask(shape.ask(form, &token)).await?;
        bytes += answer.len();
        pages += 1;
        if shape.page == 0 {
            return Ok((bytes, pages));
        }
        token = next(form, &answer)?;
        if token.is_empty() {
            return Ok((bytes, pages));
        }
    }
}

/// Prints how long each list takes in each form, the first time and at best of the following.
///
/// # Errors
/// Where a call fails.
pub async fn print(rest: &Rest, count: usize) -> anyhow::Result<()> {
    let connection = rest.connect().await?;
    println!("lists of {count} pods: the first time, at best afterwards, bytes");
    for shape in SHAPES {
        for (name, form) in [("gRPC", Form::Grpc), ("protobuf", Form::Protobuf), ("JSON", Form::Json)] {
            let mut took = Vec::new();
            let (mut bytes, mut pages) = (0, 0);
            for _ in 0..=ROUNDS {
                let begin = Instant::now();
                (bytes, pages) = list(&connection, &shape, form).await?;
                took.push(begin.elapsed());
            }
            let (first, again) = took.split_first().context("no rounds")?;
            let best = again.iter().min().copied().unwrap_or_default();
            let pages = if pages > 1 { format!(" in {pages} pages") } else { String::new() };
            println!(
                "  {:<12} {name:<9} {first:>9.1?} {best:>9.1?} {:>7.2} MB{pages}",
                shape.name,
                bytes as f64 / 1e6
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_in_every_form() {
        let metadata = ListMeta {
            resource_version: "7".to_owned(),
            r#continue: "abc".to_owned(),
            ..ListMeta::default()
        };
        let head = Head { metadata: Some(metadata) };
        assert_eq!(next(Form::Protobuf, &envelope::encode("v1", "PodList", &head)).unwrap(), "abc");
        let grpc = [&[0, 0, 0, 0, 9][..], &head.encode_to_vec()].concat();
        assert_eq!(next(Form::Grpc, &grpc.into()).unwrap(), "abc");
        let json = br#"{"kind":"PodList","metadata":{"resourceVersion":"7","continue":"abc"},"items":[]}"#;
        assert_eq!(next(Form::Json, &Bytes::from_static(json)).unwrap(), "abc");
        assert_eq!(next(Form::Json, &Bytes::from_static(b"{}")).unwrap(), "");
    }

    #[test]
    fn queries_are_escaped() {
        let ask = SHAPES[3].ask(Form::Json, "");
        assert_eq!(ask.path, "/api/v1/pods?limit=0&fieldSelector=spec.nodeName%3Dhollow-list");
    }
}
