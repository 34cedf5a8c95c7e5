//! Rules: the list of all, with what each found and whether it is fit to find anything.
//!
//! Parameters: `q` text in id or title, `status`, `domain`, `feed`, and `is` for what one looks for: rules that fire now,
//! that never fired, that are not fit.

use axum::extract::State;
use maud::{Markup, html};

use super::{
    address::{Address, escape},
    facet::{self, Choice},
    language::Language,
    page::Page,
    show,
    strip::Strip,
    words::{self, Word},
};
use crate::{
    api::problem::Problem,
    engine::{handle::Handle, view::RuleRow},
    model::signal::Severity,
};

pub(super) const PATH: &str = "/rules";
const PARAMETERS: [&str; 5] = ["q", "status", "domain", "feed", "is"];
/// What `is` may say.
const LOOKS: [(&str, Word); 3] = [
    ("firing", words::RULES_FIRING),
    ("silent", words::RULES_SILENT),
    ("unfit", words::RULES_UNFIT),
];
const STATUSES: [&str; 4] = ["live", "shadow", "draft", "retired"];

/// Whether a rule can find anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It judges what comes.
    Ready,
    /// It runs, and no window has closed yet.
    Waiting,
    /// All that it was asked lacked the history it compares with.
    Unready,
    /// It does not run.
    Off,
    /// Some evaluations failed.
    Failing,
}

impl Fit {
    pub(super) fn of(rule: &RuleRow) -> Self {
        let work = rule.work;
        match rule.status.as_str() {
            "draft" | "retired" => Self::Off,
            _ if work.failures > 0 => Self::Failing,
            _ if !matches!(rule.kind.as_str(), "window" | "detect") => Self::Ready,
            _ if work.evaluations == 0 && rule.alerts == 0 => Self::Waiting,
            _ if work.not_ready == work.evaluations && rule.alerts == 0 => Self::Unready,
            _ => Self::Ready,
        }
    }

    fn lamp(self) -> &'static str {
        match self {
            Self::Ready => "good",
            Self::Waiting | Self::Unready | Self::Off => "note",
            Self::Failing => "bad",
        }
    }

    fn word(self) -> Word {
        match self {
            Self::Ready => words::FIT_READY,
            Self::Waiting => words::FIT_WAITING,
            Self::Unready => words::FIT_UNREADY,
            Self::Off => words::FIT_OFF,
            Self::Failing => words::FIT_FAILING,
        }
    }

    /// As lamp and word.
    pub(super) fn show(self, l: Language) -> Markup {
        html! { span class={ "fit " (self.lamp()) } { (show::lamp(self.lamp())) (self.word().of(l)) } }
    }
}

/// A status for people.
pub(super) fn status(word: &str) -> Option<Word> {
    match word {
        "live" => Some(words::STATUS_LIVE),
        "shadow" => Some(words::STATUS_SHADOW),
        "draft" => Some(words::STATUS_DRAFT),
        "retired" => Some(words::STATUS_RETIRED),
        _ => None,
    }
}

/// Where a rule's page is.
pub(super) fn href(id: &str) -> String {
    format!("{PATH}/{}", escape(id))
}

/// The page.
pub(super) async fn page(page: Page, State(handle): State<Handle>) -> Result<Markup, Problem> {
    let query = page.address.query().only(&PARAMETERS)?;
    let one_of = |name: &str, known: &[&str]| {
        let parse = |w: &str| known.contains(&w).then_some(());
        query.words(name, parse, &known.join(", ")).map(drop)
    };
    one_of("status", &STATUSES)?;
    one_of("is", &LOOKS.map(|(word, _)| word))?;
    let work = handle.metrics().work();
    let rules = handle.ask(move |desk| desk.rules(&work)).await?;
    let strip = Strip::read(&handle).await?;
    let list = List { rules, address: &page.address, strip: &strip, l: page.language };
    let title = words::RULES.of(page.language);
    let content = facet::beside(list.filters(), list.results(), title, page.language);
    Ok(page.frame(title, Some(&strip), content))
}

