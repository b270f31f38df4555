//! The schema against independent implementations. A crate of its own, as the judges take minutes to compile; all of it is in its tests.
