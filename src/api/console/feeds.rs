//! Feeds: how all of them are doing, on one page: what comes, how late, and what was refused.

use axum::extract::State;
use maud::{Markup, html};

use super::{
    address::{Address, escape},
    delay,
    language::Language,
    letters,
    page::Page,
    show,
    strip::Strip,
    words::{self, Word},
};
use crate::{
    api::problem::Problem,
    engine::{handle::Handle, view::FeedRow},
};

pub(super) const PATH: &str = "/feeds";

/// Where a feed's page is.
pub(super) fn href(feed: &str) -> String {
    format!("{PATH}/{}", escape(feed))
}

/// Title of a feed.
pub(super) fn title<'a>(feeds: &'a [FeedRow], feed: &'a str, l: Language) -> &'a str {
    feeds.iter().find(|f| f.feed == feed).map_or(feed, |f| l.of(&f.title))
}

/// How a feed is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// Records come.
    Running,
    /// All its partitions are silent; it holds nothing back.
    Idle,
    /// It never had a record.
    Silent,
    /// It brought something once, and nothing for longer than it may be silent.
    Stalled,
}

impl Doing {
    pub(super) fn of(feed: &FeedRow) -> Self {
        match feed {
            f if f.stalled => Self::Stalled,
            f if f.last_arrival_at.is_none() => Self::Silent,
            f if f.idle => Self::Idle,
            _ => Self::Running,
        }
    }

    fn lamp(self) -> &'static str {
        match self {
            Self::Running | Self::Idle => "good",
            Self::Silent => "note",
            Self::Stalled => "bad",
        }
    }

    fn words(self) -> (Word, Word) {
        match self {
            Self::Running => (words::FEED_RUNNING, words::FEED_RUNNING_WHY),
            Self::Idle => (words::FEED_IDLE, words::FEED_IDLE_WHY),
            Self::Silent => (words::FEED_SILENT, words::FEED_SILENT_WHY),
            Self::Stalled => (words::FEED_STALLED, words::FEED_STALLED_WHY),
        }
    }

    /// As lamp and word.
    pub(super) fn show(self, l: Language) -> Markup {
        let (word, why) = self.words();
        html! { span class={ "fit " (self.lamp()) } title=(why.of(l)) { (show::lamp(self.lamp())) (word.of(l)) } }
    }

    /// What that means.
    pub(super) fn why(self, l: Language) -> &'static str {
        self.words().1.of(l)
    }
}

/// How far the watermark is behind the feed's own latest event.
pub(super) fn behind(feed: &FeedRow, strip: &Strip, l: Language) -> Option<String> {
    let at = |text: &Option<String>| strip.zone.parse_instant(text.as_ref()?);
    let (latest, watermark) = (at(&feed.last_event_at)?, at(&feed.watermark)?);
    Some(show::span((latest - watermark) / 1_000, l))
}

/// Refused records of a feed.
pub(super) fn dead(feed: &FeedRow) -> u64 {
    feed.events.dead_letters.values().sum()
}

/// Why a list is empty while nothing has come at all, and where it is told how to push.
pub(super) fn no_data(l: Language) -> Markup {
    html! {
        h2 { (words::EMPTY_NO_DATA.of(l)) }
        p { (words::NO_DATA_WHY.of(l)) " " a href=(PATH) { (words::FEEDS.of(l)) } }
    }
}

/// The page.
pub(super) async fn page(page: Page, State(handle): State<Handle>) -> Result<Markup, Problem> {
    page.address.query().only(&[])?;
    let strip = Strip::read(&handle).await?;
    let l = page.language;
    let content = html! {
        div.bar {
            h1 { (words::FEEDS.of(l)) }
            p.total { (words::FEEDS_TOTAL.with(l, &[("n", &show::count(strip.feeds.len() as u64))])) }
            p.sorts { a href=(letters::PATH) { (words::LETTERS.of(l)) } }
        }
        @if strip.feeds.is_empty() {
            div.empty {
                h2 { (words::FEEDS_NONE.of(l)) }
                p { (words::FEEDS_NONE_WHY.of(l)) }
                pre { code { "forewarn feed infer records.csv > rules/feeds/orders.yaml" } }
            }
        } @else { (table(&strip, l)) }
    };
    Ok(page.frame(words::FEEDS.of(l), Some(&strip), content))
}

fn table(strip: &Strip, l: Language) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label=(words::FEEDS.of(l)) {
            table.rows {
                caption.hidden { (words::FEEDS.of(l)) }
                thead { tr {
                    th scope="col" { (words::FEED.of(l)) } th scope="col" { (words::STATE.of(l)) }
                    th scope="col" { (words::LAST_ARRIVAL.of(l)) } th.minor scope="col" { (words::LAST_EVENT.of(l)) }
                    th.minor scope="col" title=(words::WATERMARK_NOTE.of(l)) { (words::WATERMARK.of(l)) }
                    th.minor scope="col" title=(words::DELAY_NOTE.of(l)) { (words::DELAY.of(l)) (delay::legend(l)) }
                    th.number scope="col" { (words::ACCEPTED.of(l)) } th.number.minor scope="col" { (words::DUPLICATES.of(l)) }
                    th.number.minor scope="col" { (words::CORRECTIONS.of(l)) } th.number.minor scope="col" { (words::LATE.of(l)) }
                    th.number scope="col" { (words::LETTERS.of(l)) }
                } }
                tbody { @for feed in &strip.feeds { (row(feed, strip, l)) } }
            }
        }
    }
}

fn row(feed: &FeedRow, strip: &Strip, l: Language) -> Markup {
    let events = &feed.events;
    let instant = |at: &Option<String>| {
        html! { @if let Some(at) = at { (show::instant(at)) } @else { (show::NOTHING) } }
    };
    let refused = dead(feed);
    html! {
        tr data-row {
            td.title { a href=(href(&feed.feed)) { bdi { (l.of(&feed.title)) } } span.id { code { (feed.feed) } } }
            td { (Doing::of(feed).show(l)) }
            td.at { (instant(&feed.last_arrival_at)) }
            td.at.minor { (instant(&feed.last_event_at)) }
            td.at.minor {
                (instant(&feed.watermark))
                @if let Some(behind) = behind(feed, strip, l) { br; span.muted { (words::BEHIND.with(l, &[("span", &behind)])) } }
            }
            td.minor { @if feed.delay.records > 0 { span.muted.quantiles { (delay::said(&feed.delay, l)) } } (delay::figure(&feed.delay, l)) }
            td.number { (show::count(events.accepted)) }
            td.number.minor { (show::count(events.duplicates)) }
            td.number.minor { (show::count(events.corrections)) }
            td.number.minor { (show::count(events.late)) }
            td.number {
                @if refused > 0 { a href=(Address::at(letters::PATH).with("feed", &feed.feed)) { (show::count(refused)) } }
                @else { span.muted { "0" } }
            }
        }
    }
}
