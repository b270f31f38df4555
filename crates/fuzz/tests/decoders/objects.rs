//! Objects, in each of their forms.

use std::sync::LazyLock;

use bytes::Bytes;
use gantry_api::apiextensions::v1::CustomResourceDefinition;
use gantry_api::custom::Kinds;
use gantry_api::{Kind, registry, yaml};
use gantry_apiserver::decoders;
use gantry_fuzz::{Target, mutate};
use gantry_store::envelope;
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use super::{outcome, texts};

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// Objects of several kinds, as clients send them.
pub(super) const OBJECTS: [&str; 8] = [
    include_str!("../../corpus/pod.json"),
    include_str!("../../corpus/deployment.json"),
    include_str!("../../corpus/secret.json"),
    include_str!("../../corpus/service.json"),
    include_str!("../../corpus/lease.json"),
    include_str!("../../corpus/resourceslice.json"),
    include_str!("../../corpus/horizontalpodautoscaler.json"),
    include_str!("../../corpus/customresourcedefinition.json"),
];

/// An object of what a definition may define.
const WIDGET: &[u8] =
    br#"{"metadata":{"name":"a"},"spec":{"size":"s","replicas":3,"items":[{"n":"x"}],"any":{}}}"#;

const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "null",
    "true",
    "false",
    "{}",
    "[]",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "1.5",
    "-0",
    "\"metadata\":",
    "\"spec\":",
    "\"apiVersion\":\"v1\",",
    "\"kind\":\"Pod\",",
    "\"name\":\"a\",",
    "\"500m\"",
    "\"1Ki\"",
    "\"2024-01-01T00:00:00Z\"",
    "\"labels\":{\"a\":\"b\"},",
    "\"managedFields\":[],",
];

const YAML_WORDS: &[&str] = &[
    "\n",
    "\n  ",
    "- ",
    ": ",
    "? ",
    "&a ",
    "*a",
    "<<: *a",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "!!binary ",
    "!!str ",
    "| \n",
    ">-\n  ",
    "'",
    "\"",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "#",
    "\t",
    "~",
    "yes",
    "0o17",
    "0x1f",
    "1_000",
    ".inf",
    "2024-01-01",
    "12:30:45",
];

static KINDS: LazyLock<Kinds> = LazyLock::new(Kinds::default);

pub(super) fn all() -> Vec<Target> {
    vec![
        Target { name: "json", corpus: texts(&OBJECTS), words: WORDS, grammar: json_text, decode: json },
        Target { name: "yaml", corpus: yamls(), words: YAML_WORDS, grammar: yaml_text, decode: yaml },
        Target { name: "protobuf", corpus: protobufs(), words: &[], grammar: noise, decode: protobuf },
        Target {
            name: "definitions",
            corpus: definitions(),
            words: WORDS,
            grammar: json_text,
            decode: definition,
        },
    ]
}

/// The kind that a text names first; else its length says which.
fn kind_of(bytes: &[u8]) -> &'static Kind {
    let text = String::from_utf8_lossy(bytes);
    let behind = text.split_once("kind").map_or("", |(_, rest)| rest.trim_start_matches(['"', ':', ' ']));
    let name = behind.split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or_default();
    let named = registry::all().iter().find(|kind| kind.kind == name);
    named.copied().unwrap_or_else(|| registry::all()[bytes.len() % registry::all().len()])
}

/// Decodes an object in a form; what was decoded is encoded and read back.
fn object(kind: &'static Kind, media_type: &str, bytes: &[u8]) -> String {
    let bytes = Bytes::copy_from_slice(bytes);
    let deleted = outcome(decoders::delete_options(media_type, &bytes));
    match decoders::object(kind, media_type, &bytes) {
        Ok(object) => {
            let again = kind.decode(object.encode());
            assert!(
                again.is_ok_and(|again| again.equals(&*object)),
                "{}: what is encoded is not read back",
                kind.kind
            );
            format!("a {}", kind.kind)
        }
        Err(error) => format!("{error} {deleted}"),
    }
}

fn json(bytes: &[u8]) -> String {
    object(kind_of(bytes), JSON, bytes)
}

fn yaml(bytes: &[u8]) -> String {
    let read = std::str::from_utf8(bytes).map(|text| yaml::documents(text, &yaml::Limits::default()));
    if let Ok(Ok(documents)) = &read {
        for document in documents {
            let value: Result<serde_json::Value, _> = serde_json::from_slice(document);
            assert!(value.is_ok(), "the YAML became no JSON: {}", document.escape_ascii());
        }
    }
    format!(
        "{} {}",
        outcome(decoders::configuration(&Bytes::copy_from_slice(bytes))),
        object(kind_of(bytes), YAML, bytes)
    )
}

