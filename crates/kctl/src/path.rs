//! Places in an object, as `{.status.phase}` or `.spec.ports[0].port` name them.

use anyhow::bail;
use serde_json::Value;

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Item(usize),
}

/// A place in an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<Step>);

impl Path {
    /// Reads a path. A dot that belongs to a field's name is written `\.`.
    ///
    /// # Errors
    /// Where it has another form.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let inner = text.strip_prefix('{').map_or(Some(text), |rest| rest.strip_suffix('}'));
        let Some(mut rest) = inner.map(str::trim).filter(|inner| inner.starts_with(['.', '['])) else {
            bail!("the path {text:?} must look as {{.status.phase}} does");
        };
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('[') {
                let end = after.split_once(']').map(|(index, after)| (index.parse(), after));
                let Some((Ok(index), after)) = end else {
                    bail!("the path {text:?} has a list's place that is no number");
                };
                steps.push(Step::Item(index));
                rest = after;
            } else {
                let after = rest.strip_prefix('.').unwrap_or(rest);
                let (name, after) = field(after);
                if name.is_empty() {
                    bail!("the path {text:?} names an empty field");
                }
                steps.push(Step::Field(name));
                rest = after;
            }
        }
        Ok(Self(steps))
    }

    /// What is there; nothing where there is no such place.
    #[must_use]
    pub fn find<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(value, |value, step| match step {
            Step::Field(name) => value.get(name),
            Step::Item(index) => value.get(index),
        })
    }
}

/// The name of a field at the start of a path, and the rest.
fn field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.extend(chars.next().map(|(_, escaped)| escaped)),
            '.' | '[' => return (name, &text[at..]),
            c => name.push(c),
        }
    }
    (name, "")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Path;

    #[test]
    fn paths_lead_to_places() {
        let value = json!({"status": {"phase": "Running", "list": [{"a": 1}, {"a": 2}]}, "x.y": true});
        let find = |path: &str| Path::parse(path).unwrap().find(&value).cloned();
        assert_eq!(find("{.status.phase}"), Some(json!("Running")));
        assert_eq!(find(".status.list[1].a"), Some(json!(2)));
        assert_eq!(find("{.x\\.y}"), Some(json!(true)));
        assert_eq!(find("{.status.list[2].a}"), None);
        for wrong in ["", "status", "{.status", ".a[b]", ".a..b", ".a[1"] {
            assert!(Path::parse(wrong).is_err(), "{wrong}");
        }
    }
}
