//! Who owns which fields: `metadata.managedFields`, read and written.

use std::cmp::Ordering;
use std::fmt;

use super::set::Set;
use crate::field::{ErrorList, Path};
use crate::meta::v1::ManagedFieldsEntry;
use crate::scalars::{FieldsV1, Time};
use crate::validation::managers;

const FIELDS_V1: &str = "FieldsV1";
/// How many managers that update are kept apart.
pub(super) const MAX_UPDATERS: usize = 10;
/// The manager of what the oldest updaters of an object own when there are too many.
const ANCIENT: &str = "ancient-changes";

/// How fields came to be owned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// By server-side apply.
    Apply,
    /// By any other write.
    Update,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// Who owns fields, and by which version of the API they are named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The name.
    pub manager: String,
    /// How.
    pub operation: Operation,
    /// Such as `apps/v1`.
    pub api_version: String,
    /// The subresource that was written; empty for the object itself.
    pub subresource: String,
}

impl Owner {
    /// Whether both write the same entry. One that applies keeps its entry whatever version it applies.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }
}

/// As it stands in a conflict: `"kubectl" using apps/v1`.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.manager)?;
        if !self.subresource.is_empty() {
            write!(f, " with subresource {:?}", self.subresource)?;
        }
        match self.operation {
            Operation::Apply => Ok(()),
            Operation::Update => write!(f, " using {}", self.api_version),
        }
    }
}

/// An owner with its fields.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Owned {
    pub(super) owner: Owner,
    pub(super) time: Option<Time>,
    pub(super) set: Set,
}

/// Whether entries that somebody else has written are ones that can be read and stored; why not, else.
pub fn check_owners(entries: &[ManagedFieldsEntry]) -> Result<(), String> {
    let mut errors = ErrorList::new();
    managers::entries(&mut errors, entries, &Path::new("metadata").child("managedFields"));
    let mut texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    match texts.len() {
        0 => Owners::read(entries).map(drop),
        1 => Err(texts.remove(0)),
        _ => Err(format!("[{}]", texts.join(", "))),
    }
}

/// Where an entry stands among others.
fn order(entry: &ManagedFieldsEntry) -> (&str, i64, &str, &str, &str) {
    let seconds = entry.time.map_or(0, |time| time.seconds);
    (&entry.operation, seconds, &entry.manager, &entry.api_version, &entry.subresource)
}

/// All owners of an object's fields.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Owners(pub(super) Vec<Owned>);

impl Owners {
    /// Reads the entries of an object.
    pub(super) fn read(entries: &[ManagedFieldsEntry]) -> Result<Self, String> {
        let mut owners = Self::default();
        for (i, entry) in entries.iter().enumerate() {
            let operation = match entry.operation.as_str() {
                "Apply" => Operation::Apply,
                "Update" => Operation::Update,
                _ => return Err("operation must be `Apply` or `Update`".to_owned()),
            };
            if entry.api_version.is_empty() {
                return Err("apiVersion must not be empty".to_owned());
            }
            match entry.fields_type.as_str() {
                FIELDS_V1 => {}
                "" => return Err(format!("missing fieldsType in managed fields entry {i}")),
                other => return Err(format!("invalid fieldsType {other:?} in managed fields entry {i}")),
            }
            let owner = Owner {
                manager: entry.manager.clone(),
                operation,
                api_version: entry.api_version.clone(),
                subresource: entry.subresource.clone(),
            };
            let fields = entry.fields_v1.as_ref().map(|fields| fields.raw.as_ref()).unwrap_or_default();
            let fields: &[u8] = if fields.is_empty() { b"{}" } else { fields };
            let set = Set::from_json(fields)
                .map_err(|error| format!("error decoding versioned set from {owner}: {error}"))?;
            owners.put(Owned { owner, time: entry.time, set });
        }
        Ok(owners)
    }

    /// The entries as they are stored, in their order.
    pub(super) fn write(self) -> Vec<ManagedFieldsEntry> {
        self.write_with(Vec::new())
    }

    /// The entries as they are stored, and others that are as they were.
    pub(super) fn write_with(self, others: Vec<ManagedFieldsEntry>) -> Vec<ManagedFieldsEntry> {
        let entry = |owned: Owned| ManagedFieldsEntry {
            manager: owned.owner.manager,
            operation: owned.owner.operation.name().to_owned(),
            api_version: owned.owner.api_version,
            time: owned.time,
            fields_type: FIELDS_V1.to_owned(),
            fields_v1: Some(FieldsV1 { raw: owned.set.to_json().into() }),
            subresource: owned.owner.subresource,
        };
        let mut entries = others;
        entries.extend(self.0.into_iter().map(entry));
        entries.sort_by(|a, b| order(a).cmp(&order(b)));
        entries
    }

    pub(super) fn get(&self, owner: &Owner) -> Option<&Owned> {
        self.0.iter().find(|owned| owned.owner.is(owner))
    }

    /// Puts an owner's fields in the place of those it has.
    pub(super) fn put(&mut self, new: Owned) {
        match self.0.iter_mut().find(|owned| owned.owner.is(&new.owner)) {
            Some(owned) => *owned = new,
            None => self.0.push(new),
        }
    }

    pub(super) fn take(&mut self, owner: &Owner) -> Option<Owned> {
        let at = self.0.iter().position(|owned| owned.owner.is(owner))?;
        Some(self.0.remove(at))
    }

    pub(super) fn drop_empty(&mut self) {
        self.0.retain(|owned| !owned.set.is_empty());
    }

    /// Puts the oldest updaters together where there are too many, one of each version.
    pub(super) fn cap(&mut self) {
        let mut updaters: Vec<Owner> = self
            .0
            .iter()
            .filter(|owned| owned.owner.operation == Operation::Update)
            .map(|owned| owned.owner.clone())
            .collect();
        let mut left = updaters.len();
        if left <= MAX_UPDATERS {
            return;
        }
        updaters.sort_by(|a, b| self.age(a, b));
        // The first updater of each version, which goes into the common entry with the second one.
        let mut firsts: Vec<Owner> = Vec::new();
        for updater in updaters {
            if left <= MAX_UPDATERS {
                return;
            }
            let Some(first) = firsts.iter().find(|first| first.api_version == updater.api_version).cloned()
            else {
                firsts.push(updater);
                continue;
            };
            let bucket = Owner {
                manager: ANCIENT.to_owned(),
                operation: Operation::Update,
                api_version: updater.api_version.clone(),
                subresource: String::new(),
            };
            if self.get(&bucket).is_none()
                && let Some(first) = self.take(&first)
            {
                self.put(Owned { owner: bucket.clone(), ..first });
            }
            if let Some(gone) = self.take(&updater) {
                let set =
                    self.get(&bucket).map_or_else(|| gone.set.clone(), |owned| owned.set.union(&gone.set));
                // Its time is the later one.
                self.put(Owned { owner: bucket, time: gone.time, set });
                left -= 1;
            }
        }
    }

    fn age(&self, a: &Owner, b: &Owner) -> Ordering {
        let seconds = |owner| self.get(owner).and_then(|owned| owned.time).map_or(0, |time| time.seconds);
        seconds(a).cmp(&seconds(b)).then_with(|| a.cmp(b))
    }
}
