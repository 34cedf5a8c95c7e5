//! A step of the walk: the rows that go in, and what they changed.

use std::sync::Arc;

use crate::model::{
    alert::Alert,
    batch::{Batch, DeadLetter},
    signal::Signals,
};

/// Rows as they arrived.
#[derive(Debug)]
pub struct Arrival {
    /// Batches of any feeds and partitions.
    pub batches: Vec<Batch>,
    /// Order of arrival as (batch, row); `None`: batch after batch.
    pub order: Option<Vec<(u32, u32)>>,
    /// Arrival number of the first row.
    pub first: u64,
    /// Arrival time of each row in that order, or one for all.
    pub arrived_ms: Vec<i64>,
}

/// What became of the rows of one feed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FeedCounts {
    /// Rows that count.
    pub accepted: u64,
    /// Rows whose content was known, and versions lower than a known one.
    pub duplicates: u64,
    /// Rows that replaced an earlier version or took one back.
    pub corrections: u64,
    /// Equal versions with other content.
    pub conflicts: u64,
    /// Rows too late: dead letters.
    pub late: u64,
    /// Rows dated too far ahead: dead letters.
    pub future: u64,
    /// Accepted rows without a valid code in the feed's first `ucc` column.
    pub unattributed: u64,
}

impl FeedCounts {
    /// Adds what became of further rows.
    pub(super) fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.duplicates += other.duplicates;
        self.corrections += other.corrections;
        self.conflicts += other.conflicts;
        self.late += other.late;
        self.future += other.future;
        self.unattributed += other.unattributed;
    }
}

/// What one call changed.
#[derive(Debug, Default)]
pub struct Step {
    /// By feed.
    pub counts: Vec<FeedCounts>,
    /// Refused rows: feed, partition, letter.
    pub dead: Vec<(usize, Arc<str>, DeadLetter)>,
    /// New revisions, in the order of the records that caused them.
    pub alerts: Vec<Alert>,
    /// Signals that can no longer change, in no particular order.
    pub signals: Vec<Signals>,
}

impl Step {
    /// A step in which nothing has happened yet.
    pub(super) fn new(feeds: usize) -> Self {
        Self { counts: vec![FeedCounts::default(); feeds], ..Self::default() }
    }

    /// Alerts in the order of the records that caused them, whatever shard they came from.
    pub(super) fn sort(&mut self) {
        self.alerts.sort_by(|a, b| {
            let order = |x: &Alert| (x.changed_by, x.rule, x.episode, x.revision);
            order(a).cmp(&order(b)).then_with(|| a.key.cmp(&b.key))
        });
    }
}
