//! The schema against independent implementations. A crate of its own: the judges take minutes to compile.
