//! Refusal: problems as pages, for who reads pages.
//!
//! A problem document stays what it is for programs. Where the request asks for HTML, its words are put into the frame; the
//! status stays.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{
    address::Address,
    page::Page,
    strip::Strip,
    words::{self, Word},
};
use crate::{api::problem::Told, engine::handle::Handle};

/// Answers of these paths are for programs, whoever asks.
const PROGRAMS: [&str; 4] = ["/api/", "/metrics", "/healthz", "/readyz"];

/// Turns problems into pages where pages are asked for.
pub(in crate::api) async fn as_page(
    State(handle): State<Handle>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let for_people = !PROGRAMS.iter().any(|p| path.starts_with(p)) && wants_html(request.headers());
    if !for_people {
        return next.run(request).await;
    }
    let uri = request.uri().clone();
    // A query that cannot be read is no reason to have no page.
    let address = Address::of(&uri).unwrap_or_else(|_| Address::at(uri.path()));
    let zone = handle.intake().zone().clone();
    let page = Page::of(address, &uri, request.headers(), zone);
    let response = next.run(request).await;
    let Some(told) = response.extensions().get::<Told>().cloned() else { return response };
    let status = response.status();
    let retry = response.headers().get(header::RETRY_AFTER).cloned();
    let strip = Strip::read(&handle).await.ok();
    let content = content(&page, status, &told);
    let title = title(status).of(page.language);
    let mut response =
        super::guarded((status, page.frame(title, strip.as_ref(), content)).into_response());
    if let Some(retry) = retry {
        response.headers_mut().insert(header::RETRY_AFTER, retry);
    }
    response
}

fn content(page: &Page, status: StatusCode, told: &Told) -> Markup {
    let l = page.language;
    html! {
        section.refusal {
            p.code { (status.as_u16()) }
            h1 { (title(status).of(l)) }
            p lang="en" { strong { (told.title) } }
            p.detail lang="en" dir="auto" { (told.detail) }
            p { a.button href="/alerts" { (words::TO_ALERTS.of(l)) } }
        }
    }
}

fn title(status: StatusCode) -> Word {
    match status {
        StatusCode::NOT_FOUND => words::NOT_FOUND,
        StatusCode::BAD_REQUEST => words::BAD_ADDRESS,
        _ => words::PROBLEM,
    }
}

/// Browsers name HTML; programs that take anything do not.
fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}
