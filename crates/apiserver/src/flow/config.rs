//! Levels and schemas as their objects say.

use std::collections::BTreeMap;
use std::sync::Arc;

use gantry_api::Resource as _;
use gantry_api::flowcontrol::v1::{
    FlowSchema, PolicyRulesWithSubjects, PriorityLevelConfiguration, PriorityLevelConfigurationSpec,
};
use http::HeaderValue;

use super::classify::{self, Distinguisher};
use super::defaults::{self, CATCH_ALL};
use super::fair::Queuing;
use super::level::Level;
use super::metrics::{self, OfSchema};
use super::shares::{self, Limits, Wanted};
use crate::authorization::Attributes;
use crate::pipeline::User;

/// The most seats that one request takes.
const WIDEST: u32 = 10;

/// A schema that has a level.
pub(super) struct Schema {
    pub(super) name: String,
    pub(super) uid: Option<HeaderValue>,
    pub(super) level_uid: Option<HeaderValue>,
    precedence: i32,
    rules: Vec<PolicyRulesWithSubjects>,
    pub(super) distinguisher: Distinguisher,
    pub(super) level: Arc<Level>,
    /// The most seats that one of its requests takes.
    pub(super) widest: u32,
    pub(super) metrics: Arc<OfSchema>,
}

/// A level with its seats.
#[derive(Clone)]
pub(super) struct Configured {
    pub(super) level: Arc<Level>,
    pub(super) limits: Limits,
}

/// All levels and schemas of one moment.
#[derive(Default)]
pub(super) struct Config {
    pub(super) levels: BTreeMap<String, Configured>,
    /// In the order in which they are tried.
    schemas: Vec<Arc<Schema>>,
    /// What nothing else fits.
    last: Option<Arc<Schema>>,
}

impl Config {
    /// The same after the objects have changed: levels that were there keep who runs and who waits. What must be there
    /// and is not is imagined.
    pub(super) fn new(
        total: u32,
        levels: &[PriorityLevelConfiguration],
        schemas: &[FlowSchema],
        before: &Self,
    ) -> Self {
        let missing =
            |name: &str| defaults::is_mandatory(name) && !levels.iter().any(|one| one.name() == name);
        let imagined: Vec<_> = defaults::levels().into_iter().filter(|level| missing(level.name())).collect();
        let mut all: Vec<_> = levels.iter().chain(&imagined).collect();
        all.sort_by(|a, b| a.name().cmp(b.name()));
        let wanted: Vec<Wanted> = all.iter().map(|level| wanted(&spec(level))).collect();
        let limits = shares::limits(total, &wanted);
        let mut config = Self::default();
        for (object, limits) in all.iter().zip(limits) {
            let configured = configure(object, limits, before);
            config.levels.insert(object.name().to_owned(), configured);
        }
        let missing =
            |name: &str| defaults::is_mandatory(name) && !schemas.iter().any(|one| one.name() == name);
        let imagined: Vec<_> =
            defaults::schemas().into_iter().filter(|schema| missing(schema.name())).collect();
        for object in schemas.iter().chain(&imagined) {
            let schema = config.of(object, &all);
            config.schemas.extend(schema.map(Arc::new));
        }
        config.schemas.sort_by(|a, b| (a.precedence, &a.name).cmp(&(b.precedence, &b.name)));
        config.last = config.schemas.iter().find(|schema| schema.name == CATCH_ALL).cloned();
        config
    }

    /// A schema, if its level is there.
    fn of(&self, object: &FlowSchema, levels: &[&PriorityLevelConfiguration]) -> Option<Schema> {
        let spec = object.spec.as_ref()?;
        let name = level_of(object);
        let configured = self.levels.get(name)?;
        let level = levels.iter().find(|level| level.name() == name)?;
        let hand = queuing(&self::spec(level)).map_or(1, |queuing| queuing.hand.max(1));
        // Casts of small numbers: seats of a server, cards of a hand.
        let widest = configured.limits.nominal.div_ceil(hand as u32).clamp(1, WIDEST);
        Some(Schema {
            name: object.name().to_owned(),
            uid: header(&object.meta().uid),
            level_uid: header(&level.meta().uid),
            precedence: spec.matching_precedence,
            rules: spec.rules.clone(),
            distinguisher: Distinguisher::of(spec),
            level: configured.level.clone(),
            widest: if configured.level.exempt { WIDEST } else { widest },
            metrics: Arc::new(OfSchema::new(name, object.name())),
        })
    }

