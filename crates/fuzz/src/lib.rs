//! Arbitrary input for every decoder of what clients send: no input may make one panic, hang, or take more memory
//! than is due to it.
//!
//! A [`Target`] is a decoder with real inputs of it and a grammar of its own. [`mutate`] makes others of them, and those
//! that lead to an outcome that was not seen before are kept and changed again. Each target runs in a process of its own,
//! so that an overflown stack is found, too: [`run`] starts it, and tells which input it was.
//!
//! `cargo test -p gantry-fuzz` tries the same few hundred inputs each time. `make fuzz SECONDS=600` goes on for so long
//! with each target, `GANTRY_FUZZ_TARGET` names one, and `GANTRY_FUZZ_INPUT` a file with an input to be tried again.

pub mod mutate;
pub mod run;
pub mod watchdog;

use rand::rngs::StdRng;

/// What a decoder made of an input: nothing but whether it was one that was seen before is done with it.
pub type Outcome = String;

/// A decoder, and what is known of its inputs.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Real inputs.
    pub corpus: Vec<Vec<u8>>,
    /// What inputs are made of.
    pub words: &'static [&'static str],
    /// Makes an input as the decoder's grammar has it.
    pub grammar: fn(&mut StdRng) -> Vec<u8>,
    /// Decodes an input, and checks what must be true of every one.
    pub decode: fn(&[u8]) -> Outcome,
}
