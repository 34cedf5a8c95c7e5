//! Push: one request that brings records of one feed.

use bytes::Bytes;

/// What was pushed, as it came over the wire.
#[derive(Debug, Clone, Default)]
pub struct Push {
    /// Name of the feed.
    pub feed: String,
    /// The partition whose order the records follow; [`PARTITION`] where the request names none.
    pub partition: Option<String>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Idempotency-Key`: the request may be repeated with it without being taken twice.
    pub idempotency_key: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// Partition of pushes that name none.
pub const PARTITION: &str = "push";
