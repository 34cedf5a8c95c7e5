//! Metrics: what Prometheus is told; every metric name of forewarn stands in this file (`process_*` in `process`).
//!
//! In: what the rooms say has happened — steps of the walk, stored revisions, deliveries, requests — once per batch,
//! never per event. Out: the text of `GET /metrics`. The engine's thread writes, scrapes only read, so a scrape never waits
//! for the engine.
//! Promise: names and labels follow the monitoring contract (prefix `forewarn_`, base units, counters end in `_total`);
//! labels come from closed sets, feed and rule names and sink names, never from data; series known in advance are there
//! with 0. What the walk through the log repeats at start is not counted again.
//!
//! Not exported yet, because the engine could not fill it honestly: `config_last_reload_*` (nothing is reloaded), result
//! `filtered` and `forewarn_feed_bytes_total`, `forewarn_dead_letter_backlog`, `forewarn_source_{lag_records,offset}` (no
//! broker), `forewarn_window_close_duration_seconds` and `forewarn_rule_evaluation_seconds_total` (the walk has no clock
//! inside), `forewarn_rule_{blocked,state_bytes,keys,evictions_total,verdicts_total}`, `forewarn_case*`,
//! `forewarn_alerts_suppressed_total`, `forewarn_checkpoint*`, `forewarn_entities`, `forewarn_sse_clients`,
//! `forewarn_sql_queries_total`, `forewarn_audit_*`, and the disk's part of `forewarn_state_bytes`.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use prometheus::{
    Counter, CounterVec, Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramTimer,
    HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    core::Collector,
};

use super::{
    pipeline::{Pipeline, Step},
    process::Process,
    view::{RuleWork, SinkRow},
};
use crate::{
    model::{
        alert::State,
        batch::{Batch, DeadClass, DeadLetter},
        signal::Severity,
        time::Zone,
    },
    pane::prepare::time_values,
    rule::file::{Kind, Status},
    store::alerts::Told,
};

/// Version of the text format of [`Metrics::text`], as a content type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Arrival minus event time, from an hour to four months, seconds.
const LATENESS_S: [f64; 10] = [
    3_600.0,
    21_600.0,
    86_400.0,
    172_800.0,
    259_200.0,
    604_800.0,
    1_209_600.0,
    2_592_000.0,
    5_184_000.0,
    10_368_000.0,
];
/// Walking one delivery, seconds.
const WALK_S: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0, 30.0];
/// From arrival to a stored alert, seconds.
const TO_ALERT_S: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0];
/// One request or delivery over the network, seconds.
const REQUEST_S: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0];
/// State that an alert can be in and still count as one that is there.
const ACTIVE: [State; 3] = [State::Pending, State::Firing, State::Suppressed];
/// A revision that left the state as it was.
const REVISED: &str = "revised";
/// How long a look at the sizes of all state is good for.
const SIZES_FOR: Duration = Duration::from_secs(60);

/// A sink that does not take what has waited for so long is failing, seconds; the Prometheus rules say the same.
const FAILING_S: u64 = 600;

/// What became of one delivery to a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// The sink has it.
    Delivered,
    /// It failed and is tried again.
    Retried,
    /// The sink refused it for good.
    Refused,
}

impl Delivered {
    const ALL: [Self; 3] = [Self::Delivered, Self::Retried, Self::Refused];

    fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retried => "retried",
            Self::Refused => "refused",
        }
    }
}

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

/// All metrics of one engine.
pub struct Metrics {
    /// Sinks on the network, by name.
    sinks: Vec<String>,
    registry: Registry,
    process: Process,
    feeds: Vec<Feed>,
    rules: Vec<Rule>,
    /// Off while the log is walked again.
    counting: AtomicBool,
    /// Alerts that are there, and how.
    active: Mutex<BTreeMap<String, (State, Severity)>>,
    /// When the sizes of the state were looked at last.
    sized: Mutex<Option<Instant>>,
    source_reads: IntCounterVec,
    source_errors: IntCounterVec,
    backpressure: Counter,
    queue_length: IntGauge,
    queue_capacity: IntGauge,
    evaluation: Histogram,
    to_alert: HistogramVec,
    alerts: IntGaugeVec,
    transitions: IntCounterVec,
    retractions: IntCounter,
    deliveries: IntCounterVec,
    delivery_seconds: HistogramVec,
    backlog: IntGaugeVec,
    oldest: GaugeVec,
    state_bytes: IntGauge,
    state_keys: IntGauge,
    http_requests: IntCounterVec,
    http_seconds: HistogramVec,
    series: IntGauge,
}

