//! Metrics: what Prometheus is told; every metric name of forewarn stands in this folder (`process_*` in `process`).
//!
//! In: what the rooms say has happened — steps of the walk, stored revisions, deliveries, requests — once per batch,
//! never per event. Out: the text of `GET /metrics`. The engine's thread writes, scrapes only read, so a scrape never waits
//! for the engine.
//! Promise: names and labels follow the monitoring contract (prefix `forewarn_`, base units, counters end in `_total`);
//! labels come from closed sets, feed and rule names and sink names, never from data; series known in advance are there
//! with 0. What the walk through the log repeats at start is not counted again.
//! Where to look: `feed`, `rule`, `alert`, `sink`, `source`, `state`, `http` each hold the series of one idea.
//!
//! Not exported yet, because the engine could not fill it honestly: `config_last_reload_*` (nothing is reloaded), result
//! `filtered` and `forewarn_feed_bytes_total`, `forewarn_source_{lag_records,offset}` (no broker), `forewarn_window_close_duration_seconds` and `forewarn_rule_evaluation_seconds_total` (the walk has no clock
//! inside), `forewarn_rule_{blocked,state_bytes,keys,evictions_total,verdicts_total}`, `forewarn_case*`,
//! `forewarn_alerts_suppressed_total`, `forewarn_checkpoint*`, `forewarn_sql_queries_total`, `forewarn_audit_*`.

mod alert;
mod feed;
mod http;
mod maker;
mod rule;
mod sink;
mod source;
mod state;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use prometheus::{
    Encoder, Gauge, Histogram, HistogramTimer, IntGauge, IntGaugeVec, Registry, TextEncoder,
};

use self::{
    alert::Alerts,
    feed::Feed,
    http::Http,
    maker::{Maker, seconds, whole},
    rule::{Rule, Totals},
    sink::Sinks,
    source::Sources,
    state::Sizes,
};
pub use self::{http::Following, sink::Delivered, source::SourceStage};
use super::{
    pipeline::{Pipeline, Step},
    process::Process,
    view::{RuleWork, SinkRow},
};
use crate::{
    model::{
        alert::State,
        batch::{Batch, DeadLetter},
        signal::Severity,
        time::Zone,
    },
    rule::{
        file::{Kind, Status},
        plan::RulePlan,
    },
    store::alerts::Told,
};

/// Version of the text format of [`Metrics::text`], as a content type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Walking one delivery, seconds.
const WALK_S: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0];
/// One request or delivery over the network, seconds.
const REQUEST_S: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0];

/// All metrics of one engine.
pub struct Metrics {
    registry: Registry,
    process: Process,
    feeds: Vec<Feed>,
    rules: Vec<Rule>,
    alerts: Alerts,
    sinks: Sinks,
    sources: Sources,
    sizes: Sizes,
    /// Off while the log is walked again.
    counting: AtomicBool,
    queue_length: IntGauge,
    queue_capacity: IntGauge,
    evaluation: Histogram,
    http: Http,
    businesses: IntGauge,
    clock: Gauge,
    series: IntGauge,
}

/// What nobody counts as it happens and a scrape looks up.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    /// Open dead letters by feed; `None` where that is not known now.
    pub open_letters: Vec<Option<usize>>,
    /// Bytes of log, dead letters and alert store.
    pub disk_bytes: u64,
    /// Businesses that records have named.
    pub businesses: usize,
    /// For how long each feed may be silent.
    pub silence_max_ms: Vec<i64>,
}

