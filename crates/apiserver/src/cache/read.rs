//! Lists, served from memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_api::selector::{FieldSelector, LabelSelector};

use super::topic::Topic;
use super::{Cache, Entry};
use crate::status::ApiError;

/// Which objects a request is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    /// The namespace; empty for all.
    pub(crate) namespace: String,
    /// By label.
    pub(crate) labels: LabelSelector,
    /// By field.
    pub(crate) fields: FieldSelector,
}

impl Selection {
    /// Whether every object of the namespace is meant.
    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }

    /// Whether an object is meant.
    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        (self.namespace.is_empty() || self.namespace == entry.namespace())
            && self.labels.matches_with(|key| entry.label(key))
            && self.fields.matches_with(|path| entry.field(path))
    }

    /// The same by place alone.
    pub(crate) fn place(&self) -> Self {
        Self { namespace: self.namespace.clone(), ..Self::default() }
    }

    /// The narrowest topic that covers it.
    pub(super) fn topic(&self, namespaced: bool) -> Topic {
        let name = self.fields.exact("metadata.name").filter(|name| !name.is_empty());
        match name {
            Some(name) if !namespaced => return Topic::Key(name.into()),
            Some(name) if !self.namespace.is_empty() => {
                return Topic::Key(format!("{}/{name}", self.namespace).into());
            }
            _ => {}
        }
        for term in self.fields.terms() {
            if let Some(field) =
                Topic::indexed(&term.field).filter(|_| !term.negated && !term.value.is_empty())
            {
                return Topic::Field(field, term.value.as_str().into());
            }
        }
        if self.namespace.is_empty() { Topic::All } else { Topic::Namespace(self.namespace.as_str().into()) }
    }
}

/// A part of a list.
#[derive(Debug)]
pub(crate) struct Page {
    /// The objects.
    pub(crate) items: Vec<Arc<Entry>>,
    /// The revision that they are at.
    pub(crate) revision: i64,
    /// Whether others follow.
    pub(crate) more: bool,
    /// How many follow, where that was counted.
    pub(crate) remaining: Option<i64>,
}

impl Cache {
    /// The objects as the cache has them now, after a key, `limit` of them at most (0: all).
    pub(crate) fn list(
        &self,
        selection: &Selection,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, ApiError> {
        let state = self.state.read();
        let entries = state.range(&selection.namespace, after);
        cut(entries.cloned(), selection, limit, state.revision)
    }

    /// The objects as they were at `revision`; `None` if the cache has forgotten.
    pub(crate) fn list_at(
        &self,
        selection: &Selection,
        after: Option<&str>,
        limit: usize,
        revision: i64,
    ) -> Option<Result<Page, ApiError>> {
        let state = self.state.read();
        let mut differences = state.differences_at(revision)?;
        let entries = state.range(&selection.namespace, after);
        if differences.is_empty() {
            return Some(cut(entries.cloned(), selection, limit, revision));
        }
        differences.retain(|key, _| after.is_none_or(|after| &**key > after));
        let mut merged: BTreeMap<Arc<str>, Arc<Entry>> =
            entries.map(|entry| (entry.key().clone(), entry.clone())).collect();
        drop(state);
        for (key, entry) in differences {
            match entry {
                Some(entry) => merged.insert(key, entry),
                None => merged.remove(&key),
            };
        }
        Some(cut(merged.into_values(), selection, limit, revision))
    }
}

/// Takes the selected entries up to the limit and counts what follows where that is cheap.
pub(super) fn cut(
    entries: impl Iterator<Item = Arc<Entry>>,
    selection: &Selection,
    limit: usize,
    revision: i64,
) -> Result<Page, ApiError> {
    let mut selected = entries.filter(|entry| selection.matches(entry));
    let mut page = Page { items: Vec::new(), revision, more: false, remaining: None };
    while limit == 0 || page.items.len() < limit {
        let Some(entry) = selected.next() else { return Ok(page) };
        entry.readable()?;
        page.items.push(entry);
    }
    if selection.is_everything() {
        let remaining = selected.count();
        page.more = remaining > 0;
        page.remaining = page.more.then(|| i64::try_from(remaining).unwrap_or(i64::MAX));
    } else {
        page.more = selected.next().is_some();
    }
    Ok(page)
}
