//! Walks over values: which fields they have, and in which they differ.

use super::element::Element;
use super::fields_v1::top_fields;
use super::set::Set;
use super::steps::Steps;
use super::tree::{Entry, Tree, children, element};
use crate::schema::shape::{Items, Type};

/// The fields of a value: its leaves, the items of its lists, and what is empty.
pub(super) fn fields<T: Tree>(value: &T, of: &Type) -> Set {
    let mut set = Set::new();
    match of {
        Type::List { of, items } => add_items(value, of, items, &mut set),
        _ => {
            for entry in children(value, of).unwrap_or_default() {
                let name = Element::Field(entry.name);
                if ends_at(&entry.value, entry.of) {
                    set.insert_member(name);
                    continue;
                }
                let below = fields(&entry.value, entry.of);
                let empty = entry.value.is_null()
                    || children(&entry.value, entry.of).is_some_and(|all| all.is_empty());
                if empty || !entry.declared {
                    set.insert_member(name.clone());
                }
                set.insert_child(name, below);
            }
        }
    }
    set
}

fn add_items<T: Tree>(value: &T, of: &Type, items: &Items, set: &mut Set) {
    let values = value.items().unwrap_or_default();
    let (known, steps) = steps(&values, of, items);
    for (step, places) in steps.groups() {
        set.insert_member(step.clone());
        // Of what is there twice, only that it is there can be said.
        if let [at] = places
            && !ends_at(known[*at], of)
        {
            set.insert_child(step.clone(), fields(known[*at], of));
        }
    }
}

/// The items that can be told apart, and by which steps.
fn steps<'a, T: Tree>(values: &'a [T], of: &Type, items: &Items) -> (Vec<&'a T>, Steps) {
    let known = values.iter().filter_map(|item| Some((item, element(item, of, items).ok()?)));
    let (known, steps) = known.unzip();
    (known, Steps::new(steps))
}

/// Whether a walk ends at values of this type.
fn is_leaf(of: &Type) -> bool {
    match of {
        Type::Map { atomic, .. } => *atomic,
        Type::List { items, .. } => matches!(items, Items::Atomic),
        Type::Deduced => false,
        _ => of.shape().is_none_or(|shape| shape.atomic),
    }
}

/// Whether a walk ends at this value.
fn ends_at<T: Tree>(value: &T, of: &Type) -> bool {
    is_leaf(of) || (matches!(of, Type::Deduced) && value.entries(of).is_none())
}

/// In what one value differs from another.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Comparison {
    pub(super) added: Set,
    pub(super) modified: Set,
    pub(super) removed: Set,
}

impl Comparison {
    /// What is not in `ignored`, nor below a path of it.
    pub(super) fn without(mut self, ignored: &Set) -> Self {
        self.added.exclude(ignored);
        self.modified.exclude(ignored);
        self.removed.exclude(ignored);
        self
    }

    /// Takes away paths, but not what is below them.
    pub(super) fn forget(&mut self, paths: &Set) {
        self.added.subtract(paths);
        self.modified.subtract(paths);
        self.removed.subtract(paths);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    /// Whether a set, as JSON, has no field at its top that changed or below which something changed. What cannot be
    /// read is not apart.
    pub(super) fn is_apart(&self, fields: &[u8]) -> bool {
        let sets = [&self.added, &self.modified, &self.removed];
        let changed = |name: &str| {
            sets.iter().any(|set| {
                let is = |element: &Element| matches!(element, Element::Field(field) if field == name);
                set.members().iter().any(is) || set.children().iter().any(|(element, _)| is(element))
            })
        };
        top_fields(fields).is_ok_and(|names| !names.iter().any(|name| changed(name)))
    }

    /// What is new, and what changed; the comparison forgets it.
    pub(super) fn touched(&mut self) -> Set {
        let mut set = std::mem::take(&mut self.added);
        set.add(std::mem::take(&mut self.modified));
        set
    }

    fn enter(&mut self, step: &Element, change: Change, below: Self) {
        let set = match change {
            Change::None => None,
            Change::Added => Some(&mut self.added),
            Change::Modified => Some(&mut self.modified),
            Change::Removed => Some(&mut self.removed),
        };
        if let Some(set) = set {
            set.insert_member(step.clone());
        }
        for (set, below) in [
            (&mut self.added, below.added),
            (&mut self.modified, below.modified),
            (&mut self.removed, below.removed),
        ] {
            if !below.is_empty() {
                set.insert_child(step.clone(), below);
            }
        }
    }
}

/// What became of a value itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    Added,
    Modified,
    Removed,
}