impl Metrics {
    /// The metrics of an engine with these feeds and rules; `sinks` by name.
    #[must_use]
    pub fn new(pipeline: &Pipeline, rules_hash: &str, sinks: &[String]) -> Self {
        let make = Maker(Registry::new());
        about(&make, pipeline, rules_hash);
        let queue = |g: &IntGaugeVec| g.with_label_values(&["requests"]);
        let evaluation = make.histograms(
            "forewarn_evaluation_duration_seconds",
            "Walking one delivery or one silence through windows and rules.",
            &[],
            &WALK_S,
        );
        Self {
            feeds: feed::feeds(&make, pipeline),
            rules: rule::rules(&make, pipeline),
            alerts: Alerts::new(&make),
            sinks: Sinks::new(&make, sinks),
            sources: Sources::new(&make, pipeline),
            sizes: Sizes::new(&make, pipeline),
            process: Process::new(&make.0),
            counting: AtomicBool::new(false),
            queue_length: queue(&make.gauges(
                "forewarn_queue_length",
                "Requests that wait for the engine.",
                &["queue"],
            )),
            queue_capacity: queue(&make.gauges(
                "forewarn_queue_capacity",
                "Requests that may wait for the engine.",
                &["queue"],
            )),
            evaluation: evaluation.with_label_values::<&str>(&[]),
            http: Http::new(&make),
            businesses: make.gauge("forewarn_entities", "Businesses that records have named."),
            clock: make.float_gauge(
                "forewarn_clock_timestamp_seconds",
                "The present as the engine has it: the machine's, in a demo that of the province.",
            ),
            series: make.gauge("forewarn_metric_series", "Series on this page."),
            registry: make.0,
        }
    }

    /// Counts from now on; `active` are the alerts that are there.
    pub(super) fn begin(&self, pipeline: &Pipeline, active: Vec<(String, State, Severity)>) {
        self.alerts.begin(active);
        self.settle(pipeline);
        self.counting.store(true, Ordering::Relaxed);
    }

    fn counting(&self) -> bool {
        self.counting.load(Ordering::Relaxed)
    }

    /// Observes the time until it is dropped; nothing while the log is walked again.
    pub(super) fn evaluation_timer(&self) -> Option<HistogramTimer> {
        self.counting().then(|| self.evaluation.start_timer())
    }

    /// Rows of `feed` have arrived.
    pub(super) fn arrived(&self, feed: usize, batches: &[Batch], arrived_ms: i64, zone: &Zone) {
        self.feeds[feed].arrived(batches, arrived_ms, zone, self.counting());
    }

