//! Where a pod may run.

use crate::core::v1::{
    Affinity, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm,
    PodSpec, Toleration, TopologySpreadConstraint, WeightedPodAffinityTerm,
};
use crate::field::{Error, ErrorList, Path};
use crate::validation::common::{check, enumerated, shown};
use crate::validation::{names, selector};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub(super) fn affinity(errors: &mut ErrorList, affinity: Option<&Affinity>, path: &Path) {
    let Some(affinity) = affinity else { return };
    if let Some(node) = &affinity.node_affinity {
        node_affinity(errors, node, &path.child("nodeAffinity"));
    }
    if let Some(pods) = &affinity.pod_affinity {
        let path = path.child("podAffinity");
        terms(errors, &pods.required_during_scheduling_ignored_during_execution, &path.child(REQUIRED));
        weighted(errors, &pods.preferred_during_scheduling_ignored_during_execution, &path.child(PREFERRED));
    }
    if let Some(pods) = &affinity.pod_anti_affinity {
        let path = path.child("podAntiAffinity");
        terms(errors, &pods.required_during_scheduling_ignored_during_execution, &path.child(REQUIRED));
        weighted(errors, &pods.preferred_during_scheduling_ignored_during_execution, &path.child(PREFERRED));
    }
}

fn node_affinity(errors: &mut ErrorList, affinity: &NodeAffinity, path: &Path) {
    if let Some(required) = &affinity.required_during_scheduling_ignored_during_execution {
        node_selector(errors, required, &path.child(REQUIRED));
    }
    for (i, term) in affinity.preferred_during_scheduling_ignored_during_execution.iter().enumerate() {
        let path = path.child(PREFERRED).index(i);
        weight(errors, term.weight, &path);
        if let Some(preference) = &term.preference {
            node_term(errors, preference, &path.child("preference"));
        }
    }
}

fn weight(errors: &mut ErrorList, weight: i32, path: &Path) {
    if !(1..=100).contains(&weight) {
        errors.push(Error::invalid(path.child("weight"), weight, "must be in the range 1-100"));
    }
}

/// Terms that choose nodes, also those of a volume.
pub(crate) fn node_selector(errors: &mut ErrorList, selector: &NodeSelector, path: &Path) {
    let path = path.child("nodeSelectorTerms");
    if selector.node_selector_terms.is_empty() {
        errors.push(Error::required(path, "must have at least one node selector term"));
        return;
    }
    for (i, term) in selector.node_selector_terms.iter().enumerate() {
        node_term(errors, term, &path.index(i));
    }
}

fn node_term(errors: &mut ErrorList, term: &NodeSelectorTerm, path: &Path) {
    for (i, expression) in term.match_expressions.iter().enumerate() {
        node_expression(errors, expression, &path.child("matchExpressions").index(i));
    }
    for (i, field) in term.match_fields.iter().enumerate() {
        node_field(errors, field, &path.child("matchFields").index(i));
    }
}

fn node_expression(errors: &mut ErrorList, expression: &NodeSelectorRequirement, path: &Path) {
    let values = path.child("values");
    match (expression.operator.as_str(), expression.values.len()) {
        ("In" | "NotIn", 0) => {
            errors.push(Error::required(values, "must be specified when `operator` is 'In' or 'NotIn'"));
        }
        ("Exists" | "DoesNotExist", 1..) => {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.push(Error::forbidden(values, detail));
        }
        ("Gt" | "Lt", count) if count != 1 => {
            let detail = "must be specified single value when `operator` is 'Lt' or 'Gt'";
            errors.push(Error::required(values, detail));
        }
        ("In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt", _) => {}
        (other, _) => {
            errors.push(Error::invalid(path.child("operator"), other, "not a valid selector operator"));
        }
    }
    check(errors, &path.child("key"), &expression.key, names::qualified_name(&expression.key));
}

fn node_field(errors: &mut ErrorList, field: &NodeSelectorRequirement, path: &Path) {
    match field.operator.as_str() {
        "In" | "NotIn" => {
            if field.values.len() != 1 {
                let detail =
                    "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
                errors.push(Error::required(path.child("values"), detail));
            }
        }
        other => errors.push(Error::invalid(path.child("operator"), other, "not a valid selector operator")),
    }
    if field.key != "metadata.name" {
        errors.push(Error::invalid(path.child("key"), field.key.as_str(), "not a valid field selector key"));
    }
}

fn terms(errors: &mut ErrorList, terms: &[PodAffinityTerm], path: &Path) {
    for (i, of_pods) in terms.iter().enumerate() {
        term(errors, of_pods, &path.index(i));
    }
}

fn weighted(errors: &mut ErrorList, terms: &[WeightedPodAffinityTerm], path: &Path) {
    for (i, weighted) in terms.iter().enumerate() {
        let path = path.index(i);
        weight(errors, weighted.weight, &path);
        if let Some(of_pods) = &weighted.pod_affinity_term {
            term(errors, of_pods, &path.child("podAffinityTerm"));
        }
    }
}

