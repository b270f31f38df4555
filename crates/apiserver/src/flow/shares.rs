//! How the server's concurrency is divided: what each level has by its shares, and what it has now, as levels that need
//! little lend to those that need more.

/// How much of the estimate of a need is kept from one period to the next: after five minutes, half of it.
const SMOOTHING: f64 = 0.977;

/// What a level asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) exempt: bool,
    pub(super) shares: i32,
    /// How much of it others may borrow, in percent.
    pub(super) lendable: i32,
    /// How much of others' it may borrow, in percent of its own; none for no limit.
    pub(super) borrowing: Option<i32>,
}

/// The seats of a level.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// By its shares.
    pub(super) nominal: u32,
    /// When others have borrowed all that it lends.
    pub(super) lower: u32,
    /// When it has borrowed all that it may.
    pub(super) upper: u32,
}

/// The seats that a level needed in a period.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Observed {
    pub(super) average: f64,
    pub(super) deviation: f64,
    pub(super) high: u32,
}

/// The need of a level, from period to period.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Demand {
    pub(super) smoothed: f64,
    pub(super) high: u32,
}

impl Demand {
    /// Takes in a period: need is believed at once, its end slowly.
    pub(super) fn update(&mut self, observed: Observed) {
        self.high = observed.high;
        let envelope = observed.average + observed.deviation;
        self.smoothed = envelope.max(SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * envelope);
    }
}

/// The seats of each level, of `total` together (or a little more: each is rounded up).
pub(super) fn limits(total: u32, levels: &[Wanted]) -> Vec<Limits> {
    let sum: f64 = levels.iter().map(|level| f64::from(level.shares.max(0))).sum();
    let of = |level: &Wanted| {
        let share = if sum > 0.0 { f64::from(level.shares.max(0)) / sum } else { 0.0 };
        let nominal = seats((f64::from(total) * share).ceil());
        let part = |percent: i32| seats((f64::from(nominal) * f64::from(percent.max(0)) / 100.0).round());
        Limits {
            nominal,
            lower: nominal.saturating_sub(part(level.lendable)),
            upper: nominal.saturating_add(level.borrowing.map_or(total, part)),
        }
    };
    levels.iter().map(of).collect()
}

/// A float of small numbers of seats.
fn seats(value: f64) -> u32 {
    // Casts of floats saturate.
    value as u32
}

/// The seats that each level has now, by what it needs.
pub(super) fn lend(levels: &[(Limits, bool, Demand)]) -> Vec<u32> {
    let total: u32 = levels.iter().map(|(limits, ..)| limits.nominal).sum();
    // What never waits has what it uses.
    let exempt = |limits: &Limits, demand: &Demand| limits.lower.max(demand.high);
    let used: u32 =
        levels.iter().filter(|(_, is_exempt, _)| *is_exempt).map(|(limits, _, d)| exempt(limits, d)).sum();
    let left = total.saturating_sub(used);
    let least = |limits: &Limits, demand: &Demand| limits.lower.max(limits.nominal.min(demand.high));
    let others = || levels.iter().filter(|(_, is_exempt, _)| !is_exempt);
    let lower: u32 = others().map(|(limits, ..)| limits.lower).sum();
    let needed: u32 = others().map(|(limits, _, demand)| least(limits, demand)).sum();
    let items: Vec<Item> = others()
        .map(|(limits, _, demand)| {
            let lower = f64::from(least(limits, demand));
            Item { lower, upper: f64::from(limits.upper), target: demand.smoothed.max(lower) }
        })
        .collect();
    let allocated = if left > needed { allocate(f64::from(left), &items) } else { Vec::new() };
    let mut allocated = allocated.into_iter();
    let share = if needed > lower && left > lower {
        f64::from(left - lower) / f64::from(needed - lower)
    } else {
        0.0
    };
    let of = |(limits, is_exempt, demand): &(Limits, bool, Demand)| {
        if *is_exempt {
            exempt(limits, demand)
        } else if left > needed {
            seats(allocated.next().unwrap_or_default().round())
        } else {
            let more = f64::from(least(limits, demand) - limits.lower);
            limits.lower + seats((more * share).round())
        }
    };
    levels.iter().map(of).collect()
}

/// A level that takes part in the division.
#[derive(Debug, Clone, Copy)]
struct Item {
    lower: f64,
    upper: f64,
    target: f64,
}

