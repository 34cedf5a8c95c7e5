//! Records behind an alert, and all that is known about one business.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{AlertRow, Business};
use crate::model::signal::Severity;

/// One record as it counts now.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct EvidenceRecord {
    /// The feed.
    pub feed: String,
    /// Its id in the feed.
    pub record: String,
    /// When it happened, after the feed's event time.
    pub at: String,
    /// The same, milliseconds since 1970.
    pub at_ms: i64,
    /// When it arrived.
    pub arrived_at: String,
    /// Its number in the order of arrival.
    pub arrival: u64,
    /// How many versions of it have arrived.
    pub versions: u32,
    /// The version that counts is a withdrawal.
    pub withdrawn: bool,
    /// Columns that have a value. Personal ones show the first letters of a pseudonym.
    #[schema(value_type = Object)]
    pub fields: Map<String, Value>,
    /// Which of them are personal.
    pub masked: Vec<String>,
}

/// Records behind an alert, by event time.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct EvidencePage {
    /// The records.
    pub records: Vec<EvidenceRecord>,
    /// How many the alert has in all; ids are kept of the first 1,000.
    pub total: u64,
    /// Ids that the log does not hold any more, or whose record now belongs to a feed that is not declared.
    pub missing: Vec<String>,
}

/// How many records of one feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FeedCount {
    /// The feed.
    pub feed: String,
    /// How many.
    pub records: u64,
}

/// All that is known about one business.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SubjectView {
    /// Code and name.
    pub subject: Business,
    /// All names that its records give it, latest first.
    pub names: Vec<String>,
    /// Region code after its latest record.
    pub region: Option<String>,
    /// Name of the region.
    pub region_name: Option<String>,
    /// Its latest records in all feeds, newest first.
    pub records: Vec<EvidenceRecord>,
    /// How many there are, by feed.
    pub feeds: Vec<FeedCount>,
    /// Alerts that are pending or firing.
    pub open: Vec<AlertRow>,
    /// Alerts that have ended, latest first.
    pub past: Vec<AlertRow>,
}

/// A business in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SubjectRow {
    /// Code and name.
    pub subject: Business,
    /// Region code after its latest record.
    pub region: Option<String>,
    /// Name of the region.
    pub region_name: Option<String>,
    /// Alerts that are pending or firing.
    pub open: u64,
    /// All alerts.
    pub alerts: u64,
    /// Highest severity of an open alert.
    #[schema(value_type = Option<String>)]
    pub severity: Option<Severity>,
    /// When an alert about it fired last.
    pub last_fired_at: Option<String>,
}
