//! Operators, conversions, and functions of texts and lists.

use std::borrow::Cow;
use std::cmp::Ordering;

use regex::{Regex, RegexBuilder};

use super::value::{List, Map, Value};
use super::{Budget, Error, failed, library};

type Outcome<'a> = Result<Value<'a>, Error>;

/// The largest list and text that an operator makes.
const MAX_MADE: usize = 1 << 20;
/// The largest regular expression that a rule may have, in bytes once it is read.
const MAX_LITERAL: usize = 1 << 22;
/// The same for those that are made while a rule runs, and what reading one costs.
const MAX_DYNAMIC: usize = 1 << 18;
const DYNAMIC_COST: usize = 2000;

fn overload<'a>() -> Outcome<'a> {
    failed("no such overload")
}

/// An operator with two sides.
pub(super) fn binary<'a>(
    operator: &str,
    left: &Value<'a>,
    right: &Value<'a>,
    budget: &mut Budget,
) -> Outcome<'a> {
    match operator {
        "==" | "!=" => {
            left.pay(right, budget)?;
            return Ok(Value::Bool(left.equals(right) == (operator == "==")));
        }
        "in" => return contains(right, left, budget),
        "<" | "<=" | ">" | ">=" => {
            budget.pay(left.size().min(right.size()))?;
            let Some(order) = left.compare(right) else { return overload() };
            return Ok(Value::Bool(match operator {
                "<" => order == Ordering::Less,
                "<=" => order != Ordering::Greater,
                ">" => order == Ordering::Greater,
                _ => order != Ordering::Less,
            }));
        }
        // What is made of both is as large as both.
        _ => budget.pay(left.size().saturating_add(right.size()))?,
    }
    arithmetic(operator, left, right)
}

fn contains<'a>(of: &Value<'a>, wanted: &Value<'a>, budget: &mut Budget) -> Outcome<'a> {
    match of {
        Value::List(items) => Ok(Value::Bool(holds(items.iter(), wanted, budget)?)),
        Value::Map(map) => {
            budget.pay(of.entries_to_search())?;
            Ok(Value::Bool(map.get(wanted).is_some()))
        }
        _ => overload(),
    }
}

