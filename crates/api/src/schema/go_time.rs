//! What Go says of a text that is no time.

/// The parts of a time, each with its pattern in Go and its digits; the last is the zone.
const PARTS: [(&str, usize); 11] = [
    ("2006", 4),
    ("-", 0),
    ("01", 2),
    ("-", 0),
    ("02", 2),
    ("T", 0),
    ("15", 2),
    (":", 0),
    ("04", 2),
    (":", 0),
    ("05", 2),
];

/// Why the text is no time of RFC 3339.
#[must_use]
pub fn not_a_time(text: &str) -> String {
    let head = format!(r#"parsing time {text:?} as "2006-01-02T15:04:05Z07:00": "#);
    let mut rest = text;
    let mut numbers = Vec::new();
    for (pattern, digits) in PARTS {
        let taken = if digits == 0 {
            rest.strip_prefix(pattern).map(|rest| ("", rest))
        } else {
            rest.split_at_checked(digits)
                .filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let Some((number, more)) = taken else {
            return format!("{head}cannot parse {rest:?} as {pattern:?}");
        };
        if digits > 0 {
            numbers.push(number.parse::<u32>().unwrap_or_default());
        }
        rest = more;
    }
    // Fractions of a second may follow, and the zone must.
    if let Some(fraction) = rest.strip_prefix('.') {
        let more = fraction.trim_start_matches(|letter: char| letter.is_ascii_digit());
        rest = if more.len() < fraction.len() { more } else { rest };
    }
    let ranges = [
        ("month", 1, 1, 12),
        ("day", 2, 1, 31),
        ("hour", 3, 0, 23),
        ("minute", 4, 0, 59),
        ("second", 5, 0, 59),
    ];
    for (name, place, least, most) in ranges {
        if numbers.get(place).is_some_and(|number| !(least..=most).contains(number)) {
            return format!("parsing time {text:?}: {name} out of range");
        }
    }
    let zone = if rest.starts_with('Z') { Some(1) } else { rest.starts_with(['+', '-']).then_some(6) };
    match zone.and_then(|length| rest.split_at_checked(length)) {
        Some((_, more)) if !more.is_empty() => format!("parsing time {text:?}: extra text: {more:?}"),
        // The day is not in that month, or the zone is not one.
        Some(_) => format!("parsing time {text:?}: day out of range"),
        None => format!(r#"{head}cannot parse {rest:?} as "Z07:00""#),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_part_that_does_not_fit_is_named() {
        let as_layout = r#" as "2006-01-02T15:04:05Z07:00": "#;
        for (text, layout, why) in [
            ("", as_layout, r#"cannot parse "" as "2006""#),
            ("2026-1-1", as_layout, r#"cannot parse "1-1" as "01""#),
            ("2026-01-01 10:00:00Z", as_layout, r#"cannot parse " 10:00:00Z" as "T""#),
            ("2026-01-01T10:00:00", as_layout, r#"cannot parse "" as "Z07:00""#),
            ("2026-13-01T10:00:00Z", ": ", "month out of range"),
            ("2026-01-01T10:00:00.5Zx", ": ", r#"extra text: "x""#),
            ("2026-02-30T10:00:00Z", ": ", "day out of range"),
        ] {
            assert_eq!(not_a_time(text), format!("parsing time {text:?}{layout}{why}"));
        }
    }
}
