//! Sources: a thread for each configured file, directory and standard input.
//!
//! In: what a source reads. Out: deliveries to the engine, one after the other; a source reads on when what it read is on
//! disk, with the position to go on from. A file that cannot be read is reported and tried again when it changes.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    config::{FileSource, StdinSource},
    handle::{Delivery, Handle, Refused},
    metrics::SourceStage,
    read_file::ReadFile,
    run::Positions,
};
use crate::{
    decode::{Input, OpenOptions, open},
    model::batch::Decoded,
    source::{
        file::{Position, Ready, Watch},
        stdin,
    },
};

/// How often files are looked at.
const POLL: Duration = Duration::from_millis(500);
/// How long a source waits before it tries a disk again that took nothing.
const AGAIN: Duration = Duration::from_secs(1);
/// How often a source looks whether it shall stop.
const STOP: Duration = Duration::from_millis(50);

/// The threads of all sources.
#[derive(Debug)]
pub struct Sources {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Sources {
    /// Starts a thread for each of `files` and for standard input.
    ///
    /// # Errors
    /// [`Refused::UnknownFeed`]; nothing was started then.
    pub fn start(
        handle: &Handle,
        files: &[FileSource],
        stdin: Option<&StdinSource>,
        positions: &Positions,
    ) -> Result<Self, Refused> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut jobs: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
        for source in files {
            let feed = handle.intake().feed(&source.feed)?;
            let of_feed = positions.iter().filter(|((name, _), _)| *name == source.feed);
            let files = FileReader {
                feed,
                watch: Watch::new(&source.path, source.once),
                root: source.path.clone(),
                once: source.once,
                positions: of_feed
                    .filter_map(|((_, partition), text)| {
                        Some((partition.clone(), Position::parse(text)?))
                    })
                    .collect(),
                open: BTreeMap::new(),
                handle: handle.clone(),
                stop: Arc::clone(&stop),
            };
            jobs.push(Box::new(move || files.run()));
        }
        if let Some(source) = stdin {
            let feed = handle.intake().feed(&source.feed)?;
            let (handle, source) = (handle.clone(), source.clone());
            jobs.push(Box::new(move || read_stdin(&handle, feed, &source)));
        }
        let spawn = |job| thread::Builder::new().name("source".into()).spawn(job);
        let threads = jobs.into_iter().filter_map(|job| match spawn(job) {
            Ok(thread) => Some(thread),
            Err(error) => {
                tracing::error!(%error, "a source has no thread and is not read");
                None
            }
        });
        Ok(Self { threads: threads.collect(), stop })
    }

    /// Asks the sources to stop after what they are delivering, and waits for those that read files. Standard input may
    /// wait for bytes that never come; its thread ends with the process.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let deadline = STOP * 100;
        let mut waited = Duration::ZERO;
        while self.threads.iter().any(|t| !t.is_finished()) && waited < deadline {
            thread::sleep(STOP);
            waited += STOP;
        }
    }

    /// Whether every source has ended by itself.
    #[must_use]
    pub fn have_ended(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }
}

struct FileReader {
    feed: usize,
    watch: Watch,
    root: PathBuf,
    once: bool,
    /// Partition → how far it was taken, for files that are not open.
    positions: BTreeMap<String, Position>,
    open: BTreeMap<PathBuf, ReadFile>,
    handle: Handle,
    stop: Arc<AtomicBool>,
}

impl FileReader {
    fn run(mut self) {
        let mut failed = false;
        while !self.stopping() {
            let polled = self.poll();
            self.count(SourceStage::Look, polled.is_err());
            match polled {
                Ok(ready) => {
                    failed = false;
                    for file in ready {
                        if self.read(&file).is_err() {
                            return;
                        }
                    }
                }
                // Said once, not at every look.
                Err(error) if !failed => {
                    failed = true;
                    tracing::error!(path = %self.root.display(), %error, "source cannot be read");
                }
                Err(_) => {}
            }
            if self.once {
                return;
            }
            let mut waited = Duration::ZERO;
            while waited < POLL && !self.stopping() {
                thread::sleep(STOP);
                waited += STOP;
            }
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "whether a file has settled is a matter of the clock"
    )]
    fn poll(&mut self) -> io::Result<Vec<Ready>> {
        self.watch.poll(Instant::now())
    }

