//! What is counted of sources: looks and deliveries, failed ones, and waits for the engine.

use std::time::Instant;

use prometheus::{Counter, CounterVec, IntCounterVec, Opts};

use super::{super::pipeline::Pipeline, maker::Maker};

/// Where a source failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceStage {
    /// Looking for files.
    Look,
    /// Reading one.
    Read,
    /// Handing over what was read.
    Take,
}

impl SourceStage {
    const ALL: [Self; 3] = [Self::Look, Self::Read, Self::Take];

    fn word(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Read => "read",
            Self::Take => "take",
        }
    }
}

/// The series of sources.
pub(super) struct Sources {
    reads: IntCounterVec,
    errors: IntCounterVec,
    backpressure: Counter,
}

impl Sources {
    pub(super) fn new(make: &Maker, pipeline: &Pipeline) -> Self {
        let sources = Self {
            reads: make.counters(
                "forewarn_source_reads_total",
                "Looks at files and deliveries of sources, failed ones included.",
                &["feed", "stage"],
            ),
            errors: make.counters(
                "forewarn_source_errors_total",
                "Looks and deliveries of sources that failed.",
                &["feed", "stage"],
            ),
            backpressure: make
                .register(CounterVec::new(
                    Opts::new(
                        "forewarn_backpressure_seconds_total",
                        "Time for which sources waited for a place in the engine's queue.",
                    ),
                    &["stage"],
                ))
                .with_label_values(&["source"]),
        };
        for spec in pipeline.specs() {
            for stage in SourceStage::ALL {
                sources.reads.with_label_values(&[spec.name(), stage.word()]);
                sources.errors.with_label_values(&[spec.name(), stage.word()]);
            }
        }
        sources
    }

    pub(super) fn did(&self, feed: &str, stage: SourceStage, failed: bool) {
        self.reads.with_label_values(&[feed, stage.word()]).inc();
        if failed {
            self.errors.with_label_values(&[feed, stage.word()]).inc();
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "how long a source waits is a matter of the clock"
    )]
    pub(super) fn waiting<T>(&self, wait: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = wait();
        self.backpressure.inc_by(began.elapsed().as_secs_f64());
        done
    }
}
