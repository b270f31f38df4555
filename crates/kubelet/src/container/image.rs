//! Image names and when to pull.

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// Each time a container starts.
    Always,
    /// When it is not on the node.
    IfNotPresent,
    /// By nobody here.
    Never,
}

impl PullPolicy {
    /// Reads the field; where it is empty, `latest` means always.
    #[must_use]
    pub fn of(policy: &str, image: &str) -> Self {
        match policy {
            "Always" => Self::Always,
            "IfNotPresent" => Self::IfNotPresent,
            "Never" => Self::Never,
            _ if is_latest(image) => Self::Always,
            _ => Self::IfNotPresent,
        }
    }
}

fn is_latest(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or(image);
    !last.contains('@') && last.rsplit_once(':').is_none_or(|(_, tag)| tag == "latest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_is_pulled_each_time() {
        for (image, policy) in [
            ("web", PullPolicy::Always),
            ("r:5000/web", PullPolicy::Always),
            ("r:5000/web:latest", PullPolicy::Always),
            ("r:5000/web:v1", PullPolicy::IfNotPresent),
            ("web@sha256:0", PullPolicy::IfNotPresent),
        ] {
            assert_eq!(PullPolicy::of("", image), policy, "{image}");
        }
        assert_eq!(PullPolicy::of("Never", "web"), PullPolicy::Never);
    }
}
