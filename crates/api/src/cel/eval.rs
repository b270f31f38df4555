//! Runs an expression.

use std::sync::Arc;

use regex::Regex;

use super::names::{TYPES, is_space};
use super::parser::{Each, Expr};
use super::value::{List, Map, Text, Value};
use super::{Budget, Error, RESERVED, failed, functions, object};

/// What the names in an expression stand for; inner ones come last.
type Scope<'a> = Vec<(&'a str, Value<'a>)>;

/// The value of an expression.
pub(super) fn run<'a>(
    expression: &'a Expr,
    variables: &[(&'a str, Value<'a>)],
    budget: &mut Budget,
) -> Result<Value<'a>, Error> {
    let mut run = Run { scope: variables.to_vec(), budget };
    run.value(expression)
}

struct Run<'a, 'b> {
    scope: Scope<'a>,
    budget: &'b mut Budget,
}

impl<'a> Run<'a, '_> {
    /// What has something inside is done elsewhere: what this function keeps on the stack, it keeps for every level.
    fn value(&mut self, expression: &'a Expr) -> Result<Value<'a>, Error> {
        self.budget.pay(1)?;
        match expression {
            Expr::Null => Ok(Value::Null),
            Expr::Bool(value) => Ok(Value::Bool(*value)),
            Expr::Int(value) => Ok(Value::Int(*value)),
            Expr::Uint(value) => Ok(Value::Uint(*value)),
            Expr::Double(value) => Ok(Value::Double(*value)),
            Expr::Text(text) => Ok(Value::Text(Text::Of(text))),
            Expr::Bytes(bytes) => Ok(Value::Bytes(bytes.as_slice().into())),
            Expr::Variable(name) => self.variable(name),
            Expr::Field { of, name, optional } => self.field(of, name, *optional),
            Expr::Has { of, name } => self.has(of, name),
            Expr::Index { of, index, optional } => self.index(of, index, *optional),
            Expr::Call { of, name, arguments, pattern } => {
                self.call(of.as_deref(), name, arguments, pattern.as_ref())
            }
            Expr::List(items) => self.list(items),
            Expr::Map(entries) => self.map(entries),
            Expr::Object { name, fields } => self.object(name, fields),
            Expr::Not(inner) => self.not(inner),
            Expr::Minus(inner) => self.minus(inner),
            Expr::If { condition, then, otherwise } => self.choose(condition, then, otherwise),
            Expr::Binary { operator: "&&", left, right } => self.either(left, right, false),
            Expr::Binary { operator: "||", left, right } => self.either(left, right, true),
            Expr::Binary { operator, left, right } => self.binary(operator, left, right),
            Expr::Each { what, of, names, body, result } => {
                self.each(*what, of, names, body, result.as_deref())
            }
        }
    }

    fn field(&mut self, of: &'a Expr, name: &str, optional: bool) -> Result<Value<'a>, Error> {
        let of = self.value(of)?;
        self.budget.pay(of.entries_to_search())?;
        field(of, name, optional)
    }

    fn has(&mut self, of: &'a Expr, name: &str) -> Result<Value<'a>, Error> {
        let of = self.value(of)?;
        self.budget.pay(of.entries_to_search())?;
        has(of, name)
    }

    fn index(&mut self, of: &'a Expr, index: &'a Expr, optional: bool) -> Result<Value<'a>, Error> {
        let (of, index) = (self.value(of)?, self.value(index)?);
        self.budget.pay(of.entries_to_search())?;
        self::index(of, &index, optional)
    }

    fn list(&mut self, items: &'a [Expr]) -> Result<Value<'a>, Error> {
        let items = items.iter().map(|item| self.value(item)).collect::<Result<Vec<_>, _>>()?;
        Ok(Value::list(items))
    }

    fn map(&mut self, entries: &'a [(Expr, Expr)]) -> Result<Value<'a>, Error> {
        let entries = entries.iter().map(|(key, value)| Ok((self.value(key)?, self.value(value)?)));
        Ok(Value::Map(Map::Made(Arc::new(entries.collect::<Result<_, Error>>()?))))
    }

    fn object(&mut self, name: &'a str, fields: &'a [(String, bool, Expr)]) -> Result<Value<'a>, Error> {
        let fields =
            fields.iter().map(|(name, optional, of)| Ok((name.as_str(), *optional, self.value(of)?)));
        object::make(name, fields)
    }

    fn not(&mut self, inner: &'a Expr) -> Result<Value<'a>, Error> {
        Ok(Value::Bool(!self.value(inner)?.expect_bool()?))
    }

    fn minus(&mut self, inner: &'a Expr) -> Result<Value<'a>, Error> {
        match self.value(inner)? {
            Value::Int(number) => {
                number.checked_neg().map(Value::Int).map_or_else(|| failed("integer overflow"), Ok)
            }
            Value::Double(number) => Ok(Value::Double(-number)),
            Value::Duration(nanos) => Ok(Value::Duration(-nanos)),
            _ => failed("no such overload"),
        }
    }

    fn choose(
        &mut self,
        condition: &'a Expr,
        then: &'a Expr,
        otherwise: &'a Expr,
    ) -> Result<Value<'a>, Error> {
        let chosen = if self.value(condition)?.expect_bool()? { then } else { otherwise };
        self.value(chosen)
    }

    fn binary(&mut self, operator: &str, left: &'a Expr, right: &'a Expr) -> Result<Value<'a>, Error> {
        let (left, right) = (self.value(left)?, self.value(right)?);
        functions::binary(operator, &left, &right, self.budget)
    }

    fn variable(&self, name: &'a str) -> Result<Value<'a>, Error> {
        if let Some((_, value)) = self.scope.iter().rev().find(|(known, _)| *known == name) {
            return Ok(value.clone());
        }
        match TYPES.into_iter().find(|known| *known == name) {
            Some(name) => Ok(Value::Type(name)),
            None => failed(format!("undeclared reference to '{name}' (in container '')")),
        }
    }

    /// `&&` and `||`: one side that decides is enough, whatever becomes of the other.
    fn either(&mut self, left: &'a Expr, right: &'a Expr, decides: bool) -> Result<Value<'a>, Error> {
        let left = self.value(left).and_then(|value| value.expect_bool());
        match left {
            Ok(value) if value == decides => return Ok(Value::Bool(decides)),
            Err(Error::TooExpensive) => return Err(Error::TooExpensive),
            _ => {}
        }
        let right = self.value(right).and_then(|value| value.expect_bool())?;
        if right == decides { Ok(Value::Bool(decides)) } else { left.map(Value::Bool) }
    }

    fn call(
        &mut self,
        of: Option<&'a Expr>,
        name: &'a str,
        arguments: &'a [Expr],
        pattern: Option<&Regex>,
    ) -> Result<Value<'a>, Error> {
        // Some functions stand below a name that is no variable: `optional.of`, `format.dns1123Label`.
        let space = match of {
            Some(Expr::Variable(space)) if !self.scope.iter().any(|(known, _)| known == space) => {
                Some(space.as_str())
            }
            _ => None,
        };
        let space = space.filter(|space| is_space(space));
        let mut values = Vec::with_capacity(arguments.len() + 1);
        if let Some(of) = of.filter(|_| space.is_none()) {
            values.push(self.value(of)?);
        }
        for argument in arguments {
            values.push(self.value(argument)?);
        }
        self.budget.pay(values.iter().map(Value::size).sum())?;
        match space {
            Some(space) => functions::in_space(space, name, &values, self.budget),
            None if of.is_some() => functions::method(name, &values, pattern, self.budget),
            None => functions::function(name, &values),
        }
    }

    fn each(
        &mut self,
        what: Each,
        of: &'a Expr,
        names: &'a [String],
        body: &'a Expr,
        result: Option<&'a Expr>,
    ) -> Result<Value<'a>, Error> {
        let of = self.value(of)?;
        self.budget.pay(of.size())?;
        let entries: Vec<(Value<'a>, Value<'a>)> = match of {
            Value::List(List::Of(_) | List::Made(_)) if names.len() > 1 => {
                let Value::List(items) = of else { return failed("no such overload") };
                let indices = (0i64..).map(Value::Int);
                let items: Vec<_> = items.iter().collect();
                indices.zip(items).collect()
            }
            Value::List(items) => items.iter().map(|item| (item.clone(), item)).collect(),
            Value::Map(map) => map.entries(),
            other => return failed(format!("no such overload: {} has no items", other.type_name())),
        };
        let depth = self.scope.len();
        let mut kept = Vec::new();
        let (mut count, mut failure) = (0usize, None);
        for (key, value) in entries {
            self.budget.pay(1)?;
            let key_alone = key.clone();
            for (name, value) in names.iter().zip([key, value]) {
                self.scope.push((name.as_str(), value));
            }
            let holds = self.value(body).and_then(|value| value.expect_bool());
            let made = match (&holds, result) {
                (Ok(true), Some(result)) => Some(self.value(result)),
                _ => None,
            };
            self.scope.truncate(depth);
            match (what, holds) {
                (_, Err(Error::TooExpensive)) => return Err(Error::TooExpensive),
                (Each::All, Ok(false)) => return Ok(Value::Bool(false)),
                (Each::Exists, Ok(true)) => return Ok(Value::Bool(true)),
                // One item that decides is enough, whatever becomes of the others.
                (Each::All | Each::Exists, Err(error)) => failure = Some(error),
                (_, Err(error)) => return Err(error),
                (Each::ExistsOne, Ok(true)) => count += 1,
                (Each::Filter, Ok(true)) => kept.push(key_alone),
                (Each::Map, Ok(true)) => kept.extend(made.transpose()?),
                _ => {}
            }
        }
        match (what, failure) {
            (_, Some(error)) => Err(error),
            (Each::All, _) => Ok(Value::Bool(true)),
            (Each::Exists, _) => Ok(Value::Bool(false)),
            (Each::ExistsOne, _) => Ok(Value::Bool(count == 1)),
            (Each::Filter | Each::Map, _) => Ok(Value::list(kept)),
        }
    }
}

