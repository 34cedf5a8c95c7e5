//! What is counted of sinks: deliveries, and what waits.

use prometheus::{GaugeVec, HistogramTimer, HistogramVec, IntCounterVec, IntGaugeVec};

use super::{
    REQUEST_S,
    maker::{Maker, seconds},
};

/// What became of one delivery to a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// The sink has it.
    Delivered,
    /// It failed and is tried again.
    Retried,
    /// The sink refused it for good.
    Refused,
    /// Too much waited for the sink, and this had waited longest.
    Dropped,
}

impl Delivered {
    const ALL: [Self; 4] = [Self::Delivered, Self::Retried, Self::Refused, Self::Dropped];

    fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retried => "retried",
            Self::Refused => "refused",
            Self::Dropped => "dropped",
        }
    }
}

/// The series of sinks.
pub(super) struct Sinks {
    deliveries: IntCounterVec,
    seconds: HistogramVec,
    backlog: IntGaugeVec,
    oldest: GaugeVec,
}

impl Sinks {
    /// The series of the sinks with these names.
    pub(super) fn new(make: &Maker, names: &[String]) -> Self {
        let sinks = Self {
            deliveries: make.counters(
                "forewarn_sink_deliveries_total",
                "Deliveries to sinks by what became of them.",
                &["sink", "result"],
            ),
            seconds: make.histograms(
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
        };
        for name in names {
            for result in Delivered::ALL {
                sinks.deliveries.with_label_values(&[name.as_str(), result.word()]);
            }
            sinks.seconds.with_label_values(&[name]);
            sinks.backlog.with_label_values(&[name]);
            sinks.oldest.with_label_values(&[name]);
        }
        sinks
    }

    pub(super) fn timer(&self, sink: &str) -> HistogramTimer {
        self.seconds.with_label_values(&[sink]).start_timer()
    }

    pub(super) fn delivered(&self, sink: &str, result: Delivered, n: u64) {
        self.deliveries.with_label_values(&[sink, result.word()]).inc_by(n);
    }

    pub(super) fn undelivered(&self, sink: &str, n: u64, since_ms: Option<i64>) {
        self.backlog.with_label_values(&[sink]).set(i64::try_from(n).unwrap_or(i64::MAX));
        self.oldest.with_label_values(&[sink]).set(since_ms.map_or(0.0, seconds));
    }
}
