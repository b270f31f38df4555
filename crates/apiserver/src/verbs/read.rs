//! Get, list and watch.

mod token;

use std::sync::Arc;

use gantry_api::meta::v1::{GetOptions, ListMeta, ListOptions};
use gantry_store::ListOptions as StoreList;

use self::token::Token;
use super::options::{self, At};
use super::{List, Target, Verbs, WatchStream};
use crate::cache::{Cache, Entry, Page, Selection, Start};
use crate::conversion::Converter;
use crate::status::ApiError;

impl Target {
    /// The key of the object within its kind; fails for names that no object can have.
    pub(crate) fn key(&self, cache: &Cache) -> Result<String, ApiError> {
        let full = cache.keys().key(&self.namespace, &self.name);
        // No object has such a name, so none is found.
        let full = full.map_err(|_| ApiError::not_found(self.kind, &self.name))?;
        Ok(full[cache.keys().prefix().len()..].to_owned())
    }
}

impl Verbs {
    /// One object.
    pub async fn get(&self, target: &Target, options: &GetOptions) -> Result<Arc<Entry>, ApiError> {
        let cache = self.cache(target.kind)?;
        let key = target.key(&cache)?;
        match options::revision(&options.resource_version)? {
            None => {
                cache.catch_up().await?;
            }
            Some(revision) => cache.reach(revision).await?,
        }
        let entry = cache.peek(&key).ok_or_else(|| ApiError::not_found(target.kind, &target.name))?;
        entry.readable()?;
        self.converted(entry).await
    }

    /// The objects of a collection that the selectors match.
    pub async fn list(&self, target: &Target, options: &ListOptions) -> Result<List, ApiError> {
        let cache = self.cache(target.kind)?;
        options::check(options, false)?;
        let selection = options::selection(target, options)?;
        let limit = usize::try_from(options.limit.max(0)).unwrap_or(usize::MAX);
        let page = if !cache.converts() {
            self.page(&cache, &selection, limit, options).await?
        } else if selection.is_everything() {
            let page = self.page(&cache, &selection, limit, options).await?;
            self.page_converted(page, &selection, limit).await?
        } else {
            // What selectors look at is known only of what is converted.
            let page = self.page(&cache, &selection.place(), 0, options).await?;
            let all = options.r#continue.is_empty() && matches!(options::at(options)?, At::Any);
            self.page_converted(page, &selection, if all { 0 } else { limit }).await?
        };
        Ok(finish(page, &selection.namespace))
    }

