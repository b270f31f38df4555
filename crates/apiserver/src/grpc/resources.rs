//! The `Resources` service: each method resolves, authorizes and calls the verb.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use gantry_api::Subresource;
use gantry_api::grpc::api::{self, resources_server::Resources};
use gantry_api::meta::v1::{CreateOptions, DeleteOptions, PatchOptions, UpdateOptions};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::target::{agent, resolve, resolve_selected, user};
use super::{mutate, object};
use crate::authorization::{Attributes, Requester, authorize};
use crate::discovery;
use crate::flow::Flow;
use crate::reviews;
use crate::status::ApiError;
use crate::table;
use crate::tokens;
use crate::verbs::{PatchType, Target, Verbs, WatchItem};

/// See [`super::Services`].
#[derive(Clone)]
pub(super) struct Service {
    pub(super) verbs: Arc<Verbs>,
    pub(super) stop: CancellationToken,
}

type Reply<T> = Result<Response<T>, Status>;

impl Service {
    pub(super) async fn create(
        &self,
        user: &Requester,
        agent: &str,
        request: api::CreateRequest,
    ) -> Result<api::Object, ApiError> {
        let (mut target, subresource) = resolve(&self.verbs, user, "create", request.r#ref)?;
        let mut options: CreateOptions = request.options.unwrap_or_default();
        manage(&mut options.field_manager, agent);
        match subresource {
            None if target.kind.review => {
                let question = object::decode(target.kind, request.object)?;
                Ok(object::reply(&reviews::answer(user, &target.namespace, question).await?))
            }
            None => {
                let object = object::decode(target.kind, request.object)?;
                if target.name.is_empty() {
                    target.name.clone_from(&object.meta().name);
                }
                Ok(object::reply(&*self.verbs.create(&target, object, &options).await?))
            }
            Some(Subresource::Binding) => {
                let binding = object::decode_as(request.object)?;
                Ok(object::reply(&*self.verbs.bind(&target, binding, &options).await?))
            }
            Some(Subresource::Token) => {
                let wanted = object::decode_as(request.object)?;
                Ok(object::reply_as(&tokens::create(&self.verbs, user, &target, wanted, &options).await?))
            }
            Some(Subresource::Eviction) => {
                let eviction = object::decode_as(request.object)?;
                Ok(object::reply_as(&self.verbs.evict(&target, eviction, &options).await?))
            }
            Some(other) => Err(unsupported(&target, other, "create")),
        }
    }

    pub(super) async fn update(
        &self,
        user: &Requester,
        agent: &str,
        request: api::UpdateRequest,
    ) -> Result<api::Object, ApiError> {
        let (target, subresource) = resolve(&self.verbs, user, "update", request.r#ref)?;
        let mut options: UpdateOptions = request.options.unwrap_or_default();
        manage(&mut options.field_manager, agent);
        match subresource {
            Some(Subresource::Scale) => {
                let scale = object::decode_as(request.object)?;
                Ok(object::reply_as(&self.verbs.update_scale(&target, scale, &options).await?))
            }
            None
            | Some(
                Subresource::Status
                | Subresource::Finalize
                | Subresource::EphemeralContainers
                | Subresource::Resize
                | Subresource::Approval,
            ) => {
                let object = object::decode(target.kind, request.object)?;
                let may_create = || may_create(user, &target);
                let (entry, _) = self.verbs.put(&target, subresource, object, &options, may_create).await?;
                Ok(object::reply(&entry))
            }
            Some(other) => Err(unsupported(&target, other, "update")),
        }
    }

    pub(super) async fn patch(
        &self,
        user: &Requester,
        agent: &str,
        request: api::PatchRequest,
    ) -> Result<api::Object, ApiError> {
        let r#type = patch_type(request.r#type())?;
        let (target, subresource) = resolve(&self.verbs, user, "patch", request.r#ref)?;
        let mut options: PatchOptions = request.options.unwrap_or_default();
        manage(&mut options.field_manager, agent);
        let patch = request.patch;
        match subresource {
            Some(Subresource::Scale) => {
                Ok(object::reply_as(&self.verbs.patch_scale(&target, r#type, patch, &options).await?))
            }
            None
            | Some(
                Subresource::Status
                | Subresource::EphemeralContainers
                | Subresource::Resize
                | Subresource::Approval,
            ) => {
                let patched = self.verbs.patch(&target, subresource, r#type, patch, &options).await?;
                Ok(object::reply(&patched))
            }
            Some(other) => Err(unsupported(&target, other, "patch")),
        }
    }

    pub(super) async fn apply(
        &self,
        user: &Requester,
        request: api::ApplyRequest,
    ) -> Result<api::Object, ApiError> {
        let (target, subresource) = resolve(&self.verbs, user, "patch", request.r#ref)?;
        let options = request.options.unwrap_or_default();
        let options = PatchOptions {
            dry_run: options.dry_run,
            force: options.force,
            field_manager: options.field_manager,
            field_validation: String::new(),
        };
        let config = serde_json::from_slice(&request.configuration)
            .map_err(|error| ApiError::bad_request(format!("error decoding configuration: {error}")))?;
        match subresource {
            Some(Subresource::Scale) => {
                Ok(object::reply_as(&self.verbs.apply_scale(&target, &config, &options).await?))
            }
            None | Some(Subresource::Status) => {
                let may_create = || may_create(user, &target);
                let (entry, _) =
                    self.verbs.apply(&target, subresource, &config, &options, may_create).await?;
                Ok(object::reply(&entry))
            }
            Some(other) => Err(unsupported(&target, other, "apply")),
        }
    }

    pub(super) async fn delete(
        &self,
        user: &Requester,
        request: api::DeleteRequest,
    ) -> Result<api::Object, ApiError> {
        let (target, subresource) = resolve(&self.verbs, user, "delete", request.r#ref)?;
        let options: DeleteOptions = request.options.unwrap_or_default();
        match subresource {
            None => Ok(object::reply(&self.verbs.delete(&target, &options).await?.entry)),
            Some(other) => Err(unsupported(&target, other, "delete")),
        }
    }
}

/// The field manager of a write that names none.
fn manage(manager: &mut String, agent: &str) {
    if manager.is_empty() {
        agent.clone_into(manager);
    }
}

/// Whether the user may also create what an update creates.
fn may_create(user: &Requester, target: &Target) -> Result<(), ApiError> {
    let attributes = Attributes::Resource {
        verb: "create",
        group: target.kind.group,
        resource: target.kind.plural,
        subresource: "",
        namespace: &target.namespace,
        name: &target.name,
    };
    authorize(user, &attributes)
}

fn patch_type(r#type: api::PatchType) -> Result<PatchType, ApiError> {
    match r#type {
        api::PatchType::Json => Ok(PatchType::Json),
        api::PatchType::Merge => Ok(PatchType::Merge),
        api::PatchType::StrategicMerge => Ok(PatchType::StrategicMerge),
        api::PatchType::Unspecified => {
            Err(ApiError::bad_request("type is required: JSON, MERGE or STRATEGIC_MERGE"))
        }
    }
}

fn unsupported(target: &Target, subresource: Subresource, verb: &str) -> ApiError {
    let what = format!("{verb} of the subresource {}", subresource.name());
    ApiError::method_not_allowed(target.kind, &what)
}

/// Items that were ready together become one message.
fn events(type_url: &str, items: Vec<WatchItem>) -> api::WatchResponse {
    let events = items.into_iter().map(event).collect();
    api::WatchResponse { type_url: type_url.to_owned(), events }
}

fn event(item: WatchItem) -> api::Event {
    let changed = |r#type: api::EventType, entry: &crate::cache::Entry| api::Event {
        r#type: r#type.into(),
        object: entry.bytes(),
        revision: entry.revision(),
        ..api::Event::default()
    };
    match item {
        WatchItem::Added(entry) => changed(api::EventType::Added, &entry),
        WatchItem::Modified(entry) => changed(api::EventType::Modified, &entry),
        WatchItem::Deleted(entry) => changed(api::EventType::Deleted, &entry),
        WatchItem::Bookmark { revision, initial_events_end } => api::Event {
            r#type: api::EventType::Bookmark.into(),
            revision,
            initial_events_end,
            ..api::Event::default()
        },
        WatchItem::Error(error) => api::Event {
            r#type: api::EventType::Error.into(),
            error: Some(error.status().clone()),
            ..api::Event::default()
        },
    }
}

#[tonic::async_trait]
impl Resources for Service {
    async fn get(&self, request: Request<api::GetRequest>) -> Reply<api::Object> {
        let user = user(&request)?;
        let request = request.into_inner();
        let (target, subresource) = resolve(&self.verbs, &user, "get", request.r#ref)?;
        let options = request.options.unwrap_or_default();
        let reply = match subresource {
            Some(Subresource::Scale) => object::reply_as(&self.verbs.get_scale(&target, &options).await?),
            None
            | Some(
                Subresource::Status
                | Subresource::EphemeralContainers
                | Subresource::Resize
                | Subresource::Approval,
            ) => object::reply(&*self.verbs.get(&target, &options).await?),
            Some(other) => return Err(unsupported(&target, other, "get").into()),
        };
        Ok(Response::new(reply))
    }

    async fn list(&self, request: Request<api::ListRequest>) -> Reply<api::ListResponse> {
        let user = user(&request)?;
        let request = request.into_inner();
        let options = request.options.unwrap_or_default();
        let (target, _) =
            resolve_selected(&self.verbs, &user, "list", request.r#ref, &options.field_selector)?;
        let list = self.verbs.list(&target, &options).await?;
        Ok(Response::new(object::list(target.kind, list)))
    }

    type WatchStream = BoxStream<'static, Result<api::WatchResponse, Status>>;

    async fn watch(&self, request: Request<api::WatchRequest>) -> Reply<Self::WatchStream> {
        let user = user(&request)?;
        let request = request.into_inner();
        let options = request.options.unwrap_or_default();
        let (target, _) =
            resolve_selected(&self.verbs, &user, "watch", request.r#ref, &options.field_selector)?;
        let items = self.verbs.watch(&target, &options).await?;
        let type_url = target.kind.type_url();
        let responses = items.map(move |items| Ok(events(&type_url, items)));
        // A draining server ends its watches: clients resume elsewhere from the last revision.
        Ok(Response::new(responses.take_until(self.stop.clone().cancelled_owned()).boxed()))
    }

    async fn create(&self, request: Request<api::CreateRequest>) -> Reply<api::Object> {
        let (user, agent) = (user(&request)?, agent(&request));
        Ok(Response::new(Service::create(self, &user, &agent, request.into_inner()).await?))
    }

    async fn update(&self, request: Request<api::UpdateRequest>) -> Reply<api::Object> {
        let (user, agent) = (user(&request)?, agent(&request));
        Ok(Response::new(Service::update(self, &user, &agent, request.into_inner()).await?))
    }

    async fn patch(&self, request: Request<api::PatchRequest>) -> Reply<api::Object> {
        let (user, agent) = (user(&request)?, agent(&request));
        Ok(Response::new(Service::patch(self, &user, &agent, request.into_inner()).await?))
    }

    async fn apply(&self, request: Request<api::ApplyRequest>) -> Reply<api::Object> {
        let user = user(&request)?;
        Ok(Response::new(Service::apply(self, &user, request.into_inner()).await?))
    }

    async fn delete(&self, request: Request<api::DeleteRequest>) -> Reply<api::Object> {
        let user = user(&request)?;
        Ok(Response::new(Service::delete(self, &user, request.into_inner()).await?))
    }

    async fn delete_collection(
        &self,
        request: Request<api::DeleteCollectionRequest>,
    ) -> Reply<api::ListResponse> {
        let user = user(&request)?;
        let request = request.into_inner();
        let options = request.options.unwrap_or_default();
        let selection = request.selection.unwrap_or_default();
        let fields = &selection.field_selector;
        let (target, _) = resolve_selected(&self.verbs, &user, "deletecollection", request.r#ref, fields)?;
        let list = self.verbs.delete_collection(&target, &options, &selection).await?;
        Ok(Response::new(object::list(target.kind, list)))
    }

    type MutateStream = BoxStream<'static, Result<api::MutateResponse, Status>>;

    async fn mutate(&self, request: Request<Streaming<api::MutateRequest>>) -> Reply<Self::MutateStream> {
        let (user, agent) = (user(&request)?, agent(&request));
        let flow = request.extensions().get::<Arc<Flow>>().cloned();
        let outcomes = mutate::outcomes(self.clone(), user, agent, flow, request.into_inner());
        Ok(Response::new(outcomes.boxed()))
    }

    async fn discover(&self, request: Request<api::DiscoverRequest>) -> Reply<api::DiscoverResponse> {
        authorize(&user(&request)?, &Attributes::Path { verb: "get", path: "/apis" })?;
        Ok(Response::new(discovery::grpc(self.verbs.catalog().kinds())))
    }

    async fn table(&self, request: Request<api::TableRequest>) -> Reply<api::TableResponse> {
        let user = user(&request)?;
        let request = request.into_inner().list.unwrap_or_default();
        let options = request.options.unwrap_or_default();
        let reference = request.r#ref.unwrap_or_default();
        let one = !reference.name.is_empty();
        let verb = if one { "get" } else { "list" };
        let (target, subresource) =
            resolve_selected(&self.verbs, &user, verb, Some(reference), &options.field_selector)?;
        if let Some(subresource) = subresource {
            return Err(unsupported(&target, subresource, "table").into());
        }
        let json = if one {
            let entry = self.verbs.get(&target, &Default::default()).await?;
            table::of_entry(&entry, table::IncludeObject::Metadata)?
        } else {
            let list = self.verbs.list(&target, &options).await?;
            table::of_list(target.kind, &list, table::IncludeObject::Metadata)?
        };
        Ok(Response::new(api::TableResponse { json: json.into() }))
    }
}
