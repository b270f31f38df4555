//! The steps of a list's items, found without going through them all.

use super::element::Element;

/// The steps of a list, and their order.
pub(super) struct Steps {
    /// One for each item.
    steps: Vec<Element>,
    /// The places of the items in the order of their steps; equal ones in that of the list.
    order: Vec<usize>,
}

impl Steps {
    pub(super) fn new(steps: Vec<Element>) -> Self {
        let mut order: Vec<usize> = (0..steps.len()).collect();
        order.sort_by(|a, b| steps[*a].cmp(&steps[*b]));
        Self { steps, order }
    }

    /// The step of the item at a place.
    pub(super) fn get(&self, at: usize) -> Option<&Element> {
        self.steps.get(at)
    }

    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// The steps in the order of the list.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Element> {
        self.steps.iter()
    }

    /// The places of the items with a step.
    pub(super) fn places(&self, step: &Element) -> &[usize] {
        let begin = self.order.partition_point(|at| self.steps[*at] < *step);
        let end = begin + self.order[begin..].partition_point(|at| self.steps[*at] == *step);
        &self.order[begin..end]
    }

    pub(super) fn has(&self, step: &Element) -> bool {
        !self.places(step).is_empty()
    }

    /// Each step once, in order, with the places of its items.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&Element, &[usize])> {
        self.order
            .chunk_by(|a, b| self.steps[*a] == self.steps[*b])
            .map(|places| (&self.steps[places[0]], places))
    }
}

#[cfg(test)]
mod tests {
    use super::super::element::Scalar;
    use super::*;

    fn value(text: &'static str) -> Element {
        Element::Value(Scalar::String(text.into()))
    }

    #[test]
    fn items_are_found_by_their_steps() {
        let steps = Steps::new(["b", "a", "b", "c"].map(value).to_vec());
        assert_eq!(steps.places(&value("b")), [0, 2]);
        assert_eq!(steps.places(&value("a")), [1]);
        assert!(steps.has(&value("c")) && !steps.has(&value("d")));
        let groups: Vec<_> =
            steps.groups().map(|(step, places)| (step.to_string(), places.to_vec())).collect();
        let wanted = [("a", vec![1]), ("b", vec![0, 2]), ("c", vec![3])];
        assert_eq!(groups, wanted.map(|(text, places)| (value(text).to_string(), places)));
    }
}
