//! What is counted of HTTP: requests, how long their answers took, and who follows the stream.

use prometheus::{HistogramTimer, HistogramVec, IntCounterVec, IntGauge};

use super::{REQUEST_S, maker::Maker};

/// The series of HTTP.
pub(super) struct Http {
    requests: IntCounterVec,
    seconds: HistogramVec,
    followers: IntGauge,
}

/// A client that follows the stream; it does so until this is dropped.
#[derive(Debug)]
pub struct Following(IntGauge);

impl Http {
    pub(super) fn new(make: &Maker) -> Self {
        Self {
            requests: make.counters(
                "forewarn_http_requests_total",
                "HTTP requests by route, method and class of status.",
                &["route", "method", "code"],
            ),
            seconds: make.histograms(
                "forewarn_http_request_duration_seconds",
                "HTTP requests until their answer began.",
                &["route"],
                &REQUEST_S,
            ),
            followers: make
                .gauge("forewarn_sse_clients", "Clients that follow the stream of alerts."),
        }
    }

    pub(super) fn timer(&self, route: &str) -> HistogramTimer {
        self.seconds.with_label_values(&[route]).start_timer()
    }

    pub(super) fn requested(&self, route: &str, method: &str, code: &str) {
        self.requests.with_label_values(&[route, method, code]).inc();
    }

    pub(super) fn following(&self) -> Following {
        self.followers.inc();
        Following(self.followers.clone())
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.0.dec();
    }
}
