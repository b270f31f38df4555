//! Writes that do not wait for each other: one `Mutate` stream, many writes under way.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;

use gantry_api::Resource;
use gantry_api::grpc::api::mutate_request::Verb;
use gantry_api::grpc::api::mutate_response::Outcome;
use gantry_api::grpc::api::{
    CreateRequest, DeleteRequest, MutateRequest, MutateResponse, PatchRequest, PatchType, UpdateRequest,
};
use gantry_api::meta::v1::{CreateOptions, DeleteOptions, PatchOptions, UpdateOptions};
use prost::{Message, Name};
use prost_types::Any;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::{Backoff, Client, Error, api};

/// Writes under way at once.
const IN_FLIGHT: usize = 512;

/// Writes objects through one stream. Cheap to clone; clones share the stream, which opens with the first write and is
/// opened again after a break. Each write resolves with its own outcome, in whatever order they finish.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    jobs: mpsc::Sender<Job>,
    slots: Arc<Semaphore>,
}

struct Job {
    verb: Verb,
    reply: oneshot::Sender<Result<Any, Error>>,
}

impl Writer {
    pub(crate) fn new(client: Client) -> Self {
        let (jobs, queue) = mpsc::channel(IN_FLIGHT);
        tokio::spawn(drive(client.clone(), queue));
        Self { client, jobs, slots: Arc::new(Semaphore::new(IN_FLIGHT)) }
    }

    /// Creates an object in its namespace.
    pub async fn create<T: Resource>(&self, object: &T) -> Result<T, Error> {
        let at = api::reference(T::kind(), object.namespace(), "", "");
        let request = CreateRequest {
            r#ref: Some(at),
            object: Some(api::any(object)),
            options: Some(CreateOptions::default()),
        };
        api::unwrap(self.send(Verb::Create(request)).await?)
    }

