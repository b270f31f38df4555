//! The names of signers: a domain and a path.

use super::super::names::{self, LABEL_MAX, SUBDOMAIN_MAX};
use crate::field::{Error, ErrorList, Path};

pub(super) fn name(errors: &mut ErrorList, name: &str, path: &Path) {
    if name.is_empty() {
        errors.push(Error::required(path.clone(), ""));
        return;
    }
    let Some((domain, below)) = name.split_once('/').filter(|(_, below)| !below.contains('/')) else {
        let detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        errors.push(Error::invalid(path.clone(), name, detail));
        return;
    };
    if domain.len() > SUBDOMAIN_MAX {
        errors.push(Error::too_long(path.clone(), SUBDOMAIN_MAX));
    }
    labels(errors, domain, names::dns1123_label, path);
    if !domain.contains('.') {
        let detail = "should be a domain with at least two segments separated by dots";
        errors.push(Error::invalid(path.clone(), domain, detail));
    }
    labels(errors, below, names::dns1123_subdomain, path);
    // A domain, a slash, and a path that is a domain and one more label.
    let max = SUBDOMAIN_MAX + 1 + SUBDOMAIN_MAX + 1 + LABEL_MAX;
    if name.len() > max {
        errors.push(Error::too_long(path.clone(), max));
    }
}

/// The problems of the first label that has some: those of the others would read the same.
fn labels(errors: &mut ErrorList, text: &str, check: fn(&str) -> names::Problems, path: &Path) {
    let found = text.split('.').map(|label| (label, check(label))).find(|(_, problems)| !problems.is_empty());
    if let Some((label, problems)) = found {
        let problems = problems.into_iter().map(|problem| format!("validating label {label:?}: {problem}"));
        errors.extend(problems.map(|detail| Error::invalid(path.clone(), text, detail)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validation::common::texts;

    #[test]
    fn a_signer_has_a_domain_and_a_path() {
        let of = |text: &str| {
            let mut errors = ErrorList::new();
            name(&mut errors, text, &Path::new("s"));
            texts(&errors)
        };
        for good in ["kubernetes.io/kubelet-serving", "a.b/c.d"] {
            assert_eq!(of(good), Vec::<String>::new(), "{good}");
        }
        assert_eq!(of(""), ["s: Required value"]);
        for bad in ["a.b", "a.b/c/d"] {
            let detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
            assert_eq!(of(bad), [format!("s: Invalid value: {bad:?}: {detail}")]);
        }
        assert_eq!(
            of("a/b"),
            ["s: Invalid value: \"a\": should be a domain with at least two segments separated by dots"]
        );
        let upper = of("A.b/c_d");
        assert_eq!(upper.len(), 2, "{upper:?}");
        assert!(
            upper[0]
                .starts_with("s: Invalid value: \"A.b\": validating label \"A\": a lowercase RFC 1123 label")
        );
        assert!(
            upper[1].starts_with("s: Invalid value: \"c_d\": validating label \"c_d\": a lowercase RFC 1123")
        );
        assert_eq!(
            of(&format!("a.b/{}", ["x"; 300].join("."))),
            ["s: Too long: may not be more than 571 bytes"]
        );
    }
}
