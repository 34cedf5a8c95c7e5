//! What the pane store has to keep, shared by all rules: filters, keys, arguments and slices, each once.
//!
//! Made by `rule::compile`. Two rules that count the same rows by the same key meet here in one [`SlicePlan`]; rules that
//! differ only in a limit share everything.

use std::sync::Arc;

use super::dimension::Dimension;
use crate::model::{expression::Expression, join::Joining, window::PaneGrid};

/// What is computed once per batch of one feed.
#[derive(Debug, Clone, Default)]
pub struct FeedPlan {
    /// Filters: each a conjunction of atoms, by position in `atoms`; an empty one passes every row.
    pub filters: Vec<Vec<usize>>,
    /// Distinct atoms of all filters.
    pub atoms: Vec<Expression>,
    /// Distinct keys.
    pub keyings: Vec<Keying>,
    /// Distinct arguments of aggregates.
    pub args: Vec<Argument>,
    /// Distinct pairs of time column and grid; rows are put into panes once per lane.
    pub lanes: Vec<Lane>,
    /// Slices that this feed's rows go to, by position in [`PanePlan::slices`].
    pub slices: Vec<usize>,
    /// What fills the columns that are joined to its rows.
    pub joins: Vec<Joining>,
    /// Those of them that ask tables which other feeds make.
    pub looks: Vec<Look>,
}

/// A look-up in a table that a feed makes.
#[derive(Debug, Clone)]
pub struct Look {
    /// The table.
    pub dimension: Arc<Dimension>,
    /// Column that holds what is looked up.
    pub key: usize,
    /// Column that says as of when.
    pub time: usize,
}

/// A key of a feed's rows.
#[derive(Debug, Clone)]
pub struct Keying {
    /// The key space: keys of equal names and types meet there whatever feed they come from.
    pub space: usize,
    /// One expression per key column.
    pub columns: Vec<Expression>,
    /// Rows with a missing part form a key with null there; else they are left out.
    pub keep_null: bool,
}

/// A time column cut into panes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    /// Column of the feed.
    pub time: usize,
    /// The panes.
    pub grid: PaneGrid,
    /// Which rows it takes by their reporting delay; `None`: all.
    pub reported: Option<Reported>,
}

/// The rows whose reporting delay lies between two numbers of periods: from the period of the lane's time to that of the
/// feed's event time, which is when the fact became known. A row that was known before it happened has no delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reported {
    /// The periods.
    pub periods: PaneGrid,
    /// The shortest delay.
    pub from: i32,
    /// The longest.
    pub to: i32,
}

impl Reported {
    /// Whether a fact of the local time `at` that became known at `known` is one of them.
    #[must_use]
    pub fn holds(self, at: i64, known: i64) -> bool {
        let delay = (self.periods.pane(known) - self.periods.pane(at)).max(0);
        (self.from..=self.to).contains(&delay)
    }
}

/// An argument of an aggregate and the form in which its kernel wants it.
#[derive(Debug, Clone)]
pub struct Argument {
    /// The values.
    pub value: Expression,
    /// The form.
    pub form: Form,
}

/// Forms of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// Is there a value.
    Presence,
    /// A 64-bit integer that orders like the value: integers, decimals, dates, instants, floats by total order.
    Order,
    /// A 128-bit integer that adds exactly: integers and decimals as they are, floats in units of 2⁻⁶⁰.
    Fixed,
    /// A 128-bit hash of the value.
    Identity,
}

/// A key space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    /// Names of the key columns.
    pub names: Vec<String>,
}

