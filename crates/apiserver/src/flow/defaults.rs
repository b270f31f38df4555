//! The levels and schemas that every cluster has: two that must be as they are, and others that are suggested.

use gantry_api::Resource as _;
use gantry_api::flowcontrol::v1::{
    ExemptPriorityLevelConfiguration, FlowDistinguisherMethod, FlowSchema, FlowSchemaSpec, GroupSubject,
    LimitResponse, LimitedPriorityLevelConfiguration, NonResourcePolicyRule, PolicyRulesWithSubjects,
    PriorityLevelConfiguration, PriorityLevelConfigurationReference, PriorityLevelConfigurationSpec,
    QueuingConfiguration, ResourcePolicyRule, ServiceAccountSubject, Subject, UserSubject,
};

/// The level and the schema of what never waits.
pub(super) const EXEMPT: &str = "exempt";
/// The level and the schema of what no other schema fits.
pub(super) const CATCH_ALL: &str = "catch-all";
/// How many wait in a queue.
const QUEUE_LENGTH: i32 = 50;

/// Whether the object of this name must be as it is here.
pub(super) fn is_mandatory(name: &str) -> bool {
    matches!(name, EXEMPT | CATCH_ALL)
}

/// All levels.
pub(super) fn levels() -> Vec<PriorityLevelConfiguration> {
    // Name, shares, percent to lend, queues, hand.
    let queued = [
        ("system", 30, 33, 64, 6),
        ("node-high", 40, 25, 64, 6),
        ("leader-election", 10, 0, 16, 4),
        ("workload-high", 40, 50, 128, 6),
        ("workload-low", 100, 90, 128, 6),
        ("global-default", 20, 50, 128, 6),
    ];
    let queued = queued.map(|(name, shares, lendable, queues, hand_size)| {
        let queuing = QueuingConfiguration { queues, hand_size, queue_length_limit: QUEUE_LENGTH };
        limited(name, shares, lendable, LimitResponse { r#type: "Queue".to_owned(), queuing: Some(queuing) })
    });
    let exempt = PriorityLevelConfigurationSpec {
        r#type: "Exempt".to_owned(),
        limited: None,
        exempt: Some(ExemptPriorityLevelConfiguration {
            nominal_concurrency_shares: Some(0),
            lendable_percent: Some(0),
        }),
    };
    let reject = LimitResponse { r#type: "Reject".to_owned(), queuing: None };
    let mandatory = [level(EXEMPT, exempt), limited(CATCH_ALL, 5, 0, reject)];
    mandatory.into_iter().chain(queued).collect()
}

fn limited(name: &str, shares: i32, lendable: i32, response: LimitResponse) -> PriorityLevelConfiguration {
    let limited = LimitedPriorityLevelConfiguration {
        nominal_concurrency_shares: Some(shares),
        limit_response: Some(response),
        lendable_percent: Some(lendable),
        borrowing_limit_percent: None,
    };
    let spec = PriorityLevelConfigurationSpec {
        r#type: "Limited".to_owned(),
        limited: Some(limited),
        ..PriorityLevelConfigurationSpec::default()
    };
    level(name, spec)
}

fn level(name: &str, spec: PriorityLevelConfigurationSpec) -> PriorityLevelConfiguration {
    let mut level = PriorityLevelConfiguration { spec: Some(spec), ..PriorityLevelConfiguration::default() };
    name.clone_into(&mut level.meta_mut().name);
    level
}

/// All schemas.
pub(super) fn schemas() -> Vec<FlowSchema> {
    let (authenticated, unauthenticated) = ("system:authenticated", "system:unauthenticated");
    let (manager, scheduler) = ("system:kube-controller-manager", "system:kube-scheduler");
    let locks = ["get", "create", "update"];
    let everything =
        |subjects| rules(subjects, vec![rule(&["*"], "*", &["*"], &["*"], true)], &["*"], &["*"]);
    let only = |subjects, resources| rules(subjects, resources, &[], &[]);
    vec![
        schema(EXEMPT, EXEMPT, 1, "", everything(groups(&["system:masters"]))),
        schema(CATCH_ALL, CATCH_ALL, 10_000, "ByUser", everything(groups(&[unauthenticated, authenticated]))),
        schema("system-nodes", "system", 500, "ByUser", everything(groups(&["system:nodes"]))),
        schema(
            "system-node-high",
            "node-high",
            400,
            "ByUser",
            only(
                groups(&["system:nodes"]),
                vec![
                    rule(&["*"], "", &["nodes", "nodes/status"], &["*"], true),
                    rule(&["*"], "coordination.k8s.io", &["leases"], &["*"], false),
                ],
            ),
        ),
        schema(
            "probes",
            EXEMPT,
            2,
            "",
            rules(
                groups(&[unauthenticated, authenticated]),
                Vec::new(),
                &["get"],
                &["/healthz", "/readyz", "/livez"],
            ),
        ),
        schema(
            "system-leader-election",
            "leader-election",
            100,
            "ByUser",
            only(
                [users(&[manager, scheduler]), accounts(&["*"])].concat(),
                vec![rule(&locks, "coordination.k8s.io", &["leases"], &["*"], false)],
            ),
        ),
        schema(
            "endpoint-controller",
            "workload-high",
            150,
            "ByUser",
            only(
                [users(&[manager]), accounts(&["endpoint-controller", "endpointslicemirroring-controller"])]
                    .concat(),
                vec![rule(&locks, "", &["endpoints"], &["*"], false)],
            ),
        ),
        schema(
            "workload-leader-election",
            "leader-election",
            200,
            "ByUser",
            only(
                accounts(&["*"]),
                vec![
                    rule(&locks, "", &["endpoints", "configmaps"], &["*"], false),
                    rule(&locks, "coordination.k8s.io", &["leases"], &["*"], false),
                ],
            ),
        ),
        schema("kube-controller-manager", "workload-high", 800, "ByNamespace", everything(users(&[manager]))),
        schema("kube-scheduler", "workload-high", 800, "ByNamespace", everything(users(&[scheduler]))),
        schema(
            "kube-system-service-accounts",
            "workload-high",
            900,
            "ByNamespace",
            everything(accounts(&["*"])),
        ),
        schema(
            "service-accounts",
            "workload-low",
            9000,
            "ByUser",
            everything(groups(&["system:serviceaccounts"])),
        ),
        schema(
            "global-default",
            "global-default",
            9900,
            "ByUser",
            everything(groups(&[unauthenticated, authenticated])),
        ),
    ]
}

fn schema(
    name: &str,
    level: &str,
    matching_precedence: i32,
    distinguisher: &str,
    rules: PolicyRulesWithSubjects,
) -> FlowSchema {
    let method = FlowDistinguisherMethod { r#type: distinguisher.to_owned() };
    let spec = FlowSchemaSpec {
        priority_level_configuration: Some(PriorityLevelConfigurationReference { name: level.to_owned() }),
        matching_precedence,
        distinguisher_method: Some(method).filter(|method| !method.r#type.is_empty()),
        rules: vec![rules],
    };
    let mut schema = FlowSchema { spec: Some(spec), ..FlowSchema::default() };
    name.clone_into(&mut schema.meta_mut().name);
    schema
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

fn rules(
    subjects: Vec<Subject>,
    resource_rules: Vec<ResourcePolicyRule>,
    verbs: &[&str],
    paths: &[&str],
) -> PolicyRulesWithSubjects {
    let paths = NonResourcePolicyRule { verbs: owned(verbs), non_resource_urls: owned(paths) };
    let non_resource_rules = Some(paths).filter(|paths| !paths.verbs.is_empty()).into_iter().collect();
    PolicyRulesWithSubjects { subjects, resource_rules, non_resource_rules }
}

fn rule(
    verbs: &[&str],
    group: &str,
    resources: &[&str],
    namespaces: &[&str],
    cluster_scope: bool,
) -> ResourcePolicyRule {
    ResourcePolicyRule {
        verbs: owned(verbs),
        api_groups: owned(&[group]),
        resources: owned(resources),
        cluster_scope,
        namespaces: owned(namespaces),
    }
}

fn groups(names: &[&str]) -> Vec<Subject> {
    let of = |name: &&str| Subject {
        kind: "Group".to_owned(),
        group: Some(GroupSubject { name: (*name).to_owned() }),
        ..Subject::default()
    };
    names.iter().map(of).collect()
}

fn users(names: &[&str]) -> Vec<Subject> {
    let of = |name: &&str| Subject {
        kind: "User".to_owned(),
        user: Some(UserSubject { name: (*name).to_owned() }),
        ..Subject::default()
    };
    names.iter().map(of).collect()
}

/// Service accounts of the system's own namespace.
fn accounts(names: &[&str]) -> Vec<Subject> {
    let account =
        |name: &str| ServiceAccountSubject { namespace: "kube-system".to_owned(), name: name.to_owned() };
    let of = |name: &&str| Subject {
        kind: "ServiceAccount".to_owned(),
        service_account: Some(account(name)),
        ..Subject::default()
    };
    names.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use gantry_api::strategy::Strategy;

    use super::*;

    #[test]
    fn every_one_is_valid_as_it_is() {
        for level in levels() {
            let mut set = level.clone();
            set.set_defaults();
            assert_eq!(set, level);
            assert!(level.validate().is_empty(), "{:?}", level.validate());
        }
        let levels: Vec<String> = levels().iter().map(|level| level.name().to_owned()).collect();
        for schema in schemas() {
            let mut set = schema.clone();
            set.set_defaults();
            assert_eq!(set, schema);
            assert!(schema.validate().is_empty(), "{:?}", schema.validate());
            let of = schema.spec.unwrap().priority_level_configuration.unwrap().name;
            assert!(levels.contains(&of), "{of}");
        }
    }
}
