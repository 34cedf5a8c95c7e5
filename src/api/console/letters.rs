//! Letters: records that were refused, those that arrived last first, and how to send them again.
//!
//! The parameters are those of `GET /api/v1/dead-letters`. How many there are of each feed and class is what the engine
//! counted since its log began; letters that were sent again are among them.

use std::collections::BTreeMap;

use axum::extract::State;
use maud::{Markup, html};

use super::{
    address::{Address, escape},
    facet::{self, Choice},
    feeds,
    language::Language,
    page::Page,
    records::folded,
    show,
    strip::Strip,
    words::{self, Word},
};
use crate::{
    api::{feeds as api, problem::Problem, query::Name},
    engine::{
        handle::Handle,
        view::{DeadLetterPage, DeadLetterRow},
    },
    model::batch::DeadClass,
};

pub(super) const PATH: &str = "/dead-letters";
/// Parameters that the command has, too, with its names of them.
const OPTIONS: [(&str, &str); 5] = [
    ("feed", "--feed"),
    ("class", "--class"),
    ("partition", "--partition"),
    ("since", "--since"),
    ("until", "--until"),
];

/// Where a letter's page is.
pub(super) fn href(id: &str) -> String {
    format!("{PATH}/{}", escape(id))
}

/// A class for people.
pub(super) fn class(class: DeadClass) -> Word {
    match class {
        DeadClass::Syntax => words::DEAD_SYNTAX,
        DeadClass::TooLong => words::DEAD_TOO_LONG,
        DeadClass::Encoding => words::DEAD_ENCODING,
        DeadClass::Type => words::DEAD_TYPE,
        DeadClass::Missing => words::DEAD_MISSING,
        DeadClass::BadValue => words::DEAD_BAD_VALUE,
        DeadClass::BadTime => words::DEAD_BAD_TIME,
        DeadClass::BadUcc => words::DEAD_BAD_UCC,
        DeadClass::Future => words::DEAD_FUTURE,
        DeadClass::Late => words::DEAD_LATE,
    }
}

/// The word of a class for people.
pub(super) fn called(word: &str, l: Language) -> &str {
    DeadClass::parse(word).map_or(word, |c| class(c).of(l))
}

/// The page.
pub(super) async fn page(page: Page, State(handle): State<Handle>) -> Result<Markup, Problem> {
    let asked = api::letters_asked(page.address.query(), &handle)?;
    let letters = handle.ask(move |desk| desk.dead_letters(&asked)).await?;
    let strip = Strip::read(&handle).await?;
    let list = List { letters, address: &page.address, strip: &strip, l: page.language };
    let title = words::LETTERS.of(page.language);
    let content = facet::beside(list.filters(), list.results(), title, page.language);
    Ok(page.frame(title, Some(&strip), content))
}

struct List<'a> {
    letters: DeadLetterPage,
    address: &'a Address,
    strip: &'a Strip,
    l: Language,
}

