//! Recount: an alert computed again from the log, to see that it is what was told.
//!
//! In: a fresh pipeline of the alert's rule alone, the log, the arrival number that caused the revision. Out: all revisions
//! up to there. Nothing but the log and the rule enters, so agreement means that the alert can be proven.

use std::path::Path;

use super::pipeline::{Arrival, Pipeline};
use crate::{
    model::{alert::Alert, batch::Batch},
    store::{
        log,
        record::{Entry, conform},
    },
};

/// Why there is no recount.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be read.
    #[error("the log cannot be read")]
    Log(#[from] log::Error),
    /// Rows of the log do not fit the feed any more.
    #[error("logged rows of feed {feed:?} do not fit its columns: {message}")]
    Rows {
        /// The feed.
        feed: String,
        /// What does not fit.
        message: String,
    },
}

/// Walks the log in `dir` through `pipeline` up to arrival number `up_to`; returns every revision of every alert.
///
/// # Errors
/// When the log cannot be read.
pub fn recount(pipeline: &mut Pipeline, dir: &Path, up_to: u64) -> Result<Vec<Alert>, Error> {
    let mut alerts = Vec::new();
    let position =
        |pipeline: &Pipeline, name: &str| pipeline.specs().iter().position(|s| s.name() == name);
    for entry in log::read(dir, 0)? {
        match entry? {
            Entry::Rows(logged) => {
                if logged.head.first > up_to {
                    break;
                }
                let Some(feed) = position(pipeline, &logged.head.feed) else { continue };
                let schema = pipeline.specs()[feed].schema.arrow().clone();
                let mut first = logged.head.first;
                for rows in &logged.batches {
                    let wrong = |e: arrow::error::ArrowError| Error::Rows {
                        feed: logged.head.feed.clone(),
                        message: e.to_string(),
                    };
                    let rows = conform(rows, &schema).map_err(wrong)?;
                    // Rows behind the one that caused the revision were not known yet.
                    let known =
                        (up_to + 1).saturating_sub(first).min(rows.num_rows() as u64) as usize;
                    let lines = vec![0; known].into();
                    let partition = logged.head.partition.as_str().into();
                    let batch =
                        Batch { feed, partition, rows: rows.slice(0, known), lines, raw: None };
                    let arrived_ms = vec![logged.head.arrived_ms];
                    let step = pipeline.arrive(Arrival {
                        batches: vec![batch],
                        order: None,
                        first,
                        arrived_ms,
                    });
                    alerts.extend(step.alerts);
                    first += rows.num_rows() as u64;
                }
            }
            Entry::Idle(idle) if idle.arrival <= up_to => {
                if let Some(feed) = position(pipeline, &idle.feed) {
                    alerts.extend(
                        pipeline.idle(feed, &idle.partition, idle.arrival, idle.at_ms).alerts,
                    );
                }
            }
            Entry::Idle(_) | Entry::Rules(_) => {}
        }
    }
    Ok(alerts)
}
