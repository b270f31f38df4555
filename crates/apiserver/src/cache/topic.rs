//! What a watcher can be about, so that only changes of that wake it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::Notify;

use super::Entry;
use super::log::{Change, Log};

/// The fields beside name and namespace whose watchers are woken only for their own changes.
const INDEXED: [&str; 1] = ["spec.nodeName"];

/// What a watcher is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Topic {
    /// Every object.
    All,
    /// The objects of a namespace.
    Namespace(Box<str>),
    /// One object, by its key.
    Key(Box<str>),
    /// The objects with a value of an indexed field.
    Field(&'static str, Box<str>),
}

impl Topic {
    /// The indexed field of that name.
    pub(super) fn indexed(field: &str) -> Option<&'static str> {
        INDEXED.into_iter().find(|indexed| *indexed == field)
    }

    fn of(entry: &Entry, topics: &mut Vec<Self>) {
        topics.push(Self::Key(Box::from(&**entry.key())));
        if !entry.namespace().is_empty() {
            topics.push(Self::Namespace(entry.namespace().into()));
        }
        for field in INDEXED {
            if let Some(value) = entry.field(field).filter(|value| !value.is_empty()) {
                topics.push(Self::Field(field, value.into()));
            }
        }
    }

    /// Every topic that a change is about, save [`Topic::All`].
    fn of_change(change: &Change) -> Vec<Self> {
        let mut topics = Vec::new();
        for entry in change.previous.iter().chain(&change.current) {
            Self::of(entry, &mut topics);
        }
        topics.sort_unstable_by(|a, b| a.order().cmp(&b.order()));
        topics.dedup();
        topics
    }

    fn order(&self) -> (u8, &str) {
        match self {
            Self::All => (0, ""),
            Self::Namespace(name) => (1, name),
            Self::Key(key) => (2, key),
            Self::Field(_, value) => (3, value),
        }
    }
}

/// The positions of a topic's changes.
#[derive(Debug)]
struct Subscribers {
    watchers: usize,
    wake: Arc<Notify>,
    /// Positions in the log, ascending; unused for [`Topic::All`], which is the whole log.
    positions: VecDeque<u64>,
    /// Every change of the topic from this position on is in `positions`.
    since: u64,
}

/// The topics that somebody watches.
#[derive(Debug, Default)]
pub(super) struct Topics {
    topics: HashMap<Topic, Subscribers>,
}

impl Topics {
    /// Adds a watcher of `topic` that will read from `position` on.
    pub(super) fn join(&mut self, topic: &Topic, position: u64, log: &Log) -> Arc<Notify> {
        let end = log.end();
        let subscribers = self.topics.entry(topic.clone()).or_insert_with(|| Subscribers {
            watchers: 0,
            wake: Arc::default(),
            positions: VecDeque::new(),
            since: end,
        });
        subscribers.watchers += 1;
        if *topic != Topic::All && position < subscribers.since {
            let missing = log.from(position).take_while(|(at, _)| *at < subscribers.since);
            let about = missing.filter(|(_, change)| Topic::of_change(change).contains(topic));
            let older: Vec<u64> = about.map(|(at, _)| at).collect();
            older.into_iter().rev().for_each(|at| subscribers.positions.push_front(at));
            subscribers.since = position.max(log.first());
        }
        subscribers.wake.clone()
    }

    /// Removes a watcher.
    pub(super) fn leave(&mut self, topic: &Topic) {
        if let Some(subscribers) = self.topics.get_mut(topic) {
            subscribers.watchers -= 1;
            if subscribers.watchers == 0 {
                self.topics.remove(topic);
            }
        }
    }

    /// Notes a change. `wake` collects whom to wake once the lock is free.
    pub(super) fn added(&mut self, position: u64, change: &Change, wake: &mut Vec<Arc<Notify>>) {
        if self.topics.is_empty() {
            return;
        }
        if let Some(everything) = self.topics.get(&Topic::All) {
            add_once(wake, &everything.wake);
        }
        for topic in Topic::of_change(change) {
            if let Some(subscribers) = self.topics.get_mut(&topic) {
                subscribers.positions.push_back(position);
                add_once(wake, &subscribers.wake);
            }
        }
    }

    /// Notes that the log forgot its oldest change.
    pub(super) fn forgotten(&mut self, position: u64, change: &Change) {
        if self.topics.is_empty() {
            return;
        }
        for topic in Topic::of_change(change) {
            if let Some(subscribers) = self.topics.get_mut(&topic)
                && subscribers.positions.front() == Some(&position)
            {
                subscribers.positions.pop_front();
                subscribers.since = position + 1;
            }
        }
    }

    /// Notes that the log began anew.
    pub(super) fn restarted(&mut self, log: &Log) -> Vec<Arc<Notify>> {
        for subscribers in self.topics.values_mut() {
            subscribers.positions.clear();
            subscribers.since = log.end();
        }
        self.topics.values().map(|subscribers| subscribers.wake.clone()).collect()
    }

    /// Up to `max` changes of the topic from `position` on, and the position to go on from. `None` if some of them
    /// are forgotten.
    pub(super) fn read(
        &self,
        topic: &Topic,
        position: u64,
        max: usize,
        log: &Log,
    ) -> Option<(Vec<Arc<Change>>, u64)> {
        if *topic == Topic::All {
            if position < log.first() {
                return None;
            }
            let changes: Vec<_> = log.from(position).take(max).map(|(_, change)| change.clone()).collect();
            let next = position + changes.len() as u64;
            return Some((changes, next));
        }
        let subscribers = self.topics.get(topic)?;
        if position < subscribers.since {
            return None;
        }
        let from = subscribers.positions.partition_point(|at| *at < position);
        let mut changes = Vec::new();
        for at in subscribers.positions.range(from..) {
            if changes.len() == max {
                return Some((changes, *at));
            }
            changes.push(log.get(*at)?.clone());
        }
        Some((changes, log.end()))
    }
}

fn add_once(wake: &mut Vec<Arc<Notify>>, one: &Arc<Notify>) {
    if !wake.iter().any(|other| Arc::ptr_eq(other, one)) {
        wake.push(one.clone());
    }
}
