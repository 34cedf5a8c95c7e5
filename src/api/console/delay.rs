//! Delay: quantiles of how long records take, on one scale from a second to a year, so that rows can be compared.

use maud::{Markup, html};

use super::{
    axis::{Axis, px},
    language::Language,
    show, words,
};
use crate::engine::view::DelayRow;

const WIDTH: f64 = 220.0;
const HEIGHT: f64 = 22.0;
/// Spans that are marked, seconds, with their units.
const MARKS: [f64; 4] = [60.0, 3_600.0, 86_400.0, 30.0 * 86_400.0];
/// The scale's ends, seconds; what is beyond stands at the end.
const ENDS: (f64, f64) = (1.0, 400.0 * 86_400.0);

fn scale() -> Axis {
    Axis::new((ENDS.0.ln(), ENDS.1.ln()), (4.0, WIDTH - 4.0))
}

fn at(seconds: i64) -> f64 {
    scale().at((seconds.max(1) as f64).ln())
}

/// A line from half of the records to all but one in a hundred, with a mark at nine tenths; nothing without records.
pub(super) fn figure(delay: &DelayRow, l: Language) -> Markup {
    let quantiles = delay.p50_seconds.zip(delay.p90_seconds).zip(delay.p99_seconds);
    let middle = HEIGHT / 2.0;
    html! {
        @if let Some(((p50, p90), p99)) = quantiles {
            svg.delay viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } width=(WIDTH) height=(HEIGHT) role="img" aria-label=(said(delay, l)) {
                @for mark in MARKS {
                    line.tick x1=(px(scale().at(mark.ln()))) x2=(px(scale().at(mark.ln()))) y1="3" y2=(px(HEIGHT - 3.0)) {}
                }
                line.span x1=(px(at(p50))) x2=(px(at(p99))) y1=(px(middle)) y2=(px(middle)) {}
                line.end x1=(px(at(p99))) x2=(px(at(p99))) y1=(px(middle - 4.0)) y2=(px(middle + 4.0)) {}
                line.end x1=(px(at(p90))) x2=(px(at(p90))) y1=(px(middle - 3.0)) y2=(px(middle + 3.0)) {}
                circle cx=(px(at(p50))) cy=(px(middle)) r="4" {}
            }
        }
    }
}

/// The head of the column in which such figures stand: what the marks mean.
pub(super) fn legend(l: Language) -> Markup {
    html! {
        svg.delay.legend viewBox={ "0 0 " (WIDTH) " 16" } width=(WIDTH) height="16" aria-hidden="true" {
            @for mark in MARKS {
                text x=(px(scale().at(mark.ln()))) y="12" { (show::whole(mark as i64, l)) }
            }
        }
    }
}

/// The same as text.
pub(super) fn said(delay: &DelayRow, l: Language) -> String {
    let span = |s: Option<i64>| s.map_or_else(|| show::NOTHING.to_owned(), |s| show::span(s, l));
    words::DELAY_SAYS.with(
        l,
        &[
            ("p50", &span(delay.p50_seconds)),
            ("p90", &span(delay.p90_seconds)),
            ("p99", &span(delay.p99_seconds)),
        ],
    )
}
