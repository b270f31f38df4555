//! The calls.

use std::pin::Pin;

use bytes::Bytes;
use futures::Stream;
use gantry_api::grpc::api::mutate_request::Verb;
use gantry_api::grpc::api::mutate_response::Outcome;
use gantry_api::grpc::api::resources_server::Resources;
use gantry_api::grpc::api::{
    ApplyRequest, CreateRequest, DeleteCollectionRequest, DeleteRequest, DiscoverRequest, DiscoverResponse,
    Event, EventType, GetRequest, ListRequest, ListResponse, MutateRequest, MutateResponse, Object,
    PatchRequest, ResourceRef, TableRequest, TableResponse, UpdateRequest, WatchRequest, WatchResponse,
};
use gantry_api::meta::v1::ListMeta;
use prost_types::Any;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Streaming};

use super::{Call, Fault, Order, Refusal, Server, State, key, kind, rpc, status};

type Answer<T> = Result<Response<T>, tonic::Status>;
type Outgoing<T> = Pin<Box<dyn Stream<Item = Result<T, tonic::Status>> + Send>>;

impl Server {
    /// Notes a call and does to it what the script says; `effect` is what the call does.
    async fn play<T>(
        &self,
        method: &'static str,
        call: Call,
        effect: impl FnOnce(&mut State) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let fault = {
            let mut state = self.state.lock();
            state.calls.push(call);
            state.faults.get_mut(method).and_then(std::collections::VecDeque::pop_front)
        };
        match fault {
            Some(Fault::Refuse(status)) => return Err(status),
            Some(Fault::Delay(delay)) => tokio::time::sleep(delay).await,
            Some(Fault::Hang) => return std::future::pending().await,
            Some(Fault::CutBefore) => {
                self.network.cut();
                return std::future::pending().await;
            }
            Some(Fault::CutAfter) => {
                let _ = self.take_effect(effect);
                self.network.cut();
                return std::future::pending().await;
            }
            None => {}
        }
        self.take_effect(effect)
    }

    fn take_effect<T>(&self, effect: impl FnOnce(&mut State) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let mut state = self.state.lock();
        let result = effect(&mut state);
        self.changed.send_replace(state.revision);
        result
    }

    async fn write(&self, method: &'static str, verb: Verb) -> Result<Object, Refusal> {
        let at = match &verb {
            Verb::Create(request) => request.r#ref.clone(),
            Verb::Update(request) => request.r#ref.clone(),
            Verb::Patch(request) => request.r#ref.clone(),
            Verb::Apply(request) => request.r#ref.clone(),
            Verb::Delete(request) => request.r#ref.clone(),
        }
        .unwrap_or_default();
        let name = match &verb {
            Verb::Create(request) => decode(&at, request.object.as_ref())?.meta().name.clone(),
            _ => at.name.clone(),
        };
        let call = call(method, &name, "", "");
        let bytes = self.play(method, call, |state| state.mutate(&at, verb)).await?;
        Ok(Object { object: Some(Any { type_url: kind(&at)?.type_url(), value: bytes.to_vec() }) })
    }

