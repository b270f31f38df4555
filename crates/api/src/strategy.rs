//! The rules of each kind: defaults, what a client may write, validation, table columns.

use crate::Resource;
use crate::field::ErrorList;

mod admissionregistration;
mod apiextensions;
mod apiregistration;
mod apps;
mod autoscaling;
mod batch;
mod certificates;
mod coordination;
mod core;
mod discovery;
mod fields;
mod flowcontrol;
mod networking;
mod node;
mod policy;
mod rbac;
mod resource;
mod reviews;
mod scheduling;
mod storage;
mod tables;

/// A column of `kubectl get` (`meta.v1.TableColumnDefinition`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The heading.
    pub name: &'static str,
    /// `string`, `integer`, `boolean`, `date`.
    pub r#type: &'static str,
    /// `name` for the object's name, else empty.
    pub format: &'static str,
    /// What it shows.
    pub description: &'static str,
    /// 0 is always shown, 1 with `-o wide`.
    pub priority: i32,
}

impl Column {
    /// A column that is always shown.
    #[must_use]
    pub const fn new(name: &'static str, r#type: &'static str, description: &'static str) -> Self {
        Self { name, r#type, format: "", description, priority: 0 }
    }

    /// A column that `-o wide` shows.
    #[must_use]
    pub const fn wide(name: &'static str, r#type: &'static str, description: &'static str) -> Self {
        Self { name, r#type, format: "", description, priority: 1 }
    }

    /// The first column of every table: the object's name.
    pub const NAME: Self = Self {
        name: "Name",
        r#type: "string",
        format: "name",
        description: "Name of the object, unique within its namespace and kind",
        priority: 0,
    };

    /// The time since the creation.
    pub const AGE: Self = Self::new("Age", "string", "Time since the creation of the object");
}

/// The rules of a kind. Each is a pure function of the objects.
pub trait Strategy: Resource {
    /// The columns of its table; [`Strategy::cells`] gives one cell for each.
    const COLUMNS: &'static [Column] = &[Column::NAME, Column::AGE];

    /// Whether an update of an object that is not there creates it, as upstream does for some kinds.
    const CREATED_BY_UPDATE: bool = false;

    /// Whether the server counts the changes of what is asked for, in `metadata.generation`.
    const GENERATION: bool = false;

    /// Whether an update may leave out the revision that it replaces.
    const UNCONDITIONAL_UPDATE: bool = true;

    /// Fills what the client left open. Idempotent.
    fn set_defaults(&mut self) {}

    /// Removes what a client may not set on creation.
    fn prepare_for_create(&mut self) {
        self.copy_status_from(&Self::default());
    }

    /// Keeps what a client may not change by an update of the object itself: its status.
    fn prepare_for_update(&mut self, old: &Self) {
        self.copy_status_from(old);
    }

    /// Keeps what a client may not change by an update of the status: everything else.
    fn prepare_for_status_update(&mut self, old: &Self) {
        self.copy_spec_from(old);
    }

    /// Every rule that a new object breaks. The metadata is validated for all kinds alike, elsewhere.
    fn validate(&self) -> ErrorList;

    /// Every rule that the change from `old` breaks, those of [`Strategy::validate`] included.
    fn validate_update(&self, old: &Self) -> ErrorList {
        let _ = old;
        self.validate()
    }

    /// Every rule that the change of the status breaks.
    fn validate_status_update(&self, old: &Self) -> ErrorList {
        let _ = old;
        ErrorList::new()
    }

    /// The fields beyond `metadata.name` and `metadata.namespace` that field selectors may name, with their values.
    fn selectable_fields(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// One cell for each of [`Strategy::COLUMNS`].
    fn cells(&self, now: jiff::Timestamp) -> Vec<serde_json::Value> {
        vec![self.name().into(), age(self.meta(), now)]
    }
}

/// The cell of [`Column::AGE`].
#[must_use]
pub fn age(meta: &crate::meta::v1::ObjectMeta, now: jiff::Timestamp) -> serde_json::Value {
    let Some(created) = meta.creation_timestamp.and_then(|time| time.timestamp()) else {
        return "<unknown>".into();
    };
    human_duration(now.as_second().saturating_sub(created.as_second())).into()
}

/// Seconds as `kubectl get` prints ages: two units while they matter (`5m30s`), then one (`3d`).
#[must_use]
pub fn human_duration(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let two = |big: i64, unit: &str, small: i64, small_unit: &str| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{small_unit}") }
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..=0 => "0s".to_owned(),
        1..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn ages_are_as_kubectl_prints_them() {
        for (seconds, text) in
            [(0, "0s"), (119, "119s"), (150, "2m30s"), (600, "10m"), (10_860, "3h1m"), (172_800, "2d")]
        {
            assert_eq!(super::human_duration(seconds), text);
        }
    }
}
