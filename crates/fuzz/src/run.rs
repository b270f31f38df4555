//! Runs targets: each in a process of its own, which writes down every input before it is tried.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::watchdog::Watchdog;
use crate::{Target, mutate};

/// Inputs of a target where no time is given.
const FEW: u64 = 300;
/// Inputs that are kept because of what they led to.
const KEPT: usize = 4096;
/// The stack of a thread that serves requests.
const STACK: usize = 2 << 20;
/// What every input may take of memory, and how much more for each of its bytes.
const MEMORY: (usize, usize) = (48 << 20, 1024);
/// The target that a child process runs.
const CHILD: &str = "GANTRY_FUZZ_CHILD";
/// Where a child process writes its inputs.
const CURRENT: &str = "GANTRY_FUZZ_CURRENT";

/// How the memory of this process is measured.
pub trait Memory: Sync {
    /// The bytes that are taken now. From here on, the most is measured.
    fn begin(&self) -> usize;
    /// The most bytes that were taken since.
    fn most(&self) -> usize;
}

/// Runs all targets, or this process' part of it.
pub fn all(targets: Vec<Target>, memory: &'static dyn Memory) -> anyhow::Result<()> {
    let wanted = std::env::var(CHILD).or_else(|_| std::env::var("GANTRY_FUZZ_TARGET")).ok();
    let names: Vec<&str> = targets.iter().map(|target| target.name).collect();
    if let Some(wanted) = &wanted {
        ensure!(names.contains(&wanted.as_str()), "there is no target {wanted:?}, but {names:?}");
    }
    let is_wanted = |target: &Target| wanted.as_ref().is_none_or(|wanted| wanted == target.name);
    if std::env::var(CHILD).is_ok() {
        let target = targets.into_iter().find(is_wanted).context("the target was found before")?;
        let thread = std::thread::Builder::new().stack_size(STACK);
        let run = thread.spawn(move || one(target, memory))?;
        return run.join().unwrap_or_else(|_| bail!("the runner panicked"));
    }
    let mut failed = Vec::new();
    for target in targets.iter().filter(|target| is_wanted(target)) {
        if let Err(error) = start(target.name) {
            eprintln!("{}: {error:#}", target.name);
            failed.push(target.name);
        }
    }
    ensure!(failed.is_empty(), "these decoders failed: {failed:?}");
    Ok(())
}

/// Runs a target in another process; the error tells the input that it died of.
fn start(name: &str) -> anyhow::Result<()> {
    let file = std::env::temp_dir().join(format!("gantry-fuzz-{}-{name}.input", std::process::id()));
    let mut child = Command::new(std::env::current_exe()?);
    let status = child.env(CHILD, name).env(CURRENT, &file).status()?;
    if status.success() {
        return std::fs::remove_file(&file).with_context(|| format!("{}", file.display()));
    }
    let input = read(&file)?;
    bail!(
        "{status}: GANTRY_FUZZ_TARGET={name} GANTRY_FUZZ_INPUT={} tries this input again:\n{}",
        file.display(),
        input.escape_ascii()
    )
}

/// The input of a file: its length in eight bytes, and its bytes; or, written by hand, its bytes alone.
fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = std::fs::read(file).with_context(|| format!("{}", file.display()))?;
    let Some((head, rest)) = bytes.split_first_chunk::<8>() else { return Ok(bytes) };
    let length = usize::try_from(u64::from_le_bytes(*head)).ok();
    match length.and_then(|length| rest.get(..length)) {
        Some(input) => Ok(input.to_vec()),
        None => Ok(bytes),
    }
}

/// Tries inputs one after the other.
struct Runner {
    target: Target,
    memory: &'static dyn Memory,
    watchdog: Watchdog,
    current: File,
    /// The outcomes that were seen.
    seen: HashSet<String>,
    count: u64,
    most: usize,
}

