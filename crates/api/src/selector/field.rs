//! Selectors over fields.

use std::fmt;

use super::SelectorError;

/// One condition of a field selector.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldTerm {
    /// The field's path, such as `spec.nodeName`.
    pub field: String,
    /// The value that it must have, or must not.
    pub value: String,
    /// Whether it must not have the value.
    pub negated: bool,
}

/// Conditions on fields that must all be met. The empty selector matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct FieldSelector {
    terms: Vec<FieldTerm>,
}

impl FieldSelector {
    /// Reads the text form, such as `spec.nodeName=a,status.phase!=Failed`. In values `\`, `,` and `=` are written
    /// with a `\` before them.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut terms = Vec::new();
        for term in split_terms(text) {
            if term.is_empty() {
                continue;
            }
            let wrong = || SelectorError::Term { selector: text.to_owned(), term: term.to_owned() };
            let at = term.find(['=', '!']).ok_or_else(wrong)?;
            let (field, rest) = term.split_at(at);
            let (negated, value) = if let Some(value) = rest.strip_prefix("!=") {
                (true, value)
            } else if let Some(value) = rest.strip_prefix("==") {
                (false, value)
            } else if let Some(value) = rest.strip_prefix('=') {
                (false, value)
            } else {
                return Err(wrong());
            };
            let value = unescape(value).ok_or_else(wrong)?;
            terms.push(FieldTerm { field: field.to_owned(), value, negated });
        }
        Ok(Self { terms })
    }

    /// A selector of one field with one value.
    #[must_use]
    pub fn field(field: &str, value: &str) -> Self {
        Self { terms: vec![FieldTerm { field: field.to_owned(), value: value.to_owned(), negated: false }] }
    }

    /// Whether everything matches.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// The conditions, in the order of the text.
    #[must_use]
    pub fn terms(&self) -> &[FieldTerm] {
        &self.terms
    }

    /// The only value of `field` that can match, where the selector names one.
    #[must_use]
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.terms.iter().find(|term| term.field == field && !term.negated).map(|term| term.value.as_str())
    }

    /// Whether fields that `field` looks up meet every condition. An absent field has the empty value.
    pub fn matches_with<'a>(&self, field: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.terms.iter().all(|term| (field(&term.field).unwrap_or_default() == term.value) != term.negated)
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, term) in self.terms.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            let operator = if term.negated { "!=" } else { "=" };
            write!(f, "{comma}{}{operator}", term.field)?;
            for c in term.value.chars() {
                if matches!(c, '\\' | ',' | '=') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

/// Splits at the commas that are not escaped.
fn split_terms(text: &str) -> Vec<&str> {
    let (mut terms, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

/// The value meant by an escaped one; `None` if an escape is none or a special character stands bare.
fn unescape(value: &str) -> Option<String> {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.push(chars.next().filter(|c| matches!(c, '\\' | ',' | '='))?),
            ',' | '=' => return None,
            c => plain.push(c),
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::FieldSelector;

    #[test]
    fn terms_are_read_and_printed() {
        let selector = FieldSelector::parse(r"spec.nodeName=a,status.phase!=Failed,x==a\,b\=c\\").unwrap();
        assert_eq!(selector.exact("spec.nodeName"), Some("a"));
        assert_eq!(selector.exact("status.phase"), None);
        assert_eq!(selector.exact("x"), Some(r"a,b=c\"));
        assert_eq!(FieldSelector::parse(&selector.to_string()).unwrap(), selector);
        let fields = |phase: &'static str| {
            move |field: &str| match field {
                "spec.nodeName" => Some("a"),
                "status.phase" => Some(phase),
                "x" => Some(r"a,b=c\"),
                _ => None,
            }
        };
        assert!(selector.matches_with(fields("Running")));
        assert!(!selector.matches_with(fields("Failed")));
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in ["a", "a!b", "a=b=c", r"a=\x"] {
            assert!(FieldSelector::parse(text).is_err(), "{text}");
        }
    }
}
