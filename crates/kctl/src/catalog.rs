//! The kinds that the command line knows: those that every server has, and the custom resources of this one.

use std::time::Duration;

use anyhow::bail;
use gantry_api::convert::stored_kind;
use gantry_api::{Kind, registry};
use gantry_client::Client;
use tokio::time::Instant;

use crate::names::{self, Selection};

/// How often is looked whether a resource is served.
const POLL: Duration = Duration::from_millis(100);

/// The kinds.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    custom: Vec<&'static Kind>,
}

impl Catalog {
    /// Those that every server has.
    #[must_use]
    pub fn builtin() -> Self {
        Self::default()
    }

    /// Those, and the custom resources that a server has now.
    ///
    /// # Errors
    /// Where the server does not say what it has.
    pub async fn of(client: &Client) -> Result<Self, gantry_client::Error> {
        Ok(Self { custom: client.custom_kinds().await? })
    }

    /// As [`Catalog::of`], once the server has all of these kinds, which somebody has just defined.
    ///
    /// # Errors
    /// Where it does not have them after `limit`.
    pub async fn with(client: &Client, wanted: &[(&str, &str)], limit: Duration) -> anyhow::Result<Self> {
        let end = Instant::now() + limit;
        loop {
            let catalog = Self::of(client).await?;
            let missing = wanted.iter().find(|(version, kind)| catalog.by_kind(version, kind).is_none());
            match missing {
                None => return Ok(catalog),
                Some((version, kind)) if Instant::now() >= end => {
                    bail!("kind {kind:?} in version {version:?} is defined, but not served after {limit:?}")
                }
                Some(_) => tokio::time::sleep(POLL).await,
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &'static Kind> {
        registry::all().iter().chain(&self.custom).copied()
    }

    /// The kind of objects that call themselves so.
    #[must_use]
    pub fn by_kind(&self, api_version: &str, kind: &str) -> Option<&'static Kind> {
        self.all().find(|known| known.kind == kind && known.api_version() == api_version)
    }

    /// The kind that a word stands for: its plural, singular, short or own name, with `.GROUP` behind it where needed.
    ///
    /// # Errors
    /// Where no kind has that name.
    pub fn kind(&self, word: &str) -> anyhow::Result<&'static Kind> {
        match self.all().find(|kind| names::is_called(kind, word)) {
            Some(kind) => Ok(kind),
            None => bail!("the server has no resource type {word:?}; `kctl api-resources` lists them"),
        }
    }

