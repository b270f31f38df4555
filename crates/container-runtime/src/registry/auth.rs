//! How a registry wants to be convinced: the challenges of its 401 answers, and tokens.

use std::collections::BTreeMap;

/// What a 401 answer asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User name and password.
    Basic,
    /// A token from the server at `realm`.
    Bearer {
        realm: String,
        /// Parameters to pass on to it.
        parameters: Vec<(String, String)>,
    },
}

impl Challenge {
    /// Parses a `WWW-Authenticate` header.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut parameters = parse_parameters(rest);
        let realm = parameters.remove("realm")?;
        let pick = |name: &str| Some((name.to_owned(), parameters.get(name)?.clone()));
        Some(Self::Bearer { realm, parameters: ["service", "scope"].into_iter().filter_map(pick).collect() })
    }
}

/// `name="value"` pairs separated by commas; a quoted value may contain commas.
fn parse_parameters(mut text: &str) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::new();
    while let Some((name, rest)) = text.split_once('=') {
        let name = name.trim_matches([' ', ',']).to_ascii_lowercase();
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(',').unwrap_or((rest, "")),
        };
        parameters.insert(name, value.trim().to_owned());
        text = rest;
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_understood() {
        assert_eq!(Challenge::parse("Basic realm=\"r\""), Some(Challenge::Basic));
        assert_eq!(Challenge::parse("Negotiate"), None);
        let header =
            r#"Bearer realm="https://auth/token",service="reg", scope="repository:a/b:pull,push",x=y"#;
        let Some(Challenge::Bearer { realm, parameters }) = Challenge::parse(header) else { panic!() };
        assert_eq!(realm, "https://auth/token");
        let scope = ("scope".to_owned(), "repository:a/b:pull,push".to_owned());
        assert_eq!(parameters, [("service".to_owned(), "reg".to_owned()), scope]);
    }
}
