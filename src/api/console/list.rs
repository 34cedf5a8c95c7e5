//! List: the alerts, a page at a time, with filters in the address.
//!
//! The parameters are those of `GET /api/v1/alerts`; where nothing is said about states, those that are open are shown, and
//! `state=all` shows the others, too. The list alone is a fragment, and so are single rows: a script follows the stream,
//! puts changed rows in the place of old ones, and announces new ones.

use axum::{extract::State, http::HeaderMap};
use maud::{Markup, html};

use super::{
    address::Address,
    language::Language,
    page::{Page, host},
    row::Rows,
    show,
    strip::Strip,
    words::{self, Word},
};
use crate::{
    api::{alerts, problem::Problem},
    engine::{
        handle::{AlertQuery, Handle, Sort},
        view::{AlertPage, Facet, Facets},
    },
    model::{alert, signal::Severity, time::Zone},
};

const PATH: &str = "/alerts";
const FRAGMENT: &str = "/fragments/alerts";
const ROWS: &str = "/fragments/alerts/rows";
/// Word for states that are open, and for all of them.
const OPEN: &str = "open";
const EVERY: &str = "all";
/// Rules and cities shown before the rest is folded.
const SHOWN: usize = 8;
/// Rows that are refreshed at once.
const ROWS_MAX: usize = 100;

/// What the list is made of.
struct List {
    address: Address,
    alerts: AlertPage,
    facets: Facets,
    strip: Strip,
    /// Alerts in all, where the list is empty.
    all: u64,
    language: Language,
    /// How browsers call this server.
    host: String,
}

/// The page.
pub(super) async fn page(
    page: Page,
    State(handle): State<Handle>,
    headers: HeaderMap,
) -> Result<Markup, Problem> {
    let list = List::read(&page, &handle, &headers).await?;
    let title = words::ALERTS.of(page.language);
    let content = html! {
        h1.hidden { (title) }
        p #news .news role="status" aria-live="polite" {}
        (list.show())
    };
    Ok(page.frame(title, Some(&list.strip), content))
}

/// The list alone.
pub(super) async fn fragment(
    page: Page,
    State(handle): State<Handle>,
    headers: HeaderMap,
) -> Result<Markup, Problem> {
    Ok(List::read(&page, &handle, &headers).await?.show())
}

/// Rows of the alerts named by `id`, whether they pass the filter or not.
pub(super) async fn rows(page: Page, State(handle): State<Handle>) -> Result<Markup, Problem> {
    let ids: Vec<String> =
        page.address.words("id").into_iter().take(ROWS_MAX).map(str::to_owned).collect();
    let mut passing = asked(&page.address.without("id").without("cursor"), &page.zone)?;
    passing.filter.ids.clone_from(&ids);
    passing.limit = ROWS_MAX;
    let mut named = AlertQuery { limit: ROWS_MAX, sort: passing.sort, ..AlertQuery::default() };
    named.filter.ids = ids;
    let none = named.filter.ids.is_empty();
    let (passing, named) =
        handle.ask(move |desk| Ok((desk.alerts(passing)?, desk.alerts(named)?))).await?;
    let rows = Rows::of(page.language, &Strip::read(&handle).await?);
    Ok(html! {
        @for alert in named.alerts.iter().filter(|_| !none) {
            (rows.row(alert, passing.alerts.iter().any(|a| a.id == alert.id)))
        }
    })
}

/// What the address asks for.
fn asked(address: &Address, zone: &Zone) -> Result<AlertQuery, Problem> {
    let address = match address.get("state") {
        None => address.with("state", OPEN),
        Some(EVERY) => address.without("state"),
        Some(_) => address.clone(),
    };
    alerts::asked(address.query(), zone)
}

impl List {
    async fn read(page: &Page, handle: &Handle, headers: &HeaderMap) -> Result<Self, Problem> {
        let query = asked(&page.address, &page.zone)?;
        let read = handle.ask(move |desk| {
            let facets = desk.facets(query.clone())?;
            let alerts = desk.alerts(query)?;
            let all = if alerts.alerts.is_empty() {
                desk.facets(AlertQuery::default())?.states.iter().map(|f| f.alerts).sum()
            } else {
                0
            };
            Ok((alerts, facets, all))
        });
        let (alerts, facets, all) = read.await?;
        Ok(Self {
            address: page.address.moved(PATH),
            alerts,
            facets,
            strip: Strip::read(handle).await?,
            all,
            language: page.language,
            host: host(headers).to_owned(),
        })
    }

    fn show(&self) -> Markup {
        let l = self.language;
        let first = self.address.without("cursor");
        html! {
            div #list .list
                data-after=(self.alerts.as_of)
                data-stream="/api/v1/alerts/stream"
                data-list=(first.moved(FRAGMENT)) data-rows=(first.moved(ROWS))
                data-new=(words::NEW_ALERTS.of(l)) data-old=(words::LIST_OLD.of(l)) {
                aside.filters aria-label=(words::FILTERS.of(l)) {
                    details.fold open {
                        summary { (words::FILTERS.of(l)) }
                        (self.filters())
                    }
                }
                section.results aria-label=(words::ALERTS.of(l)) {
                    (self.bar())
                    @if self.alerts.alerts.is_empty() { (self.empty()) } @else { (self.table()) }
                }
            }
        }
    }