    /// The kinds of a category, each object once, whatever versions it is served in.
    fn category(&self, word: &str) -> Vec<&'static Kind> {
        let mut kinds: Vec<&'static Kind> = Vec::new();
        for kind in self.all().filter(|kind| kind.categories.contains(&word)) {
            let kind = if kind.is_custom() { kind } else { stored_kind(kind) };
            if !kinds.iter().any(|known| known.group == kind.group && known.plural == kind.plural) {
                kinds.push(kind);
            }
        }
        kinds
    }

    /// What the words of a command line select.
    ///
    /// # Errors
    /// Where a word names no kind, or the two ways of naming are mixed.
    pub fn selections(&self, words: &[String]) -> anyhow::Result<Vec<Selection>> {
        let Some(first) = words.first() else {
            bail!("name a resource type, such as `pods` or `deployment/web`")
        };
        if words.iter().any(|word| word.contains('/')) {
            return words.iter().map(|word| self.one(word)).collect();
        }
        let names: Vec<String> = words[1..].to_vec();
        let mut selections = Vec::new();
        for word in first.split(',') {
            let of_category = self.category(word);
            if of_category.is_empty() {
                selections.push(Selection { kind: self.kind(word)?, names: names.clone() });
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
    pub fn one(&self, word: &str) -> anyhow::Result<Selection> {
        match word.split_once('/') {
            Some((kind, name)) if !name.is_empty() && !name.contains('/') => {
                Ok(Selection { kind: self.kind(kind)?, names: vec![name.to_owned()] })
            }
            _ => bail!("{word:?} does not name one object; write TYPE/NAME, such as `deployment/web`"),
        }
    }

    /// Whether these kinds alone say what the words mean, without those of a server.
    #[must_use]
    pub fn suffices(&self, words: &[String]) -> bool {
        let with_names = words.iter().any(|word| word.contains('/'));
        let of_types = if with_names { words } else { words.get(..1).unwrap_or_default() };
        let types = of_types.iter().flat_map(|word| word.split('/').next().unwrap_or_default().split(','));
        // Custom resources may belong to any category.
        types.into_iter().all(|word| self.category(word).is_empty() && self.kind(word).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use gantry_api::custom::Kinds;
    use gantry_client::DiscoveredResource;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn with_widgets() -> Catalog {
        let resource = |version: &str| DiscoveredResource {
            group: "example.com".to_owned(),
            version: version.to_owned(),
            resource: "widgets".to_owned(),
            kind: "Widget".to_owned(),
            singular: "widget".to_owned(),
            short_names: vec!["wd".to_owned()],
            categories: vec!["all".to_owned()],
            namespaced: true,
            ..DiscoveredResource::default()
        };
        let kinds = Kinds::default();
        Catalog { custom: ["v2", "v1"].map(|version| kinds.discovered(&resource(version)).unwrap()).to_vec() }
    }

    #[test]
    fn kinds_have_many_names() {
        let catalog = Catalog::builtin();
        for word in
            ["deployments", "deployment", "deploy", "Deployment", "deployments.apps", "deploy.v1.apps"]
        {
            assert_eq!(catalog.kind(word).unwrap().kind, "Deployment", "{word}");
        }
        assert_eq!(catalog.kind("events").unwrap().group, "");
        assert_eq!(catalog.kind("events.events.k8s.io").unwrap().group, "events.k8s.io");
        assert_eq!(catalog.kind("hpa").unwrap().version, "v2");
        assert_eq!(catalog.kind("hpa.v1.autoscaling").unwrap().version, "v1");
        assert!(catalog.kind("widgets").is_err());
    }

    #[test]
    fn custom_resources_are_named_as_others() {
        let catalog = with_widgets();
        for word in ["widgets", "widget", "wd", "Widget", "widgets.example.com", "wd.v2.example.com"] {
            assert_eq!(catalog.kind(word).unwrap().version, "v2", "{word}");
        }
        assert_eq!(catalog.kind("widgets.v1.example.com").unwrap().version, "v1");
        assert_eq!(catalog.by_kind("example.com/v1", "Widget").unwrap().version, "v1");
        assert!(catalog.by_kind("example.com/v3", "Widget").is_none());
        let all = catalog.selections(&words("all")).unwrap();
        assert_eq!(all.iter().filter(|selection| selection.kind.plural == "widgets").count(), 1);
        assert_eq!(catalog.one("wd/a").unwrap().names, ["a"]);
    }

    #[test]
    fn a_server_is_asked_only_about_words_that_it_may_know() {
        let catalog = Catalog::builtin();
        for known in ["pods", "po,svc", "deploy widgets", "po/a svc/b"] {
            assert!(catalog.suffices(&words(known)), "{known}");
        }
        for other in ["widgets", "po,widgets", "po/a widgets/b", "all"] {
            assert!(!catalog.suffices(&words(other)), "{other}");
        }
    }

    #[test]
    fn words_select() {
        let catalog = Catalog::builtin();
        let selected = catalog.selections(&words("pods,svc")).unwrap();
        assert_eq!(selected.iter().map(|s| s.kind.plural).collect::<Vec<_>>(), ["pods", "services"]);
        assert_eq!(catalog.selections(&words("po a b")).unwrap()[0].names, ["a", "b"]);
        assert_eq!(catalog.selections(&words("po/a deploy/b")).unwrap().len(), 2);
        assert!(catalog.selections(&words("po/a b")).is_err());
        assert!(catalog.selections(&words("all x")).is_err());
        let all = catalog.selections(&words("all")).unwrap();
        assert_eq!(all.iter().filter(|s| s.kind.plural == "horizontalpodautoscalers").count(), 1);
        assert!(catalog.one("pods").is_err());
    }
}
