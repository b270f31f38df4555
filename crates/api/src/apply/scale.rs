//! Owners of the number of replicas, as the `scale` subresource sees them.

use serde_json::Value;

use super::configuration::{Applied, Live, Refusal, Subject, apply_to};
use super::element::Path;
use super::owners::{Operation, Owned, Owners};
use super::set::Set;
use super::update::{Writer, is_served};
use crate::Kind;
use crate::meta::v1::ManagedFieldsEntry;
use crate::schema::shape::Shapes;

const GROUP_VERSION: &str = "autoscaling/v1";
const MESSAGE: &str = "k8s.io.api.autoscaling.v1.Scale";

static NOTHING: Set = Set::new();

/// Where the replicas are in a scale, and in the registry's objects.
const REPLICAS: [&str; 2] = ["spec", "replicas"];

/// Where the replicas are in objects of a kind.
fn replicas(kind: &Kind) -> Path {
    let definition = kind.definition();
    let own = definition.as_ref().and_then(|definition| definition.replicas());
    Path::names(own.as_deref().unwrap_or(&REPLICAS))
}

fn read(kind: &Kind, entries: &[ManagedFieldsEntry]) -> Result<Owners, Refusal> {
    let mut owners = Owners::read(entries)
        .map_err(|error| Refusal::Failed(format!("failed to decode managed fields: {error}")))?;
    owners.0.retain(|owned| is_served(kind, &owned.owner.api_version));
    Ok(owners)
}

/// The owners of an object of `kind` after a write of its scale, by an update or a patch, that changes the replicas.
///
/// # Errors
/// Where the object's owners cannot be read.
pub fn record_scale(
    kind: &Kind,
    entries: &[ManagedFieldsEntry],
    writer: &Writer,
) -> Result<Vec<ManagedFieldsEntry>, Refusal> {
    let mut owners = read(kind, entries)?;
    let (path, only) = (replicas(kind), Set::of([replicas(kind)]));
    if !owners.0.iter().any(|owned| owned.set.has(&path)) {
        // Nobody's fields are tracked there.
        return Ok(entries.to_vec());
    }
    for owned in &mut owners.0 {
        owned.set.subtract(&only);
    }
    owners.drop_empty();
    let owner = writer.owner(Operation::Update, kind.api_version());
    let set = owners.get(&owner).map_or_else(|| only.clone(), |owned| owned.set.union(&only));
    // Upstream notes no time of writes to the scale.
    owners.put(Owned { owner, time: None, set });
    Ok(owners.write())
}

/// Applies a configuration to the scale of an object of `kind`. The answer's owners are those of the object.
///
/// # Errors
/// As those of [`super::apply`].
pub fn apply_scale(
    kind: &Kind,
    entries: &[ManagedFieldsEntry],
    scale: Value,
    config: &Value,
    writer: &Writer,
    force: bool,
) -> Result<Applied, Refusal> {
    let mut owners = read(kind, entries)?;
    let of =
        Shapes::get().by_name(MESSAGE).ok_or_else(|| Refusal::Failed(format!("no schema of {MESSAGE}")))?;
    let subject = Subject {
        group_version: GROUP_VERSION.to_owned(),
        kind: "Scale".to_owned(),
        of,
        ignored: &NOTHING,
        alike: false,
        served: None,
    };
    let (path, only) = (replicas(kind), Set::of([replicas(kind)]));
    let in_scale = Path::fields(&REPLICAS);
    let mut of_scale = Owners::default();
    for owned in owners.0.iter().filter(|owned| owned.set.has(&path)) {
        let mut seen = Owned { set: Set::of([in_scale.clone()]), ..owned.clone() };
        GROUP_VERSION.clone_into(&mut seen.owner.api_version);
        of_scale.0.push(seen);
    }
    let live = Live { value: scale, owners: of_scale };
    let (value, after) = apply_to(&subject, &live, config, writer, force)?;
    // Who still owns the replicas of the scale owns those of the object.
    let keeps: Vec<_> = after.0.into_iter().filter(|owned| owned.set.has(&in_scale)).collect();
    for owned in &mut owners.0 {
        let same = |kept: &Owned| {
            let (a, b) = (&kept.owner, &owned.owner);
            (&a.manager, a.operation, &a.subresource) == (&b.manager, b.operation, &b.subresource)
        };
        if !keeps.iter().any(same) {
            owned.set.subtract(&only);
        }
    }
    owners.drop_empty();
    let owner = writer.owner(Operation::Apply, kind.api_version());
    if owners.get(&owner).is_none() && keeps.iter().any(|kept| kept.owner.is(&owner)) {
        owners.put(Owned { owner, time: None, set: only });
    }
    Ok(Applied { value, managed_fields: owners.write() })
}