    /// Creates a subresource that is a message of its own, such as a pod's `binding`.
    pub async fn create_subresource<T: Resource, S: Message + Name>(
        &self,
        namespace: &str,
        name: &str,
        subresource: &str,
        message: &S,
    ) -> Result<(), Error> {
        let at = api::reference(T::kind(), namespace, name, subresource);
        let type_url = format!("type.googleapis.com/{}", S::full_name());
        let any = Any { type_url, value: message.encode_to_vec() };
        let request =
            CreateRequest { r#ref: Some(at), object: Some(any), options: Some(CreateOptions::default()) };
        self.send(Verb::Create(request)).await?;
        Ok(())
    }

    /// Writes an object anew, all but its status.
    pub async fn update<T: Resource>(&self, object: &T) -> Result<T, Error> {
        self.update_subresource("", object).await
    }

    /// Writes an object's status anew.
    pub async fn update_status<T: Resource>(&self, object: &T) -> Result<T, Error> {
        self.update_subresource("status", object).await
    }

    async fn update_subresource<T: Resource>(&self, subresource: &str, object: &T) -> Result<T, Error> {
        let at = api::reference(T::kind(), object.namespace(), object.name(), subresource);
        let request = UpdateRequest {
            r#ref: Some(at),
            object: Some(api::any(object)),
            options: Some(UpdateOptions::default()),
        };
        api::unwrap(self.send(Verb::Update(request)).await?)
    }

    /// Changes parts of an object.
    pub async fn patch<T: Resource>(
        &self,
        namespace: &str,
        name: &str,
        r#type: PatchType,
        patch: &serde_json::Value,
    ) -> Result<T, Error> {
        self.patch_subresource(namespace, name, "", r#type, patch).await
    }

    /// Changes parts of an object's status.
    pub async fn patch_status<T: Resource>(
        &self,
        namespace: &str,
        name: &str,
        r#type: PatchType,
        patch: &serde_json::Value,
    ) -> Result<T, Error> {
        self.patch_subresource(namespace, name, "status", r#type, patch).await
    }

    async fn patch_subresource<T: Resource>(
        &self,
        namespace: &str,
        name: &str,
        subresource: &str,
        r#type: PatchType,
        patch: &serde_json::Value,
    ) -> Result<T, Error> {
        let request = PatchRequest {
            r#ref: Some(api::reference(T::kind(), namespace, name, subresource)),
            r#type: r#type.into(),
            patch: patch.to_string().into_bytes().into(),
            options: Some(PatchOptions::default()),
        };
        api::unwrap(self.send(Verb::Patch(request)).await?)
    }

    /// Deletes an object.
    pub async fn delete<T: Resource>(
        &self,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<T, Error> {
        let at = api::reference(T::kind(), namespace, name, "");
        let request = DeleteRequest { r#ref: Some(at), options: Some(options.clone()) };
        api::unwrap(self.send(Verb::Delete(request)).await?)
    }

    /// One write, repeated while the API server cannot be reached or asks for patience.
    async fn send(&self, verb: Verb) -> Result<Any, Error> {
        let limit = self.client.deadline();
        let end = Instant::now() + limit;
        let mut backoff =
            Backoff::new(std::time::Duration::from_millis(20), std::time::Duration::from_secs(1));
        loop {
            let error = match tokio::time::timeout_at(end, self.once(verb.clone())).await {
                Ok(Ok(any)) => return Ok(any),
                Ok(Err(error)) => error,
                Err(_) => return Err(Error::Deadline { limit }),
            };
            let delay = match &error {
                Error::Connect { .. } => backoff.next_delay(),
                Error::Status(status) if status.code == 429 => {
                    error.retry_after().unwrap_or_else(|| backoff.next_delay())
                }
                _ => return Err(error),
            };
            if Instant::now() + delay >= end {
                return Err(error);
            }
            tokio::time::sleep(delay).await;
        }
    }

    async fn once(&self, verb: Verb) -> Result<Any, Error> {
        let _slot = self.slots.acquire().await.map_err(|_| Error::Closed)?;
        let (reply, outcome) = oneshot::channel();
        self.jobs.send(Job { verb, reply }).await.map_err(|_| Error::Closed)?;
        outcome.await.map_err(|_| Error::Closed)?
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("client", &self.client).finish_non_exhaustive()
    }
}

/// Serves the writers until all are gone.
async fn drive(client: Client, mut jobs: mpsc::Receiver<Job>) {
    // What came when a stream was closing already, and so was not sent, is the first of the next.
    let mut unsent = None;
    loop {
        let first = match unsent.take() {
            Some(job) => job,
            None => match jobs.recv().await {
                Some(job) => job,
                None => return,
            },
        };
        let mut connection = Connection::default();
        let (requests, outgoing) = mpsc::channel(IN_FLIGHT);
        // Nothing can be left over: the channel is new.
        connection.submit(first, &requests);
        if connection.waiting.is_empty() {
            continue;
        }
        let mut rpc = client.rpc();
        let open = rpc.mutate(client.request(ReceiverStream::new(outgoing)));
        let error = match tokio::time::timeout(client.deadline(), open).await {
            Ok(Ok(response)) => {
                let (error, job) =
                    connection.serve(&client, response.into_inner(), &mut jobs, &requests).await;
                unsent = job;
                error
            }
            Ok(Err(status)) => client.error(status),
            Err(_) => Error::Deadline { limit: client.deadline() },
        };
        connection.fail(&error);
    }
}

/// One stream: the writes whose outcome is awaited.
#[derive(Default)]
struct Connection {
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<Result<Any, Error>>>,
}

impl Connection {
    /// Sends a write, unless nobody waits for it any more. Gives it back where the stream does not take it.
    fn submit(&mut self, job: Job, requests: &mpsc::Sender<MutateRequest>) -> Option<Job> {
        if job.reply.is_closed() {
            return None;
        }
        self.last += 1;
        match requests.try_send(MutateRequest { id: self.last, verb: Some(job.verb) }) {
            Ok(()) => {
                self.waiting.insert(self.last, job.reply);
                None
            }
            Err(refused) => {
                let verb = refused.into_inner().verb?;
                Some(Job { verb, reply: job.reply })
            }
        }
    }

    /// Moves writes and outcomes until the stream ends; says why it did, and which write it did not take.
    async fn serve(
        &mut self,
        client: &Client,
        mut outcomes: Streaming<MutateResponse>,
        jobs: &mut mpsc::Receiver<Job>,
        requests: &mpsc::Sender<MutateRequest>,
    ) -> (Error, Option<Job>) {
        loop {
            let has_room = requests.capacity() > 0;
            tokio::select! {
                outcome = outcomes.message() => match outcome {
                    Ok(Some(response)) => self.resolve(response),
                    Ok(None) => return (broken("the API server closed the stream of writes"), None),
                    Err(status) => return (client.error(status), None),
                },
                job = async { if has_room { jobs.recv().await } else { pending().await } } => match job {
                    Some(job) => {
                        if let Some(job) = self.submit(job, requests) {
                            return (broken("the stream of writes was closed"), Some(job));
                        }
                    }
                    // No writer is left, so nobody waits.
                    None => return (Error::Closed, None),
                },
                // Room comes when the transport takes a request, which nothing else here would notice.
                permit = requests.reserve(), if !has_room => {
                    if permit.is_err() {
                        return (broken("the stream of writes was closed"), None);
                    }
                }
            }
        }
    }

    fn resolve(&mut self, response: MutateResponse) {
        let Some(reply) = self.waiting.remove(&response.id) else { return };
        let result = match response.outcome {
            Some(Outcome::Object(object)) => api::object(object),
            Some(Outcome::Error(status)) => Err(status.into()),
            None => Err(Error::Incomplete { missing: "the outcome of a write" }),
        };
        // The writer may have given up meanwhile.
        drop(reply.send(result));
    }

    fn fail(self, error: &Error) {
        for reply in self.waiting.into_values() {
            drop(reply.send(Err(error.clone())));
        }
    }
}

fn broken(why: &str) -> Error {
    Error::Broken { source: Arc::new(tonic::Status::unavailable(why)) }
}