/// In what `new` differs from `old`.
pub(super) fn compare<T: Tree>(old: &T, new: &T, of: &Type) -> Comparison {
    let mut comparison = Comparison::default();
    below(Some(old), Some(new), of, &mut comparison);
    comparison
}

/// Compares what stands at one place; differences below it go to `comparison`.
fn below<T: Tree>(old: Option<&T>, new: Option<&T>, of: &Type, comparison: &mut Comparison) -> Change {
    let change = match (old, new) {
        (None, _) => Change::Added,
        (_, None) => Change::Removed,
        (Some(old), Some(new)) if old.identical(new) => return Change::None,
        _ => Change::None,
    };
    let leaf = |old: Option<&T>, new: Option<&T>| match (old, new) {
        (Some(old), Some(new)) if !old.equals(new, of) => Change::Modified,
        _ => change,
    };
    if is_leaf(of) {
        return leaf(old, new);
    }
    match of {
        Type::List { of, items } => {
            let list = |value: Option<&T>| value.and_then(T::items).unwrap_or_default();
            let (before, after) = (list(old), list(new));
            if before.is_empty() && after.is_empty() {
                return leaf(old, new);
            }
            compare_items(&before, &after, of, items, comparison);
        }
        Type::Deduced => {
            let (before, after) =
                (old.and_then(|value| children(value, of)), new.and_then(|value| children(value, of)));
            let is_other = old.is_some() && new.is_some() && before.is_some() != after.is_some();
            let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
            if before.is_empty() && after.is_empty() {
                return leaf(old, new);
            }
            compare_entries(before, after, comparison);
            // An object in the place of something else, or the reverse.
            if is_other {
                return Change::Modified;
            }
        }
        _ => {
            let entries = |value: Option<&T>| value.and_then(|value| children(value, of)).unwrap_or_default();
            let (before, after) = (entries(old), entries(new));
            if before.is_empty() && after.is_empty() {
                return leaf(old, new);
            }
            compare_entries(before, after, comparison);
        }
    }
    change
}

fn compare_entries<T: Tree>(
    before: Vec<Entry<'_, T>>,
    after: Vec<Entry<'_, T>>,
    comparison: &mut Comparison,
) {
    let (mut before, mut after) = (before.into_iter().peekable(), after.into_iter().peekable());
    loop {
        let order = match (before.peek(), after.peek()) {
            (Some(old), Some(new)) => old.name.cmp(&new.name),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => return,
        };
        let old = if order.is_le() { before.next() } else { None };
        let new = if order.is_ge() { after.next() } else { None };
        let Some(Entry { of, .. }) = old.as_ref().or(new.as_ref()) else { return };
        let of = *of;
        let mut differences = Comparison::default();
        let values = (old.as_ref().map(|entry| &entry.value), new.as_ref().map(|entry| &entry.value));
        let change = below(values.0, values.1, of, &mut differences);
        if change == Change::None && differences.is_empty() {
            continue;
        }
        if let Some(entry) = old.or(new) {
            comparison.enter(&Element::Field(entry.name), change, differences);
        }
    }
}

fn compare_items<T: Tree>(before: &[T], after: &[T], of: &Type, items: &Items, comparison: &mut Comparison) {
    let ((before, old_steps), (after, new_steps)) = (steps(before, of, items), steps(after, of, items));
    let new_only = new_steps.groups().filter(|(step, _)| !old_steps.has(step));
    for (step, _) in old_steps.groups().chain(new_only) {
        let old: Vec<&T> = old_steps.places(step).iter().map(|at| before[*at]).collect();
        let new: Vec<&T> = new_steps.places(step).iter().map(|at| after[*at]).collect();
        let mut differences = Comparison::default();
        let change = match (old.as_slice(), new.as_slice()) {
            ([] | [_], [] | [_]) => below(old.first().copied(), new.first().copied(), of, &mut differences),
            // What is there several times is compared as a whole.
            ([_, _, ..], [_, _, ..]) => {
                let same = old.len() == new.len() && old.iter().zip(&new).all(|(a, b)| a.equals(b, of));
                if same { Change::None } else { Change::Modified }
            }
            ([_, _, ..], rest) => {
                if let Some(one) = rest.first() {
                    let change = below(None, Some(*one), of, &mut differences);
                    comparison.enter(step, change, std::mem::take(&mut differences));
                }
                Change::Removed
            }
            (rest, _) => {
                if let Some(one) = rest.first() {
                    let change = below(Some(*one), None, of, &mut differences);
                    comparison.enter(step, change, std::mem::take(&mut differences));
                }
                Change::Added
            }
        };
        if change != Change::None || !differences.is_empty() {
            comparison.enter(step, change, differences);
        }
    }
}