/// Whether one of some items equals another, paying for each that is looked at.
fn holds<'a>(
    items: impl IntoIterator<Item = Value<'a>>,
    wanted: &Value<'a>,
    budget: &mut Budget,
) -> Result<bool, Error> {
    for item in items {
        item.pay(wanted, budget)?;
        if item.equals(wanted) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn arithmetic<'a>(operator: &str, left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    let overflow =
        |number: Option<i64>| number.map(Value::Int).map_or_else(|| failed("integer overflow"), Ok);
    match (left, right) {
        (Value::Int(_), Value::Int(0)) if matches!(operator, "/" | "%") => {
            failed(if operator == "/" { "division by zero" } else { "modulus by zero" })
        }
        (Value::Int(a), Value::Int(b)) => overflow(match operator {
            "+" => a.checked_add(*b),
            "-" => a.checked_sub(*b),
            "*" => a.checked_mul(*b),
            "/" => a.checked_div(*b),
            _ => a.checked_rem(*b),
        }),
        (Value::Uint(a), Value::Uint(b)) => {
            let made = match operator {
                "+" => a.checked_add(*b),
                "-" => a.checked_sub(*b),
                "*" => a.checked_mul(*b),
                "/" => a.checked_div(*b),
                _ => a.checked_rem(*b),
            };
            made.map(Value::Uint).map_or_else(|| failed("unsigned integer overflow"), Ok)
        }
        // A number of the schema may be written without a fraction, which makes it look like an integer.
        (Value::Int(a), Value::Double(b)) => double(operator, *a as f64, *b),
        (Value::Double(a), Value::Int(b)) => double(operator, *a, *b as f64),
        (Value::Double(a), Value::Double(b)) => double(operator, *a, *b),
        (Value::Text(a), Value::Text(b)) if operator == "+" => {
            if a.as_str().len() + b.as_str().len() > MAX_MADE {
                return Err(Error::TooExpensive);
            }
            Ok(Value::text(format!("{}{}", a.as_str(), b.as_str())))
        }
        (Value::List(a), Value::List(b)) if operator == "+" => {
            if a.len() + b.len() > MAX_MADE {
                return Err(Error::TooExpensive);
            }
            Ok(Value::list(a.iter().chain(b.iter()).collect()))
        }
        (Value::Timestamp(_), _)
        | (_, Value::Timestamp(_))
        | (Value::Duration(_), _)
        | (_, Value::Duration(_)) => library::time(operator, left, right),
        _ => overload(),
    }
}

fn double<'a>(operator: &str, a: f64, b: f64) -> Outcome<'a> {
    match operator {
        "+" => Ok(Value::Double(a + b)),
        "-" => Ok(Value::Double(a - b)),
        "*" => Ok(Value::Double(a * b)),
        "/" => Ok(Value::Double(a / b)),
        _ => overload(),
    }
}

/// A function: conversions, and what makes values of the library.
pub(super) fn function<'a>(name: &str, arguments: &[Value<'a>]) -> Outcome<'a> {
    let [value] = arguments else {
        return failed(format!("undeclared reference to '{name}' (in container '')"));
    };
    match (name, value) {
        ("size", value) => size(value),
        ("type", value) => Ok(Value::Type(value.type_name())),
        ("dyn", value) => Ok(value.clone()),
        ("int", Value::Int(_)) | ("uint", Value::Uint(_)) | ("double", Value::Double(_)) => Ok(value.clone()),
        ("string", Value::Text(_)) | ("bool", Value::Bool(_)) | ("bytes", Value::Bytes(_)) => {
            Ok(value.clone())
        }
        ("int", value) => integer(value),
        ("uint", Value::Int(number)) => {
            u64::try_from(*number).map(Value::Uint).or_else(|_| failed("unsigned integer overflow"))
        }
        ("uint", Value::Text(text)) => text
            .as_str()
            .parse()
            .map(Value::Uint)
            .or_else(|_| failed(format!("cannot convert {:?} to uint", text.as_str()))),
        ("double", Value::Int(number)) => Ok(Value::Double(*number as f64)),
        ("double", Value::Uint(number)) => Ok(Value::Double(*number as f64)),
        ("double", Value::Text(text)) => text
            .as_str()
            .parse()
            .map(Value::Double)
            .or_else(|_| failed(format!("cannot convert {:?} to double", text.as_str()))),
        ("bool", Value::Text(text)) => match text.as_str() {
            "true" | "True" | "TRUE" | "t" | "1" => Ok(Value::Bool(true)),
            "false" | "False" | "FALSE" | "f" | "0" => Ok(Value::Bool(false)),
            other => failed(format!("cannot convert {other:?} to bool")),
        },
        ("bytes", Value::Text(text)) => Ok(Value::Bytes(text.as_str().as_bytes().into())),
        ("string", value) => string(value),
        _ => library::function(name, value),
    }
}

fn size<'a>(value: &Value<'a>) -> Outcome<'a> {
    let size = match value {
        Value::Text(text) => text.as_str().chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(items) => items.len(),
        Value::Map(map) => map.len(),
        _ => return overload(),
    };
    Ok(int(size))
}

fn int<'a>(number: usize) -> Value<'a> {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn integer<'a>(value: &Value<'a>) -> Outcome<'a> {
    match value {
        Value::Uint(number) => i64::try_from(*number).map(Value::Int).or_else(|_| failed("integer overflow")),
        Value::Double(number) if number.is_finite() && number.abs() < 9.2e18 => {
            Ok(Value::Int(number.trunc() as i64))
        }
        Value::Double(_) => failed("integer overflow"),
        Value::Text(text) => text
            .as_str()
            .parse()
            .map(Value::Int)
            .or_else(|_| failed(format!("cannot convert {:?} to int", text.as_str()))),
        Value::Timestamp(time) => Ok(Value::Int(time.as_second())),
        Value::Duration(nanos) => {
            i64::try_from(*nanos).map(Value::Int).or_else(|_| failed("integer overflow"))
        }
        _ => overload(),
    }
}

/// A value as text.
pub(super) fn string<'a>(value: &Value<'a>) -> Outcome<'a> {
    let text = match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Uint(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Text(_) => return Ok(value.clone()),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => return failed("invalid UTF-8 in bytes, cannot convert to string"),
        },
        other => match library::text(other) {
            Some(text) => text,
            None => return overload(),
        },
    };
    Ok(Value::text(text))
}

