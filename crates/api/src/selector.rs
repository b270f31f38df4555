//! Selectors: which objects a request, a Service or a controller is about.
//!
//! [`LabelSelector`] looks at labels, in its text form (`app=web,tier in (a, b),!old`) or the structured one of
//! `meta.v1.LabelSelector`. [`FieldSelector`] looks at the few fields that a kind offers
//! (`spec.nodeName=a,status.phase!=Failed`).

mod field;
mod label;
mod parse;

pub use field::{FieldSelector, FieldTerm};
pub use label::{LabelSelector, Operator, Requirement};

use thiserror::Error;

/// Why a text or a structure is no selector.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SelectorError {
    /// The text does not follow the grammar.
    #[error("unable to parse requirement: found {found:?}, expected: {expected}")]
    Syntax {
        /// What stands there; empty at the end.
        found: String,
        /// What would make sense.
        expected: &'static str,
    },
    /// A key is no label key.
    #[error("key: Invalid value: {key:?}: {rule}")]
    Key {
        /// The key.
        key: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// A value cannot be that of a label.
    #[error("values[{index}][{key}]: Invalid value: {value:?}: {rule}")]
    Value {
        /// The key.
        key: String,
        /// The position among the values.
        index: usize,
        /// The value.
        value: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// The number of values does not fit the operator.
    #[error("values: Invalid value: {count} values: {rule}")]
    Values {
        /// How many values there are.
        count: usize,
        /// The rule.
        rule: &'static str,
    },
    /// There is no such operator.
    #[error(
        "{operator:?} is not a valid label selector operator, must be one of In, NotIn, Exists, DoesNotExist"
    )]
    UnknownOperator {
        /// What stands there.
        operator: String,
    },
    /// A field selector's term is not `field=value`.
    #[error("invalid selector: {selector:?}; can't understand {term:?}")]
    Term {
        /// The whole text.
        selector: String,
        /// The term.
        term: String,
    },
}
