//! How big the engine's state is.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use prometheus::IntGauge;

use super::{
    super::pipeline::Pipeline,
    maker::{Maker, whole},
};

/// How long a look at the sizes of all state is good for.
const SIZES_FOR: Duration = Duration::from_secs(60);

/// The series of state.
pub(super) struct Sizes {
    bytes: IntGauge,
    disk: IntGauge,
    keys: IntGauge,
    /// Of rules that hold records by themselves, whatever windows there are: the rule's position, and its bytes.
    rules: Vec<(usize, IntGauge)>,
    /// When the sizes were looked at last.
    sized: Mutex<Option<Instant>>,
}

impl Sizes {
    pub(super) fn new(make: &Maker, pipeline: &Pipeline) -> Self {
        let of_rules = make.gauges(
            "forewarn_rule_state_bytes",
            "Size of what a rule over sequences or first times holds in memory.",
            &["rule"],
        );
        let rules = pipeline.plan().rules.iter().enumerate();
        let rules = rules.filter(|(_, rule)| rule.sequence.is_some());
        let bytes = make.gauges(
            "forewarn_state_bytes",
            "Size of windows, keys, row references, sequences and remembered records in memory; of log, dead letters and alerts on disk.",
            &["store"],
        );
        Self {
            bytes: bytes.with_label_values(&["memory"]),
            disk: bytes.with_label_values(&["disk"]),
            keys: make
                .gauges("forewarn_state_keys", "Keys known to the rules.", &["store"])
                .with_label_values(&["memory"]),
            rules: rules
                .map(|(r, rule)| (r, of_rules.with_label_values(&[rule.id.as_str()])))
                .collect(),
            sized: Mutex::default(),
        }
    }

    /// So much lies in the data directory.
    pub(super) fn on_disk(&self, bytes: u64) {
        self.disk.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Shows how big the state is, which takes a look at every key and is therefore done rarely.
    #[expect(clippy::disallowed_methods, reason = "how often to look is a matter of the clock")]
    pub(super) fn look(&self, pipeline: &Pipeline) {
        let mut sized = self.sized.lock().unwrap_or_else(PoisonError::into_inner);
        if sized.is_some_and(|at| at.elapsed() < SIZES_FOR) {
            return;
        }
        let sizes = pipeline.sizes();
        let windows =
            sizes.iter().map(|s| s.series_bytes + s.set_bytes + s.key_bytes + s.row_index_bytes);
        let runs: Vec<usize> = pipeline.run_sizes().into_iter().map(|s| s.bytes).collect();
        self.rules.iter().for_each(|(r, bytes)| bytes.set(whole(runs[*r])));
        let records = pipeline.remembered().into_iter().map(|(_, bytes)| bytes);
        self.bytes.set(whole(windows.chain(runs).chain(records).sum()));
        self.keys.set(whole(sizes.iter().map(|s| s.keys).sum()));
        *sized = Some(Instant::now());
    }
}
