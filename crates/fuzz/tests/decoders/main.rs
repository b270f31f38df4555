//! Every decoder of what clients send, with arbitrary input.

mod expressions;
mod objects;
mod patches;
mod streams;
mod texts;

use std::process::ExitCode;

use gantry_fuzz::run::{self, Memory};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

struct Allocated;

impl Memory for Allocated {
    fn begin(&self) -> usize {
        ALLOCATOR.reset_peak_usage();
        ALLOCATOR.current_usage()
    }

    fn most(&self) -> usize {
        ALLOCATOR.peak_usage()
    }
}

fn main() -> ExitCode {
    let targets = [objects::all(), patches::all(), texts::all(), expressions::all(), streams::all()];
    match run::all(targets.into_iter().flatten().collect(), &Allocated) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The outcome of a result.
fn outcome<T, E: std::fmt::Display>(result: Result<T, E>) -> String {
    match result {
        Ok(_) => String::from("ok"),
        Err(error) => error.to_string(),
    }
}

/// Texts as inputs.
fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
