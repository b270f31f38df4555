//! Server-side apply: an object and a configuration become the next object, and its owners.

use std::fmt;

use serde_json::Value;

use super::element::Path;
use super::ignored::{ignored, strip};
use super::last_applied;
use super::merge::{complete, merge, remove, with_fields_on_the_way};
use super::owners::{Operation, Owned, Owner, Owners};
use super::set::Set;
use super::update::{Writer, after, differences_in, is_served};
use super::validate;
use super::walk::{Comparison, compare, fields};
use crate::custom::Definition;
use crate::meta::v1::ManagedFieldsEntry;
use crate::schema::shape::{Shapes, Type};
use crate::{Kind, Object, registry};

/// The manager of what nobody owned before a first apply.
const BEFORE: &str = "before-first-apply";

/// A field that a configuration would change and that somebody else owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Who.
    pub owner: Owner,
    /// The field.
    pub path: Path,
}

/// Why a configuration cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is none for this object.
    BadRequest(String),
    /// It does not fit the schema, or what is stored cannot be understood.
    Failed(String),
    /// Others own fields that it would change.
    Conflicts(Vec<Conflict>),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadRequest(text) | Self::Failed(text) => f.write_str(text),
            Self::Conflicts(conflicts) => f.write_str(&describe(conflicts)),
        }
    }
}

impl std::error::Error for Refusal {}

/// What the conflicts are, as upstream says it.
fn describe(conflicts: &[Conflict]) -> String {
    if let [Conflict { owner, path }] = conflicts {
        return format!("Apply failed with 1 conflict: conflict with {owner}: {path}");
    }
    let mut lines = Vec::new();
    let mut last = None;
    for Conflict { owner, path } in conflicts {
        if last != Some(owner) {
            lines.push(format!("conflicts with {owner}:"));
            last = Some(owner);
        }
        lines.push(format!("- {path}"));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}

/// What is applied to: an object of a kind as JSON, without its owners.
#[derive(Debug, Clone)]
pub(super) struct Live {
    /// Null where there is no object.
    pub(super) value: Value,
    pub(super) owners: Owners,
}

/// The next object and who owns its fields.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The object as JSON, without its owners.
    pub value: Value,
    /// The owners.
    pub managed_fields: Vec<ManagedFieldsEntry>,
}

/// The names by which a configuration is about an object.
pub(super) struct Subject<'a> {
    pub(super) group_version: String,
    pub(super) kind: String,
    pub(super) of: &'a Type,
    pub(super) ignored: &'static Set,
    /// Whether fields have the same names in all versions.
    pub(super) alike: bool,
    /// The kind, where it has other versions in which fields have other names.
    pub(super) served: Option<&'static Kind>,
}

impl Subject<'_> {
    /// Whether an owner's fields have the names that they have here.
    fn names_as(&self, owner: &Owner) -> bool {
        self.alike || owner.api_version == self.group_version
    }
}

/// The type of a kind's objects; a custom resource's is that of its definition.
pub(super) fn type_of<'a>(kind: &Kind, definition: Option<&'a Definition>) -> Option<&'a Type> {
    match definition {
        Some(definition) => Some(definition.shape()),
        None => Shapes::get().by_name(kind.message),
    }
}

/// Applies a configuration to an object of `kind`, or to nothing.
///
/// # Errors
/// Where the configuration is none for the kind, or others own what it changes and `force` is not set.
pub fn apply(
    kind: &Kind,
    live: Option<&dyn Object>,
    config: &Value,
    writer: &Writer,
    force: bool,
) -> Result<Applied, Refusal> {
    let failed = |text: String| Refusal::Failed(text);
    let definition = kind.definition();
    let Some(of) = type_of(kind, definition.as_deref()) else {
        return Err(failed(format!("no schema of {}", kind.message)));
    };
    let subject = Subject {
        group_version: kind.api_version(),
        kind: kind.kind.to_owned(),
        of,
        ignored: ignored(kind, writer.subresource),
        alike: kind.is_custom(),
        served: registry::all().iter().copied().find(|served| *served == kind && !kind.is_custom()),
    };
    let mut value = match live {
        Some(live) => live.to_value().map_err(|error| failed(error.to_string()))?,
        None => Value::Object(serde_json::Map::new()),
    };
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    let entries = live.map(|live| live.meta().managed_fields.as_slice()).unwrap_or_default();
    let mut owners =
        Owners::read(entries).map_err(|error| failed(format!("failed to decode managed fields: {error}")))?;
    owners.0.retain(|owned| is_served(kind, &owned.owner.api_version));
    if owners.0.is_empty() && live.is_some() {
        owners = untracked(kind, &value, &subject, writer);
    }
    let (value, owners) = apply_to(&subject, &Live { value, owners }, config, writer, force)?;
    Ok(Applied { value, managed_fields: owners.write() })
}

/// The owner of everything in an object whose owners are not known.
fn untracked(kind: &Kind, value: &Value, subject: &Subject<'_>, writer: &Writer) -> Owners {
    let (mut all, mut nothing) = (value.clone(), Value::Object(serde_json::Map::new()));
    complete(&mut all, subject.of);
    complete(&mut nothing, subject.of);
    let comparison = compare(&&nothing, &&all, subject.of).without(subject.ignored);
    let before = Writer { manager: BEFORE.to_owned(), ..writer.clone() };
    after(kind, Owners::default(), comparison, &before)
}

