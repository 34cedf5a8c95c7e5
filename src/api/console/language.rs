//! Language: which of the two the reader wants.
//!
//! `?lang=` of the address wins, then the cookie, then what the browser asks for; Chinese where nothing is said.

use axum::http::{HeaderMap, header};

use crate::engine::view::Text;

/// A language of the console.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Language {
    #[default]
    Zh,
    En,
}

impl Language {
    /// The word in addresses and cookies.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Zh => "zh",
            Self::En => "en",
        }
    }

    /// What HTML calls it.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::Zh => "zh-CN",
            Self::En => "en",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        [Self::Zh, Self::En].into_iter().find(|l| l.word() == word)
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Zh => Self::En,
            Self::En => Self::Zh,
        }
    }

    /// The text in this language; in the other one where there is none.
    pub(super) fn of(self, text: &Text) -> &str {
        let (first, second) = match self {
            Self::Zh => (&text.zh, &text.en),
            Self::En => (&text.en, &text.zh),
        };
        if first.is_empty() { second } else { first }
    }

    /// What the browser asks for.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let asked = headers.get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok());
        let weighed = |part: &str| {
            let mut fields = part.split(';').map(str::trim);
            let tag = fields.next()?.to_lowercase();
            let language = Self::parse(tag.split('-').next()?)?;
            let weight = fields.find_map(|f| f.strip_prefix("q=")?.parse::<f32>().ok());
            Some((language, weight.unwrap_or(1.0)))
        };
        let mut best = (Self::default(), 0.0);
        for (language, weight) in asked.unwrap_or_default().split(',').filter_map(weighed) {
            if weight > best.1 {
                best = (language, weight);
            }
        }
        best.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_ask() {
        for (asked, expect) in [
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Zh),
            ("en-GB,en;q=0.9,zh-CN;q=0.8", Language::En),
            ("fr,en;q=0.3,zh;q=0.4", Language::Zh),
            ("de", Language::Zh),
            ("zh;q=0, en;q=0.1", Language::En),
            ("", Language::Zh),
            (";;q=x,,", Language::Zh),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, asked.parse().unwrap());
            assert_eq!(Language::accepted(&headers), expect, "{asked}");
        }
    }
}
