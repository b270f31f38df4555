//! The schema of the Kubernetes API: types, scalars, defaulting, validation and the registry of kinds.
