//! What becomes of the APIServices of groups and versions that this server serves.
//!
//! A label says of each by whom it is kept: those of custom resources follow their definitions, those of the server's
//! own kinds are put right when it starts, and those without the label are somebody else's.

use std::collections::BTreeMap;

use gantry_api::Resource as _;
use gantry_api::apiregistration::v1::{ApiService, ApiServiceSpec};

/// Says how an APIService is kept.
const AUTO_MANAGED: &str = "kube-aggregator.kubernetes.io/automanaged";
const ON_START: &str = "onstart";
const ALWAYS: &str = "true";

/// The groups of the server's own kinds, by upstream's priority.
const GROUPS: [(&str, i32); 20] = [
    ("", 18_000),
    ("apps", 17_800),
    ("events.k8s.io", 17_750),
    ("authentication.k8s.io", 17_700),
    ("authorization.k8s.io", 17_600),
    ("autoscaling", 17_500),
    ("batch", 17_400),
    ("certificates.k8s.io", 17_300),
    ("networking.k8s.io", 17_200),
    ("policy", 17_100),
    ("rbac.authorization.k8s.io", 17_000),
    ("storage.k8s.io", 16_800),
    ("admissionregistration.k8s.io", 16_700),
    ("apiextensions.k8s.io", 16_700),
    ("scheduling.k8s.io", 16_600),
    ("coordination.k8s.io", 16_500),
    ("node.k8s.io", 16_300),
    ("discovery.k8s.io", 16_200),
    ("flowcontrol.apiserver.k8s.io", 16_100),
    ("resource.k8s.io", 15_900),
];
/// Groups that upstream does not have come behind its own, and before those of custom resources.
const OTHER_GROUP: i32 = 15_000;
/// Upstream's priorities of groups and versions of custom resources.
const CUSTOM: (i32, i32) = (1000, 100);

/// A group and version that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Served {
    group: String,
    version: String,
    group_priority: i32,
    version_priority: i32,
    managed: &'static str,
}

impl Served {
    /// One of the server's own.
    pub(super) fn own(group: &str, version: &str) -> Self {
        let group_priority = own_group(group).unwrap_or(OTHER_GROUP);
        let version_priority = own_version(group, version);
        let (group, version) = (group.to_owned(), version.to_owned());
        Self { group, version, group_priority, version_priority, managed: ON_START }
    }

    /// One of custom resources.
    pub(super) fn custom(group: &str, version: &str) -> Self {
        let (group_priority, version_priority) = CUSTOM;
        let (group, version) = (group.to_owned(), version.to_owned());
        Self { group, version, group_priority, version_priority, managed: ALWAYS }
    }

    fn spec(&self) -> ApiServiceSpec {
        ApiServiceSpec {
            group: self.group.clone(),
            version: self.version.clone(),
            group_priority_minimum: self.group_priority,
            version_priority: self.version_priority,
            ..ApiServiceSpec::default()
        }
    }

    fn put_into(&self, service: &mut ApiService) {
        service.spec = Some(self.spec());
        let meta = service.meta_mut();
        meta.name = name(&self.group, &self.version);
        meta.labels.insert(AUTO_MANAGED.to_owned(), self.managed.to_owned());
    }
}

fn own_group(name: &str) -> Option<i32> {
    GROUPS.iter().find(|(group, _)| *group == name).map(|(_, priority)| *priority)
}

fn own_version(group: &str, version: &str) -> i32 {
    match (group, version) {
        ("", _) => 1,
        ("autoscaling", "v2") => 30,
        ("flowcontrol.apiserver.k8s.io", "v1") => 21,
        ("resource.k8s.io", "v1") => 20,
        (_, "v1") => 15,
        _ => 9,
    }
}

/// The priority of a group that has no APIService yet.
pub(super) fn group_priority(name: &str) -> i32 {
    own_group(name).unwrap_or(CUSTOM.0)
}

/// The priority of a version that has no APIService yet.
pub(super) fn version_priority(group: &str, version: &str) -> i32 {
    if own_group(group).is_some() { own_version(group, version) } else { CUSTOM.1 }
}

