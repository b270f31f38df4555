//! Sets of fields.

use super::element::{Element, Path};

/// A set of fields of an object: a tree whose nodes say which of their children are in the set themselves, and which
/// have something below them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Set {
    /// The children that are in the set, in order.
    members: Vec<Element>,
    /// The children below which something is in the set, in order; none is empty.
    children: Vec<(Element, Set)>,
}

impl Set {
    /// An empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { members: Vec::new(), children: Vec::new() }
    }

    /// The set of some paths.
    #[must_use]
    pub fn of(paths: impl IntoIterator<Item = Path>) -> Self {
        let mut set = Self::new();
        paths.into_iter().for_each(|path| set.insert(path));
        set
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.is_empty()
    }

    /// The children that are in the set themselves.
    #[must_use]
    pub fn members(&self) -> &[Element] {
        &self.members
    }

    /// The children below which something is in the set.
    #[must_use]
    pub fn children(&self) -> &[(Element, Set)] {
        &self.children
    }

    /// Adds a path; the empty one is in no set.
    pub fn insert(&mut self, path: Path) {
        let mut set = self;
        let mut elements = path.0.into_iter().peekable();
        while let Some(element) = elements.next() {
            if elements.peek().is_none() {
                set.insert_member(element);
                return;
            }
            let at = match set.position(&element) {
                Ok(at) => at,
                Err(at) => {
                    set.children.insert(at, (element, Set::new()));
                    at
                }
            };
            set = &mut set.children[at].1;
        }
    }

    /// Adds a child itself.
    pub fn insert_member(&mut self, element: Element) {
        // Walks come in order, mostly.
        if self.members.last().is_none_or(|last| *last < element) {
            self.members.push(element);
        } else if let Err(at) = self.members.binary_search(&element) {
            self.members.insert(at, element);
        }
    }

    /// Adds what is below a child.
    pub fn insert_child(&mut self, element: Element, below: Set) {
        if below.is_empty() {
            return;
        }
        if self.children.last().is_none_or(|(last, _)| *last < element) {
            self.children.push((element, below));
            return;
        }
        match self.position(&element) {
            Ok(at) => self.children[at].1.add(below),
            Err(at) => self.children.insert(at, (element, below)),
        }
    }

    fn position(&self, element: &Element) -> Result<usize, usize> {
        self.children.binary_search_by(|(child, _)| child.cmp(element))
    }

    /// Whether a child itself is in the set.
    #[must_use]
    pub fn has_member(&self, element: &Element) -> bool {
        self.members.binary_search(element).is_ok()
    }

    /// What is in the set below a child.
    #[must_use]
    pub fn below(&self, element: &Element) -> Option<&Set> {
        self.position(element).ok().map(|at| &self.children[at].1)
    }

    /// Whether a path is in the set.
    #[must_use]
    pub fn has(&self, path: &Path) -> bool {
        let Some((last, way)) = path.0.split_last() else { return false };
        let end = way.iter().try_fold(self, |set, element| set.below(element));
        end.is_some_and(|set| set.has_member(last))
    }

    /// Every path of the set: first those that end at a node, then those that go on below its children.
    #[must_use]
    pub fn paths(&self) -> Vec<Path> {
        let mut all = Vec::new();
        self.add_paths(&mut Path::default(), &mut all);
        all
    }

    fn add_paths(&self, prefix: &mut Path, all: &mut Vec<Path>) {
        for member in &self.members {
            let mut path = prefix.clone();
            path.0.push(member.clone());
            all.push(path);
        }
        for (element, below) in &self.children {
            prefix.0.push(element.clone());
            below.add_paths(prefix, all);
            prefix.0.pop();
        }
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut set = self.clone();
        set.add(other.clone());
        set
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let members = self.members.iter().filter(|element| other.has_member(element)).cloned().collect();
        let mut set = Self { members, children: Vec::new() };
        for (element, below) in &self.children {
            let Some(other) = other.below(element) else { continue };
            let both = below.intersection(other);
            if !both.is_empty() {
                set.children.push((element.clone(), both));
            }
        }
        set
    }

    /// What is in this one and not in the other, path by path.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut set = self.clone();
        set.subtract(other);
        set
    }

    /// The set of these children, in any order and perhaps several times.
    pub(super) fn from_parts(members: Vec<Element>, children: Vec<(Element, Set)>) -> Self {
        let (mut all, mut rest) = (members, children);
        all.sort();
        all.dedup();
        rest.retain(|(_, below)| !below.is_empty());
        rest.sort_by(|a, b| a.0.cmp(&b.0));
        let mut set = Self { members: all, children: Vec::with_capacity(rest.len()) };
        rest.into_iter().for_each(|(element, below)| set.insert_child(element, below));
        set
    }

    /// Adds what is in another set.
    pub fn add(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
        } else if !other.is_empty() {
            let mine = std::mem::take(self);
            let members = mine.members.into_iter().chain(other.members).collect();
            *self = Self::from_parts(members, mine.children.into_iter().chain(other.children).collect());
        }
    }

    /// Takes away what is in another set, path by path.
    pub fn subtract(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        self.members.retain(|element| !other.has_member(element));
        self.children.retain_mut(|(element, below)| {
            if let Some(other) = other.below(element) {
                below.subtract(other);
            }
            !below.is_empty()
        });
    }

    /// Takes away what is in another set, and what is below a path of it.
    pub fn exclude(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        self.members.retain(|element| !other.has_member(element));
        self.children.retain_mut(|(element, below)| {
            if other.has_member(element) {
                return false;
            }
            if let Some(other) = other.below(element) {
                below.exclude(other);
            }
            !below.is_empty()
        });
    }
}