/// What stands below a name: `optional.of(x)`, `sets.contains(a, b)`.
pub(super) fn in_space<'a>(
    space: &str,
    name: &str,
    arguments: &[Value<'a>],
    budget: &mut Budget,
) -> Outcome<'a> {
    match (space, name, arguments) {
        ("optional", "none", []) => Ok(Value::Optional(None)),
        ("optional", "of", [value]) => Ok(Value::optional(Some(value.clone()))),
        ("optional", "ofNonZeroValue", [value]) => {
            let zero = matches!(value, Value::Null | Value::Bool(false) | Value::Int(0) | Value::Uint(0))
                || size(value).is_ok_and(|size| size.equals(&Value::Int(0)));
            Ok(Value::optional((!zero).then(|| value.clone())))
        }
        ("sets", name, [Value::List(a), Value::List(b)]) => sets(name, a, b, budget),
        ("math", name, [Value::List(items)]) => extreme(name, &items.iter().collect::<Vec<_>>(), budget),
        ("math", name, values) => extreme(name, values, budget),
        ("format", name, []) => library::format(name),
        ("format", "named", [Value::Text(name)]) => Ok(Value::optional(library::format(name.as_str()).ok())),
        ("ip", "isCanonical", [Value::Text(text)]) => library::is_canonical(text.as_str()),
        ("jsonpatch", "escapeKey", [Value::Text(key)]) => {
            Ok(Value::text(key.as_str().replace('~', "~0").replace('/', "~1")))
        }
        _ => failed(format!("undeclared reference to '{space}.{name}' (in container '')")),
    }
}

fn sets<'a>(name: &str, a: &List<'a>, b: &List<'a>, budget: &mut Budget) -> Outcome<'a> {
    // Whether an item of `a` is one of `b`, or is none of them.
    let mut any = |a: &List<'a>, b: &List<'a>, held: bool| -> Result<bool, Error> {
        for item in a.iter() {
            if holds(b.iter(), &item, budget)? == held {
                return Ok(true);
            }
        }
        Ok(false)
    };
    Ok(Value::Bool(match name {
        "contains" => !any(b, a, false)?,
        "equivalent" => !any(a, b, false)? && !any(b, a, false)?,
        "intersects" => any(a, b, true)?,
        _ => return failed(format!("undeclared reference to 'sets.{name}' (in container '')")),
    }))
}

fn extreme<'a>(name: &str, values: &[Value<'a>], budget: &mut Budget) -> Outcome<'a> {
    let wanted = match name {
        "greatest" | "max" => Ordering::Greater,
        "least" | "min" => Ordering::Less,
        _ => return overload(),
    };
    let Some((first, rest)) = values.split_first() else {
        return failed(format!("{name} called on empty list"));
    };
    let mut best = first;
    for value in rest {
        budget.pay(value.size().min(best.size()))?;
        match value.compare(best) {
            None => return overload(),
            Some(order) if order == wanted => best = value,
            Some(_) => {}
        }
    }
    Ok(best.clone())
}

/// A function that is called on a value: the first of `values`. `literal` is the regular expression that it looks for,
/// where that is known.
pub(super) fn method<'a>(
    name: &str,
    values: &[Value<'a>],
    literal: Option<&Regex>,
    budget: &mut Budget,
) -> Outcome<'a> {
    match values {
        [value] if name == "size" => size(value),
        [Value::Authorizer(of), rest @ ..] => of.method(name, rest, budget),
        [Value::Optional(of), rest @ ..] => optional(name, of.as_deref(), rest),
        [Value::Text(text), rest @ ..] => {
            let found = of_text(name, text.as_str(), rest, literal, budget)?;
            found.map_or_else(|| library::method(name, values), Ok)
        }
        [Value::List(items), rest @ ..] => of_list(name, items, rest, budget),
        [Value::Map(map), ..] => of_map(name, map),
        _ => library::method(name, values),
    }
}

fn of_map<'a>(name: &str, _: &Map<'a>) -> Outcome<'a> {
    failed(format!("no such overload: map has no function {name}"))
}