fn one(target: Target, memory: &'static dyn Memory) -> anyhow::Result<()> {
    let file = std::env::var(CURRENT).with_context(|| format!("{CURRENT} is not set"))?;
    let again = std::env::var("GANTRY_FUZZ_INPUT").ok().map(|path| read(Path::new(&path))).transpose()?;
    let seconds: u64 = match std::env::var("GANTRY_FUZZ_SECONDS") {
        Ok(text) => text.parse().with_context(|| format!("GANTRY_FUZZ_SECONDS: {text:?} is no number"))?,
        Err(_) => 0,
    };
    let current = File::create(&file).with_context(|| file.clone())?;
    let watchdog = Watchdog::start();
    let mut runner = Runner { target, memory, watchdog, current, seen: HashSet::new(), count: 0, most: 0 };
    if let Some(input) = again {
        let outcome = runner.attempt(&input)?.unwrap_or_default();
        println!("{}: {outcome}", runner.target.name);
        return Ok(());
    }
    runner.run((seconds > 0).then(|| Duration::from_secs(seconds)))
}

impl Runner {
    fn run(&mut self, time: Option<Duration>) -> anyhow::Result<()> {
        let begun = Instant::now();
        // With time to spare, other inputs each time.
        let seed = if time.is_some() { rand::rng().random() } else { 0 };
        let mut random = StdRng::seed_from_u64(seed);
        let mut corpus = std::mem::take(&mut self.target.corpus);
        // What is made once for all inputs is no input's.
        for input in &corpus {
            (self.target.decode)(input);
        }
        for input in corpus.clone() {
            self.attempt(&input)?;
        }
        while time.map_or(self.count < FEW, |time| begun.elapsed() < time) {
            let input = if random.random_ratio(1, 4) {
                (self.target.grammar)(&mut random)
            } else {
                let pick = |random: &mut StdRng| corpus.choose(random).cloned().unwrap_or_default();
                let (input, other) = (pick(&mut random), pick(&mut random));
                mutate::mutate(&mut random, &input, &other, self.target.words)
            };
            if self.attempt(&input)?.is_some() && corpus.len() < KEPT {
                corpus.push(input);
            }
        }
        println!(
            "{}: {} inputs in {:.1} s, {} different outcomes, at most {} KiB of memory (seed {seed})",
            self.target.name,
            self.count,
            begun.elapsed().as_secs_f64(),
            self.seen.len(),
            self.most >> 10,
        );
        Ok(())
    }

    /// Tries an input. Returns its outcome if that was not seen before.
    fn attempt(&mut self, input: &[u8]) -> anyhow::Result<Option<String>> {
        let length = u64::try_from(input.len())?.to_le_bytes();
        self.current.write_all_at(&[&length[..], input].concat(), 0)?;
        self.watchdog.begin();
        let before = self.memory.begin();
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.target.decode)(input)));
        let taken = self.memory.most().saturating_sub(before);
        self.watchdog.end();
        let Ok(outcome) = outcome else { bail!("the decoder panicked") };
        let limit = MEMORY.0 + MEMORY.1 * input.len();
        ensure!(taken <= limit, "the decoder took {taken} bytes of memory, at most {limit} are due");
        self.count += 1;
        self.most = self.most.max(taken);
        let shape = shape(&outcome);
        Ok(self.seen.insert(shape).then_some(outcome))
    }
}

/// An outcome without what differs from input to input: numbers, and what is quoted.
fn shape(outcome: &str) -> String {
    let mut shape = String::new();
    let mut quoted = false;
    for letter in outcome.chars().take(400) {
        match letter {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '0'..='9' if shape.ends_with('0') => {}
            '0'..='9' => shape.push('0'),
            other => shape.push(other),
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_alike_but_for_numbers_and_quotes() {
        assert_eq!(shape("line 12: \"abc\" is no name"), shape("line 7: \"d\" is no name"));
        assert_ne!(shape("line 12"), shape("column 12"));
    }
}
