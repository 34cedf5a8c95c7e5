//! Subject: one business: its card, its alerts, and the records of all feeds about it on one axis and as a list.

use axum::extract::State;
use maud::{Markup, html};

use super::{
    address::{Address, escape},
    feeds,
    language::Language,
    life::Life,
    page::Page,
    records,
    row::Rows,
    show,
    strip::Strip,
    subjects, words,
};
use crate::{
    api::{problem::Problem, query::Name, subjects as api},
    engine::{
        handle::Handle,
        view::{AlertRow, SubjectView},
    },
    model::reference::{region, ucc},
};

pub(super) const PATH: &str = "/subjects";
/// Records listed where the address does not ask for all.
const LINES: usize = 50;
/// Records that the view holds at most.
const RECORDS_MAX: u64 = 500;
/// Past alerts listed.
const PAST: usize = 20;
/// The parameter that asks for all records, and its word.
const RECORDS: &str = "records";
const EVERY: &str = "all";

/// Where a business's page is.
pub(super) fn href(code: &str) -> String {
    format!("{PATH}/{}", escape(code))
}

/// The page.
pub(super) async fn page(
    page: Page,
    State(handle): State<Handle>,
    Name(code): Name,
) -> Result<Markup, Problem> {
    let query = page.address.query().only(&[RECORDS, "feed"])?;
    query.word(RECORDS, |w| (w == EVERY).then_some(()), EVERY)?;
    let (unknown, folded) = (api::unknown(&code), ucc::fold(&code).into_owned());
    let subject = handle.ask(move |desk| desk.subject_of(&folded)).await?.ok_or(unknown)?;
    let strip = Strip::read(&handle).await?;
    let told = Told { subject, strip: &strip, page: &page, l: page.language };
    let content = told.show();
    Ok(page.frame(told.name(), Some(&strip), content))
}

struct Told<'a> {
    subject: SubjectView,
    strip: &'a Strip,
    page: &'a Page,
    l: Language,
}