impl List<'_> {
    fn filters(&self) -> Markup {
        let l = self.l;
        let classes = self.address.words("class");
        let wanted = |class: &str| classes.is_empty() || classes.contains(&class);
        let feeds = self.strip.feeds.iter().map(|f| Choice {
            word: f.feed.clone(),
            title: html! { bdi { (l.of(&f.title)) } },
            n: f.events.dead_letters.iter().filter(|(c, _)| wanted(c)).map(|(_, n)| n).sum(),
        });
        let chosen = self.address.get("feed");
        let feeds: Vec<Choice> =
            feeds.filter(|c| c.n > 0 || chosen == Some(c.word.as_str())).collect();
        let mut by_class: BTreeMap<&str, u64> = BTreeMap::new();
        for feed in self.strip.feeds.iter().filter(|f| chosen.is_none_or(|c| c == f.feed)) {
            for (class, n) in &feed.events.dead_letters {
                *by_class.entry(class).or_default() += n;
            }
        }
        let class = |class: DeadClass| Choice {
            word: class.word().to_owned(),
            title: html! { span { (self::class(class).of(l)) } },
            n: by_class.get(class.word()).copied().unwrap_or(0),
        };
        let by_class: Vec<Choice> = DeadClass::ALL
            .into_iter()
            .map(class)
            .filter(|c| c.n > 0 || classes.contains(&c.word.as_str()))
            .collect();
        let kept = self.address.without("cursor").without("since").without("until");
        html! {
            p.note { (words::LETTERS_COUNTED.of(l)) }
            (facet::facet(self.address, "feed", words::FEED.of(l), true, &feeds))
            (facet::facet(self.address, "class", words::CLASS.of(l), false, &by_class))
            h2 { (words::ARRIVED.of(l)) }
            form.dates action=(PATH) {
                @for (name, value) in kept.pairs() { input type="hidden" name=(name) value=(value); }
                label { span { (words::SINCE.of(l)) } input name="since" value=[self.address.get("since")] placeholder="2026-03-05" maxlength="40"; }
                label { span { (words::UNTIL.of(l)) } input name="until" value=[self.address.get("until")] placeholder="2026-03-06" maxlength="40"; }
                button { (words::APPLY.of(l)) }
            }
            h2 { (words::REPLAYED.of(l)) }
            ul.facet {
                @let on = self.address.get("replayed") == Some("true");
                @let base = self.address.without("cursor").without("replayed");
                li { a href=(base) aria-current=[(!on).then_some("true")] { (words::REPLAYED_WITHOUT.of(l)) } }
                li { a href=(base.with("replayed", "true")) aria-current=[on.then_some("true")] { (words::REPLAYED_WITH.of(l)) } }
            }
        }
    }

    fn results(&self) -> Markup {
        let l = self.l;
        let shown = &self.letters.dead_letters;
        let more = self.letters.next.is_some() || self.address.get("cursor").is_some();
        let total = if more { words::LETTERS_SHOWN } else { words::LETTERS_TOTAL };
        let total = total.with(l, &[("n", &show::count(shown.len() as u64))]);
        let first = self.address.without("cursor");
        html! {
            (facet::bar(self.address, PATH, &total, |name, value| self.filter_called(name, value), l))
            @if shown.is_empty() { (self.empty()) }
            @else {
                (self.table(shown))
                nav.pages aria-label=(words::PAGES.of(l)) {
                    @if self.address.get("cursor").is_some() { a.button href=(first) { (words::FIRST_PAGE.of(l)) } }
                    @if let Some(next) = &self.letters.next {
                        a.button rel="next" href=(first.with("cursor", next)) { (words::NEXT_PAGE.of(l)) }
                    }
                }
                (again(&self.options(), l))
            }
        }
    }

    fn table(&self, letters: &[DeadLetterRow]) -> Markup {
        let l = self.l;
        html! {
            div.scroll tabindex="0" role="group" aria-label=(words::LETTERS.of(l)) {
                table.rows.letters {
                    caption.hidden { (words::LETTERS.of(l)) }
                    thead { tr {
                        th scope="col" { (words::ARRIVED.of(l)) } th scope="col" { (words::FEED.of(l)) }
                        th.minor scope="col" { (words::WHERE_FROM.of(l)) } th scope="col" { (words::CLASS.of(l)) }
                        th scope="col" { (words::LETTER_WHY.of(l)) }
                    } }
                    tbody { @for letter in letters { (self.row(letter)) } }
                }
            }
        }
    }

    fn row(&self, letter: &DeadLetterRow) -> Markup {
        let l = self.l;
        html! {
            tr data-row {
                td.at { (show::instant(&letter.at)) }
                td.feed { a href=(feeds::href(&letter.feed)) { bdi { (feeds::title(&self.strip.feeds, &letter.feed, l)) } } }
                td.minor.long { bdi { (letter.partition) } ":" (letter.line) }
                td.class { (called(&letter.class, l)) }
                td.title.said {
                    a href=(href(&letter.id)) lang="en" dir="auto" { (folded_link(&letter.message)) }
                    @if letter.sealed { " " span.tag title=(words::SEALED_WHY.of(l)) { (words::SEALED.of(l)) } }
                    @if let Some(at) = &letter.replayed_at { " " span.tag { (words::REPLAYED_AT.of(l)) " " (show::instant(at)) } }
                }
            }
        }
    }

    fn empty(&self) -> Markup {
        let l = self.l;
        let filtered = self.address.pairs().any(|(n, _)| n != "replayed");
        let refused: u64 = self.strip.feeds.iter().map(feeds::dead).sum();
        html! {
            div.empty {
                @if filtered {
                    h2 { (words::LETTERS_FILTERED.of(l)) }
                    p { a href=(PATH) { (words::CLEAR.of(l)) } }
                } @else if refused > 0 {
                    h2 { (words::LETTERS_REPLAYED.of(l)) }
                    p { a href=(Address::at(PATH).with("replayed", "true")) { (words::REPLAYED_WITH.of(l)) } }
                } @else if self.strip.health.records == 0 {
                    (feeds::no_data(l))
                } @else {
                    h2 { (words::LETTERS_NONE.of(l)) }
                    p { (words::LETTERS_NONE_WHY.with(l, &[("n", &show::count(self.strip.health.records))])) }
                }
            }
        }
    }

    /// The filters as options of the command.
    fn options(&self) -> String {
        let option = |(name, option): &(&str, &str)| {
            self.address.get(name).map(|value| format!(" {option} {}", show::quoted(value)))
        };
        OPTIONS.iter().filter_map(option).collect()
    }

    fn filter_called(&self, name: &str, value: &str) -> String {
        let l = self.l;
        let (title, value) = match name {
            "feed" => (words::FEED, feeds::title(&self.strip.feeds, value, l).to_owned()),
            "class" => {
                let all: Vec<&str> = value.split(',').map(|w| called(w.trim(), l)).collect();
                (words::CLASS, all.join(" / "))
            }
            "partition" => (words::PARTITION, value.to_owned()),
            "since" => (words::SINCE, value.to_owned()),
            "until" => (words::UNTIL, value.to_owned()),
            "replayed" => (words::REPLAYED, value.to_owned()),
            name => return format!("{name}: {value}"),
        };
        format!("{}: {value}", title.of(l))
    }
}

