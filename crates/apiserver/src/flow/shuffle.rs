//! Which queues a flow may use: a hand of cards, dealt by its hash.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// The largest hand; what validation allows is smaller, as a hash does not deal more.
const MAX_HAND: usize = 32;

/// The hash of a flow: those of a schema that have the same distinguisher.
pub(super) fn hash(schema: &str, distinguisher: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (schema, distinguisher).hash(&mut hasher);
    hasher.finish()
}

/// Deals `hand` different cards of `deck`, and shows each to `take`.
pub(super) fn deal(mut hash: u64, deck: usize, hand: usize, mut take: impl FnMut(usize)) {
    // In order, so that the cards that are left can be counted past those that are gone.
    let mut dealt = [0_usize; MAX_HAND];
    for count in 0..hand.min(deck).min(MAX_HAND) {
        let left = (deck - count) as u64;
        // Smaller than the deck, so it fits.
        let mut card = (hash % left) as usize;
        hash /= left;
        let mut place = 0;
        while place < count && card >= dealt[place] {
            card += 1;
            place += 1;
        }
        dealt.copy_within(place..count, place + 1);
        dealt[place] = card;
        take(card);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cards_differ_and_are_of_the_deck(hash: u64, deck in 1_usize..200, hand in 1_usize..20) {
            let mut cards = Vec::new();
            deal(hash, deck, hand, |card| cards.push(card));
            prop_assert_eq!(cards.len(), hand.min(deck));
            prop_assert!(cards.iter().all(|card| *card < deck));
            prop_assert_eq!(cards.iter().collect::<BTreeSet<_>>().len(), cards.len());
        }
    }

    #[test]
    fn flows_get_hands_of_their_own() {
        let hand = |flow: &str| {
            let mut cards = BTreeSet::new();
            deal(hash("s", flow), 128, 6, |card| {
                cards.insert(card);
            });
            cards
        };
        assert_eq!(hand("a"), hand("a"));
        let hands: BTreeSet<_> = (0..100).map(|flow| hand(&flow.to_string())).collect();
        assert_eq!(hands.len(), 100);
        assert_ne!(hash("a", "bc"), hash("ab", "c"));
    }
}
