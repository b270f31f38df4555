//! Kubernetes' own additions: times, quantities, addresses, URLs, formats.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::names::FORMATS;
use super::value::Value;
use super::{Error, failed};
use crate::scalars::Quantity;
use crate::validation::names;

type Outcome<'a> = Result<Value<'a>, Error>;

const BILLION: i128 = 1_000_000_000;

/// The parts of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    scheme: String,
    host: String,
    path: String,
    query: Vec<(String, String)>,
}

fn overload<'a>() -> Outcome<'a> {
    failed("no such overload")
}

/// A duration as Go writes it, in nanoseconds.
pub(super) fn duration(text: &str) -> Option<i128> {
    text.parse::<crate::scalars::Duration>().ok().map(|duration| i128::from(duration.duration))
}

/// A time or a duration, and another one.
pub(super) fn time<'a>(operator: &str, left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    let made = match (operator, left, right) {
        ("+", Value::Duration(a), b) | ("+", b, Value::Duration(a)) if !matches!(b, Value::Timestamp(_)) => {
            b.nanos().and_then(|b| a.checked_add(b)).map(Value::Duration)
        }
        ("-", Value::Duration(a), b) => b.nanos().and_then(|b| a.checked_sub(b)).map(Value::Duration),
        ("-", a, b)
            if matches!(b, Value::Timestamp(_))
                || matches!((a, b), (Value::Timestamp(_), Value::Text(_))) =>
        {
            match (a.instant(), b.instant()) {
                (Some(a), Some(b)) => a.as_nanosecond().checked_sub(b.as_nanosecond()).map(Value::Duration),
                _ => return overload(),
            }
        }
        ("+" | "-", at, by) => {
            let (at, by) = if at.instant().is_some() { (at, by) } else { (by, at) };
            let (Some(at), Some(by)) = (at.instant(), by.nanos()) else { return overload() };
            let sign = if operator == "-" { -1 } else { 1 };
            let nanos = by.checked_mul(sign).and_then(|by| at.as_nanosecond().checked_add(by));
            nanos.and_then(|nanos| jiff::Timestamp::from_nanosecond(nanos).ok()).map(Value::Timestamp)
        }
        _ => return overload(),
    };
    made.map_or_else(|| failed("timestamp overflow"), Ok)
}

/// What makes values of a text, and asks whether it could.
pub(super) fn function<'a>(name: &str, value: &Value<'a>) -> Outcome<'a> {
    let Some(text) = value.as_text() else {
        return match (name, value) {
            ("timestamp", Value::Timestamp(_)) | ("duration", Value::Duration(_)) => Ok(value.clone()),
            ("timestamp", Value::Int(seconds)) => match jiff::Timestamp::from_second(*seconds) {
                Ok(time) => Ok(Value::Timestamp(time)),
                Err(_) => failed("timestamp overflow"),
            },
            ("ip", Value::Cidr(address, _)) => Ok(Value::Ip(*address)),
            _ => overload(),
        };
    };
    let or =
        |value: Option<Value<'a>>, what: &str| value.map_or_else(|| failed(format!("{what}: {text:?}")), Ok);
    match name {
        "timestamp" => or(text.parse().ok().map(Value::Timestamp), "invalid timestamp"),
        "duration" => or(duration(text).map(Value::Duration), "invalid duration"),
        "quantity" => or(quantity(text).map(Value::Quantity), "quantities must match the regular expression"),
        "isQuantity" => Ok(Value::Bool(quantity(text).is_some())),
        "ip" => or(ip(text).map(Value::Ip), "IP Address parse error during conversion from string"),
        "isIP" => Ok(Value::Bool(ip(text).is_some())),
        "cidr" => or(
            cidr(text).map(|(ip, bits)| Value::Cidr(ip, bits)),
            "network address parse error during conversion from string",
        ),
        "isCIDR" => Ok(Value::Bool(cidr(text).is_some())),
        "url" => or(
            url(text).map(|url| Value::Url(Arc::new(url))),
            "URL parse error during conversion from string",
        ),
        "isURL" => Ok(Value::Bool(url(text).is_some())),
        _ => failed(format!("undeclared reference to '{name}' (in container '')")),
    }
}

fn quantity(text: &str) -> Option<i128> {
    text.parse::<Quantity>().ok()?.nanos().ok()
}

/// Addresses within IPv6 that stand for others are refused, as is a zone.
fn ip(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    let mapped = matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
    (!mapped).then_some(address)
}

fn cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let address = ip(address)?;
    let digits = bits.bytes().all(|byte| byte.is_ascii_digit()) && !bits.starts_with('0') || bits == "0";
    let bits = bits.parse().ok().filter(|bits| digits && *bits <= length(address))?;
    Some((address, bits))
}

fn length(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The bits of an address, with those behind the first ones cleared.
fn masked(address: IpAddr, bits: u8) -> IpAddr {
    let keep = |all: u32| u128::MAX.checked_shl(all - u32::from(bits)).unwrap_or(0);
    match address {
        IpAddr::V4(address) => IpAddr::V4((u32::from(address) & (keep(32) as u32)).into()),
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & keep(128)).into()),
    }
}

