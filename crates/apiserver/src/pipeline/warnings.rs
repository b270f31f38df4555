//! What an answer warns of: `Warning` headers, which gRPC clients get as metadata.

use http::header::WARNING;
use http::{HeaderMap, HeaderValue};

/// How much all warnings of an answer may say together; beyond it each is cut.
const ENOUGH: usize = 4096;
/// How much one may say then.
const CUT: usize = 256;

/// Writes warnings into the head of an answer.
pub(super) fn write(headers: &mut HeaderMap, warnings: Vec<String>) {
    let long = warnings.iter().map(String::len).sum::<usize>() > ENOUGH;
    let mut left = ENOUGH;
    for mut warning in warnings {
        if long {
            let mut end = warning.len().min(CUT);
            while !warning.is_char_boundary(end) {
                end -= 1;
            }
            warning.truncate(end);
            let Some(less) = left.checked_sub(warning.len()) else { return };
            left = less;
        }
        if let Ok(value) = HeaderValue::from_bytes(quoted(&warning).as_bytes()) {
            headers.append(WARNING, value);
        }
    }
}

/// A warning as its header has it. What no header may have is left out.
fn quoted(warning: &str) -> String {
    let text: String = warning.chars().filter(|one| !one.is_control()).collect();
    format!("299 - \"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(warnings: &[&str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        write(&mut headers, warnings.iter().map(|text| (*text).to_owned()).collect());
        let text = |value: &HeaderValue| String::from_utf8(value.as_bytes().to_vec()).unwrap();
        headers.get_all(WARNING).iter().map(text).collect()
    }

    #[test]
    fn warnings_are_quoted_and_bounded() {
        assert_eq!(written(&["a \"b\"\n", "\u{e4}"]), ["299 - \"a \\\"b\\\"\"", "299 - \"\u{e4}\""]);
        let long = "x".repeat(5000);
        let cut = written(&[&long, "short"]);
        assert_eq!(cut.len(), 2);
        assert!(cut[0].len() < 300, "{}", cut[0].len());
    }
}