/// The series of one feed.
struct Feed {
    event_time: usize,
    max_skew_ms: i64,
    accepted: IntCounter,
    duplicate: IntCounter,
    late: IntCounter,
    dead_letter: IntCounter,
    dead_letters: BTreeMap<DeadClass, IntCounter>,
    watermark: Gauge,
    last_event: Gauge,
    last_arrival: Gauge,
    lateness: Histogram,
    idle: IntGauge,
    unattributed: IntCounter,
}

/// The series of one rule, and what the pipeline had counted when it was looked at last.
struct Rule {
    id: String,
    evaluations: IntCounter,
    failures: IntCounter,
    not_ready: IntCounter,
    signals: IntCounter,
    seen: Mutex<Totals>,
}

/// What the pipeline counts of a rule since it was made.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    evaluations: u64,
    failures: u64,
    not_ready: u64,
}

/// Makes metrics and registers them.
struct Maker(Registry);

impl Maker {
    fn register<C: Collector + Clone + 'static>(&self, metric: prometheus::Result<C>) -> C {
        let metric = metric.expect("names and labels of this file are valid");
        self.0.register(Box::new(metric.clone())).expect("each name stands once in this file");
        metric
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.register(IntCounter::new(name, help))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.register(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.register(IntGauge::new(name, help))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.register(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    /// Instants and sizes that are not whole numbers.
    fn float_gauges(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.register(GaugeVec::new(Opts::new(name, help), labels))
    }

    fn histograms(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.register(HistogramVec::new(options, labels))
    }
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
        let metrics = Self {
            feeds: feeds(&make, pipeline),
            rules: rules(&make, pipeline),
            process: Process::new(&make.0),
            counting: AtomicBool::new(false),
            active: Mutex::default(),
            sized: Mutex::default(),
            source_reads: make.counters(
                "forewarn_source_reads_total",
                "Looks at files and deliveries of sources, failed ones included.",
                &["feed", "stage"],
            ),
            source_errors: make.counters(
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
            to_alert: make.histograms(
                "forewarn_event_to_alert_seconds",
                "From the arrival of the record that raised an alert until the alert was stored.",
                &["severity"],
                &TO_ALERT_S,
            ),
            alerts: make.gauges(
                "forewarn_alerts",
                "Alerts whose condition holds, by severity and state.",
                &["severity", "state"],
            ),
            transitions: make.counters(
                "forewarn_alert_transitions_total",
                "Revisions of alerts by the state they entered; revised: the state stayed.",
                &["transition"],
            ),
            retractions: make.counter(
                "forewarn_alert_retractions_total",
                "Alerts taken back because records were corrected or withdrawn.",
            ),
            deliveries: make.counters(
                "forewarn_sink_deliveries_total",
                "Deliveries to sinks by what became of them.",
                &["sink", "result"],
            ),
            delivery_seconds: make.histograms(
                "forewarn_sink_delivery_duration_seconds",
                "Time of one delivery to a sink.",
                &["sink"],
                &REQUEST_S,
            ),
            backlog: make.gauges(
                "forewarn_sink_backlog",
                "Revisions that a sink does not have yet.",
                &["sink"],
            ),
            oldest: make.float_gauges(
                "forewarn_sink_oldest_undelivered_timestamp_seconds",
                "Since when the oldest revision waits for the sink; 0 where none waits.",
                &["sink"],
            ),
            state_bytes: make
                .gauges("forewarn_state_bytes", "Size of windows, keys and kept rows.", &["store"])
                .with_label_values(&["memory"]),
            state_keys: make
                .gauges("forewarn_state_keys", "Keys known to the rules.", &["store"])
                .with_label_values(&["memory"]),
            http_requests: make.counters(
                "forewarn_http_requests_total",
                "HTTP requests by route, method and class of status.",
                &["route", "method", "code"],
            ),
            http_seconds: make.histograms(
                "forewarn_http_request_duration_seconds",
                "HTTP requests until their answer began.",
                &["route"],
                &REQUEST_S,
            ),
            series: make.gauge("forewarn_metric_series", "Series on this page."),
            sinks: sinks.to_vec(),
            registry: make.0,
        };
        metrics.foretell(pipeline, sinks);
        metrics
    }

    /// Series that are known in advance are there with 0.
    fn foretell(&self, pipeline: &Pipeline, sinks: &[String]) {
        for spec in pipeline.specs() {
            for stage in SourceStage::ALL {
                self.source_reads.with_label_values(&[spec.name(), stage.word()]);
                self.source_errors.with_label_values(&[spec.name(), stage.word()]);
            }
        }
        for severity in Severity::ALL {
            self.to_alert.with_label_values(&[severity.word()]);
            for state in ACTIVE {
                self.alerts.with_label_values(&[severity.word(), state.word()]);
            }
        }
        for word in State::ALL.map(State::word).into_iter().chain([REVISED]) {
            self.transitions.with_label_values(&[word]);
        }
        for sink in sinks {
            for result in Delivered::ALL {
                self.deliveries.with_label_values(&[sink.as_str(), result.word()]);
            }
            self.delivery_seconds.with_label_values(&[sink]);
            self.backlog.with_label_values(&[sink]);
            self.oldest.with_label_values(&[sink]);
        }
    }

    /// Counts from now on; `active` are the alerts that are there.
    pub(super) fn begin(&self, pipeline: &Pipeline, active: Vec<(String, State, Severity)>) {
        *self.active.lock().unwrap_or_else(PoisonError::into_inner) =
            active.into_iter().map(|(id, state, severity)| (id, (state, severity))).collect();
        self.show_alerts();
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
        let feed = &self.feeds[feed];
        let lateness = feed.lateness.local();
        let mut last = i64::MIN;
        for batch in batches {
            for event_ms in time_values(batch.rows.column(feed.event_time), zone) {
                // One dated too far ahead is refused and says nothing about the feed.
                if event_ms <= arrived_ms.saturating_add(feed.max_skew_ms) {
                    last = last.max(event_ms);
                    lateness.observe((arrived_ms - event_ms).max(0) as f64 / 1_000.0);
                }
            }
        }
        if self.counting() {
            lateness.flush();
        } else {
            lateness.clear();
        }
        if last != i64::MIN {
            feed.last_event.set(feed.last_event.get().max(seconds(last)));
        }
        feed.last_arrival.set(seconds(arrived_ms));
    }

    /// Rows of `feed` could not be decoded.
    pub(super) fn undecoded<'a>(
        &self,
        feed: usize,
        letters: impl IntoIterator<Item = &'a DeadLetter>,
    ) {
        for letter in letters {
            self.feeds[feed].dead_letter.inc();
            self.feeds[feed].bury(letter.class);
        }
    }

    /// A step of the walk was taken.
    pub(super) fn stepped(&self, step: &Step) {
        if !self.counting() {
            return;
        }
        for (feed, counts) in self.feeds.iter().zip(&step.counts) {
            feed.accepted.inc_by(counts.accepted);
            feed.duplicate.inc_by(counts.duplicates);
            feed.late.inc_by(counts.late);
            feed.dead_letter.inc_by(counts.future);
            feed.unattributed.inc_by(counts.unattributed);
        }
        for (feed, _, letter) in &step.dead {
            self.feeds[*feed].bury(letter.class);
        }
        for signal in &step.signals {
            self.rules[signal.rule].signals.inc();
        }
    }

    /// Shows how far the pipeline is; after each group of requests and each tick.
    pub(super) fn settle(&self, pipeline: &Pipeline) {
        let idle = pipeline.idle_partitions();
        for ((feed, watermark), idle) in self.feeds.iter().zip(pipeline.watermarks()).zip(idle) {
            feed.watermark.set(watermark.map_or(0.0, seconds));
            feed.idle.set(whole(idle));
        }
        let counts = pipeline.troubles().into_iter().zip(pipeline.evaluations());
        for (rule, ((failures, not_ready), evaluations)) in self.rules.iter().zip(counts) {
            let mut seen = rule.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if self.counting() {
                rule.evaluations.inc_by(evaluations - seen.evaluations);
                rule.failures.inc_by(failures - seen.failures);
                rule.not_ready.inc_by(not_ready - seen.not_ready);
            }
            *seen = Totals { evaluations, failures, not_ready };
        }
        self.size(pipeline);
    }

    /// Shows how big the state is, which takes a look at every key and is therefore done rarely.
    #[expect(clippy::disallowed_methods, reason = "how often to look is a matter of the clock")]
    fn size(&self, pipeline: &Pipeline) {
        let mut sized = self.sized.lock().unwrap_or_else(PoisonError::into_inner);
        if sized.is_some_and(|at| at.elapsed() < SIZES_FOR) {
            return;
        }
        let sizes = pipeline.sizes();
        let bytes = sizes
            .iter()
            .map(|s| s.series_bytes + s.set_bytes + s.key_bytes + s.row_index_bytes)
            .sum();
        self.state_bytes.set(whole(bytes));
        self.state_keys.set(whole(sizes.iter().map(|s| s.keys).sum()));
        *sized = Some(Instant::now());
    }

    /// Revisions were stored at `now_ms`.
    pub(super) fn stored<'a>(&self, told: impl IntoIterator<Item = &'a Told>, now_ms: i64) {
        if !self.counting() {
            return;
        }
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        for one in told {
            let before = if ACTIVE.contains(&one.state) {
                active.insert(one.id.clone(), (one.state, one.severity))
            } else {
                active.remove(&one.id)
            };
            let stayed = before.is_some_and(|(state, _)| state == one.state);
            let word = if stayed { REVISED } else { one.state.word() };
            self.transitions.with_label_values(&[word]).inc();
            if one.state == State::Retracted {
                self.retractions.inc();
            }
            if one.revision == 1 {
                let took = (now_ms - one.known_ms).max(0) as f64 / 1_000.0;
                self.to_alert.with_label_values(&[one.severity.word()]).observe(took);
            }
        }
        drop(active);
        self.show_alerts();
    }

