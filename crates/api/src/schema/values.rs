//! The values of enumerated strings: read from the schema's options.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::merge::{options, texts};

type Values = HashMap<String, Vec<String>>;

static VALUES: LazyLock<Values> = LazyLock::new(|| {
    let messages = super::pool().all_messages().filter(|message| message.full_name().starts_with("k8s.io."));
    let fields = messages.flat_map(|message| message.fields().collect::<Vec<_>>());
    let all = fields.map(|field| {
        let values = options(&field).map(|options| texts(&options, "values")).unwrap_or_default();
        let name = field.full_name();
        (name.strip_prefix("k8s.io.api.").unwrap_or(name).to_owned(), values)
    });
    all.filter(|(_, values)| !values.is_empty()).collect()
});

/// The values that a field takes, by its full name without `k8s.io.api`, such as `core.v1.PodSpec.restartPolicy`; none
/// where it takes any.
#[must_use]
pub fn values(field: &str) -> &'static [String] {
    VALUES.get(field).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::values;

    #[test]
    fn the_schema_says_which_values_there_are() {
        assert_eq!(values("core.v1.PodSpec.restartPolicy"), ["Always", "Never", "OnFailure"]);
        assert!(values("core.v1.PodSpec.nodeName").is_empty());
    }
}
