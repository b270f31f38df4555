//! The API described for programs: OpenAPI 2 and 3, made from the registry and the schema.
//!
//! A document is made when somebody asks for the first time. It is kept compressed, which most clients ask for anyway.

mod document;
mod operation;
mod parameter;
mod paths;
mod protobuf;
mod v2;
mod v3;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, OnceLock};

pub(crate) use document::{Document, Form};
pub(crate) use operation::{CUSTOM_PATCHES, PATCHES};

use gantry_api::Kind;

use crate::discovery;

/// The documents of the registry's kinds, which custom resources do not change, by their paths.
pub(crate) type Fixed = OnceLock<BTreeMap<String, Arc<Document>>>;

/// The documents of a server that serves some kinds.
pub(crate) struct Documents {
    kinds: Vec<&'static Kind>,
    fixed: Arc<Fixed>,
    v2: OnceLock<Arc<Document>>,
    v3: OnceLock<Index>,
}

/// The documents of version 3 by their paths, such as `apis/apps/v1`.
struct Index {
    paths: Arc<Document>,
    documents: BTreeMap<String, Arc<Document>>,
}

impl Documents {
    /// Of these kinds. Nothing is made before somebody asks, and what is `fixed` only once.
    pub(crate) fn new(kinds: Vec<&'static Kind>, fixed: Arc<Fixed>) -> Self {
        Self { kinds, fixed, v2: OnceLock::new(), v3: OnceLock::new() }
    }

    /// The document of version 2, which is about everything.
    pub(crate) fn v2(&self) -> Arc<Document> {
        let document =
            self.v2.get_or_init(|| Arc::new(Document::new(&v2::document(&self.kinds), &protobuf::V2)));
        Arc::clone(document)
    }

    /// The same with what `add` adds to it.
    pub(crate) fn v2_with(&self, add: impl FnOnce(&mut serde_json::Value)) -> io::Result<Arc<Document>> {
        let mut document = serde_json::from_slice(&self.v2().plain(Form::Json)?)?;
        add(&mut document);
        Ok(Arc::new(Document::new(&document, &protobuf::V2)))
    }

    /// Which documents of version 3 there are.
    pub(crate) fn v3_index(&self) -> Arc<Document> {
        Arc::clone(&self.index().paths)
    }

    /// The same with what `add` adds to it.
    pub(crate) fn v3_index_with(
        &self,
        add: impl FnOnce(&mut serde_json::Value),
    ) -> io::Result<Arc<Document>> {
        let mut index = serde_json::from_slice(&self.v3_index().plain(Form::Json)?)?;
        add(&mut index);
        Ok(Arc::new(Document::new(&index, &protobuf::V3)))
    }

    /// The document of version 3 of a path, such as `apis/apps/v1`.
    pub(crate) fn v3(&self, path: &str) -> Option<Arc<Document>> {
        self.index().documents.get(path).cloned()
    }

    fn index(&self) -> &Index {
        self.v3.get_or_init(|| Index::build(&self.kinds, &self.fixed))
    }
}

/// The documents of version 3 of some paths.
fn documents(
    kinds: &[&'static Kind],
    paths: impl IntoIterator<Item = String>,
) -> BTreeMap<String, Arc<Document>> {
    // One at a time: as values they take many times of what is kept.
    let made = paths.into_iter().filter_map(|path| {
        let document = v3::document(kinds, &path)?;
        Some((path, Arc::new(Document::new(&document, &protobuf::V3))))
    });
    made.collect()
}

impl Index {
    fn build(kinds: &[&'static Kind], fixed: &Fixed) -> Self {
        let known: Vec<_> = kinds.iter().copied().filter(|kind| !kind.is_custom()).collect();
        let fixed = fixed.get_or_init(|| documents(&known, v3::paths(&known)));
        let custom = v3::paths(kinds).into_iter().filter(|path| {
            let of_path =
                |kind: &&'static Kind| kind.is_custom() && prefix(kind.group, kind.version) == *path;
            !fixed.contains_key(path) || kinds.iter().any(of_path)
        });
        let mut documents = documents(kinds, custom);
        for (path, document) in fixed {
            documents.entry(path.clone()).or_insert_with(|| document.clone());
        }
        let links: serde_json::Map<_, _> = documents
            .iter()
            .map(|(path, document)| {
                let url = v3_url(path, document.hash());
                (path.clone(), serde_json::json!({"serverRelativeURL": url}))
            })
            .collect();
        let paths = serde_json::json!({ "paths": links });
        Self { paths: Arc::new(Document::new(&paths, &protobuf::V3)), documents }
    }
}

/// The address of a document of version 3 as it is now: clients may keep what they find there.
pub(crate) fn v3_url(path: &str, hash: &str) -> String {
    format!("/openapi/v3/{path}?hash={hash}")
}

/// `api/v1`, `apis/GROUP/VERSION`.
fn prefix(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

fn info() -> serde_json::Value {
    serde_json::json!({"title": "Kubernetes", "version": discovery::GIT_VERSION})
}

fn bearer_token() -> serde_json::Value {
    serde_json::json!({
        "description": "A token in the request's head.",
        "in": "header",
        "name": "authorization",
        "type": "apiKey",
    })
}
