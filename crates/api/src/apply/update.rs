//! Ownership by every write that is no apply.

use serde_json::{Map, Value};

use super::configuration::type_of;
use super::ignored::{OWNERS, SERVERS, ignored, strip};
use super::owners::{MAX_UPDATERS, Operation, Owned, Owner, Owners};
use super::walk::{Comparison, compare};
use super::wire::Wire;
use crate::meta::v1::ManagedFieldsEntry;
use crate::scalars::Time;
use crate::schema::shape::Type;
use crate::{Kind, Object, convert, registry};

/// Who writes, and what.
#[derive(Debug, Clone)]
pub struct Writer {
    /// The field manager's name; an empty one counts as `unknown`.
    pub manager: String,
    /// The subresource that is written; empty for the object itself.
    pub subresource: &'static str,
    /// When.
    pub time: Time,
}

impl Writer {
    fn name(&self) -> &str {
        if self.manager.is_empty() { "unknown" } else { &self.manager }
    }

    pub(super) fn owner(&self, operation: Operation, api_version: String) -> Owner {
        Owner {
            manager: self.name().to_owned(),
            operation,
            api_version,
            subresource: self.subresource.to_owned(),
        }
    }
}

/// Records in `new` who owns its fields after a create, an update or a patch that `writer` makes of `old`; `None` where
/// there was nothing. To be called when `new` has its defaults and before the server changes anything of its own accord:
/// what the server writes, nobody owns.
pub fn record(old: Option<&dyn Object>, new: &mut dyn Object, writer: &Writer) {
    let kind = new.kind();
    let given = std::mem::take(&mut new.meta_mut().managed_fields);
    let live = old.map(|old| old.meta().managed_fields.as_slice()).unwrap_or_default();
    let comparison = differences(kind, old, new).without(ignored(kind, writer.subresource));
    let stored = !writer.subresource.is_empty() || given.is_empty() || given == live;
    if comparison.is_empty() && stored {
        new.meta_mut().managed_fields = live.to_vec();
        return;
    }
    if stored && live.len() < MAX_UPDATERS {
        // Most owners have nothing to do with a change: their fields need not be read.
        let (apart, concerned): (Vec<_>, Vec<_>) =
            live.iter().cloned().partition(|entry| is_apart(kind, entry, &comparison, writer));
        if !apart.is_empty()
            && let Ok(mut owners) = Owners::read(&concerned)
        {
            yield_elsewhere(&mut owners, old, new, writer);
            let owners = after(kind, owners, comparison, writer);
            new.meta_mut().managed_fields = owners.write_with(apart);
            return;
        }
    }
    let mut owners = before(&given, live, writer);
    yield_elsewhere(&mut owners, old, new, writer);
    if owners.0.is_empty() && old.is_some() {
        // Nobody's fields are tracked; a first apply begins to.
        return;
    }
    new.meta_mut().managed_fields = after(kind, owners, comparison, writer).write();
}

/// The owners that a write finds: those that its object names, or else those of the stored object. A client that does not
/// know of owners does not delete them; one that wants to sends a single empty entry.
fn before(given: &[ManagedFieldsEntry], live: &[ManagedFieldsEntry], writer: &Writer) -> Owners {
    let stored = || Owners::read(live).unwrap_or_default();
    if !writer.subresource.is_empty() {
        return stored();
    }
    if given == [ManagedFieldsEntry::default()] {
        return Owners::default();
    }
    match Owners::read(given) {
        Ok(owners) if !owners.0.is_empty() => owners,
        // What cannot be read is not taken over.
        Ok(_) | Err(_) => stored(),
    }
}

/// In what an object differs from an older one, by their encoded bytes.
fn differences(kind: &Kind, old: Option<&dyn Object>, new: &dyn Object) -> Comparison {
    let definition = kind.definition();
    let Some(of) = type_of(kind, definition.as_deref()) else { return Comparison::default() };
    if definition.is_some() {
        return custom_differences(old, new, of);
    }
    let (before, after) = (old.map(Object::encode).unwrap_or_default(), new.encode());
    let mut comparison = compare(&Wire::Bytes(&before), &Wire::Bytes(&after), of);
    // The stored object has its owners, and both may have what the server notes.
    comparison.forget(&SERVERS);
    comparison
}