    /// The schema of a request. The last one fits everybody: whoever it does not know has no name, and is nobody.
    pub(super) fn schema(&self, user: &User, asked: &Attributes<'_>) -> Arc<Schema> {
        let found = self.schemas.iter().find(|schema| classify::fits(&schema.rules, user, asked));
        #[expect(
            clippy::expect_used,
            reason = "what is missing of the mandatory schemas is imagined in `new`"
        )]
        found.or(self.last.as_ref()).cloned().expect("there is a last schema")
    }

    /// The levels' seats by what was needed since this was done last.
    pub(super) fn lend(&self) {
        let observed: Vec<_> = self.levels.values().map(|one| (one, one.level.observe())).collect();
        let needs: Vec<_> =
            observed.iter().map(|(one, (_, demand))| (one.limits, one.level.exempt, *demand)).collect();
        for ((one, (seen, demand)), seats) in observed.iter().zip(shares::lend(&needs)) {
            let Limits { nominal, lower, upper } = one.limits;
            metrics::limits(&one.level.name, [nominal, lower, upper, seats]);
            metrics::demand(
                &one.level.name,
                [seen.high.into(), seen.average, seen.deviation, demand.smoothed],
            );
            if !one.level.exempt {
                one.level.set_limit(Some(seats));
            }
        }
    }
}

/// The level that a schema names.
pub(super) fn level_of(schema: &FlowSchema) -> &str {
    let level = schema.spec.as_ref().and_then(|spec| spec.priority_level_configuration.as_ref());
    level.map_or("", |level| &level.name)
}

fn header(uid: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(uid).ok().filter(|value| !value.is_empty())
}

fn spec(level: &PriorityLevelConfiguration) -> PriorityLevelConfigurationSpec {
    level.spec.clone().unwrap_or_default()
}

fn wanted(spec: &PriorityLevelConfigurationSpec) -> Wanted {
    if spec.r#type == "Exempt" {
        let exempt = spec.exempt.unwrap_or_default();
        return Wanted {
            exempt: true,
            shares: exempt.nominal_concurrency_shares.unwrap_or(0),
            lendable: exempt.lendable_percent.unwrap_or(0),
            borrowing: None,
        };
    }
    let limited = spec.limited.clone().unwrap_or_default();
    Wanted {
        exempt: false,
        shares: limited.nominal_concurrency_shares.unwrap_or(30),
        lendable: limited.lendable_percent.unwrap_or(0),
        borrowing: limited.borrowing_limit_percent,
    }
}

