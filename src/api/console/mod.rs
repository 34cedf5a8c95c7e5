//! Console: pages for the people of a monitoring centre, made on the server from the same views as the JSON API.
//!
//! In: requests of browsers. Out: pages and fragments of them as HTML, each with an address of its own; style sheet and
//! scripts from inside the binary. Promise: everything can be read and filtered without a script; no text of a record, a
//! rule or an address is ever markup; nothing is asked of any other server.
//!
//! To add a page: see `page`. Texts stand in `words`, how values look in `show`, the line about the whole in `strip`.
//! Scripts (`assets/*.js`) only add what needs one: the list that is kept up to date, and keys.

mod address;
mod alert;
mod assets;
mod axis;
mod chart;
mod condition;
mod delay;
mod facet;
mod feed;
mod feeds;
mod lanes;
mod language;
mod letters;
mod life;
mod list;
mod meaning;
mod page;
mod records;
mod refusal;
mod row;
mod rule;
mod rules;
mod show;
mod strip;
mod subject;
mod subjects;
mod timeline;
mod weeks;
mod why;
mod words;
mod yaml;

use axum::{
    Router,
    extract::Request,
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
pub(super) use refusal::as_page;

use self::address::{LANG, THEME};
use crate::engine::handle::Handle;

/// Nothing but what this server sends; no script and no style inside a page.
const POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// How long a browser remembers language and theme, seconds.
const REMEMBERED_S: u32 = 365 * 86_400;

/// All pages, fragments and assets.
pub(super) fn routes() -> Router<Handle> {
    Router::new()
        .route("/", get(list::page))
        .route("/alerts", get(list::page))
        .route("/alerts/{id}", get(alert::page))
        .route("/rules", get(rules::page))
        .route("/rules/{id}", get(rule::page))
        .route("/subjects", get(subjects::page))
        .route("/subjects/{code}", get(subject::page))
        .route("/feeds", get(feeds::page))
        .route("/feeds/{feed}", get(feed::page))
        .route("/dead-letters", get(letters::page))
        .route("/dead-letters/{id}", get(letters::one))
        .route("/fragments/alerts", get(list::fragment))
        .route("/fragments/alerts/rows", get(list::rows))
        .route("/fragments/strip", get(strip::fragment))
        .layer(middleware::from_fn(remember))
        .route(assets::ROUTE, get(assets::serve))
}

/// Guards an answer, and lets the browser remember what its reader asked for.
async fn remember(request: Request, next: Next) -> Response {
    let (language, theme) = page::wishes(request.uri());
    let mut response = guarded(next.run(request).await);
    let wishes = [(LANG, language.map(|l| l.word())), (THEME, theme.map(|t| t.word()))];
    for (name, word) in wishes.into_iter().filter_map(|(n, w)| Some((n, w?))) {
        let cookie = format!("{name}={word}; Path=/; Max-Age={REMEMBERED_S}; SameSite=Strict");
        if let Ok(cookie) = cookie.parse() {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    response
}

/// An answer with what browsers must know about it.
fn guarded(mut response: Response) -> Response {
    let headers: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::VARY, "accept, accept-language, cookie"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
