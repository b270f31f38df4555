//! `authorizer`: expressions ask what somebody may.

use std::fmt;
use std::sync::Arc;

use super::value::Value;
use super::{Budget, Error, failed};

/// What one question costs.
const COST: usize = 350_000;

/// Who decides what somebody may.
pub trait Authorizer: fmt::Debug + Send + Sync {
    /// Decides about who makes the request, or about a service account, which is a namespace and a name.
    fn decide(&self, account: Option<&(String, String)>, question: &Question, verb: &str) -> Decision;
}

/// What is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// A path that is no resource.
    Path(String),
    /// A resource.
    Resource(Resource),
}

/// A resource, or one object of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resource {
    /// The API group.
    pub group: String,
    /// The plural name.
    pub resource: String,
    /// The subresource; empty for the object itself.
    pub subresource: String,
    /// The namespace; empty for the cluster and for all namespaces.
    pub namespace: String,
    /// The object's name; empty for all.
    pub name: String,
}

/// What was decided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may be.
    pub allowed: bool,
    /// Why.
    pub reason: String,
}

/// A question on its way.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    by: Arc<dyn Authorizer>,
    /// What the request itself is about.
    request: Arc<Resource>,
    account: Option<(String, String)>,
    stage: Stage,
}

#[derive(Debug, Clone)]
enum Stage {
    Anything,
    Group(String),
    About(Question),
    Decided(Decision),
}

impl Chain {
    pub(crate) fn new(by: Arc<dyn Authorizer>, request: Arc<Resource>) -> Self {
        Self { by, request, account: None, stage: Stage::Anything }
    }

    fn at(&self, stage: Stage) -> Value<'static> {
        Value::Authorizer(Arc::new(Self { stage, ..self.clone() }))
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self.stage {
            Stage::Anything => "kubernetes.authorization.Authorizer",
            Stage::Group(_) => "kubernetes.authorization.GroupCheck",
            Stage::About(Question::Path(_)) => "kubernetes.authorization.PathCheck",
            Stage::About(Question::Resource(_)) => "kubernetes.authorization.ResourceCheck",
            Stage::Decided(_) => "kubernetes.authorization.Decision",
        }
    }

    /// `requestResource`: what the request is about.
    pub(super) fn field(&self, name: &str) -> Result<Value<'static>, Error> {
        match (&self.stage, name) {
            (Stage::Anything, "requestResource") => {
                Ok(self.at(Stage::About(Question::Resource((*self.request).clone()))))
            }
            _ => failed(format!("no such key: {name}")),
        }
    }

    /// A function of it.
    pub(super) fn method(
        &self,
        name: &str,
        arguments: &[Value<'_>],
        budget: &mut Budget,
    ) -> Result<Value<'static>, Error> {
        let texts: Option<Vec<&str>> = arguments.iter().map(Value::as_text).collect();
        let Some(texts) = texts else { return failed("no such overload") };
        match (&self.stage, name, texts.as_slice()) {
            (Stage::Anything, "path", [""]) => failed("path must not be empty"),
            (Stage::Anything, "path", [path]) => {
                Ok(self.at(Stage::About(Question::Path((*path).to_owned()))))
            }
            (Stage::Anything, "group", [group]) => Ok(self.at(Stage::Group((*group).to_owned()))),
            (Stage::Anything, "serviceAccount", [namespace, name]) => {
                let account = Some(((*namespace).to_owned(), (*name).to_owned()));
                Ok(Value::Authorizer(Arc::new(Self { account, ..self.clone() })))
            }
            (Stage::Group(_), "resource", [""]) => failed("resource must not be empty"),
            (Stage::Group(group), "resource", [resource]) => {
                let about = Resource {
                    group: group.clone(),
                    resource: (*resource).to_owned(),
                    ..Resource::default()
                };
                Ok(self.at(Stage::About(Question::Resource(about))))
            }
            (Stage::About(question), "check", [verb]) => {
                budget.pay(COST)?;
                let decision = self.by.decide(self.account.as_ref(), question, verb);
                Ok(self.at(Stage::Decided(decision)))
            }
            (Stage::About(Question::Resource(about)), name, [text]) => {
                let mut about = about.clone();
                let part = match name {
                    "subresource" => &mut about.subresource,
                    "namespace" => &mut about.namespace,
                    "name" => &mut about.name,
                    // What roles allow, they allow whatever is selected.
                    "fieldSelector" | "labelSelector" => return Ok(self.at(self.stage.clone())),
                    _ => return failed("no such overload"),
                };
                (*text).clone_into(part);
                Ok(self.at(Stage::About(Question::Resource(about))))
            }
            (Stage::Decided(decision), "allowed", []) => Ok(Value::Bool(decision.allowed)),
            (Stage::Decided(decision), "reason", []) => Ok(Value::text(decision.reason.as_str())),
            (Stage::Decided(_), "errored", []) => Ok(Value::Bool(false)),
            (Stage::Decided(_), "error", []) => Ok(Value::text("")),
            _ => failed("no such overload"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::{Budget, Expression, Variables};

    #[derive(Debug)]
    struct OfJane;

    impl Authorizer for OfJane {
        fn decide(&self, account: Option<&(String, String)>, question: &Question, verb: &str) -> Decision {
            let allowed = match (account, question) {
                (None, Question::Path(path)) => path == "/healthz" && verb == "get",
                (None, Question::Resource(about)) => {
                    let Resource { group, resource, subresource, namespace, name } = about;
                    verb == "create"
                        && [group, resource, subresource, namespace, name]
                            == ["apps", "sets", "scale", "n", "a"]
                }
                (Some((namespace, name)), _) => namespace == "n" && name == "robot",
            };
            Decision { allowed, reason: "because".to_owned() }
        }
    }

    fn holds(text: &str) -> bool {
        let request = Resource {
            group: "apps".to_owned(),
            resource: "sets".to_owned(),
            subresource: "scale".to_owned(),
            namespace: "n".to_owned(),
            name: "a".to_owned(),
        };
        let variables = Variables::default().with_authorizer(Some(Arc::new(OfJane)), request);
        let expression = Expression::compile(text, &["authorizer"]).unwrap();
        expression.holds(&variables, &mut Budget::new(10_000_000)).unwrap()
    }

    #[test]
    fn questions_are_put_together() {
        assert!(holds("authorizer.path('/healthz').check('get').allowed()"));
        assert!(!holds("authorizer.path('/healthz').check('post').allowed()"));
        let about = "authorizer.group('apps').resource('sets').subresource('scale').namespace('n').name('a')";
        assert!(holds(&format!(
            "{about}.check('create').allowed() && {about}.check('x').reason() == 'because'"
        )));
        assert!(holds("authorizer.requestResource.check('create').allowed()"));
        assert!(holds("!authorizer.requestResource.name('b').check('create').allowed()"));
        assert!(holds(
            "authorizer.serviceAccount('n', 'robot').group('').resource('pods').check('get').allowed()"
        ));
        assert!(holds("!authorizer.path('/x').check('get').errored()"));
    }
}
