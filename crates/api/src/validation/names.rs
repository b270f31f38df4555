//! The syntax of names, labels, ports and addresses. Each check returns what is wrong, empty if nothing is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const LABEL_1035: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const QUALIFIED: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_VALUE: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";

/// The longest DNS label, and so the longest label value and name part.
pub const LABEL_MAX: usize = 63;
/// The longest DNS name.
pub const SUBDOMAIN_MAX: usize = 253;

/// What is wrong with a value.
pub type Problems = Vec<String>;

fn max_len(max: usize) -> String {
    format!("must be no more than {max} bytes")
}

fn pattern(rule: &str, pattern: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples.iter().map(|example| format!("'{example}', ")).collect();
    format!("{rule} (e.g. {}regex used for validation is '{pattern}')", examples.join(" or "))
}

fn is_lower_alnum(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
fn matches_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    is_lower_alnum(*first) && is_lower_alnum(*last) && bytes.iter().all(|b| is_lower_alnum(*b) || *b == b'-')
}

/// Letters and digits at both ends, and between them also `-`, `_` and `.`.
fn matches_qualified(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    let inner = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() && bytes.iter().all(inner)
}

/// A DNS label as RFC 1123 has it: most names that end up in DNS.
#[must_use]
pub fn dns1123_label(text: &str) -> Problems {
    let mut problems = Problems::new();
    if text.len() > LABEL_MAX {
        problems.push(max_len(LABEL_MAX));
    }
    if !matches_label(text) {
        problems.push(pattern(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
             end with an alphanumeric character",
            LABEL,
            &["my-name", "123-abc"],
        ));
    }
    problems
}

/// Labels joined by dots: the names of most objects.
#[must_use]
pub fn dns1123_subdomain(text: &str) -> Problems {
    let mut problems = Problems::new();
    if text.len() > SUBDOMAIN_MAX {
        problems.push(max_len(SUBDOMAIN_MAX));
    }
    if !text.split('.').all(matches_label) {
        problems.push(pattern(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
             start and end with an alphanumeric character",
            SUBDOMAIN,
            &["example.com"],
        ));
    }
    problems
}

/// A name for many hosts: a star in place of the first label.
#[must_use]
pub fn wildcard_dns1123_subdomain(text: &str) -> Problems {
    let mut problems = Problems::new();
    if text.len() > SUBDOMAIN_MAX {
        problems.push(max_len(SUBDOMAIN_MAX));
    }
    if !text.strip_prefix("*.").is_some_and(|rest| rest.split('.').all(matches_label)) {
        problems.push(pattern(
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist \
             of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
            &format!(r"\*\.{SUBDOMAIN}"),
            &["*.example.com"],
        ));
    }
    problems
}

/// The part of a URL behind the host.
#[must_use]
pub fn http_path(text: &str) -> Problems {
    let valid = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b);
    if !text.is_empty() && text.bytes().all(valid) {
        return Problems::new();
    }
    vec![r"Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')".to_owned()]
}

/// A DNS label that begins with a letter: the names of services.
#[must_use]
pub fn dns1035_label(text: &str) -> Problems {
    let mut problems = Problems::new();
    if text.len() > LABEL_MAX {
        problems.push(max_len(LABEL_MAX));
    }
    if !matches_label(text) || !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        problems.push(pattern(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
             character, and end with an alphanumeric character",
            LABEL_1035,
            &["my-name", "abc-123"],
        ));
    }
    problems
}

/// `name` or `example.com/name`: keys of labels and annotations, names of resources and finalizers.
#[must_use]
pub fn qualified_name(text: &str) -> Problems {
    let rule = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
                character";
    let examples = ["MyName", "my.name", "123-abc"];
    let mut problems = Problems::new();
    let mut parts = text.split('/');
    let name = match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, _) => name,
        (Some(prefix), Some(name), None) => {
            if prefix.is_empty() {
                problems.push("prefix part must be non-empty".to_owned());
            } else {
                problems.extend(dns1123_subdomain(prefix).into_iter().map(|p| format!("prefix part {p}")));
            }
            name
        }
        _ => {
            let rule = pattern(&format!("a qualified name {rule}"), QUALIFIED, &examples);
            let optional = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("{rule} {optional}")];
        }
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_MAX {
        problems.push(format!("name part {}", max_len(LABEL_MAX)));
    }
    if !matches_qualified(name) {
        problems.push(pattern(&format!("name part {rule}"), QUALIFIED, &examples));
    }
    problems
}

/// The value of a label.
#[must_use]
pub fn label_value(text: &str) -> Problems {
    let mut problems = Problems::new();
    if text.len() > LABEL_MAX {
        problems.push(max_len(LABEL_MAX));
    }
    if !text.is_empty() && !matches_qualified(text) {
        problems.push(pattern(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
             start and end with an alphanumeric character",
            LABEL_VALUE,
            &["MyValue", "my_value", "12345"],
        ));
    }
    problems
}

