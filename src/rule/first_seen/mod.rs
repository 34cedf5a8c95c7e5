//! First seen: a key whose records come for the first time, or again after long.
//!
//! `file` is what the author wrote; [`resolve`] what its texts mean, [`spell`] what the engine finds in the rows of one key.
//! Everything else — rows on their way, corrections, what becomes final — is as for a sequence of one step, named [`STEP`].

pub mod file;
pub mod spell;

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::DFSchema;

use super::scope::schema_of;

/// The only step: what alerts and explanations call the records that made the key known.
pub const STEP: &str = "seen";
/// The value that tells when the first of them was.
pub const FIRST_AT: &str = "first_at";

/// The value that tells when the last needed was, where more than one is.
pub const LAST_AT: &str = "last_at";

/// What the ladder and messages may name: [`FIRST_AT`] and [`LAST_AT`], then the columns of the record that was the last needed.
pub(super) fn values_of(rows: &DFSchema) -> DFSchema {
    let instant = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let own = [FIRST_AT, LAST_AT].map(|name| Field::new(name, instant.clone(), true));
    let columns = rows.fields().iter().map(|f| f.as_ref().clone());
    schema_of(own.into_iter().chain(columns).collect())
}
