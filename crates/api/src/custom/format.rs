//! The formats of strings and numbers that a schema may name. Others say nothing.

use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use serde_json::Value;

use crate::validation::names;

/// Whether a text has a format.
pub(crate) fn allows(format: &str, text: &str) -> bool {
    match format {
        "date-time" | "datetime" => text.parse::<jiff::Timestamp>().is_ok(),
        "date" => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
        "duration" => text.parse::<crate::scalars::Duration>().is_ok(),
        "byte" => base64::engine::general_purpose::STANDARD.decode(text).is_ok(),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => names::cidr(text).is_empty(),
        "mac" => mac(text),
        "uuid" | "uuid3" | "uuid4" | "uuid5" => uuid(text, format.strip_prefix("uuid").unwrap_or_default()),
        "hostname" => hostname(text),
        "email" => email(text),
        "uri" => uri(text),
        "hexcolor" => hex_color(text),
        _ => true,
    }
}

/// Whether a number has the size of a format; integers of no format have 64 bits.
pub(crate) fn holds(integer: bool, format: &str, number: &Value) -> bool {
    // A whole number that is written as a fraction, or too large for any integer.
    let whole = || number.as_f64().unwrap_or(f64::INFINITY);
    let within = |least: f64, beyond: f64| (least..beyond).contains(&whole());
    match (integer, format) {
        (true, "int32") => within(f64::from(i32::MIN), f64::from(i32::MAX) + 1.0),
        (true, "uint32") => within(0.0, f64::from(u32::MAX) + 1.0),
        (true, "uint64") => number.is_u64() || number.is_f64() && within(0.0, 2f64.powi(64)),
        (true, _) => number.is_i64() || number.is_f64() && within(-2f64.powi(63), 2f64.powi(63)),
        (false, "float" | "float32") => whole().abs() <= f64::from(f32::MAX),
        (false, _) => true,
    }
}

fn mac(text: &str) -> bool {
    let separator = if text.contains('-') { '-' } else { ':' };
    let parts: Vec<&str> = text.split(separator).collect();
    matches!(parts.len(), 6 | 8 | 20)
        && parts.iter().all(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// With dashes or without any; the version stands at the 13th digit.
fn uuid(text: &str, version: &str) -> bool {
    let dashed = text.len() == 36 && [8, 13, 18, 23].iter().all(|at| text.as_bytes()[*at] == b'-');
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    (dashed || text.len() == 32)
        && digits.len() == 32
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        && (version.is_empty() || digits[12..].starts_with(version))
}

fn hostname(text: &str) -> bool {
    text.len() <= 255 && text.split('.').all(|label| names::dns1123_label(&label.to_lowercase()).is_empty())
}

fn email(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(user, host)| {
        !user.is_empty()
            && !user.contains(char::is_whitespace)
            && !host.is_empty()
            && !host.contains(char::is_whitespace)
    })
}

/// A scheme, or a path from the root: what Go reads as the URI of a request.
fn uri(text: &str) -> bool {
    if text.contains(|c: char| c.is_control() || c == ' ') {
        return false;
    }
    let scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    };
    text.starts_with('/') || text.split_once(':').is_some_and(|(before, _)| scheme(before))
}

fn hex_color(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or(text);
    matches!(digits.len(), 3 | 6) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{allows, holds};

    #[test]
    fn numbers_have_the_size_of_their_format() {
        let cases = [
            (true, "int32", json!(2_147_483_647), json!(2_147_483_648_i64)),
            (true, "int32", json!(-2_147_483_648), json!(-2_147_483_649_i64)),
            (true, "", json!(i64::MAX), json!(9_223_372_036_854_775_808_u64)),
            (true, "int64", json!(4.0), json!(1e19)),
            (true, "uint32", json!(0), json!(-1)),
            (true, "uint64", json!(u64::MAX), json!(-1)),
            (false, "float", json!(1e38), json!(1e39)),
        ];
        for (integer, format, good, bad) in cases {
            assert!(holds(integer, format, &good), "{format}: {good}");
            assert!(!holds(integer, format, &bad), "{format}: {bad}");
        }
        assert!(holds(false, "double", &json!(1e300)));
    }

    #[test]
    fn formats_are_told_apart() {
        for (format, right, wrong) in [
            ("date-time", "2024-01-01T00:00:00Z", "2024-01-01"),
            ("date", "2024-01-01", "2024-13-01"),
            ("duration", "1h30m", "x"),
            ("byte", "eA==", "?"),
            ("ipv4", "10.0.0.1", "::1"),
            ("ipv6", "::1", "10.0.0.1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("mac", "00:11:22:33:44:55", "00:11"),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e4567"),
            ("uuid4", "123e4567-e89b-42d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174000"),
            ("hostname", "a.example", "-a"),
            ("email", "a@b.example", "a"),
            ("uri", "https://a.example/x", "a b"),
            ("hexcolor", "#ff00aa", "#ff"),
        ] {
            assert!(allows(format, right), "{format} {right}");
            assert!(!allows(format, wrong), "{format} {wrong}");
        }
        assert!(allows("password", "anything"));
    }
}