    async fn follow(
        self,
        at: ResourceRef,
        mut cursor: i64,
        mut orders: tokio::sync::broadcast::Receiver<Order>,
        events: mpsc::Sender<Result<WatchResponse, tonic::Status>>,
    ) {
        let mut changed = self.changed.subscribe();
        let send = |list: Vec<Event>| WatchResponse { events: list, ..WatchResponse::default() };
        loop {
            changed.borrow_and_update();
            let (ready, revision, forgotten) = {
                let state = self.state.lock();
                let ready: Vec<Event> = state
                    .log
                    .iter()
                    .filter(|change| change.revision > cursor && change.plural == at.resource)
                    .map(|change| Event {
                        r#type: change.r#type.into(),
                        object: change.object.clone(),
                        revision: change.revision,
                        ..Event::default()
                    })
                    .collect();
                (ready, state.revision, cursor < state.floor)
            };
            if forgotten {
                // What it has not sent is gone.
                return;
            }
            cursor = cursor.max(revision);
            if !ready.is_empty() && events.send(Ok(send(ready))).await.is_err() {
                return;
            }
            let order = tokio::select! {
                // A bookmark comes after what it covers.
                biased;
                _ = changed.changed() => continue,
                () = events.closed() => return,
                order = orders.recv() => order,
            };
            let event = match order {
                Ok(Order::Bookmark) => {
                    Event { r#type: EventType::Bookmark.into(), revision: cursor, ..Event::default() }
                }
                Ok(Order::Expire) => Event {
                    r#type: EventType::Error.into(),
                    error: Some(*status(410, "Expired")),
                    ..Event::default()
                },
                Ok(Order::Close) | Err(_) => return,
            };
            if events.send(Ok(send(vec![event]))).await.is_err() || order == Ok(Order::Expire) {
                return;
            }
        }
    }
}

impl State {
    fn mutate(&mut self, at: &ResourceRef, verb: Verb) -> Result<Bytes, Refusal> {
        let kind = kind(at)?;
        match verb {
            Verb::Create(request) => {
                let object = decode(at, request.object.as_ref())?;
                if self.objects.contains_key(&key(at, &object.meta().name)) {
                    return Err(status(409, "AlreadyExists"));
                }
                Ok(self.write(kind, object))
            }
            Verb::Update(request) => {
                let object = decode(at, request.object.as_ref())?;
                let present = self.objects.get(&key(at, &at.name)).ok_or_else(|| status(404, "NotFound"))?;
                if object.meta().resource_version != present.meta().resource_version {
                    return Err(status(409, "Conflict"));
                }
                Ok(self.write(kind, object))
            }
            Verb::Patch(request) => {
                let present = self.objects.get(&key(at, &at.name)).ok_or_else(|| status(404, "NotFound"))?;
                let mut value = present.to_value().map_err(|_| status(500, "InternalError"))?;
                let patch: serde_json::Value =
                    serde_json::from_slice(&request.patch).map_err(|_| status(400, "BadRequest"))?;
                for (field, change) in patch.as_object().into_iter().flatten() {
                    value[field] = change.clone();
                }
                let object = kind.decode_value(value).map_err(|_| status(400, "BadRequest"))?;
                Ok(self.write(kind, object))
            }
            // No test asks for it.
            Verb::Apply(_) => Err(status(405, "MethodNotAllowed")),
            Verb::Delete(_) => self.remove(&key(at, &at.name)).ok_or_else(|| status(404, "NotFound")),
        }
    }

    fn list(&mut self, at: &ResourceRef, token: &str) -> Result<ListResponse, Refusal> {
        let (revision, mut items) = match token.parse::<i64>() {
            Ok(revision) => (revision, self.pages.remove(&revision).ok_or_else(|| status(410, "Expired"))?),
            Err(_) => {
                let of_kind = self.objects.iter().filter(|((kind, ..), _)| *kind == at.resource);
                (self.revision, of_kind.map(|(_, object)| object.encode()).collect())
            }
        };
        let rest = items.split_off(items.len().min(self.page));
        let mut metadata = ListMeta { resource_version: revision.to_string(), ..ListMeta::default() };
        if !rest.is_empty() {
            metadata.r#continue = revision.to_string();
            self.pages.insert(revision, rest);
        }
        Ok(ListResponse { metadata: Some(metadata), items, ..ListResponse::default() })
    }
}

fn decode(at: &ResourceRef, any: Option<&Any>) -> Result<Box<dyn gantry_api::Object>, Refusal> {
    let bytes = any.map(|any| any.value.clone()).unwrap_or_default();
    let mut object = kind(at)?.decode(bytes.into()).map_err(|_| status(400, "BadRequest"))?;
    object.meta_mut().namespace.clone_from(&at.namespace);
    Ok(object)
}

fn call(method: &'static str, name: &str, resource_version: &str, token: &str) -> Call {
    Call {
        method,
        name: name.to_owned(),
        resource_version: resource_version.to_owned(),
        token: token.to_owned(),
        time: Instant::now(),
    }
}

fn answer<T>(result: Result<T, Refusal>) -> Answer<T> {
    result.map(Response::new).map_err(|status| rpc(&status))
}

#[tonic::async_trait]
impl Resources for Server {
    type WatchStream = Outgoing<WatchResponse>;
    type MutateStream = Outgoing<MutateResponse>;

