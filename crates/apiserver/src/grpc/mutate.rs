//! The pipelined stream of writes: many under way at once, answered as they finish.

use std::sync::Arc;

use futures::{Stream, StreamExt};
use gantry_api::grpc::api::mutate_request::Verb;
use gantry_api::grpc::api::{MutateRequest, MutateResponse, Object, ResourceRef, mutate_response::Outcome};
use tonic::{Status, Streaming};

use super::resources::Service;
use crate::authorization::Requester;
use crate::flow::{Asked, Flow, Resource, Seat};
use crate::status::ApiError;

/// Writes of one stream that are under way at once; the client's next ones wait in its own window.
const IN_FLIGHT: usize = 256;
/// How long one write may take.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(60);

/// The outcomes of the writes that a client sends, in the order in which they finish. Ends when the client's stream
/// has ended and everything is answered; a server that drains takes no new writes, but answers those it has taken.
pub(super) fn outcomes(
    service: Service,
    user: Requester,
    agent: String,
    flow: Option<Arc<Flow>>,
    requests: Streaming<MutateRequest>,
) -> impl Stream<Item = Result<MutateResponse, Status>> + Send + 'static {
    let stop = service.stop.clone();
    let agent: Arc<str> = agent.into();
    requests
        .take_until(stop.cancelled_owned())
        .map(move |request| {
            let (service, user, agent) = (service.clone(), user.clone(), Arc::clone(&agent));
            let flow = flow.clone();
            async move {
                let request = request?;
                let id = request.id;
                // The stream outlives its call, and with it what the pipeline has set for it.
                let write = user.scope(async {
                    let _seat = match &flow {
                        Some(flow) => enter(flow, &user, &request).await?,
                        None => None,
                    };
                    write(&service, &user, &agent, request).await
                });
                let outcome = match tokio::time::timeout(LIMIT, write).await {
                    Ok(Ok(object)) => Outcome::Object(object),
                    Ok(Err(error)) => Outcome::Error(error.status().clone()),
                    Err(_) => {
                        let error = ApiError::timeout(format!("the write did not finish within {LIMIT:?}"));
                        Outcome::Error(error.status().clone())
                    }
                };
                Ok(MutateResponse { id, outcome: Some(outcome) })
            }
        })
        .buffer_unordered(IN_FLIGHT)
}

/// Gets a seat for a write. One that names nothing is refused without.
async fn enter(flow: &Flow, user: &Requester, request: &MutateRequest) -> Result<Option<Seat>, ApiError> {
    let (verb, reference) = match &request.verb {
        Some(Verb::Create(create)) => ("create", &create.r#ref),
        Some(Verb::Update(update)) => ("update", &update.r#ref),
        Some(Verb::Patch(patch)) => ("patch", &patch.r#ref),
        // What applies may make an object, too; it is authorized and counted as the patch that it is.
        Some(Verb::Apply(apply)) => ("patch", &apply.r#ref),
        Some(Verb::Delete(delete)) => ("delete", &delete.r#ref),
        None => return Ok(None),
    };
    let ResourceRef { group, resource, subresource, namespace, name, .. } =
        reference.clone().unwrap_or_default();
    let what = Resource { group, resource, subresource, namespace, name };
    let asked = Asked::resource(verb, "/gantry.api.v1.Resources/Mutate", what, None);
    let classified = flow.classify(user.user(), &asked);
    flow.enter(&classified, user.user(), &asked, LIMIT / 4).await.map(Some).map_err(|refused| {
        let seconds = i32::try_from(refused.retry_after).unwrap_or(i32::MAX);
        ApiError::too_many_requests("Too many requests, please try again later.", seconds)
    })
}

async fn write(
    service: &Service,
    user: &Requester,
    agent: &str,
    request: MutateRequest,
) -> Result<Object, ApiError> {
    match request.verb {
        Some(Verb::Create(create)) => service.create(user, agent, create).await,
        Some(Verb::Update(update)) => service.update(user, agent, update).await,
        Some(Verb::Patch(patch)) => service.patch(user, agent, patch).await,
        Some(Verb::Apply(apply)) => service.apply(user, apply).await,
        Some(Verb::Delete(delete)) => service.delete(user, delete).await,
        None => Err(ApiError::bad_request("verb is required: create, update, patch, apply or delete")),
    }
}
