//! The schemas and levels that nobody may change, where they are there: without them, nobody could repair the rest.

use crate::flowcontrol::v1::{
    FlowDistinguisherMethod, FlowSchemaSpec, GroupSubject, LimitResponse, LimitedPriorityLevelConfiguration,
    NonResourcePolicyRule, PolicyRulesWithSubjects, PriorityLevelConfigurationReference,
    PriorityLevelConfigurationSpec, ResourcePolicyRule, Subject,
};

/// The schema and the level of requests that never wait.
pub(super) const EXEMPT: &str = "exempt";
/// The schema and the level of all other requests that nothing else is about.
pub(super) const CATCH_ALL: &str = "catch-all";

/// The one spec that a schema of this name can have; none where it is free.
pub(super) fn schema(name: &str) -> Option<FlowSchemaSpec> {
    let (precedence, method, groups): (_, _, &[&str]) = match name {
        EXEMPT => (1, None, &["system:masters"]),
        CATCH_ALL => (10_000, Some("ByUser"), &["system:unauthenticated", "system:authenticated"]),
        _ => return None,
    };
    let all = || vec!["*".to_owned()];
    let subject = |group: &&str| Subject {
        kind: "Group".to_owned(),
        group: Some(GroupSubject { name: (*group).to_owned() }),
        ..Subject::default()
    };
    Some(FlowSchemaSpec {
        priority_level_configuration: Some(PriorityLevelConfigurationReference { name: name.to_owned() }),
        matching_precedence: precedence,
        distinguisher_method: method.map(|method| FlowDistinguisherMethod { r#type: method.to_owned() }),
        rules: vec![PolicyRulesWithSubjects {
            subjects: groups.iter().map(subject).collect(),
            resource_rules: vec![ResourcePolicyRule {
                verbs: all(),
                api_groups: all(),
                resources: all(),
                cluster_scope: true,
                namespaces: all(),
            }],
            non_resource_rules: vec![NonResourcePolicyRule { verbs: all(), non_resource_urls: all() }],
        }],
    })
}

/// The one spec that a level of this name can have, but for what it says about exemption.
pub(super) fn level(name: &str) -> Option<PriorityLevelConfigurationSpec> {
    let limited = LimitedPriorityLevelConfiguration {
        nominal_concurrency_shares: Some(5),
        lendable_percent: Some(0),
        limit_response: Some(LimitResponse { r#type: "Reject".to_owned(), queuing: None }),
        ..LimitedPriorityLevelConfiguration::default()
    };
    let (r#type, limited) = match name {
        EXEMPT => ("Exempt", None),
        CATCH_ALL => ("Limited", Some(limited)),
        _ => return None,
    };
    Some(PriorityLevelConfigurationSpec { r#type: r#type.to_owned(), limited, exempt: None })
}
