//! Containers, tasks and images on containerd, behind a trait with a fake for tests.