    /// The objects of a cache, as they are stored, that a list asks for.
    async fn page(
        &self,
        cache: &Cache,
        selection: &Selection,
        limit: usize,
        options: &ListOptions,
    ) -> Result<Page, ApiError> {
        Ok(if options.r#continue.is_empty() {
            match options::at(options)? {
                At::Newest => {
                    cache.catch_up().await?;
                    cache.list(selection, None, limit)?
                }
                At::Any => {
                    cache.reach(0).await?;
                    cache.list(selection, None, 0)?
                }
                At::NotOlderThan(revision) => {
                    cache.reach(revision).await?;
                    cache.list(selection, None, limit)?
                }
                At::Exactly(revision) => {
                    let page = self.list_exactly(cache, selection, None, limit, revision).await?;
                    page.ok_or_else(|| {
                        ApiError::expired("The resourceVersion for the provided list is too old.")
                    })?
                }
            }
        } else {
            if !options.resource_version.is_empty() && options.resource_version != "0" {
                return Err(ApiError::bad_request(
                    "specifying resource version is not allowed when using continue",
                ));
            }
            self.list_on(cache, selection, Token::decode(&options.r#continue, &selection.namespace)?, limit)
                .await?
        })
    }

    /// The page behind a continue token.
    async fn list_on(
        &self,
        cache: &Cache,
        selection: &Selection,
        token: Token,
        limit: usize,
    ) -> Result<Page, ApiError> {
        let after = Some(token.after.as_str());
        let Some(revision) = token.revision else {
            // The client has accepted that the rest is newer than what it has.
            cache.catch_up().await?;
            return cache.list(selection, after, limit);
        };
        match self.list_exactly(cache, selection, after, limit, revision).await? {
            Some(page) => Ok(page),
            None => {
                let fresh = Token { revision: None, after: token.after };
                Err(ApiError::expired(
                    "The provided continue parameter is too old to display a consistent list result. You can start a \
                     new list without the continue parameter, or use the continue token in this response to retrieve \
                     the remainder of the results. Continuing with the provided token results in an inconsistent list \
                     - objects that were created, modified, or deleted between the time the first chunk was returned \
                     and now may show up in the list.",
                )
                .with_continue(fresh.encode(&selection.namespace)))
            }
        }
    }

    /// A page at one revision: from the cache while it remembers, else from the store; `None` if neither does.
    async fn list_exactly(
        &self,
        cache: &Cache,
        selection: &Selection,
        after: Option<&str>,
        limit: usize,
        revision: i64,
    ) -> Result<Option<Page>, ApiError> {
        cache.reach(revision).await?;
        if let Some(page) = cache.list_at(selection, after, limit, revision) {
            return page.map(Some);
        }
        let prefix = if selection.namespace.is_empty() {
            cache.keys().prefix().to_owned()
        } else {
            let prefix = cache.keys().namespace(&selection.namespace);
            prefix.map_err(|error| ApiError::bad_request(error.to_string()))?
        };
        let mut page = Page { items: Vec::new(), revision, more: true, remaining: None };
        let mut after = after.map(|after| format!("{}{after}", cache.keys().prefix()));
        // Selectors may refuse most of a page, so several may be needed; each begins after the one before.
        while page.more && (limit == 0 || page.items.len() < limit) {
            let wanted = if limit == 0 { 0 } else { limit - page.items.len() };
            let part = StoreList { revision: Some(revision), limit: wanted, after: after.take() };
            let part = match self.store.list(&prefix, part).await {
                Ok(part) => part,
                Err(gantry_store::Error::Compacted { .. }) => return Ok(None),
                Err(error) => return Err(ApiError::from_store(cache.kind(), "", error)),
            };
            page.more = part.more();
            after = part.items.last().map(|kv| kv.key.clone());
            if selection.is_everything() && part.more() {
                page.remaining = i64::try_from(part.remaining).ok();
            }
            for entry in part.items.into_iter().filter_map(|kv| cache.entry(kv)) {
                if selection.matches(&entry) {
                    entry.readable()?;
                    page.items.push(entry);
                }
            }
        }
        Ok(Some(page))
    }

    /// The changes of a collection, as far as the selectors match. Ends by itself after `timeoutSeconds`.
    pub async fn watch(
        self: &Arc<Self>,
        target: &Target,
        options: &ListOptions,
    ) -> Result<WatchStream, ApiError> {
        let cache = self.cache(target.kind)?;
        options::check(options, true)?;
        let selection = options::selection(target, options)?;
        let revision = options::revision(&options.resource_version)?;
        let start = match options.send_initial_events {
            Some(true) => {
                match revision {
                    None => drop(cache.catch_up().await?),
                    Some(revision) => cache.reach(revision).await?,
                }
                Start::Present { marked: options.allow_watch_bookmarks }
            }
            Some(false) if matches!(revision, None | Some(0)) => Start::After(cache.catch_up().await?),
            Some(false) | None => match revision {
                None => {
                    cache.catch_up().await?;
                    Start::Present { marked: false }
                }
                Some(0) => {
                    cache.reach(0).await?;
                    Start::Present { marked: false }
                }
                Some(revision) => {
                    cache.reach(0).await?;
                    Start::After(revision)
                }
            },
        };
        let duration = options::watch_duration(options);
        let converter = cache.converts().then(|| Converter::new(self.clone()));
        Ok(cache.watch_through(converter, selection, start, options.allow_watch_bookmarks, duration))
    }
}

/// Whether a text is a token of a list of `namespace` (empty: of all).
pub(crate) fn check_continue_token(text: &str, namespace: &str) -> Result<(), ApiError> {
    Token::decode(text, namespace).map(|_| ())
}

fn finish(page: Page, namespace: &str) -> List {
    let mut metadata = ListMeta { resource_version: page.revision.to_string(), ..ListMeta::default() };
    if let Some(last) = page.items.last().filter(|_| page.more) {
        metadata.r#continue = Token::after(page.revision, last, namespace);
        metadata.remaining_item_count = page.remaining;
    }
    List { metadata, items: page.items }
}
