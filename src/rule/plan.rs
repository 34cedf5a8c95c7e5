//! Compiled rules: what the engine runs.
//!
//! Made by `compile` from checked rule files, together with the [`PanePlan`] they share. Names are resolved: a rule refers
//! to slices, slots and columns by position.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};

use super::{
    detection::DetectPlan,
    file::{HistoryOf, Kind, Status},
    sequence::SequencePlan,
};
use crate::{
    model::{
        exception::Exception,
        expression::Expression,
        schema::FeedSchema,
        signal::Severity,
        window::{Step, WindowSpec},
    },
    pane::{aggregate::udaf::RowAggregate, plan::PanePlan},
};

/// All rules and what they share.
#[derive(Debug)]
pub struct Plan {
    /// The pane store's part.
    pub panes: Arc<PanePlan>,
    /// Schemas by feed.
    pub schemas: Vec<Arc<FeedSchema>>,
    /// Rules in order of their ids.
    pub rules: Vec<RulePlan>,
}

/// One compiled rule.
#[derive(Debug)]
pub struct RulePlan {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: u32,
    /// Its status; draft and retired rules are not compiled.
    pub status: Status,
    /// Its kind.
    pub kind: Kind,
    /// Hash of the rule's text, for evidence.
    pub hash: String,
    /// Names of the key columns.
    pub key_names: Vec<String>,
    /// The key space.
    pub space: usize,
    /// The window; instant rules and sequences have none.
    pub window: Option<WindowSpec>,
    /// Slices the rule reads of its own key, each once.
    pub slices: Vec<usize>,
    /// Feeds of these slices (and of peers), each once: the rule's watermark is their minimum.
    pub feeds: Vec<usize>,
    /// Longest delay of a time column in use: the rule's watermark lags that much.
    pub delay_ms: i64,
    /// How far the watermark must be behind a window's end before the window closes: the delay, unless a nowcast makes up
    /// for what is reported later.
    pub wait_ms: i64,
    /// Slices beside its own whose rows change what is said of windows: those that a nowcast reads.
    pub beside: Vec<Beside>,
    /// Aggregates, by position.
    pub aggregates: Vec<Aggregate>,
    /// Schema of the aggregates' values.
    pub aggregate_schema: SchemaRef,
    /// Measures over the aggregates.
    pub measures: Vec<Measure>,
    /// Compares.
    pub compares: Vec<ComparePlan>,
    /// Schema of the values `when` sees: measures, then the compares' columns.
    pub value_schema: SchemaRef,
    /// The names of these values as JSON text with a colon behind, for writing signals.
    pub value_texts: Vec<String>,
    /// How far behind a window's start its values look.
    pub lookback_ms: i64,
    /// `when`
    pub when: Option<Expression>,
    /// The conditions that `and` joins in `when`, as SQL, for explanations.
    pub terms: Vec<Term>,
    /// `clear`; `None`: `when` is not true.
    pub clear: Option<Expression>,
    /// Ladder, highest first.
    pub severity: Vec<(Severity, Option<Expression>)>,
    /// `reraise` over the value schema followed by the same columns as `last.…`.
    pub reraise: Option<(Expression, SchemaRef)>,
    /// Whether `when` and the ladder can only become truer with more rows of the own window.
    pub early: bool,
    /// Necessary for `when`: measure (a bare aggregate) ≥ number.
    pub bounds: Vec<(usize, f64)>,
    /// Where `when` asks for whole numbers of measures as they are counted and for nothing else, nothing is compared and there
    /// is one severity: by measure, the least that makes it true. One of them is at least 1.
    pub least: Option<Vec<i64>>,
    /// Instant rules: the filter and keying of the feed, and values read from the row.
    pub instant: Option<InstantPlan>,
    /// Detect rules: who judges the series.
    pub detect: Option<DetectPlan>,
    /// Sequences: what runs go by.
    pub sequence: Option<SequencePlan>,
    /// What becomes of signals.
    pub alert: AlertPlan,
}

/// A slice that a nowcast reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beside {
    /// The slice.
    pub slice: usize,
    /// How far behind its own window's end the first window ends that counts a row of it.
    pub after_ms: i64,
}

/// One aggregate of a rule.
#[derive(Debug, Clone)]
pub struct Aggregate {
    /// The slice (of the rule's own key).
    pub slice: usize,
    /// What is read of it.
    pub read: Read,
    /// Type of the value.
    pub data_type: DataType,
    /// Whether a key without rows has 0 (counts, sums) instead of NULL.
    pub zero: bool,
}

/// What is read of a slice.
#[derive(Debug, Clone)]
pub enum Read {
    /// The number of rows.
    Rows,
    /// A slot.
    Slot(usize),
    /// A sum slot divided by its number of values; the argument's type.
    Mean(usize, DataType),
    /// Second tier: computed from the rows.
    FromRows(RowAggregate),
}

