//! Disk: what a scrape wants to know of the data directory and the index.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::Desk;
use crate::{
    engine::metrics::Outside,
    feed::FeedSpec,
    store::{backlog::Backlog, dead_letters},
};

/// What lies in the data directory beside the alert store.
const DIRECTORIES: [&str; 2] = ["log", "dead_letters"];

/// The dead letters of each feed that are open.
pub(super) struct Backlogs(Mutex<Vec<Backlog>>);

impl Backlogs {
    pub(super) fn new(data: &Path, specs: &[FeedSpec]) -> Self {
        let of_feed = |spec: &FeedSpec| Backlog::new(dead_letters::file(data, spec.name()));
        Self(Mutex::new(specs.iter().map(of_feed).collect()))
    }
}

impl Desk {
    /// What metrics cannot count as it happens; waits for the disk.
    #[must_use]
    pub fn outside(&self) -> Outside {
        let mut backlogs = self.backlogs.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open = |backlog: &mut Backlog| match backlog.look() {
            Ok(open) => Some(open),
            Err(error) => {
                tracing::warn!(%error, "dead letters cannot be counted");
                None
            }
        };
        Outside {
            open_letters: backlogs.iter_mut().map(open).collect(),
            disk_bytes: bytes(&self.data),
            businesses: self.index().sizes().1,
            silence_max_ms: self
                .index()
                .feeds()
                .iter()
                .map(|f| f.rhythm.silence_max_ms())
                .collect(),
        }
    }
}

/// Bytes of log, dead letters and alert store.
fn bytes(data: &Path) -> u64 {
    let files = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().flatten();
    let stored = files(data.to_owned())
        .filter(|file| file.file_name().to_string_lossy().starts_with("forewarn.db"));
    let all = DIRECTORIES.into_iter().flat_map(|name| files(data.join(name))).chain(stored);
    all.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}