fn protobuf(bytes: &[u8]) -> String {
    let whole = Bytes::copy_from_slice(bytes);
    let enveloped = match envelope::decode(&whole) {
        Ok(envelope) => {
            let (group, version) =
                envelope.api_version.split_once('/').unwrap_or(("", &envelope.api_version));
            let kind = registry::by_kind(group, version, &envelope.kind).unwrap_or_else(|| kind_of(bytes));
            object(kind, PROTOBUF, bytes)
        }
        Err(error) => error.to_string(),
    };
    // The same without an envelope, as it lies in the store.
    let kind = kind_of(bytes);
    let bare = match kind.decode(whole) {
        Ok(object) => {
            let mut json = Vec::new();
            outcome(object.write_json(&mut json))
        }
        Err(error) => error.to_string(),
    };
    format!("{enveloped} {bare}")
}

/// A definition, and objects of what it defines.
fn definition(bytes: &[u8]) -> String {
    let kind = registry::by_kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let Some(kind) = kind else { return String::from("definitions are not served") };
    let mut object = match decoders::object(kind, JSON, &Bytes::copy_from_slice(bytes)) {
        Ok(object) => object,
        Err(error) => return error.to_string(),
    };
    object.strategy_mut().set_defaults();
    object.strategy_mut().prepare_for_create();
    let errors = object.strategy().validate();
    if !errors.is_empty() {
        return errors.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    }
    let Some(definition) = object.downcast_ref::<CustomResourceDefinition>() else {
        return String::from("it is something else");
    };
    let Some(spec) = &definition.spec else { return String::from("there is no spec") };
    let (mut outcomes, mut spec) = (String::new(), spec.clone());
    // A kind is made once for each set of names, and stays.
    let names = spec.names.get_or_insert_default();
    "widgets".clone_into(&mut names.plural);
    names.short_names.clear();
    names.categories.clear();
    let names = names.clone();
    for version in &spec.versions {
        match KINDS.open(&spec, &names, version, false) {
            Ok(kind) => {
                let widget = Bytes::from_static(WIDGET);
                outcomes.push_str(&outcome(decoders::object(kind, JSON, &widget).map(|mut object| {
                    object.strategy_mut().set_defaults();
                    object.strategy().validate()
                })));
            }
            Err(error) => outcomes.push_str(&error.to_string()),
        }
    }
    outcomes
}

fn json_text(random: &mut StdRng) -> Vec<u8> {
    value(random, 0).into_bytes()
}

/// Any JSON, with the names of fields that there are.
fn value(random: &mut StdRng, depth: usize) -> String {
    const NAMES: &[&str] = &[
        "metadata",
        "name",
        "labels",
        "spec",
        "template",
        "containers",
        "replicas",
        "status",
        "data",
        "apiVersion",
        "kind",
        "properties",
        "type",
        "items",
        "versions",
        "schema",
        "openAPIV3Schema",
        "limits",
        "$patch",
        "nothing",
    ];
    let most = if depth > 8 { 3 } else { 6 };
    match random.random_range(0..most) {
        0 => random.random_range(-5i64..1 << 33).to_string(),
        1 => format!("\"{}\"", NAMES.choose(random).copied().unwrap_or_default()),
        2 => ["null", "true", "1e400", "0.1"].choose(random).copied().unwrap_or_default().to_owned(),
        3 => {
            let items: Vec<_> = (0..random.random_range(0..4)).map(|_| value(random, depth + 1)).collect();
            format!("[{}]", items.join(","))
        }
        _ => {
            let field = |random: &mut StdRng| {
                let name = NAMES.choose(random).copied().unwrap_or_default();
                format!("\"{name}\":{}", value(random, depth + 1))
            };
            let fields: Vec<_> = (0..random.random_range(0..5)).map(|_| field(random)).collect();
            format!("{{{}}}", fields.join(","))
        }
    }
}

fn yaml_text(random: &mut StdRng) -> Vec<u8> {
    mutate::some(random, YAML_WORDS, 40).into_bytes()
}

fn noise(random: &mut StdRng) -> Vec<u8> {
    let length = random.random_range(0..200);
    // Keys of fields and short lengths are small numbers.
    (0..length)
        .map(|_| if random.random_ratio(2, 3) { random.random_range(0..40) } else { random.random() })
        .collect()
}

fn yamls() -> Vec<Vec<u8>> {
    let written = OBJECTS.iter().filter_map(|object| yaml::from_json(object.as_bytes()).ok());
    let by_hand = [
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  a: |\n    x\n  b: >-\n    y\n",
        "a: &x [1, 2]\nb: *x\n<<: {c: d}\n",
        "a: 0644\nb: yes\nc: 1e3\nd: !!str 5\n---\n- e\n",
    ];
    written.map(String::into_bytes).chain(texts(&by_hand)).collect()
}

fn protobufs() -> Vec<Vec<u8>> {
    let encode = |text: &&str| {
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        let kind = kind_of(text.as_bytes());
        let object = kind.decode_value(value).ok()?;
        Some(envelope::wrap(&kind.api_version(), kind.kind, &object.encode()).to_vec())
    };
    OBJECTS.iter().filter_map(encode).collect()
}

fn definitions() -> Vec<Vec<u8>> {
    texts(&OBJECTS[7..])
}