    fn show_alerts(&self) {
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts: BTreeMap<(Severity, State), i64> = BTreeMap::new();
        active.values().for_each(|(state, severity)| {
            *counts.entry((*severity, *state)).or_default() += 1;
        });
        for severity in Severity::ALL {
            for state in ACTIVE {
                let n = counts.get(&(severity, state)).copied().unwrap_or(0);
                self.alerts.with_label_values(&[severity.word(), state.word()]).set(n);
            }
        }
    }

    /// A source did something for `feed`, or failed to.
    pub(super) fn source(&self, feed: &str, stage: SourceStage, failed: bool) {
        self.source_reads.with_label_values(&[feed, stage.word()]).inc();
        if failed {
            self.source_errors.with_label_values(&[feed, stage.word()]).inc();
        }
    }

    /// Runs `wait`, a source's wait for a place in the queue.
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

    /// Observes the time of a delivery until it is dropped.
    pub(super) fn delivery_timer(&self, sink: &str) -> HistogramTimer {
        self.delivery_seconds.with_label_values(&[sink]).start_timer()
    }

    /// `n` revisions went to a sink, or did not.
    pub(super) fn delivered(&self, sink: &str, result: Delivered, n: u64) {
        self.deliveries.with_label_values(&[sink, result.word()]).inc_by(n);
    }

