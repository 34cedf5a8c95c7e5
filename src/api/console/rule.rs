//! Rule: one rule in plain words, with its alerts, its signals, its tests and its text.

use axum::extract::State;
use maud::{Markup, html};
use serde_json::Value;

use super::{
    address::Address,
    language::Language,
    meaning,
    page::Page,
    records::folded,
    row::{self, Rows},
    rules::{self, Fit, severities},
    show,
    strip::Strip,
    subject, weeks, words, yaml,
};
use crate::{
    api::{problem::Problem, query::Name, rules as api},
    engine::{
        handle::Handle,
        view::{RuleDetail, RuleSignals, SignalRow},
    },
    model::reference::ucc,
};

/// Signals listed.
const SIGNALS: usize = 20;
/// Alerts listed.
const ALERTS: usize = 10;

/// The page.
pub(super) async fn page(
    page: Page,
    State(handle): State<Handle>,
    Name(id): Name,
) -> Result<Markup, Problem> {
    page.address.query().only(&[])?;
    let (unknown, work) = (api::unknown(&id), handle.metrics().work());
    let signals = handle.signals().of_rule(&id, SIGNALS);
    let rule = handle.ask(move |desk| desk.rule_detail(&id, &work)).await?.ok_or(unknown)?;
    let strip = Strip::read(&handle).await?;
    let title = page.language.of(&rule.rule.title).to_owned();
    let told = Told { rule, signals, strip: &strip, l: page.language };
    let content = told.show();
    Ok(page.frame(&title, Some(&strip), content))
}

struct Told<'a> {
    rule: RuleDetail,
    signals: Option<RuleSignals>,
    strip: &'a Strip,
    l: Language,
}

