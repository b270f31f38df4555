//! The objects of one type.

use std::marker::PhantomData;

use bytes::Bytes;
use gantry_api::authentication::v1::TokenRequest;
use gantry_api::autoscaling::v1::Scale;
use gantry_api::grpc::api::{
    CreateRequest, DeleteCollectionRequest, DeleteRequest, GetRequest, ListRequest, ListResponse, Object,
    PatchRequest, PatchType, ResourceRef, UpdateRequest, WatchRequest,
};
use gantry_api::meta::v1::{
    CreateOptions, DeleteOptions, GetOptions, ListMeta, ListOptions, PatchOptions, UpdateOptions,
};
use gantry_api::{Kind, Resource};
use prost::{Message, Name};
use prost_types::Any;

use crate::client::Repeat;
use crate::watch::WatchStream;
use crate::{Client, Error};

/// The objects of a type in a namespace, or of a cluster-scoped type.
pub struct Api<T> {
    client: Client,
    namespace: String,
    marker: PhantomData<fn() -> T>,
}

/// The answer to a list.
#[derive(Debug, Clone)]
pub struct List<T> {
    /// The revision, and how to go on.
    pub metadata: ListMeta,
    /// The objects.
    pub items: Vec<T>,
}

impl<T> Clone for Api<T> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), namespace: self.namespace.clone(), marker: PhantomData }
    }
}

impl<T> std::fmt::Debug for Api<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl<T: Resource> Api<T> {
    pub(crate) fn new(client: Client, namespace: &str) -> Self {
        Self { client, namespace: namespace.to_owned(), marker: PhantomData }
    }

    fn at(&self, name: &str, subresource: &str) -> ResourceRef {
        reference(T::kind(), &self.namespace, name, subresource)
    }

    /// The namespace to write an object to: the object's own where this is for all namespaces.
    fn home<'a>(&'a self, object: &'a T) -> &'a str {
        if self.namespace.is_empty() && T::kind().namespaced() { object.namespace() } else { &self.namespace }
    }

    /// Reads one object.
    pub async fn get(&self, name: &str) -> Result<T, Error> {
        unwrap(get(&self.client, self.at(name, ""), GetOptions::default()).await?)
    }