/// Rows of one feed that pass one filter, by one key, in panes of one lane, and the aggregates kept of them.
#[derive(Debug, Clone)]
pub struct SlicePlan {
    /// The feed.
    pub feed: usize,
    /// Position in [`FeedPlan::filters`].
    pub filter: usize,
    /// Position in [`FeedPlan::keyings`].
    pub keying: usize,
    /// Position in [`FeedPlan::lanes`].
    pub lane: usize,
    /// The key space.
    pub space: usize,
    /// The lane's grid.
    pub grid: PaneGrid,
    /// Aggregates beside the row count.
    pub slots: Vec<Slot>,
    /// State words per entry.
    pub stride: usize,
    /// By word: whether it is a running total.
    pub carry: Vec<bool>,
    /// Fewest rows in a window with which any rule can fire on this slice; 0 where some rule needs none in particular.
    pub hot_at: u32,
    /// What a key must have before any rule can fire on this slice, so that it is left out until then (see `cold`);
    /// empty: nothing in particular.
    pub waits: Vec<Weight>,
    /// How far back panes are kept behind the watermark, local milliseconds.
    pub keep_ms: i64,
}

impl SlicePlan {
    /// Adds a slot unless the slice has it; returns its position.
    pub fn slot(&mut self, kind: Kernel, arg: usize) -> usize {
        if let Some(i) = self.slots.iter().position(|s| s.kind == kind && s.arg == arg) {
            return i;
        }
        self.slots.push(Slot { kind, arg, offset: self.stride });
        self.stride += kind.words();
        self.carry.resize(self.stride, kind.carries());
        self.slots.len() - 1
    }
}

/// How much a row brings a key nearer to what some rule asks for: `per` for the row, or for each unit of an argument above
/// 0. A key that has not 1 in a window cannot fire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weight {
    /// Position in [`FeedPlan::args`] of an argument in [`Form::Fixed`]; `None`: the row counts.
    pub arg: Option<usize>,
    /// Part of what is asked for.
    pub per: f64,
}

/// One aggregate of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// What is kept.
    pub kind: Kernel,
    /// Position in [`FeedPlan::args`].
    pub arg: usize,
    /// First of its words in an entry.
    pub offset: usize,
}

/// Kernels of the first tier. All states add, so that a window is the sum of its panes in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// Rows with a value: one word.
    NonNull,
    /// Sum of [`Form::Fixed`] values: two words, and a third with the number of values.
    Sum,
    /// The same of 64-bit integers: 96 bits of the sum and 32 of the number of values in two words.
    WholeSum,
    /// Smallest [`Form::Order`] value: flag and value.
    Min,
    /// Largest.
    Max,
    /// Distinct [`Form::Identity`] values: the number of their set, which lives beside the entries.
    Distinct,
    /// Value of the earliest row: flag, time, tie-break, value.
    First,
    /// Value of the latest row.
    Last,
}

impl Kernel {
    /// State words per entry.
    #[must_use]
    pub fn words(self) -> usize {
        match self {
            Self::NonNull | Self::Distinct => 1,
            Self::Sum => 3,
            Self::WholeSum | Self::Min | Self::Max => 2,
            Self::First | Self::Last => 4,
        }
    }

    /// Whether entries hold running totals, so that a window is the difference of two.
    #[must_use]
    pub fn carries(self) -> bool {
        matches!(self, Self::NonNull | Self::Sum | Self::WholeSum)
    }

    /// Whether a row can be taken off again; otherwise the entry is rebuilt from its rows.
    #[must_use]
    pub fn subtracts(self) -> bool {
        self.carries() || self == Self::Distinct
    }
}

/// Keys of one keying whose peers' key another keying of the same feed gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The feed.
    pub feed: usize,
    /// The keying.
    pub keying: usize,
    /// The peers' keying.
    pub peer_keying: usize,
}

/// The whole plan of the pane store.
#[derive(Debug, Clone, Default)]
pub struct PanePlan {
    /// By feed.
    pub feeds: Vec<std::sync::Arc<FeedPlan>>,
    /// Key spaces.
    pub spaces: Vec<Space>,
    /// Slices.
    pub slices: Vec<SlicePlan>,
    /// Links from keys to their peers' keys.
    pub links: Vec<Link>,
    /// Tables that feeds make.
    pub dimensions: Vec<Arc<Dimension>>,
}
