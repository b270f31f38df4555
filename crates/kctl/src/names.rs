//! The words by which the command line names resources: `pods`, `po`, `deployment/web`, `deploy web db`, `all`.

use anyhow::bail;
use gantry_api::Kind;
use gantry_client::{DynamicApi, ListOptions};

use crate::catalog::Catalog;

/// A kind, and the names of objects; no names stand for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The kind.
    pub kind: &'static Kind,
    /// The names.
    pub names: Vec<String>,
}

impl Selection {
    /// The names; where there are none, those of all objects that a selector selects.
    ///
    /// # Errors
    /// Where nothing says which objects are meant, or they cannot be listed.
    pub async fn names(
        &self,
        api: &DynamicApi,
        selector: Option<&str>,
        all: bool,
    ) -> anyhow::Result<Vec<String>> {
        if !self.names.is_empty() {
            return Ok(self.names.clone());
        }
        if selector.is_none() && !all {
            bail!("name the objects, or select them with --selector or --all");
        }
        let label_selector = selector.unwrap_or_default().to_owned();
        let list = api.list(&ListOptions { label_selector, ..ListOptions::default() }).await?;
        Ok(list.items.iter().map(|object| object.meta().name.clone()).collect())
    }
}

/// Whether a word stands for a kind: `deployments`, `deploy`, `Deployment`, `deployments.apps`, `deployments.v1.apps`.
pub(crate) fn is_called(kind: &Kind, word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let (name, group) =
        lower.split_once('.').map_or((lower.as_str(), None), |(name, group)| (name, Some(group)));
    (kind.plural == name
        || kind.singular == name
        || kind.short_names.contains(&name)
        || kind.kind.to_ascii_lowercase() == name)
        && group.is_none_or(|group| {
            group == kind.group || group == format!("{}.{}", kind.version, kind.group).trim_end_matches('.')
        })
}

/// One object of a kind that every server has, as `TYPE/NAME`.
///
/// # Errors
/// Where the word has another form.
pub fn one(word: &str) -> anyhow::Result<Selection> {
    Catalog::builtin().one(word)
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
    #[test]
    fn objects_are_called_by_type_group_and_name() {
        let selection = super::one("deploy/web").unwrap();
        assert_eq!(super::qualified(selection.kind, "web"), "deployment.apps/web");
        assert_eq!(super::qualified(super::one("po/a").unwrap().kind, "a"), "pod/a");
        assert!(super::one("pods").is_err());
    }
}