    /// Rows of `feed` could not be decoded.
    pub(super) fn undecoded<'a>(
        &self,
        feed: usize,
        letters: impl IntoIterator<Item = &'a DeadLetter>,
    ) {
        letters.into_iter().for_each(|letter| self.feeds[feed].undecoded(letter.class));
    }

    /// A step of the walk was taken.
    pub(super) fn stepped(&self, step: &Step) {
        if !self.counting() {
            return;
        }
        for (feed, counts) in self.feeds.iter().zip(&step.counts) {
            feed.admitted(counts);
        }
        for (feed, _, letter) in &step.dead {
            self.feeds[*feed].bury(letter.class);
        }
        for signals in &step.signals {
            self.rules[signals.rule].signals.inc_by(signals.len() as u64);
        }
    }

    /// Shows how far the pipeline is; after each group of requests and each tick.
    pub(super) fn settle(&self, pipeline: &Pipeline) {
        let idle = pipeline.idle_partitions();
        for ((feed, watermark), idle) in self.feeds.iter().zip(pipeline.watermarks()).zip(idle) {
            feed.reached(watermark, idle);
        }
        let counts = pipeline.troubles().into_iter().zip(pipeline.evaluations());
        for (rule, ((failures, not_ready), evaluations)) in self.rules.iter().zip(counts) {
            rule.counted(Totals { evaluations, failures, not_ready }, self.counting());
        }
        for (rule, held) in self.rules.iter().zip(pipeline.held_runs()) {
            rule.holds(held);
        }
        self.sizes.look(pipeline);
    }

    /// Revisions were stored at `now_ms`.
    pub(super) fn stored<'a>(&self, told: impl IntoIterator<Item = &'a Told>, now_ms: i64) {
        if self.counting() {
            self.alerts.stored(told, now_ms);
        }
    }

    /// A source did something for `feed`, or failed to.
    pub(super) fn source(&self, feed: &str, stage: SourceStage, failed: bool) {
        self.sources.did(feed, stage, failed);
    }

    /// Runs `wait`, a source's wait for a place in the queue.
    pub(super) fn waiting<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.sources.waiting(wait)
    }

    /// Observes the time of a delivery until it is dropped.
    pub(super) fn delivery_timer(&self, sink: &str) -> HistogramTimer {
        self.sinks.timer(sink)
    }

    /// `n` revisions went to a sink, or did not.
    pub(super) fn delivered(&self, sink: &str, result: Delivered, n: u64) {
        self.sinks.delivered(sink, result, n);
    }

    /// The sinks on the network, by name; `now_ms` is what waiting is held against.
    #[must_use]
    pub fn sinks(&self, now_ms: i64) -> Vec<SinkRow> {
        self.sinks.rows(now_ms)
    }

    /// What each rule of the plan did since the log's beginning, by id.
    #[must_use]
    pub fn work(&self) -> BTreeMap<String, RuleWork> {
        self.rules.iter().map(|rule| (rule.id.clone(), rule.work())).collect()
    }

    /// So many revisions wait for a sink, the oldest since `since_ms`.
    pub(super) fn undelivered(&self, sink: &str, n: u64, since_ms: Option<i64>) {
        self.sinks.undelivered(sink, n, since_ms);
    }

    /// Observes the time until the answer to a request begins. `route` is a template of the router, never a path.
    pub fn request_timer(&self, route: &str) -> HistogramTimer {
        self.http.timer(route)
    }

    /// A request was answered; `code` is the class of the status: `2xx`.
    pub fn requested(&self, route: &str, method: &str, code: &str) {
        self.http.requested(route, method, code);
    }

    /// A client follows the stream, until what is returned is dropped.
    pub fn following(&self) -> Following {
        self.http.following()
    }

    /// All of it in the text format 0.0.4 at `now_ms`; `waiting` of at most `capacity` requests wait for the engine.
    #[must_use]
    pub fn text(
        &self,
        outside: &Outside,
        now_ms: i64,
        (waiting, capacity): (usize, usize),
    ) -> String {
        for (feed, silence_ms) in self.feeds.iter().zip(&outside.silence_max_ms) {
            feed.may_be_silent(*silence_ms);
        }
        self.clock.set(seconds(now_ms));
        for (feed, open) in self.feeds.iter().zip(&outside.open_letters) {
            feed.waiting_letters(*open);
        }
        self.sizes.on_disk(outside.disk_bytes);
        self.businesses.set(whole(outside.businesses));
        self.queue_length.set(whole(waiting));
        self.queue_capacity.set(whole(capacity));
        self.process.look();
        let series = |family: &prometheus::proto::MetricFamily| {
            let buckets = |m: &prometheus::proto::Metric| m.get_histogram().get_bucket().len();
            let is_histogram = family.get_field_type() == prometheus::proto::MetricType::HISTOGRAM;
            let of = |m| if is_histogram { buckets(m) + 3 } else { 1 };
            family.get_metric().iter().map(of).sum::<usize>()
        };
        self.series.set(whole(self.registry.gather().iter().map(series).sum()));
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be written");
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

/// What does not change while the process runs.
fn about(make: &Maker, pipeline: &Pipeline, rules_hash: &str) {
    let build = make.gauges(
        "forewarn_build_info",
        "1, with the version and the revision it was built from.",
        &["version", "revision"],
    );
    let revision = option_env!("FOREWARN_REVISION").unwrap_or("unknown");
    build.with_label_values(&[env!("CARGO_PKG_VERSION"), revision]).set(1);
    let info =
        make.gauges("forewarn_rules_info", "1, with the hash of feeds and rules.", &["hash"]);
    info.with_label_values(&[rules_hash]).set(1);
    let rules = make.gauges("forewarn_rules", "Rules that run.", &["status", "kind"]);
    let status = |s| if s == Status::Shadow { "shadow" } else { "live" };
    for s in [Status::Shadow, Status::Live] {
        for k in Kind::ALL {
            let of_both = |r: &&RulePlan| (r.status, r.kind) == (s, k);
            let n = pipeline.plan().rules.iter().filter(of_both).count();
            rules.with_label_values(&[status(s), k.word()]).set(whole(n));
        }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Metrics({} feeds, {} rules)", self.feeds.len(), self.rules.len())
    }
}
