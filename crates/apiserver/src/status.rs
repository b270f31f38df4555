//! What a failed request answers: a `meta.v1.Status` with upstream's reasons, codes and texts.
//!
//! [`ApiError`] is made where a request fails and becomes an HTTP response or a gRPC status in the last layer; both
//! carry the same `Status`.

use std::fmt;

use gantry_api::Kind;
use gantry_api::field::ErrorList;
use gantry_api::meta::v1::{Status, StatusCause, StatusDetails};
use http::StatusCode;
use prost::Message as _;

mod store;

/// The class of a failure: a Status' `reason`, which decides the HTTP and the gRPC code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The request makes no sense.
    BadRequest,
    /// The client did not say who it is.
    Unauthorized,
    /// The client may not do this.
    Forbidden,
    /// There is no such object or resource.
    NotFound,
    /// The resource does not have this verb.
    MethodNotAllowed,
    /// None of the accepted media types is served.
    NotAcceptable,
    /// The name is taken.
    AlreadyExists,
    /// The object was changed meanwhile, or does not allow this in its present state.
    Conflict,
    /// The revision is forgotten, for good.
    Gone,
    /// The revision is forgotten; a new list helps.
    Expired,
    /// The body is too large.
    RequestEntityTooLarge,
    /// The body has a media type that is not understood.
    UnsupportedMediaType,
    /// The object breaks rules.
    Invalid,
    /// Too many requests; later ones are served.
    TooManyRequests,
    /// The server failed.
    InternalError,
    /// The server, or what it depends on, is not there.
    ServiceUnavailable,
    /// There was no answer in time. A write may have happened.
    Timeout,
}

impl Reason {
    /// The class of somebody else's failure: by its reason, or else by its code.
    fn of(reason: &str, code: i32) -> Self {
        let all = [
            Self::BadRequest,
            Self::Unauthorized,
            Self::Forbidden,
            Self::NotFound,
            Self::MethodNotAllowed,
            Self::NotAcceptable,
            Self::AlreadyExists,
            Self::Conflict,
            Self::Gone,
            Self::Expired,
            Self::RequestEntityTooLarge,
            Self::UnsupportedMediaType,
            Self::Invalid,
            Self::TooManyRequests,
            Self::InternalError,
            Self::ServiceUnavailable,
            Self::Timeout,
        ];
        let named = all.into_iter().find(|one| one.name() == reason);
        let coded = || all.into_iter().find(|one| i32::from(one.http().as_u16()) == code);
        let other = if code >= 500 { Self::InternalError } else { Self::BadRequest };
        named.or_else(coded).unwrap_or(other)
    }

    /// As it stands in a Status.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "BadRequest",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "NotFound",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::NotAcceptable => "NotAcceptable",
            Self::AlreadyExists => "AlreadyExists",
            Self::Conflict => "Conflict",
            Self::Gone => "Gone",
            Self::Expired => "Expired",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
            Self::UnsupportedMediaType => "UnsupportedMediaType",
            Self::Invalid => "Invalid",
            Self::TooManyRequests => "TooManyRequests",
            Self::InternalError => "InternalError",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::Timeout => "Timeout",
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn http(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::AlreadyExists | Self::Conflict => StatusCode::CONFLICT,
            Self::Gone | Self::Expired => StatusCode::GONE,
            Self::RequestEntityTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The gRPC code.
    #[must_use]
    pub fn grpc(self) -> tonic::Code {
        match self {
            Self::BadRequest | Self::Invalid | Self::NotAcceptable | Self::UnsupportedMediaType => {
                tonic::Code::InvalidArgument
            }
            Self::Unauthorized => tonic::Code::Unauthenticated,
            Self::Forbidden => tonic::Code::PermissionDenied,
            Self::NotFound => tonic::Code::NotFound,
            Self::MethodNotAllowed => tonic::Code::Unimplemented,
            Self::AlreadyExists => tonic::Code::AlreadyExists,
            Self::Conflict => tonic::Code::Aborted,
            Self::Gone | Self::Expired => tonic::Code::OutOfRange,
            Self::RequestEntityTooLarge | Self::TooManyRequests => tonic::Code::ResourceExhausted,
            Self::InternalError => tonic::Code::Internal,
            Self::ServiceUnavailable => tonic::Code::Unavailable,
            Self::Timeout => tonic::Code::DeadlineExceeded,
        }
    }
}

/// A failed request.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError(Box<Inner>);

#[derive(Debug, Clone, PartialEq)]
struct Inner {
    reason: Reason,
    status: Status,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.status.message)
    }
}

