//! Makes inputs of others.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, RngCore as _};

/// No input is longer.
pub const MAX_LENGTH: usize = 64 << 10;
/// Bytes that mean something in many texts.
const SPECIAL: &[u8] = b"\0\n\r\t \"#%&'()*+,-./0:;<=>?@[\\]^_`{|}~\x7f\x80\xc0\xff";
/// Numbers that are at the edge of something.
const NUMBERS: [&str; 12] = [
    "0",
    "-1",
    "1",
    "255",
    "256",
    "65536",
    "2147483647",
    "2147483648",
    "-9223372036854775808",
    "9223372036854775807",
    "18446744073709551616",
    "1e999",
];

/// Changes an input in some places.
pub fn mutate(random: &mut StdRng, input: &[u8], other: &[u8], words: &[&str]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..random.random_range(1..=6) {
        change(random, &mut bytes, other, words);
        bytes.truncate(MAX_LENGTH);
    }
    bytes
}

fn change(random: &mut StdRng, bytes: &mut Vec<u8>, other: &[u8], words: &[&str]) {
    let at = random.random_range(0..=bytes.len());
    match random.random_range(0..12) {
        0 => flip(random, bytes),
        1 => {
            let byte = SPECIAL.choose(random).copied().unwrap_or_default();
            put(bytes, at, &[byte]);
        }
        2 => {
            let mut noise = [0; 8];
            random.fill_bytes(&mut noise);
            let length = random.random_range(1..=noise.len());
            put(bytes, at, &noise[..length]);
        }
        3 => drop(bytes.drain(part(random, bytes.len()))),
        4 => {
            let copy = bytes[part(random, bytes.len())].to_vec();
            put(bytes, at, &copy);
        }
        // Much of the same: what is deep or long.
        5 => {
            let copy = &bytes[part(random, bytes.len().min(64))];
            let times = [10, 100, 1000].choose(random).copied().unwrap_or(10);
            let copy = copy.repeat(times.min(MAX_LENGTH / copy.len().max(1)));
            put(bytes, at, &copy);
        }
        6 => {
            let copy = other[part(random, other.len())].to_vec();
            put(bytes, at, &copy);
        }
        7 | 8 => {
            let word = words.choose(random).copied().unwrap_or_default();
            put(bytes, at, word.as_bytes());
        }
        9 => {
            let number = NUMBERS.choose(random).copied().unwrap_or_default();
            put(bytes, at, number.as_bytes());
        }
        10 => bytes.truncate(at),
        _ => {
            let range = part(random, bytes.len());
            let word = words.choose(random).copied().unwrap_or_default();
            drop(bytes.splice(range, word.bytes()));
        }
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, more: &[u8]) {
    drop(bytes.splice(at..at, more.iter().copied()));
}

fn flip(random: &mut StdRng, bytes: &mut [u8]) {
    if bytes.is_empty() {
        return;
    }
    let at = random.random_range(0..bytes.len());
    bytes[at] ^= 1 << random.random_range(0..8);
}

/// A part of something so long.
fn part(random: &mut StdRng, length: usize) -> std::ops::Range<usize> {
    let (a, b) = (random.random_range(0..=length), random.random_range(0..=length));
    a.min(b)..a.max(b)
}

/// Some of the words, one after the other: the grammar of what has none of its own.
pub fn some(random: &mut StdRng, words: &[&str], most: usize) -> String {
    let count = random.random_range(0..=most);
    (0..count).filter_map(|_| words.choose(random).copied()).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_inputs() {
        let make = || {
            let mut random = StdRng::seed_from_u64(7);
            let mut input = b"abc".to_vec();
            (0..50).for_each(|_| input = mutate(&mut random, &input, b"other", &["word"]));
            input
        };
        assert_eq!(make(), make());
        assert!(make().len() <= MAX_LENGTH);
    }
}
