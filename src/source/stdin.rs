//! Standard input: one partition that cannot be read again.
//!
//! It has no position: after a restart whoever feeds it decides where to go on.

use std::io::{self, Read};

/// Name of the partition.
pub const PARTITION: &str = "stdin";

/// The bytes, as they come.
#[must_use]
pub fn reader() -> Box<dyn Read + Send> {
    Box::new(io::stdin())
}
