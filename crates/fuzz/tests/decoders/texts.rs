//! Short texts: selectors, quantities, tokens, headers, addresses.

use gantry_api::scalars::{Duration, IntOrString, Quantity};
use gantry_api::selector::{FieldSelector, LabelSelector};
use gantry_apiserver::decoders;
use gantry_fuzz::{Target, mutate};
use rand::Rng as _;
use rand::rngs::StdRng;

use super::{outcome, texts};

const LABELS: &[&str] = &[
    "a",
    "example.com/b",
    " in ",
    " notin ",
    "(",
    ")",
    ",",
    "=",
    "==",
    "!=",
    "!",
    ">",
    "<",
    "x",
    "1",
    " ",
    "\t",
    "in",
    "notin",
    "ä",
    "a-",
    "-a",
    "..",
];
const FIELDS: &[&str] =
    &["metadata.name", "spec.nodeName", "=", "==", "!=", ",", "\\,", "\\=", "\\\\", "\\", "a", " "];
const QUANTITIES: &[&str] = &[
    "0",
    "1",
    "9",
    ".",
    "-",
    "+",
    "e",
    "E",
    "n",
    "u",
    "m",
    "k",
    "K",
    "M",
    "G",
    "T",
    "P",
    "i",
    "Ki",
    "Mi",
    "Ei",
    "999999999999999999999",
];
const TOKENS: &[&str] = &[
    "eyJ2",
    "IjoibWV0YS5rOHMuaW8vdjEi",
    "LCJydiI6",
    "\"v\":\"meta.k8s.io/v1\"",
    "\"rv\":-1",
    "\"start\":\"a\\u0000\"",
    "_",
    "-",
    "=",
];
const ACCEPT: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "*/*",
    "application/*",
    ";",
    ",",
    "as=Table",
    "v=v1",
    "g=meta.k8s.io",
    "q=0.5",
    "q=",
    "q=1e400",
    "q=NaN",
    "stream=watch",
    "\"",
    " ",
    "gzip",
    "as=PartialObjectMetadataList",
];
const ADDRESSES: &[&str] = &[
    "/",
    "/api",
    "/api/v1",
    "/apis",
    "/apps",
    "/v1",
    "/namespaces",
    "/a",
    "/pods",
    "/b",
    "/log",
    "/proxy",
    "/exec",
    "/watch",
    "/openapi/v3",
    "?",
    "&",
    "=",
    "watch=1",
    "limit=5",
    "labelSelector=a%3Db",
    "fieldSelector=metadata.name%3Da",
    "continue=e30",
    "dryRun=All",
    "%",
    "%2F",
    "%ff",
    "sinceTime=2024-01-01T00:00:00Z",
    "ports=80,81",
    "timeoutSeconds=-1",
    "command=",
    "..",
    "//",
];