/// Whether an address is written as it is always written.
pub(super) fn is_canonical<'a>(text: &str) -> Outcome<'a> {
    match ip(text) {
        Some(address) => Ok(Value::Bool(address.to_string() == text)),
        None => failed(format!("IP Address {text:?} parse error during conversion from string")),
    }
}

fn url(text: &str) -> Option<Url> {
    if text.contains(|c: char| c.is_control() || c == ' ') {
        return None;
    }
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest))
            if !scheme.is_empty()
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) =>
        {
            (scheme.to_ascii_lowercase(), rest)
        }
        _ if text.starts_with('/') => (String::new(), text),
        _ => return None,
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = match place.find('/') {
        Some(at) if !scheme.is_empty() => place.split_at(at),
        None if !scheme.is_empty() => (place, ""),
        _ => ("", place),
    };
    let host = host.rsplit('@').next().unwrap_or_default();
    let port = host.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
    if port.is_some_and(|port| !port.bytes().all(|byte| byte.is_ascii_digit())) {
        return None;
    }
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let query = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name.to_owned(), value.to_owned())
    });
    Some(Url { scheme, host: host.to_owned(), path: path.to_owned(), query: query.collect() })
}

impl Url {
    fn host_and_port(&self) -> (&str, &str) {
        match self.host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port),
            _ => (&self.host, ""),
        }
    }
}

/// A format of texts by its name.
pub(super) fn format<'a>(name: &str) -> Outcome<'a> {
    match FORMATS.into_iter().find(|known| *known == name) {
        Some(name) => Ok(Value::Format(name)),
        None => failed(format!("undeclared reference to 'format.{name}' (in container '')")),
    }
}

fn problems(format: &str, text: &str) -> Vec<String> {
    let prefix = || text.strip_suffix('-').map_or_else(|| text.to_owned(), |start| format!("{start}a"));
    match format {
        "dns1123Label" => names::dns1123_label(text),
        "dns1123LabelPrefix" => names::dns1123_label(&prefix()),
        "dns1123Subdomain" => names::dns1123_subdomain(text),
        "dns1123SubdomainPrefix" => names::dns1123_subdomain(&prefix()),
        "dns1035Label" => names::dns1035_label(text),
        "dns1035LabelPrefix" => names::dns1035_label(&prefix()),
        "qualifiedName" => names::qualified_name(text),
        "labelValue" => names::label_value(text),
        other if crate::custom::format_allows(other, text) => Vec::new(),
        other => vec![format!("invalid {other}")],
    }
}

/// A value of the library as text.
pub(super) fn text(value: &Value<'_>) -> Option<String> {
    Some(match value {
        Value::Timestamp(time) => time.to_string(),
        Value::Duration(nanos) => format!("{}s", *nanos as f64 / BILLION as f64),
        Value::Ip(address) => address.to_string(),
        Value::Cidr(address, bits) => format!("{address}/{bits}"),
        _ => return None,
    })
}

/// A function that is called on a value of the library: the first of `values`.
pub(super) fn method<'a>(name: &str, values: &[Value<'a>]) -> Outcome<'a> {
    match values {
        [Value::Quantity(nanos), rest @ ..] => of_quantity(name, *nanos, rest),
        [Value::Ip(address), rest @ ..] => of_ip(name, *address, rest),
        [Value::Cidr(address, bits), rest @ ..] => of_cidr(name, *address, *bits, rest),
        [Value::Url(url)] => of_url(name, url),
        [Value::Format(format), Value::Text(text)] if name == "validate" => {
            let problems = problems(format, text.as_str());
            let texts =
                || Value::list(problems.iter().map(|problem| Value::text(problem.as_str())).collect());
            Ok(Value::optional((!problems.is_empty()).then(texts)))
        }
        [Value::Duration(nanos)] => of_duration(name, *nanos),
        [time @ (Value::Timestamp(_) | Value::Text(_)), rest @ ..] => match time.instant() {
            Some(time) => of_time(name, time, rest),
            None => overload(),
        },
        _ => overload(),
    }
}

fn of_quantity<'a>(name: &str, nanos: i128, arguments: &[Value<'a>]) -> Outcome<'a> {
    let whole = || (nanos % BILLION == 0).then(|| i64::try_from(nanos / BILLION).ok()).flatten();
    let other = match arguments {
        [Value::Quantity(other)] => Some(*other),
        [Value::Int(other)] => i128::from(*other).checked_mul(BILLION),
        _ => None,
    };
    Ok(match (name, other) {
        ("isInteger", None) => Value::Bool(whole().is_some()),
        ("asInteger", None) => match whole() {
            Some(number) => Value::Int(number),
            None => return failed("cannot convert value to integer"),
        },
        ("asApproximateFloat", None) => Value::Double(nanos as f64 / BILLION as f64),
        ("sign", None) => Value::Int(nanos.signum() as i64),
        ("add", Some(other)) => Value::Quantity(nanos.saturating_add(other)),
        ("sub", Some(other)) => Value::Quantity(nanos.saturating_sub(other)),
        ("isLessThan", Some(other)) => Value::Bool(nanos < other),
        ("isGreaterThan", Some(other)) => Value::Bool(nanos > other),
        ("compareTo", Some(other)) => Value::Int(nanos.cmp(&other) as i64),
        _ => return overload(),
    })
}