impl std::error::Error for ApiError {}

impl ApiError {
    /// A failure with a reason and a text, about no object in particular.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        let status = Status {
            metadata: Some(gantry_api::meta::v1::ListMeta::default()),
            status: "Failure".to_owned(),
            message: message.into(),
            reason: reason.name().to_owned(),
            details: None,
            code: i32::from(reason.http().as_u16()),
        };
        Self(Box::new(Inner { reason, status }))
    }

    /// A failure about an object of `kind`; `name` may be empty.
    #[must_use]
    pub fn about(reason: Reason, kind: &Kind, name: &str, message: impl Into<String>) -> Self {
        let details = details(kind.group, kind.plural, name);
        Self::new(reason, message).with_details(details)
    }

    /// The path names nothing below a group and version that are served.
    #[must_use]
    pub fn no_resource() -> Self {
        Self::new(Reason::NotFound, "the server could not find the requested resource")
            .with_details(StatusDetails::default())
    }

    /// `pods "x" not found`.
    #[must_use]
    pub fn not_found(kind: &Kind, name: &str) -> Self {
        Self::about(Reason::NotFound, kind, name, format!("{} {name:?} not found", qualified(kind)))
    }

    /// `pods "x" already exists`.
    #[must_use]
    pub fn already_exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", qualified(kind));
        Self::about(Reason::AlreadyExists, kind, name, message)
    }

    /// The operation does not fit the object's present state: `detail` says why.
    #[must_use]
    pub fn conflict(kind: &Kind, name: &str, detail: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {detail}", qualified(kind));
        Self::about(Reason::Conflict, kind, name, message)
    }

    /// The same of a resource of the core group by its name, such as `pods/binding`.
    #[must_use]
    pub fn conflict_about(resource: &str, name: &str, detail: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} {name:?}: {detail}");
        Self::new(Reason::Conflict, message).with_details(details("", resource, name))
    }

    /// The object is at another revision than the client's.
    #[must_use]
    pub fn modified(kind: &Kind, name: &str) -> Self {
        let detail =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, detail)
    }

    /// The object breaks every rule in `errors`.
    #[must_use]
    pub fn invalid(kind: &Kind, name: &str, errors: &ErrorList) -> Self {
        let subject = if kind.group.is_empty() {
            kind.kind.to_owned()
        } else {
            format!("{}.{}", kind.kind, kind.group)
        };
        Self::broken_rules(&subject, errors, details(kind.group, kind.kind, name), name)
    }

    /// What is no object of a registered kind breaks every rule in `errors`.
    #[must_use]
    pub fn invalid_of(group: &str, kind: &str, name: &str, errors: &ErrorList) -> Self {
        Self::broken_rules(&format!("{kind}.{group}"), errors, details(group, kind, name), name)
    }

    /// The question breaks every rule in `errors`. Questions have no name, and upstream names no kind.
    #[must_use]
    pub fn invalid_review(kind: &Kind, errors: &ErrorList) -> Self {
        Self::broken_rules(&format!(".{}", kind.group), errors, details(kind.group, "", ""), "")
    }

    /// A message that is no object of a kind, such as the options of a pod's log, breaks every rule in `errors`.
    #[must_use]
    pub fn invalid_message(message: &str, name: &str, errors: &ErrorList) -> Self {
        Self::broken_rules(message, errors, details("", message, name), name)
    }

    fn broken_rules(subject: &str, errors: &ErrorList, details: StatusDetails, name: &str) -> Self {
        let mut texts: Vec<String> = Vec::with_capacity(errors.len());
        for error in errors {
            let text = error.to_string();
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let rules = match texts.as_slice() {
            [one] => one.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        let details = StatusDetails { causes: causes(errors), ..details };
        Self::new(Reason::Invalid, format!("{subject} {name:?} is invalid: {rules}")).with_details(details)
    }

    /// The options of a request, such as `ListOptions`, break every rule in `errors`.
    #[must_use]
    pub fn invalid_options(options: &str, errors: &ErrorList) -> Self {
        Self::broken_rules(&format!("{options}.meta.k8s.io"), errors, details("meta.k8s.io", options, ""), "")
    }

    /// The request makes no sense.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Reason::BadRequest, message)
    }

    /// The client may not do this to the object, because of `detail`.
    #[must_use]
    pub fn forbidden(kind: &Kind, name: &str, detail: &str) -> Self {
        let subject = qualified(kind);
        let message = if name.is_empty() {
            format!("{subject} is forbidden: {detail}")
        } else {
            format!("{subject} {name:?} is forbidden: {detail}")
        };
        Self::about(Reason::Forbidden, kind, name, message)
    }

    /// The client did not say who it is.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(Reason::Unauthorized, "Unauthorized")
    }

    /// The resource does not have this verb.
    #[must_use]
    pub fn method_not_allowed(kind: &Kind, verb: &str) -> Self {
        let message = format!("{verb} is not supported on resources of kind {:?}", qualified(kind));
        Self::about(Reason::MethodNotAllowed, kind, "", message)
    }

    /// None of the media types that the client accepts is served.
    #[must_use]
    pub fn not_acceptable(served: &[&str]) -> Self {
        let message = format!("only the following media types are accepted: {}", served.join(", "));
        Self::new(Reason::NotAcceptable, message)
    }

    /// The body's media type is not understood.
    #[must_use]
    pub fn unsupported_media_type(understood: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            understood.join(", ")
        );
        Self::new(Reason::UnsupportedMediaType, message)
    }

    /// The body has more than `limit` bytes.
    #[must_use]
    pub fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(Reason::RequestEntityTooLarge, message)
    }

    /// The revision is forgotten; a new list helps.
    #[must_use]
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(Reason::Expired, message)
    }

    /// `too old resource version: 5 (7)`: what was asked for and the oldest that is there.
    #[must_use]
    pub fn too_old(requested: i64, oldest: i64) -> Self {
        Self::expired(format!("too old resource version: {requested} ({oldest})"))
    }

    /// There was no answer in time.
    #[must_use]
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(Reason::Timeout, format!("Timeout: {}", message.into()))
    }

    /// The server, or what it depends on, is not there; trying again later makes sense.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Reason::ServiceUnavailable, message).with_retry_after(1)
    }

    /// Too many requests: try again after some seconds.
    #[must_use]
    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: i32) -> Self {
        Self::new(Reason::TooManyRequests, message).with_retry_after(retry_after_seconds)
    }

    /// The server failed.
    #[must_use]
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(Reason::InternalError, format!("Internal error occurred: {message}"))
    }

    /// The server failed, for a reason that upstream has no word for: the Status carries none.
    #[must_use]
    pub fn without_reason(message: impl Into<String>) -> Self {
        let mut error = Self::new(Reason::InternalError, message);
        error.0.status.reason.clear();
        error
    }

    /// A failure as somebody else tells it, whose Status need not fit together.
    #[must_use]
    pub fn of_status(status: Status) -> Self {
        let reason = Reason::of(&status.reason, status.code);
        Self(Box::new(Inner { reason, status }))
    }

    /// The same with details.
    #[must_use]
    pub fn with_details(mut self, details: StatusDetails) -> Self {
        self.0.status.details = Some(details);
        self
    }

    /// The same with a cause added to its details.
    #[must_use]
    pub fn with_cause(mut self, cause: StatusCause) -> Self {
        self.0.status.details.get_or_insert_default().causes.push(cause);
        self
    }

    /// The same with the fields that are wrong among its details.
    #[must_use]
    pub fn with_causes(mut self, errors: &ErrorList) -> Self {
        self.0.status.details.get_or_insert_default().causes.extend(causes(errors));
        self
    }

    /// The same with the advice to try again after some seconds.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: i32) -> Self {
        self.0.status.details.get_or_insert_default().retry_after_seconds = seconds;
        self
    }

    /// The same with a continue token that goes on where the refused one would have, on a newer list.
    #[must_use]
    pub fn with_continue(mut self, token: String) -> Self {
        self.0.status.metadata.get_or_insert_default().r#continue = token;
        self
    }

    /// The class of the failure.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// The Status, as clients get it.
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.0.status
    }

    /// The HTTP status.
    #[must_use]
    pub fn http(&self) -> StatusCode {
        let code = u16::try_from(self.0.status.code).ok().and_then(|code| StatusCode::from_u16(code).ok());
        code.unwrap_or_else(|| self.0.reason.http())
    }

    /// As gRPC status; its details are the encoded `meta.v1.Status`.
    #[must_use]
    pub fn grpc(&self) -> tonic::Status {
        let Inner { reason, status } = &*self.0;
        tonic::Status::with_details(reason.grpc(), &status.message, status.encode_to_vec().into())
    }
}

