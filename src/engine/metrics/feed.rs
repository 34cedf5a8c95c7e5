//! What is counted of feeds: their records by what became of them, and how far they are.

use std::collections::BTreeMap;

use prometheus::{Gauge, Histogram, IntCounter, IntGauge};

use super::{
    super::pipeline::{FeedCounts, Pipeline},
    maker::{Maker, seconds, whole},
};
use crate::{
    feed::FeedSpec,
    model::{
        batch::{Batch, DeadClass},
        time::Zone,
    },
    pane::prepare::time_values,
};

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

/// The series of one feed.
pub(super) struct Feed {
    event_time: usize,
    max_skew_ms: i64,
    accepted: IntCounter,
    duplicate: IntCounter,
    late: IntCounter,
    dead_letter: IntCounter,
    dead_letters: BTreeMap<DeadClass, IntCounter>,
    backlog: IntGauge,
    watermark: Gauge,
    last_event: Gauge,
    last_arrival: Gauge,
    silence_max: Gauge,
    lateness: Histogram,
    idle: IntGauge,
    unattributed: IntCounter,
}

/// The series of all feeds of `pipeline`, in its order.
pub(super) fn feeds(make: &Maker, pipeline: &Pipeline) -> Vec<Feed> {
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
    let backlog = make.gauges(
        "forewarn_dead_letter_backlog",
        "Dead letters that were not sent again.",
        &["feed"],
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
    let silence_max = make.float_gauges(
        "forewarn_feed_silence_limit_seconds",
        "For how long nothing may arrive: two days, or twice the longest silence but one so far.",
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
    let of_feed = |spec: &FeedSpec| {
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
            backlog: backlog.with_label_values(&[name]),
            watermark: watermark.with_label_values(&[name]),
            last_event: last_event.with_label_values(&[name]),
            last_arrival: last_arrival.with_label_values(&[name]),
            silence_max: silence_max.with_label_values(&[name]),
            lateness: lateness.with_label_values(&[name]),
            idle: idle.with_label_values(&[name]),
            unattributed: unattributed.with_label_values(&[name, "no_valid_code"]),
        }
    };
    pipeline.specs().iter().map(of_feed).collect()
}

impl Feed {
    /// Records have arrived; their lateness is observed only where they count.
    pub(super) fn arrived(&self, batches: &[Batch], arrived_ms: i64, zone: &Zone, counting: bool) {
        let lateness = self.lateness.local();
        let mut last = i64::MIN;
        for batch in batches {
            for event_ms in time_values(batch.rows.column(self.event_time), zone) {
                // One dated too far ahead is refused and says nothing about the feed.
                if event_ms <= arrived_ms.saturating_add(self.max_skew_ms) {
                    last = last.max(event_ms);
                    lateness.observe((arrived_ms - event_ms).max(0) as f64 / 1_000.0);
                }
            }
        }
        if counting {
            lateness.flush();
        } else {
            lateness.clear();
        }
        if last != i64::MIN {
            self.last_event.set(self.last_event.get().max(seconds(last)));
        }
        self.last_arrival.set(seconds(arrived_ms));
    }

    /// A record could not be decoded.
    pub(super) fn undecoded(&self, class: DeadClass) {
        self.dead_letter.inc();
        self.bury(class);
    }

    /// A record was refused.
    pub(super) fn bury(&self, class: DeadClass) {
        if let Some(counter) = self.dead_letters.get(&class) {
            counter.inc();
        }
    }

    /// Nothing may arrive for so long.
    pub(super) fn may_be_silent(&self, silence_ms: i64) {
        self.silence_max.set(seconds(silence_ms));
    }

    /// So many letters are open; where that is not known, what was known stays.
    pub(super) fn waiting_letters(&self, open: Option<usize>) {
        if let Some(open) = open {
            self.backlog.set(whole(open));
        }
    }

    /// What admission counted.
    pub(super) fn admitted(&self, counts: &FeedCounts) {
        self.accepted.inc_by(counts.accepted);
        self.duplicate.inc_by(counts.duplicates);
        self.late.inc_by(counts.late);
        self.dead_letter.inc_by(counts.future);
        self.unattributed.inc_by(counts.unattributed);
    }

    /// How far it is, and how many of its partitions are silent.
    pub(super) fn reached(&self, watermark_ms: Option<i64>, idle: usize) {
        self.watermark.set(watermark_ms.map_or(0.0, seconds));
        self.idle.set(whole(idle));
    }
}
