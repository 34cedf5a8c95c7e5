//! Disproportionality: which pairs of subject and topic are reported together more often than their margins explain.
//!
//! In: for a pair the reports with both, with the subject, with the topic, and all of them. Out: per measure an estimate
//! with its lower limit. [`ReportingRatios`] are ratios with large-sample limits, [`bcpnn`] and [`shrinkage`] the information
//! component, [`ebgm`] the empirical-Bayes mean with a prior fitted to all pairs ([`prior`]).

pub mod ebgm;
pub mod information;
pub mod prior;
mod reporting;

pub use information::{Information, bcpnn, shrinkage};
pub use reporting::{ReportingRatios, reporting_ratios};

use crate::detect::Error;

/// An estimate with its two-sided 95 % limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its lower limit.
    pub low: f64,
    /// Its upper limit.
    pub high: f64,
}

/// Counts of reports around one pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    both: u64,
    subject: u64,
    topic: u64,
    all: u64,
}

impl Pair {
    /// Reports with `both`, with the `subject`, with the `topic`, and `all` reports.
    ///
    /// # Errors
    /// A margin smaller than a part of it, no reports, more than 1e12 of them.
    pub fn try_new(both: u64, subject: u64, topic: u64, all: u64) -> Result<Self, Error> {
        let bad = |what, value: u64, must| {
            Err(Error::OutOfRange { what, at: 0, value: value as f64, must })
        };
        if all > super::COUNT_MAX {
            return bad("number of reports", all, "≤ 1e12");
        }
        if subject > all || topic > all {
            return bad("margin", subject.max(topic), "no more than all reports");
        }
        if both > subject.min(topic) || subject + topic - both > all {
            return bad("reports of the pair", both, "what its margins allow");
        }
        if subject == 0 || topic == 0 {
            return Err(Error::NotDefined { why: "no reports of the subject or of the topic" });
        }
        Ok(Self { both, subject, topic, all })
    }

    /// Reports expected if subject and topic had nothing to do with each other; more than 0.
    #[must_use]
    pub fn expected(&self) -> f64 {
        self.subject as f64 * self.topic as f64 / self.all as f64
    }

    /// Reports of the pair.
    #[must_use]
    pub fn observed(&self) -> u64 {
        self.both
    }

    /// The four cells: both, subject only, topic only, neither.
    fn cells(&self) -> [f64; 4] {
        let neither = self.all + self.both - self.subject - self.topic;
        [self.both, self.subject - self.both, self.topic - self.both, neither].map(|c| c as f64)
    }
}
