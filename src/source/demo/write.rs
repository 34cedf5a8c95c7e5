//! Writing a province into files: one NDJSON file per feed in the order of arrival, and the truth.
//!
//! Days are made on all cores, a few ahead of the one thread that writes them; the bytes do not depend on how many cores.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    ops::Range,
    path::{Path, PathBuf},
    sync::mpsc::sync_channel,
    thread,
};

use rayon::prelude::*;

use super::{Day, Feed, Simulation};
use crate::model::time::Zone;

/// Days made together; enough to keep the cores busy, few enough to hold.
const TOGETHER: usize = 16;
/// Bytes written at once.
const BUFFER_BYTES: usize = 1 << 18;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Lines by feed, in the order of [`Feed::ALL`].
    pub lines: Vec<(Feed, u64)>,
    /// Bytes of all feeds.
    pub bytes: u64,
    /// Incidents in the truth file.
    pub incidents: usize,
}

/// The file of a feed in `dir`.
#[must_use]
pub fn feed_file(dir: &Path, feed: Feed) -> PathBuf {
    dir.join(format!("{}.ndjson", feed.name()))
}

/// The file of the truth in `dir`.
#[must_use]
pub fn truth_file(dir: &Path) -> PathBuf {
    dir.join("truth.ndjson")
}

/// Writes the days of `span` and the truth about them into `dir`, which is made. `progress` hears of every day written.
///
/// # Errors
/// When the system refuses.
pub fn write(
    province: &Simulation,
    span: Range<i32>,
    dir: &Path,
    mut progress: impl FnMut() + Send,
) -> io::Result<Written> {
    std::fs::create_dir_all(dir)?;
    let mut files = Files::create(dir)?;
    let (send, receive) = sync_channel::<Vec<Day>>(2);
    let days: Vec<i32> = span.clone().collect();
    thread::scope(|scope| {
        let writer = scope.spawn(move || -> io::Result<Files> {
            for day in receive.into_iter().flatten() {
                files.add(&day)?;
                progress();
            }
            files.flush()?;
            Ok(files)
        });
        for together in days.chunks(TOGETHER) {
            let made = together.par_iter().map(|day| province.day(*day)).collect();
            // The writer is gone when it failed; its error comes below.
            if send.send(made).is_err() {
                break;
            }
        }
        drop(send);
        let files = writer.join().map_err(|_| io::Error::other("the writing thread stopped"))??;
        let incidents = truth(province, span, dir)?;
        Ok(Written { lines: files.lines(), bytes: files.bytes, incidents })
    })
}

fn truth(province: &Simulation, span: Range<i32>, dir: &Path) -> io::Result<usize> {
    let zone = Zone::parse("Asia/Shanghai").map_err(io::Error::other)?;
    let incidents = province.incidents(span);
    let mut out = BufWriter::new(File::create(truth_file(dir))?);
    for incident in &incidents {
        writeln!(out, "{}", incident.to_json(&zone))?;
    }
    out.flush()?;
    Ok(incidents.len())
}

/// One file per feed.
struct Files {
    files: Vec<(BufWriter<File>, u64)>,
    bytes: u64,
}

impl Files {
    fn create(dir: &Path) -> io::Result<Self> {
        let open = |feed: Feed| {
            let file = File::create(feed_file(dir, feed))?;
            Ok((BufWriter::with_capacity(BUFFER_BYTES, file), 0))
        };
        Ok(Self { files: Feed::ALL.into_iter().map(open).collect::<io::Result<_>>()?, bytes: 0 })
    }

    fn add(&mut self, day: &Day) -> io::Result<()> {
        for record in day.records() {
            let (file, lines) = &mut self.files[record.feed as usize];
            file.write_all(record.line)?;
            *lines += 1;
            self.bytes += record.line.len() as u64;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.files.iter_mut().try_for_each(|(file, _)| file.flush())
    }

    fn lines(&self) -> Vec<(Feed, u64)> {
        Feed::ALL.into_iter().zip(self.files.iter().map(|(_, lines)| *lines)).collect()
    }
}