    /// The sinks on the network, by name; `now_ms` is what waiting is held against.
    #[must_use]
    pub fn sinks(&self, now_ms: i64) -> Vec<SinkRow> {
        let row = |sink: &String| {
            let since_s = self.oldest.with_label_values(&[sink]).get();
            let waits = (since_s > 0.0).then(|| (seconds(now_ms) - since_s).max(0.0) as u64);
            SinkRow {
                sink: sink.clone(),
                waiting: self.backlog.with_label_values(&[sink]).get().max(0) as u64,
                waiting_seconds: waits,
                failing: waits.is_some_and(|s| s > FAILING_S),
            }
        };
        self.sinks.iter().map(row).collect()
    }

    /// What each rule of the plan did since the log's beginning, by id.
    #[must_use]
    pub fn work(&self) -> BTreeMap<String, RuleWork> {
        let work = |rule: &Rule| {
            let seen = *rule.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let Totals { evaluations, failures, not_ready } = seen;
            (rule.id.clone(), RuleWork { evaluations, failures, not_ready })
        };
        self.rules.iter().map(work).collect()
    }

    /// So many revisions wait for a sink, the oldest since `since_ms`.
    pub(super) fn undelivered(&self, sink: &str, n: u64, since_ms: Option<i64>) {
        self.backlog.with_label_values(&[sink]).set(i64::try_from(n).unwrap_or(i64::MAX));
        self.oldest.with_label_values(&[sink]).set(since_ms.map_or(0.0, seconds));
    }

    /// Observes the time until the answer to a request begins. `route` is a template of the router, never a path.
    pub fn request_timer(&self, route: &str) -> HistogramTimer {
        self.http_seconds.with_label_values(&[route]).start_timer()
    }

    /// A request was answered; `code` is the class of the status: `2xx`.
    pub fn requested(&self, route: &str, method: &str, code: &str) {
        self.http_requests.with_label_values(&[route, method, code]).inc();
    }

