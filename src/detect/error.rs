//! What a detector refuses: values that are no counts, parameters out of range, a series that does not fit together.

/// Why there is no answer at all. Positions count from 0, the oldest period.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A count below zero.
    #[error("period {at}: {value} is no count, counts are 0 or more")]
    Negative {
        /// Position in the series.
        at: usize,
        /// What was found there.
        value: f64,
    },
    /// A value beyond which f64 no longer counts one by one.
    #[error("period {at}: {value} is above {max}, the largest value that can be counted")]
    TooLarge {
        /// Position in the series.
        at: usize,
        /// What was found there.
        value: f64,
        /// The limit, 2⁵³.
        max: f64,
    },
    /// A population that is negative, infinite or no number.
    #[error("period {at}: population {value} must be 0 or more and finite")]
    Population {
        /// Position in the series.
        at: usize,
        /// What was found there.
        value: f64,
    },
    /// Something beside the values has another length than they have.
    #[error("{what} has {got} entries, the series has {periods} periods")]
    Length {
        /// Name of the column.
        what: &'static str,
        /// Its length.
        got: usize,
        /// The number of periods.
        periods: usize,
    },
    /// Dates must rise.
    #[error("period {at}: its date is not after the one before")]
    Dates {
        /// Position in the series.
        at: usize,
    },
    /// A detector needs something that the series lacks.
    #[error("the series has no {what}, which this detector needs")]
    Missing {
        /// What is missing.
        what: &'static str,
    },
    /// Periods were asked for that the series does not have.
    #[error("periods {start}..{end} were asked for, the series has {periods}")]
    OutOfSeries {
        /// First period asked for.
        start: usize,
        /// One behind the last.
        end: usize,
        /// The number of periods.
        periods: usize,
    },
    /// A parameter outside its range.
    #[error("{name} is {value}, it must be {range}")]
    Parameter {
        /// Name in a rule file.
        name: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        range: &'static str,
    },
    /// A value of a table that makes no sense.
    #[error("{what} {at}: {value} must be {range}")]
    Value {
        /// What the column holds.
        what: &'static str,
        /// Row, from 0.
        at: usize,
        /// What was found there.
        value: f64,
        /// What is allowed.
        range: &'static str,
    },
    /// Columns of one table differ in length.
    #[error("{what}: {got} values, {wanted} belong there")]
    Rows {
        /// What the column holds.
        what: &'static str,
        /// Its length.
        got: usize,
        /// The length of the others.
        wanted: usize,
    },
    /// Less than the method can work with.
    #[error("{got} {what}, at least {needed} are needed")]
    TooFew {
        /// What there is too little of.
        what: &'static str,
        /// How much there is.
        got: usize,
        /// How much is needed.
        needed: usize,
    },
    /// More than the method can work with in reasonable time.
    #[error("{got} {what}, at most {max} are taken")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        got: usize,
        /// How much is taken.
        max: usize,
    },
    /// The input makes sense, but the method has no answer for it.
    #[error("there is no answer: {why}")]
    NoAnswer {
        /// Why.
        why: &'static str,
    },
}