fn of_ip<'a>(name: &str, address: IpAddr, arguments: &[Value<'a>]) -> Outcome<'a> {
    if !arguments.is_empty() {
        return overload();
    }
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.segments()[0] & 0xffc0 == 0xfe80,
    };
    Ok(match name {
        "family" => Value::Int(if address.is_ipv4() { 4 } else { 6 }),
        "isUnspecified" => Value::Bool(address.is_unspecified()),
        "isLoopback" => Value::Bool(address.is_loopback()),
        "isLinkLocalUnicast" => Value::Bool(link_local),
        "isLinkLocalMulticast" => Value::Bool(match address {
            IpAddr::V4(address) => address.octets()[..3] == [224, 0, 0],
            IpAddr::V6(address) => address.segments()[0] & 0xff0f == 0xff02,
        }),
        "isGlobalUnicast" => Value::Bool(
            !(address.is_unspecified() || address.is_loopback() || address.is_multicast() || link_local)
                && address != IpAddr::V4(std::net::Ipv4Addr::BROADCAST),
        ),
        _ => return overload(),
    })
}

fn of_cidr<'a>(name: &str, address: IpAddr, bits: u8, arguments: &[Value<'a>]) -> Outcome<'a> {
    let same_family = |other: IpAddr| other.is_ipv4() == address.is_ipv4();
    let holds = |other: IpAddr| same_family(other) && masked(other, bits) == masked(address, bits);
    Ok(match (name, arguments) {
        ("ip", []) => Value::Ip(address),
        ("prefixLength", []) => Value::Int(bits.into()),
        ("masked", []) => Value::Cidr(masked(address, bits), bits),
        ("containsIP", [Value::Ip(other)]) => Value::Bool(holds(*other)),
        ("containsIP", [Value::Text(text)]) => match ip(text.as_str()) {
            Some(other) => Value::Bool(holds(other)),
            None => return failed(format!("IP Address {:?} parse error", text.as_str())),
        },
        ("containsCIDR", [Value::Cidr(other, length)]) => Value::Bool(*length >= bits && holds(*other)),
        ("containsCIDR", [Value::Text(text)]) => match cidr(text.as_str()) {
            Some((other, length)) => Value::Bool(length >= bits && holds(other)),
            None => return failed(format!("network address {:?} parse error", text.as_str())),
        },
        _ => return overload(),
    })
}

fn of_url<'a>(name: &str, url: &Url) -> Outcome<'a> {
    let (host, port) = url.host_and_port();
    Ok(match name {
        "getScheme" => Value::text(url.scheme.as_str()),
        "getHost" => Value::text(url.host.as_str()),
        "getHostname" => Value::text(host.trim_matches(['[', ']'])),
        "getPort" => Value::text(port),
        "getEscapedPath" => Value::text(url.path.as_str()),
        "getQuery" => {
            let mut entries: BTreeMap<&str, Vec<Value<'a>>> = BTreeMap::new();
            for (key, value) in &url.query {
                entries.entry(key).or_default().push(Value::text(value.as_str()));
            }
            let entries = entries.into_iter().map(|(key, values)| (Value::text(key), Value::list(values)));
            let entries = entries.collect();
            Value::Map(super::value::Map::Made(Arc::new(entries)))
        }
        _ => return overload(),
    })
}

fn of_duration<'a>(name: &str, nanos: i128) -> Outcome<'a> {
    let unit = match name {
        "getHours" => 3600 * BILLION,
        "getMinutes" => 60 * BILLION,
        "getSeconds" => BILLION,
        "getMilliseconds" => 1_000_000,
        _ => return overload(),
    };
    Ok(Value::Int(i64::try_from(nanos / unit).unwrap_or(i64::MAX)))
}

fn of_time<'a>(name: &str, time: jiff::Timestamp, arguments: &[Value<'a>]) -> Outcome<'a> {
    let zone = match arguments {
        [] => TimeZone::UTC,
        [Value::Text(zone)] => match TimeZone::get(zone.as_str()) {
            Ok(zone) => zone,
            Err(_) => return failed(format!("unknown time zone {}", zone.as_str())),
        },
        _ => return overload(),
    };
    let time = time.to_zoned(zone);
    Ok(Value::Int(match name {
        "getFullYear" => time.year().into(),
        "getMonth" => i64::from(time.month()) - 1,
        "getDate" => time.day().into(),
        "getDayOfMonth" => i64::from(time.day()) - 1,
        "getDayOfYear" => i64::from(time.day_of_year()) - 1,
        "getDayOfWeek" => time.weekday().to_sunday_zero_offset().into(),
        "getHours" => time.hour().into(),
        "getMinutes" => time.minute().into(),
        "getSeconds" => time.second().into(),
        "getMilliseconds" => time.millisecond().into(),
        _ => return overload(),
    }))
}