/// The name of a field as objects have it: rules cannot name all of them as they are.
pub(super) fn unescape(name: &str) -> String {
    let inner = name.strip_prefix("__").and_then(|name| name.strip_suffix("__"));
    if let Some(word) = inner.filter(|word| RESERVED.contains(word)) {
        return word.to_owned();
    }
    name.replace("__underscores__", "__")
        .replace("__dot__", ".")
        .replace("__dash__", "-")
        .replace("__slash__", "/")
}

fn find<'a>(map: &Map<'a>, name: &str) -> Option<Value<'a>> {
    let by = |name: &str| map.get(&Value::text(name));
    by(name).or_else(|| if name.contains("__") { by(&unescape(name)) } else { None })
}

fn field<'a>(of: Value<'a>, name: &str, optional: bool) -> Result<Value<'a>, Error> {
    match of {
        Value::Map(map) => match (find(&map, name), optional) {
            (Some(Value::Failed(why)), _) => failed(&*why),
            (found, true) => Ok(Value::optional(found)),
            (Some(value), false) => Ok(value),
            (None, false) => failed(format!("no such key: {name}")),
        },
        Value::Authorizer(of) => of.field(name),
        Value::Object(made) => match (made.get(name), optional) {
            (found, true) => Ok(Value::optional(found.cloned())),
            (Some(value), false) => Ok(value.clone()),
            (None, false) => failed(format!("no such key: {name}")),
        },
        Value::Optional(None) => Ok(Value::Optional(None)),
        Value::Optional(Some(of)) => match field((*of).clone(), name, true)? {
            found @ Value::Optional(_) => Ok(found),
            found => Ok(Value::optional(Some(found))),
        },
        _ => failed("no such overload"),
    }
}

