//! Puts rows into event time: versions of records, watermarks, lateness.

pub mod dedup;
pub mod watermark;
