//! Decisions as checked-in text: scripted clusters, and what the controller does about them step by step.
//!
//! `GANTRY_BLESS=1 cargo test -p gantry-controller-manager golden` writes the texts anew; read the difference.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use gantry_api::Resource;
use gantry_api::apps::v1::{Deployment, ReplicaSet};
use gantry_api::scalars::Time;
use gantry_client::controller_reference;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::decide::{self, Action, Snapshot};
use crate::pod::Pod;

mod scenarios;

/// A cluster of one Deployment.
struct World {
    deployment: Deployment,
    sets: Vec<ReplicaSet>,
    pods: Vec<Pod>,
    /// The names of ReplicaSets in the order in which they were made: hashes say nothing to people.
    names: Vec<String>,
    second: i64,
    text: String,
}

impl World {
    fn new(replicas: i32, spec: &Value) -> Self {
        let mut whole = json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "d", "generation": 1},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": "web"}},
                "progressDeadlineSeconds": 600,
                "revisionHistoryLimit": 10,
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "c", "image": "1"}]}
                }
            }
        });
        for (key, value) in spec.as_object().into_iter().flatten() {
            whole["spec"][key] = value.clone();
        }
        Self {
            deployment: serde_json::from_value(whole).unwrap(),
            sets: Vec::new(),
            pods: Vec::new(),
            names: Vec::new(),
            second: 0,
            text: String::new(),
        }
    }

    /// One whose first ReplicaSet has all pods.
    fn complete(replicas: i32, spec: &Value) -> Self {
        let mut world = Self::new(replicas, spec);
        world.look("");
        world.all_ready();
        world.look("");
        world.all_ready();
        world.look("");
        world.text.clear();
        world
    }

    fn note(&mut self, text: &str) {
        writeln!(self.text, "# {text}").unwrap();
    }

    /// A person changes the specification.
    fn edit(&mut self, text: &str, change: impl FnOnce(&mut gantry_api::apps::v1::DeploymentSpec)) {
        self.note(text);
        change(self.deployment.spec.as_mut().unwrap());
        self.deployment.meta_mut().generation += 1;
    }

    fn image(&mut self, image: &str) {
        self.edit(&format!("image {image}"), |spec| {
            let template = spec.template.as_mut().unwrap();
            template.spec.as_mut().unwrap().containers[0].image = image.to_owned();
        });
    }

    fn scale(&mut self, replicas: i32) {
        self.edit(&format!("scale to {replicas}"), |spec| spec.replicas = Some(replicas));
    }

    fn wait(&mut self, seconds: i64) {
        self.second += seconds;
        self.note(&format!("{seconds} s later"));
    }

    /// The ReplicaSets have the pods that they ask for; those that are new are not available yet.
    fn pods_follow(&mut self) {
        for set in &mut self.sets {
            let size = decide::size(set);
            let generation = set.meta().generation;
            let status = set.status.get_or_insert_default();
            status.replicas = size;
            status.available_replicas = status.available_replicas.min(size);
            status.ready_replicas = status.available_replicas;
            status.observed_generation = generation;
        }
    }

    /// All pods are there and available.
    fn all_ready(&mut self) {
        self.pods_follow();
        for set in &mut self.sets {
            let status = set.status.get_or_insert_default();
            status.available_replicas = status.replicas;
            status.ready_replicas = status.replicas;
        }
    }

    /// So many pods of a ReplicaSet are available.
    fn available(&mut self, number: usize, available: i32) {
        self.note(&format!("rs{number} has {available} available"));
        let name = self.names[number - 1].clone();
        let set = self.sets.iter_mut().find(|set| set.name() == name).unwrap();
        let status = set.status.get_or_insert_default();
        status.available_replicas = available;
        status.ready_replicas = available;
    }

    /// Looks until nothing changes: pods come unavailable, then become available.
    fn roll(&mut self) {
        for step in 1..=20 {
            let before = self.text.len();
            if !self.look(&format!("step {step}")) {
                self.text.truncate(before);
                return;
            }
            if step % 2 == 0 { self.all_ready() } else { self.pods_follow() }
        }
        panic!("never ends:\n{}", self.text);
    }

    /// One decision, carried out; whether there was anything to do.
    fn look(&mut self, title: &str) -> bool {
        let snapshot = Snapshot {
            deployment: Arc::new(self.deployment.clone()),
            sets: self.sets.iter().cloned().map(Arc::new).collect(),
            pods: self.pods.iter().cloned().map(Arc::new).collect(),
            now: Timestamp::from_second(self.second).unwrap(),
        };
        if !title.is_empty() {
            writeln!(self.text, "{title}:").unwrap();
        }
        let mut acted = false;
        for action in decide::reconcile(&snapshot) {
            acted |= !matches!(action, Action::Again(_));
            let line = self.carry_out(action);
            writeln!(self.text, "  {line}").unwrap();
        }
        acted
    }

    fn alias(&self, name: &str) -> String {
        self.names
            .iter()
            .position(|known| known == name)
            .map_or_else(|| name.to_owned(), |at| format!("rs{}", at + 1))
    }

    fn carry_out(&mut self, action: Action) -> String {
        match action {
            Action::Create(mut set) => {
                assert_eq!(set.meta().owner_references, [controller_reference(&self.deployment)]);
                self.names.push(set.name().to_owned());
                let number = self.names.len();
                set.meta_mut().uid = format!("u{number}");
                set.meta_mut().generation = 1;
                set.meta_mut().creation_timestamp =
                    Some(Time::from(Timestamp::from_second(number as i64).unwrap()));
                let line = format!("create rs{number} {}", describe(&set));
                self.sets.push(*set);
                line
            }
            Action::Update { mut set, event } => {
                let slot = self.sets.iter_mut().find(|present| present.name() == set.name()).unwrap();
                if slot.spec != set.spec {
                    set.meta_mut().generation += 1;
                }
                *slot = (*set).clone();
                let told = event.map_or_else(String::new, |event| {
                    format!("; event: {}", event.replace(set.name(), &self.alias(set.name())))
                });
                format!("update {} {}{told}", self.alias(set.name()), describe(&set))
            }
            Action::Delete(set) => {
                self.sets.retain(|present| present.name() != set.name());
                format!("delete {}", self.alias(set.name()))
            }
            Action::Revision(revision) => {
                let annotations = &mut self.deployment.meta_mut().annotations;
                annotations.insert("deployment.kubernetes.io/revision".into(), revision.clone());
                format!("revision {revision}")
            }
            Action::Status(status) => {
                let conditions: Vec<String> = status
                    .conditions
                    .iter()
                    .map(|condition| {
                        format!("{}={} {}", condition.r#type, condition.status, condition.reason)
                    })
                    .collect();
                let line = format!(
                    "status {} pods, {} updated, {} available, {} unavailable; {}",
                    status.replicas,
                    status.updated_replicas,
                    status.available_replicas,
                    status.unavailable_replicas,
                    conditions.join(", ")
                );
                self.deployment.status = Some(*status);
                line
            }
            Action::Again(delay) => format!("again in {} s", delay.as_secs()),
        }
    }

    /// Compares with the checked-in text.
    fn check(self, name: &str) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("src/deployment/golden")
            .join(format!("{name}.txt"));
        if std::env::var_os("GANTRY_BLESS").is_some() {
            std::fs::write(&path, &self.text).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(self.text, expected, "{} differs; GANTRY_BLESS=1 writes it anew", path.display());
    }
}

/// Size, and what is noted on a ReplicaSet.
fn describe(set: &ReplicaSet) -> String {
    let noted = |key: &str| {
        set.meta()
            .annotations
            .get(&format!("deployment.kubernetes.io/{key}"))
            .cloned()
            .unwrap_or_else(|| "-".into())
    };
    let history = match noted("revision-history").as_str() {
        "-" => String::new(),
        history => format!(", before {history}"),
    };
    let (size, revision) = (decide::size(set), noted("revision"));
    format!(
        "size {size} (of {}, at most {}), revision {revision}{history}",
        noted("desired-replicas"),
        noted("max-replicas")
    )
}
