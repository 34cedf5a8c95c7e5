//! Detect: is this period out of the ordinary? One statistical method per file, nothing but mathematics.
//!
//! In: a [`Series`] (one value per period, oldest first; perhaps with the population behind each value and the date each
//! period begins), or a table of counts. Out: one [`Verdict`] per period asked for, or a table of figures. A verdict is never
//! a NaN: what cannot be said is `TooEarly` or `NotDefined`, what makes no sense is an [`Error`].
//! Where the published reference software errs, [`Compat`] chooses between what is right (the default) and what it prints.
//! Not here: which periods make a series (`pane`), who asks (`rule`), what becomes of an alarm (`alert`).
//!
//! Every detector's doc has the same headings — *What it finds*, *Parameters*, *When it misleads*, *Source* — and the
//! catalogue is made from them.

pub mod catalogue;
pub mod chart;
pub mod cluster;
mod error;
#[cfg(test)]
mod fuzz;
pub mod math;
pub mod outbreak;
mod profile;
pub mod ratio;
pub mod season;
mod series;
mod verdict;

pub use error::Error;
pub use profile::{Calendar, Looks, Population, Profile};
pub use series::Series;
pub use verdict::{Judgement, Undefined, Verdict};

use std::ops::Range;

/// Whether a detector computes what is right, or what the reference software prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Compat {
    /// The published method, with the reference software's errors mended.
    #[default]
    Corrected,
    /// The figures of the R packages, errors included; for comparison with them.
    R,
}

/// A method that judges the periods of one series, each from those before it.
pub trait SeriesDetector: std::fmt::Debug + Send + Sync {
    /// Are the parameters in their ranges?
    ///
    /// # Errors
    /// [`Error::Parameter`] with the first that is not.
    fn check(&self) -> Result<(), Error>;

    /// Periods that must lie before the first one judged, where a year has `periods_per_year` periods.
    fn history(&self, periods_per_year: usize) -> usize;

    /// What the method asks for, and what it tells.
    fn profile(&self) -> Profile {
        Profile::default()
    }

    /// Periods before it that a verdict rests on, where the method looks no further back; of a chart and of a method that
    /// fits all there is, how many it should be given. At least [`Self::history`].
    fn reach(&self, periods_per_year: usize) -> usize {
        self.history(periods_per_year)
    }

    /// Verdicts on the periods `range`, in order. A chart with memory starts at the first of them; all periods before it are
    /// its history.
    ///
    /// # Errors
    /// [`Error::Parameter`] and the errors of [`Series::check`]; [`Error::OutOfSeries`] where `range` leaves the series.
    fn evaluate(&self, series: &Series<'_>, range: Range<usize>) -> Result<Vec<Verdict>, Error>;

    /// The verdict on the last of the periods `range`; of none, too early.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    fn last(&self, series: &Series<'_>, range: Range<usize>) -> Result<Verdict, Error> {
        Ok(self.evaluate(series, range)?.last().copied().unwrap_or(Verdict::TooEarly))
    }
}

/// A parameter's value if it lies in its range.
///
/// # Errors
/// [`Error::Parameter`] where it does not, or is not a number.
pub(crate) fn parameter(
    name: &'static str,
    value: f64,
    holds: bool,
    range: &'static str,
) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::Parameter { name, value: value.to_string(), range }) }
}
