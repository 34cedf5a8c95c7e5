//! How feeds, refused records and the whole are doing.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{EvidenceRecord, Text};

/// A feed in a list.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FeedRow {
    /// Its name.
    pub feed: String,
    /// Its title.
    pub title: Text,
    /// What became of its records.
    pub events: Events,
    /// Before this event time nothing more is expected.
    pub watermark: Option<String>,
    /// The latest event time.
    pub last_event_at: Option<String>,
    /// When its last record arrived.
    pub last_arrival_at: Option<String>,
    /// How far the watermark is behind the present, seconds.
    pub lag_seconds: Option<f64>,
    /// For how long it may be silent, seconds: two days, or twice the longest silence but one that it has had.
    pub silence_max_seconds: i64,
    /// It brought something once, and nothing for longer than it may be silent.
    pub stalled: bool,
    /// All its partitions are silent: nothing comes, and it holds nothing back.
    pub idle: bool,
    /// By partition.
    pub partitions: Vec<PartitionRow>,
    /// From event time to arrival.
    pub delay: DelayRow,
}

/// What became of a feed's records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Events {
    /// Records that count.
    pub accepted: u64,
    /// Known already, or lower versions.
    pub duplicates: u64,
    /// Later versions and withdrawals.
    pub corrections: u64,
    /// Equal versions with other content.
    pub conflicts: u64,
    /// Refused: too late.
    pub late: u64,
    /// Refused: dated too far ahead.
    pub future: u64,
    /// Refused: could not be decoded.
    pub undecoded: u64,
    /// Accepted without a business code where the feed has a column for it.
    pub unattributed: u64,
    /// Refused, by class; of one request at most as many as its answer lists.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub dead_letters: BTreeMap<String, u64>,
}

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PartitionRow {
    /// Its name: a file, a token.
    pub partition: String,
    /// Records that arrived by it.
    pub records: u64,
    /// The latest event time.
    pub last_event_at: Option<String>,
    /// When its last record arrived.
    pub last_arrival_at: String,
    /// Silent: it holds nothing back.
    pub idle: bool,
}

/// Quantiles of a delay, seconds, by nearest rank; null without records.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DelayRow {
    /// Column of the earlier time.
    pub from: String,
    /// Column of the later time, or `arrival`.
    pub to: String,
    /// Records measured: each once, at its first version.
    pub records: u64,
    /// Records whose times run backwards.
    pub negative: u64,
    /// Half of the records take at most so long.
    pub p50_seconds: Option<i64>,
    /// Three quarters.
    pub p75_seconds: Option<i64>,
    /// Nine tenths.
    pub p90_seconds: Option<i64>,
    /// All but one in a hundred.
    pub p99_seconds: Option<i64>,
    /// The longest.
    pub max_seconds: Option<i64>,
}

/// A feed with its settings and latest records.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FeedDetail {
    /// What lists show.
    #[serde(flatten)]
    pub feed: FeedRow,
    /// What it holds.
    pub about: String,
    /// Columns that identify a record.
    pub record_id: Vec<String>,
    /// Column of the event time.
    pub event_time: String,
    /// The watermark stays so far behind the latest event time, seconds.
    pub out_of_order_seconds: i64,
    /// Records so far behind the watermark are still taken, seconds.
    pub allowed_lateness_seconds: i64,
    /// A partition silent for so long holds nothing back, seconds.
    pub idle_after_seconds: i64,
    /// All delays that its times allow to measure, the arrival first.
    pub delays: Vec<DelayRow>,
    /// The latest records, newest first.
    pub latest: Vec<EvidenceRecord>,
}

/// A refused record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeadLetterRow {
    /// Its id.
    pub id: String,
    /// The feed.
    pub feed: String,
    /// The partition it came by.
    pub partition: String,
    /// Line or row in its source, from 1.
    pub line: u64,
    /// Why it was refused.
    pub class: String,
    /// The same for people, with what would be right.
    pub message: String,
    /// When it arrived last.
    pub at: String,
    /// When it was sent again.
    pub replayed_at: Option<String>,
    /// Its bytes are sealed, because the feed has personal columns; `forewarn dead-letters` opens them.
    pub sealed: bool,
    /// Its bytes as text, replacement characters for what is none; only for one letter, and not where they are sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

/// A page of refused records, those that arrived last first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeadLetterPage {
    /// The letters.
    pub dead_letters: Vec<DeadLetterRow>,
    /// Cursor of the next page; null on the last one. How many there are in all is not counted: the files are long, and
    /// [`Events::dead_letters`] tells how many were refused.
    pub next: Option<String>,
}

/// How the whole is doing.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct HealthView {
    /// `ok` when the engine takes records, else `recovering` or `stopped`.
    pub status: String,
    /// Why it has stopped.
    pub reason: Option<String>,
    /// How far the log is walked, while it is recovering.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovering: Option<WalkRow>,
    /// Version of forewarn.
    pub version: String,
    /// Rules in use.
    pub rules: u64,
    /// Feeds.
    pub feeds: u64,
    /// Feeds of which nothing has ever arrived.
    pub feeds_silent: u64,
    /// Alerts that are pending or firing.
    pub alerts_open: u64,
    /// Versions of records in the log.
    pub records: u64,
    /// Businesses in them.
    pub businesses: u64,
    /// Sinks on the network.
    pub sinks: Vec<SinkRow>,
}

/// How far the log is walked on start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct WalkRow {
    /// Records so far.
    pub records: u64,
    /// Records in the log.
    pub of: u64,
    /// The same in percent.
    pub percent: u64,
}

/// A sink on the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SinkRow {
    /// Its name.
    pub sink: String,
    /// Revisions that it does not have yet.
    pub waiting: u64,
    /// For how long the oldest of them has waited, seconds.
    pub waiting_seconds: Option<u64>,
    /// It has not taken what waits for ten minutes.
    pub failing: bool,
}
