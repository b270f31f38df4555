use std::fmt;

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const SECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(0));
const MICROSECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

macro_rules! time {
    ($(#[$doc:meta])* $name:ident, $printer:ident, $unit:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Message)]
        pub struct $name {
            /// Seconds since the epoch.
            #[prost(int64, tag = "1")]
            pub seconds: i64,
            /// Nanoseconds within the second, 0 to 999,999,999.
            #[prost(int32, tag = "2")]
            pub nanos: i32,
        }

        impl $name {
            /// The present, at this type's precision.
            #[must_use]
            pub fn now() -> Self {
                Timestamp::now().into()
            }

            /// The instant; `None` where the message holds one that no calendar has.
            #[must_use]
            pub fn timestamp(&self) -> Option<Timestamp> {
                Timestamp::new(self.seconds, self.nanos).ok()
            }
        }

        impl From<Timestamp> for $name {
            fn from(time: Timestamp) -> Self {
                let nanos = time.subsec_nanosecond().rem_euclid(1_000_000_000);
                let seconds = time.as_second() - i64::from(time.subsec_nanosecond() < 0);
                Self { seconds, nanos: nanos - nanos % $unit }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.timestamp() {
                    Some(time) => f.write_str(&$printer.timestamp_to_string(&time)),
                    None => write!(f, "{}.{:09}", self.seconds, self.nanos),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse::<Timestamp>().map(Self::from).map_err(|error| {
                    serde::de::Error::custom(format!("invalid time {text:?}, must be RFC 3339: {error}"))
                })
            }
        }
    };
}

time! {
    /// An instant with a precision of seconds, RFC 3339 in JSON (`meta.v1.Time`).
    Time, SECONDS, 1_000_000_000
}

time! {
    /// An instant with a precision of microseconds, RFC 3339 in JSON (`meta.v1.MicroTime`).
    MicroTime, MICROSECONDS, 1_000
}

/// A span of time; in JSON as Go prints it, such as `1h30m0s` (`meta.v1.Duration`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Message)]
pub struct Duration {
    /// Nanoseconds.
    #[prost(int64, tag = "1")]
    pub duration: i64,
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.duration < 0 { "-" } else { "" };
        let nanos = self.duration.unsigned_abs();
        let (seconds, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        f.write_str(sign)?;
        if seconds == 0 && fraction != 0 {
            return match fraction {
                n if n < 1_000 => write!(f, "{n}ns"),
                n if n < 1_000_000 => write!(f, "{}µs", decimal(n / 1_000, n % 1_000, 3)),
                n => write!(f, "{}ms", decimal(n / 1_000_000, n % 1_000_000, 6)),
            };
        }
        if seconds >= 3600 {
            write!(f, "{}h", seconds / 3600)?;
        }
        if seconds >= 60 {
            write!(f, "{}m", seconds % 3600 / 60)?;
        }
        write!(f, "{}s", decimal(seconds % 60, fraction, 9))
    }
}

fn decimal(whole: u64, fraction: u64, digits: usize) -> String {
    let text = format!("{whole}.{fraction:0digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl std::str::FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || format!("invalid duration {text:?}, must be like 1h30m or 1.5s");
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Ok(Self { duration: 0 });
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total = 0f64;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
            let number: f64 = rest[..end].parse().map_err(|_| invalid())?;
            rest = &rest[end..];
            let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
            let unit = match &rest[..end] {
                "ns" => 1.0,
                "us" | "µs" | "μs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                _ => return Err(invalid()),
            };
            total += number * unit;
            rest = &rest[end..];
        }
        if total >= i64::MAX as f64 {
            return Err(invalid());
        }
        let nanos = total.round() as i64;
        Ok(Self { duration: if negative { -nanos } else { nanos } })
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, MicroTime, Time};

    #[test]
    fn times_print_as_upstream() {
        let time = MicroTime { seconds: 1_700_000_000, nanos: 5_000 };
        assert_eq!(time.to_string(), "2023-11-14T22:13:20.000005Z");
        let parsed: Time = serde_json::from_str("\"2023-11-14T23:13:20+01:00\"").unwrap();
        assert_eq!(parsed.to_string(), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn durations_read_what_they_print() {
        for text in ["1h30m0s", "1.5s", "2ms", "0s", "-1m0s"] {
            assert_eq!(text.parse::<Duration>().unwrap().to_string(), text);
        }
        assert!("1x".parse::<Duration>().is_err());
    }
}