struct List<'a> {
    rules: Vec<RuleRow>,
    address: &'a Address,
    strip: &'a Strip,
    l: Language,
}

impl List<'_> {
    /// Whether a rule passes the filters, that of `but` aside.
    fn passes(&self, rule: &RuleRow, but: &str) -> bool {
        let word = |name: &str, value: &str| {
            let wanted = self.address.words(name);
            name == but || wanted.is_empty() || wanted.contains(&value)
        };
        let looks = self.address.words("is");
        let text = self.address.get("q").unwrap_or_default().trim().to_lowercase();
        let texts = [&rule.id, &rule.title.zh, &rule.title.en];
        word("status", &rule.status)
            && word("domain", rule.domain.as_deref().unwrap_or_default())
            && rule.feeds.iter().any(|feed| word("feed", feed))
            && (but == "is" || looks.iter().all(|look| is(rule, look)))
            && texts.iter().any(|t| t.to_lowercase().contains(&text))
    }

    fn filters(&self) -> Markup {
        let l = self.l;
        let count = |name: &str, of: &dyn Fn(&RuleRow) -> bool| {
            self.rules.iter().filter(|r| self.passes(r, name) && of(r)).count() as u64
        };
        let looks = LOOKS.map(|(word, title)| Choice {
            word: word.to_owned(),
            title: html! { span { (title.of(l)) } },
            n: count("is", &|r| is(r, word)),
        });
        let statuses = STATUSES.iter().filter(|s| self.rules.iter().any(|r| r.status == **s));
        let statuses: Vec<Choice> = statuses
            .map(|word| Choice {
                word: (*word).to_owned(),
                title: html! { span { (status(word).map_or(*word, |w| w.of(l))) } },
                n: count("status", &|r| r.status == *word),
            })
            .collect();
        let plain = |name: &'static str, values: &dyn Fn(&RuleRow) -> Vec<String>| {
            let mut all: Vec<String> = self.rules.iter().flat_map(values).collect();
            all.sort();
            all.dedup();
            let choice = |word: String| Choice {
                title: html! { bdi { (if name == "feed" { self.feed(&word) } else { word.as_str() }) } },
                n: count(name, &|r| values(r).contains(&word)),
                word,
            };
            all.into_iter().map(choice).collect::<Vec<_>>()
        };
        html! {
            (facet::search(self.address, PATH, words::RULES_SEARCH, l))
            (facet::facet(self.address, "is", words::RULES_LOOK.of(l), true, &looks))
            (facet::facet(self.address, "status", words::STATUS.of(l), false, &statuses))
            (facet::facet(self.address, "domain", words::DOMAIN.of(l), false, &plain("domain", &|r| r.domain.iter().cloned().collect())))
            (facet::facet(self.address, "feed", words::FEED.of(l), false, &plain("feed", &|r| r.feeds.clone())))
        }
    }

    fn results(&self) -> Markup {
        let l = self.l;
        let shown: Vec<&RuleRow> = self.rules.iter().filter(|r| self.passes(r, "")).collect();
        let total = words::RULES_TOTAL.with(l, &[("n", &show::count(shown.len() as u64))]);
        let called = |name: &str, value: &str| self.called(name, value);
        html! {
            (facet::bar(self.address, PATH, &total, called, l))
            @if self.rules.is_empty() {
                div.empty {
                    h2 { (words::RULES_NONE.of(l)) }
                    p { (words::RULES_NONE_WHY.of(l)) }
                    pre { code { "rules/market/order_surge.yaml\nforewarn check rules\nforewarn test rules" } }
                }
            } @else if shown.is_empty() {
                div.empty {
                    h2 { (words::RULES_FILTERED.of(l)) }
                    p { a href=(PATH) { (words::CLEAR.of(l)) } }
                }
            } @else { (self.table(&shown)) }
        }
    }

    fn table(&self, rules: &[&RuleRow]) -> Markup {
        let l = self.l;
        html! {
            div.scroll tabindex="0" role="group" aria-label=(words::RULES.of(l)) {
                table.rows {
                    caption.hidden { (words::RULES.of(l)) }
                    thead { tr {
                        th scope="col" { (words::RULE.of(l)) } th scope="col" { (words::FIT.of(l)) }
                        th.minor scope="col" { (words::STATUS.of(l)) }
                        th.minor scope="col" { (words::SEVERITY.of(l)) } th.minor scope="col" { (words::FEED.of(l)) }
                        th.number scope="col" { (words::OPEN.of(l)) } th.number scope="col" { (words::ALERTS.of(l)) }
                        th.number.minor scope="col" { (words::RETRACTED.of(l)) } th.number.minor scope="col" { (words::SIGNALS.of(l)) }
                        th.minor scope="col" { (words::LAST_FIRED.of(l)) } th.minor scope="col" title=(words::AGE_NOTE.of(l)) { (words::AGE.of(l)) }
                    } }
                    tbody { @for rule in rules { (self.row(rule)) } }
                }
            }
        }
    }

    fn row(&self, rule: &RuleRow) -> Markup {
        let l = self.l;
        let alerts = Address::at("/alerts").with("rule", &rule.id);
        html! {
            tr data-row {
                td.title {
                    a href=(href(&rule.id)) { bdi { (l.of(&rule.title)) } }
                    span.id { code { (rule.id) } " " span.muted { @if let Some(domain) = &rule.domain { (domain) " · " } "v" (rule.version) } }
                }
                td { (Fit::of(rule).show(l)) }
                td.minor { (status(&rule.status).map_or(rule.status.as_str(), |w| w.of(l))) }
                td.minor { (severities(&rule.severities, l)) }
                td.minor { a href=(super::feeds::href(&rule.feed)) { bdi { (self.feed(&rule.feed)) } } }
                td.number { @if rule.open > 0 { a href=(alerts) { (show::count(rule.open)) } } @else { span.muted { "0" } } }
                td.number { @if rule.alerts > 0 { a href=(alerts.with("state", "all")) { (show::count(rule.alerts)) } } @else { span.muted { "0" } } }
                td.number.minor { (show::count(rule.retracted)) }
                td.number.minor { (show::count(rule.signals)) }
                td.minor.muted { @if let Some(at) = &rule.last_fired_at { (show::instant(at)) } @else { (show::NOTHING) } }
                td.minor.muted { @if let Some(at) = &rule.last_fired_at { (show::age(at, self.strip.data_ms, &self.strip.zone, l)) } @else { (words::NEVER.of(l)) } }
            }
        }
    }

    fn feed<'b>(&'b self, name: &'b str) -> &'b str {
        super::feeds::title(&self.strip.feeds, name, self.l)
    }

    fn called(&self, name: &str, value: &str) -> String {
        let l = self.l;
        let one = |word: &str| match name {
            "is" => {
                LOOKS.iter().find(|(w, _)| *w == word).map_or(word, |(_, t)| t.of(l)).to_owned()
            }
            "status" => status(word).map_or(word, |w| w.of(l)).to_owned(),
            "feed" => self.feed(word).to_owned(),
            _ => word.to_owned(),
        };
        let title = match name {
            "q" => words::SEARCH,
            "is" => words::RULES_LOOK,
            "status" => words::STATUS,
            "domain" => words::DOMAIN,
            _ => words::FEED,
        };
        let value = if name == "q" {
            value.to_owned()
        } else {
            value.split(',').map(|w| one(w.trim())).collect::<Vec<_>>().join(" / ")
        };
        format!("{}: {value}", title.of(l))
    }
}

/// The severities a rule can raise, as shapes with their words.
pub(super) fn severities(words: &[String], l: Language) -> Markup {
    html! {
        span.severities {
            @for severity in words.iter().filter_map(|w| Severity::parse(w)) {
                (show::severity(severity, l)) " "
            }
        }
    }
}

fn is(rule: &RuleRow, look: &str) -> bool {
    match look {
        "firing" => rule.open > 0,
        "silent" => rule.alerts == 0 && rule.status == "live",
        "unfit" => matches!(Fit::of(rule), Fit::Failing | Fit::Unready),
        _ => true,
    }
}