/// One of the conditions that `and` joins in `when`.
#[derive(Debug, Clone)]
pub struct Term {
    /// As SQL.
    pub text: String,
    /// Over the value schema; of instant rules over the feed's rows.
    pub holds: Expression,
    /// Where it compares: what stands left and right of the operator, and the operator.
    pub sides: Option<(Expression, String, Expression)>,
}

/// A named value over aggregates.
#[derive(Debug, Clone)]
pub struct Measure {
    /// Its name.
    pub name: String,
    /// Over [`RulePlan::aggregate_schema`].
    pub value: Expression,
}

/// One compare.
#[derive(Debug, Clone)]
pub struct ComparePlan {
    /// Name before the dot.
    pub name: String,
    /// With what.
    pub with: CompareWith,
    /// Measures it offers, by position; their columns follow each other in the value schema.
    pub measures: Vec<usize>,
}

/// What a compare compares with.
#[derive(Debug, Clone)]
pub enum CompareWith {
    /// The window that ended this much earlier.
    Shift(i64),
    /// Earlier windows of the same key, by how much earlier they ended.
    History {
        /// Distances, nearest first.
        shifts: Vec<i64>,
        /// What is taken of them.
        of: HistoryOf,
    },
    /// The same window of a coarser key.
    Peers {
        /// Position in [`RulePlan::key_names`] of each peer key column.
        columns: Vec<usize>,
        /// The peers' key space.
        space: usize,
        /// Position in [`PanePlan::links`].
        link: usize,
        /// The rule's aggregates over peer slices, same order.
        aggregates: Vec<Aggregate>,
    },
}

/// What an instant rule reads.
#[derive(Debug, Clone)]
pub struct InstantPlan {
    /// The feed.
    pub feed: usize,
    /// Position in the feed's filters.
    pub filter: usize,
    /// Position in the feed's keyings.
    pub keying: usize,
    /// Named values of the row.
    pub values: Vec<(String, Expression)>,
}

/// What becomes of a rule's signals.
#[derive(Debug, Clone, Default)]
pub struct AlertPlan {
    /// See `hold_for`.
    pub hold_ms: i64,
    /// See `keep_for`.
    pub keep_ms: i64,
    /// Feed and columns of the record that fired to keep beside the alert: `group` and what messages name.
    pub context: Option<(usize, Vec<ContextColumn>)>,
    /// Exceptions from the rule, in the order of their file.
    pub exceptions: Vec<Exception>,
    /// Message templates, zh and en.
    pub messages: (Option<super::message::Template>, Option<super::message::Template>),
}

/// A column of the record that fired, kept beside the alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextColumn {
    /// What the rule calls it.
    pub name: String,
    /// Its position in the feed.
    pub column: usize,
    /// The key whose name it holds, if it does: an earlier record of the key can say it as well.
    pub of_key: Option<String>,
}

impl RulePlan {
    /// Its windows, unless they are sessions.
    #[must_use]
    pub fn repeating(&self) -> Option<WindowSpec> {
        self.window.filter(|window| window.step().is_some())
    }

    /// Where its windows end, unless they are sessions.
    #[must_use]
    pub fn step(&self) -> Option<Step> {
        self.window.and_then(WindowSpec::step)
    }

    /// Names of the values, in the order of the value schema.
    pub fn value_names(&self) -> impl Iterator<Item = &str> {
        self.value_schema.fields().iter().map(|f| f.name().as_str())
    }

    /// The compare and the measure behind each column after the measures.
    pub fn compared(&self) -> impl Iterator<Item = (&ComparePlan, usize)> {
        self.compares.iter().flat_map(|c| c.measures.iter().map(move |m| (c, *m)))
    }

    /// By how much earlier the windows ended that compares read.
    pub fn shifts(&self) -> impl Iterator<Item = i64> + '_ {
        let compared = self.compares.iter().flat_map(|c| match &c.with {
            CompareWith::Shift(shift) => std::slice::from_ref(shift),
            CompareWith::History { shifts, .. } => shifts,
            CompareWith::Peers { .. } => &[],
        });
        compared.copied()
    }

    /// Fewest rows of a slice in a window with which the rule can fire; at least 1.
    #[must_use]
    pub fn rows_needed(&self, slice: usize) -> u32 {
        let of = |(measure, bound): &(usize, f64)| {
            let aggregate = &self.aggregates[*measure];
            let counts = aggregate.slice == slice && matches!(aggregate.read, Read::Rows);
            counts.then(|| bound.ceil().clamp(1.0, 1e9) as u32)
        };
        self.bounds.iter().filter_map(of).max().unwrap_or(1)
    }

    /// Whether any compare is with peers, or a key is judged beside others: then values of all keys are needed first.
    #[must_use]
    pub fn has_peers(&self) -> bool {
        let with_peers = |c: &ComparePlan| matches!(c.with, CompareWith::Peers { .. });
        self.is_joint() || self.compares.iter().any(with_peers)
    }

    /// Whether a detector judges keys beside each other.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        self.detect.as_ref().is_some_and(DetectPlan::is_joint)
    }
}
