//! The paths of values that definitions name: `.spec.replicas`, and what columns need beyond: items of lists by number,
//! all of them, and those that match.

use serde_json::Value;

/// How many steps a path has at most.
const MAX_STEPS: usize = 64;

/// A path to values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    Where { path: JsonPath, equal: bool, value: Value },
}

impl JsonPath {
    /// Reads a path; `None` for what is not one, or uses more than is understood.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        while !rest.is_empty() {
            if steps.len() >= MAX_STEPS {
                return None;
            }
            let (step, after) = if let Some(inside) = rest.strip_prefix('[') {
                bracket(inside)?
            } else {
                let name = rest.strip_prefix('.')?;
                if name.is_empty() && steps.is_empty() {
                    // The object itself.
                    return Some(Self(steps));
                }
                field(name)?
            };
            steps.push(step);
            rest = after;
        }
        Some(Self(steps))
    }

    /// The names of its fields, if it has nothing but fields.
    pub(crate) fn names(&self) -> Option<Vec<&str>> {
        let names = self.0.iter().map(|step| match step {
            Step::Field(name) => Some(name.as_str()),
            Step::Index(_) | Step::All | Step::Where { .. } => None,
        });
        names.collect()
    }

    /// The values that the path leads to.
    pub(crate) fn find<'a>(&self, root: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![root];
        for step in &self.0 {
            found = found.into_iter().flat_map(|value| step.of(value)).collect();
        }
        found
    }

    /// The first value that the path leads to.
    pub(crate) fn first<'a>(&self, root: &'a Value) -> Option<&'a Value> {
        self.find(root).into_iter().next()
    }

    /// Sets the value at the path, making objects on the way. False where something else is in the way.
    pub(crate) fn set(&self, root: &mut Value, value: Value) -> bool {
        let mut at = root;
        for step in &self.0 {
            let Step::Field(name) = step else { return false };
            if at.is_null() {
                *at = Value::Object(serde_json::Map::new());
            }
            let Value::Object(fields) = at else { return false };
            at = fields.entry(name.clone()).or_insert(Value::Null);
        }
        *at = value;
        true
    }

    /// The names of the fields, where the path is nothing but fields.
    pub(crate) fn fields(&self) -> Option<Vec<&str>> {
        let fields = self.0.iter().map(|step| match step {
            Step::Field(name) => Some(name.as_str()),
            _ => None,
        });
        fields.collect()
    }
}

impl Step {
    fn of<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match (self, value) {
            (Self::Field(name), Value::Object(fields)) => fields.get(name).into_iter().collect(),
            (Self::Index(index), Value::Array(items)) => {
                let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
                let index = if *index < 0 { count + index } else { *index };
                usize::try_from(index).ok().and_then(|index| items.get(index)).into_iter().collect()
            }
            (Self::All, Value::Array(items)) => items.iter().collect(),
            (Self::All, Value::Object(fields)) => fields.values().collect(),
            (Self::Where { path, equal, value }, Value::Array(items)) => {
                let matches =
                    |item: &&Value| path.first(item).is_some_and(|found| (found == value) == *equal);
                items.iter().filter(matches).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// A field up to the next dot or bracket; a backslash takes the meaning from what follows.
fn field(text: &str) -> Option<(Step, &str)> {
    let mut name = String::new();
    let mut letters = text.char_indices();
    let mut end = text.len();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => name.push(letters.next()?.1),
            '.' | '[' => {
                end = at;
                break;
            }
            other => name.push(other),
        }
    }
    let step = match name.as_str() {
        "" => return None,
        "*" => Step::All,
        _ => Step::Field(name),
    };
    Some((step, &text[end..]))
}

/// What stands in brackets, from behind the opening one.
fn bracket(text: &str) -> Option<(Step, &str)> {
    if let Some(filter) = text.strip_prefix("?(") {
        let (filter, rest) = filter.split_once(")]")?;
        let (path, equal, value) = match (filter.split_once("=="), filter.split_once("!=")) {
            (Some((path, value)), _) => (path, true, value),
            (None, Some((path, value))) => (path, false, value),
            _ => return None,
        };
        let path = JsonPath::parse(path.trim().strip_prefix('@')?)?;
        return Some((Step::Where { path, equal, value: literal(value.trim())? }, rest));
    }
    let (inside, rest) = text.split_once(']')?;
    let step = match inside.trim() {
        "*" => Step::All,
        number if number.parse::<i64>().is_ok() => Step::Index(number.parse().ok()?),
        quoted => Step::Field(unquoted(quoted)?.replace('\\', "")),
    };
    Some((step, rest))
}

fn unquoted(text: &str) -> Option<&str> {
    ['\'', '"'].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))
}

fn literal(text: &str) -> Option<Value> {
    match unquoted(text) {
        Some(text) => Some(text.into()),
        None => serde_json::from_str(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_to_values() {
        let object = json!({"spec": {"replicas": 3, "list": [{"n": "a", "v": 1}, {"n": "b", "v": 2}]},
                            "metadata": {"annotations": {"a.b/c": "x"}}});
        for (path, wanted) in [
            (".spec.replicas", json!([3])),
            (".spec.list[1].n", json!(["b"])),
            (".spec.list[-1].v", json!([2])),
            (".spec.list[*].n", json!(["a", "b"])),
            (r#".spec.list[?(@.n=="b")].v"#, json!([2])),
            (r".metadata.annotations.a\.b/c", json!(["x"])),
            (".metadata.annotations['a.b/c']", json!(["x"])),
            (".spec.nothing.there", json!([])),
        ] {
            let found = JsonPath::parse(path).unwrap();
            assert_eq!(json!(found.find(&object)), wanted, "{path}");
        }
        for path in ["spec", ".spec.", ".spec[", "..x", ".spec[x]"] {
            assert_eq!(JsonPath::parse(path), None, "{path}");
        }
    }

    #[test]
    fn values_are_set() {
        let mut object = json!({"spec": {}});
        assert!(JsonPath::parse(".spec.a.b").unwrap().set(&mut object, json!(1)));
        assert_eq!(object, json!({"spec": {"a": {"b": 1}}}));
        assert!(!JsonPath::parse(".spec.a.b.c").unwrap().set(&mut object, json!(1)));
    }
}