pub(super) fn all() -> Vec<Target> {
    vec![
        Target {
            name: "label-selector",
            corpus: texts(&[
                "a=b",
                "a==b,c!=d",
                "a in (b,c),!d",
                "a notin (x), example.com/e",
                "a>1,b<2",
                "",
            ]),
            words: LABELS,
            grammar: |random| mutate::some(random, LABELS, 20).into_bytes(),
            decode: label_selector,
        },
        Target {
            name: "field-selector",
            corpus: texts(&["metadata.name=a", "spec.nodeName!=b,status.phase==c", r"a=b\,c\=d\\", ""]),
            words: FIELDS,
            grammar: |random| mutate::some(random, FIELDS, 16).into_bytes(),
            decode: field_selector,
        },
        Target {
            name: "quantity",
            corpus: texts(&[
                "1",
                "500m",
                "1.5Gi",
                "-3e6",
                "+0.001",
                "12E",
                "9223372036854775807",
                "1Ei",
                "100n",
                "2024-01-01T00:00:00.5Z",
                "1h30m",
                "80%",
            ]),
            words: QUANTITIES,
            grammar: |random| mutate::some(random, QUANTITIES, 12).into_bytes(),
            decode: quantity,
        },
        Target {
            name: "continue-token",
            corpus: texts(&["eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiYVx1MDAwMCJ9", "e30", ""]),
            words: TOKENS,
            grammar: token,
            decode: continue_token,
        },
        Target {
            name: "accept",
            corpus: texts(&[
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
                "text/html, */*;q=0.8",
                "application/vnd.kubernetes.protobuf;stream=watch",
                "gzip, deflate;q=0.5",
            ]),
            words: ACCEPT,
            grammar: |random| mutate::some(random, ACCEPT, 24).into_bytes(),
            decode: |bytes| outcome(decoders::accept(bytes)),
        },
        Target {
            name: "address",
            corpus: texts(&[
                "/api/v1/namespaces/a/pods?labelSelector=a%3Db&limit=5&watch=true",
                "/apis/apps/v1/namespaces/a/deployments/b/scale?dryRun=All&fieldManager=x",
                "/api/v1/nodes/n:80/proxy/a%2Fb//c/?d=e",
                "/api/v1/namespaces/a/pods/b/log?sinceTime=2024-01-01T00:00:00Z&tailLines=5",
                "/apis/a/v1/watch/b/c",
            ]),
            words: ADDRESSES,
            grammar: |random| mutate::some(random, ADDRESSES, 16).into_bytes(),
            decode: address,
        },
    ]
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn label_selector(bytes: &[u8]) -> String {
    match LabelSelector::parse(&text(bytes)) {
        Ok(selector) => {
            let matches = selector.matches_with(|key| (key.len() % 2 == 0).then_some("1"));
            format!("{} requirements, {matches}", selector.requirements().len())
        }
        Err(error) => error.to_string(),
    }
}

fn field_selector(bytes: &[u8]) -> String {
    match FieldSelector::parse(&text(bytes)) {
        Ok(selector) => {
            for term in selector.terms() {
                // What is written for a term is read as that term.
                let again = FieldSelector::parse(&FieldSelector::field(&term.field, &term.value).to_string());
                assert!(
                    again.is_ok_and(|again| again.exact(&term.field) == Some(term.value.as_str())),
                    "{term:?}"
                );
            }
            format!("{} terms, {}", selector.terms().len(), selector.matches_with(|_| Some("a")))
        }
        Err(error) => error.to_string(),
    }
}

/// Scalars that are written as texts.
fn quantity(bytes: &[u8]) -> String {
    let text = text(bytes);
    let json = serde_json::Value::from(text.as_str());
    let scalar = serde_json::from_value::<IntOrString>(json);
    let others = format!("{} {}", outcome(text.parse::<Duration>()), outcome(scalar));
    match text.parse::<Quantity>() {
        Ok(quantity) => {
            let written = quantity.to_string();
            assert!(written.parse::<Quantity>().is_ok(), "{text:?} is written as {written:?}, which is none");
            format!("a quantity {others}")
        }
        Err(error) => format!("{error} {others}"),
    }
}

fn continue_token(bytes: &[u8]) -> String {
    outcome(decoders::continue_token(&text(bytes)))
}

fn address(bytes: &[u8]) -> String {
    outcome(decoders::address(&text(bytes)))
}

/// A token whose JSON is made of the right parts.
fn token(random: &mut StdRng) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let revision = random.random_range(-2i64..3);
    let start = mutate::some(random, &["a", "/", "..", ".", "\\u0000", "ns", "\\ud800"], 6);
    let json = format!(r#"{{"v":"meta.k8s.io/v1","rv":{revision},"start":"{start}"}}"#);
    let mut encoded = Vec::new();
    for three in json.as_bytes().chunks(3) {
        let bits =
            three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for letter in 0..=three.len() {
            encoded.push(ALPHABET[(bits >> (18 - 6 * letter) & 63) as usize]);
        }
    }
    encoded
}
