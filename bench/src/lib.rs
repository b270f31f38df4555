//! Benchmarks and their baselines.
