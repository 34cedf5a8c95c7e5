//! Life: what is known of a business in time: its alerts as bars from firing to end, its records as marks, a lane for
//! each feed.

use maud::{Markup, html};

use super::{
    axis::px,
    feeds,
    lanes::{Lanes, WIDTH},
    language::Language,
    row, show, timeline, words,
};
use crate::{
    engine::view::{AlertRow, EvidenceRecord, FeedRow, SubjectView},
    model::{alert::State, time::Zone},
};

/// Height of an alert's bar.
const BAR: f64 = 5.0;

/// What is drawn.
pub(super) struct Life<'a> {
    pub(super) subject: &'a SubjectView,
    pub(super) feeds: &'a [FeedRow],
    pub(super) zone: &'a Zone,
    /// The latest event of all feeds: until then open alerts go.
    pub(super) data_ms: Option<i64>,
    pub(super) language: Language,
}

impl Life<'_> {
    pub(super) fn figure(&self) -> Markup {
        let l = self.language;
        let mut alerts: Vec<(i64, i64, &AlertRow)> = self
            .subject
            .open
            .iter()
            .chain(&self.subject.past)
            .filter_map(|a| self.span(a))
            .collect();
        alerts.sort_by_key(|(from, ..)| *from);
        let of_feed = |feed: &str| -> Vec<&EvidenceRecord> {
            self.subject.records.iter().filter(|r| r.feed == feed).collect()
        };
        let mut by_feed: Vec<(&str, Vec<&EvidenceRecord>)> =
            self.feeds.iter().map(|f| (f.feed.as_str(), of_feed(&f.feed))).collect();
        by_feed.retain(|(_, records)| !records.is_empty());
        by_feed.iter_mut().for_each(|(_, records)| records.sort_by_key(|r| (r.at_ms, r.arrival)));
        let records = self.subject.records.iter().map(|r| r.at_ms);
        let instants = || records.clone().chain(alerts.iter().flat_map(|(a, b, _)| [*a, *b]));
        let Some(ends) = instants().min().zip(instants().max()) else { return html! {} };
        let first = usize::from(!alerts.is_empty());
        let alert_lane = (first > 0).then(|| (words::ALERTS.of(l).to_owned(), alerts.len()));
        let titled = by_feed
            .iter()
            .map(|(feed, all)| (feeds::title(self.feeds, feed, l).to_owned(), all.len()));
        let lanes =
            Lanes { zone: self.zone, ends, lanes: alert_lane.into_iter().chain(titled).collect() };
        let x = lanes.x();
        html! {
            figure.timeline.life {
                figcaption {
                    @if first > 0 { span.key-alert { (words::LIFE_ALERT.of(l)) } }
                    span.key-evidence { (words::RECORDS.of(l)) }
                    span.key-withdrawn { (words::TIMELINE_WITHDRAWN.of(l)) }
                }
                div.scroll tabindex="0" role="group" aria-label=(words::LIFE.of(l)) {
                    svg viewBox={ "0 0 " (WIDTH) " " (px(lanes.height())) } role="img" aria-labelledby="life-title life-desc" {
                        title #life-title { (words::LIFE.of(l)) }
                        desc #life-desc { (self.described(&by_feed, alerts.len(), ends)) }
                        (lanes.grid())
                        g.bars {
                            @for (n, (from, to, alert)) in alerts.iter().enumerate() {
                                @let (a, b) = (x.at_ms(*from), x.at_ms(*to));
                                a href=(row::href(alert)) {
                                    rect class={ (alert.severity.word()) " " (alert.state.word()) } rx="1.5"
                                        x=(px(a)) width=(px((b - a).max(4.0))) y=(px(lanes.y(0, n) - BAR / 2.0)) height=(px(BAR)) {
                                        title { (self.says(alert)) }
                                    }
                                }
                            }
                        }
                        g.marks {
                            @for (i, (_, all)) in by_feed.iter().enumerate() {
                                @for (n, record) in all.iter().enumerate() {
                                    (timeline::mark(record, x.at_ms(record.at_ms), lanes.y(first + i, n), true))
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// From when until when an alert was open, ms.
    fn span<'b>(&self, alert: &'b AlertRow) -> Option<(i64, i64, &'b AlertRow)> {
        let at = |text: &str| self.zone.parse_instant(text);
        let from = at(&alert.fired_at)?;
        let open = matches!(alert.state, State::Pending | State::Firing);
        let to = match &alert.resolved_at {
            Some(end) => at(end)?,
            None if open => self.data_ms.unwrap_or(from),
            None => from,
        };
        Some((from, to.max(from), alert))
    }

    fn says(&self, alert: &AlertRow) -> String {
        let l = self.language;
        let ended = alert.resolved_at.as_deref().map_or(show::NOTHING.to_owned(), show::clipped);
        format!("{} · {} – {ended}", l.of(&alert.title), show::clipped(&alert.fired_at))
    }

    fn described(
        &self,
        by_feed: &[(&str, Vec<&EvidenceRecord>)],
        alerts: usize,
        ends: (i64, i64),
    ) -> String {
        let count = |n: usize| show::count(n as u64);
        let day = |ms: i64| show::minute(self.zone, ms)[..10].to_owned();
        let records = by_feed.iter().map(|(_, all)| all.len()).sum();
        words::LIFE_DESC.with(
            self.language,
            &[
                ("n", count(records).as_str()),
                ("feeds", &count(by_feed.len())),
                ("alerts", &count(alerts)),
                ("from", &day(ends.0)),
                ("to", &day(ends.1)),
            ],
        )
    }
}