fn optional<'a>(name: &str, of: Option<&Value<'a>>, arguments: &[Value<'a>]) -> Outcome<'a> {
    match (name, arguments, of) {
        ("hasValue", [], of) => Ok(Value::Bool(of.is_some())),
        ("value", [], Some(value)) | ("orValue", [_], Some(value)) => Ok(value.clone()),
        ("value", [], None) => failed("optional.none() dereference"),
        ("orValue", [other], None) | ("or", [other], None) => Ok(other.clone()),
        ("or", [_], Some(value)) => Ok(Value::optional(Some(value.clone()))),
        _ => overload(),
    }
}

/// A function of a text; none where another part of the library may have it.
fn of_text<'a>(
    name: &str,
    text: &str,
    arguments: &[Value<'a>],
    literal: Option<&Regex>,
    budget: &mut Budget,
) -> Result<Option<Value<'a>>, Error> {
    let letters = |text: &str| text.chars().collect::<Vec<char>>();
    let texts: Vec<&str> = arguments.iter().filter_map(Value::as_text).collect();
    let value = match (name, texts.as_slice(), arguments) {
        ("contains", [part], [_]) => Value::Bool(text.contains(part)),
        ("startsWith", [part], [_]) => Value::Bool(text.starts_with(part)),
        ("endsWith", [part], [_]) => Value::Bool(text.ends_with(part)),
        ("matches", [pattern], [_]) => Value::Bool(regex(literal, pattern, text, budget)?.is_match(text)),
        ("find", [pattern], [_]) => Value::text(
            regex(literal, pattern, text, budget)?.find(text).map(|found| found.as_str()).unwrap_or_default(),
        ),
        ("findAll", [pattern], rest) => {
            let limit = match rest {
                [_, Value::Int(limit)] => usize::try_from(*limit).unwrap_or(usize::MAX),
                _ => usize::MAX,
            };
            let regex = regex(literal, pattern, text, budget)?;
            let found = regex.find_iter(text).take(limit).map(|found| Value::text(found.as_str()));
            made(found.collect(), budget)?
        }
        ("lowerAscii", [], []) => Value::text(text.to_ascii_lowercase()),
        ("upperAscii", [], []) => Value::text(text.to_ascii_uppercase()),
        ("trim", [], []) => Value::text(text.trim()),
        ("reverse", [], []) => Value::text(text.chars().rev().collect::<String>()),
        ("replace", [from, to], rest) => {
            let limit = match rest {
                [_, _, Value::Int(limit)] => usize::try_from(*limit).unwrap_or(usize::MAX),
                _ => usize::MAX,
            };
            let places = if from.is_empty() { text.len() + 1 } else { text.matches(from).count() };
            if text.len().saturating_add(places.saturating_mul(to.len())) > MAX_MADE {
                return Err(Error::TooExpensive);
            }
            Value::text(text.replacen(from, to, limit))
        }
        ("split", [by], rest) => {
            let limit = match rest {
                [_, Value::Int(limit)] => usize::try_from(*limit).unwrap_or(usize::MAX),
                _ => usize::MAX,
            };
            let parts: Vec<Value<'a>> = if by.is_empty() {
                text.chars().take(limit).map(|letter| Value::text(letter.to_string())).collect()
            } else {
                text.splitn(limit, by).map(Value::text).collect()
            };
            made(parts, budget)?
        }
        ("indexOf" | "lastIndexOf", [part], _) => {
            let found = if name == "indexOf" { text.find(part) } else { text.rfind(part) };
            found.map_or(Value::Int(-1), |at| int(text[..at].chars().count()))
        }
        ("charAt", [], [Value::Int(at)]) => {
            let letters = letters(text);
            match usize::try_from(*at).ok().filter(|at| *at <= letters.len()) {
                Some(at) => Value::text(letters.get(at).map(ToString::to_string).unwrap_or_default()),
                None => return failed(format!("index out of range: {at}")),
            }
        }
        ("substring", [], [Value::Int(from), rest @ ..]) => {
            let letters = letters(text);
            let end = match rest {
                [Value::Int(end)] => usize::try_from(*end).ok(),
                _ => Some(letters.len()),
            };
            let from = usize::try_from(*from).ok();
            match from.zip(end).and_then(|(from, end)| letters.get(from..end)) {
                Some(letters) => Value::text(letters.iter().collect::<String>()),
                None => return failed("index out of range"),
            }
        }
        _ => return Ok(None),
    };
    Ok(Some(value))
}

