//! From tokens to an expression.

use regex::Regex;

use super::lexer::{Kind, Token, column, tokens};
use super::object::qualified;
use super::{Error, functions, names};

/// Expressions within expressions deeper than this are refused.
const MAX_DEPTH: usize = 100;
/// More operators, fields, indices and calls than this in one expression are refused: each may be the left side of the
/// next, and so is a level, too, for all that walks the expression.
const MAX_LINKS: usize = 1000;
/// The longest text, in code points.
const MAX_LENGTH: usize = 100_000;

/// An expression.
#[derive(Debug, Clone)]
pub(super) enum Expr {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Variable(String),
    /// A field; `optional` where a missing one is none.
    Field {
        of: Box<Expr>,
        name: String,
        optional: bool,
    },
    /// `has(of.name)`.
    Has {
        of: Box<Expr>,
        name: String,
    },
    Index {
        of: Box<Expr>,
        index: Box<Expr>,
        optional: bool,
    },
    Call {
        of: Option<Box<Expr>>,
        name: String,
        arguments: Vec<Expr>,
        /// What it looks for, where that is a regular expression that is written there.
        pattern: Option<Regex>,
    },
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    /// An object of a type that only expressions have: its fields, and whether each may be missing.
    Object {
        name: String,
        fields: Vec<(String, bool, Expr)>,
    },
    Not(Box<Expr>),
    Minus(Box<Expr>),
    Binary {
        operator: &'static str,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    If {
        condition: Box<Expr>,
        then: Box<Expr>,
        otherwise: Box<Expr>,
    },
    /// `all`, `exists` and so on: over a list's items or a map's keys; with two variables, keys and values.
    Each {
        what: Each,
        of: Box<Expr>,
        names: Vec<String>,
        body: Box<Expr>,
        result: Option<Box<Expr>>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Each {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

impl Expr {
    /// Collects the variables that are looked at, save those that it declares itself.
    pub(super) fn variables(&self, out: &mut Vec<String>) {
        match self {
            Self::Variable(name) if out.contains(name) => {}
            Self::Variable(name) => out.push(name.clone()),
            Self::Field { of, .. } | Self::Has { of, .. } | Self::Not(of) | Self::Minus(of) => {
                of.variables(out);
            }
            Self::Index { of, index, .. } => {
                of.variables(out);
                index.variables(out);
            }
            Self::Call { of, arguments, .. } => {
                of.iter().for_each(|of| of.variables(out));
                arguments.iter().for_each(|argument| argument.variables(out));
            }
            Self::List(items) => items.iter().for_each(|item| item.variables(out)),
            Self::Map(entries) => entries.iter().for_each(|(key, value)| {
                key.variables(out);
                value.variables(out);
            }),
            Self::Object { name, fields } => {
                // Where nothing of the kind is known, the name is as unknown as that of a variable.
                let root = name.split('.').next().unwrap_or_default();
                if !out.iter().any(|known| known == root) {
                    out.push(root.to_owned());
                }
                fields.iter().for_each(|(_, _, value)| value.variables(out));
            }
            Self::Binary { left, right, .. } => {
                left.variables(out);
                right.variables(out);
            }
            Self::If { condition, then, otherwise } => {
                [condition, then, otherwise].iter().for_each(|one| one.variables(out));
            }
            Self::Each { of, names, body, result, .. } => {
                of.variables(out);
                let mut inside = Vec::new();
                body.variables(&mut inside);
                result.iter().for_each(|result| result.variables(&mut inside));
                inside.retain(|name| !names.contains(name) && !out.contains(name));
                out.append(&mut inside);
            }
            _ => {}
        }
    }
}

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Expr, Error> {
    let length = text.chars().count();
    if length > MAX_LENGTH {
        let what = format!("expression code point size exceeds limit: size: {length}, limit {MAX_LENGTH}");
        return Err(Error::Syntax { column: 1, what });
    }
    let mut parser = Parser { text, tokens: tokens(text)?, at: 0, depth: 0, links: 0 };
    let expression = parser.expression()?;
    match parser.peek() {
        Kind::End => Ok(expression),
        _ => parser.wrong("extraneous input, expecting <EOF>"),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// Operators, fields, indices and calls so far.
    links: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &Kind {
        self.tokens.get(self.at).map_or(&Kind::End, |token| &token.kind)
    }

    fn next(&mut self) -> Kind {
        let kind = self.peek().clone();
        self.at += 1;
        kind
    }

    fn wrong<T>(&self, what: impl Into<String>) -> Result<T, Error> {
        let token = self.tokens.get(self.at).or(self.tokens.last());
        let column = token.map_or(1, |token| column(self.text, token.at));
        Err(Error::Syntax { column, what: what.into() })
    }

    fn link(&mut self) -> Result<(), Error> {
        self.links += 1;
        if self.links > MAX_LINKS { self.wrong("expression recursion limit exceeded") } else { Ok(()) }
    }

    fn takes(&mut self, mark: &str) -> bool {
        let found = matches!(self.peek(), Kind::Mark(found) if *found == mark);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, mark: &str) -> Result<(), Error> {
        if self.takes(mark) { Ok(()) } else { self.wrong(format!("mismatched input, expecting '{mark}'")) }
    }

    fn expression(&mut self) -> Result<Expr, Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.wrong("expression recursion limit exceeded");
        }
        let condition = self.binary(0)?;
        let expression = if self.takes("?") {
            let then = self.binary(0)?;
            self.expect(":")?;
            let otherwise = self.expression()?;
            Expr::If { condition: condition.into(), then: then.into(), otherwise: otherwise.into() }
        } else {
            condition
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn binary(&mut self, level: usize) -> Result<Expr, Error> {
        static LEVELS: [&[&str]; 5] =
            [&["||"], &["&&"], &["==", "!=", "<", "<=", ">", ">=", "in"], &["+", "-"], &["*", "/", "%"]];
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        loop {
            let found = match self.peek() {
                Kind::Mark(mark) => operators.iter().find(|operator| *operator == mark),
                Kind::Name(name) if name == "in" => operators.iter().find(|operator| **operator == "in"),
                _ => None,
            };
            let Some(operator) = found.copied() else { return Ok(left) };
            self.link()?;
            self.at += 1;
            let right = self.binary(level + 1)?;
            left = Expr::Binary { operator, left: left.into(), right: right.into() };
        }
    }

    fn unary(&mut self) -> Result<Expr, Error> {
        if self.takes("!") {
            return self.nested(|parser| Ok(Expr::Not(parser.unary()?.into())));
        }
        if self.takes("-") {
            return match self.peek() {
                Kind::MinInt => {
                    self.at += 1;
                    Ok(Expr::Int(i64::MIN))
                }
                _ => self.nested(|parser| Ok(Expr::Minus(parser.unary()?.into()))),
            };
        }
        self.member()
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.wrong("expression recursion limit exceeded");
        }
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn member(&mut self) -> Result<Expr, Error> {
        let mut of = self.primary()?;
        loop {
            if matches!(self.peek(), Kind::Mark("{"))
                && let Some(name) = qualified(&of)
            {
                self.at += 1;
                of = self.object(name)?;
                continue;
            }
            let optional = self.takes(".?");
            if optional || self.takes(".") {
                self.link()?;
                let Kind::Name(name) = self.next() else {
                    self.at -= 1;
                    return self.wrong("no viable alternative: a field is expected");
                };
                of = if !optional && self.takes("(") {
                    let arguments = self.list(")")?;
                    self.call(Some(of), name, arguments)?
                } else {
                    Expr::Field { of: of.into(), name, optional }
                };
                continue;
            }
            let optional = self.takes("[?");
            if !optional && !self.takes("[") {
                return Ok(of);
            }
            self.link()?;
            let index = self.expression()?;
            self.expect("]")?;
            of = Expr::Index { of: of.into(), index: index.into(), optional };
        }
    }

    fn object(&mut self, name: String) -> Result<Expr, Error> {
        let mut fields = Vec::new();
        while !self.takes("}") {
            let optional = self.takes("?");
            let Kind::Name(field) = self.next() else {
                self.at -= 1;
                return self.wrong("no viable alternative: a field is expected");
            };
            self.expect(":")?;
            fields.push((field, optional, self.expression()?));
            if !self.takes(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(Expr::Object { name, fields })
    }

    fn list(&mut self, end: &str) -> Result<Vec<Expr>, Error> {
        let mut all = Vec::new();
        while !self.takes(end) {
            all.push(self.expression()?);
            if !self.takes(",") {
                self.expect(end)?;
                break;
            }
        }
        Ok(all)
    }

    fn primary(&mut self) -> Result<Expr, Error> {
        let start = self.at;
        match self.next() {
            Kind::Name(name) => match name.as_str() {
                "true" => Ok(Expr::Bool(true)),
                "false" => Ok(Expr::Bool(false)),
                "null" => Ok(Expr::Null),
                _ if self.takes("(") => {
                    let arguments = self.list(")")?;
                    self.call(None, name, arguments)
                }
                _ => Ok(Expr::Variable(name)),
            },
            Kind::Int(number) => Ok(Expr::Int(number)),
            Kind::Uint(number) => Ok(Expr::Uint(number)),
            Kind::Double(number) => Ok(Expr::Double(number)),
            Kind::Text(text) => Ok(Expr::Text(text)),
            Kind::Bytes(bytes) => Ok(Expr::Bytes(bytes)),
            Kind::Mark("(") => {
                let inside = self.expression()?;
                self.expect(")")?;
                Ok(inside)
            }
            Kind::Mark("[") => self.list("]").map(Expr::List),
            Kind::Mark("{") => self.map(),
            _ => {
                self.at = start;
                self.wrong("mismatched input, expecting an expression")
            }
        }
    }

    fn map(&mut self) -> Result<Expr, Error> {
        let mut entries = Vec::new();
        while !self.takes("}") {
            let key = self.expression()?;
            self.expect(":")?;
            entries.push((key, self.expression()?));
            if !self.takes(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(Expr::Map(entries))
    }

    /// A call, or a macro, which looks like one.
    fn call(&self, of: Option<Expr>, name: String, mut arguments: Vec<Expr>) -> Result<Expr, Error> {
        let Some(of) = of else {
            if name != "has" {
                if !names::is_function(&name) {
                    return undeclared(&name);
                }
                return Ok(Expr::Call { of: None, name, arguments, pattern: None });
            }
            return match arguments.pop() {
                Some(Expr::Field { of, name, optional: false }) if arguments.is_empty() => {
                    Ok(Expr::Has { of, name })
                }
                _ => self.wrong("invalid argument to has() macro"),
            };
        };
        let what = match (name.as_str(), arguments.len()) {
            ("all", 2 | 3) => Each::All,
            ("exists", 2 | 3) => Each::Exists,
            ("exists_one" | "existsOne", 2 | 3) => Each::ExistsOne,
            ("filter", 2) => Each::Filter,
            ("map", 2 | 3) => Each::Map,
            _ => return self.method(of, name, arguments),
        };
        let Some(last) = arguments.pop() else { return self.wrong("a macro needs arguments") };
        // `map(x, condition, result)` has one variable, the others have a second one in that place.
        let (body, result) = match what {
            Each::Map => (arguments.get(1).cloned().unwrap_or(Expr::Bool(true)), Some(Box::new(last))),
            _ => (last, None),
        };
        if what == Each::Map {
            arguments.truncate(1);
        }
        let names = arguments.into_iter().map(|argument| match argument {
            Expr::Variable(name) => Ok(name),
            _ => self.wrong("argument must be a simple name"),
        });
        let names = names.collect::<Result<Vec<_>, _>>()?;
        Ok(Expr::Each { what, of: of.into(), names, body: body.into(), result })
    }

    fn method(&self, of: Expr, name: String, arguments: Vec<Expr>) -> Result<Expr, Error> {
        let space = match &of {
            Expr::Variable(space) => Some(space.as_str()),
            _ => None,
        };
        if !names::is_method(space, &name) {
            return undeclared(&name);
        }
        let pattern = match (name.as_str(), arguments.first()) {
            ("matches" | "find" | "findAll", Some(Expr::Text(pattern))) => {
                Some(functions::literal(pattern).or_else(|error| self.wrong(error.to_string()))?)
            }
            _ => None,
        };
        Ok(Expr::Call { of: Some(of.into()), name, arguments, pattern })
    }
}

fn undeclared<T>(name: &str) -> Result<T, Error> {
    Err(Error::Failed(format!("ERROR: undeclared reference to '{name}' (in container '')")))
}
