//! Detectors.

pub mod cluster;
pub mod math;
pub mod ratio;
pub mod season;

use thiserror::Error;

/// interim
#[derive(Debug, Clone, PartialEq, Error)]
pub enum Error {
    /// A value is NaN or infinite.
    #[error("{what} {at} is {value}, not a finite number")]
    NotFinite {
        /// What.
        what: &'static str,
        /// Index.
        at: usize,
        /// Value.
        value: f64,
    },
    /// A value is out of the range its meaning allows.
    #[error("{what} {at} is {value}, it must be {must}")]
    OutOfRange {
        /// What.
        what: &'static str,
        /// Index.
        at: usize,
        /// Value.
        value: f64,
        /// Must.
        must: &'static str,
    },
    /// A parameter is out of range.
    #[error("parameter {name} is {value}, it must be {must}")]
    Parameter {
        /// Name.
        name: &'static str,
        /// Value.
        value: f64,
        /// Must.
        must: &'static str,
    },
    /// Two inputs that belong together differ in length.
    #[error("{what}: {found} values, expected {expected}")]
    Length {
        /// What.
        what: &'static str,
        /// Found.
        found: usize,
        /// Expected.
        expected: usize,
    },
    /// Too few values.
    #[error("{found} {what}, {needed} are needed")]
    TooFew {
        /// What.
        what: &'static str,
        /// Found.
        found: usize,
        /// Needed.
        needed: usize,
    },
    /// Too many values.
    #[error("{found} {what}, at most {max} are taken")]
    TooMany {
        /// What.
        what: &'static str,
        /// Found.
        found: usize,
        /// Max.
        max: usize,
    },
    /// No answer.
    #[error("not defined: {why}")]
    NotDefined {
        /// Why.
        why: &'static str,
    },
}

/// compat
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compat {
    /// Right.
    #[default]
    Corrected,
    /// As R.
    R,
}