/// A message inside a link, which cannot be unfolded there.
fn folded_link(message: &str) -> String {
    const LONG: usize = 240;
    match message.char_indices().nth(LONG) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

/// How to mend letters and send them again.
fn again(options: &str, l: Language) -> Markup {
    html! {
        section.how aria-labelledby="again" {
            h2 #again { (words::AGAIN.of(l)) }
            p { (words::AGAIN_FEED.of(l)) }
            pre.command { code { "forewarn dead-letters replay --data data" (options) } }
            p { (words::AGAIN_RECORDS.of(l)) }
            pre.command { code { "forewarn dead-letters replay --data data" (options) " --out mend\ncurl --data-binary @mend/….ndjson http://127.0.0.1:8420/api/v1/feeds/…/events" } }
        }
    }
}

/// The page of one letter.
pub(super) async fn one(
    page: Page,
    State(handle): State<Handle>,
    Name(id): Name,
) -> Result<Markup, Problem> {
    page.address.query().only(&[])?;
    let unknown = api::unknown_letter(&id);
    let letter = handle.ask(move |desk| desk.dead_letter(&id)).await?.ok_or(unknown)?;
    let strip = Strip::read(&handle).await?;
    let l = page.language;
    let title = format!("{} {}", words::LETTER.of(l), letter.id);
    let of_feed = Address::at(PATH).with("feed", &letter.feed);
    let content = html! {
        article.alert.sheet {
            p.back { a data-back href=(PATH) { "‹ " (words::LETTERS_BACK.of(l)) } }
            header.headline {
                p.badges {
                    span { (called(&letter.class, l)) }
                    @if letter.sealed { span.tag { (words::SEALED.of(l)) } }
                    @if letter.replayed_at.is_some() { span.tag { (words::REPLAYED_AT.of(l)) } }
                }
                h1 { bdi { (feeds::title(&strip.feeds, &letter.feed, l)) } " · " bdi { (letter.partition) } ":" (letter.line) }
                p.message lang="en" dir="auto" { (folded(&letter.message)) }
            }
            div.columns {
                div.main {
                    section aria-labelledby="raw" {
                        h2 #raw { (words::RAW.of(l)) }
                        @match &letter.raw {
                            Some(raw) => pre.yaml tabindex="0" dir="auto" { code { (raw) } },
                            None => p { (words::SEALED_WHY.of(l)) },
                        }
                    }
                    (again(&format!(" --id {}", show::quoted(&letter.id)), l))
                }
                aside.facts aria-labelledby="facts" {
                    h2 #facts { (words::FACTS.of(l)) }
                    dl {
                        dt { (words::FEED.of(l)) } dd { a href=(feeds::href(&letter.feed)) { bdi { (feeds::title(&strip.feeds, &letter.feed, l)) } } }
                        dt { (words::PARTITION.of(l)) } dd { a href=(of_feed.with("partition", &letter.partition)) { bdi { (letter.partition) } } }
                        dt { (words::LINE.of(l)) } dd { (letter.line) }
                        dt { (words::CLASS.of(l)) } dd { a href=(of_feed.with("class", &letter.class)) { (called(&letter.class, l)) } " " code { (letter.class) } }
                        dt { (words::ARRIVED.of(l)) } dd { (show::instant(&letter.at)) }
                        @if let Some(at) = &letter.replayed_at { dt { (words::REPLAYED_AT.of(l)) } dd { (show::instant(at)) } }
                        dt { (words::ID.of(l)) } dd { code { (letter.id) } }
                    }
                }
            }
        }
    };
    Ok(page.frame(&title, Some(&strip), content))
}
