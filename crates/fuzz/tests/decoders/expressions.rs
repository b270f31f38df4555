//! Expressions, read and evaluated.

use gantry_api::expression::{Budget, Expression, Variables};
use gantry_fuzz::{Target, mutate};
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::json;

use super::texts;

const WORDS: &[&str] = &[
    "object",
    "oldObject",
    ".",
    "spec",
    "replicas",
    "metadata",
    "labels",
    "name",
    "[",
    "]",
    "(",
    ")",
    "'a'",
    "\"b\"",
    "r'\\d'",
    "b'x'",
    "1",
    "-1",
    "1u",
    "0.5",
    "1e9",
    "true",
    "null",
    " && ",
    " || ",
    "!",
    " == ",
    " != ",
    " < ",
    " >= ",
    " + ",
    " - ",
    " * ",
    " / ",
    " % ",
    " in ",
    " ? ",
    " : ",
    ",",
    "{",
    "}",
    "has(",
    "size(",
    ".all(x, ",
    ".exists(x, ",
    ".map(x, ",
    ".filter(x, ",
    ".exists_one(x, ",
    ".matches('(a+)+$')",
    ".startsWith('a')",
    ".contains('b')",
    ".split(',')",
    ".replace('a', 'b')",
    ".substring(1)",
    ".find('a')",
    "int(",
    "string(",
    "double(",
    "duration('1h')",
    "timestamp('2024-01-01T00:00:00Z')",
    "quantity('1Gi')",
    "url('https://a')",
    "type(",
    "cidr('10.0.0.0/8')",
    "ip('::1')",
    "semver('1.2.3')",
    "optional.of(",
    ".?",
    "dyn(",
    ".sum()",
    ".min()",
    ".isSorted()",
    ".lowerAscii()",
    "9223372036854775807",
    "-9223372036854775808",
    ".format(['%s'])",
    "// c\n",
];

pub(super) fn all() -> Vec<Target> {
    let corpus = texts(&[
        "object.spec.replicas <= 5 && has(object.metadata.labels)",
        "object.metadata.labels.all(k, k.startsWith('a') || object.metadata.labels[k] == 'b')",
        "object.spec.list.map(x, x * 2).filter(x, x > 2).exists(x, x == 6)",
        "size(object.metadata.name) in [1, 2, 3] ? 'a'.matches('^[a-z]+$') : int('5') == 5",
        "quantity('1Gi').isGreaterThan(quantity('1Mi')) && duration('1h') > duration('5m')",
        "timestamp('2024-01-01T00:00:00Z').getFullYear() == 2024 && url('https://a/b').getHost() == 'a'",
        "{'a': 1, 'b': [2]}.b[0] == 2 && 'x,y'.split(',').size() == 2",
        "!has(oldObject.spec) || oldObject.spec.replicas == object.spec.replicas",
        "object.spec.list.all(x, object.spec.list.all(y, object.spec.list.all(z, x + y + z > 0)))",
    ]);
    vec![Target { name: "cel", corpus, words: WORDS, grammar: expression, decode }]
}

fn decode(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let expression = match Expression::compile(&text, &["object", "oldObject"]) {
        Ok(expression) => expression,
        Err(error) => return error.to_string(),
    };
    let object = json!({
        "metadata": {"name": "a", "labels": {"a": "b", "c": "d"}},
        "spec": {"replicas": 3, "list": [1, 2, 3, 4, 5, 6, 7, 8], "text": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "half": 0.5, "no": null},
    });
    let variables = Variables::default().with("object", Some(&object)).with("oldObject", None);
    // As much as upstream lets one expression cost.
    let mut budget = Budget::new(1_000_000);
    match expression.holds(&variables, &mut budget) {
        Ok(holds) => holds.to_string(),
        Err(error) => error.to_string(),
    }
}

fn expression(random: &mut StdRng) -> Vec<u8> {
    if random.random_ratio(1, 3) {
        return mutate::some(random, WORDS, 24).into_bytes();
    }
    term(random, 0).into_bytes()
}

/// An expression that can be read.
fn term(random: &mut StdRng, depth: usize) -> String {
    const ATOMS: &[&str] = &[
        "1",
        "-7",
        "0.5",
        "2u",
        "'abc'",
        "true",
        "null",
        "object.spec.replicas",
        "object.spec.list",
        "object.metadata.labels",
        "object.spec.text",
        "[]",
        "{}",
        "oldObject",
        "object.spec.no",
        "duration('1h')",
        "9223372036854775807",
    ];
    const OPERATORS: &[&str] = &["+", "-", "*", "/", "%", "==", "!=", "<", "<=", "&&", "||", "in"];
    if depth > 5 || random.random_ratio(1, 4) {
        return ATOMS.choose(random).copied().unwrap_or("1").to_owned();
    }
    let inner = term(random, depth + 1);
    match random.random_range(0..8) {
        0 => format!(
            "({inner} {} {})",
            OPERATORS.choose(random).copied().unwrap_or("+"),
            term(random, depth + 1)
        ),
        1 => format!("({inner} ? {} : {})", term(random, depth + 1), term(random, depth + 1)),
        2 => format!("[{inner}, {}]", term(random, depth + 1)),
        3 => format!("{{'a': {inner}}}"),
        4 => {
            let word =
                ["all", "exists", "exists_one", "map", "filter"].choose(random).copied().unwrap_or("all");
            format!("{inner}.{word}(x, {})", term(random, depth + 1).replace("object.spec.replicas", "x"))
        }
        5 => {
            let word = ["size", "string", "int", "double", "type", "dyn", "bool", "uint"]
                .choose(random)
                .copied()
                .unwrap_or("size");
            format!("{word}({inner})")
        }
        6 => format!("!{inner}"),
        _ => format!("{inner}[{}]", term(random, depth + 1)),
    }
}
