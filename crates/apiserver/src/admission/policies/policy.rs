//! A policy and a binding, ready to be asked.

use gantry_api::admissionregistration::v1::{
    MatchCondition, MatchResources, MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding,
    NamedRuleWithOperations, ParamKind, ParamRef, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding, Variable,
};
use gantry_api::expression::{Composition, Expression, MADE_BY_MUTATIONS, OF_POLICIES};
use gantry_api::selector::LabelSelector;

/// What requests a policy or a binding is about.
#[derive(Debug, Default)]
pub(super) struct Constraints {
    pub(super) rules: Vec<NamedRuleWithOperations>,
    pub(super) excluded: Vec<NamedRuleWithOperations>,
    /// Whether rules also match by other versions of the same objects.
    pub(super) equivalent: bool,
    pub(super) namespaces: Option<Result<LabelSelector, String>>,
    pub(super) objects: Option<Result<LabelSelector, String>>,
}

impl Constraints {
    fn of(resources: Option<&MatchResources>) -> Self {
        let Some(resources) = resources else { return Self { equivalent: true, ..Self::default() } };
        let selector = |selector: &Option<_>| {
            let read = |selector| LabelSelector::from_meta(Some(selector)).map_err(|error| error.to_string());
            selector.as_ref().map(read)
        };
        Self {
            rules: resources.resource_rules.clone(),
            excluded: resources.exclude_resource_rules.clone(),
            equivalent: resources.match_policy.as_deref() != Some("Exact"),
            namespaces: selector(&resources.namespace_selector),
            objects: selector(&resources.object_selector),
        }
    }
}

/// What a policy asks for.
#[derive(Debug)]
pub(super) struct Validation {
    pub(super) expression: Expression,
    pub(super) message: String,
    pub(super) message_expression: Option<Expression>,
    pub(super) reason: String,
}

/// How a policy changes objects.
#[derive(Debug)]
pub(super) enum Mutation {
    /// By what is merged into them.
    Configuration(Expression),
    /// By a JSON patch.
    Patch(Expression),
}

/// What is asked, once it could be read.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) conditions: Vec<Expression>,
    pub(super) composition: Composition,
    pub(super) validations: Vec<Validation>,
    /// What is told to the audit log; whether that can be worked out matters for everybody.
    pub(super) annotations: Vec<Expression>,
    pub(super) mutations: Vec<Mutation>,
}

impl Rules {
    /// What policies of both kinds have: when they are asked, and what their expressions share.
    fn begin(
        conditions: &[MatchCondition],
        variables: &[Variable],
        compile: impl Fn(&str) -> Result<Expression, String>,
    ) -> Result<Self, String> {
        let mut rules = Self::default();
        for condition in conditions {
            rules.conditions.push(compile(&condition.expression)?);
        }
        for variable in variables {
            rules.composition.push(&variable.name, compile(&variable.expression)?);
        }
        Ok(rules)
    }
}

fn compile(text: &str, known: &[&str]) -> Result<Expression, String> {
    Expression::compile(text, known).map_err(|error| format!("compilation failed: {error}"))
}

/// A policy.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) params: Option<ParamKind>,
    pub(super) constraints: Constraints,
    /// Whether requests go on where it cannot be asked.
    pub(super) ignores_failure: bool,
    /// Whether it is asked again where others have changed the object since.
    pub(super) reinvoked: bool,
    pub(super) rules: Result<Rules, String>,
}

impl Policy {
    pub(super) fn of(name: &str, policy: &ValidatingAdmissionPolicy) -> Self {
        let spec = policy.spec.clone().unwrap_or_default();
        let compile = |text: &str| compile(text, &OF_POLICIES);
        let rules = || {
            let mut rules = Rules::begin(&spec.match_conditions, &spec.variables, compile)?;
            for validation in &spec.validations {
                let message = validation.message_expression.trim();
                rules.validations.push(Validation {
                    expression: compile(&validation.expression)?,
                    message: validation.message.trim().to_owned(),
                    message_expression: (!message.is_empty()).then(|| compile(message)).transpose()?,
                    reason: validation.reason.clone().unwrap_or_else(|| "Invalid".to_owned()),
                });
            }
            for annotation in &spec.audit_annotations {
                rules.annotations.push(compile(&annotation.value_expression)?);
            }
            Ok(rules)
        };
        Self {
            name: name.to_owned(),
            rules: rules(),
            params: spec.param_kind,
            constraints: Constraints::of(spec.match_constraints.as_ref()),
            ignores_failure: spec.failure_policy.as_deref() == Some("Ignore"),
            reinvoked: false,
        }
    }

    /// A policy that changes objects.
    pub(super) fn of_mutating(name: &str, policy: &MutatingAdmissionPolicy) -> Self {
        let spec = policy.spec.clone().unwrap_or_default();
        let known: Vec<&str> = OF_POLICIES.into_iter().chain(MADE_BY_MUTATIONS).collect();
        let compile = |text: &str| compile(text, &known);
        let rules = || {
            let mut rules = Rules::begin(&spec.match_conditions, &spec.variables, compile)?;
            for mutation in &spec.mutations {
                if let Some(configuration) = &mutation.apply_configuration {
                    rules.mutations.push(Mutation::Configuration(compile(&configuration.expression)?));
                }
                if let Some(patch) = &mutation.json_patch {
                    rules.mutations.push(Mutation::Patch(compile(&patch.expression)?));
                }
            }
            Ok(rules)
        };
        Self {
            name: name.to_owned(),
            rules: rules(),
            params: spec.param_kind,
            constraints: Constraints::of(spec.match_constraints.as_ref()),
            ignores_failure: spec.failure_policy.as_deref() == Some("Ignore"),
            reinvoked: spec.reinvocation_policy == "IfNeeded",
        }
    }
}

/// A binding.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) name: String,
    pub(super) policy: String,
    pub(super) params: Option<ParamRef>,
    pub(super) constraints: Constraints,
    pub(super) denies: bool,
    pub(super) warns: bool,
}

impl Binding {
    pub(super) fn of(name: &str, binding: &ValidatingAdmissionPolicyBinding) -> Self {
        let spec = binding.spec.clone().unwrap_or_default();
        let acts = |action: &str| spec.validation_actions.iter().any(|one| one == action);
        Self {
            name: name.to_owned(),
            denies: acts("Deny"),
            warns: acts("Warn"),
            policy: spec.policy_name,
            params: spec.param_ref,
            constraints: Constraints::of(spec.match_resources.as_ref()),
        }
    }

    /// A binding of a policy that changes objects.
    pub(super) fn of_mutating(name: &str, binding: &MutatingAdmissionPolicyBinding) -> Self {
        let spec = binding.spec.clone().unwrap_or_default();
        Self {
            name: name.to_owned(),
            denies: true,
            warns: false,
            policy: spec.policy_name,
            params: spec.param_ref,
            constraints: Constraints::of(spec.match_resources.as_ref()),
        }
    }
}