/// A key of a ConfigMap or Secret, which becomes a file's name.
#[must_use]
pub fn config_key(text: &str) -> Problems {
    let mut problems = Problems::new();
    if text.len() > SUBDOMAIN_MAX {
        problems.push(max_len(SUBDOMAIN_MAX));
    }
    let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if text.is_empty() || !text.bytes().all(valid) {
        problems.push(pattern(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            "[-._a-zA-Z0-9]+",
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    match text {
        "." => problems.push("must not be '.'".to_owned()),
        ".." => problems.push("must not be '..'".to_owned()),
        _ if text.starts_with("..") => problems.push("must not start with '..'".to_owned()),
        _ => {}
    }
    problems
}

/// The name of an environment variable.
#[must_use]
pub fn env_name(text: &str) -> Problems {
    let valid = |c: char| (' '..='~').contains(&c) && c != '=';
    if !text.is_empty() && text.chars().all(valid) {
        return Problems::new();
    }
    vec![
        "a valid environment variable name must consist only of printable ASCII characters other than '='"
            .to_owned(),
    ]
}

/// The name of a port (an IANA service name).
#[must_use]
pub fn port_name(text: &str) -> Problems {
    let mut problems = Problems::new();
    if text.len() > 15 {
        problems.push(max_len(15));
    }
    if text.is_empty() || !text.bytes().all(|b| is_lower_alnum(b) || b == b'-') {
        problems.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        problems.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        problems.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        problems.push("must not begin or end with a hyphen".to_owned());
    }
    problems
}

/// A port by number.
#[must_use]
pub fn port_number(port: i32) -> Problems {
    if (1..=65535).contains(&port) {
        Problems::new()
    } else {
        vec!["must be between 1 and 65535, inclusive".into()]
    }
}

/// The name of an HTTP header.
#[must_use]
pub fn http_header(text: &str) -> Problems {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Problems::new();
    }
    let rule = "a valid HTTP header must consist of alphanumeric characters or '-'";
    vec![pattern(rule, "[-A-Za-z0-9]+", &["X-Header-Name"])]
}

/// A percentage such as `25%`.
#[must_use]
pub fn percent(text: &str) -> Problems {
    let digits = text.strip_suffix('%').unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Problems::new();
    }
    let rule = "a valid percent string must be a numeric string followed by an ending '%'";
    vec![pattern(rule, "[0-9]+%", &["1%", "93%"])]
}

/// The reason of a condition: a word that programs compare.
#[must_use]
pub fn condition_reason(text: &str) -> Problems {
    let bytes = text.as_bytes();
    let inner = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b',' | b':');
    let valid = bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.last().is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
        && bytes.iter().all(inner);
    if valid {
        return Problems::new();
    }
    vec![pattern(
        "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric \
         characters or '_,:', and must end with an alphanumeric character or '_'",
        "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?",
        &["my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB"],
    )]
}

/// The name of something in a programming language.
#[must_use]
pub fn c_identifier(text: &str) -> Problems {
    let begins = |b: &u8| b.is_ascii_alphabetic() || *b == b'_';
    let bytes = text.as_bytes();
    if bytes.first().is_some_and(begins) && bytes.iter().all(|b| begins(b) || b.is_ascii_digit()) {
        return Problems::new();
    }
    vec![pattern(
        "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric \
         characters or '_'",
        "[A-Za-z_][A-Za-z0-9_]*",
        &["my_name", "MY_NAME", "MyName"],
    )]
}

/// An IP address.
#[must_use]
pub fn ip(text: &str) -> Problems {
    if text.parse::<IpAddr>().is_ok() {
        return Problems::new();
    }
    vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()]
}

/// An address that endpoints may have: not one of this host or of a link.
#[must_use]
pub fn endpoint_ip(text: &str) -> Problems {
    let Ok(address) = text.parse::<IpAddr>() else { return ip(text) };
    let mut problems = Problems::new();
    let (link_local, link_local_multicast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments()[0] & 0xff0f == 0xff02),
    };
    if address.is_unspecified() {
        problems.push(format!(
            "may not be unspecified ({} or {})",
            Ipv4Addr::UNSPECIFIED,
            Ipv6Addr::UNSPECIFIED
        ));
    }
    if address.is_loopback() {
        problems.push("may not be in the loopback range (127.0.0.0/8, ::1/128)".to_owned());
    }
    if link_local {
        problems.push("may not be in the link-local range (169.254.0.0/16, fe80::/10)".to_owned());
    }
    if link_local_multicast {
        problems.push("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".to_owned());
    }
    problems
}

/// A range of addresses such as `10.244.0.0/24`.
#[must_use]
pub fn cidr(text: &str) -> Problems {
    let valid = text.split_once('/').is_some_and(|(address, bits)| {
        let canonical = !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit());
        match (address.parse(), bits.parse::<u8>()) {
            (Ok(IpAddr::V4(_)), Ok(bits)) => canonical && bits <= 32,
            (Ok(IpAddr::V6(_)), Ok(bits)) => canonical && bits <= 128,
            _ => false,
        }
    });
    if valid {
        return Problems::new();
    }
    vec!["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)".to_owned()]
}