/// A list of parts of a text. There may be many more of them than the text's size says.
fn made<'a>(parts: Vec<Value<'a>>, budget: &mut Budget) -> Outcome<'a> {
    budget.pay(parts.len())?;
    Ok(Value::list(parts))
}

/// The regular expression to look for. Running it over the text has its price, and so has reading one that is not known
/// yet.
fn regex<'r>(
    literal: Option<&'r Regex>,
    pattern: &str,
    text: &str,
    budget: &mut Budget,
) -> Result<Cow<'r, Regex>, Error> {
    budget.pay((pattern.len() / 4 + 1).saturating_mul(text.len() / 10 + 1))?;
    if let Some(known) = literal {
        return Ok(Cow::Borrowed(known));
    }
    budget.pay(pattern.len().saturating_add(DYNAMIC_COST))?;
    compile(pattern, MAX_DYNAMIC).map(Cow::Owned)
}

/// A regular expression that is written in a rule.
pub(super) fn literal(pattern: &str) -> Result<Regex, Error> {
    compile(pattern, MAX_LITERAL)
}

fn compile(pattern: &str, limit: usize) -> Result<Regex, Error> {
    RegexBuilder::new(pattern).size_limit(limit).build().map_err(|error| {
        Error::Failed(format!("error parsing regexp: {}", error.to_string().replace('\n', " ")))
    })
}

fn of_list<'a>(name: &str, items: &List<'a>, arguments: &[Value<'a>], budget: &mut Budget) -> Outcome<'a> {
    let all: Vec<Value<'a>> = items.iter().collect();
    match (name, arguments) {
        ("isSorted", []) => {
            for pair in all.windows(2) {
                budget.pay(pair[0].size().min(pair[1].size()))?;
            }
            let sorted = |pair: &[Value<'a>]| {
                pair[0].compare(&pair[1]).is_some_and(|order| order != Ordering::Greater)
            };
            Ok(Value::Bool(all.windows(2).all(sorted)))
        }
        ("sum", []) => {
            let mut sum = all.first().cloned().unwrap_or(Value::Int(0));
            for item in all.iter().skip(1) {
                sum = binary("+", &sum, item, budget)?;
            }
            Ok(sum)
        }
        ("min" | "max", []) => extreme(name, &all, budget),
        ("indexOf" | "lastIndexOf", [wanted]) => {
            all.iter().try_for_each(|item| item.pay(wanted, budget))?;
            let mut places = all.iter().enumerate().filter(|(_, item)| item.equals(wanted)).map(|(at, _)| at);
            let found = if name == "indexOf" { places.next() } else { places.next_back() };
            Ok(found.map_or(Value::Int(-1), int))
        }
        ("join", rest) => {
            let by = rest.first().and_then(Value::as_text).unwrap_or_default();
            let texts: Option<Vec<&str>> = all.iter().map(Value::as_text).collect();
            let Some(texts) = texts else { return overload() };
            let length = texts.iter().map(|text| text.len().saturating_add(by.len()));
            let length = length.fold(0, usize::saturating_add);
            if length > MAX_MADE {
                return Err(Error::TooExpensive);
            }
            budget.pay(length / 10)?;
            Ok(Value::text(texts.join(by)))
        }
        ("reverse", []) => Ok(Value::list(all.into_iter().rev().collect())),
        ("distinct", []) => {
            let mut distinct: Vec<Value<'a>> = Vec::new();
            for item in all {
                if !holds(distinct.iter().cloned(), &item, budget)? {
                    distinct.push(item);
                }
            }
            Ok(Value::list(distinct))
        }
        ("slice", [Value::Int(from), Value::Int(to)]) => {
            let range = usize::try_from(*from).ok().zip(usize::try_from(*to).ok());
            let slice = range.and_then(|(from, to)| all.get(from..to));
            slice.map(|slice| Value::list(slice.to_vec())).map_or_else(|| failed("index out of bounds"), Ok)
        }
        _ => overload(),
    }
}
