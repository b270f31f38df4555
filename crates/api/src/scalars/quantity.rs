use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

const NANO: i128 = 1_000_000_000;

/// An amount of a resource, such as `500m`, `128Mi` or `1e3`
/// (`k8s.io.apimachinery.pkg.api.resource.Quantity`). It is kept as text; reading JSON brings it into canonical form.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Quantity {
    /// The amount as text.
    #[prost(string, tag = "1")]
    pub string: String,
}

/// A text that is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "invalid quantity {0:?}, must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)]
pub struct ParseQuantityError(String);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    DecimalSi,
    BinarySi,
    DecimalExponent,
}

impl Quantity {
    /// A quantity of thousandths, such as CPU: `from_milli(1500)` is `1500m`.
    #[must_use]
    pub fn from_milli(milli: i64) -> Self {
        Self { string: canonical(i128::from(milli) * (NANO / 1000), Format::DecimalSi) }
    }

    /// A whole number in decimal form.
    #[must_use]
    pub fn from_units(units: i64) -> Self {
        Self { string: canonical(i128::from(units) * NANO, Format::DecimalSi) }
    }

    /// A whole number of bytes in binary form, such as `64Mi`.
    #[must_use]
    pub fn from_bytes(bytes: i64) -> Self {
        Self { string: canonical(i128::from(bytes) * NANO, Format::BinarySi) }
    }

    /// Billionths, rounded up. Amounts beyond the range of 64-bit units are capped, as upstream caps them.
    pub fn nanos(&self) -> Result<i128, ParseQuantityError> {
        parse(&self.string).map(|(nanos, _)| nanos)
    }

    /// Whole units, rounded up; `None` where the text is no quantity.
    #[must_use]
    pub fn units(&self) -> Option<i64> {
        i64::try_from(ceil_div(self.nanos().ok()?, NANO)).ok()
    }

    /// Thousandths, rounded up; `None` where the text is no quantity.
    #[must_use]
    pub fn milli(&self) -> Option<i64> {
        i64::try_from(ceil_div(self.nanos().ok()?, NANO / 1000)).ok()
    }

    /// The sum, in the form of `self` unless that is zero; `None` where one is no quantity.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Option<Self> {
        self.combined(other, i128::saturating_add)
    }

    /// The difference, in the form of `self` unless that is zero; `None` where one is no quantity.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Option<Self> {
        self.combined(other, i128::saturating_sub)
    }

    fn combined(&self, other: &Self, with: fn(i128, i128) -> i128) -> Option<Self> {
        let (mine, my_format) = parse_or_zero(&self.string)?;
        let (others, other_format) = parse_or_zero(&other.string)?;
        let format = if mine == 0 { other_format } else { my_format };
        Some(Self { string: canonical(with(mine, others), format) })
    }

    /// Compares the amounts, whatever their form; `None` where one is no quantity.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        Some(self.nanos().ok()?.cmp(&other.nanos().ok()?))
    }
}

/// A quantity that was never set is zero, as on the wire.
fn parse_or_zero(text: &str) -> Option<(i128, Format)> {
    if text.is_empty() { Some((0, Format::DecimalSi)) } else { parse(text).ok() }
}

fn ceil_div(value: i128, by: i128) -> i128 {
    value.div_euclid(by) + i128::from(value.rem_euclid(by) != 0)
}

fn parse(text: &str) -> Result<(i128, Format), ParseQuantityError> {
    let invalid = || ParseQuantityError(text.to_owned());
    let (negative, rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') || number.len() > 64 {
        return Err(invalid());
    }
    let (format, exponent2, exponent10) = scale(suffix).ok_or_else(invalid)?;
    let whole = whole.trim_start_matches('0');
    let mut nanos = if whole.len() > 20 {
        i128::MAX
    } else {
        let digits: i128 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        scaled(digits, exponent2, exponent10)
    };
    // The fraction: a digit beyond a billionth of the unit is rounded up.
    for (i, digit) in fraction.bytes().enumerate() {
        let value = i128::from(digit - b'0');
        let position = exponent10 - i32::try_from(i).map_err(|_| invalid())? - 1;
        if value != 0 {
            nanos = nanos.saturating_add(scaled(value, exponent2, position));
        }
    }
    let nanos = nanos.min(i128::from(i64::MAX) * NANO);
    Ok((if negative { -nanos } else { nanos }, format))
}

/// `digits * 2^exponent2 * 10^exponent10` in billionths, rounded up.
fn scaled(digits: i128, exponent2: u32, exponent10: i32) -> i128 {
    let exponent = exponent10 + 9;
    let value = digits.saturating_mul(1i128 << exponent2);
    match 10i128.checked_pow(exponent.unsigned_abs()) {
        Some(power) if exponent >= 0 => value.saturating_mul(power),
        Some(power) => ceil_div(value, power),
        None if exponent >= 0 && value != 0 => i128::MAX,
        None => i128::from(value != 0),
    }
}

