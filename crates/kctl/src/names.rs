//! The words by which the command line names resources: `pods`, `po`, `deployment/web`, `deploy web db`, `all`.

use anyhow::bail;
use gantry_api::convert::stored_kind;
use gantry_api::{Kind, registry};

/// A kind, and the names of objects; no names stand for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The kind.
    pub kind: &'static Kind,
    /// The names.
    pub names: Vec<String>,
}

/// The kind that a word stands for: its plural, singular, short or own name, with `.GROUP` behind it where needed.
///
/// # Errors
/// Where no kind has that name.
pub fn kind(word: &str) -> anyhow::Result<&'static Kind> {
    let lower = word.to_ascii_lowercase();
    let (name, group) =
        lower.split_once('.').map_or((lower.as_str(), None), |(name, group)| (name, Some(group)));
    let called = |kind: &&'static Kind| {
        (kind.plural == name
            || kind.singular == name
            || kind.short_names.contains(&name)
            || kind.kind.to_ascii_lowercase() == name)
            // `deployments.apps` and `deployments.v1.apps`.
            && group.is_none_or(|g| g == kind.group || g == format!("{}.{}", kind.version, kind.group).trim_end_matches('.'))
    };
    match registry::all().iter().copied().find(called) {
        Some(kind) => Ok(kind),
        None => bail!("the server has no resource type {word:?}; `kctl api-resources` lists them"),
    }
}

/// What the words of a command line select.
///
/// # Errors
/// Where a word names no kind, or the two ways of naming are mixed.
pub fn selections(words: &[String]) -> anyhow::Result<Vec<Selection>> {
    let Some(first) = words.first() else {
        bail!("name a resource type, such as `pods` or `deployment/web`")
    };
    if words.iter().any(|word| word.contains('/')) {
        return words.iter().map(|word| one(word)).collect();
    }
    let names: Vec<String> = words[1..].to_vec();
    let mut selections = Vec::new();
    for word in first.split(',') {
        let of_category: Vec<&'static Kind> =
            registry::all().iter().copied().filter(|kind| kind.categories.contains(&word)).collect();
        // Each object once, whatever versions it is served in.
        let of_category: Vec<_> = of_category.into_iter().filter(|kind| stored_kind(kind) == *kind).collect();
        if of_category.is_empty() {
            selections.push(Selection { kind: kind(word)?, names: names.clone() });
        } else if names.is_empty() {
            selections.extend(of_category.into_iter().map(|kind| Selection { kind, names: Vec::new() }));
        } else {
            bail!("{word:?} stands for several resource types, which cannot be combined with names");
        }
    }
    Ok(selections)
}

/// One object, as `TYPE/NAME`.
///
/// # Errors
/// Where the word has another form.
pub fn one(word: &str) -> anyhow::Result<Selection> {
    match word.split_once('/') {
        Some((kind_word, name)) if !name.is_empty() && !name.contains('/') => {
            Ok(Selection { kind: kind(kind_word)?, names: vec![name.to_owned()] })
        }
        _ => bail!("{word:?} does not name one object; write TYPE/NAME, such as `deployment/web`"),
    }
}

/// How kctl calls an object: `deployment.apps/web`.
#[must_use]
pub fn qualified(kind: &Kind, name: &str) -> String {
    if kind.group.is_empty() {
        format!("{}/{name}", kind.singular)
    } else {
        format!("{}.{}/{name}", kind.singular, kind.group)
    }
}

#[cfg(test)]
mod tests {
    use super::{kind, one, qualified, selections};

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn kinds_have_many_names() {
        for word in
            ["deployments", "deployment", "deploy", "Deployment", "deployments.apps", "deploy.v1.apps"]
        {
            assert_eq!(kind(word).unwrap().kind, "Deployment", "{word}");
        }
        assert_eq!(kind("events").unwrap().group, "");
        assert_eq!(kind("events.events.k8s.io").unwrap().group, "events.k8s.io");
        assert_eq!(kind("hpa").unwrap().version, "v2");
        assert_eq!(kind("hpa.v1.autoscaling").unwrap().version, "v1");
        assert!(kind("widgets").is_err());
    }

    #[test]
    fn words_select() {
        let selected = selections(&words("pods,svc")).unwrap();
        assert_eq!(selected.iter().map(|s| s.kind.plural).collect::<Vec<_>>(), ["pods", "services"]);
        assert_eq!(selections(&words("po a b")).unwrap()[0].names, ["a", "b"]);
        assert_eq!(selections(&words("po/a deploy/b")).unwrap().len(), 2);
        assert!(selections(&words("po/a b")).is_err());
        assert!(selections(&words("all x")).is_err());
        let all = selections(&words("all")).unwrap();
        assert_eq!(all.iter().filter(|s| s.kind.plural == "horizontalpodautoscalers").count(), 1);
        assert!(one("pods").is_err());
        assert_eq!(qualified(kind("deploy").unwrap(), "web"), "deployment.apps/web");
    }
}
