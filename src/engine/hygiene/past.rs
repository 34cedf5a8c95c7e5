//! What rules have told so far: the alerts of a finished replay, or those that a running engine has kept.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::{
    model::{
        alert::State,
        time::{DAY_MS, Zone},
    },
    store::alerts::{self, AlertReader, Filter, Sort},
};

/// Alerts asked of the store at once.
const AT_ONCE: usize = 1_000;

/// Why the past cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of a replay cannot be read.
    #[error("{path} cannot be read; name the directory that `forewarn replay --out` wrote")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of a replay holds something else.
    #[error("{path}, line {line}: {why}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        why: String,
    },
    /// The alert database cannot be read.
    #[error("the alerts in {path} cannot be read; name the data directory of `forewarn run`")]
    Store {
        /// The database.
        path: PathBuf,
        /// What it said.
        source: Box<alerts::Error>,
    },
}

/// One alert as it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastAlert {
    /// Its rule.
    pub rule: String,
    /// Its key as JSON.
    pub key: String,
    /// Its state.
    pub state: State,
    /// Start of its first firing window, ms.
    pub began_ms: i64,
    /// When it fired, ms.
    pub fired_ms: i64,
    /// When it ended, ms; `None` while it lasts.
    pub ended_ms: Option<i64>,
}

/// What a rule told besides alerts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Signals.
    pub signals: u64,
    /// Evaluations whose compare or detector had too little history.
    pub not_ready: u64,
}

/// A period and what was told in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// Where it was read.
    pub place: PathBuf,
    /// Alerts in the order in which they fired.
    pub alerts: Vec<PastAlert>,
    /// By rule; `None` where only alerts are kept, so that rules in shadow cannot be judged.
    pub told: Option<BTreeMap<String, Told>>,
    /// Start of the period, ms.
    pub from_ms: i64,
    /// Its end, ms.
    pub until_ms: i64,
}

impl Past {
    /// The output of a finished replay.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Line`].
    pub fn of_replay(dir: &Path, zone: &Zone) -> Result<Self, Error> {
        let path = dir.join("summary.json");
        let failed = |source| Error::Read { path: path.clone(), source };
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        let wrong =
            |line: usize, why: &str| Error::Line { path: path.clone(), line, why: why.to_owned() };
        let summary: Value =
            serde_json::from_str(&text).map_err(|e| wrong(e.line(), &e.to_string()))?;
        let instant = |name: &str| summary[name].as_str().and_then(|t| zone.parse_instant(t));
        let mut told = BTreeMap::new();
        for (rule, line) in summary["rules"].as_object().into_iter().flatten() {
            let count = |name: &str| line[name].as_u64().unwrap_or(0);
            told.insert(
                rule.clone(),
                Told { signals: count("signals"), not_ready: count("not_ready") },
            );
        }
        let alerts = lines(&dir.join("alerts.ndjson"), zone)?;
        let until_ms =
            instant("until").ok_or_else(|| wrong(1, "has no until: nothing was read"))?;
        let first = alerts.iter().map(|a| a.fired_ms).min().unwrap_or(until_ms);
        let from_ms = instant("from").unwrap_or(first);
        Ok(Self { place: dir.to_owned(), alerts, told: Some(told), from_ms, until_ms })
    }

    /// The alerts that an engine kept in `data`, of the last `weeks` up to the latest of them.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn of_data(data: &Path, weeks: u32, zone: &Zone) -> Result<Self, Error> {
        let path = data.join("forewarn.db");
        let failed = |source| Error::Store { path: path.clone(), source: Box::new(source) };
        let store = AlertReader::open(&path).map_err(failed)?;
        let latest = store.page(&Filter::default(), Sort::Fired, None, 1).map_err(failed)?;
        let latest = latest.alerts.first().and_then(|kept| of_text(&kept.body, zone).ok());
        let Some(until_ms) = latest.map(|a| a.fired_ms + 1) else {
            return Ok(Self { place: data.to_owned(), ..Self::default() });
        };
        let since = until_ms - i64::from(weeks) * 7 * DAY_MS;
        let filter = Filter { since_ms: Some(since), ..Filter::default() };
        let (mut alerts, mut cursor) = (Vec::new(), None);
        loop {
            let page =
                store.page(&filter, Sort::Fired, cursor.as_deref(), AT_ONCE).map_err(failed)?;
            for kept in &page.alerts {
                let alert = of_text(&kept.body, zone);
                alerts.push(alert.map_err(|why| Error::Line {
                    path: path.clone(),
                    line: 0,
                    why,
                })?);
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        alerts.reverse();
        // An engine that has not run for so many weeks yet is judged by those it has.
        let whole = store
            .page(&Filter { until_ms: Some(since), ..Filter::default() }, Sort::Fired, None, 1)
            .map_err(failed)?
            .total;
        let first = alerts.first().map_or(since, |a| a.fired_ms);
        let from_ms = if whole > 0 { since } else { first };
        Ok(Self { place: data.to_owned(), alerts, told: None, from_ms, until_ms })
    }

    /// Length of the period in weeks, at least one.
    #[must_use]
    pub fn weeks(&self) -> f64 {
        ((self.until_ms - self.from_ms) as f64 / (7 * DAY_MS) as f64).max(1.0)
    }
}

fn lines(path: &Path, zone: &Zone) -> Result<Vec<PastAlert>, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let mut alerts = Vec::new();
    for (i, line) in BufReader::new(File::open(path).map_err(failed)?).lines().enumerate() {
        let alert = of_text(&line.map_err(failed)?, zone);
        let wrong = |why| Error::Line { path: path.to_owned(), line: i + 1, why };
        alerts.push(alert.map_err(wrong)?);
    }
    alerts.sort_by_key(|a| a.fired_ms);
    Ok(alerts)
}

/// An alert from what [`crate::model::alert::Alert::to_json`] made.
fn of_text(text: &str, zone: &Zone) -> Result<PastAlert, String> {
    let alert: Map<String, Value> = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let text = |name: &str| alert.get(name).and_then(Value::as_str);
    let instant = |name: &str| text(name).and_then(|t| zone.parse_instant(t));
    let read = || {
        Some(PastAlert {
            rule: text("rule")?.to_owned(),
            key: alert.get("key")?.to_string(),
            state: State::parse(text("state")?)?,
            began_ms: instant("began_at")?,
            fired_ms: instant("fired_at")?,
            ended_ms: instant("resolved_at"),
        })
    };
    read().ok_or_else(|| "is not an alert".to_owned())
}
