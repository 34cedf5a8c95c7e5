//! Records: a line for each, with the columns that say something.

use maud::{Markup, html};
use serde_json::Value;

use super::{feeds, language::Language, show, subject, words};
use crate::{
    engine::view::{EvidenceRecord, FeedRow},
    model::{reference::ucc, time::Zone},
};

/// Letters of a value before it is folded.
const LONG: usize = 160;
const SHORT: usize = 120;
/// Columns that every record has and that say nothing about it.
const BOOKKEEPING: [&str; 3] = ["version", "op", "received_at"];

/// A table of records; values in `known` are told elsewhere on the page.
pub(super) fn table(
    records: &[EvidenceRecord],
    all_feeds: &[FeedRow],
    known: &[&str],
    zone: &Zone,
    l: Language,
) -> Markup {
    html! {
        table.records {
            thead { tr {
                th scope="col" { (words::EVENT_TIME.of(l)) } th scope="col" { (words::FEED.of(l)) }
                th scope="col" { (words::RECORD.of(l)) } th scope="col" { (words::CONTENT.of(l)) }
                th scope="col" { (words::ARRIVED.of(l)) }
            } }
            tbody {
                @for record in records {
                    tr.withdrawn[record.withdrawn] {
                        td.at { (show::instant(&record.at)) }
                        td.feed { a href=(feeds::href(&record.feed)) { bdi { (feeds::title(all_feeds, &record.feed, l)) } } }
                        td.id {
                            bdi { (record.record) }
                            @if record.withdrawn { " " em { (words::WITHDRAWN.of(l)) } }
                            @else if record.versions > 1 { " " em { (words::VERSIONS.with(l, &[("n", &record.versions.to_string())])) } }
                        }
                        td.content { (content(record, known, zone, l)) }
                        td.at { (show::instant(&record.arrived_at)) }
                    }
                }
            }
        }
    }
}

fn content(record: &EvidenceRecord, known: &[&str], zone: &Zone, l: Language) -> Markup {
    let instant =
        |v: &Value| v.as_str().filter(|t| t.contains('T')).and_then(|t| zone.parse_instant(t));
    let tells = |name: &str, value: &Value| {
        let text = value.as_str();
        !BOOKKEEPING.contains(&name)
            && instant(value) != Some(record.at_ms)
            && text != Some(record.record.as_str())
            && !text.is_some_and(|t| known.contains(&t))
    };
    html! {
        @for (name, value) in record.fields.iter().filter(|(n, v)| tells(n, v)) {
            @let masked = record.masked.contains(name);
            @let told = instant(value).map_or_else(|| show::value(value), |ms| show::minute(zone, ms));
            @let code = value.as_str().filter(|text| !masked && ucc::check(text).is_ok());
            span.field title=[masked.then(|| words::MASKED.of(l))] {
                span.name { (name) }
                @if let Some(code) = code { a href=(subject::href(code)) { bdi { (code) } } } @else { (folded(&told)) }
            }
            " "
        }
    }
}

/// A text, folded where it is long.
pub(super) fn folded(text: &str) -> Markup {
    html! {
        @if text.chars().count() > LONG {
            details.long {
                summary { bdi { (text.chars().take(SHORT).collect::<String>()) "…" } }
                bdi { (text) }
            }
        } @else {
            bdi { (text) }
        }
    }
}
