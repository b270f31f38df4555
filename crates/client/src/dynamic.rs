//! The objects of a kind that is known at run time only.

use gantry_api::grpc::api::{ListRequest, PatchType, ResourceRef, TableRequest};
use gantry_api::meta::v1::{
    CreateOptions, DeleteOptions, GetOptions, ListMeta, ListOptions, PatchOptions, UpdateOptions,
};
use gantry_api::{Kind, Object};
use prost_types::Any;

use crate::client::Repeat;
use crate::watch::{RawWatch, typed};
use crate::{Client, Error, WatchEvent, api};

/// The objects of a kind in a namespace, or of a cluster-scoped kind.
#[derive(Debug, Clone)]
pub struct DynamicApi {
    client: Client,
    kind: &'static Kind,
    namespace: String,
}

/// The answer to a list.
#[derive(Debug)]
pub struct DynamicList {
    /// The revision, and how to go on.
    pub metadata: ListMeta,
    /// The objects.
    pub items: Vec<Box<dyn Object>>,
}

/// One change.
pub type DynamicEvent = WatchEvent<Box<dyn Object>>;

/// A stream of changes.
pub struct DynamicWatch {
    raw: RawWatch,
    kind: &'static Kind,
}

impl DynamicWatch {
    /// The next change; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Result<DynamicEvent, Error>> {
        match self.raw.next().await? {
            Ok(event) => Some(typed(event, &|bytes| decode(self.kind, bytes.clone()))),
            Err(error) => Some(Err(error)),
        }
    }
}

impl DynamicApi {
    pub(crate) fn new(client: Client, kind: &'static Kind, namespace: &str) -> Self {
        Self { client, kind, namespace: namespace.to_owned() }
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    fn at(&self, name: &str, subresource: &str) -> ResourceRef {
        api::reference(self.kind, &self.namespace, name, subresource)
    }

    fn home(&self, object: &dyn Object, name: &str, subresource: &str) -> ResourceRef {
        let own = self.namespace.is_empty() && self.kind.namespaced();
        let namespace = if own { &object.meta().namespace } else { &self.namespace };
        api::reference(self.kind, namespace, name, subresource)
    }

    fn unwrap(&self, any: Any) -> Result<Box<dyn Object>, Error> {
        decode(self.kind, any.value.into())
    }

    /// Reads one object.
    pub async fn get(&self, name: &str) -> Result<Box<dyn Object>, Error> {
        self.unwrap(api::get(&self.client, self.at(name, ""), GetOptions::default()).await?)
    }

    /// Reads many objects: all, or one page where the options limit it.
    pub async fn list(&self, options: &ListOptions) -> Result<DynamicList, Error> {
        let response = api::list(&self.client, self.at("", ""), options).await?;
        let items =
            response.items.into_iter().map(|bytes| decode(self.kind, bytes)).collect::<Result<_, _>>()?;
        Ok(DynamicList { metadata: response.metadata.unwrap_or_default(), items })
    }

    /// A list as rows, the JSON of a `meta.v1` Table. With `name`, the row of one object.
    pub async fn table(&self, name: &str, options: &ListOptions) -> Result<serde_json::Value, Error> {
        let list = ListRequest { r#ref: Some(self.at(name, "")), options: Some(options.clone()) };
        let request = TableRequest { list: Some(list) };
        let response = self
            .client
            .call(Repeat::Safe, request, |mut rpc, request| async move { rpc.table(request).await })
            .await?;
        serde_json::from_slice(&response.json).map_err(|source| Error::decode("a table", source))
    }

    /// Follows changes until the stream ends.
    pub async fn watch(&self, options: &ListOptions) -> Result<DynamicWatch, Error> {
        let raw = RawWatch::open(&self.client, api::watch_request(self.at("", ""), options)).await?;
        Ok(DynamicWatch { raw, kind: self.kind })
    }

    /// Creates an object.
    pub async fn create(
        &self,
        object: &dyn Object,
        options: &CreateOptions,
    ) -> Result<Box<dyn Object>, Error> {
        let at = self.home(object, "", "");
        self.unwrap(api::create(&self.client, at, any(object), options.clone()).await?)
    }

    /// Writes an object anew; with a subresource, only that.
    pub async fn update(
        &self,
        subresource: &str,
        object: &dyn Object,
        options: &UpdateOptions,
    ) -> Result<Box<dyn Object>, Error> {
        let at = self.home(object, &object.meta().name, subresource);
        self.unwrap(api::update(&self.client, at, any(object), options.clone()).await?)
    }

    /// Changes parts of an object; with a subresource, only that.
    pub async fn patch(
        &self,
        name: &str,
        subresource: &str,
        r#type: PatchType,
        patch: &serde_json::Value,
        options: &PatchOptions,
    ) -> Result<Box<dyn Object>, Error> {
        let body = patch.to_string().into_bytes().into();
        self.unwrap(
            api::patch(&self.client, self.at(name, subresource), r#type, body, options.clone()).await?,
        )
    }

    /// Deletes an object: its last state, or its present one where finalizers or a grace period keep it.
    pub async fn delete(&self, name: &str, options: &DeleteOptions) -> Result<Box<dyn Object>, Error> {
        self.unwrap(api::delete(&self.client, self.at(name, ""), options.clone()).await?)
    }

    /// Deletes the objects that `selection` selects.
    pub async fn delete_collection(
        &self,
        options: &DeleteOptions,
        selection: &ListOptions,
    ) -> Result<DynamicList, Error> {
        let response =
            api::delete_collection(&self.client, self.at("", ""), options.clone(), selection.clone()).await?;
        let items =
            response.items.into_iter().map(|bytes| decode(self.kind, bytes)).collect::<Result<_, _>>()?;
        Ok(DynamicList { metadata: response.metadata.unwrap_or_default(), items })
    }
}

fn any(object: &dyn Object) -> Any {
    Any { type_url: object.kind().type_url(), value: object.encode().to_vec() }
}

fn decode(kind: &'static Kind, bytes: bytes::Bytes) -> Result<Box<dyn Object>, Error> {
    kind.decode(bytes).map_err(|source| Error::decode(kind.kind, source))
}