/// The name of the APIService of a group and version.
pub(super) fn name(group: &str, version: &str) -> String {
    format!("{version}.{group}")
}

/// Whether the group has APIServices: that of the APIServices themselves has none, as upstream.
pub(super) fn is_named(group: &str) -> bool {
    group != "apiregistration.k8s.io"
}

/// What is to be written.
#[derive(Debug, PartialEq)]
pub(super) enum Change {
    Create(Box<ApiService>),
    Update(Box<ApiService>),
    Delete(Box<ApiService>),
}

/// What is to be done so that there is one for each that is served; `starting` is when the server's own are put right.
pub(super) fn changes(
    served: &BTreeMap<String, Served>,
    found: &[ApiService],
    starting: bool,
) -> Vec<Change> {
    let mut changes = Vec::new();
    let concerns = |managed: &str| managed == ALWAYS || (managed == ON_START && starting);
    for (name, wanted) in served.iter().filter(|(_, wanted)| concerns(wanted.managed)) {
        let Some(there) = found.iter().find(|service| service.name() == name) else {
            let mut service = ApiService::default();
            wanted.put_into(&mut service);
            changes.push(Change::Create(Box::new(service)));
            continue;
        };
        if managed(there).is_none() {
            continue;
        }
        let mut next = there.clone();
        wanted.put_into(&mut next);
        if next != *there {
            changes.push(Change::Update(Box::new(next)));
        }
    }
    let gone = found
        .iter()
        .filter(|service| managed(service).is_some_and(concerns) && !served.contains_key(service.name()));
    changes.extend(gone.map(|service| Change::Delete(Box::new(service.clone()))));
    changes
}

fn managed(service: &ApiService) -> Option<&str> {
    let label = service.meta().labels.get(AUTO_MANAGED)?.as_str();
    matches!(label, ALWAYS | ON_START).then_some(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(wanted: &Served) -> ApiService {
        let mut service = ApiService::default();
        wanted.put_into(&mut service);
        service
    }

    fn served(all: &[Served]) -> BTreeMap<String, Served> {
        all.iter().map(|one| (name(&one.group, &one.version), one.clone())).collect()
    }

    #[test]
    fn what_is_served_has_one() {
        let (apps, custom) = (Served::own("apps", "v1"), Served::custom("a.example", "v1"));
        let both = served(&[apps.clone(), custom.clone()]);
        let create = |one: &Served| Change::Create(Box::new(of(one)));
        assert_eq!(changes(&both, &[], true), [create(&custom), create(&apps)]);
        // Later, the server's own are the administrator's.
        assert_eq!(changes(&both, &[], false), [create(&custom)]);
        assert_eq!(changes(&both, &[of(&apps), of(&custom)], true), []);
        let spec = of(&apps).spec.unwrap();
        assert_eq!((spec.group_priority_minimum, spec.version_priority), (17_800, 15));
    }

    #[test]
    fn what_was_changed_is_put_right_unless_it_is_somebody_elses() {
        let custom = Served::custom("a.example", "v1");
        let mut changed = of(&custom);
        changed.spec.as_mut().unwrap().version_priority = 1;
        let put_right = [Change::Update(Box::new(of(&custom)))];
        assert_eq!(changes(&served(std::slice::from_ref(&custom)), &[changed.clone()], false), put_right);
        changed.meta_mut().labels.clear();
        assert_eq!(changes(&served(&[custom]), &[changed], true), []);
    }

    #[test]
    fn what_is_not_served_any_more_goes() {
        let custom = of(&Served::custom("a.example", "v1"));
        let own = of(&Served::own("old.k8s.io", "v1"));
        let mut foreign = custom.clone();
        foreign.meta_mut().name = "v1.b.example".to_owned();
        foreign.meta_mut().labels.clear();
        let found = [custom.clone(), own.clone(), foreign];
        assert_eq!(changes(&BTreeMap::new(), &found, false), [Change::Delete(Box::new(custom.clone()))]);
        let both = [Change::Delete(Box::new(custom)), Change::Delete(Box::new(own))];
        assert_eq!(changes(&BTreeMap::new(), &found, true), both);
    }
}
