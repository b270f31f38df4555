//! The grammar of label selectors.

use super::{Operator, Requirement, SelectorError};

/// Reads comma-separated requirements.
pub(super) fn labels(text: &str) -> Result<Vec<Requirement>, SelectorError> {
    let mut tokens = Tokens { rest: text };
    let mut requirements = Vec::new();
    if tokens.peek().is_none() {
        return Ok(requirements);
    }
    loop {
        requirements.push(requirement(&mut tokens)?);
        match tokens.next() {
            None => return Ok(requirements),
            Some(Token::Comma) => {}
            Some(other) => return Err(syntax(Some(other), "',' or the end")),
        }
    }
}

fn requirement(tokens: &mut Tokens<'_>) -> Result<Requirement, SelectorError> {
    let key = match tokens.next() {
        Some(Token::Not) => {
            let key = word(tokens, "a label key after '!'")?;
            return Requirement::new(key, Operator::DoesNotExist, Vec::new());
        }
        Some(Token::Word(key)) => key,
        other => return Err(syntax(other, "'!' or a label key")),
    };
    let operator = match tokens.peek() {
        None | Some(Token::Comma) => return Requirement::new(key, Operator::Exists, Vec::new()),
        Some(token) => token,
    };
    tokens.next();
    match operator {
        Token::Equal => Requirement::new(key, Operator::In, vec![value(tokens).to_owned()]),
        Token::NotEqual => Requirement::new(key, Operator::NotIn, vec![value(tokens).to_owned()]),
        Token::Greater => Requirement::new(key, Operator::GreaterThan, vec![value(tokens).to_owned()]),
        Token::Less => Requirement::new(key, Operator::LessThan, vec![value(tokens).to_owned()]),
        Token::Word("in") => Requirement::new(key, Operator::In, values(tokens)?),
        Token::Word("notin") => Requirement::new(key, Operator::NotIn, values(tokens)?),
        other => Err(syntax(Some(other), "in, notin, =, ==, !=, gt, lt")),
    }
}

fn word<'a>(tokens: &mut Tokens<'a>, expected: &'static str) -> Result<&'a str, SelectorError> {
    match tokens.next() {
        Some(Token::Word(word)) => Ok(word),
        other => Err(syntax(other, expected)),
    }
}

/// The value after an operator. It may be missing, which means the empty value.
fn value<'a>(tokens: &mut Tokens<'a>) -> &'a str {
    match tokens.peek() {
        Some(Token::Word(word)) => {
            tokens.next();
            word
        }
        _ => "",
    }
}

/// The values in parentheses.
fn values(tokens: &mut Tokens<'_>) -> Result<Vec<String>, SelectorError> {
    match tokens.next() {
        Some(Token::Open) => {}
        other => return Err(syntax(other, "'('")),
    }
    let mut values = Vec::new();
    loop {
        values.push(value(tokens).to_owned());
        match tokens.next() {
            Some(Token::Comma) => {}
            Some(Token::Close) => return Ok(values),
            other => return Err(syntax(other, "',' or ')'")),
        }
    }
}

fn syntax(found: Option<Token<'_>>, expected: &'static str) -> SelectorError {
    let found = found.map_or("", Token::text).to_owned();
    SelectorError::Syntax { found, expected }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token<'a> {
    Word(&'a str),
    Not,
    Equal,
    NotEqual,
    Greater,
    Less,
    Open,
    Close,
    Comma,
}

impl<'a> Token<'a> {
    fn text(self) -> &'a str {
        match self {
            Self::Word(word) => word,
            Self::Not => "!",
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::Open => "(",
            Self::Close => ")",
            Self::Comma => ",",
        }
    }
}

struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    fn peek(&self) -> Option<Token<'a>> {
        Tokens { rest: self.rest }.next()
    }

    fn next(&mut self) -> Option<Token<'a>> {
        const SYMBOLS: [(&str, Token<'static>); 9] = [
            ("!=", Token::NotEqual),
            ("==", Token::Equal),
            ("=", Token::Equal),
            ("!", Token::Not),
            (">", Token::Greater),
            ("<", Token::Less),
            ("(", Token::Open),
            (")", Token::Close),
            (",", Token::Comma),
        ];
        self.rest = self.rest.trim_start();
        if self.rest.is_empty() {
            return None;
        }
        for (text, token) in SYMBOLS {
            if let Some(rest) = self.rest.strip_prefix(text) {
                self.rest = rest;
                return Some(token);
            }
        }
        let special = |c: char| c.is_whitespace() || "!=><(),".contains(c);
        let end = self.rest.find(special).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(Token::Word(word))
    }
}

/// The rule for label keys that `key` breaks: an optional DNS subdomain and `/`, then a name.
pub(super) fn qualified_name_rule(key: &str) -> Option<&'static str> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if prefix.is_some_and(|prefix| !is_subdomain(prefix)) {
        return Some("prefix part must be a lowercase DNS subdomain of at most 253 characters");
    }
    (!is_name(name)).then_some(
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
         alphanumeric character, and must be no more than 63 characters",
    )
}

/// The rule for label values that `value` breaks.
pub(super) fn label_value_rule(value: &str) -> Option<&'static str> {
    (!value.is_empty() && !is_name(value)).then_some(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
         start and end with an alphanumeric character, and must be no more than 63 characters",
    )
}

fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    name.len() <= 63
        && first.is_ascii_alphanumeric()
        && last.is_ascii_alphanumeric()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

fn is_subdomain(name: &str) -> bool {
    let label = |label: &str| {
        let bytes = label.as_bytes();
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::labels;

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in [
            "=a", "a=b=c", "a in b", "a in (b", "a,", ",", "a b", "!", "a in ()x", "-a=b", "a=b!", "a>x",
            "x/y/z",
        ] {
            assert!(labels(text).is_err(), "{text}");
        }
    }
}