    async fn get(&self, request: Request<GetRequest>) -> Answer<Object> {
        let at = request.into_inner().r#ref.unwrap_or_default();
        let read = |state: &mut State| {
            let object =
                state.objects.get(&key(&at, &at.name)).ok_or_else(|| status(404, "NotFound"))?.encode();
            Ok(Object { object: Some(Any { type_url: kind(&at)?.type_url(), value: object.to_vec() }) })
        };
        answer(self.play("get", call("get", &at.name, "", ""), read).await)
    }

    async fn list(&self, request: Request<ListRequest>) -> Answer<ListResponse> {
        let request = request.into_inner();
        let (at, options) = (request.r#ref.unwrap_or_default(), request.options.unwrap_or_default());
        let noted = call("list", &at.resource, &options.resource_version, &options.r#continue);
        answer(self.play("list", noted, |state| state.list(&at, &options.r#continue)).await)
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Answer<Self::WatchStream> {
        let request = request.into_inner();
        let (at, options) = (request.r#ref.unwrap_or_default(), request.options.unwrap_or_default());
        let from: i64 = options.resource_version.parse().unwrap_or(0);
        let orders = self.orders.subscribe();
        let noted = call("watch", &at.resource, &options.resource_version, "");
        let allowed =
            self.play(
                "watch",
                noted,
                |state| if from < state.floor { Err(status(410, "Expired")) } else { Ok(()) },
            );
        allowed.await.map_err(|status| rpc(&status))?;
        let (events, receiver) = mpsc::channel(16);
        tokio::spawn(self.clone().follow(at, from, orders, events));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn create(&self, request: Request<CreateRequest>) -> Answer<Object> {
        answer(self.write("create", Verb::Create(request.into_inner())).await)
    }

    async fn update(&self, request: Request<UpdateRequest>) -> Answer<Object> {
        answer(self.write("update", Verb::Update(request.into_inner())).await)
    }

    async fn patch(&self, request: Request<PatchRequest>) -> Answer<Object> {
        answer(self.write("patch", Verb::Patch(request.into_inner())).await)
    }

    async fn apply(&self, _: Request<ApplyRequest>) -> Answer<Object> {
        Err(tonic::Status::unimplemented("no test asks for it"))
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Answer<Object> {
        answer(self.write("delete", Verb::Delete(request.into_inner())).await)
    }

    async fn delete_collection(&self, _: Request<DeleteCollectionRequest>) -> Answer<ListResponse> {
        Err(tonic::Status::unimplemented("no test asks for it"))
    }

    async fn mutate(&self, request: Request<Streaming<MutateRequest>>) -> Answer<Self::MutateStream> {
        let mut requests = request.into_inner();
        let (outcomes, receiver) = mpsc::channel(1024);
        let server = self.clone();
        let mut orders = self.orders.subscribe();
        tokio::spawn(async move {
            loop {
                let request = tokio::select! {
                    request = requests.message() => request,
                    order = orders.recv() => {
                        if order == Ok(Order::Close) { return } else { continue }
                    }
                };
                let Ok(Some(MutateRequest { id, verb: Some(verb) })) = request else { return };
                let (server, outcomes) = (server.clone(), outcomes.clone());
                tokio::spawn(async move {
                    let outcome = match server.write("mutate", verb).await {
                        Ok(object) => Outcome::Object(object),
                        Err(status) => Outcome::Error(*status),
                    };
                    // The stream may have ended meanwhile.
                    let _ = outcomes.send(Ok(MutateResponse { id, outcome: Some(outcome) })).await;
                });
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn discover(&self, _: Request<DiscoverRequest>) -> Answer<DiscoverResponse> {
        Ok(Response::new(DiscoverResponse::default()))
    }

    async fn table(&self, _: Request<TableRequest>) -> Answer<TableResponse> {
        Err(tonic::Status::unimplemented("no test asks for it"))
    }
}
