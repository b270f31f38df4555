//! The command line of Gantry.