/// The same of custom resources, which are JSON.
fn custom_differences(old: Option<&dyn Object>, new: &dyn Object, of: &Type) -> Comparison {
    let nothing = || Value::Object(Map::new());
    let value = |object: &dyn Object| object.to_value().unwrap_or_else(|_| nothing());
    let (before, after) = (old.map_or_else(nothing, value), value(new));
    let mut comparison = compare(&&before, &&after, of);
    comparison.forget(&SERVERS);
    // Of the owners, only that there are some is forgotten above: JSON has their entries, too.
    comparison.without(&OWNERS)
}

/// In what an object differs from an older one by the names of another version; `None` where it has none of that name.
pub(super) fn differences_in(
    api_version: &str,
    old: Option<&dyn Object>,
    new: &dyn Object,
    subresource: &'static str,
) -> Option<Comparison> {
    let is = |other: &&Kind| other.kind == new.kind().kind && other.api_version() == api_version;
    let other = registry::all().iter().copied().find(is)?;
    let old = match old {
        Some(old) => Some(convert::convert(old, other)?),
        None => None,
    };
    let new = convert::convert(new, other)?;
    Some(differences(other, old.as_deref(), &*new).without(ignored(other, subresource)))
}

/// Takes what changes from those who own it by the names of other versions.
fn yield_elsewhere(owners: &mut Owners, old: Option<&dyn Object>, new: &dyn Object, writer: &Writer) {
    let kind = new.kind();
    if kind.is_custom() {
        // Fields have the same names in all versions.
        return;
    }
    for owned in &mut owners.0 {
        let version = &owned.owner.api_version;
        if *version == kind.api_version() {
            continue;
        }
        let Some(mut comparison) = differences_in(version, old, new, writer.subresource) else { continue };
        owned.set.subtract(&comparison.touched());
        owned.set.subtract(&comparison.removed);
    }
}

/// Whether an entry stays as it is: it is not the writer's, and nothing changed below any field at its top.
fn is_apart(kind: &Kind, entry: &ManagedFieldsEntry, comparison: &Comparison, writer: &Writer) -> bool {
    let fields = entry.fields_v1.as_ref().map(|fields| fields.raw.as_ref()).unwrap_or_default();
    let is_writers = entry.manager == writer.name() && entry.subresource == writer.subresource;
    let alike = kind.is_custom() || entry.api_version == kind.api_version();
    !is_writers && alike && comparison.is_apart(fields)
}

/// The owners after a write by which the object changed so.
pub(super) fn after(kind: &Kind, mut owners: Owners, mut comparison: Comparison, writer: &Writer) -> Owners {
    let api_version = kind.api_version();
    let touched = comparison.touched();
    owners.0.retain(|owned| is_served(kind, &owned.owner.api_version));
    let alike = |owner: &Owner| kind.is_custom() || owner.api_version == api_version;
    for owned in owners.0.iter_mut().filter(|owned| alike(&owned.owner)) {
        owned.set.subtract(&touched);
        owned.set.subtract(&comparison.removed);
    }
    owners.drop_empty();
    let mut set = strip(touched);
    if !set.is_empty() {
        let owner = writer.owner(Operation::Update, api_version);
        if let Some(owned) = owners.take(&owner) {
            set.add(owned.set);
        }
        owners.put(Owned { owner, time: Some(writer.time), set });
    }
    owners.cap();
    owners
}

/// Whether objects of the kind are served in a version: owners of fields of any other version are forgotten.
pub(super) fn is_served(kind: &Kind, wanted: &str) -> bool {
    if let Some(definition) = kind.definition() {
        let version = wanted.strip_prefix(kind.group).and_then(|rest| rest.strip_prefix('/'));
        return version.is_some_and(|version| definition.serves(version));
    }
    let serves = |other: &&Kind| other.kind == kind.kind && other.api_version() == wanted;
    wanted == kind.api_version() || registry::all().iter().copied().any(|other| serves(&other))
}

/// Whether two lists of entries differ in nothing but their times.
#[must_use]
pub fn same_but_times(a: &[ManagedFieldsEntry], b: &[ManagedFieldsEntry]) -> bool {
    let same = |a: &ManagedFieldsEntry, b: &ManagedFieldsEntry| {
        a.manager == b.manager
            && a.operation == b.operation
            && a.api_version == b.api_version
            && a.subresource == b.subresource
            && a.fields_type == b.fields_type
            && a.fields_v1 == b.fields_v1
    };
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}
