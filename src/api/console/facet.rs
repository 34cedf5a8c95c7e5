//! Facet: what a list can be narrowed to, as links with counts; each puts its word into the address or takes it out.

use maud::{Markup, html};

use super::{address::Address, language::Language, show, words, words::Word};

/// One thing a list can be narrowed to.
#[derive(Debug)]
pub(super) struct Choice {
    /// Its word in the address.
    pub(super) word: String,
    /// For people.
    pub(super) title: Markup,
    /// How many are left with it.
    pub(super) n: u64,
}

/// The choices of one parameter; of `single` ones each takes the place of the one before.
pub(super) fn facet(
    address: &Address,
    name: &str,
    title: &str,
    single: bool,
    choices: &[Choice],
) -> Markup {
    let base = address.without("cursor");
    html! {
        @if !choices.is_empty() {
            h2 { (title) }
            ul.facet {
                @for choice in choices {
                    @let on = base.words(name).contains(&choice.word.as_str());
                    @let href = match (single, on) {
                        (true, false) => base.with(name, &choice.word),
                        (true, true) => base.without(name),
                        (false, _) => base.toggled(name, &choice.word),
                    };
                    li { a href=(href) aria-current=[on.then_some("true")] { (choice.title) span.n { (show::count(choice.n)) } } }
                }
            }
        }
    }
}

/// The field for a text, which keeps the other parameters.
pub(super) fn search(address: &Address, path: &str, hint: Word, l: Language) -> Markup {
    let kept = address.without("cursor").without("q");
    html! {
        form.search action=(path) role="search" {
            @for (name, value) in kept.pairs() { input type="hidden" name=(name) value=(value); }
            label.hidden for="q" { (words::SEARCH.of(l)) }
            input #q type="search" name="q" value=[address.get("q")] maxlength="200" placeholder=(hint.of(l)) dir="auto";
            button { (words::SEARCH.of(l)) }
        }
    }
}

/// How many are shown, and what they are narrowed to, each with a way back; `called` names a parameter's value for people.
pub(super) fn bar(
    address: &Address,
    path: &str,
    total: &str,
    called: impl Fn(&str, &str) -> String,
    l: Language,
) -> Markup {
    let base = address.without("cursor");
    let chips: Vec<(&str, &str)> = base.pairs().collect();
    html! {
        div.bar {
            p.total { (total) }
            @if !chips.is_empty() {
                ul.chips aria-label=(words::FILTERS.of(l)) {
                    @for (name, value) in &chips {
                        @let called = called(name, value);
                        li {
                            a href=(base.without(name)) aria-label=(words::REMOVE.with(l, &[("what", &called)])) {
                                bdi { (called) } span aria-hidden="true" { "×" }
                            }
                        }
                    }
                    li { a.clear href=(path) { (words::CLEAR.of(l)) } }
                }
            }
        }
    }
}

/// The frame of a list with what narrows it beside it.
pub(super) fn beside(filters: Markup, content: Markup, title: &str, l: Language) -> Markup {
    html! {
        h1.hidden { (title) }
        div.list {
            aside.filters aria-label=(words::FILTERS.of(l)) {
                details.fold open { summary { (words::FILTERS.of(l)) } (filters) }
            }
            section.results aria-label=(title) { (content) }
        }
    }
}
