//! Strip: how the whole is doing, on every page, so that "no alerts" is never taken for "no data".
//!
//! In: health and feeds as the API shows them. Out: a line of findings, each good, to be noted, or bad, by word and shape.

use axum::extract::State;
use maud::{Markup, html};

use super::{language::Language, page::Page, show, words};
use crate::{
    api::problem::Problem,
    engine::{
        handle::Handle,
        view::{FeedRow, HealthView, SinkRow},
    },
    model::time::Zone,
};

/// Names that are listed before the rest is only counted.
const NAMES: usize = 3;
/// A feed whose watermark is so far behind its latest event is named, seconds; the Prometheus rules say the same.
const BEHIND_S: f64 = 3.0 * 86_400.0;

/// What the strip is made of.
#[derive(Debug)]
pub(super) struct Strip {
    pub(super) health: HealthView,
    pub(super) feeds: Vec<FeedRow>,
    pub(super) zone: Zone,
    /// The latest event time of all feeds.
    pub(super) data_ms: Option<i64>,
}

/// How good a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Good,
    Note,
    Bad,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Bad => "bad",
        }
    }
}

/// The strip alone, for pages that are open for long.
pub(super) async fn fragment(page: Page, State(handle): State<Handle>) -> Result<Markup, Problem> {
    page.address.query().only(&[])?;
    Ok(Strip::read(&handle).await?.show(page.language))
}

impl Strip {
    pub(super) async fn read(handle: &Handle) -> Result<Self, Problem> {
        let (state, now_ms) = (handle.health(), handle.clock().now_ms());
        let sinks = handle.metrics().sinks(now_ms);
        let read = handle.ask(move |desk| Ok((desk.health(&state, sinks)?, desk.feeds(now_ms))));
        let (health, feeds) = read.await?;
        let zone = handle.intake().zone().clone();
        let latest = feeds.iter().filter_map(|f| zone.parse_instant(f.last_event_at.as_ref()?));
        let data_ms = latest.max();
        Ok(Self { health, feeds, zone, data_ms })
    }

    /// Whether some feed brings nothing any more.
    pub(super) fn is_stalled(&self) -> bool {
        self.feeds.iter().any(|f| f.stalled)
    }

    pub(super) fn show(&self, l: Language) -> Markup {
        let findings = self.findings(l);
        let worst = findings.iter().map(|(level, _)| *level).max().unwrap_or(Level::Good);
        html! {
            section #strip class={ "strip " (worst.word()) } aria-label=(words::HEALTH.of(l)) {
                ul {
                    @for (level, text) in &findings {
                        li class=(level.word()) { (show::lamp(level.word())) span { (text) } }
                    }
                }
            }
        }
    }

    fn findings(&self, l: Language) -> Vec<(Level, String)> {
        let health = &self.health;
        let number = |n: u64| show::count(n);
        let mut out = vec![match health.status.as_str() {
            "ok" => (Level::Good, words::ENGINE_OK.of(l).to_owned()),
            "recovering" => {
                let percent = health.recovering.map_or(0, |walk| walk.percent).to_string();
                (Level::Note, words::ENGINE_RECOVERING.with(l, &[("percent", &percent)]))
            }
            _ => {
                let why = health.reason.as_deref().unwrap_or_default();
                (Level::Bad, words::ENGINE_STOPPED.with(l, &[("why", why)]))
            }
        }];
        out.push(match self.data_ms {
            None => (Level::Note, words::NO_DATA.of(l).to_owned()),
            Some(ms) => {
                let at = show::minute(&self.zone, ms);
                (Level::Good, words::DATA_UNTIL.with(l, &[("at", &at)]))
            }
        });
        out.extend(self.feed_findings(l));
        let failing: Vec<&SinkRow> = health.sinks.iter().filter(|s| s.failing).collect();
        out.push(if !failing.is_empty() {
            let names = listed(failing.iter().map(|s| s.sink.as_str()), l);
            let n = number(failing.len() as u64);
            (Level::Bad, words::SINKS_FAILING.with(l, &[("n", &n), ("names", &names)]))
        } else if health.sinks.is_empty() {
            (Level::Good, words::SINKS_NONE.of(l).to_owned())
        } else {
            let n = number(health.sinks.len() as u64);
            (Level::Good, words::SINKS_OK.with(l, &[("n", &n)]))
        });
        let open = number(health.alerts_open);
        out.push((Level::Good, words::OPEN_ALERTS.with(l, &[("n", &open)])));
        out
    }

    fn feed_findings(&self, l: Language) -> Vec<(Level, String)> {
        let mut out = Vec::new();
        let stalled: Vec<&FeedRow> = self.feeds.iter().filter(|f| f.stalled).collect();
        if !stalled.is_empty() {
            let names = listed(stalled.iter().map(|f| l.of(&f.title)), l);
            let n = show::count(stalled.len() as u64);
            out.push((Level::Bad, words::FEEDS_STALLED.with(l, &[("n", &n), ("names", &names)])));
        }
        let running =
            self.feeds.iter().filter(|f| !f.stalled && f.last_arrival_at.is_some()).count();
        if running > 0 {
            let n = show::count(running as u64);
            out.push((Level::Good, words::FEEDS_OK.with(l, &[("n", &n)])));
        }
        if self.health.feeds_silent > 0 && self.data_ms.is_some() {
            let n = show::count(self.health.feeds_silent);
            out.push((Level::Note, words::FEEDS_SILENT.with(l, &[("n", &n)])));
        }
        if let Some((feed, behind_s)) = self.slowest() {
            let age = show::span(behind_s as i64, l);
            let text = words::SLOWEST.with(l, &[("feed", l.of(&feed.title)), ("age", &age)]);
            out.push((Level::Note, text));
        }
        out
    }

    /// The feed whose windows are held open longest: how far its watermark is behind its own latest event.
    fn slowest(&self) -> Option<(&FeedRow, f64)> {
        let behind = |f: &FeedRow| {
            let latest = self.zone.parse_instant(f.last_event_at.as_ref()?)?;
            let watermark = self.zone.parse_instant(f.watermark.as_ref()?)?;
            Some((latest - watermark) as f64 / 1_000.0)
        };
        let all = self.feeds.iter().filter(|f| !f.idle);
        let lags = all.filter_map(|f| Some((f, behind(f)?)));
        let slowest = lags.max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(slowest).filter(|(_, s)| *s > BEHIND_S)
    }
}

/// The first names, and how many there are beyond.
fn listed<'a>(names: impl Iterator<Item = &'a str>, l: Language) -> String {
    let names: Vec<&str> = names.collect();
    let comma = match l {
        Language::Zh => "、",
        Language::En => ", ",
    };
    let mut text = names.iter().take(NAMES).copied().collect::<Vec<_>>().join(comma);
    if names.len() > NAMES {
        text.push_str(" …");
    }
    text
}