fn term(errors: &mut ErrorList, term: &PodAffinityTerm, path: &Path) {
    if let Some(labels) = &term.label_selector {
        selector::validate(errors, labels, &path.child("labelSelector"));
    }
    if let Some(namespaces) = &term.namespace_selector {
        selector::validate(errors, namespaces, &path.child("namespaceSelector"));
    }
    for (i, namespace) in term.namespaces.iter().enumerate() {
        check(errors, &path.child("namespaces").index(i), namespace, names::dns1123_label(namespace));
    }
    topology_key(errors, &term.topology_key, path);
}

fn topology_key(errors: &mut ErrorList, key: &str, path: &Path) {
    let path = path.child("topologyKey");
    if key.is_empty() {
        errors.push(Error::required(path, "can not be empty"));
    } else {
        check(errors, &path, key, names::qualified_name(key));
    }
}

pub(crate) fn tolerations(errors: &mut ErrorList, tolerations: &[Toleration], path: &Path) {
    for (i, one) in tolerations.iter().enumerate() {
        toleration(errors, one, &path.index(i));
    }
}

fn toleration(errors: &mut ErrorList, toleration: &Toleration, path: &Path) {
    let operator = path.child("operator");
    if !toleration.key.is_empty() {
        check(errors, &path.child("key"), &toleration.key, names::qualified_name(&toleration.key));
    } else if toleration.operator != "Exists" {
        let detail =
            "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        errors.push(Error::invalid(operator.clone(), toleration.operator.as_str(), detail));
    }
    if toleration.toleration_seconds.is_some() && toleration.effect != "NoExecute" {
        let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        errors.push(Error::invalid(path.child("effect"), toleration.effect.as_str(), detail));
    }
    match toleration.operator.as_str() {
        "" | "Equal" => {
            let problems = names::label_value(&toleration.value);
            if !problems.is_empty() {
                errors.push(Error::invalid(operator, toleration.value.as_str(), problems.join(";")));
            }
        }
        "Exists" if toleration.value.is_empty() => {}
        "Exists" => {
            let detail = "value must be empty when `operator` is 'Exists'";
            errors.push(Error::invalid(operator, shown(toleration), detail));
        }
        other => errors.push(Error::not_supported(operator, other, &["Equal", "Exists"])),
    }
    if !toleration.effect.is_empty() {
        enumerated(errors, &path.child("effect"), &toleration.effect, "core.v1.Toleration.effect");
    }
}

pub(super) fn spread(errors: &mut ErrorList, constraints: &[TopologySpreadConstraint], path: &Path) {
    for (i, constraint) in constraints.iter().enumerate() {
        let path = path.index(i);
        if constraint.max_skew <= 0 {
            errors.push(Error::invalid(
                path.child("maxSkew"),
                constraint.max_skew,
                "must be greater than zero",
            ));
        }
        topology_key(errors, &constraint.topology_key, &path);
        let when = path.child("whenUnsatisfiable");
        enumerated(
            errors,
            &when,
            &constraint.when_unsatisfiable,
            "core.v1.TopologySpreadConstraint.whenUnsatisfiable",
        );
        if let Some(minimum) = constraint.min_domains {
            let path = path.child("minDomains");
            if minimum <= 0 {
                errors.push(Error::invalid(path.clone(), minimum, "must be greater than zero"));
            }
            if constraint.when_unsatisfiable != "DoNotSchedule" {
                let detail = "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ";
                let detail = format!("{detail}{}", constraint.when_unsatisfiable);
                errors.push(Error::invalid(path, minimum, detail));
            }
        }
        let policies = [
            ("nodeAffinityPolicy", &constraint.node_affinity_policy),
            ("nodeTaintsPolicy", &constraint.node_taints_policy),
        ];
        for (field, policy) in policies {
            if let Some(policy) = policy {
                let name = format!("core.v1.TopologySpreadConstraint.{field}");
                enumerated(errors, &path.child(field), policy, &name);
            }
        }
        if let Some(labels) = &constraint.label_selector {
            selector::validate(errors, labels, &path.child("labelSelector"));
        }
        let same = |other: &TopologySpreadConstraint| {
            other.topology_key == constraint.topology_key
                && other.when_unsatisfiable == constraint.when_unsatisfiable
        };
        if constraints[..i].iter().any(same) {
            let value = format!("{{{}, {}}}", constraint.topology_key, constraint.when_unsatisfiable);
            errors.push(Error::duplicate(path.child("{topologyKey, whenUnsatisfiable}"), value));
        }
    }
}

pub(super) fn gates(errors: &mut ErrorList, spec: &PodSpec, path: &Path) {
    let path = path.child("schedulingGates");
    for (i, gate) in spec.scheduling_gates.iter().enumerate() {
        let path = path.index(i);
        check(errors, &path.child("name"), &gate.name, names::qualified_name(&gate.name));
        if spec.scheduling_gates[..i].contains(gate) {
            errors.push(Error::duplicate(path, gate.name.as_str()));
        }
    }
}