impl Told<'_> {
    fn show(&self) -> Markup {
        let l = self.l;
        let rule = &self.rule.rule;
        html! {
            article.alert.sheet {
                (self.head())
                div.columns {
                    div.main {
                        section aria-labelledby="meaning" {
                            h2 #meaning { (words::MEANING.of(l)) }
                            (meaning::parts(&self.rule.definition, &rule.feed, &self.strip.feeds, l))
                        }
                        section aria-labelledby="weeks" {
                            h2 #weeks { (words::WEEKS_TITLE.of(l)) }
                            (weeks::figure(&self.rule.weeks, l))
                        }
                    }
                    (self.facts())
                }
                (self.alerts())
                (self.latest_signals())
                (self.tests())
                section aria-labelledby="text" {
                    h2 #text { (words::RULE_TEXT.of(l)) " " code.muted { (rule.file) } }
                    (yaml::text(&self.rule.text))
                }
            }
        }
    }

    fn head(&self) -> Markup {
        let l = self.l;
        let rule = &self.rule.rule;
        let other = l.other().of(&rule.title);
        html! {
            p.back { a data-back href=(rules::PATH) { "‹ " (words::RULES_BACK.of(l)) } }
            header.headline {
                p.badges {
                    (Fit::of(rule).show(l))
                    span.muted { (rules::status(&rule.status).map_or(rule.status.as_str(), |w| w.of(l))) }
                    (severities(&rule.severities, l))
                }
                h1 { bdi { (l.of(&rule.title)) } }
                @if other != l.of(&rule.title) { p.translated lang=(l.other().tag()) dir="auto" { (other) } }
                @if let Some(about) = &self.rule.about { p.message dir="auto" { (about) } }
            }
            @if let Some(why) = self.trouble() { p.warning role="note" { (why) } }
        }
    }

    /// What a reader must know about a rule that is not fit.
    fn trouble(&self) -> Option<String> {
        let work = self.rule.rule.work;
        let (n, all) = (show::count(work.failures), show::count(work.evaluations));
        match Fit::of(&self.rule.rule) {
            Fit::Failing => Some(words::FIT_FAILING_WHY.with(self.l, &[("n", &n), ("all", &all)])),
            Fit::Unready => Some(words::FIT_UNREADY_WHY.with(self.l, &[("n", &all)])),
            Fit::Off => Some(words::FIT_OFF_WHY.of(self.l).to_owned()),
            Fit::Ready | Fit::Waiting => None,
        }
    }

    fn facts(&self) -> Markup {
        let l = self.l;
        let rule = &self.rule.rule;
        let alerts = Address::at("/alerts").with("rule", &rule.id);
        let definition = &self.rule.definition;
        html! {
            aside.facts aria-labelledby="facts" {
                h2 #facts { (words::FACTS.of(l)) }
                dl {
                    dt { (words::ID.of(l)) } dd { code { (rule.id) } " " span.muted { (words::VERSION.with(l, &[("n", &rule.version.to_string())])) } }
                    @if let Some(domain) = &rule.domain {
                        dt { (words::DOMAIN.of(l)) } dd { a href=(Address::at(rules::PATH).with("domain", domain)) { (domain) } }
                    }
                    dt { (words::FEED.of(l)) }
                    dd { a href=(super::feeds::href(&rule.feed)) { bdi { (super::feeds::title(&self.strip.feeds, &rule.feed, l)) } } }
                    @if let Some(owner) = &self.rule.owner { dt { (words::OWNER.of(l)) } dd { (owner) } }
                    @if !self.rule.tags.is_empty() { dt { (words::TAGS.of(l)) } dd { (self.rule.tags.join("、")) } }
                    dt { (words::OPEN.of(l)) } dd { a href=(alerts) { (show::count(rule.open)) } }
                    dt { (words::ALERTS.of(l)) } dd { a href=(alerts.with("state", "all")) { (show::count(rule.alerts)) } }
                    dt { (words::RETRACTED.of(l)) } dd { (show::count(rule.retracted)) }
                    dt { (words::SIGNALS.of(l)) } dd { (show::count(rule.signals)) }
                    dt { (words::LAST_FIRED.of(l)) }
                    dd { @if let Some(at) = &rule.last_fired_at { (show::instant(at)) } @else { (words::NEVER.of(l)) } }
                    @if matches!(rule.kind.as_str(), "window" | "detect") {
                        dt title=(words::EVALUATIONS_NOTE.of(l)) { (words::EVALUATIONS.of(l)) } dd { (show::count(rule.work.evaluations)) }
                        dt title=(words::NOT_READY_NOTE.of(l)) { (words::NOT_READY.of(l)) } dd { (show::count(rule.work.not_ready)) }
                        dt { (words::FAILURES.of(l)) } dd { (show::count(rule.work.failures)) }
                    }
                }
                @if !definition.params.is_empty() {
                    h2 { (words::PARAMETERS.of(l)) }
                    dl { @for (name, value) in &definition.params { dt { code { "$" (name) } } dd { (folded(&show::value(value))) } } }
                }
                @if !l.of(&definition.action).is_empty() { h2 { (words::ACTION.of(l)) } p { (l.of(&definition.action)) } }
                @if !definition.basis.is_empty() {
                    h2 { (words::BASIS.of(l)) }
                    ul.basis { @for basis in &definition.basis { li { (basis) } } }
                }
            }
        }
    }

    fn alerts(&self) -> Markup {
        let l = self.l;
        let rows = Rows::of(l, self.strip);
        let all = Address::at("/alerts").with("rule", &self.rule.rule.id).with("state", "all");
        html! {
            section aria-labelledby="alerts" {
                h2 #alerts { (words::LATEST_ALERTS.of(l)) }
                @if self.rule.latest.is_empty() {
                    p.muted { (if self.rule.rule.status == "shadow" { words::SHADOW_ALERTS } else { words::RULE_NO_ALERTS }.of(l)) }
                } @else {
                    table.alerts { (rows.head()) tbody { @for alert in self.rule.latest.iter().take(ALERTS) { (rows.row(alert, true)) } } }
                    p.more { a href=(all) { (words::ALL_OF_THEM.with(l, &[("n", &show::count(self.rule.rule.alerts))])) } }
                }
            }
        }
    }

    fn latest_signals(&self) -> Markup {
        let l = self.l;
        let Some(signals) = &self.signals else { return html! {} };
        html! {
            section aria-labelledby="signals" {
                h2 #signals { (words::LATEST_SIGNALS.of(l)) }
                p.lead { (words::SIGNALS_NOTE.of(l)) }
                @if signals.signals.is_empty() { p.muted { (words::NO_SIGNALS.of(l)) } }
                @else {
                    p.muted { (words::LINES_SHOWN.with(l, &[("shown", &show::count(signals.signals.len() as u64)), ("n", &show::count(signals.total))])) }
                    div.scroll tabindex="0" role="group" aria-label=(words::LATEST_SIGNALS.of(l)) {
                        table.rows {
                            thead { tr {
                                th scope="col" { (if self.rule.rule.kind == "instant" { words::RECORD } else { words::WINDOW }.of(l)) }
                                th scope="col" { (words::KEY.of(l)) }
                                th scope="col" { (words::SEVERITY.of(l)) } th scope="col" { (words::VALUE.of(l)) }
                            } }
                            tbody { @for signal in &signals.signals { (self.signal(signal)) } }
                        }
                    }
                }
            }
        }
    }

    fn signal(&self, signal: &SignalRow) -> Markup {
        let l = self.l;
        html! {
            tr {
                td.at {
                    @match &signal.record {
                        Some(record) if self.rule.rule.kind == "instant" => {
                            bdi { (record) } " " (show::instant(&signal.window.start))
                        },
                        _ => { (show::instant(&signal.window.start)) " – " (show::instant(&signal.window.end)) },
                    }
                }
                td { @for (name, value) in &signal.key { span.field { span.name { (name) } (key_value(name, value)) } " " } }
                td { (show::severity(signal.severity, l)) }
                td {
                    @if let Value::Object(values) = &signal.values {
                        @for (name, value) in values.iter().filter(|(_, v)| !v.is_null()) {
                            span.field { span.name { (name) } (folded(&show::value(value))) } " "
                        }
                    }
                }
            }
        }
    }

    fn tests(&self) -> Markup {
        let l = self.l;
        let rule = &self.rule.rule;
        html! {
            section aria-labelledby="tests" {
                h2 #tests { (words::TESTS.of(l)) }
                @if self.rule.tests.is_empty() { p.muted { (words::NO_TESTS.of(l)) } }
                @else {
                    table.rows.numbers {
                        thead { tr { th scope="col" { (words::TEST.of(l)) } th.number scope="col" { (words::EXPECTS.of(l)) } } }
                        tbody { @for test in &self.rule.tests { tr { td dir="auto" { (test.name) } td.number { (test.expects) } } } }
                    }
                }
                p.muted { (words::TESTS_RUN.of(l)) }
                pre.command { code { "forewarn test " (show::quoted(&format!("rules/{}", rule.file))) } }
            }
        }
    }
}

/// A value of a key; a business as a link to its page.
fn key_value(name: &str, value: &Value) -> Markup {
    let code = value.as_str().filter(|text| ucc::check(text).is_ok());
    html! {
        @match code {
            Some(code) => a href=(subject::href(code)) { bdi { (code) } },
            None => bdi { (row::of_key(name, value)) },
        }
    }
}
