//! Where a webhook is: a URL, or a path of a service.

use super::super::names;
use crate::field::{Error, ErrorList, Path};

const FORM: &str = "; desired format: https://host[/path]";

/// The parts of a URL, as Go's `net/url` takes it apart.
#[derive(Debug, Default, PartialEq)]
struct Parts<'a> {
    scheme: String,
    user: Option<&'a str>,
    host: &'a str,
    query: &'a str,
    fragment: &'a str,
}

fn parse(text: &str) -> Result<Parts<'_>, String> {
    let failed = |problem: String| Err(format!("parse {text:?}: {problem}"));
    if text.chars().any(|c| c.is_ascii_control()) {
        return failed("net/url: invalid control character in URL".to_owned());
    }
    if text.is_empty() {
        return Ok(Parts::default());
    }
    let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
    if rest.starts_with(':') {
        return failed("missing protocol scheme".to_owned());
    }
    let letters = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    };
    let (scheme, rest) = match rest.split_once(':') {
        Some((scheme, rest)) if letters(scheme) => (scheme.to_ascii_lowercase(), rest),
        Some((segment, _)) if !segment.contains('/') => {
            return failed("first path segment in URL cannot contain colon".to_owned());
        }
        _ => (String::new(), rest),
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = rest.strip_prefix("//").map(|rest| rest.split('/').next().unwrap_or_default());
    let (user, host) = match authority.unwrap_or_default().rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority.unwrap_or_default()),
    };
    if let Some(port) = port_of(host)
        && !port.bytes().all(|b| b.is_ascii_digit())
    {
        return failed(format!("invalid port {:?} after host", format!(":{port}")));
    }
    if let Some(bad) =
        host.chars().find(|c| matches!(c, ' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}'))
    {
        return failed(format!("invalid character {:?} in host name", bad.to_string()));
    }
    Ok(Parts { scheme, user, host, query, fragment })
}

/// What follows the host's last colon, where there is one outside of brackets.
fn port_of(host: &str) -> Option<&str> {
    let after = host.rsplit_once(']').map_or(host, |(_, after)| after);
    after.rsplit_once(':').map(|(_, port)| port)
}

/// The URL of a webhook.
pub(in crate::validation) fn url(errors: &mut ErrorList, text: &str, path: &Path) {
    let parts = match parse(text) {
        Ok(parts) => parts,
        Err(problem) => {
            errors.push(Error::required(path.clone(), format!("url must be a valid URL: {problem}{FORM}")));
            return;
        }
    };
    let mut invalid = |value: &str, detail: String| errors.push(Error::invalid(path.clone(), value, detail));
    if parts.scheme != "https" {
        invalid(&parts.scheme, format!("'https' is the only allowed URL scheme{FORM}"));
    }
    if parts.host.is_empty() {
        invalid(parts.host, format!("host must be specified{FORM}"));
    }
    if let Some(user) = parts.user {
        invalid(user, "user information is not permitted in the URL".to_owned());
    }
    if !parts.fragment.is_empty() {
        invalid(parts.fragment, "fragments are not permitted in the URL".to_owned());
    }
    if !parts.query.is_empty() {
        invalid(parts.query, "query parameters are not permitted in the URL".to_owned());
    }
}

/// The service of a webhook, and the path that is called there.
pub(in crate::validation) fn service(
    errors: &mut ErrorList,
    (namespace, name): (&str, &str),
    called: Option<&str>,
    port: i32,
    path: &Path,
) {
    // Upstream hands over the two the wrong way around, and so names the one where the other is missing.
    for (field, value) in [("name", namespace), ("namespace", name)] {
        if value.is_empty() {
            errors.push(Error::required(path.child(field), ""));
        }
    }
    let problems = names::port_number(port);
    if !problems.is_empty() {
        let detail = format!("port is not valid: {}", problems.join(", "));
        errors.push(Error::invalid(path.child("port"), port, detail));
    }
    if let Some(called) = called.filter(|called| !matches!(*called, "" | "/")) {
        errors.extend(segments(called).into_iter().map(|d| Error::invalid(path.child("path"), called, d)));
    }
}

fn segments(called: &str) -> Vec<String> {
    if called == "//" {
        return vec!["segment[0] may not be empty".to_owned()];
    }
    let mut problems = Vec::new();
    if !called.starts_with('/') {
        problems.push("must start with a '/'".to_owned());
    }
    // Upstream skips the first character whatever it is.
    let mut chars = called.chars();
    chars.next();
    let rest = chars.as_str();
    for (i, segment) in rest.strip_suffix('/').unwrap_or(rest).split('/').enumerate() {
        if segment.is_empty() {
            problems.push(format!("segment[{i}] may not be empty"));
            continue;
        }
        let found = names::dns1123_subdomain(segment);
        problems.extend(found.into_iter().map(|problem| format!("segment[{i}]: {problem}")));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::common::texts;

    fn of_url(text: &str) -> Vec<String> {
        let mut errors = ErrorList::new();
        url(&mut errors, text, &Path::new("url"));
        texts(&errors)
    }

    #[test]
    fn urls_are_plain_and_safe() {
        for good in ["https://example.com", "https://example.com:8443/a/b", "https://[::1]:443/"] {
            assert_eq!(of_url(good), Vec::<String>::new(), "{good}");
        }
        assert_eq!(
            of_url("http://u:p@example.com/?a=b#c"),
            [
                "url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: \
                 https://host[/path]",
                "url: Invalid value: \"u:p\": user information is not permitted in the URL",
                "url: Invalid value: \"c\": fragments are not permitted in the URL",
                "url: Invalid value: \"a=b\": query parameters are not permitted in the URL",
            ]
        );
        assert_eq!(of_url("").len(), 2);
        assert_eq!(
            of_url("https:///a"),
            ["url: Invalid value: \"\": host must be specified; desired format: https://host[/path]"]
        );
        assert_eq!(
            of_url("https://example.com:x"),
            [
                "url: Required value: url must be a valid URL: parse \"https://example.com:x\": invalid port \":x\" \
                 after host; desired format: https://host[/path]"
            ]
        );
        assert_eq!(of_url("://a").len(), 1);
        assert_eq!(of_url("https://a\n").len(), 1);
    }

    fn of_service(names: (&str, &str), called: Option<&str>, port: i32) -> Vec<String> {
        let mut errors = ErrorList::new();
        service(&mut errors, names, called, port, &Path::new("service"));
        texts(&errors)
    }

    #[test]
    fn services_have_a_name_and_a_path() {
        let names = ("n", "s");
        for good in [None, Some(""), Some("/"), Some("/a/b"), Some("/a/")] {
            assert_eq!(of_service(names, good, 443), Vec::<String>::new(), "{good:?}");
        }
        // As upstream names them.
        assert_eq!(of_service(("", "s"), None, 443), ["service.name: Required value"]);
        assert_eq!(of_service(("n", ""), None, 443), ["service.namespace: Required value"]);
        assert_eq!(
            of_service(names, None, 0),
            ["service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive"]
        );
        assert_eq!(
            of_service(names, Some("//"), 1),
            [r#"service.path: Invalid value: "//": segment[0] may not be empty"#]
        );
        assert_eq!(of_service(names, Some("a"), 1).len(), 2);
        assert_eq!(of_service(names, Some("/a//B"), 1).len(), 2);
    }
}