impl Told<'_> {
    fn name(&self) -> &str {
        self.subject.subject.name.as_deref().unwrap_or(&self.subject.subject.ucc)
    }

    fn show(&self) -> Markup {
        let l = self.l;
        let subject = &self.subject;
        html! {
            article.alert.sheet {
                div.back.both {
                    a data-back href=(PATH) { "‹ " (words::SUBJECTS_BACK.of(l)) }
                    (subjects::search(None, l))
                }
                (self.card())
                section aria-labelledby="life" {
                    h2 #life { (words::LIFE.of(l)) }
                    (Life { subject, feeds: &self.strip.feeds, zone: &self.page.zone, data_ms: self.strip.data_ms, language: l }.figure())
                }
                (self.alerts("open", words::OPEN_OF_IT.of(l), words::NO_OPEN.of(l), &subject.open, usize::MAX))
                (self.alerts("past", words::PAST_OF_IT.of(l), words::NO_PAST.of(l), &subject.past, PAST))
                (self.records())
            }
        }
    }

    fn card(&self) -> Markup {
        let l = self.l;
        let subject = &self.subject;
        let code = &subject.subject.ucc;
        let fault = ucc::check(code).err();
        let others = subject.names.iter().filter(|n| Some(*n) != subject.subject.name.as_ref());
        let others: Vec<&String> = others.collect();
        let registered = code.get(2..8).filter(|_| fault.is_none());
        html! {
            header.headline.card {
                h1 { bdi { (self.name()) } }
                dl {
                    div { dt { (words::CODE.of(l)) } dd {
                        code { (code) } " "
                        @match &fault {
                            None => span.fit.good { (show::lamp("good")) (words::CODE_VALID.of(l)) },
                            Some(fault) => span.fit.bad lang="en" { (show::lamp("bad")) (words::CODE_INVALID.of(l)) " (" (fault) ")" },
                        }
                    } }
                    @if !others.is_empty() {
                        div { dt { (words::OTHER_NAMES.of(l)) } dd { @for (i, name) in others.iter().enumerate() { @if i > 0 { "；" } bdi { (name) } } } }
                    }
                    div { dt { (words::PLACE.of(l)) } dd {
                        @match (&subject.region, &subject.region_name) {
                            (Some(region), name) => { bdi { (name.as_deref().unwrap_or(region)) } " " code.muted { (region) } },
                            (None, _) => (show::NOTHING),
                        }
                    } }
                    @if let Some(region) = registered {
                        div { dt title=(words::REGISTERED_NOTE.of(l)) { (words::REGISTERED.of(l)) } dd {
                            bdi { (region::name(region).unwrap_or(show::NOTHING)) } " " code.muted { (region) }
                        } }
                    }
                    div { dt { (words::ALERTS.of(l)) } dd {
                        a href=(self.all_alerts()) { (show::count((subject.open.len() + subject.past.len()) as u64)) }
                        " · " (words::OPEN_ALERTS.with(l, &[("n", &show::count(subject.open.len() as u64))]))
                    } }
                    div { dt { (words::RECORDS.of(l)) } dd {
                        @for (i, of_feed) in subject.feeds.iter().enumerate() {
                            @if i > 0 { " · " }
                            a href=(self.page.address.without(RECORDS).with("feed", &of_feed.feed)) { bdi { (feeds::title(&self.strip.feeds, &of_feed.feed, l)) } }
                            " " (show::count(of_feed.records))
                        }
                        @if subject.feeds.is_empty() { "0" }
                    } }
                }
            }
        }
    }

    fn all_alerts(&self) -> Address {
        Address::at("/alerts").with("ucc", &self.subject.subject.ucc).with("state", "all")
    }

    fn alerts(&self, id: &str, title: &str, none: &str, all: &[AlertRow], most: usize) -> Markup {
        let rows = Rows::of(self.l, self.strip);
        let n = show::count(all.len() as u64);
        html! {
            section aria-labelledby=(id) {
                h2 id=(id) { (title) @if !all.is_empty() { " " span.n { (n) } } }
                @if all.is_empty() { p.muted { (none) } }
                @else {
                    table.alerts { (rows.head()) tbody { @for alert in all.iter().take(most) { (rows.row(alert, true)) } } }
                    @if all.len() > most { p.more { a href=(self.all_alerts()) { (words::ALL_OF_THEM.with(self.l, &[("n", &n)])) } } }
                }
            }
        }
    }

    fn records(&self) -> Markup {
        let l = self.l;
        let subject = &self.subject;
        let address = &self.page.address;
        let feed = address.get("feed");
        let all: Vec<_> =
            subject.records.iter().filter(|r| feed.is_none_or(|f| f == r.feed)).cloned().collect();
        let every = address.get(RECORDS) == Some(EVERY);
        let shown = &all[..if every { all.len() } else { all.len().min(LINES) }];
        let known: Vec<&str> = [subject.subject.ucc.as_str(), self.name()].into();
        let total: u64 = subject.feeds.iter().map(|f| f.records).sum();
        let counts =
            [("shown", show::count(shown.len() as u64)), ("n", show::count(all.len() as u64))];
        let counts = counts.each_ref().map(|(name, n)| (*name, n.as_str()));
        html! {
            section #records aria-labelledby="lines" {
                h2 #lines { (words::RECORDS_OF_IT.of(l)) }
                p.muted {
                    (words::LINES_SHOWN.with(l, &counts))
                    @if shown.len() < all.len() { " · " a href={ (address.with(RECORDS, EVERY)) "#records" } { (words::SHOW_ALL.of(l)) } }
                    @if let Some(feed) = feed {
                        " · " bdi { (feeds::title(&self.strip.feeds, feed, l)) } " "
                        a href={ (address.without("feed")) "#records" } { (words::ALL_FEEDS.of(l)) }
                    } @else if total > RECORDS_MAX { " · " (words::RECORDS_LATEST.with(l, &[("n", &show::count(total))])) }
                }
                @if all.is_empty() { p.muted { (words::NO_RECORDS.of(l)) } }
                @else {
                    div.scroll tabindex="0" role="group" aria-label=(words::RECORDS_OF_IT.of(l)) {
                        (records::table(shown, &self.strip.feeds, &known, &self.page.zone, l))
                    }
                }
            }
        }
    }
}