/// Gives each item the same multiple of its target within its bounds, so that all together are `sum`.
fn allocate(sum: f64, items: &[Item]) -> Vec<f64> {
    let at = |fraction: f64| items.iter().map(move |item| item.at(fraction));
    let bound = |item: &Item, bound: f64| bound / item.target.max(f64::MIN_POSITIVE);
    // The fractions where one item reaches a bound; between two of them the sum is a straight line.
    let mut corners: Vec<f64> = items
        .iter()
        .flat_map(|item| [bound(item, item.lower), bound(item, item.upper)])
        .filter(|corner| corner.is_finite())
        .collect();
    corners.sort_by(f64::total_cmp);
    let mut before = 0.0;
    for corner in corners {
        let (low, high) = (at(before).sum::<f64>(), at(corner).sum::<f64>());
        if high >= sum {
            let part = if high > low { ((sum - low) / (high - low)).clamp(0.0, 1.0) } else { 1.0 };
            return at(before + (corner - before) * part).collect();
        }
        before = corner;
    }
    // All have what they may.
    at(before).collect()
}

impl Item {
    fn at(&self, fraction: f64) -> f64 {
        (self.target * fraction).max(self.lower).min(self.upper.max(self.lower))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn level(shares: i32, lendable: i32) -> Wanted {
        Wanted { exempt: shares == 0, shares, lendable, borrowing: None }
    }

    /// Those that every cluster has, in the order of their names but for the exempt one.
    fn usual() -> Vec<Wanted> {
        let shares = [(0, 0), (5, 0), (20, 50), (10, 0), (40, 25), (30, 33), (40, 50), (100, 90)];
        shares.iter().map(|(shares, lendable)| level(*shares, *lendable)).collect()
    }

    #[test]
    fn seats_are_by_shares() {
        let limits = limits(600, &usual());
        let nominal: Vec<u32> = limits.iter().map(|one| one.nominal).collect();
        assert_eq!(nominal, [0, 13, 49, 25, 98, 74, 98, 245]);
        let lower: Vec<u32> = limits.iter().map(|one| one.lower).collect();
        assert_eq!(lower, [0, 13, 24, 25, 73, 50, 49, 24]);
        assert_eq!(limits[7].upper, 845);
        let few = Wanted { borrowing: Some(50), ..level(10, 0) };
        assert_eq!(super::limits(100, &[few, level(30, 0)])[0], Limits { nominal: 25, lower: 25, upper: 38 });
    }

    #[test]
    fn who_needs_more_borrows() {
        let limits = limits(600, &usual());
        let demand = |index: usize, smoothed: f64, high: u32| {
            let mut levels: Vec<_> =
                limits.iter().zip(usual()).map(|(l, w)| (*l, w.exempt, Demand::default())).collect();
            levels[index].2 = Demand { smoothed, high };
            lend(&levels)
        };
        // One level is busy, all others lend what they may.
        let busy = demand(6, 400.0, 500);
        let others: u32 = [13, 24, 25, 73, 50, 24].iter().sum();
        assert_eq!(busy[6], 602 - others);
        assert_eq!(busy[7], 24);
        // What the exempt use, the others lack.
        let exempt = demand(0, 500.0, 500);
        assert_eq!((exempt[0], exempt[7]), (500, 24));
        assert_eq!(exempt[1], 13);
    }

    #[test]
    fn need_is_believed_at_once_and_forgotten_slowly() {
        let mut demand = Demand::default();
        demand.update(Observed { average: 10.0, deviation: 2.0, high: 20 });
        assert_eq!(demand, Demand { smoothed: 12.0, high: 20 });
        demand.update(Observed::default());
        assert_eq!((demand.smoothed * 1000.0).round(), 11724.0);
        assert_eq!(demand.high, 0);
    }

    proptest! {
        #[test]
        fn seats_stay_within_their_bounds(
            demands in proptest::collection::vec((0.0_f64..1000.0, 0_u32..1000), 8),
            total in 10_u32..2000,
        ) {
            let limits = limits(total, &usual());
            let levels: Vec<_> = limits.iter().zip(usual()).zip(demands)
                .map(|((l, w), (smoothed, high))| (*l, w.exempt, Demand { smoothed, high }))
                .collect();
            let nominal: u32 = limits.iter().map(|one| one.nominal).sum();
            let got = lend(&levels);
            for ((limits, exempt, _), seats) in levels.iter().zip(&got) {
                prop_assert!(*seats >= limits.lower);
                prop_assert!(*exempt || *seats <= limits.upper);
            }
            let exempt = levels[0].2.high;
            let lower: u32 = limits.iter().map(|one| one.lower).sum();
            let sum: u32 = got.iter().sum();
            // But for rounding, all that there is and no more; what is exempt takes it from nobody's lower bound.
            prop_assert!(sum <= nominal.max(exempt + lower) + 8, "{sum} of {nominal}: {got:?}");
        }
    }
}
