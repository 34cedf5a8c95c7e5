//! Feed: how one is doing, with its delays, partitions, refused records, the rules that read it and its latest records.

use axum::{extract::State, http::HeaderMap};
use maud::{Markup, html};

use super::{
    address::Address,
    axis::{Axis, px},
    delay,
    feeds::{self, Doing},
    language::Language,
    letters,
    page::{Page, host},
    records, rules, show,
    strip::Strip,
    words::{self, Word},
};
use crate::{
    api::{feeds as api, problem::Problem, query::Name},
    engine::{
        handle::Handle,
        view::{Events, FeedDetail, RuleRow},
    },
    model::batch::DeadClass,
};

/// The page.
pub(super) async fn page(
    page: Page,
    State(handle): State<Handle>,
    Name(feed): Name,
    headers: HeaderMap,
) -> Result<Markup, Problem> {
    page.address.query().only(&[])?;
    let (unknown, work) = (api::unknown(&handle, &feed), handle.metrics().work());
    let now_ms = handle.clock().now_ms();
    let read = handle.ask(move |desk| Ok((desk.feed(&feed, now_ms)?, desk.rules(&work)?)));
    let (feed, rules) = read.await?;
    let feed = feed.ok_or_else(unknown)?;
    let strip = Strip::read(&handle).await?;
    let title = page.language.of(&feed.feed.title).to_owned();
    let told = Told { feed, rules, strip: &strip, host: host(&headers), l: page.language };
    let content = told.show();
    Ok(page.frame(&title, Some(&strip), content))
}

struct Told<'a> {
    feed: FeedDetail,
    /// All rules.
    rules: Vec<RuleRow>,
    strip: &'a Strip,
    host: &'a str,
    l: Language,
}

