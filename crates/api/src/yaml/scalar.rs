//! Plain scalars that YAML 1.1 and 1.2 read differently, and merge keys.

/// Where a string of a document stands in its text: strings that the parser lends are parts of it.
#[derive(Clone, Copy)]
pub(super) struct Source<'a>(pub(super) &'a str);

impl Source<'_> {
    /// Whether `value`, lent by the parser, was written without quotes.
    pub(super) fn is_plain(self, value: &str) -> bool {
        let text = self.0.as_bytes();
        let Some(start) = (value.as_ptr() as usize).checked_sub(text.as_ptr() as usize) else { return false };
        if start.checked_add(value.len()).is_none_or(|end| end > text.len()) {
            return false;
        }
        !matches!(start.checked_sub(1).map(|before| text[before]), Some(b'"' | b'\''))
    }
}

/// What a plain scalar is to YAML 1.1, which Kubernetes reads, where YAML 1.2 sees a string.
pub(super) enum Former {
    /// An integer.
    Number(i64),
    /// A truth value.
    Bool(bool),
}

/// The number that a plain scalar with a leading zero means in Kubernetes' YAML, which is 1.1 here: `0644` is octal, and
/// what is no octal number is a decimal one.
pub(super) fn with_leading_zero(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let rest = digits.strip_prefix('0').filter(|rest| !rest.is_empty())?;
    if !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let octal = i64::from_str_radix(rest, 8);
    octal.or_else(|_| digits.parse()).ok().map(|value| sign * value)
}

/// The truth value that a plain scalar means in YAML 1.1, beside those that 1.2 kept.
pub(super) fn former_bool(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_are_octal_where_they_can_be() {
        let cases = [
            ("0644", Some(420)),
            ("-010", Some(-8)),
            ("+07", Some(7)),
            ("00", Some(0)),
            ("089", Some(89)),
            ("0", None),
            ("12", None),
            ("0x1f", None),
            ("01.5", None),
            ("0a", None),
            ("07777777777777777777777777", None),
        ];
        for (text, value) in cases {
            assert_eq!(with_leading_zero(text), value, "{text}");
        }
    }
}