    fn filters(&self) -> Markup {
        let l = self.language;
        let hidden = self.address.without("cursor");
        let hidden = hidden.pairs().filter(|(n, _)| *n != "q");
        let states = self.facets.states.iter().map(|f| (f, alert::State::parse(&f.word)));
        let severities = self.facets.severities.iter().map(|f| (f, Severity::parse(&f.word)));
        html! {
            form.search action=(PATH) role="search" {
                @for (name, value) in hidden { input type="hidden" name=(name) value=(value); }
                label.hidden for="q" { (words::SEARCH.of(l)) }
                input #q type="search" name="q" value=[self.address.get("q")] maxlength="200"
                    placeholder=(words::SEARCH_IN.of(l)) dir="auto";
                button { (words::SEARCH.of(l)) }
            }
            h2 { (words::STATE.of(l)) }
            ul.facet {
                (self.open_and_all())
                @for (facet, state) in states {
                    @if let Some(state) = state {
                        (self.choice("state", facet, html! { (show::state(state, l)) }))
                    }
                }
            }
            h2 { (words::SEVERITY.of(l)) }
            ul.facet {
                @for (facet, severity) in severities {
                    @if let Some(severity) = severity {
                        (self.choice("severity", facet, html! { (show::severity(severity, l)) }))
                    }
                }
            }
            (self.long_facet("rule", words::RULE, &self.facets.rules))
            (self.long_facet("region", words::CITY, &self.facets.cities))
        }
    }

    /// The two sets of states that people mean most.
    fn open_and_all(&self) -> Markup {
        let l = self.language;
        let is_open = |f: &&Facet| {
            let state = alert::State::parse(&f.word);
            matches!(state, Some(alert::State::Pending | alert::State::Firing))
        };
        let sum = |all: &mut dyn Iterator<Item = &Facet>| all.map(|f| f.alerts).sum::<u64>();
        let open = sum(&mut self.facets.states.iter().filter(is_open));
        let all = sum(&mut self.facets.states.iter());
        let now = self.address.get("state").unwrap_or(OPEN);
        let base = self.address.without("cursor");
        html! {
            @for (word, title, n) in [(OPEN, words::OPEN, open), (EVERY, words::ALL, all)] {
                li {
                    a href=(if word == OPEN { base.without("state") } else { base.with("state", word) })
                      aria-current=[(now == word).then_some("true")] {
                        span { (title.of(l)) } span.n { (show::count(n)) }
                    }
                }
            }
        }
    }

    fn long_facet(&self, name: &str, title: Word, all: &[Facet]) -> Markup {
        let l = self.language;
        let choice = |facet: &Facet| {
            let called = l.of(&facet.title);
            self.choice(name, facet, html! { bdi title=(called) { (called) } })
        };
        let (shown, folded) = all.split_at(all.len().min(SHOWN));
        let chosen = self.address.words(name);
        let open = folded.iter().any(|f| chosen.contains(&f.word.as_str()));
        html! {
            @if !all.is_empty() {
                h2 { (title.of(l)) }
                ul.facet { @for facet in shown { (choice(facet)) } }
                @if !folded.is_empty() {
                    details open[open] {
                        summary { (words::MORE.with(l, &[("n", &show::count(folded.len() as u64))])) }
                        ul.facet { @for facet in folded { (choice(facet)) } }
                    }
                }
            }
        }
    }

    /// A word of a parameter as a link that puts it in or takes it out; a region is one only.
    fn choice(&self, name: &str, facet: &Facet, title: Markup) -> Markup {
        let base = self.address.without("cursor");
        let on = base.words(name).contains(&facet.word.as_str());
        let href = match (name, on) {
            ("region", false) => base.with(name, &facet.word),
            ("region", true) => base.without(name),
            // Instead of "all" or "open", not beside it.
            ("state", false) if base.words(name).iter().any(|w| [OPEN, EVERY].contains(w)) => {
                base.with(name, &facet.word)
            }
            _ => base.toggled(name, &facet.word),
        };
        html! {
            li { a href=(href) aria-current=[on.then_some("true")] { (title) span.n { (show::count(facet.alerts)) } } }
        }
    }

    fn bar(&self) -> Markup {
        let l = self.language;
        let sorts = [
            (Sort::Fired, words::SORT_FIRED),
            (Sort::Known, words::SORT_KNOWN),
            (Sort::Severity, words::SORT_SEVERITY),
        ];
        let sorted = self.address.get("sort").unwrap_or(Sort::Fired.word());
        let base = self.address.without("cursor");
        let chips: Vec<(&str, &str)> = base.pairs().filter(|(n, _)| *n != "sort").collect();
        html! {
            div.bar {
                p.total { (words::TOTAL.with(l, &[("n", &show::count(self.alerts.total))])) }
                @if !chips.is_empty() {
                    ul.chips aria-label=(words::FILTERS.of(l)) {
                        @for (name, value) in &chips {
                            li {
                                @let called = self.called(name, value);
                                a href=(base.without(name)) aria-label=(words::REMOVE.with(l, &[("what", &called)])) {
                                    bdi { (called) } span aria-hidden="true" { "×" }
                                }
                            }
                        }
                        li { a.clear href=(PATH) { (words::CLEAR.of(l)) } }
                    }
                }
                div.sorts role="group" aria-label=(words::SORT.of(l)) {
                    span aria-hidden="true" { (words::SORT.of(l)) }
                    @for (sort, word) in sorts {
                        a href=(base.with("sort", sort.word())) aria-current=[(sort.word() == sorted).then_some("true")] {
                            (word.of(l))
                        }
                    }
                }
            }
        }
    }

