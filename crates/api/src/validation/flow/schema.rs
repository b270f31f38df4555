//! Flow schemas.

use super::super::common::{check, enumerated, shown};
use super::super::names;
use super::{conditions, mandatory, name};
use crate::Resource as _;
use crate::field::{Error, ErrorList, Path};
use crate::flowcontrol::v1::{
    FlowSchema, FlowSchemaSpec, NonResourcePolicyRule, PolicyRulesWithSubjects, ResourcePolicyRule,
    ServiceAccountSubject, Subject,
};

const MAX_PRECEDENCE: i32 = 10_000;
const VERBS: [&str; 9] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

pub(crate) fn schema(schema: &FlowSchema) -> ErrorList {
    let mut errors = ErrorList::new();
    let empty = FlowSchemaSpec::default();
    let spec = schema.spec.as_ref().unwrap_or(&empty);
    let path = Path::new("spec");
    precedence(&mut errors, spec.matching_precedence, schema.name(), &path.child("matchingPrecedence"));
    if let Some(method) = &spec.distinguisher_method {
        let path = path.child("distinguisherMethod").child("type");
        enumerated(&mut errors, &path, &method.r#type, "flowcontrol.v1.FlowDistinguisherMethod.type");
    }
    let level = spec.priority_level_configuration.clone().unwrap_or_default().name;
    let of_level = path.child("priorityLevelConfiguration").child("name");
    if level.is_empty() {
        errors.push(Error::required(of_level, "must reference a priority level"));
    } else {
        check(&mut errors, &of_level, &level, names::dns1123_subdomain(&level));
    }
    for (i, rule) in spec.rules.iter().enumerate() {
        rules(&mut errors, rule, &path.child("rules").index(i));
    }
    if mandatory::schema(schema.name()).is_some_and(|fixed| fixed != *spec) {
        let detail = format!("spec of '{}' must equal the fixed value", schema.name());
        errors.push(Error::invalid(path, shown(spec), detail));
    }
    errors.extend(status(schema));
    errors
}

pub(crate) fn status(schema: &FlowSchema) -> ErrorList {
    let mut errors = ErrorList::new();
    let found = schema.status.iter().flat_map(|status| &status.conditions);
    let path = Path::new("status").child("conditions");
    conditions(&mut errors, found.map(|condition| condition.r#type.as_str()), &path);
    errors
}

fn precedence(errors: &mut ErrorList, precedence: i32, name: &str, path: &Path) {
    let mut invalid = |detail: String| errors.push(Error::invalid(path.clone(), precedence, detail));
    if precedence <= 0 {
        invalid("must be a positive value".to_owned());
    }
    if precedence > MAX_PRECEDENCE {
        invalid(format!("must not be greater than {MAX_PRECEDENCE}"));
    }
    if precedence == 1 && name != mandatory::EXEMPT {
        invalid("only the schema named 'exempt' may have matchingPrecedence 1".to_owned());
    }
}

fn rules(errors: &mut ErrorList, rule: &PolicyRulesWithSubjects, path: &Path) {
    let subjects = path.child("subjects");
    if rule.subjects.is_empty() {
        errors.push(Error::required(subjects.clone(), "subjects must contain at least one value"));
    }
    for (i, one) in rule.subjects.iter().enumerate() {
        subject(errors, one, &subjects.index(i));
    }
    if rule.resource_rules.is_empty() && rule.non_resource_rules.is_empty() {
        let detail = "at least one of resourceRules and nonResourceRules has to be non-empty";
        errors.push(Error::required(path.clone(), detail));
    }
    for (i, one) in rule.resource_rules.iter().enumerate() {
        resources(errors, one, &path.child("resourceRules").index(i));
    }
    for (i, one) in rule.non_resource_rules.iter().enumerate() {
        paths(errors, one, &path.child("nonResourceRules").index(i));
    }
}

fn subject(errors: &mut ErrorList, subject: &Subject, path: &Path) {
    let kinds = [
        ("ServiceAccount", "serviceAccount", subject.service_account.is_some()),
        ("User", "user", subject.user.is_some()),
        ("Group", "group", subject.group.is_some()),
    ];
    let Some((kind, field, there)) = kinds.iter().find(|(kind, ..)| *kind == subject.kind) else {
        enumerated(errors, &path.child("kind"), &subject.kind, "flowcontrol.v1.Subject.kind");
        return;
    };
    if !there {
        let detail = format!("{field} is required when subject kind is '{kind}'");
        errors.push(Error::required(path.child(field), detail));
    }
    match *kind {
        "User" => {
            if let Some(user) = &subject.user {
                name(errors, &user.name, &path.child(field));
            }
        }
        "Group" => {
            if let Some(group) = &subject.group {
                name(errors, &group.name, &path.child(field));
            }
        }
        _ => {
            if let Some(account) = &subject.service_account {
                service_account(errors, account, &path.child(field));
            }
        }
    }
    for (kind, field, _) in kinds.iter().filter(|(other, _, there)| other != kind && *there) {
        let detail = format!("{field} is forbidden when subject kind is not '{kind}'");
        errors.push(Error::forbidden(path.child(field), detail));
    }
}

fn service_account(errors: &mut ErrorList, account: &ServiceAccountSubject, path: &Path) {
    name(errors, &account.name, path);
    if !matches!(account.name.as_str(), "" | "*") {
        check(errors, &path.child("name"), &account.name, names::dns1123_subdomain(&account.name));
    }
    let namespace = path.child("namespace");
    if account.namespace.is_empty() {
        errors.push(Error::required(namespace, "must specify namespace for service account"));
    } else {
        check(errors, &namespace, &account.namespace, names::dns1123_label(&account.namespace));
    }
}

/// What there must be some of, and where `*` stands alone.
fn some(errors: &mut ErrorList, values: &[String], (missing, others): (&str, &str), path: &Path) {
    if values.is_empty() {
        errors.push(Error::required(path.clone(), missing));
    } else if values.len() > 1 && values.iter().any(|value| value == "*") {
        let detail = format!("if '*' is present, must not specify other {others}");
        errors.push(Error::invalid(path.clone(), shown(values), detail));
    }
}

fn verbs(errors: &mut ErrorList, verbs: &[String], path: &Path) {
    some(errors, verbs, ("verbs must contain at least one value", "verbs"), path);
    let all = verbs.iter().any(|verb| verb == "*");
    if !all && verbs.iter().any(|verb| !VERBS.contains(&verb.as_str())) {
        errors.push(Error::not_supported(path.clone(), shown(verbs), &VERBS));
    }
}

fn resources(errors: &mut ErrorList, rule: &ResourcePolicyRule, path: &Path) {
    verbs(errors, &rule.verbs, &path.child("verbs"));
    let groups = ("resource rules must supply at least one api group", "api groups");
    some(errors, &rule.api_groups, groups, &path.child("apiGroups"));
    let resources = ("resource rules must supply at least one resource", "resources");
    some(errors, &rule.resources, resources, &path.child("resources"));
    let of_namespaces = path.child("namespaces");
    if rule.namespaces.is_empty() && rule.cluster_scope {
        return;
    }
    let missing = "resource rules that are not cluster scoped must supply at least one namespace";
    some(errors, &rule.namespaces, (missing, "namespaces"), &of_namespaces);
    if rule.namespaces.iter().any(|namespace| namespace == "*") {
        return;
    }
    for (i, namespace) in rule.namespaces.iter().enumerate() {
        let problems = names::dns1123_label(namespace).into_iter();
        let problems = problems
            .map(|problem| format!("each member of this list must be '*' or a DNS-1123 label; {problem}"));
        check(errors, &of_namespaces.index(i), namespace, problems.collect());
    }
}

fn paths(errors: &mut ErrorList, rule: &NonResourcePolicyRule, path: &Path) {
    verbs(errors, &rule.verbs, &path.child("verbs"));
    let of_urls = path.child("nonResourceURLs");
    let missing = "nonResourceURLs must contain at least one value";
    some(errors, &rule.non_resource_urls, (missing, "non-resource URLs"), &of_urls);
    if rule.non_resource_urls.iter().any(|url| url == "*") {
        return;
    }
    for (i, url) in rule.non_resource_urls.iter().enumerate() {
        check(errors, &of_urls.index(i), url, url_problem(url).map(str::to_owned).into_iter().collect());
    }
}

fn url_problem(url: &str) -> Option<&'static str> {
    let stars = url.matches('*').count();
    match url {
        "" => Some("must not be empty"),
        "/" => None,
        _ if !url.starts_with('/') => Some("must start with slash"),
        _ if url.contains(' ') => Some("must not contain white-space"),
        _ if url.contains("//") => Some("must not contain double slash"),
        _ if stars > 1 || stars == 1 && !url.ends_with("/*") => Some("wildcard can only do suffix matching"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::validation::common::texts;

    fn rule() -> Value {
        json!({
            "subjects": [{ "kind": "User", "user": { "name": "jane" } }],
            "resourceRules": [{ "verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["a"] }],
            "nonResourceRules": [{ "verbs": ["*"], "nonResourceURLs": ["/healthz/*"] }],
        })
    }

    fn of(named: &str, spec: Value) -> Vec<String> {
        let mut whole = json!({
            "priorityLevelConfiguration": { "name": "p" }, "matchingPrecedence": 7, "rules": [rule()],
        });
        for (field, value) in spec.as_object().unwrap() {
            whole[field] = value.clone();
        }
        texts(&schema(
            &serde_json::from_value(json!({ "metadata": { "name": named }, "spec": whole })).unwrap(),
        ))
    }

    #[test]
    fn a_schema_goes_somewhere() {
        assert_eq!(of("s", json!({})), Vec::<String>::new());
        assert_eq!(
            texts(&schema(&FlowSchema::default())),
            [
                "spec.matchingPrecedence: Invalid value: 0: must be a positive value",
                "spec.priorityLevelConfiguration.name: Required value: must reference a priority level",
            ]
        );
        assert_eq!(
            of("s", json!({ "matchingPrecedence": 1, "distinguisherMethod": { "type": "x" } })),
            [
                "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have \
                 matchingPrecedence 1",
                "spec.distinguisherMethod.type: Unsupported value: \"x\": supported values: \"ByNamespace\", \
                 \"ByUser\"",
            ]
        );
        assert_eq!(of("s", json!({ "matchingPrecedence": 10001 })).len(), 1);
    }

    #[test]
    fn subjects_are_of_their_kind() {
        let subjects = |subjects: Value| {
            let mut rule = rule();
            rule["subjects"] = subjects;
            of("s", json!({ "rules": [rule] }))
        };
        assert_eq!(
            subjects(json!([])),
            ["spec.rules[0].subjects: Required value: subjects must contain at least one value"]
        );
        assert_eq!(
            subjects(json!([{ "kind": "User", "group": { "name": "g" } }, { "kind": "Robot" }])),
            [
                "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'",
                "spec.rules[0].subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'",
                "spec.rules[0].subjects[1].kind: Unsupported value: \"Robot\": supported values: \"Group\", \
                 \"ServiceAccount\", \"User\"",
            ]
        );
        assert_eq!(
            subjects(json!([{ "kind": "ServiceAccount", "serviceAccount": {} }])),
            [
                "spec.rules[0].subjects[0].serviceAccount.name: Required value",
                "spec.rules[0].subjects[0].serviceAccount.namespace: Required value: must specify namespace for \
                 service account",
            ]
        );
        let all = json!([{ "kind": "ServiceAccount", "serviceAccount": { "name": "*", "namespace": "a" } }]);
        assert_eq!(subjects(all), Vec::<String>::new());
    }

    #[test]
    fn rules_name_what_they_are_about() {
        let rules = |field: &str, value: Value| {
            let mut rule = rule();
            rule[field] = value;
            of("s", json!({ "rules": [rule] }))
        };
        let found = rules("resourceRules", json!([{ "verbs": ["get", "fly"], "apiGroups": ["*", "a"] }]));
        assert_eq!(
            found,
            [
                "spec.rules[0].resourceRules[0].verbs: Unsupported value: [\"get\",\"fly\"]: supported values: \
                 \"create\", \"delete\", \"deletecollection\", \"get\", \"list\", \"patch\", \"proxy\", \"update\", \
                 \"watch\"",
                "spec.rules[0].resourceRules[0].apiGroups: Invalid value: [\"*\",\"a\"]: if '*' is present, must not \
                 specify other api groups",
                "spec.rules[0].resourceRules[0].resources: Required value: resource rules must supply at least one \
                 resource",
                "spec.rules[0].resourceRules[0].namespaces: Required value: resource rules that are not cluster scoped \
                 must supply at least one namespace",
            ]
        );
        for (url, problem) in [
            ("a", Some("must start with slash")),
            ("/a b", Some("must not contain white-space")),
            ("//a", Some("must not contain double slash")),
            ("/a*", Some("wildcard can only do suffix matching")),
            ("/a/*", None),
            ("/", None),
        ] {
            assert_eq!(url_problem(url), problem, "{url}");
        }
        let mut nothing = rule();
        nothing["resourceRules"] = json!([]);
        nothing["nonResourceRules"] = json!([]);
        assert_eq!(of("s", json!({ "rules": [nothing] })).len(), 1);
        assert_eq!(rules("nonResourceRules", json!([{}])).len(), 2);
    }

    #[test]
    fn what_every_cluster_has_stays() {
        for name in [mandatory::EXEMPT, mandatory::CATCH_ALL] {
            let mut fixed = FlowSchema { spec: mandatory::schema(name), ..FlowSchema::default() };
            fixed.meta_mut().name = name.to_owned();
            assert_eq!(schema(&fixed), [], "{name}");
            fixed.spec.get_or_insert_default().rules.clear();
            let errors = texts(&schema(&fixed));
            assert_eq!(errors.len(), 1);
            assert!(
                errors[0].ends_with(&format!("spec of '{name}' must equal the fixed value")),
                "{errors:?}"
            );
        }
    }

    #[test]
    fn conditions_have_types_of_their_own() {
        let conditions = json!([{ "type": "a" }, { "type": "a" }, {}]);
        let schema = serde_json::from_value(json!({ "status": { "conditions": conditions } })).unwrap();
        assert_eq!(
            texts(&status(&schema)),
            [
                "status.conditions[1].type: Duplicate value: \"a\"",
                "status.conditions[2].type: Required value: must not be empty",
            ]
        );
    }
}