    /// Reads one object, or `None` where there is none.
    pub async fn get_opt(&self, name: &str) -> Result<Option<T>, Error> {
        match self.get(name).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads many objects: all, or one page where the options limit it.
    pub async fn list(&self, options: &ListOptions) -> Result<List<T>, Error> {
        let response = list(&self.client, self.at("", ""), options).await?;
        let items = response.items.iter().map(decode).collect::<Result<_, _>>()?;
        Ok(List { metadata: response.metadata.unwrap_or_default(), items })
    }

    /// Follows changes. Prefer [`crate::Informer`], which does not end.
    pub async fn watch(&self, options: &ListOptions) -> Result<WatchStream<T>, Error> {
        WatchStream::open(&self.client, watch_request(self.at("", ""), options)).await
    }

    /// Creates an object.
    pub async fn create(&self, object: &T) -> Result<T, Error> {
        self.create_with(object, &CreateOptions::default()).await
    }

    /// Creates an object, with options.
    pub async fn create_with(&self, object: &T, options: &CreateOptions) -> Result<T, Error> {
        let at = reference(T::kind(), self.home(object), "", "");
        unwrap(create(&self.client, at, any(object), options.clone()).await?)
    }

    /// Writes an object anew, all but its status. Its resource version, where set, must be the stored one's.
    pub async fn update(&self, object: &T) -> Result<T, Error> {
        let at = reference(T::kind(), self.home(object), object.name(), "");
        unwrap(update(&self.client, at, any(object), UpdateOptions::default()).await?)
    }

    /// Writes an object's status anew.
    pub async fn update_status(&self, object: &T) -> Result<T, Error> {
        let at = reference(T::kind(), self.home(object), object.name(), "status");
        unwrap(update(&self.client, at, any(object), UpdateOptions::default()).await?)
    }

    /// Writes a subresource that takes the whole object, such as a namespace's `finalize`.
    pub async fn update_subresource(&self, subresource: &str, object: &T) -> Result<T, Error> {
        let at = reference(T::kind(), self.home(object), object.name(), subresource);
        unwrap(update(&self.client, at, any(object), UpdateOptions::default()).await?)
    }

    /// Changes parts of an object.
    pub async fn patch(&self, name: &str, r#type: PatchType, patch: &serde_json::Value) -> Result<T, Error> {
        self.patch_subresource(name, "", r#type, patch).await
    }

    /// Changes parts of an object's status.
    pub async fn patch_status(
        &self,
        name: &str,
        r#type: PatchType,
        patch: &serde_json::Value,
    ) -> Result<T, Error> {
        self.patch_subresource(name, "status", r#type, patch).await
    }

    /// Changes parts of a subresource.
    pub async fn patch_subresource(
        &self,
        name: &str,
        subresource: &str,
        r#type: PatchType,
        body: &serde_json::Value,
    ) -> Result<T, Error> {
        let body = body.to_string().into_bytes().into();
        unwrap(patch(&self.client, self.at(name, subresource), r#type, body, PatchOptions::default()).await?)
    }

    /// Deletes an object: its last state, or its present one where finalizers or a grace period keep it.
    pub async fn delete(&self, name: &str, options: &DeleteOptions) -> Result<T, Error> {
        unwrap(delete(&self.client, self.at(name, ""), options.clone()).await?)
    }

    /// Deletes the objects that `selection` selects.
    pub async fn delete_collection(
        &self,
        options: &DeleteOptions,
        selection: &ListOptions,
    ) -> Result<List<T>, Error> {
        let response =
            delete_collection(&self.client, self.at("", ""), options.clone(), selection.clone()).await?;
        let items = response.items.iter().map(decode).collect::<Result<_, _>>()?;
        Ok(List { metadata: response.metadata.unwrap_or_default(), items })
    }

    /// Creates a subresource that is a message of its own, such as a pod's `binding`.
    pub async fn create_subresource<S: Message + Name>(
        &self,
        name: &str,
        subresource: &str,
        message: &S,
    ) -> Result<(), Error> {
        let any = Any { type_url: type_url::<S>(), value: message.encode_to_vec() };
        create(&self.client, self.at(name, subresource), any, CreateOptions::default()).await?;
        Ok(())
    }

    /// Asks for a token of a service account.
    pub async fn create_token(&self, name: &str, request: &TokenRequest) -> Result<TokenRequest, Error> {
        let any = Any { type_url: type_url::<TokenRequest>(), value: request.encode_to_vec() };
        let given = create(&self.client, self.at(name, "token"), any, CreateOptions::default()).await?;
        decode(&given.value.into())
    }

    /// Reads the number of replicas.
    pub async fn get_scale(&self, name: &str) -> Result<Scale, Error> {
        decode(&get(&self.client, self.at(name, "scale"), GetOptions::default()).await?.value.into())
    }

    /// Writes the number of replicas.
    pub async fn update_scale(&self, name: &str, scale: &Scale) -> Result<Scale, Error> {
        let any = Any { type_url: type_url::<Scale>(), value: scale.encode_to_vec() };
        let at = self.at(name, "scale");
        decode(&update(&self.client, at, any, UpdateOptions::default()).await?.value.into())
    }
}

pub(crate) fn reference(kind: &Kind, namespace: &str, name: &str, subresource: &str) -> ResourceRef {
    ResourceRef {
        group: kind.group.to_owned(),
        version: kind.version.to_owned(),
        resource: kind.plural.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        subresource: subresource.to_owned(),
    }
}

pub(crate) fn any<T: Resource>(object: &T) -> Any {
    Any { type_url: T::kind().type_url(), value: object.encode_to_vec() }
}

fn type_url<S: Name>() -> String {
    format!("type.googleapis.com/{}", S::full_name())
}

/// Decodes a copy: an object that shared the message's buffer would keep a whole list alive.
pub(crate) fn decode<T: Message + Default>(bytes: &Bytes) -> Result<T, Error> {
    T::decode(&bytes[..]).map_err(|source| Error::decode(short_name::<T>(), source))
}

pub(crate) fn unwrap<T: Resource>(any: Any) -> Result<T, Error> {
    T::decode(any.value.as_slice()).map_err(|source| Error::decode(T::kind().kind, source))
}

fn short_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    name.rsplit("::").next().unwrap_or(name)
}

pub(crate) fn object(response: Object) -> Result<Any, Error> {
    response.object.ok_or(Error::Incomplete { missing: "the object" })
}

pub(crate) fn watch_request(at: ResourceRef, options: &ListOptions) -> WatchRequest {
    let options = ListOptions { watch: true, ..options.clone() };
    WatchRequest { r#ref: Some(at), options: Some(options) }
}

pub(crate) async fn get(client: &Client, at: ResourceRef, options: GetOptions) -> Result<Any, Error> {
    let request = GetRequest { r#ref: Some(at), options: Some(options) };
    object(
        client.call(Repeat::Safe, request, |mut rpc, request| async move { rpc.get(request).await }).await?,
    )
}

pub(crate) async fn list(
    client: &Client,
    at: ResourceRef,
    options: &ListOptions,
) -> Result<ListResponse, Error> {
    let request = ListRequest { r#ref: Some(at), options: Some(options.clone()) };
    client.call(Repeat::Safe, request, |mut rpc, request| async move { rpc.list(request).await }).await
}

pub(crate) async fn create(
    client: &Client,
    at: ResourceRef,
    any: Any,
    options: CreateOptions,
) -> Result<Any, Error> {
    let request = CreateRequest { r#ref: Some(at), object: Some(any), options: Some(options) };
    object(
        client
            .call(Repeat::Unsafe, request, |mut rpc, request| async move { rpc.create(request).await })
            .await?,
    )
}

pub(crate) async fn update(
    client: &Client,
    at: ResourceRef,
    any: Any,
    options: UpdateOptions,
) -> Result<Any, Error> {
    let request = UpdateRequest { r#ref: Some(at), object: Some(any), options: Some(options) };
    object(
        client
            .call(Repeat::Unsafe, request, |mut rpc, request| async move { rpc.update(request).await })
            .await?,
    )
}

pub(crate) async fn patch(
    client: &Client,
    at: ResourceRef,
    r#type: PatchType,
    body: Bytes,
    options: PatchOptions,
) -> Result<Any, Error> {
    let request =
        PatchRequest { r#ref: Some(at), r#type: r#type.into(), patch: body, options: Some(options) };
    object(
        client
            .call(Repeat::Unsafe, request, |mut rpc, request| async move { rpc.patch(request).await })
            .await?,
    )
}

pub(crate) async fn delete(client: &Client, at: ResourceRef, options: DeleteOptions) -> Result<Any, Error> {
    let request = DeleteRequest { r#ref: Some(at), options: Some(options) };
    object(
        client
            .call(Repeat::Unsafe, request, |mut rpc, request| async move { rpc.delete(request).await })
            .await?,
    )
}

pub(crate) async fn delete_collection(
    client: &Client,
    at: ResourceRef,
    options: DeleteOptions,
    selection: ListOptions,
) -> Result<ListResponse, Error> {
    let request =
        DeleteCollectionRequest { r#ref: Some(at), options: Some(options), selection: Some(selection) };
    client
        .call(Repeat::Unsafe, request, |mut rpc, request| async move { rpc.delete_collection(request).await })
        .await
}