    /// All of it in the text format 0.0.4; `waiting` of at most `capacity` requests wait for the engine.
    #[must_use]
    pub fn text(&self, waiting: usize, capacity: usize) -> String {
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

impl Feed {
    fn bury(&self, class: DeadClass) {
        if let Some(counter) = self.dead_letters.get(&class) {
            counter.inc();
        }
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
    let kind = |k| if k == Kind::Instant { "instant" } else { "window" };
    let status = |s| if s == Status::Shadow { "shadow" } else { "live" };
    for s in [Status::Shadow, Status::Live] {
        for k in [Kind::Instant, Kind::Window] {
            let of_both = |r: &&crate::rule::plan::RulePlan| (r.status, r.kind) == (s, k);
            let n = pipeline.plan().rules.iter().filter(of_both).count();
            rules.with_label_values(&[status(s), kind(k)]).set(whole(n));
        }
    }
}

fn feeds(make: &Maker, pipeline: &Pipeline) -> Vec<Feed> {
    let events = make.counters(
        "forewarn_feed_events_total",
        "Records of a feed by what became of them; dead_letter: refused for another reason than lateness.",
        &["feed", "result"],
    );
    let dead = make.counters(
        "forewarn_dead_letters_total",
        "Records refused, by reason.",
        &["feed", "reason"],
    );
    let watermark = make.float_gauges(
        "forewarn_feed_watermark_timestamp_seconds",
        "Event time before which no more records are expected; 0 before the first one.",
        &["feed"],
    );
    let last_event = make.float_gauges(
        "forewarn_feed_last_event_timestamp_seconds",
        "Latest event time of a record; 0 before the first one.",
        &["feed"],
    );
    let last_arrival = make.float_gauges(
        "forewarn_feed_last_arrival_timestamp_seconds",
        "When records arrived last; 0 before the first ones.",
        &["feed"],
    );
    let lateness = make.histograms(
        "forewarn_feed_lateness_seconds",
        "Arrival minus event time of records.",
        &["feed"],
        &LATENESS_S,
    );
    let idle = make.gauges(
        "forewarn_feed_idle_partitions",
        "Partitions that are silent and hold nothing back.",
        &["feed"],
    );
    let unattributed = make.counters(
        "forewarn_unattributed_events_total",
        "Accepted records that name no business.",
        &["feed", "reason"],
    );
    let of_feed = |spec: &crate::feed::FeedSpec| {
        let name = spec.name();
        let result = |word| events.with_label_values(&[name, word]);
        let reason = |c: DeadClass| (c, dead.with_label_values(&[name, c.word()]));
        Feed {
            event_time: spec.schema.event_time,
            max_skew_ms: spec.max_skew_ms,
            accepted: result("accepted"),
            duplicate: result("duplicate"),
            late: result("late"),
            dead_letter: result("dead_letter"),
            dead_letters: DeadClass::ALL.into_iter().map(reason).collect(),
            watermark: watermark.with_label_values(&[name]),
            last_event: last_event.with_label_values(&[name]),
            last_arrival: last_arrival.with_label_values(&[name]),
            lateness: lateness.with_label_values(&[name]),
            idle: idle.with_label_values(&[name]),
            unattributed: unattributed.with_label_values(&[name, "no_valid_code"]),
        }
    };
    pipeline.specs().iter().map(of_feed).collect()
}

fn rules(make: &Maker, pipeline: &Pipeline) -> Vec<Rule> {
    let evaluations = make.counters(
        "forewarn_rule_evaluations_total",
        "Keys of closed windows that a rule was evaluated for.",
        &["rule"],
    );
    let failures = make.counters(
        "forewarn_rule_evaluation_failures_total",
        "Evaluations that failed and count as not true.",
        &["rule"],
    );
    let not_ready = make.counters(
        "forewarn_rule_not_ready_total",
        "Evaluations without the history that the rule compares with.",
        &["rule"],
    );
    let signals =
        make.counters("forewarn_rule_signals_total", "Signals that became final.", &["rule"]);
    let of_rule = |rule: &crate::rule::plan::RulePlan| {
        let name = &[rule.id.as_str()];
        Rule {
            id: rule.id.clone(),
            evaluations: evaluations.with_label_values(name),
            failures: failures.with_label_values(name),
            not_ready: not_ready.with_label_values(name),
            signals: signals.with_label_values(name),
            seen: Mutex::default(),
        }
    };
    pipeline.plan().rules.iter().map(of_rule).collect()
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

fn whole(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Metrics({} feeds, {} rules)", self.feeds.len(), self.rules.len())
    }
}
