//! End-to-end suites on real clusters, and their harness.
