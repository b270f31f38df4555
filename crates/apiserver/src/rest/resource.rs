//! Requests about resources: the verb by method and path, and its answer.

use std::sync::Arc;

use bytes::Bytes;
use gantry_api::authentication::v1::TokenRequest;
use gantry_api::autoscaling::v1::Scale;
use gantry_api::core::v1::Binding;
use gantry_api::custom::CustomObject;
use gantry_api::meta::v1::{DeleteOptions, ListOptions, ManagedFieldsEntry, PatchOptions};
use gantry_api::policy::v1::Eviction;
use gantry_api::{Kind, Subresource};
use http::{Method, Request, Response, StatusCode};
use serde_json::json;
use tonic::body::Body;

use super::accept::{Accept, PROTOBUF, View};
use super::body::{self, Expected, RawBody};
use super::path::{ResourcePath, no_page, not_found};
use super::query::{FieldValidation, Query};
use super::{Inner, connect, encode, exec, list, log, port_forward, proxy, watch};
use crate::authorization::{Attributes, Requester, authorize, authorize_selected};
use crate::cache::Entry;
use crate::go_json;
use crate::openapi::{CUSTOM_PATCHES, PATCHES};
use crate::reviews;
use crate::status::ApiError;
use crate::table::IncludeObject;
use crate::tokens;
use crate::verbs::{PatchType, Target};

const SCALE: (&str, &str) = ("autoscaling/v1", "Scale");
const TOKEN: (&str, &str) = ("authentication.k8s.io/v1", "TokenRequest");
const SCALE_MESSAGE: &str = "k8s.io.api.autoscaling.v1.Scale";

/// A request about a resource, after routing and authorization.
struct Call<'a> {
    inner: &'a Inner,
    user: &'a Requester,
    verb: &'static str,
    target: Target,
    subresource: Option<Subresource>,
    query: Query,
    accept: Accept,
}

/// Answers a request about a resource.
pub(super) async fn handle(
    inner: &Inner,
    user: &Requester,
    path: ResourcePath,
    request: Request<Body>,
) -> Result<Response<Body>, ApiError> {
    let query = Query::parse(request.uri().query().unwrap_or_default()).with_agent(request.headers());
    let is_watch = path.watch || query.watch();
    let verb = verb(request.method(), &path, is_watch)?;
    let fields = query.fields();
    let selected = fields.as_ref().and_then(|fields| fields.exact("metadata.name"));
    authorize_selected(
        user,
        &Attributes::Resource {
            verb,
            group: &path.group,
            resource: &path.resource,
            subresource: &path.subresource,
            namespace: if path.group.is_empty() && path.resource == "namespaces" {
                &path.name
            } else {
                &path.namespace
            },
            name: match selected {
                // Who lists or watches one object is asked about that object.
                Some(name) if path.name.is_empty() && verb != "create" && is_segment(name) => name,
                _ => &path.name,
            },
        },
        fields.as_ref(),
    )?;
    let catalog = inner.verbs.catalog();
    let Some(kind) = catalog.by_resource(&path.group, &path.version, &path.resource) else {
        return if catalog.serves(&path.group, &path.version) { Err(not_found()) } else { Ok(no_page()) };
    };
    if kind.namespaced() == path.namespace.is_empty()
        && !(kind.namespaced() && across_namespaces(verb, &path))
    {
        return Err(not_found());
    }
    let subresource = match path.subresource.as_str() {
        "" => None,
        name => Some(kind.subresources.iter().copied().find(|sub| sub.name() == name).ok_or_else(not_found)?),
    };
    let scale = subresource == Some(Subresource::Scale);
    let raw = matches!(subresource, Some(Subresource::Log | Subresource::Proxy));
    let accept = if raw || takes_over(subresource) {
        // What is no object comes as it is, whatever the client accepts.
        Accept::of(&http::HeaderMap::new(), query.pretty())?
    } else if kind.is_custom() && !scale {
        Accept::without_protobuf(request.headers(), query.pretty())?
    } else {
        Accept::of(request.headers(), query.pretty())?
    };
    let target = Target { kind, namespace: path.namespace, name: path.name };
    let call = Call { inner, user, verb, target, subresource, query, accept };
    if matches!(verb, "get" | "create") && takes_over(subresource) {
        // Who asks for a stream by GET, as WebSockets are asked for, must be allowed to create it, too.
        if verb == "get" {
            call.may_create()?;
        }
        return call.take_over(request).await;
    }
    if subresource == Some(Subresource::Proxy) {
        let options = json!({ "path": path.rest });
        connect::admit(&inner.verbs, &call.target, subresource, &options).await?;
        return proxy::answer(&inner.verbs, call.target, &path.rest, request, inner.stop.clone()).await;
    }
    let (parts, body) = request.into_parts();
    if kind.review && verb != "create" {
        return Err(super::method_not_allowed());
    }
    let mut response = if matches!(verb, "get" | "list" | "watch") {
        call.read().await?
    } else {
        let body = RawBody::read(&parts.headers, body).await?;
        if kind.review { call.ask(&body).await? } else { call.write(body).await? }
    };
    if let Some(warning) = kind.definition().as_ref().and_then(|definition| definition.warning()) {
        encode::warn(&mut response, &[warning.to_owned()]);
    }
    Ok(response)
}