/// The form, the power of two and the power of ten of a suffix.
fn scale(suffix: &str) -> Option<(Format, u32, i32)> {
    use Format::{BinarySi, DecimalExponent, DecimalSi};
    Some(match suffix {
        "" => (DecimalSi, 0, 0),
        "n" => (DecimalSi, 0, -9),
        "u" => (DecimalSi, 0, -6),
        "m" => (DecimalSi, 0, -3),
        "k" => (DecimalSi, 0, 3),
        "M" => (DecimalSi, 0, 6),
        "G" => (DecimalSi, 0, 9),
        "T" => (DecimalSi, 0, 12),
        "P" => (DecimalSi, 0, 15),
        "E" => (DecimalSi, 0, 18),
        "Ki" => (BinarySi, 10, 0),
        "Mi" => (BinarySi, 20, 0),
        "Gi" => (BinarySi, 30, 0),
        "Ti" => (BinarySi, 40, 0),
        "Pi" => (BinarySi, 50, 0),
        "Ei" => (BinarySi, 60, 0),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            (exponent.abs() <= 64).then_some((DecimalExponent, 0, exponent))?
        }
    })
}

/// The canonical text: no fraction, the largest suffix that leaves none.
fn canonical(nanos: i128, format: Format) -> String {
    if nanos == 0 {
        return "0".to_owned();
    }
    if format == Format::BinarySi && nanos % NANO == 0 && nanos.abs() >= 1024 * NANO {
        let mut value = nanos / NANO;
        let mut power = 0;
        while power < 6 && value % 1024 == 0 {
            value /= 1024;
            power += 1;
        }
        return format!("{value}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][power]);
    }
    let mut value = nanos;
    let mut exponent = -9;
    while exponent < 18 && value % 1000 == 0 {
        value /= 1000;
        exponent += 3;
    }
    if format == Format::DecimalExponent {
        return if exponent == 0 { value.to_string() } else { format!("{value}e{exponent}") };
    }
    let suffix = match exponent {
        -9 => "n",
        -6 => "u",
        -3 => "m",
        3 => "k",
        6 => "M",
        9 => "G",
        12 => "T",
        15 => "P",
        18 => "E",
        _ => "",
    };
    format!("{value}{suffix}")
}

impl FromStr for Quantity {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (nanos, format) = parse(text)?;
        Ok(Self { string: canonical(nanos, format) })
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.string.is_empty() { "0" } else { &self.string })
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Number(serde_json::Number),
        }
        let text = match Form::deserialize(deserializer)? {
            Form::Text(text) => text,
            Form::Number(number) => number.to_string(),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Quantity;

    #[test]
    fn canonical_forms_are_upstreams() {
        for (text, canonical) in [
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1024Mi", "1Gi"),
            ("1500Mi", "1500Mi"),
            ("0.5Gi", "512Mi"),
            ("1e3", "1e3"),
            ("12e6", "12e6"),
            ("1000", "1k"),
            ("100", "100"),
            ("0", "0"),
            ("1.5", "1500m"),
            ("-3k", "-3k"),
            ("0.1n", "1n"),
            ("512Ki", "512Ki"),
            ("1Ki", "1Ki"),
            ("500", "500"),
        ] {
            assert_eq!(text.parse::<Quantity>().unwrap().string, canonical, "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "abc", "1.2.3", "1Zi", "--1", "1 Gi", "Gi", "1e", "1e1000000000"] {
            assert!(text.parse::<Quantity>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn sums_keep_the_first_form() {
        let quantity = |text: &str| text.parse::<Quantity>().unwrap();
        for (a, b, sum, difference) in [
            ("1500m", "500m", "2", "1"),
            ("1Gi", "1Gi", "2Gi", "0"),
            ("1Gi", "512Mi", "1536Mi", "512Mi"),
            ("0", "1Gi", "1Gi", "-1Gi"),
            ("1", "1Ki", "1025", "-1023"),
            ("1Ki", "1024", "2Ki", "0"),
        ] {
            assert_eq!(quantity(a).plus(&quantity(b)).unwrap().string, sum, "{a} + {b}");
            assert_eq!(quantity(a).minus(&quantity(b)).unwrap().string, difference, "{a} - {b}");
        }
        assert_eq!(quantity("1").plus(&Quantity::default()).unwrap().string, "1");
        assert_eq!(Quantity::default().plus(&Quantity { string: "x".into() }), None);
    }

    #[test]
    fn amounts_round_up() {
        assert_eq!("100m".parse::<Quantity>().unwrap().units(), Some(1));
        assert_eq!("1.5".parse::<Quantity>().unwrap().milli(), Some(1500));
        assert_eq!("128Mi".parse::<Quantity>().unwrap().units(), Some(128 << 20));
    }
}
