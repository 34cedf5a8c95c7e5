//! Alert: one alert with everything that explains it, from the message down to the records and the rule's text.

use axum::extract::State;
use maud::{Markup, html};
use serde_json::Value;

use super::{
    address::escape,
    chart,
    page::Page,
    records,
    row::{self, Rows},
    show,
    strip::Strip,
    timeline::Timeline,
    why, words,
};
use crate::{
    api::{alerts, problem::Problem, query::Name},
    engine::{
        handle::{AlertQuery, Desk, DeskError, Filter, Handle},
        view::{AlertDetail, AlertRow, EvidencePage, EvidenceRecord, Revision},
    },
};

/// Records listed where the address does not ask for all.
const LINES: usize = 50;
/// The parameter that asks for all, and its word.
const RECORDS: &str = "records";
const EVERY: &str = "all";
/// Revisions shown before the rest is folded.
const REVISIONS: usize = 8;
/// Other alerts listed.
const OTHERS: usize = 20;

/// What the page is made of.
struct Told {
    detail: AlertDetail,
    evidence: EvidencePage,
    /// All that is known of the business.
    records: Vec<EvidenceRecord>,
    /// Other alerts of the business, else of the key.
    others: Vec<AlertRow>,
    /// Number of the latest revision before the page was read.
    as_of: i64,
}

/// The page.
pub(super) async fn page(
    page: Page,
    State(handle): State<Handle>,
    Name(id): Name,
) -> Result<Markup, Problem> {
    let query = page.address.query().only(&[RECORDS])?;
    query.word(RECORDS, |w| (w == EVERY).then_some(()), EVERY)?;
    let unknown = alerts::unknown(&id);
    let told = handle.ask(move |desk| Told::read(desk, &id)).await?.ok_or(unknown)?;
    let strip = Strip::read(&handle).await?;
    let title = page.language.of(&told.detail.alert.title).to_owned();
    let content = told.show(&page, &strip);
    Ok(page.frame(&title, Some(&strip), content))
}

impl Told {
    fn read(desk: &Desk, id: &str) -> Result<Option<Self>, DeskError> {
        let as_of = desk.stream().latest();
        let Some(detail) = desk.alert(id)? else { return Ok(None) };
        let Some(evidence) = desk.evidence(id)? else { return Ok(None) };
        let subject = match &detail.alert.subject {
            Some(business) => desk.subject_of(&business.ucc)?,
            None => None,
        };
        let (records, others) = match subject {
            Some(subject) => {
                (subject.records, subject.open.into_iter().chain(subject.past).collect())
            }
            None => (Vec::new(), of_key(desk, &detail.alert)?),
        };
        let others = others.into_iter().filter(|a| a.id != detail.alert.id).take(OTHERS).collect();
        Ok(Some(Self { detail, evidence, records, others, as_of }))
    }