/// Applies a configuration of the subject's kind; one of `kubectl` takes over what `kubectl apply` did without the
/// server.
pub(super) fn apply_to(
    subject: &Subject<'_>,
    live: &Live,
    config: &Value,
    writer: &Writer,
    force: bool,
) -> Result<(Value, Owners), Refusal> {
    check(subject, config)?;
    let mut outcome = structured(subject, live, config, writer, force);
    if writer.manager == last_applied::MANAGER {
        if let Err(Refusal::Conflicts(conflicts)) = &outcome
            && let Some(own) = last_applied::fields_of(subject, &live.value)
        {
            let others: Vec<_> =
                conflicts.iter().filter(|conflict| !own.has(&conflict.path)).cloned().collect();
            outcome = if others.is_empty() {
                structured(subject, live, config, writer, true)
            } else {
                Err(Refusal::Conflicts(others))
            };
        }
        if let Ok((value, _)) = &mut outcome {
            last_applied::renew(value, config);
        }
    }
    outcome
}

/// Group, version and kind as upstream prints them.
fn gvk(config: &Value) -> String {
    let text = |name: &str| config.get(name).and_then(Value::as_str).unwrap_or_default();
    let (group, version) = match text("apiVersion").split('/').collect::<Vec<_>>().as_slice() {
        [version] => (String::new(), (*version).to_owned()),
        [group, version] => ((*group).to_owned(), (*version).to_owned()),
        // What names no version names nothing.
        _ => Default::default(),
    };
    format!("{group}/{version}, Kind={}", text("kind"))
}

fn check(subject: &Subject<'_>, config: &Value) -> Result<(), Refusal> {
    let text = |name: &str| config.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("apiVersion") != subject.group_version || text("kind") != subject.kind {
        return Err(Refusal::BadRequest(format!("invalid object type: {}", gvk(config))));
    }
    let metadata = config.get("metadata");
    if metadata.and_then(|metadata| metadata.get("managedFields")).is_some_and(Value::is_array) {
        return Err(Refusal::BadRequest("metadata.managedFields must be nil".to_owned()));
    }
    if let Some(problems) = validate::problems(config, subject.of) {
        let name = |field: &str| {
            let name = metadata.and_then(|metadata| metadata.get(field)).and_then(Value::as_str);
            name.unwrap_or_default().to_owned()
        };
        return Err(Refusal::Failed(format!(
            "failed to create typed patch object ({}/{}; {}): {problems}",
            name("namespace"),
            name("name"),
            gvk(config)
        )));
    }
    Ok(())
}

fn structured(
    subject: &Subject<'_>,
    live: &Live,
    config: &Value,
    writer: &Writer,
    force: bool,
) -> Result<(Value, Owners), Refusal> {
    let owner = writer.owner(Operation::Apply, subject.group_version.clone());
    let mut set = fields(&config, subject.of);
    set.exclude(subject.ignored);
    let mut owners = live.owners.clone();
    let last = owners.take(&owner).map(|owned| owned.set).unwrap_or_default();
    let merged = merge(&live.value, config, subject.of);
    let all = owners.0.iter().filter(|owned| subject.names_as(&owned.owner));
    let managed = all.fold(set.clone(), |all, owned| all.union(&owned.set));
    let next = prune(merged, &last, &managed, subject.of);

    let (mut before, mut now) = (live.value.clone(), next.clone());
    complete(&mut before, subject.of);
    complete(&mut now, subject.of);
    let comparison = compare(&&before, &&now, subject.of).without(subject.ignored);
    let elsewhere = |version: &str| {
        let of = |value: &Value| subject.served?.decode_value(value.clone()).ok();
        let (old, new) = (of(&live.value)?, of(&next)?);
        differences_in(version, Some(&*old), &*new, writer.subresource)
    };
    yield_to(subject, &mut owners, comparison, force, elsewhere)?;
    let set = strip(set);
    if !set.is_empty() {
        owners.put(Owned { owner, time: Some(writer.time), set });
    }
    Ok((next, owners))
}

/// Takes from the others what changes; without force, only if they own none of it.
fn yield_to(
    subject: &Subject<'_>,
    owners: &mut Owners,
    mut comparison: Comparison,
    force: bool,
    elsewhere: impl Fn(&str) -> Option<Comparison>,
) -> Result<(), Refusal> {
    let touched = comparison.touched();
    let mut conflicts = Vec::new();
    for owned in &mut owners.0 {
        let mut yields = |touched: &Set, removed: &Set| {
            let both = owned.set.intersection(touched);
            conflicts
                .extend(both.paths().into_iter().map(|path| Conflict { owner: owned.owner.clone(), path }));
            owned.set.subtract(touched);
            owned.set.subtract(removed);
        };
        if subject.names_as(&owned.owner) {
            yields(&touched, &comparison.removed);
        } else if let Some(mut comparison) = elsewhere(&owned.owner.api_version) {
            let touched = comparison.touched();
            yields(&touched, &comparison.removed);
        }
    }
    if !force && !conflicts.is_empty() {
        // In the order in which the message names them; each owner's own paths stay as they are.
        conflicts.sort_by(|a, b| a.owner.cmp(&b.owner));
        return Err(Refusal::Conflicts(conflicts));
    }
    owners.drop_empty();
    Ok(())
}

/// Takes out of the merged object what its owner applied the last time and does not any more, and nobody else owns.
fn prune(merged: Value, last: &Set, managed: &Set, of: &Type) -> Value {
    if last.is_empty() {
        return merged;
    }
    let last = with_fields_on_the_way(last, of);
    let all = |value: &Value| with_fields_on_the_way(&fields(&value, of), of);
    let pruned = remove(&merged, &last, of);
    // Back comes what others own, or the owner itself still applies, ...
    let managed = with_fields_on_the_way(managed, of);
    let pruned = remove(&merged, &all(&merged).difference(&all(&pruned).union(&managed)), of);
    // ... and what went along without having been applied.
    let gone = all(&merged).difference(&all(&pruned)).intersection(&last);
    remove(&merged, &gone, of)
}
