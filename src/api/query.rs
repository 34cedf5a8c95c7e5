//! Query: the parameters of a request, each known, each once, each readable, or a problem that says what would be right.

use axum::{
    extract::{FromRequestParts, Path, Query as Pairs},
    http::{StatusCode, Uri, request::Parts},
};

use super::problem::Problem;
use crate::model::{diagnostic::did_you_mean, time::Zone};

/// The parameters of a request.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

/// The one part of the path that is a name.
#[derive(Debug)]
pub(super) struct Name(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::read(&parts.uri)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(rejection) => Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "bad-path",
                "The path is not readable",
                format!("{}; names are percent-encoded UTF-8", rejection.body_text()),
            )),
        }
    }
}

impl Query {
    /// The parameters of an address.
    pub(super) fn read(uri: &Uri) -> Result<Self, Problem> {
        match Pairs::try_from_uri(uri) {
            Ok(Pairs(pairs)) => Ok(Self(pairs)),
            Err(rejection) => Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "bad-query",
                "The query is not readable",
                format!("{}; write name=value&name=value, percent-encoded", rejection.body_text()),
            )),
        }
    }

    /// Names and values as they stood there.
    pub(super) fn pairs(self) -> Vec<(String, String)> {
        self.0
    }

    pub(super) fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    #[cfg(test)]
    pub(super) fn of(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    /// Refuses parameters that are not `known`, and those that come twice.
    pub(super) fn only(self, known: &[&str]) -> Result<Self, Problem> {
        for (i, (name, _)) in self.0.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let there_are = match known {
                    [] => "this path has none".to_owned(),
                    known => format!("known are {}", known.join(", ")),
                };
                let meant = did_you_mean(name, known.iter().copied());
                let meant = meant.map_or_else(String::new, |m| format!("; did you mean {m:?}?"));
                let detail = format!("there is no parameter {name:?}, {there_are}{meant}");
                return Err(Problem::parameter(name, detail));
            }
            if self.0[..i].iter().any(|(earlier, _)| earlier == name) {
                let detail = format!(
                    "parameter {name:?} comes twice, write one value, or several with commas"
                );
                return Err(Problem::parameter(name, detail));
            }
        }
        Ok(self)
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone())
    }

    /// One word of several.
    pub(super) fn word<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
        known: &str,
    ) -> Result<Option<T>, Problem> {
        let read = |v: String| parse(&v).ok_or_else(|| wrong(name, &v, &format!("one of {known}")));
        self.text(name).map(read).transpose()
    }

    /// Words with commas between; empty where there is no such parameter.
    pub(super) fn words<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
        known: &str,
    ) -> Result<Vec<T>, Problem> {
        let Some(value) = self.text(name) else { return Ok(Vec::new()) };
        let read: Option<Vec<T>> = value.split(',').map(|word| parse(word.trim())).collect();
        read.ok_or_else(|| wrong(name, &value, &format!("some of {known}")))
    }

    /// An instant, ms.
    pub(super) fn instant(&self, name: &str, zone: &Zone) -> Result<Option<i64>, Problem> {
        let expected = "a date or an instant like 2026-03-05T08:00:00+08:00";
        let read = |v: String| zone.parse_instant(&v).ok_or_else(|| wrong(name, &v, expected));
        self.text(name).map(read).transpose()
    }

    /// How many things a page may have.
    pub(super) fn limit(&self, default: usize, max: usize) -> Result<usize, Problem> {
        let Some(value) = self.text("limit") else { return Ok(default) };
        let read = value.parse().ok().filter(|n| (1..=max).contains(n));
        read.ok_or_else(|| wrong("limit", &value, &format!("a number from 1 to {max}")))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Problem> {
        let parse = |w: &str| w.parse::<bool>().ok();
        Ok(self.word(name, parse, "true, false")?.unwrap_or(false))
    }
}

pub(super) fn wrong(name: &str, value: &str, expected: &str) -> Problem {
    Problem::parameter(name, format!("{name}={value:?}: expected {expected}"))
}