/// The name as part of a URL's path: what holds for the names of all kinds.
#[must_use]
pub fn path_segment(text: &str) -> Problems {
    match text {
        "." | ".." => return vec![format!("may not be '{text}'")],
        _ => {}
    }
    ['/', '%'].iter().filter(|c| text.contains(**c)).map(|c| format!("may not contain '{c}'")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_what_is_none() {
        for good in ["a", "web", "my-name", "123-abc", &"a".repeat(63)] {
            assert_eq!(dns1123_label(good), Problems::new(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", "ä", &"a".repeat(64)] {
            assert!(!dns1123_label(bad).is_empty(), "{bad}");
        }
        assert_eq!(dns1123_subdomain("a.b-c.d"), Problems::new());
        for bad in ["a..b", ".a", "a.", "a.-b"] {
            assert!(!dns1123_subdomain(bad).is_empty(), "{bad}");
        }
        assert_eq!(dns1035_label("web-1"), Problems::new());
        assert!(!dns1035_label("1-web").is_empty());
    }

    #[test]
    fn messages_are_upstreams() {
        assert_eq!(
            dns1123_label("A"),
            [
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
                 and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
                 '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
            ]
        );
        assert_eq!(dns1123_label(&"a".repeat(64)), ["must be no more than 63 bytes"]);
    }

    #[test]
    fn qualified_names_may_have_a_prefix() {
        for good in ["app", "app.kubernetes.io/name", "A_b.c", "example.com/x-y"] {
            assert_eq!(qualified_name(good), Problems::new(), "{good}");
        }
        for bad in ["", "/a", "a/", "a/b/c", "-a", "Example.com/a", "a b"] {
            assert!(!qualified_name(bad).is_empty(), "{bad}");
        }
        assert!(qualified_name("/a").contains(&"prefix part must be non-empty".to_owned()));
    }

    #[test]
    fn hosts_and_paths() {
        for good in ["*.example.com", "*.a"] {
            assert_eq!(wildcard_dns1123_subdomain(good), Problems::new(), "{good}");
        }
        for bad in ["*", "*.", "*.*.a", "a.*.b", "*a.b", "a.b"] {
            assert!(!wildcard_dns1123_subdomain(bad).is_empty(), "{bad}");
        }
        assert_eq!(
            wildcard_dns1123_subdomain("*"),
            [
                "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must \
                 consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character \
                 (e.g. '*.example.com', regex used for validation is \
                 '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            ]
        );
        assert_eq!(http_path("a/b-c%20'x'"), Problems::new());
        for bad in ["", "a b", "a?b", "ä"] {
            assert_eq!(
                http_path(bad),
                ["Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"],
                "{bad}"
            );
        }
    }

    #[test]
    fn label_values_may_be_empty() {
        for good in ["", "a", "A_b.c-1"] {
            assert_eq!(label_value(good), Problems::new());
        }
        for bad in ["-a", "a b", &"a".repeat(64)] {
            assert!(!label_value(bad).is_empty());
        }
    }

    #[test]
    fn ports_keys_headers_and_percentages() {
        assert_eq!(port_name("http-2"), Problems::new());
        for bad in ["", "80", "HTTP", "a--b", "-a", "averyverylongname"] {
            assert!(!port_name(bad).is_empty(), "{bad}");
        }
        assert!(port_number(1).is_empty() && port_number(65535).is_empty());
        assert!(!port_number(0).is_empty() && !port_number(65536).is_empty());
        assert!(config_key("a.B_c-1").is_empty());
        for bad in ["", ".", "..", "..a", "a/b"] {
            assert!(!config_key(bad).is_empty(), "{bad}");
        }
        assert!(percent("25%").is_empty());
        for bad in ["25", "%", "-1%", "1.5%"] {
            assert!(!percent(bad).is_empty(), "{bad}");
        }
        assert!(env_name("MY.VAR-1").is_empty() && !env_name("A=B").is_empty() && !env_name("").is_empty());
    }

    #[test]
    fn addresses() {
        assert!(ip("10.0.0.1").is_empty() && ip("::1").is_empty() && !ip("10.0.0").is_empty());
        assert!(cidr("10.244.0.0/24").is_empty() && cidr("fd00::/64").is_empty());
        for bad in ["10.244.0.0", "10.244.0.0/33", "10.244.0.0/+8", "x/8"] {
            assert!(!cidr(bad).is_empty(), "{bad}");
        }
        for bad in ["127.0.0.1", "169.254.1.1", "0.0.0.0", "224.0.0.1", "fe80::1"] {
            assert!(!endpoint_ip(bad).is_empty(), "{bad}");
        }
    }
}