impl Told<'_> {
    fn show(&self) -> Markup {
        let l = self.l;
        let feed = &self.feed.feed;
        let doing = Doing::of(feed);
        html! {
            article.alert.sheet {
                p.back { a data-back href=(feeds::PATH) { "‹ " (words::FEEDS_BACK.of(l)) } }
                header.headline {
                    p.badges { (doing.show(l)) code.muted { (feed.feed) } }
                    h1 { bdi { (l.of(&feed.title)) } }
                    @if !self.feed.about.is_empty() { p.message dir="auto" { (self.feed.about) } }
                }
                @if doing == Doing::Stalled { p.warning role="note" { (doing.why(l)) } }
                @if doing == Doing::Silent {
                    div.empty {
                        h2 { (words::FEED_SILENT_WHY.of(l)) }
                        p { (words::FEED_PUSH.of(l)) }
                        pre { code { "curl --data-binary @records.ndjson http://" (self.host) "/api/v1/feeds/" (feed.feed) "/events" } }
                    }
                }
                div.columns {
                    div.main {
                        section aria-labelledby="counts" { h2 #counts { (words::FEED_COUNTS.of(l)) } (self.counts()) }
                        section aria-labelledby="delays" {
                            h2 #delays { (words::DELAYS.of(l)) }
                            p.lead { (words::DELAY_NOTE.of(l)) }
                            (self.delays())
                        }
                        @if !feed.partitions.is_empty() {
                            section aria-labelledby="partitions" { h2 #partitions { (words::PARTITIONS.of(l)) } (self.partitions()) }
                        }
                    }
                    (self.facts())
                }
                (self.read_by())
                @if !self.feed.latest.is_empty() {
                    section aria-labelledby="latest" {
                        h2 #latest { (words::LATEST_RECORDS.of(l)) }
                        div.scroll tabindex="0" role="group" aria-label=(words::LATEST_RECORDS.of(l)) {
                            (records::table(&self.feed.latest, &self.strip.feeds, &[], &self.strip.zone, l))
                        }
                    }
                }
            }
        }
    }

    /// What became of its records, as shares of one bar and as numbers.
    fn counts(&self) -> Markup {
        let l = self.l;
        let events = &self.feed.feed.events;
        let all: u64 = parts(events).iter().map(|(_, _, n)| n).sum();
        html! {
            @if all > 0 { (bar(&parts(events), all)) }
            dl.shares {
                @for (class, word, n) in parts(events) {
                    div { dt { span class={ "swatch " (class) } {} (word.of(l)) } dd { (show::count(n)) span.muted { (share(n, all)) } } }
                }
            }
            dl.shares.more {
                @for (word, n) in [(words::CONFLICTS, events.conflicts), (words::UNATTRIBUTED, events.unattributed)] {
                    div { dt { (word.of(l)) } dd { (show::count(n)) span.muted { (share(n, events.accepted)) } } }
                }
            }
            @if !events.dead_letters.is_empty() {
                h3 { a href=(Address::at(letters::PATH).with("feed", &self.feed.feed.feed)) { (words::LETTERS.of(l)) } }
                ul.classes {
                    @for (class, n) in &events.dead_letters {
                        @let called = DeadClass::parse(class).map_or(class.as_str(), |c| letters::class(c).of(l));
                        li {
                            a href=(Address::at(letters::PATH).with("feed", &self.feed.feed.feed).with("class", class)) { (called) }
                            " " span.n { (show::count(*n)) }
                        }
                    }
                }
            }
        }
    }

    fn delays(&self) -> Markup {
        let l = self.l;
        let span =
            |s: Option<i64>| s.map_or_else(|| show::NOTHING.to_owned(), |s| show::span(s, l));
        html! {
            div.scroll tabindex="0" role="group" aria-label=(words::DELAYS.of(l)) {
                table.rows {
                    thead { tr {
                        th scope="col" { (words::DELAY_BETWEEN.of(l)) } th.minor scope="col" { (delay::legend(l)) }
                        @for p in ["p50", "p75", "p90", "p99"] { th.number scope="col" { (p) } }
                        th.number scope="col" { (words::LONGEST.of(l)) } th.number scope="col" { (words::RECORDS.of(l)) }
                        th.number.minor scope="col" title=(words::NEGATIVE_NOTE.of(l)) { (words::NEGATIVE.of(l)) }
                    } }
                    tbody {
                        @for delay in &self.feed.delays {
                            tr {
                                td { code { (delay.from) } " → " code { (delay.to) } }
                                td.minor { (delay::figure(delay, l)) }
                                @for s in [delay.p50_seconds, delay.p75_seconds, delay.p90_seconds, delay.p99_seconds, delay.max_seconds] {
                                    td.number { (span(s)) }
                                }
                                td.number { (show::count(delay.records)) }
                                td.number.minor { (show::count(delay.negative)) }
                            }
                        }
                    }
                }
            }
            p.muted { (words::DELAY_COMMAND.of(l)) " " code { "forewarn feeds lateness" } }
        }
    }

    fn partitions(&self) -> Markup {
        let l = self.l;
        html! {
            div.scroll tabindex="0" role="group" aria-label=(words::PARTITIONS.of(l)) {
                table.rows {
                    thead { tr {
                        th scope="col" { (words::PARTITION.of(l)) } th scope="col" { (words::STATE.of(l)) }
                        th scope="col" { (words::LAST_ARRIVAL.of(l)) } th scope="col" { (words::LAST_EVENT.of(l)) }
                        th.number scope="col" { (words::RECORDS.of(l)) }
                    } }
                    tbody {
                        @for partition in &self.feed.feed.partitions {
                            tr {
                                td.long { bdi { (partition.partition) } }
                                td { (if partition.idle { words::FEED_IDLE } else { words::FEED_RUNNING }.of(l)) }
                                td.at { (show::instant(&partition.last_arrival_at)) }
                                td.at { @if let Some(at) = &partition.last_event_at { (show::instant(at)) } @else { (show::NOTHING) } }
                                td.number { (show::count(partition.records)) }
                            }
                        }
                    }
                }
            }
        }
    }

    fn facts(&self) -> Markup {
        let l = self.l;
        let (detail, feed) = (&self.feed, &self.feed.feed);
        let instant = |at: &Option<String>| {
            html! { @if let Some(at) = at { (show::instant(at)) } @else { (show::NOTHING) } }
        };
        html! {
            aside.facts aria-labelledby="facts" {
                h2 #facts { (words::FACTS.of(l)) }
                dl {
                    dt { (words::LAST_ARRIVAL.of(l)) } dd { (instant(&feed.last_arrival_at)) }
                    dt { (words::LAST_EVENT.of(l)) } dd { (instant(&feed.last_event_at)) }
                    dt title=(words::WATERMARK_NOTE.of(l)) { (words::WATERMARK.of(l)) }
                    dd {
                        (instant(&feed.watermark))
                        @if let Some(behind) = feeds::behind(feed, self.strip, l) { br; span.muted { (words::BEHIND.with(l, &[("span", &behind)])) } }
                    }
                    @if let Some(lag) = feed.lag_seconds {
                        dt title=(words::LAG_NOTE.of(l)) { (words::LAG.of(l)) } dd { (show::span(lag as i64, l)) }
                    }
                    dt title=(words::SILENCE_MAX_NOTE.of(l)) { (words::SILENCE_MAX.of(l)) } dd { (show::span(feed.silence_max_seconds, l)) }
                    dt { (words::RECORD_ID.of(l)) }
                    dd { @if detail.record_id.is_empty() { (words::NO_RECORD_ID.of(l)) } @else { code { (detail.record_id.join(", ")) } } }
                    dt { (words::EVENT_TIME.of(l)) } dd { code { (detail.event_time) } }
                    dt title=(words::OUT_OF_ORDER_NOTE.of(l)) { (words::OUT_OF_ORDER.of(l)) } dd { (show::whole(detail.out_of_order_seconds, l)) }
                    dt title=(words::ALLOWED_LATENESS_NOTE.of(l)) { (words::ALLOWED_LATENESS.of(l)) } dd { (show::whole(detail.allowed_lateness_seconds, l)) }
                    dt title=(words::IDLE_AFTER_NOTE.of(l)) { (words::IDLE_AFTER.of(l)) } dd { (show::whole(detail.idle_after_seconds, l)) }
                }
            }
        }
    }

    fn read_by(&self) -> Markup {
        let l = self.l;
        let feed = self.feed.feed.feed.as_str();
        let reads = |r: &&RuleRow| r.feeds.iter().any(|f| f == feed);
        let mut readers = self.rules.iter().filter(reads).peekable();
        html! {
            section aria-labelledby="readers" {
                h2 #readers { (words::READERS.of(l)) }
                @if readers.peek().is_none() { p.muted { (words::NO_READERS.of(l)) } }
                @else {
                    ul.links {
                        @for rule in readers {
                            li {
                                a href=(rules::href(&rule.id)) { bdi { (l.of(&rule.title)) } } " " code.muted { (rule.id) }
                                @if rule.open > 0 {
                                    " " a href=(Address::at("/alerts").with("rule", &rule.id)) { (words::OPEN_ALERTS.with(l, &[("n", &show::count(rule.open))])) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The parts side by side.
fn bar(parts: &[(&str, Word, u64)], all: u64) -> Markup {
    const WIDTH: f64 = 960.0;
    let scale = Axis::new((0.0, all as f64), (0.0, WIDTH));
    let starts = parts.iter().scan(0, |sum, (_, _, n)| {
        *sum += n;
        Some(*sum - n)
    });
    html! {
        svg.shares viewBox={ "0 0 " (WIDTH) " 14" } preserveAspectRatio="none" aria-hidden="true" {
            @for ((class, _, n), start) in parts.iter().zip(starts) {
                rect class=(class) x=(px(scale.at(start as f64))) y="0" width=(px(scale.at(*n as f64))) height="14" {}
            }
        }
    }
}

/// Each record counts in one of these.
fn parts(events: &Events) -> [(&'static str, Word, u64); 6] {
    [
        ("accepted", words::NEW_RECORDS, events.accepted - events.corrections.min(events.accepted)),
        ("corrections", words::CORRECTIONS, events.corrections),
        ("duplicates", words::DUPLICATES, events.duplicates),
        ("late", words::LATE, events.late),
        ("future", words::FUTURE, events.future),
        ("undecoded", words::UNDECODED, events.undecoded),
    ]
}

/// ` 3.2 %`; nothing where there is none.
fn share(n: u64, all: u64) -> String {
    match 100.0 * n as f64 / all.max(1) as f64 {
        _ if n == 0 => String::new(),
        percent if percent < 0.1 => " <0.1 %".to_owned(),
        percent => format!(" {percent:.1} %"),
    }
}
