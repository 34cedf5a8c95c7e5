//! Subjects: businesses, those with most open alerts first, and the search for one by code or name.
//!
//! A code goes straight to its page, which says what is wrong with it where it is none.

use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};

use super::{
    address::Address,
    feeds,
    language::Language,
    page::Page,
    rules::severities,
    show,
    strip::Strip,
    subject::{self, PATH},
    words,
};
use crate::{
    api::{problem::Problem, subjects as api},
    engine::{handle::Handle, view::SubjectRow},
    model::reference::ucc,
};

/// Letters of a code.
const CODE: usize = 18;

/// The page, or the way to that of the code that was asked for.
pub(super) async fn page(page: Page, State(handle): State<Handle>) -> Result<Response, Problem> {
    let query = page.address.query().only(&["q"])?;
    let text = query.text("q").map(|q| q.trim().to_owned()).filter(|q| !q.is_empty());
    let folded = text.as_deref().map(ucc::fold).unwrap_or_default();
    if folded.len() == CODE && folded.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Ok(Redirect::to(&subject::href(&folded)).into_response());
    }
    let asked = text.clone();
    let rows = handle.ask(move |desk| desk.subjects(asked.as_deref(), api::PAGE.0)).await?;
    let strip = Strip::read(&handle).await?;
    let l = page.language;
    let content = html! {
        h1.hidden { (words::SUBJECTS.of(l)) }
        (search(text.as_deref(), l))
        @if rows.is_empty() { (empty(text.as_deref(), &strip, l)) }
        @else {
            p.lead { (if text.is_some() { words::SUBJECTS_FOUND } else { words::SUBJECTS_WORST }.of(l)) }
            (table(&rows, &strip, l))
        }
    };
    Ok(page.frame(words::SUBJECTS.of(l), Some(&strip), content).into_response())
}

/// The field for a code or a name.
pub(super) fn search(text: Option<&str>, l: Language) -> Markup {
    html! {
        form.search.wide action=(PATH) role="search" {
            label.hidden for="q" { (words::SUBJECTS_SEARCH.of(l)) }
            input #q type="search" name="q" value=[text] maxlength="200" placeholder=(words::SUBJECTS_SEARCH.of(l)) dir="auto";
            button { (words::SEARCH.of(l)) }
        }
    }
}

fn table(rows: &[SubjectRow], strip: &Strip, l: Language) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label=(words::SUBJECTS.of(l)) {
            table.rows {
                caption.hidden { (words::SUBJECTS.of(l)) }
                thead { tr {
                    th scope="col" { (words::SUBJECT.of(l)) } th.minor scope="col" { (words::PLACE.of(l)) }
                    th scope="col" { (words::SEVERITY.of(l)) } th.number scope="col" { (words::OPEN.of(l)) }
                    th.number scope="col" { (words::ALERTS.of(l)) } th.minor scope="col" { (words::LAST_FIRED.of(l)) }
                    th scope="col" title=(words::AGE_NOTE.of(l)) { (words::AGE.of(l)) }
                } }
                tbody { @for row in rows { (self::row(row, strip, l)) } }
            }
        }
    }
}

fn row(row: &SubjectRow, strip: &Strip, l: Language) -> Markup {
    let code = &row.subject.ucc;
    let alerts = Address::at("/alerts").with("ucc", code);
    let place = row.region_name.as_deref().or(row.region.as_deref()).unwrap_or(show::NOTHING);
    html! {
        tr data-row {
            td.title {
                a href=(subject::href(code)) { bdi { (row.subject.name.as_deref().unwrap_or(code)) } }
                span.id { code { (code) } }
            }
            td.minor { bdi { (place) } }
            td { @if let Some(severity) = row.severity { (severities(&[severity.word().to_owned()], l)) } @else { (show::NOTHING) } }
            td.number { @if row.open > 0 { a href=(alerts) { (show::count(row.open)) } } @else { span.muted { "0" } } }
            td.number { @if row.alerts > 0 { a href=(alerts.with("state", "all")) { (show::count(row.alerts)) } } @else { span.muted { "0" } } }
            td.minor.muted { @if let Some(at) = &row.last_fired_at { (show::instant(at)) } @else { (show::NOTHING) } }
            td.muted { @if let Some(at) = &row.last_fired_at { (show::age(at, strip.data_ms, &strip.zone, l)) } @else { (words::NEVER.of(l)) } }
        }
    }
}

fn empty(text: Option<&str>, strip: &Strip, l: Language) -> Markup {
    html! {
        div.empty {
            @match text {
                Some(text) => {
                    h2 { (words::SUBJECTS_NOT_FOUND.of(l)) }
                    p { bdi { (text) } }
                    p { (words::SUBJECTS_NOT_FOUND_WHY.of(l)) }
                },
                None if strip.health.records == 0 => (feeds::no_data(l)),
                None => {
                    h2 { (words::SUBJECTS_QUIET.of(l)) }
                    p { (words::SUBJECTS_QUIET_WHY.with(l, &[("n", &show::count(strip.health.businesses))])) }
                },
            }
        }
    }
}
