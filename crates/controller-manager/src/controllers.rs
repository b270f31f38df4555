//! Which controllers run: upstream's names, and its flag.

/// A controller's name, the short one that it also goes by, and whether it runs unless it is switched off.
type Known = (&'static str, &'static str, bool);

/// The controllers.
const KNOWN: [Known; 18] = [
    ("bootstrap-signer-controller", "bootstrapsigner", false),
    ("clusterrole-aggregation-controller", "clusterrole-aggregation", true),
    ("deployment-controller", "deployment", true),
    ("disruption-controller", "disruption", true),
    ("endpoints-controller", "endpoint", true),
    ("endpointslice-controller", "endpointslice", true),
    ("garbage-collector-controller", "garbagecollector", true),
    ("namespace-controller", "namespace", true),
    ("node-ipam-controller", "nodeipam", true),
    ("node-lifecycle-controller", "nodelifecycle", true),
    ("persistentvolumeclaim-protection-controller", "pvc-protection", true),
    ("pod-garbage-collector-controller", "podgc", true),
    ("replicaset-controller", "replicaset", true),
    ("resourcequota-controller", "resourcequota", true),
    ("root-ca-certificate-publisher-controller", "root-ca-cert-publisher", true),
    ("service-cidr-controller", "servicecidr", true),
    ("serviceaccount-controller", "serviceaccount", true),
    ("token-cleaner-controller", "tokencleaner", false),
];

/// Reads one item of the flag: `*`, a name, or a name behind a `-`.
pub(crate) fn parse(text: &str) -> Result<String, String> {
    let name = text.strip_prefix('-').unwrap_or(text);
    if text == "*" {
        return Ok(text.to_owned());
    }
    let Some((known, ..)) = KNOWN.iter().find(|(long, short, _)| *long == name || *short == name) else {
        return Err(format!("{name:?} is not in the list of known controllers"));
    };
    Ok(if text.starts_with('-') { format!("-{known}") } else { (*known).to_owned() })
}

/// Whether a controller runs: the first item that names it says so, or else whether `*` is among them.
pub(crate) fn runs(chosen: &[String], name: &str) -> bool {
    for item in chosen {
        if item == name {
            return true;
        }
        if item.strip_prefix('-') == Some(name) {
            return false;
        }
    }
    let by_default = KNOWN.iter().any(|(known, _, by_default)| *known == name && *by_default);
    by_default && chosen.iter().any(|item| item == "*")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(chosen: &[&str]) -> Vec<&'static str> {
        let chosen: Vec<String> = chosen.iter().map(|item| parse(item).unwrap()).collect();
        KNOWN.iter().map(|(name, ..)| *name).filter(|name| runs(&chosen, name)).collect()
    }

    #[test]
    fn all_run_but_those_that_must_be_asked_for() {
        assert_eq!(running(&["*"]).len(), 16);
        assert_eq!(running(&["*", "bootstrapsigner", "token-cleaner-controller"]).len(), 18);
        assert_eq!(running(&["deployment"]), ["deployment-controller"]);
        let less = running(&["*", "-deployment-controller", "-podgc"]);
        assert!(less.len() == 14 && !less.contains(&"pod-garbage-collector-controller"));
    }

    #[test]
    fn names_are_checked() {
        assert_eq!(parse("-nothing").unwrap_err(), "\"nothing\" is not in the list of known controllers");
    }
}