    /// A filter for people.
    fn called(&self, name: &str, value: &str) -> String {
        let l = self.language;
        let one = |word: &str| match name {
            "state" if word == EVERY => words::ALL.of(l).to_owned(),
            "state" if word == OPEN => words::OPEN.of(l).to_owned(),
            "state" => alert::State::parse(word)
                .map_or_else(|| word.to_owned(), |s| words::state(s).of(l).to_owned()),
            "severity" => Severity::parse(word)
                .map_or_else(|| word.to_owned(), |s| words::severity(s).of(l).to_owned()),
            "rule" | "region" => {
                let all = if name == "rule" { &self.facets.rules } else { &self.facets.cities };
                let facet = all.iter().find(|f| f.word == word);
                facet.map_or_else(|| word.to_owned(), |f| l.of(&f.title).to_owned())
            }
            _ => word.to_owned(),
        };
        let title = match name {
            "state" => words::STATE.of(l),
            "severity" => words::SEVERITY.of(l),
            "rule" => words::RULE.of(l),
            "region" => words::CITY.of(l),
            "q" => words::SEARCH.of(l),
            "key" => words::KEY.of(l),
            "ucc" => words::SUBJECT.of(l),
            name => name,
        };
        let several = ["state", "severity", "rule"].contains(&name);
        let value = if several {
            value.split(',').map(|w| one(w.trim())).collect::<Vec<_>>().join(" / ")
        } else {
            one(value)
        };
        format!("{title}: {value}")
    }

    fn table(&self) -> Markup {
        let l = self.language;
        let rows = Rows::of(l, &self.strip);
        let first = self.address.without("cursor");
        html! {
            table.alerts {
                caption.hidden { (words::ALERTS.of(l)) }
                (rows.head())
                tbody { @for alert in &self.alerts.alerts { (rows.row(alert, true)) } }
            }
            nav.pages aria-label=(words::PAGES.of(l)) {
                @if self.address.get("cursor").is_some() { a.button href=(first) { (words::FIRST_PAGE.of(l)) } }
                @if let Some(next) = &self.alerts.next {
                    a.button rel="next" href=(first.with("cursor", next)) { (words::NEXT_PAGE.of(l)) }
                }
            }
        }
    }

    /// Why there is nothing, and what to do; "no alerts" is not "no data".
    fn empty(&self) -> Markup {
        let l = self.language;
        let health = &self.strip.health;
        let (rules, feeds) = (show::count(health.rules), show::count(health.feeds));
        let (records, all) = (show::count(health.records), show::count(self.all));
        let feed = self.strip.feeds.first().map_or("feed", |f| f.feed.as_str());
        let filtered = self.address.pairs().any(|(n, v)| n != "sort" && (n, v) != ("state", EVERY));
        html! {
            div.empty {
                @if health.records == 0 && health.status == "recovering" {
                    h2 { (words::EMPTY_RECOVERING.of(l)) }
                } @else if health.records == 0 {
                    h2 { (words::EMPTY_NO_DATA.of(l)) }
                    p { (words::EMPTY_NO_DATA_WHY.with(l, &[("rules", &rules), ("feeds", &feeds)])) }
                    pre { code { "curl --data-binary @records.ndjson http://" (self.host) "/api/v1/feeds/" (feed) "/events" } }
                } @else if self.all == 0 {
                    h2 { (words::EMPTY_QUIET.of(l)) }
                    @let at = self.strip.data_ms.map_or_else(|| show::NOTHING.to_owned(), |ms| show::minute(&self.strip.zone, ms));
                    p { (words::EMPTY_QUIET_WHY.with(l, &[("rules", &rules), ("records", &records), ("at", &at)])) }
                } @else if filtered {
                    h2 { (words::EMPTY_FILTERED.of(l)) }
                    p { (words::EMPTY_FILTERED_WHY.with(l, &[("n", &all)])) " " a href=(PATH) { (words::CLEAR.of(l)) } }
                } @else {
                    h2 { (words::EMPTY_ENDED.of(l)) }
                    p {
                        (words::EMPTY_ENDED_WHY.with(l, &[("n", &all)])) " "
                        a href=(Address::at(PATH).with("state", EVERY)) { (words::EMPTY_ENDED_SHOW.of(l)) }
                    }
                }
                @if self.strip.is_stalled() { p.warning { (words::EMPTY_STALLED.of(l)) } }
            }
        }
    }
}
