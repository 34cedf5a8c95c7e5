//! Feed: a named stream of events with one schema and one event-time column, and how its rows get into event time.
//!
//! In: decoded batches of a feed's partitions. Out: rows admitted to the walk, each the current version of its record,
//! in time or late but still welcome; the others counted or given as dead letters. Watermarks only rise.
//! Not here: what the bytes of a row mean (`decode`), and what is counted (`pane`).

pub mod dedup;
mod fields;
pub mod infer;
pub mod parts;
mod read;
pub mod spec;
pub mod watermark;

pub use fields::json_schema;
pub use spec::FeedSpec;
