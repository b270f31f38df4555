//! YAML, in one place: read into JSON within limits, and written.
//!
//! Reading goes by way of JSON text rather than values, so that fields that stand twice are still there for
//! [`crate::schema::check`] to find. Aliases are expanded within a budget: a document of a few lines that expands to
//! gigabytes is refused as soon as the budget is spent.

mod emit;
mod merge;
mod scalar;
mod transcode;

use serde::Deserialize;
use thiserror::Error;

/// What a document may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the text.
    pub bytes: usize,
    /// Depth of nested lists and mappings.
    pub depth: usize,
    /// Brackets and braces that are open at once, wherever they stand in the text.
    pub brackets: usize,
    /// Values and keys of one document, aliases expanded.
    pub nodes: usize,
    /// Bytes of the JSON of one document, aliases expanded.
    pub expanded_bytes: usize,
}

impl Default for Limits {
    /// Those of the API: what fits a request, and nesting that serde_json reads as well.
    fn default() -> Self {
        Self { bytes: 3 << 20, depth: 100, brackets: 1000, nodes: 500_000, expanded_bytes: 6 << 20 }
    }
}

/// Why a text is refused.
#[derive(Debug, Error)]
pub enum YamlError {
    /// It is larger than allowed.
    #[error("the YAML has {actual} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Its size.
        actual: usize,
        /// The limit.
        limit: usize,
    },
    /// It is not YAML, or a document breaks a limit; the text says which and where.
    #[error("invalid YAML: {0}")]
    Invalid(String),
    /// Several documents stand where one is expected.
    #[error("the YAML has several documents where one is expected")]
    SeveralDocuments,
}

/// The only document of a text as JSON text.
pub fn to_json(text: &str) -> Result<Vec<u8>, YamlError> {
    let mut all = documents(text, &Limits::default())?;
    match all.len() {
        0 => Ok(b"null".to_vec()),
        1 => Ok(all.swap_remove(0)),
        _ => Err(YamlError::SeveralDocuments),
    }
}

/// The only document of a text as a value. Of fields that stand twice, the last counts.
pub fn to_value(text: &str) -> Result<serde_json::Value, YamlError> {
    serde_json::from_slice(&to_json(text)?).map_err(|error| YamlError::Invalid(error.to_string()))
}

/// Every document of a text as JSON text; empty documents are left out.
pub fn documents(text: &str, limits: &Limits) -> Result<Vec<Vec<u8>>, YamlError> {
    if text.len() > limits.bytes {
        return Err(YamlError::TooLarge { actual: text.len(), limit: limits.bytes });
    }
    if is_json(text) {
        return Ok(vec![text.as_bytes().to_vec()]);
    }
    // The parser looks at all that are open at each of its steps, and reads a document whole before its depth shows.
    if open_brackets(text) > limits.brackets {
        let limit = limits.brackets;
        return Err(YamlError::Invalid(format!("more than {limit} brackets and braces are open at once")));
    }
    let mut all = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let json = transcode::to_json(document, text, limits)?;
        if json != b"null" {
            all.push(json);
        }
    }
    Ok(all)
}

