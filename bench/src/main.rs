//! Benchmarks and their baselines.

fn main() {}
