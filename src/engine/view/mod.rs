//! Views: what readers see, one struct a thing, for the JSON API and the console alike.
//!
//! Instants are RFC 3339 in the configured zone. Fields with personal columns hold the first letters of a pseudonym only.
//! Not here: how a view is made from alerts, index and log — see `desk`.

mod alert;
mod feed;
mod record;
mod rule;

pub use alert::{
    AlertDetail, AlertPage, AlertRow, Business, Facet, Facets, Measured, Note, NoteKind, Point,
    Revision, Series, StepRow, TermRow, Text, Window,
};
pub use feed::{
    DeadLetterPage, DeadLetterRow, DelayRow, Events, FeedDetail, FeedRow, HealthView, PartitionRow,
    SinkRow, WalkRow,
};
pub use record::{EvidencePage, EvidenceRecord, FeedCount, SubjectRow, SubjectView};
pub use rule::{
    CompareRow, Comparison, Definition, DetectorRow, Finding, FirstSeenRow, GradeRow, KeyRow,
    MeasureRow, RuleDetail, RuleRow, RuleSignals, RuleTestRow, RuleWeek, RuleWork, SequenceRow,
    SignalRow, StepSaid, WindowKind, WindowRow,
};