/// Whether a path could name it.
pub(super) fn is_segment(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '%'])
}

/// Whether a subresource is the object itself, of which a part is written.
fn is_object(subresource: Subresource) -> bool {
    matches!(
        subresource,
        Subresource::Status | Subresource::EphemeralContainers | Subresource::Resize | Subresource::Approval
    )
}

/// Whether the client takes over the connection, so that the request must stay whole.
fn takes_over(subresource: Option<Subresource>) -> bool {
    matches!(subresource, Some(Subresource::Exec | Subresource::Attach | Subresource::PortForward))
}

/// Without a namespace, a namespaced resource can be read as a whole.
fn across_namespaces(verb: &str, path: &ResourcePath) -> bool {
    matches!(verb, "list" | "watch") && path.name.is_empty()
}

pub(super) fn verb(method: &Method, path: &ResourcePath, watch: bool) -> Result<&'static str, ApiError> {
    let one = !path.name.is_empty();
    match (method.as_str(), one) {
        // Nothing that roles name, save for those that allow everything.
        ("OPTIONS", true) if path.subresource == "proxy" => Ok(""),
        ("GET" | "HEAD", _) if watch && path.subresource.is_empty() => Ok("watch"),
        ("GET" | "HEAD", true) => Ok("get"),
        ("GET" | "HEAD", false) => Ok("list"),
        ("POST", false) => Ok("create"),
        ("POST", true) if !path.subresource.is_empty() => Ok("create"),
        ("PUT", true) => Ok("update"),
        ("PATCH", true) => Ok("patch"),
        ("DELETE", true) => Ok("delete"),
        ("DELETE", false) => Ok("deletecollection"),
        _ => Err(super::method_not_allowed()),
    }
}

