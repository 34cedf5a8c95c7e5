//! Address: the path and parameters of a page, and those of the pages one click away.
//!
//! In: what the browser sent, forms included — fields left empty are no parameters, boxes that were ticked come as one
//! parameter with commas. Out: links. Language and theme are the reader's, not the page's, and are kept apart.

use axum::http::Uri;

use crate::api::{problem::Problem, query::Query};

/// Parameters that say how the reader wants to see a page.
pub(super) const LANG: &str = "lang";
pub(super) const THEME: &str = "theme";

/// Path and parameters of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Address {
    path: String,
    pairs: Vec<(String, String)>,
}

impl Address {
    /// The page at `path` without parameters.
    pub(super) fn at(path: &str) -> Self {
        Self { path: path.to_owned(), pairs: Vec::new() }
    }

    /// The address of a request.
    ///
    /// # Errors
    /// Where the query is no query.
    pub(super) fn of(uri: &Uri) -> Result<Self, Problem> {
        let mut address = Self::at(uri.path());
        for (name, value) in Query::read(uri)?.pairs() {
            if value.trim().is_empty() || [LANG, THEME].contains(&name.as_str()) {
                continue;
            }
            match address.pairs.iter_mut().find(|(n, _)| *n == name) {
                Some((_, all)) => *all = format!("{all},{value}"),
                None => address.pairs.push((name, value)),
            }
        }
        Ok(address)
    }

    /// The parameters as the API reads them.
    pub(super) fn query(&self) -> Query {
        Query::from_pairs(self.pairs.clone())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The words of a parameter that takes several.
    pub(super) fn words(&self, name: &str) -> Vec<&str> {
        let words = self.get(name).into_iter().flat_map(|v| v.split(','));
        words.map(str::trim).filter(|w| !w.is_empty()).collect()
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// The same parameters at another path.
    pub(super) fn moved(&self, path: &str) -> Self {
        Self { path: path.to_owned(), pairs: self.pairs.clone() }
    }

    pub(super) fn without(&self, name: &str) -> Self {
        let pairs = self.pairs.iter().filter(|(n, _)| n != name).cloned().collect();
        Self { path: self.path.clone(), pairs }
    }

    pub(super) fn with(&self, name: &str, value: &str) -> Self {
        let mut address = self.without(name);
        address.pairs.push((name.to_owned(), value.to_owned()));
        address
    }

    /// With a word put into, or taken out of, a parameter that takes several.
    pub(super) fn toggled(&self, name: &str, word: &str) -> Self {
        let mut words = self.words(name);
        match words.iter().position(|w| *w == word) {
            Some(at) => {
                words.remove(at);
            }
            None => words.push(word),
        }
        let words = words.join(",");
        if words.is_empty() { self.without(name) } else { self.with(name, &words) }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.path)?;
        for (i, (name, value)) in self.pairs.iter().enumerate() {
            let mark = if i == 0 { '?' } else { '&' };
            write!(f, "{mark}{}={}", escape(name), escape(value))?;
        }
        Ok(())
    }
}

/// A text as part of a path or a query.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b',' => {
                out.push(char::from(byte));
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::of(&text.parse().unwrap()).unwrap()
    }

    #[test]
    fn forms_and_links() {
        for (sent, expect) in [
            ("/alerts", "/alerts"),
            ("/alerts?q=&state=firing&rule=", "/alerts?state=firing"),
            ("/alerts?severity=high&severity=low", "/alerts?severity=high,low"),
            ("/alerts?lang=en&q=a%20b&theme=dark", "/alerts?q=a%20b"),
            ("/alerts?q=%22%3E%3Cscript%3E", "/alerts?q=%22%3E%3Cscript%3E"),
            ("/alerts?q=%E9%A2%84%26+x", "/alerts?q=%E9%A2%84%26%20x"),
        ] {
            assert_eq!(address(sent).to_string(), expect, "{sent}");
        }
        let page = address("/alerts?severity=high,low&q=x");
        assert_eq!(page.toggled("severity", "high").to_string(), "/alerts?q=x&severity=low");
        let none = page.toggled("severity", "high").toggled("severity", "low");
        assert_eq!(none.to_string(), "/alerts?q=x");
        assert_eq!(none.toggled("state", "firing").to_string(), "/alerts?q=x&state=firing");
    }
}
