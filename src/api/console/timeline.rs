//! Timeline: the records of a business in all feeds on one axis, as SVG, with the alert's window shaded.
//!
//! Records that stand behind the alert are filled, others are rings, withdrawn ones are crosses.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::{
    axis::px,
    feeds,
    lanes::{Lanes, TOP, WIDTH},
    language::Language,
    show, words,
};
use crate::{
    engine::view::{EvidenceRecord, FeedRow, Window},
    model::time::{DAY_MS, Zone},
};

/// How long before the window records are shown at least.
const BEFORE_MS: i64 = 180 * DAY_MS;
/// What is drawn.
pub(super) struct Timeline<'a> {
    /// The records behind the alert.
    pub(super) evidence: &'a [EvidenceRecord],
    /// All that is known of the business, those included or not.
    pub(super) records: &'a [EvidenceRecord],
    pub(super) feeds: &'a [FeedRow],
    pub(super) window: &'a Window,
    pub(super) zone: &'a Zone,
    pub(super) language: Language,
}

impl Timeline<'_> {
    pub(super) fn figure(&self) -> Markup {
        let l = self.language;
        let Some((from, to)) = self.window_ms() else { return html! {} };
        let behind: BTreeSet<(&str, &str)> = self.evidence.iter().map(name).collect();
        let mut seen = BTreeSet::new();
        let mut all: Vec<&EvidenceRecord> =
            self.evidence.iter().chain(self.records).filter(|r| seen.insert(name(r))).collect();
        all.sort_by_key(|r| (r.at_ms, r.arrival));
        let first = from - (3 * (to - from)).max(BEFORE_MS);
        let earlier = all.iter().filter(|r| r.at_ms < first).count();
        all.retain(|r| r.at_ms >= first || behind.contains(&name(r)));
        let ends = (
            all.first().map_or(from, |r| r.at_ms).min(from),
            all.last().map_or(to, |r| r.at_ms).max(to),
        );
        let feeds: Vec<&str> = self
            .feeds
            .iter()
            .map(|f| f.feed.as_str())
            .filter(|f| all.iter().any(|r| r.feed == *f))
            .collect();
        if feeds.is_empty() {
            return html! {};
        }
        let lane = |feed: &&str| {
            let n = all.iter().filter(|r| r.feed == *feed).count();
            (feeds::title(self.feeds, feed, l).to_owned(), n)
        };
        let lanes = Lanes { zone: self.zone, ends, lanes: feeds.iter().map(lane).collect() };
        let x = lanes.x();
        html! {
            figure.timeline {
                figcaption {
                    span.key-evidence { (words::TIMELINE_EVIDENCE.of(l)) }
                    span.key-other { (words::TIMELINE_OTHER.of(l)) }
                    span.key-withdrawn { (words::TIMELINE_WITHDRAWN.of(l)) }
                    span.key-window { (words::TIMELINE_WINDOW.of(l)) }
                    @if earlier > 0 {
                        span { (words::TIMELINE_EARLIER.with(l, &[("n", &show::count(earlier as u64))])) }
                    }
                }
                div.scroll tabindex="0" role="group" aria-label=(words::TIMELINE_TITLE.of(l)) {
                    svg viewBox={ "0 0 " (WIDTH) " " (px(lanes.height())) } role="img" aria-labelledby="timeline-title timeline-desc" {
                        title #timeline-title { (words::TIMELINE_TITLE.of(l)) }
                        desc #timeline-desc { (self.described(&all, feeds.len(), ends)) }
                        @let (a, b) = (x.at_ms(from), x.at_ms(to));
                        rect.window x=(px(a)) y=(px(TOP)) width=(px((b - a).max(2.0))) height=(px(lanes.bottom() - TOP)) {}
                        (lanes.grid())
                        g.marks {
                            @for (i, feed) in feeds.iter().enumerate() {
                                @for (n, record) in all.iter().filter(|r| r.feed == *feed).enumerate() {
                                    (mark(record, x.at_ms(record.at_ms), lanes.y(i, n), behind.contains(&name(record))))
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn window_ms(&self) -> Option<(i64, i64)> {
        let at = |text: &str| self.zone.parse_instant(text);
        at(&self.window.start).zip(at(&self.window.end))
    }

    fn described(&self, all: &[&EvidenceRecord], feeds: usize, ends: (i64, i64)) -> String {
        let count = |n: usize| show::count(n as u64);
        let day = |ms: i64| show::minute(self.zone, ms)[..10].to_owned();
        words::TIMELINE_DESC.with(
            self.language,
            &[
                ("feeds", count(feeds).as_str()),
                ("n", &count(all.len())),
                ("from", &day(ends.0)),
                ("to", &day(ends.1)),
                ("evidence", &count(self.evidence.len())),
                ("start", &show::clipped(&self.window.start)),
                ("end", &show::clipped(&self.window.end)),
            ],
        )
    }
}

/// What tells records apart.
fn name(record: &EvidenceRecord) -> (&str, &str) {
    (&record.feed, &record.record)
}

/// A record: filled or a ring, or a cross where it is withdrawn.
pub(super) fn mark(record: &EvidenceRecord, x: f64, y: f64, behind: bool) -> Markup {
    let says = format!("{} {}", show::clipped(&record.at), record.record);
    html! {
        @if record.withdrawn {
            path.withdrawn d={ "M" (px(x - 3.5)) " " (px(y - 3.5)) "l7 7m0 -7l-7 7" } { title { (says) } }
        } @else {
            circle.evidence[behind] cx=(px(x)) cy=(px(y)) r="4" { title { (says) } }
        }
    }
}
