//! Page: the frame around every page, and what a page knows of its reader.
//!
//! A page is a handler that takes a [`Page`], asks the desk, and hands its content to [`Page::frame`]:
//!
//! ```text
//! pub(super) async fn list(page: Page, State(handle): State<Handle>) -> Result<Markup, Problem> {
//!     page.address.query().only(&[])?;
//!     let strip = Strip::read(&handle).await?;
//!     let facets = handle.ask(|desk| desk.facets(AlertQuery::default())).await?;
//!     Ok(page.frame(words::ALERTS.of(page.language), Some(&strip), html! { … }))
//! }
//! ```
//!
//! and a line in `routes`; where it has an entry in the navigation, a line in [`NAVIGATION`]. Nothing in it needs a script.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Uri, header, request::Parts},
};
use maud::{DOCTYPE, Markup, html};

use super::{
    address::{Address, LANG, THEME},
    assets,
    language::Language,
    show,
    strip::Strip,
    words::{self, Word},
};
use crate::{api::problem::Problem, engine::handle::Handle, model::time::Zone};

/// What the navigation leads to.
const NAVIGATION: [(&str, Word); 5] = [
    ("/alerts", words::ALERTS),
    ("/rules", words::RULES),
    ("/subjects", words::SUBJECTS),
    ("/feeds", words::FEEDS),
    ("/dead-letters", words::LETTERS),
];

/// Light, dark, or what the system has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Theme {
    #[default]
    Auto,
    Light,
    Dark,
}

impl Theme {
    pub(super) const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.word() == word)
    }

    fn title(self) -> Word {
        match self {
            Self::Auto => words::THEME_AUTO,
            Self::Light => words::THEME_LIGHT,
            Self::Dark => words::THEME_DARK,
        }
    }
}

/// A page that is asked for.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) language: Language,
    theme: Theme,
    /// Path and parameters, those of the reader aside.
    pub(super) address: Address,
    pub(super) zone: Zone,
}

impl FromRequestParts<Handle> for Page {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, handle: &Handle) -> Result<Self, Problem> {
        let zone = handle.intake().zone().clone();
        Ok(Self::of(Address::of(&parts.uri)?, &parts.uri, &parts.headers, zone))
    }
}

impl Page {
    /// The page at an address for the reader who sent `headers`.
    pub(super) fn of(address: Address, uri: &Uri, headers: &HeaderMap, zone: Zone) -> Self {
        let (asked_language, asked_theme) = wishes(uri);
        let language = asked_language
            .or_else(|| Language::parse(cookie(headers, LANG)?))
            .unwrap_or_else(|| Language::accepted(headers));
        let theme = asked_theme.or_else(|| Theme::parse(cookie(headers, THEME)?));
        Self { language, theme: theme.unwrap_or_default(), address, zone }
    }

    /// The whole page: `title` for the browser's tab, `content` below strip and navigation.
    pub(super) fn frame(&self, title: &str, strip: Option<&Strip>, content: Markup) -> Markup {
        let l = self.language;
        let product = words::PRODUCT.of(l);
        html! {
            (DOCTYPE)
            html lang=(l.tag()) data-theme=(self.theme.word()) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) " · " (product) }
                    link rel="icon" href=(assets::address("icon.svg"));
                    link rel="stylesheet" href=(assets::address("console.css"));
                    script type="module" src=(assets::address("console.js")) {}
                }
                body {
                    a.skip href="#content" { (words::SKIP.of(l)) }
                    header.top {
                        a.brand href="/alerts" { (mark()) span { "forewarn" } small { (product) } }
                        nav aria-label=(words::NAVIGATION.of(l)) {
                            @for (href, word) in NAVIGATION {
                                a href=(href) aria-current=[self.is_below(href).then_some("page")] { (word.of(l)) }
                            }
                        }
                        (self.switches())
                    }
                    @if let Some(strip) = strip { (strip.show(l)) }
                    p #stale .stale role="status" hidden { (words::STALE.of(l)) }
                    main #content tabindex="-1" { (content) }
                    (keys(l))
                }
            }
        }
    }

    fn is_below(&self, href: &str) -> bool {
        let address = self.address.to_string();
        let path = address.split('?').next().unwrap_or_default();
        path == href || path.starts_with(&format!("{href}/")) || (path == "/" && href == "/alerts")
    }

    fn switches(&self) -> Markup {
        let l = self.language;
        let other = l.other();
        html! {
            div.switches {
                div.segments role="group" aria-label=(words::LIGHT_OR_DARK.of(l)) {
                    @for theme in Theme::ALL {
                        a rel="nofollow" href=(self.address.with(THEME, theme.word()))
                          aria-current=[(theme == self.theme).then_some("true")] { (theme.title().of(l)) }
                    }
                }
                a.language rel="nofollow" lang=(other.tag()) hreflang=(other.tag())
                  href=(self.address.with(LANG, other.word())) { (words::OTHER_LANGUAGE.of(l)) }
                button.keys-button type="button" data-keys hidden aria-label=(words::KEYS.of(l)) { "?" }
            }
        }
    }
}

/// Language and theme that the address itself asks for.
pub(super) fn wishes(uri: &Uri) -> (Option<Language>, Option<Theme>) {
    let wish = |name: &str| {
        let pairs = uri.query().unwrap_or_default().split('&');
        pairs.filter_map(|p| p.split_once('=')).find(|(n, _)| *n == name).map(|(_, v)| v)
    };
    (wish(LANG).and_then(Language::parse), wish(THEME).and_then(Theme::parse))
}

/// How browsers call this server.
pub(super) fn host(headers: &HeaderMap) -> &str {
    headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or("127.0.0.1:8420")
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let sent = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    let pairs = sent.flat_map(|v| v.split(';')).filter_map(|p| p.trim().split_once('='));
    pairs.filter(|(n, _)| *n == name).map(|(_, v)| v).next()
}

/// The mark of the product: a curve that crosses its limit.
fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 20 20" width="20" height="20" aria-hidden="true" {
            line x1="1" y1="7" x2="19" y2="7" {}
            polyline points="2,16 7,14 11,11 14,4 18,3" {}
        }
    }
}

/// What the keys do; shown by a script, which is what makes them work.
fn keys(l: Language) -> Markup {
    let rows = [
        ("j", words::KEY_DOWN),
        ("k", words::KEY_UP),
        ("o", words::KEY_OPEN),
        ("n", words::KEY_NEW),
        ("/", words::KEY_SEARCH),
        ("u", words::KEY_BACK),
        ("?", words::KEY_HELP),
    ];
    html! {
        dialog #keys aria-labelledby="keys-title" {
            h2 #keys-title { (words::KEYS.of(l)) }
            dl.keys { @for (key, word) in rows { div { dt { kbd { (key) } } dd { (word.of(l)) } } } }
            form method="dialog" { button { (words::CLOSE.of(l)) } }
        }
        (show::shapes())
    }
}
