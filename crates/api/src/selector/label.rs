//! Selectors over labels.

use std::collections::BTreeMap;
use std::fmt;

use super::{SelectorError, parse};
use crate::meta::v1 as meta;

/// How a requirement compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operator {
    /// The label is there and its value is one of several.
    In,
    /// The label is not there, or its value is none of several.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is not there.
    DoesNotExist,
    /// The label is an integer above the value.
    GreaterThan,
    /// The label is an integer below the value.
    LessThan,
}

/// One condition of a selector.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

impl Requirement {
    /// A condition whose key and values are checked.
    pub fn new(key: &str, operator: Operator, mut values: Vec<String>) -> Result<Self, SelectorError> {
        if let Some(rule) = parse::qualified_name_rule(key) {
            return Err(SelectorError::Key { key: key.to_owned(), rule });
        }
        let count = values.len();
        let rule = match operator {
            Operator::In | Operator::NotIn if count == 0 => {
                Some("for 'in', 'notin' operators, values set can't be empty")
            }
            Operator::Exists | Operator::DoesNotExist if count != 0 => {
                Some("values set must be empty for exists and does not exist")
            }
            Operator::GreaterThan | Operator::LessThan if count != 1 => {
                Some("for 'Gt', 'Lt' operators, exactly one value is required")
            }
            _ => None,
        };
        if let Some(rule) = rule {
            return Err(SelectorError::Values { count, rule });
        }
        for (index, value) in values.iter().enumerate() {
            let integer = matches!(operator, Operator::GreaterThan | Operator::LessThan);
            let rule = if integer && value.parse::<i64>().is_err() {
                Some("for 'Gt', 'Lt' operators, the value must be an integer")
            } else {
                parse::label_value_rule(value)
            };
            if let Some(rule) = rule {
                let (key, value) = (key.to_owned(), value.clone());
                return Err(SelectorError::Value { key, index, value, rule });
            }
        }
        values.sort();
        values.dedup();
        Ok(Self { key: key.to_owned(), operator, values })
    }

    /// The label's key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How it compares.
    #[must_use]
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// With what it compares, sorted.
    #[must_use]
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Whether a label with this value, or its absence, meets the condition.
    #[must_use]
    pub fn matches(&self, value: Option<&str>) -> bool {
        let among = |value: &str| self.values.iter().any(|one| one == value);
        let integers =
            |value: &str| Some((value.parse::<i64>().ok()?, self.values.first()?.parse::<i64>().ok()?));
        match (self.operator, value) {
            (Operator::In, Some(value)) => among(value),
            (Operator::NotIn, Some(value)) => !among(value),
            (Operator::Exists, value) => value.is_some(),
            (Operator::DoesNotExist, value) => value.is_none(),
            (Operator::GreaterThan, Some(value)) => integers(value).is_some_and(|(left, right)| left > right),
            (Operator::LessThan, Some(value)) => integers(value).is_some_and(|(left, right)| left < right),
            (Operator::NotIn, None) => true,
            (Operator::In | Operator::GreaterThan | Operator::LessThan, None) => false,
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, values) = (&self.key, self.values.join(","));
        match self.operator {
            Operator::In if self.values.len() == 1 => write!(f, "{key}={values}"),
            Operator::NotIn if self.values.len() == 1 => write!(f, "{key}!={values}"),
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}

/// Conditions on labels that must all be met. The empty selector matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
    nothing: bool,
}

impl LabelSelector {
    /// Matches everything.
    #[must_use]
    pub fn everything() -> Self {
        Self::default()
    }

    /// Matches nothing: what an absent `meta.v1.LabelSelector` means.
    #[must_use]
    pub fn nothing() -> Self {
        Self { requirements: Vec::new(), nothing: true }
    }

    /// Conditions that must all be met.
    #[must_use]
    pub fn new(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Self { requirements, nothing: false }
    }

    /// Reads the text form, such as `app=web,tier in (a, b),!old`. The empty text matches everything.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        parse::labels(text).map(Self::new)
    }

    /// Labels that must all be there with these values: the selector of a Service.
    #[must_use]
    pub fn from_map(labels: &BTreeMap<String, String>) -> Self {
        let requirements = labels.iter().map(|(key, value)| Requirement {
            key: key.clone(),
            operator: Operator::In,
            values: vec![value.clone()],
        });
        Self::new(requirements.collect())
    }

    /// Reads the structured form. The empty structure matches everything, an absent one nothing.
    pub fn from_meta(selector: Option<&meta::LabelSelector>) -> Result<Self, SelectorError> {
        let Some(selector) = selector else { return Ok(Self::nothing()) };
        let labels = selector
            .match_labels
            .iter()
            .map(|(key, value)| Requirement::new(key, Operator::In, vec![value.clone()]));
        let expressions = selector.match_expressions.iter().map(|expression| {
            let operator = match expression.operator.as_str() {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => return Err(SelectorError::UnknownOperator { operator: other.to_owned() }),
            };
            Requirement::new(&expression.key, operator, expression.values.clone())
        });
        labels.chain(expressions).collect::<Result<_, _>>().map(Self::new)
    }

    /// Whether everything matches.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty() && !self.nothing
    }

    /// The conditions, sorted by key.
    #[must_use]
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether labels meet every condition.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.matches_with(|key| labels.get(key).map(String::as_str))
    }

    /// Whether labels that `label` looks up meet every condition.
    pub fn matches_with<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        !self.nothing
            && self.requirements.iter().all(|requirement| requirement.matches(label(&requirement.key)))
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, requirement) in self.requirements.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{requirement}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn operators_are_upstreams() {
        let web = labels(&[("app", "web"), ("n", "5")]);
        for (text, matches) in [
            ("", true),
            ("app", true),
            ("app=web", true),
            ("app==web", true),
            ("app!=web", false),
            ("app!=db,other!=x", true),
            ("!other", true),
            ("!app", false),
            ("app in (db, web)", true),
            ("app notin (db,web)", false),
            ("other notin (db)", true),
            ("other in (db)", false),
            ("n>4,n<6", true),
            ("n>5", false),
            ("app>1", false),
            ("other=", false),
            ("app in (web),!other,n", true),
        ] {
            let selector = LabelSelector::parse(text).unwrap();
            assert_eq!(selector.matches(&web), matches, "{text}");
            assert_eq!(LabelSelector::parse(&selector.to_string()).unwrap(), selector, "{text}");
        }
    }

    #[test]
    fn structures_mean_what_their_texts_mean() {
        let structured = meta::LabelSelector {
            match_labels: labels(&[("app", "web")]),
            match_expressions: vec![meta::LabelSelectorRequirement {
                key: "tier".into(),
                operator: "NotIn".into(),
                values: vec!["b".into(), "a".into()],
            }],
        };
        let selector = LabelSelector::from_meta(Some(&structured)).unwrap();
        assert_eq!(selector, LabelSelector::parse("app=web,tier notin (a,b)").unwrap());
        assert!(!LabelSelector::from_meta(None).unwrap().matches(&labels(&[])));
        assert!(LabelSelector::from_meta(Some(&meta::LabelSelector::default())).unwrap().is_everything());
    }
}
