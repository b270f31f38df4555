//! Arithmetic of resource lists. A resource that a list does not name is no zero: it is not spoken of.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use gantry_api::scalars::Quantity;

/// Amounts by resource (`k8s.io.api.core.v1.ResourceList`).
pub type Amounts = BTreeMap<String, Quantity>;

/// Adds `more` to `total`. What is no quantity counts as nothing; validation has refused it before it was stored.
pub fn add(total: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        match total.get_mut(name) {
            Some(mine) => *mine = mine.plus(amount).unwrap_or_else(|| mine.clone()),
            None => drop(total.insert(name.clone(), amount.clone())),
        }
    }
}

/// Raises every amount of `total` to that of `other`.
pub fn raise(total: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let lower = total.get(name).is_none_or(|mine| mine.compare(amount) == Some(Ordering::Less));
        if lower {
            total.insert(name.clone(), amount.clone());
        }
    }
}

/// `from` less `less`, never below zero.
#[must_use]
pub fn difference(from: &Amounts, less: &Amounts) -> Amounts {
    let lessened = |(name, amount): (&String, &Quantity)| {
        let rest = match less.get(name) {
            Some(less) => amount.minus(less).filter(|rest| !is_negative(rest)).unwrap_or_else(zero),
            None => amount.clone(),
        };
        (name.clone(), rest)
    };
    from.iter().map(lessened).collect()
}

/// The amounts that are not zero.
#[must_use]
pub fn without_zeros(amounts: Amounts) -> Amounts {
    amounts.into_iter().filter(|(_, amount)| amount.compare(&zero()) != Some(Ordering::Equal)).collect()
}

/// The amounts of these resources.
#[must_use]
pub fn only<'a>(amounts: &Amounts, names: impl IntoIterator<Item = &'a String>) -> Amounts {
    names.into_iter().filter_map(|name| Some((name.clone(), amounts.get(name)?.clone()))).collect()
}

/// The resources of which there is more than `limit` has. What `limit` does not name is not limited.
#[must_use]
pub fn exceeding(amounts: &Amounts, limit: &Amounts) -> Vec<String> {
    let exceeds = |(name, amount): &(&String, &Quantity)| {
        limit.get(*name).is_some_and(|limit| amount.compare(limit) == Some(Ordering::Greater))
    };
    amounts.iter().filter(exceeds).map(|(name, _)| name.clone()).collect()
}

/// Whether an amount is below zero.
#[must_use]
pub fn is_negative(amount: &Quantity) -> bool {
    amount.compare(&zero()) == Some(Ordering::Less)
}

/// `cpu=1,memory=2Gi`.
#[must_use]
pub fn describe(amounts: &Amounts) -> String {
    let parts: Vec<String> = amounts.iter().map(|(name, amount)| format!("{name}={amount}")).collect();
    parts.join(",")
}

fn zero() -> Quantity {
    Quantity::from_units(0)
}

/// A list from pairs, for tests.
#[cfg(test)]
pub(crate) fn amounts(pairs: &[(&str, &str)]) -> Amounts {
    pairs.iter().map(|(name, amount)| ((*name).to_owned(), amount.parse().unwrap())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_is_neither_lessened_nor_limited() {
        let used = amounts(&[("cpu", "1500m"), ("pods", "3")]);
        let less = amounts(&[("cpu", "2"), ("memory", "1Gi")]);
        assert_eq!(describe(&difference(&used, &less)), "cpu=0,pods=3");
        assert_eq!(exceeding(&used, &amounts(&[("cpu", "1"), ("memory", "1")])), ["cpu"]);
        assert_eq!(describe(&without_zeros(difference(&used, &less))), "pods=3");
    }

    #[test]
    fn lists_are_added_and_raised_by_resource() {
        let mut total = amounts(&[("cpu", "1"), ("memory", "1Gi")]);
        add(&mut total, &amounts(&[("cpu", "500m"), ("pods", "1")]));
        raise(&mut total, &amounts(&[("memory", "512Mi"), ("pods", "2")]));
        assert_eq!(describe(&total), "cpu=1500m,memory=1Gi,pods=2");
    }
}