/// Whether a text is JSON, which is YAML that needs no translation.
fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// The most brackets and braces that are open at once.
fn open_brackets(text: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

/// A value as YAML.
pub fn to_string(value: &serde_json::Value) -> Result<String, YamlError> {
    let value = serde_yaml::to_value(value).map_err(|error| YamlError::Invalid(error.to_string()))?;
    emit::text(value)
}

/// JSON text as YAML, with the order of the fields as they stand.
pub fn from_json(json: &[u8]) -> Result<String, YamlError> {
    let invalid = |error: &dyn std::fmt::Display| YamlError::Invalid(error.to_string());
    // A mapping of YAML keeps the order, which a map of serde_json would not.
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let value = serde_yaml::Value::deserialize(&mut deserializer).map_err(|error| invalid(&error))?;
    emit::text(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        String::from_utf8(to_json(text).unwrap()).unwrap()
    }

    #[test]
    fn documents_become_json_in_order_and_with_duplicates() {
        assert_eq!(
            json("b: 1\na: [x, 'y', 1.5, true, null, ~]\nb: 2\n1: one\n"),
            r#"{"b":1,"a":["x","y",1.5,true,null,null],"b":2,"1":"one"}"#
        );
        assert_eq!(json(""), "null");
        let two = documents("a: 1\n---\n---\nb: 2\n", &Limits::default()).unwrap();
        assert_eq!(two, [b"{\"a\":1}".to_vec(), b"{\"b\":2}".to_vec()]);
        assert!(matches!(to_json("a: 1\n---\nb: 2\n"), Err(YamlError::SeveralDocuments)));
    }

    #[test]
    fn aliases_expand_within_the_budget() {
        assert_eq!(json("a: &x {k: v}\nb: *x\n"), r#"{"a":{"k":"v"},"b":{"k":"v"}}"#);
        let mut bomb = String::from("l0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
        for level in 1..10 {
            let items = vec![format!("*l{}", level - 1); 9].join(", ");
            bomb.push_str(&format!("l{level}: &l{level} [{items}]\n"));
        }
        let error = to_json(&bomb).unwrap_err().to_string();
        assert!(error.contains("more than") || error.contains("repetition"), "{error}");
        let long = "x".repeat(100_000);
        let strings = format!("a: &x {long}\nb: [{}]\n", vec!["*x"; 100].join(","));
        let error = to_json(&strings).unwrap_err().to_string();
        assert!(error.contains("more than"), "{error}");
    }

    #[test]
    fn numbers_with_leading_zeros_are_read_as_kubernetes_reads_them() {
        assert_eq!(
            json("a: 0644\nb: '0644'\nc: \"0644\"\nd: [0755,\"0755\", 0o17, 089]\n0644: x\n"),
            r#"{"a":420,"b":"0644","c":"0644","d":[493,"0755",15,89],"420":"x"}"#
        );
        assert_eq!(json("a: &m 0644\nb: *m\nc: |\n  0644\n"), r#"{"a":420,"b":420,"c":"0644\n"}"#);
    }

    #[test]
    fn yes_and_no_are_truth_values_as_kubernetes_reads_them() {
        assert_eq!(
            json("a: [yes, Off, 'no', \"on\", Y, nO, yes!]\nno: n\n"),
            r#"{"a":[true,false,"no","on",true,"nO","yes!"],"false":false}"#
        );
    }

    #[test]
    fn merge_keys_fill_in_what_is_missing() {
        let base = "base: &base {a: 1, b: {c: 2}}\n";
        assert_eq!(
            json(&format!("{base}one: {{<<: *base, a: 3}}\ntwo:\n  a: 4\n  <<: *base\n")),
            r#"{"base":{"a":1,"b":{"c":2}},"one":{"a":3,"b":{"c":2}},"two":{"a":4,"b":{"c":2}}}"#
        );
        // Of several, the earlier wins; what is merged may itself have merged.
        assert_eq!(
            json("u: &u {a: 1}\nv: &v {<<: *u, a: 2, b: 3}\nw: {<<: [*u, *v]}\n"),
            r#"{"u":{"a":1},"v":{"a":2,"b":3},"w":{"a":1,"b":3}}"#
        );
        // In quotes it is a key like others.
        assert_eq!(json("\"<<\": {a: 1}\n"), r#"{"<<":{"a":1}}"#);
        for wrong in ["<<: 5\n", "<<: [5]\n", "<<: [[{a: 1}]]\n"] {
            assert!(to_json(wrong).unwrap_err().to_string().contains("<<"), "{wrong}");
        }
    }

    #[test]
    fn merges_expand_within_the_budget() {
        let mut bomb = String::from("l0: &l0 {a0: 0, b0: 0}\n");
        for level in 1..200 {
            let below = level - 1;
            bomb.push_str(&format!(
                "l{level}: &l{level} {{<<: *l{below}, x{level}: *l{below}, y{level}: *l{below}}}\n"
            ));
        }
        let error = to_json(&bomb).unwrap_err().to_string();
        assert!(error.contains("more than") || error.contains("repetition"), "{error}");
    }

    #[test]
    fn json_is_left_as_it_is() {
        let text = " {\"b\": 1.0,\n\"a\": [\"yes\", \"\\u001b[0m\"], \"b\": 2} ";
        assert_eq!(json(text), text);
        // What only looks like it is YAML.
        assert_eq!(json("{a: yes}"), r#"{"a":true}"#);
        assert_eq!(json(&format!("{{\"a\": \"{}\"}}", "[".repeat(5000))).len(), 5009);
    }

    #[test]
    fn brackets_that_are_open_are_counted_before_they_are_read() {
        let error = to_json(&"[{".repeat(1 << 20)).unwrap_err().to_string();
        assert!(error.contains("more than 1000 brackets"), "{error}");
        assert_eq!(json("a: ']]]] [ok]'\nb: [[x], {k: z}]\n"), r#"{"a":"]]]] [ok]","b":[["x"],{"k":"z"}]}"#);
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert!(
            to_json(&deep).unwrap_err().to_string().contains("nested"),
            "{}",
            to_json(&deep).unwrap_err()
        );
        let unclosed = "[".repeat(1 << 13);
        assert!(to_json(&unclosed).is_err());
        assert!(matches!(to_json(&" ".repeat(4 << 20)), Err(YamlError::TooLarge { .. })));
        assert!(to_json("a: b: c").is_err());
        assert!(to_json("a: *nothing").is_err());
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let value = serde_json::json!({"y": ["yes", "No", "0644", "-010", "089", "1.5", "null", "~", "<<", "", "oN"],
            "text": "two\nlines: yes\n- no\n", "number": 10, "off": {"n": false}});
        let text = to_string(&value).unwrap();
        assert_eq!(to_value(&text).unwrap(), value, "{text}");
        assert!(text.contains("'y':") && text.contains("- 'yes'"), "{text}");
    }

    #[test]
    fn yaml_is_written_in_order() {
        let text =
            from_json(br#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","labels":{"on":"true"}}}"#);
        assert_eq!(
            text.unwrap(),
            "kind: Pod\napiVersion: v1\nmetadata:\n  name: a\n  labels:\n    'on': 'true'\n"
        );
    }
}
