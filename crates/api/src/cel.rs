//! The Common Expression Language, as rules of custom resources use it.
//!
//! Expressions are read once into a [`Program`] and run over JSON, whose values are borrowed, not copied. A run has a
//! [`Budget`]: every step costs something, so that no rule can hold a request up.

pub(crate) mod authorizer;
mod eval;
mod functions;
mod lexer;
mod library;
mod names;
mod object;
mod parser;
mod value;

pub(crate) use names::{TYPES, is_space};
pub(crate) use value::Value;

use parser::Expr;

/// Words of CEL that name nothing.
pub(crate) const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// An expression that can be run.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    expression: Expr,
    variables: Vec<String>,
}

/// Why an expression cannot be read or run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// It is no expression.
    #[error("ERROR: <input>:1:{column}: Syntax error: {what}")]
    Syntax {
        /// Where, counted from 1.
        column: usize,
        /// What is wrong there.
        what: String,
    },
    /// It has no value for these variables.
    #[error("{0}")]
    Failed(String),
    /// It costs too much.
    #[error("operation cancelled: actual cost limit exceeded")]
    TooExpensive,
}

/// What runs may still cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget(pub(crate) u64);

impl Budget {
    fn pay(&mut self, cost: usize) -> Result<(), Error> {
        let cost = u64::try_from(cost).unwrap_or(u64::MAX);
        self.0 = self.0.checked_sub(cost).ok_or(Error::TooExpensive)?;
        Ok(())
    }
}

impl Error {
    /// The error of reading a text, with a mark below the place where it is.
    pub(crate) fn shown(&self, text: &str) -> String {
        match self {
            Self::Syntax { column, .. } => format!("{self}{}", pointed(text, *column)),
            _ => self.to_string(),
        }
    }
}

/// The error of a name that means nothing in a text.
pub(crate) fn undeclared(text: &str, name: &str) -> Error {
    let column = column_of(text, name);
    let what = format!("undeclared reference to '{name}' (in container '')");
    Error::Failed(format!("ERROR: <input>:1:{column}: {what}{}", pointed(text, column)))
}

/// Where a name stands for itself, counted from 1.
fn column_of(text: &str, name: &str) -> usize {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let alone = |at: &usize| {
        let (before, after) = (&text[..*at], &text[*at + name.len()..]);
        !before.ends_with(|c| part(c) || c == '.') && !after.starts_with(part)
    };
    let found = text.match_indices(name).map(|(at, _)| at).find(alone).unwrap_or(0);
    text[..found].chars().count() + 1
}

/// A text of one line with a mark below a column.
fn pointed(text: &str, column: usize) -> String {
    if text.contains('\n') {
        return String::new();
    }
    format!("\n | {text}\n | {}^", ".".repeat(column.saturating_sub(1)))
}

impl Program {
    /// Reads an expression.
    pub(crate) fn compile(text: &str) -> Result<Self, Error> {
        let expression = parser::parse(text)?;
        let mut variables = Vec::new();
        expression.variables(&mut variables);
        Ok(Self { expression, variables })
    }

    /// Whether it looks at a variable.
    pub(crate) fn uses(&self, name: &str) -> bool {
        self.variables.iter().any(|variable| variable == name)
    }

    /// The variables that it looks at.
    pub(crate) fn variables(&self) -> &[String] {
        &self.variables
    }

    /// Its value for some variables.
    pub(crate) fn run<'a>(
        &'a self,
        variables: &[(&'a str, Value<'a>)],
        budget: &mut Budget,
    ) -> Result<Value<'a>, Error> {
        eval::run(&self.expression, variables, budget)
    }
}

fn failed<T>(what: impl Into<String>) -> Result<T, Error> {
    Err(Error::Failed(what.into()))
}

#[cfg(test)]
mod tests;
