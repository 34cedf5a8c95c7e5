//! Sequences: records of one key in an order, or the record that did not come.
//!
//! `file` is what the author wrote, `resolve` what its texts mean, [`SequencePlan`] what the engine runs; `run` finds the
//! matches among the rows of one key, with `term` for deadlines, `link` for what rows must have in common and `seen` for the
//! values that conditions and messages read.

pub mod file;
pub mod link;
pub mod resolve;
pub mod run;
pub mod seen;
pub mod term;

use std::sync::Arc;

use self::{
    run::Steps,
    seen::{Layout, Picks},
};

/// The compiled part of a `sequence` rule that others have not; a `first_seen` rule is one of a single step.
#[derive(Debug)]
pub struct SequencePlan {
    /// What runs need to know.
    pub steps: Steps,
    /// Of a first-seen rule: how long after the feed's history began every key is taken for known.
    pub learn_ms: i64,
    /// Names of the steps.
    pub names: Vec<String>,
    /// By step, position in [`Self::sources`].
    pub source_of: Vec<usize>,
    /// The feeds, each once.
    pub sources: Vec<Source>,
    /// Values of a match, which the ladder and signals see.
    pub values: Picks,
    /// What is shown of the record with which it began: the name, and its position among the columns kept.
    pub context: Vec<(String, usize)>,
    /// The feed whose silence is waited for.
    pub awaited: Option<Awaited>,
}

/// A feed that is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Awaited {
    /// The feed.
    pub feed: usize,
    /// How far its time column may lie behind its watermark.
    pub delay_ms: i64,
}

/// What is read of a feed.
#[derive(Debug)]
pub struct Source {
    /// The feed.
    pub feed: usize,
    /// The steps of that feed, each with the position of its filter among the feed's.
    pub steps: Vec<(usize, usize)>,
    /// Position in the feed's keyings.
    pub keying: usize,
    /// The time column.
    pub time: usize,
    /// What links and distinct values compare: positions among the feed's arguments.
    pub hashes: Vec<usize>,
    /// Columns that are kept of a row.
    pub layout: Arc<Layout>,
}

impl SequencePlan {
    /// How long after its first row a run can end.
    #[must_use]
    pub fn longest_ms(&self) -> i64 {
        let absent = self.steps.steps.iter().filter_map(|s| s.absent);
        let waits = absent.map(|a| a.term.longest_ms() + a.wait.map_or(0, |w| w.longest_ms()));
        self.steps.within_ms.saturating_add(waits.sum())
    }

    /// What is read of a feed, if anything.
    #[must_use]
    pub fn source(&self, feed: usize) -> Option<&Source> {
        self.sources.iter().find(|s| s.feed == feed)
    }
}