impl From<ApiError> for tonic::Status {
    fn from(error: ApiError) -> Self {
        error.grpc()
    }
}

/// `pods`, `deployments.apps`.
fn qualified(kind: &Kind) -> String {
    if kind.group.is_empty() { kind.plural.to_owned() } else { format!("{}.{}", kind.plural, kind.group) }
}

/// What is wrong with which fields.
fn causes(errors: &ErrorList) -> Vec<StatusCause> {
    let cause = |error: &gantry_api::field::Error| StatusCause {
        reason: error.r#type.reason().to_owned(),
        message: error.body(),
        field: error.path.to_string(),
    };
    errors.iter().map(cause).collect()
}

fn details(group: &str, kind: &str, name: &str) -> StatusDetails {
    StatusDetails {
        name: name.to_owned(),
        group: group.to_owned(),
        kind: kind.to_owned(),
        ..StatusDetails::default()
    }
}

#[cfg(test)]
mod tests {
    use gantry_api::Resource as _;
    use gantry_api::apps::v1::Deployment;
    use gantry_api::core::v1::Pod;
    use gantry_api::field::{Error, Path};

    use super::*;

    #[test]
    fn texts_are_upstreams() {
        let error = ApiError::not_found(Pod::kind(), "x");
        assert_eq!(error.to_string(), r#"pods "x" not found"#);
        assert_eq!((error.status().code, error.status().reason.as_str()), (404, "NotFound"));
        let error = ApiError::modified(Deployment::kind(), "x");
        assert_eq!(
            error.to_string(),
            "Operation cannot be fulfilled on deployments.apps \"x\": the object has been modified; please \
             apply your changes to the latest version and try again"
        );
    }

    #[test]
    fn every_broken_rule_is_a_cause() {
        let name = Path::new("metadata").child("name");
        let one = vec![Error::required(name, "name or generateName is required")];
        let error = ApiError::invalid(Deployment::kind(), "", &one);
        assert_eq!(
            error.to_string(),
            r#"Deployment.apps "" is invalid: metadata.name: Required value: name or generateName is required"#
        );
        let mut two = one;
        two.push(Error::invalid(Path::new("spec").child("replicas"), -1, "must be at least 0"));
        let error = ApiError::invalid(Deployment::kind(), "x", &two);
        assert!(error.to_string().starts_with(r#"Deployment.apps "x" is invalid: [metadata.name: "#));
        let causes = &error.status().details.as_ref().unwrap().causes;
        assert_eq!(causes[1].field, "spec.replicas");
        assert_eq!(causes[1].reason, "FieldValueInvalid");
    }
}