impl Call<'_> {
    async fn take_over(self, request: Request<Body>) -> Result<Response<Body>, ApiError> {
        let Self { inner, target, subresource, query, .. } = self;
        let (verbs, nodes, stop) = (&inner.verbs, &inner.nodes, inner.stop.clone());
        let wanted = match subresource {
            Some(Subresource::PortForward) => {
                let ports = query.ports()?;
                connect::admit(verbs, &target, subresource, &json!({ "ports": ports })).await?;
                return port_forward::answer(verbs, nodes, target, ports, request, stop).await;
            }
            Some(Subresource::Attach) => (exec::Purpose::Attach, query.exec()),
            _ => (exec::Purpose::Exec, query.exec()),
        };
        connect::admit(verbs, &target, subresource, &wanted.1.json()).await?;
        exec::answer(verbs, nodes, target, wanted, request, stop).await
    }

    async fn read(self) -> Result<Response<Body>, ApiError> {
        let Self { inner, verb, target, subresource, query, accept, .. } = self;
        let verbs = &inner.verbs;
        match (verb, subresource) {
            ("get", part) if part.is_none_or(is_object) => {
                let entry = verbs.get(&target, &query.get()).await?;
                encode::entry(StatusCode::OK, &accept, &entry, include_object(&accept, &query)?)
            }
            ("get", Some(Subresource::Scale)) => {
                let scale = verbs.get_scale(&target, &query.get()).await?;
                encode::message(StatusCode::OK, &accept, SCALE, &scale)
            }
            ("get", Some(Subresource::Log)) => {
                log::answer(verbs, &inner.nodes, target, query.log()?, inner.stop.clone()).await
            }
            ("list", None) => {
                let list = verbs.list(&target, &query.list()?).await?;
                list::answer(&accept, target.kind, list, include_object(&accept, &query)?)
            }
            ("watch", None) => {
                let (target, options) = watched(target, query.list()?)?;
                let items = verbs.watch(&target, &options).await?;
                watch::answer(
                    &accept,
                    target.kind,
                    items,
                    include_object(&accept, &query)?,
                    inner.stop.clone(),
                )
            }
            (verb, _) => Err(unsupported(&target, verb)),
        }
    }

    async fn write(self, body: RawBody) -> Result<Response<Body>, ApiError> {
        match (self.verb, self.subresource) {
            ("create", None) => self.create(body).await,
            ("create", Some(Subresource::Binding)) => self.bind(body).await,
            ("create", Some(Subresource::Token)) => self.token(body).await,
            ("create", Some(Subresource::Eviction)) => self.evict(body).await,
            ("update", Some(sub)) if is_object(sub) || sub == Subresource::Finalize => {
                self.update(body).await
            }
            ("update", None) => self.update(body).await,
            ("update", Some(Subresource::Scale)) => self.update_scale(body).await,
            ("patch", Some(sub)) if is_object(sub) || sub == Subresource::Scale => self.patch(body).await,
            ("patch", None) => self.patch(body).await,
            ("delete", None) => self.delete(body).await,
            ("deletecollection", None) => self.delete_collection(body).await,
            (verb, _) => Err(unsupported(&self.target, verb)),
        }
    }

    fn validation(&self) -> FieldValidation {
        self.query.field_validation()
    }

    /// The options of a DELETE: those of its body, or else those of the query.
    fn delete_options(&self, body: &RawBody) -> Result<DeleteOptions, ApiError> {
        if body.bytes.is_empty() { self.query.delete() } else { delete_options(body) }
    }

    /// What a row of a table carries; who asks for no table may say what he likes.
    fn include_object(&self) -> Result<IncludeObject, ApiError> {
        include_object(&self.accept, &self.query)
    }

    fn reply(
        &self,
        status: StatusCode,
        entry: &Arc<Entry>,
        warnings: &[String],
    ) -> Result<Response<Body>, ApiError> {
        let mut response = encode::entry(status, &self.accept, entry, self.include_object()?)?;
        encode::warn(&mut response, warnings);
        Ok(response)
    }

    async fn create(self, body: RawBody) -> Result<Response<Body>, ApiError> {
        let options = self.query.create()?;
        let (object, warnings) = body::object(&body, self.target.kind, self.validation())?;
        let entry = self.inner.verbs.create(&self.target, object, &options).await?;
        self.reply(StatusCode::CREATED, &entry, &warnings)
    }

    /// Answers a question.
    async fn ask(self, body: &RawBody) -> Result<Response<Body>, ApiError> {
        self.query.create()?;
        let (question, warnings) = body::object(body, self.target.kind, self.validation())?;
        let answer = reviews::answer(self.user, &self.target.namespace, question).await?;
        self.reply(StatusCode::CREATED, &Arc::new(answer), &warnings)
    }

    async fn bind(self, body: RawBody) -> Result<Response<Body>, ApiError> {
        let options = self.query.create()?;
        let expected =
            Expected { api_version: "v1".to_owned(), kind: "Binding", message: "k8s.io.api.core.v1.Binding" };
        let (binding, _): (Binding, _) = body::message(&body, &expected, self.validation())?;
        self.inner.verbs.bind(&self.target, binding, &options).await?;
        let success = gantry_api::meta::v1::Status {
            status: "Success".to_owned(),
            code: StatusCode::CREATED.as_u16().into(),
            ..Default::default()
        };
        encode::message(StatusCode::CREATED, &self.accept, ("v1", "Status"), &success)
    }

    async fn token(self, body: RawBody) -> Result<Response<Body>, ApiError> {
        let options = self.query.create()?;
        let expected = Expected {
            api_version: TOKEN.0.to_owned(),
            kind: TOKEN.1,
            message: "k8s.io.api.authentication.v1.TokenRequest",
        };
        let (request, warnings): (TokenRequest, _) = body::message(&body, &expected, self.validation())?;
        let made = tokens::create(&self.inner.verbs, self.user, &self.target, request, &options).await?;
        let mut response = encode::message(StatusCode::CREATED, &self.accept, TOKEN, &made)?;
        encode::warn(&mut response, &warnings);
        Ok(response)
    }

    async fn evict(self, body: RawBody) -> Result<Response<Body>, ApiError> {
        let options = self.query.create()?;
        let expected = Expected {
            api_version: "policy/v1".to_owned(),
            kind: "Eviction",
            message: "k8s.io.api.policy.v1.Eviction",
        };
        let (eviction, warnings): (Eviction, _) = body::message(&body, &expected, self.validation())?;
        let success = self.inner.verbs.evict(&self.target, eviction, &options).await?;
        let mut response = encode::message(StatusCode::CREATED, &self.accept, ("v1", "Status"), &success)?;
        encode::warn(&mut response, &warnings);
        Ok(response)
    }

    async fn update(self, body: RawBody) -> Result<Response<Body>, ApiError> {
        let options = self.query.update()?;
        let (mut object, warnings) = body::object(&body, self.target.kind, self.validation())?;
        if object.meta().managed_fields.is_empty() && body::clears_owners(&body) {
            object.meta_mut().managed_fields = vec![ManagedFieldsEntry::default()];
        }
        let verbs = &self.inner.verbs;
        let may_create = || self.may_create();
        let (entry, created) =
            verbs.put(&self.target, self.subresource, object, &options, may_create).await?;
        self.reply(if created { StatusCode::CREATED } else { StatusCode::OK }, &entry, &warnings)
    }

    /// Whether the user may also create what an update or a stream creates.
    fn may_create(&self) -> Result<(), ApiError> {
        let Target { kind, namespace, name } = &self.target;
        let attributes = Attributes::Resource {
            verb: "create",
            group: kind.group,
            resource: kind.plural,
            subresource: self.subresource.map_or("", Subresource::name),
            namespace,
            name,
        };
        authorize(self.user, &attributes)
    }

    async fn update_scale(self, body: RawBody) -> Result<Response<Body>, ApiError> {
        let options = self.query.update()?;
        let expected = Expected { api_version: SCALE.0.to_owned(), kind: SCALE.1, message: SCALE_MESSAGE };
        let (scale, warnings): (Scale, _) = body::message(&body, &expected, self.validation())?;
        let scale = self.inner.verbs.update_scale(&self.target, scale, &options).await?;
        let mut response = encode::message(StatusCode::OK, &self.accept, SCALE, &scale)?;
        encode::warn(&mut response, &warnings);
        Ok(response)
    }

    async fn patch(self, body: RawBody) -> Result<Response<Body>, ApiError> {
        let known = if self.target.kind.is_custom() { &CUSTOM_PATCHES[..] } else { &PATCHES };
        let Some(r#type) = patch_type(&body.media_type, known)? else { return self.apply(body).await };
        let options = self.query.patch(false)?;
        let (target, verbs) = (&self.target, &self.inner.verbs);
        let scale = self.subresource == Some(Subresource::Scale);
        if target.kind.is_custom() && !scale {
            return self.patch_custom(body, r#type, &options).await;
        }
        let warnings =
            self.check_patch(&body.bytes, r#type, if scale { SCALE_MESSAGE } else { target.kind.message })?;
        if scale {
            let scale = verbs.patch_scale(target, r#type, body.bytes, &options).await?;
            return encode::message(StatusCode::OK, &self.accept, SCALE, &scale);
        }
        let entry = verbs.patch(target, self.subresource, r#type, body.bytes, &options).await?;
        self.reply(StatusCode::OK, &entry, &warnings)
    }

    /// A patch of an object of a custom resource, whose lists have no keys to merge by.
    async fn patch_custom(
        &self,
        body: RawBody,
        r#type: PatchType,
        options: &PatchOptions,
    ) -> Result<Response<Body>, ApiError> {
        if r#type == PatchType::StrategicMerge {
            return Err(ApiError::unsupported_media_type(&CUSTOM_PATCHES));
        }
        let kind = self.target.kind;
        let mut warnings = Vec::new();
        if r#type == PatchType::Merge && self.validation() == FieldValidation::Warn {
            // A patch has the object's shape. What cannot be read is told when it has been applied.
            let patch = serde_json::from_slice(&body.bytes).and_then(|value| CustomObject::read(kind, value));
            let unknown = patch.map(|(_, unknown)| unknown).unwrap_or_default();
            warnings.extend(unknown.iter().map(|path| format!("unknown field {path:?}")));
        }
        let patched =
            self.inner.verbs.patch(&self.target, self.subresource, r#type, body.bytes, options).await?;
        self.reply(StatusCode::OK, &patched, &warnings)
    }

    /// The body is a configuration: YAML, of which JSON is a part.
    async fn apply(self, body: RawBody) -> Result<Response<Body>, ApiError> {
        let options = self.query.patch(true)?;
        let (target, verbs) = (&self.target, &self.inner.verbs);
        let (config, warnings) = body::configuration(&body.bytes, self.validation())?;
        if self.subresource == Some(Subresource::Scale) {
            let scale = verbs.apply_scale(target, &config, &options).await?;
            let mut response = encode::message(StatusCode::OK, &self.accept, SCALE, &scale)?;
            encode::warn(&mut response, &warnings);
            return Ok(response);
        }
        let may_create = || self.may_create();
        let (entry, created) = verbs.apply(target, self.subresource, &config, &options, may_create).await?;
        self.reply(if created { StatusCode::CREATED } else { StatusCode::OK }, &entry, &warnings)
    }

    /// Finds unknown fields in a patch that has the object's shape. What is wrong with types shows when the patch has
    /// been applied; the directives of strategic merges (`$patch`) are no fields.
    fn check_patch(&self, patch: &Bytes, r#type: PatchType, message: &str) -> Result<Vec<String>, ApiError> {
        let validation = self.validation();
        if r#type == PatchType::Json || validation == FieldValidation::Ignore {
            return Ok(Vec::new());
        }
        let report = gantry_api::schema::check::json(message, patch).map_err(|error| {
            let why = go_json::why_not(patch).unwrap_or_else(|| error.to_string());
            ApiError::bad_request(format!("error decoding patch: {why}"))
        })?;
        let is_directive = |problem: &String| {
            problem
                .split_once('"')
                .is_some_and(|(_, path)| path.split('.').any(|segment| segment.starts_with('$')))
        };
        let problems: Vec<String> =
            report.strict.into_iter().filter(|problem| !is_directive(problem)).collect();
        if validation == FieldValidation::Strict && !problems.is_empty() {
            return Err(ApiError::bad_request(format!("strict decoding error: {}", problems.join(", "))));
        }
        Ok(problems)
    }

    async fn delete(self, body: RawBody) -> Result<Response<Body>, ApiError> {
        let options = self.delete_options(&body)?;
        let deleted = self.inner.verbs.delete(&self.target, &options).await?;
        if !deleted.finished {
            // Who wants the dependents to go, in the old way, is told that this takes time.
            let waits = options.orphan_dependents == Some(false);
            let status = if waits { StatusCode::ACCEPTED } else { StatusCode::OK };
            return self.reply(status, &deleted.entry, &[]);
        }
        let uid = deleted.entry.object()?.meta().uid.clone();
        encode::deleted(&self.accept, self.target.kind, &self.target.name, &uid)
    }

    async fn delete_collection(self, body: RawBody) -> Result<Response<Body>, ApiError> {
        let options = self.delete_options(&body)?;
        let selection = self.query.list()?;
        let list = self.inner.verbs.delete_collection(&self.target, &options, &selection).await?;
        list::answer(&self.accept, self.target.kind, list, self.include_object()?)
    }
}

fn include_object(accept: &Accept, query: &Query) -> Result<IncludeObject, ApiError> {
    if accept.view == View::Table { query.include_object() } else { Ok(IncludeObject::Metadata) }
}

pub(super) fn delete_options(body: &RawBody) -> Result<DeleteOptions, ApiError> {
    let message = "k8s.io.apimachinery.pkg.apis.meta.v1.DeleteOptions";
    if body.media_type == PROTOBUF {
        let envelope = gantry_store::envelope::decode(&body.bytes)
            .map_err(|error| ApiError::bad_request(format!("the body is not valid protobuf: {error}")))?;
        return prost::Message::decode(envelope.raw)
            .map_err(|error| ApiError::bad_request(format!("the body is no DeleteOptions: {error}")));
    }
    let json = body.json()?;
    let report = gantry_api::schema::check::json(message, &json)
        .map_err(|error| ApiError::bad_request(format!("the body is not valid JSON: {error}")))?;
    if let Some(problem) = report.types.first() {
        return Err(ApiError::bad_request(format!("the body is no DeleteOptions: {problem}")));
    }
    serde_json::from_slice(&json)
        .map_err(|error| ApiError::bad_request(format!("the body is no DeleteOptions: {error}")))
}

/// The type of a patch by its media type; none for one that is an apply.
fn patch_type(media_type: &str, known: &[&str]) -> Result<Option<PatchType>, ApiError> {
    match media_type {
        "application/json-patch+json" => Ok(Some(PatchType::Json)),
        "application/merge-patch+json" => Ok(Some(PatchType::Merge)),
        "application/strategic-merge-patch+json" => Ok(Some(PatchType::StrategicMerge)),
        "application/apply-patch+yaml" => Ok(None),
        _ => Err(ApiError::unsupported_media_type(known)),
    }
}

/// A watch of one object is a watch of the collection that selects its name.
fn watched(mut target: Target, mut options: ListOptions) -> Result<(Target, ListOptions), ApiError> {
    if !target.name.is_empty() {
        let name = format!("metadata.name={}", std::mem::take(&mut target.name));
        options.field_selector = if options.field_selector.is_empty() {
            name
        } else {
            format!("{},{name}", options.field_selector)
        };
    }
    Ok((target, options))
}

fn unsupported(target: &Target, verb: &str) -> ApiError {
    let kind: &Kind = target.kind;
    ApiError::method_not_allowed(kind, verb)
}