fn queuing(spec: &PriorityLevelConfigurationSpec) -> Option<Queuing> {
    let response = spec.limited.as_ref()?.limit_response.as_ref()?;
    let queuing = response.queuing.as_ref().filter(|_| response.r#type == "Queue")?;
    let number = |value: i32| usize::try_from(value).unwrap_or(0);
    Some(Queuing {
        queues: number(queuing.queues),
        hand: number(queuing.hand_size).max(1),
        length: number(queuing.queue_length_limit),
    })
}

fn configure(object: &PriorityLevelConfiguration, limits: Limits, before: &Config) -> Configured {
    let spec = spec(object);
    let exempt = spec.r#type == "Exempt";
    let queuing = queuing(&spec);
    let limit = Some(limits.nominal).filter(|_| !exempt);
    let old = before.levels.get(object.name()).filter(|old| old.level.exempt == exempt);
    let level = match old {
        Some(old) => {
            let now = old.level.look(|state| state.fair.limit());
            // What it has borrowed or lent stays so until the period ends, within its new bounds.
            let kept = if old.limits == limits { now } else { limit };
            old.level.set(kept, queuing);
            old.level.clone()
        }
        None => Level::new(object.name(), exempt, limit, queuing),
    };
    let Limits { nominal, lower, upper } = limits;
    let current = level.look(|state| state.fair.limit()).unwrap_or(nominal);
    metrics::limits(object.name(), [nominal, lower, upper, current]);
    Configured { level, limits }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual() -> Config {
        Config::new(600, &defaults::levels(), &defaults::schemas(), &Config::default())
    }

    fn of(
        config: &Config,
        user: &User,
        verb: &str,
        (group, resource): (&str, &str),
        namespace: &str,
    ) -> String {
        let asked = Attributes::Resource { verb, group, resource, subresource: "", namespace, name: "" };
        let schema = config.schema(user, &asked);
        format!("{} {}", schema.name, schema.level.name)
    }

    #[test]
    fn the_clusters_components_have_their_levels() {
        let config = usual();
        let leases = ("coordination.k8s.io", "leases");
        let user = |name: &str, groups: &[&str]| User::authenticated(name, groups.iter().copied());
        let node = user("system:node:n", &["system:nodes"]);
        let scheduler = user("system:kube-scheduler", &[]);
        let manager = user("system:kube-controller-manager", &[]);
        let own = user("system:serviceaccount:kube-system:job-controller", &["system:serviceaccounts"]);
        let robot = user("system:serviceaccount:a:robot", &["system:serviceaccounts"]);
        for (user, verb, what, namespace, expected) in [
            (&user("admin", &["system:masters"]), "list", ("", "pods"), "", "exempt exempt"),
            (&node, "update", leases, "kube-node-lease", "system-node-high node-high"),
            (&node, "patch", ("", "nodes"), "", "system-node-high node-high"),
            (&node, "list", ("", "pods"), "", "system-nodes system"),
            (&scheduler, "update", leases, "kube-system", "system-leader-election leader-election"),
            (&scheduler, "create", ("", "pods"), "a", "kube-scheduler workload-high"),
            (&manager, "update", ("", "endpoints"), "a", "endpoint-controller workload-high"),
            (&manager, "list", ("apps", "deployments"), "", "kube-controller-manager workload-high"),
            (&own, "update", ("", "configmaps"), "a", "workload-leader-election leader-election"),
            (&own, "list", ("", "pods"), "", "kube-system-service-accounts workload-high"),
            (&robot, "list", ("", "pods"), "a", "service-accounts workload-low"),
            (&user("jane", &[]), "list", ("", "pods"), "a", "global-default global-default"),
            (&User::anonymous(), "list", ("", "pods"), "a", "global-default global-default"),
        ] {
            assert_eq!(of(&config, user, verb, what, namespace), expected, "{}", user.name);
        }
        let probe = Attributes::Path { verb: "get", path: "/readyz" };
        assert_eq!(config.schema(&User::anonymous(), &probe).name, "probes");
        // Who is in no group at all.
        let nobody = User { name: "x".to_owned(), ..User::default() };
        assert_eq!(of(&config, &nobody, "get", ("", "pods"), "a"), "catch-all catch-all");
    }

    #[test]
    fn without_objects_there_are_those_that_must_be() {
        let config = Config::new(600, &[], &[], &usual());
        assert_eq!(config.levels.keys().collect::<Vec<_>>(), [CATCH_ALL, "exempt"]);
        let jane = User::authenticated("jane", []);
        assert_eq!(of(&config, &jane, "get", ("", "pods"), "a"), "catch-all catch-all");
        assert_eq!(config.levels[CATCH_ALL].limits.nominal, 600);
    }

    #[test]
    fn a_schema_without_its_level_is_passed_over() {
        let mut schemas = defaults::schemas();
        for schema in &mut schemas {
            if let Some(level) =
                schema.spec.as_mut().and_then(|spec| spec.priority_level_configuration.as_mut())
                && schema.metadata.as_ref().is_some_and(|meta| meta.name == "global-default")
            {
                level.name = "gone".to_owned();
            }
        }
        let config = Config::new(600, &defaults::levels(), &schemas, &Config::default());
        let jane = User::authenticated("jane", []);
        assert_eq!(of(&config, &jane, "get", ("", "pods"), "a"), "catch-all catch-all");
    }

    #[test]
    fn a_level_that_changes_keeps_who_runs() {
        let before = usual();
        let mut levels = defaults::levels();
        for level in &mut levels {
            if let Some(limited) = level.spec.as_mut().and_then(|spec| spec.limited.as_mut()) {
                limited.nominal_concurrency_shares = Some(10);
            }
        }
        let after = Config::new(70, &levels, &defaults::schemas(), &before);
        for (name, configured) in &after.levels {
            assert!(Arc::ptr_eq(&configured.level, &before.levels[name].level));
            let limit = configured.level.look(|state| state.fair.limit());
            assert_eq!(limit, (name != "exempt").then_some(10), "{name}");
        }
        after.lend();
    }
}
