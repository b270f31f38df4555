//! What the node's pods have been given of its CPU and memory, and whether one of them can have more.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tokio::sync::watch;

/// CPU and memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amounts {
    /// CPU in thousandths.
    pub cpu_milli: i64,
    /// Memory in bytes.
    pub memory_bytes: i64,
}

impl Amounts {
    /// Both added.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            cpu_milli: self.cpu_milli.saturating_add(other.cpu_milli),
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
        }
    }

    /// The larger of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            cpu_milli: self.cpu_milli.max(other.cpu_milli),
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
        }
    }
}

/// Why a pod cannot have more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Not as long as the others have what they have.
    Deferred(String),
    /// Never on this node.
    Infeasible(String),
}

impl Refusal {
    /// One word, as the API spells it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Deferred(_) => "Deferred",
            Self::Infeasible(_) => "Infeasible",
        }
    }

    /// For people.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Deferred(message) | Self::Infeasible(message) => message,
        }
    }
}

/// What the pods of a node have been given.
#[derive(Debug)]
pub struct Allocations {
    capacity: Amounts,
    held: Mutex<BTreeMap<String, Amounts>>,
    freed: watch::Sender<()>,
}

impl Allocations {
    /// Nothing is given yet.
    #[must_use]
    pub fn new(capacity: Amounts) -> Self {
        Self { capacity, held: Mutex::default(), freed: watch::Sender::new(()) }
    }

    /// Notes what a pod came with: whoever bound it here has seen to its fitting.
    pub fn note(&self, uid: &str, amounts: Amounts) {
        self.held.lock().insert(uid.to_owned(), amounts);
    }

    /// Gives a pod other amounts, if they are there.
    pub fn change(&self, uid: &str, wanted: Amounts) -> Result<(), Refusal> {
        let mut held = self.held.lock();
        let current = held.get(uid).copied().unwrap_or_default();
        let others = held.iter().filter(|(other, _)| *other != uid).map(|(_, amounts)| *amounts);
        fits(self.capacity, others.fold(Amounts::default(), Amounts::plus), current, wanted)?;
        held.insert(uid.to_owned(), wanted);
        drop(held);
        if wanted.max(current) != wanted {
            self.freed.send_replace(());
        }
        Ok(())
    }

    /// Takes everything back from a pod.
    pub fn release(&self, uid: &str) {
        if self.held.lock().remove(uid).is_some() {
            self.freed.send_replace(());
        }
    }

    /// Tells whenever something has been given back.
    #[must_use]
    pub fn freed(&self) -> watch::Receiver<()> {
        self.freed.subscribe()
    }
}

/// Whether a pod that has `current` can have `wanted` beside what the others have. Less can always be had.
fn fits(capacity: Amounts, others: Amounts, current: Amounts, wanted: Amounts) -> Result<(), Refusal> {
    let rows = |of: fn(Amounts) -> i64| (of(wanted), of(current), of(others), of(capacity));
    let memory = ("memory", rows(|amounts| amounts.memory_bytes));
    let cpu = ("cpu", rows(|amounts| amounts.cpu_milli));
    for (name, (wanted, current, _, capacity)) in [memory, cpu] {
        if wanted > capacity && wanted > current {
            return Err(Refusal::Infeasible(format!(
                "Node didn't have enough capacity: {name}, requested: {wanted}, capacity: {capacity}"
            )));
        }
    }
    for (name, (wanted, current, used, capacity)) in [cpu, memory] {
        if wanted > capacity.saturating_sub(used) && wanted > current {
            return Err(Refusal::Deferred(format!(
                "Node didn't have enough resource: {name}, requested: {wanted}, used: {used}, capacity: {capacity}"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amounts(cpu_milli: i64, memory_bytes: i64) -> Amounts {
        Amounts { cpu_milli, memory_bytes }
    }

    #[test]
    fn a_pod_gets_what_the_others_leave() {
        let all = Allocations::new(amounts(1000, 100));
        let mut freed = all.freed();
        all.note("a", amounts(400, 40));
        all.note("b", amounts(400, 40));
        assert_eq!(all.change("a", amounts(600, 60)), Ok(()));
        let refusal = all.change("b", amounts(401, 40)).unwrap_err();
        assert_eq!(
            (refusal.reason(), refusal.message()),
            ("Deferred", "Node didn't have enough resource: cpu, requested: 401, used: 600, capacity: 1000")
        );
        let refusal = all.change("b", amounts(400, 101)).unwrap_err();
        assert_eq!(
            (refusal.reason(), refusal.message()),
            ("Infeasible", "Node didn't have enough capacity: memory, requested: 101, capacity: 100")
        );
        assert!(!freed.has_changed().unwrap());
        assert_eq!(all.change("a", amounts(500, 60)), Ok(()));
        assert!(freed.has_changed().unwrap());
        freed.mark_unchanged();
        all.release("a");
        all.release("a");
        assert!(freed.has_changed().unwrap());
        assert_eq!(all.change("b", amounts(1000, 100)), Ok(()));
    }

    #[test]
    fn less_can_always_be_had() {
        let all = Allocations::new(amounts(100, 100));
        all.note("a", amounts(100, 100));
        all.note("b", amounts(900, 90));
        assert_eq!(all.change("b", amounts(800, 80)), Ok(()));
    }
}