    /// Reads what is new in a file; the error says that the engine takes nothing any more.
    fn read(&mut self, ready: &Ready) -> Result<(), Refused> {
        let partition = ready.path.display().to_string();
        let Some(mut file) =
            self.open.remove(&ready.path).or_else(|| self.start(&ready.path, &partition))
        else {
            tracing::warn!(path = partition, "file has no known ending, passed over");
            return Ok(());
        };
        let mut read = false;
        while !self.stopping() {
            let taken = file.position().clone();
            let next = file.next(ready);
            self.count(SourceStage::Read, next.is_err());
            match next {
                Ok(Some(piece)) => {
                    read = true;
                    let done = piece.position.done;
                    match self.deliver(&partition, piece.decoded, &piece.position, done) {
                        Ok(()) => {}
                        Err(error @ Refused::Disk { .. }) => {
                            tracing::error!(path = partition, %error, "file is read again");
                            thread::sleep(AGAIN);
                            self.positions.insert(partition.clone(), taken);
                            let Some(again) = self.start(&ready.path, &partition) else { break };
                            file = again;
                        }
                        Err(error) => return Err(error),
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(path = partition, %error, "file cannot be read to its end");
                    break;
                }
            }
        }
        if self.once && read && !file.position().done {
            self.deliver(&partition, Vec::new(), file.position(), true)?;
        }
        if ready.settled {
            // Most files never change again: a position is enough to go on with.
            self.positions.insert(partition, file.position().clone());
        } else {
            self.open.insert(ready.path.clone(), file);
        }
        Ok(())
    }

    fn start(&mut self, path: &Path, partition: &str) -> Option<ReadFile> {
        let position = self.positions.remove(partition).unwrap_or_default();
        ReadFile::new(path, |format| self.handle.intake().options(self.feed, format), position)
    }

    fn deliver(
        &self,
        partition: &str,
        decoded: Vec<Decoded>,
        position: &Position,
        ended: bool,
    ) -> Result<(), Refused> {
        let position = Some(position.to_text());
        let partition = partition.into();
        let delivery = Delivery {
            feed: self.feed,
            partition,
            decoded,
            idempotency: None,
            arrived_ms: None,
            position,
            ended,
        };
        let taken = self.handle.deliver(delivery);
        self.count(SourceStage::Take, taken.is_err());
        match taken {
            // Not logged: a piece of a file is far below any limit, so this is reported and passed over.
            Err(error @ Refused::TooLong { .. }) => {
                tracing::error!(%error, "a piece of a file was not taken")
            }
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        Ok(())
    }

    fn count(&self, stage: SourceStage, failed: bool) {
        let name = self.handle.intake().feeds()[self.feed].name();
        self.handle.metrics().source(name, stage, failed);
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn read_stdin(handle: &Handle, feed: usize, source: &StdinSource) {
    let options = OpenOptions {
        eager: true,
        compression: source.compression,
        ..handle.intake().options(feed, source.format)
    };
    let delivery = |decoded, ended| Delivery {
        feed,
        partition: stdin::PARTITION.into(),
        decoded,
        idempotency: None,
        arrived_ms: None,
        position: None,
        ended,
    };
    let stream = match open(Input::Reader(stdin::reader()), &options) {
        Ok(stream) => stream,
        Err(error) => return tracing::error!(%error, "standard input cannot be read"),
    };
    for decoded in stream {
        match decoded {
            Ok(decoded) => loop {
                // What was read cannot be read again.
                match handle.deliver(delivery(vec![decoded.clone()], false)) {
                    Ok(_) | Err(Refused::TooLong { .. }) => break,
                    Err(Refused::Disk { .. }) => thread::sleep(AGAIN),
                    Err(_) => return,
                }
            },
            Err(error) => tracing::error!(%error, "standard input cannot be read to its end"),
        }
    }
    // The engine may be stopping; then nobody needs to know.
    let _ = handle.deliver(delivery(Vec::new(), true));
}