    fn show(&self, page: &Page, strip: &Strip) -> Markup {
        let l = page.language;
        let alert = &self.detail.alert;
        html! {
            article.alert data-page=(alert.id) data-after=(self.as_of) {
                p #revised .revised role="status" hidden {
                    (words::CHANGED.of(l)) " " a href=(page.address) { (words::RELOAD.of(l)) }
                }
                (self.head(page))
                div.columns {
                    div.main {
                        (why::section(&self.detail, &strip.feeds, l))
                        @if let Some(series) = &self.detail.series {
                            section aria-labelledby="chart" {
                                h2 #chart { (words::CHART.of(l)) }
                                (chart::figure(series, &alert.window, &page.zone, l))
                            }
                        }
                        section aria-labelledby="timeline" {
                            h2 #timeline { (words::TIMELINE.of(l)) }
                            (self.timeline(page, strip).figure())
                            (self.lines(page, strip))
                        }
                    }
                    (self.facts(page))
                }
                (self.history(page))
                (self.others(page, strip))
                @if let Some(text) = &self.detail.rule_text {
                    section aria-labelledby="rule-text" {
                        h2 #rule-text { (words::RULE_TEXT.of(l)) " " a href=(rule(alert)) { (alert.rule) } }
                        pre.yaml tabindex="0" { code { (text) } }
                    }
                }
            }
        }
    }

    fn head(&self, page: &Page) -> Markup {
        let l = page.language;
        let alert = &self.detail.alert;
        let (message, translated) = (l.of(&alert.message), l.other().of(&alert.message));
        html! {
            p.back { a data-back href="/alerts" { "‹ " (words::BACK.of(l)) } }
            header class={ "headline " (alert.severity.word()) } {
                p.badges { (show::severity(alert.severity, l)) (show::state(alert.state, l)) }
                h1 { bdi { (l.of(&alert.title)) } }
                @if !message.is_empty() { p.message dir="auto" { (message) } }
                @if !translated.is_empty() && translated != message {
                    p.translated lang=(l.other().tag()) dir="auto" { (translated) }
                }
            }
            @for note in &self.detail.notes { p.warning role="note" { (l.of(&note.text)) } }
        }
    }

    fn facts(&self, page: &Page) -> Markup {
        let l = page.language;
        let detail = &self.detail;
        let alert = &detail.alert;
        let action = l.of(&detail.action);
        html! {
            aside.facts aria-labelledby="facts" {
                h2 #facts { (words::FACTS.of(l)) }
                dl {
                    @if let Some(business) = &alert.subject {
                        dt { (words::SUBJECT.of(l)) }
                        dd {
                            a href={ "/subjects/" (escape(&business.ucc)) } {
                                bdi { (business.name.as_deref().unwrap_or(&business.ucc)) }
                            }
                            br; code { (business.ucc) }
                        }
                    }
                    dt { (words::PLACE.of(l)) }
                    dd { bdi { (row::place(alert)) } @if let Some(code) = &alert.region { " " code { (code) } } }
                    @for (name, value) in alert.key.iter().filter(|(_, v)| !self.is_told(v)) {
                        dt { (words::KEY.of(l)) " " code { (name) } }
                        dd { bdi { (row::of_key(name, value)) } }
                    }
                    dt { (words::FIRED.of(l)) } dd { (show::instant(&alert.fired_at)) }
                    dt { (words::KNOWN.of(l)) } dd { (show::instant(&alert.known_at)) }
                    @if alert.record.is_none() || !detail.steps.is_empty() {
                        dt { (words::WINDOW.of(l)) }
                        dd { (show::instant(&alert.window.start)) " – " (show::instant(&alert.window.end)) }
                        dt { (words::BEGAN.of(l)) } dd { (show::instant(&alert.began_at)) }
                    }
                    @if let Some(at) = &alert.resolved_at { dt { (words::ENDED.of(l)) } dd { (show::instant(at)) } }
                    dt { (words::RECORDS.of(l)) } dd { (show::count(alert.evidence_total)) }
                    dt { (words::EPISODE.of(l)) } dd { (detail.episode) }
                    @if alert.reraised > 0 { dt { (words::RAISED_AGAIN.of(l)) } dd { (alert.reraised) } }
                    dt { (words::RULE.of(l)) }
                    dd { a href=(rule(alert)) { (alert.rule) } " " span.muted { (words::VERSION.with(l, &[("n", &alert.version.to_string())])) } }
                    dt { (words::ID.of(l)) } dd { code { (alert.id) } }
                }
                @if !action.is_empty() { h2 { (words::ACTION.of(l)) } p { (action) } }
                @if !detail.basis.is_empty() {
                    h2 { (words::BASIS.of(l)) }
                    ul.basis { @for basis in &detail.basis { li { (basis) } } }
                }
            }
        }
    }

    /// Whether business and place say it already.
    fn is_told(&self, value: &Value) -> bool {
        let alert = &self.detail.alert;
        let text = value.as_str();
        text.is_some()
            && (text == alert.subject.as_ref().map(|s| s.ucc.as_str())
                || text == alert.region.as_deref())
    }

    fn timeline<'a>(&'a self, page: &'a Page, strip: &'a Strip) -> Timeline<'a> {
        Timeline {
            evidence: &self.evidence.records,
            records: &self.records,
            feeds: &strip.feeds,
            window: &self.detail.alert.window,
            zone: &page.zone,
            language: page.language,
        }
    }

    fn lines(&self, page: &Page, strip: &Strip) -> Markup {
        let l = page.language;
        let EvidencePage { records: all, total, missing } = &self.evidence;
        let every = page.address.get(RECORDS) == Some(EVERY);
        // The latest are what made it fire.
        let from = if every { 0 } else { all.len().saturating_sub(LINES) };
        let shown = &all[from..];
        let subject = self.detail.alert.subject.as_ref();
        let name = subject.and_then(|s| s.name.as_deref());
        let known: Vec<&str> = subject.map(|s| s.ucc.as_str()).into_iter().chain(name).collect();
        let n = show::count(*total);
        html! {
            h3 { (words::LINE_LIST.of(l)) }
            p.muted {
                (words::LINES_SHOWN.with(l, &[("shown", &show::count(shown.len() as u64)), ("n", &n)]))
                @if from > 0 { " · " a href=(page.address.with(RECORDS, EVERY)) { (words::SHOW_ALL.of(l)) } }
                @if !missing.is_empty() { " · " (words::MISSING.with(l, &[("n", &show::count(missing.len() as u64))])) }
            }
            div.scroll tabindex="0" role="group" aria-label=(words::LINE_LIST.of(l)) {
                (records::table(shown, &strip.feeds, &known, &page.zone, l))
            }
        }
    }

    fn history(&self, page: &Page) -> Markup {
        let l = page.language;
        let all: Vec<&Revision> = self.detail.history.iter().rev().collect();
        let (shown, earlier) = all.split_at(all.len().min(REVISIONS));
        let table = |revisions: &[&Revision]| {
            html! {
                table.history {
                    thead { tr {
                        th scope="col" { (words::REVISION.of(l)) } th scope="col" { (words::KNOWN_AT.of(l)) }
                        th scope="col" { (words::STATE.of(l)) } th scope="col" { (words::SEVERITY.of(l)) }
                        th.number scope="col" { (words::RECORDS.of(l)) } th scope="col" { (words::MESSAGE.of(l)) }
                    } }
                    tbody {
                        @for revision in revisions {
                            tr {
                                td { (revision.revision) }
                                td { @if let Some(at) = &revision.at { (show::instant(at)) } @else { (show::NOTHING) } }
                                td { (show::state(revision.state, l)) } td { (show::severity(revision.severity, l)) }
                                td.number { (show::count(revision.evidence_total)) }
                                td { (records::folded(l.of(&revision.message))) }
                            }
                        }
                    }
                }
            }
        };
        html! {
            section aria-labelledby="history" {
                h2 #history { (words::HISTORY.of(l)) }
                (table(shown))
                @if !earlier.is_empty() {
                    details {
                        summary { (words::EARLIER.with(l, &[("n", &show::count(earlier.len() as u64))])) }
                        (table(earlier))
                    }
                }
            }
        }
    }

    fn others(&self, page: &Page, strip: &Strip) -> Markup {
        let l = page.language;
        let rows = Rows::of(l, strip);
        let title = match self.detail.alert.subject {
            Some(_) => words::OTHER_ALERTS,
            None => words::OTHER_ALERTS_KEY,
        };
        html! {
            section aria-labelledby="others" {
                h2 #others { (title.of(l)) }
                @if self.others.is_empty() { p.muted { (words::NO_OTHERS.of(l)) } }
                @else {
                    table.alerts { (rows.head()) tbody { @for other in &self.others { (rows.row(other, true)) } } }
                }
            }
        }
    }
}

/// Alerts of the same key, whatever the rule.
fn of_key(desk: &Desk, alert: &AlertRow) -> Result<Vec<AlertRow>, DeskError> {
    let key = Value::Object(alert.key.clone()).to_string();
    let filter = Filter { key: Some(key), ..Filter::default() };
    Ok(desk.alerts(AlertQuery { filter, limit: OTHERS + 1, ..AlertQuery::default() })?.alerts)
}

fn rule(alert: &AlertRow) -> String {
    format!("/rules/{}", escape(&alert.rule))
}
