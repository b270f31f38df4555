//! The options of a pod's log.

use super::common::{non_negative, positive};
use crate::core::v1::PodLogOptions;
use crate::field::{Error, ErrorList, Path};

/// What is wrong with the options of a pod's log.
#[must_use]
pub fn options(options: &PodLogOptions) -> ErrorList {
    let mut errors = ErrorList::new();
    // As upstream names what is about the options as a whole.
    let whole = || Path::new("[]");
    if let Some(lines) = options.tail_lines {
        non_negative(&mut errors, &Path::new("tailLines"), lines);
    }
    if let Some(bytes) = options.limit_bytes {
        positive(&mut errors, &Path::new("limitBytes"), bytes);
    }
    match options.since_seconds {
        Some(_) if options.since_time.is_some() => {
            let detail = "at most one of `sinceTime` or `sinceSeconds` may be specified";
            errors.push(Error::forbidden(whole(), detail));
        }
        Some(seconds) => positive(&mut errors, &Path::new("sinceSeconds"), seconds),
        None => {}
    }
    let stream = options.stream.as_str();
    if !matches!(stream, "" | "All" | "Stderr" | "Stdout") {
        errors.push(Error::not_supported(Path::new("stream"), stream, &["All", "Stderr", "Stdout"]));
    }
    if !matches!(stream, "" | "All") && options.tail_lines.is_some() {
        let detail = "`tailLines` and specific `stream` are mutually exclusive for now";
        errors.push(Error::forbidden(whole(), detail));
    }
    errors
}

#[cfg(test)]
mod tests {
    use crate::scalars::Time;

    use super::*;

    #[test]
    fn every_mistake_is_named() {
        let good = PodLogOptions {
            tail_lines: Some(0),
            limit_bytes: Some(1),
            since_seconds: Some(1),
            stream: "All".into(),
            ..PodLogOptions::default()
        };
        assert_eq!(options(&good), []);
        let bad = PodLogOptions {
            tail_lines: Some(-1),
            limit_bytes: Some(0),
            since_time: Some(Time::default()),
            stream: "Stdin".into(),
            ..good
        };
        let texts: Vec<String> = options(&bad).iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "tailLines: Invalid value: -1: must be greater than or equal to 0",
                "limitBytes: Invalid value: 0: must be greater than 0",
                "[]: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
                r#"stream: Unsupported value: "Stdin": supported values: "All", "Stderr", "Stdout""#,
                "[]: Forbidden: `tailLines` and specific `stream` are mutually exclusive for now",
            ]
        );
    }
}
