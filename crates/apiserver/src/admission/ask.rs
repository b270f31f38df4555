//! What expressions learn of what somebody may.

use std::fmt;
use std::sync::Arc;

use gantry_api::expression::authorizer::{Authorizer, Decision, Question, Resource};

use crate::admission::asked::Asked;
use crate::authorization::{Attributes, Requester};
use crate::pipeline::{User, service_account, service_account_groups};

/// Asks in the name of whoever makes a request.
struct OfRequest(Requester);

impl fmt::Debug for OfRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OfRequest({})", self.0.user().name)
    }
}

impl Authorizer for OfRequest {
    fn decide(&self, account: Option<&(String, String)>, question: &Question, verb: &str) -> Decision {
        let user = match account {
            None => self.0.user().clone(),
            Some((namespace, name)) => {
                let groups = service_account_groups(namespace);
                let groups = groups.iter().map(String::as_str);
                Arc::new(User::authenticated(&service_account(namespace, name), groups))
            }
        };
        let attributes = match question {
            Question::Path(path) => Attributes::Path { verb, path },
            Question::Resource(about) => Attributes::Resource {
                verb,
                group: &about.group,
                resource: &about.resource,
                subresource: &about.subresource,
                namespace: &about.namespace,
                name: &about.name,
            },
        };
        let allowed = self.0.authorizer().authorize(&user, &attributes, None).is_ok();
        Decision { allowed, reason: String::new() }
    }
}

/// Who decides for the expressions of a request, and what the request is about.
pub(crate) fn authorizer(asked: &Asked, name: &str) -> (Option<Arc<dyn Authorizer>>, Resource) {
    let request = Resource {
        group: asked.kind.group.to_owned(),
        resource: asked.kind.plural.to_owned(),
        subresource: asked.subresource().to_owned(),
        namespace: asked.namespace.clone(),
        name: name.to_owned(),
    };
    (Some(Arc::new(OfRequest(asked.requester.clone()))), request)
}