fn has<'a>(of: Value<'a>, name: &str) -> Result<Value<'a>, Error> {
    match of {
        Value::Map(map) => Ok(Value::Bool(find(&map, name).is_some())),
        Value::Object(made) => Ok(Value::Bool(made.get(name).is_some())),
        Value::Optional(None) => Ok(Value::Bool(false)),
        Value::Optional(Some(of)) => has((*of).clone(), name),
        _ => failed("no such overload"),
    }
}

fn index<'a>(of: Value<'a>, index: &Value<'a>, optional: bool) -> Result<Value<'a>, Error> {
    let (found, missing) = match (&of, index) {
        (Value::List(items), Value::Int(at)) => {
            let found = usize::try_from(*at).ok().and_then(|at| items.get(at));
            (found, format!("index out of bounds: {at}"))
        }
        (Value::Map(map), key) => {
            (map.get(key), format!("no such key: {}", key.as_text().unwrap_or(key.type_name())))
        }
        (Value::Optional(inner), _) => {
            let Some(inner) = inner else { return Ok(Value::Optional(None)) };
            return self::index((**inner).clone(), index, true);
        }
        _ => return failed("no such overload"),
    };
    match (found, optional) {
        (found, true) => Ok(Value::optional(found)),
        (Some(found), false) => Ok(found),
        (None, false) => failed(missing),
    }
}
