//! Reading the alert store: alerts at their latest revision by filter and page, one alert, its revisions, counts.
//!
//! In: what a reader wants. Out: rows, whose pages go on behind the last row of the one before, whatever was stored in
//! between. Promise: readers neither write nor hold up the engine.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Row, params_from_iter, types::Value as Cell,
};
use serde_json::{Map, Value};

use super::{Error, Subject, parse};
use crate::model::{alert::State, signal::Severity};

/// Most alerts on one page.
pub const PAGE_MAX: usize = 1_000;

/// Which alerts a reader wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// One of these states; any, where empty.
    pub states: Vec<State>,
    /// One of these severities; any, where empty.
    pub severities: Vec<Severity>,
    /// Of one of these rules.
    pub rules: Option<Vec<String>>,
    /// With this text in the canonical key.
    pub key: Option<String>,
    /// About this business.
    pub ucc: Option<String>,
    /// One of these alerts; any, where empty.
    pub ids: Vec<String>,
    /// In a region whose code begins so.
    pub region: Option<String>,
    /// With this text in message, key, name or id, whatever the case; or of one of these rules.
    pub text: Option<(String, Vec<String>)>,
    /// Fired at this instant or later, ms.
    pub since_ms: Option<i64>,
    /// Fired before this instant, ms.
    pub until_ms: Option<i64>,
}

/// What a list is sorted by, latest or highest first; the id decides between equals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sort {
    /// When it fired.
    #[default]
    Fired,
    /// When the engine first knew.
    Known,
    /// When it began.
    Began,
    /// Severity, then when it fired. An alert whose severity changes while one turns pages may move.
    Severity,
}

impl Sort {
    /// All.
    pub const ALL: [Self; 4] = [Self::Fired, Self::Known, Self::Began, Self::Severity];

    /// The word in addresses.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Fired => "fired_at",
            Self::Known => "known_at",
            Self::Began => "began_at",
            Self::Severity => "severity",
        }
    }

    /// The order of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.word() == word)
    }

    fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Fired => &["fired_ms"],
            Self::Known => &["known_ms"],
            Self::Began => &["began_ms"],
            Self::Severity => &["rank", "fired_ms"],
        }
    }
}

/// One alert at its latest revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// [`crate::model::alert::Alert::to_json`] as text.
    pub body: String,
    /// Whom and where it is about.
    pub subject: Subject,
}

/// One page of alerts.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The alerts at their latest revision.
    pub alerts: Vec<Kept>,
    /// Where the next page starts; `None` on the last one.
    pub next: Option<String>,
    /// How many alerts pass the filter in all.
    pub total: u64,
}

/// How many alerts of one rule, state and severity there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The rule.
    pub rule: String,
    /// The state.
    pub state: State,
    /// The severity.
    pub severity: Severity,
    /// How many.
    pub alerts: u64,
    /// When the last of them fired, ms.
    pub last_fired_ms: i64,
}

/// How many alerts are about one business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectTally {
    /// The business.
    pub subject: Subject,
    /// All alerts.
    pub alerts: u64,
    /// Those that are pending or firing.
    pub open: u64,
    /// The highest severity of those.
    pub severity: Option<Severity>,
    /// When the last of all fired, ms.
    pub last_fired_ms: i64,
}

/// The store, open for reading.
#[derive(Debug)]
pub struct AlertReader {
    path: PathBuf,
    db: Connection,
}

impl AlertReader {
    /// Opens a store that an [`AlertStore`](super::AlertStore) has made.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Sqlite { path: path.to_owned(), doing: "opening", source };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags).map_err(failed)?;
        db.busy_timeout(Duration::from_secs(5)).map_err(failed)?;
        Ok(Self { path: path.to_owned(), db })
    }

    /// A page of at most `limit` alerts (1 to [`PAGE_MAX`]) in the order of `sort`, from `cursor` on.
    ///
    /// # Errors
    /// [`Error::Cursor`], [`Error::Sqlite`].
    pub fn page(
        &self,
        filter: &Filter,
        sort: Sort,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page, Error> {
        let limit = limit.clamp(1, PAGE_MAX);
        let (mut terms, mut cells) = conditions(filter);
        let read = |sql: &str, cells: &[Cell]| {
            self.db.prepare_cached(sql)?.query_row(params_from_iter(cells), |r| r.get::<_, i64>(0))
        };
        let total = read(&format!("SELECT count(*) FROM alerts WHERE {}", all(&terms)), &cells)
            .map_err(|e| self.error("counting alerts", e))?;
        if let Some(cursor) = cursor {
            let (term, values) = behind(sort, cursor)?;
            terms.push(term);
            cells.extend(values);
        }
        let columns = sort.columns();
        let order: String = columns.iter().map(|c| format!("a.{c} DESC, ")).collect();
        // The page first, then its bodies: nothing else of the revisions is read.
        let sql = format!(
            "SELECT r.body, a.ucc, a.name, a.region, a.id, {shown} FROM
             (SELECT * FROM alerts AS a WHERE {terms} ORDER BY {order}a.id DESC LIMIT ?) AS a
             JOIN revisions AS r ON r.seq = a.seq ORDER BY {order}a.id DESC",
            shown = columns.iter().map(|c| format!("a.{c}")).collect::<Vec<_>>().join(", "),
            terms = all(&terms)
        );
        // One more than asked for tells whether there is a next page.
        cells.push((limit as i64 + 1).into());
        let row = |r: &Row<'_>| {
            let subject = Subject { ucc: r.get(1)?, name: r.get(2)?, region: r.get(3)? };
            let mut place = sort.word().to_owned();
            for i in 0..columns.len() {
                place.push_str(&format!("~{}", r.get::<_, i64>(5 + i)?));
            }
            let place = format!("{place}~{}", r.get::<_, String>(4)?);
            Ok((Kept { body: r.get(0)?, subject }, place))
        };
        let read = || {
            let mut statement = self.db.prepare_cached(&sql)?;
            statement.query_map(params_from_iter(cells), row)?.collect::<Result<Vec<_>, _>>()
        };
        let mut rows = read().map_err(|e| self.error("reading alerts", e))?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|(_, place)| place.clone());
        let alerts = rows.into_iter().map(|(kept, _)| kept).collect();
        Ok(Page { alerts, next, total: total.max(0) as u64 })
    }

    /// One alert at its latest revision.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn kept(&self, id: &str) -> Result<Option<Kept>, Error> {
        let sql = "SELECT r.body, a.ucc, a.name, a.region FROM alerts AS a
                   JOIN revisions AS r ON r.seq = a.seq WHERE a.id = ?1";
        let row = |r: &Row<'_>| {
            let subject = Subject { ucc: r.get(1)?, name: r.get(2)?, region: r.get(3)? };
            Ok(Kept { body: r.get(0)?, subject })
        };
        let read = || self.db.prepare_cached(sql)?.query_row([id], row).optional();
        read().map_err(|e| self.error("reading an alert", e))
    }

    /// The same as JSON.
    ///
    /// # Errors
    /// [`Error::Sqlite`], [`Error::Body`].
    pub fn alert(&self, id: &str) -> Result<Option<Map<String, Value>>, Error> {
        self.kept(id)?.map(|kept| parse(&self.path, id, &kept.body)).transpose()
    }

    /// How many alerts pass the filter, by rule, state and severity.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn tally(&self, filter: &Filter) -> Result<Vec<Tally>, Error> {
        let (terms, cells) = conditions(filter);
        let sql = format!(
            "SELECT rule, state, severity, count(*), max(fired_ms) FROM alerts WHERE {}
             GROUP BY rule, state, severity ORDER BY rule, state, severity",
            all(&terms)
        );
        let row = |r: &Row<'_>| {
            let (state, severity): (String, String) = (r.get(1)?, r.get(2)?);
            let found = State::parse(&state).zip(Severity::parse(&severity));
            Ok(found.zip(Some((r.get(0)?, r.get::<_, i64>(3)?, r.get(4)?))))
        };
        let read = || {
            let mut statement = self.db.prepare_cached(&sql)?;
            statement.query_map(params_from_iter(cells), row)?.collect::<Result<Vec<_>, _>>()
        };
        let rows = read().map_err(|e| self.error("counting alerts", e))?;
        let tally = |((state, severity), (rule, alerts, last_fired_ms)): (_, (_, i64, _))| Tally {
            rule,
            state,
            severity,
            alerts: alerts.max(0) as u64,
            last_fired_ms,
        };
        Ok(rows.into_iter().flatten().map(tally).collect())
    }

    /// How many alerts pass the filter, by the first `digits` of their region code, most first.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn regions(&self, filter: &Filter, digits: u8) -> Result<Vec<(String, u64)>, Error> {
        let (terms, cells) = conditions(filter);
        let sql = format!(
            "SELECT substr(region, 1, {digits}) AS place, count(*) AS n FROM alerts
             WHERE region IS NOT NULL AND {} GROUP BY place ORDER BY n DESC, place",
            all(&terms)
        );
        let row = |r: &Row<'_>| Ok((r.get(0)?, r.get::<_, i64>(1)?.max(0) as u64));
        let read = || {
            let mut statement = self.db.prepare_cached(&sql)?;
            statement.query_map(params_from_iter(cells), row)?.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(|e| self.error("counting alerts", e))
    }

    /// Businesses that alerts are about, those with most open ones first; `called`: with this text in name or code.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn subjects(&self, called: Option<&str>, limit: usize) -> Result<Vec<SubjectTally>, Error> {
        let sql = "SELECT ucc, max(name), max(region), count(*), sum(state IN ('pending', 'firing')) AS open,
                   max(CASE WHEN state IN ('pending', 'firing') THEN rank END) AS rank, max(fired_ms) AS last
                   FROM alerts WHERE ucc IS NOT NULL
                   AND (?1 IS NULL OR instr(lower(name), lower(?1)) > 0 OR instr(ucc, upper(?1)) > 0)
                   GROUP BY ucc ORDER BY open DESC, rank DESC, last DESC, ucc LIMIT ?2";
        let row = |r: &Row<'_>| {
            let rank = r.get::<_, Option<i64>>(5)?.and_then(|rank| usize::try_from(rank).ok());
            Ok(SubjectTally {
                subject: Subject { ucc: r.get(0)?, name: r.get(1)?, region: r.get(2)? },
                alerts: r.get::<_, i64>(3)?.max(0) as u64,
                open: r.get::<_, i64>(4)?.max(0) as u64,
                severity: rank.and_then(|rank| Severity::ALL.get(rank).copied()),
                last_fired_ms: r.get(6)?,
            })
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = || {
            let mut statement = self.db.prepare_cached(sql)?;
            statement.query_map((called, limit), row)?.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(|e| self.error("counting alerts", e))
    }

    /// All revisions of one alert, oldest first.
    ///
    /// # Errors
    /// [`Error::Sqlite`], [`Error::Body`].
    pub fn revisions(&self, id: &str) -> Result<Vec<Map<String, Value>>, Error> {
        let read = || {
            let mut statement = self
                .db
                .prepare_cached("SELECT body FROM revisions WHERE id = ?1 ORDER BY revision")?;
            statement.query_map([id], |r| r.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()
        };
        let rows = read().map_err(|e| self.error("reading revisions", e))?;
        rows.iter().map(|body| parse(&self.path, id, body)).collect()
    }

    fn error(&self, doing: &'static str, source: rusqlite::Error) -> Error {
        Error::Sqlite { path: self.path.clone(), doing, source }
    }
}

/// The filter as SQL terms and their values, in order.
fn conditions(filter: &Filter) -> (Vec<String>, Vec<Cell>) {
    let mut terms = Vec::new();
    let mut cells: Vec<Cell> = Vec::new();
    let mut any_of = |column: &str, words: Vec<String>| {
        terms.push(format!("{column} IN ({})", vec!["?"; words.len()].join(", ")));
        cells.extend(words.into_iter().map(Cell::from));
    };
    if !filter.states.is_empty() {
        any_of("state", filter.states.iter().map(|s| s.word().to_owned()).collect());
    }
    if !filter.severities.is_empty() {
        any_of("severity", filter.severities.iter().map(|s| s.word().to_owned()).collect());
    }
    if let Some(rules) = &filter.rules {
        any_of("rule", rules.clone());
    }
    if !filter.ids.is_empty() {
        any_of("id", filter.ids.clone());
    }
    let mut term = |sql: String, values: Vec<Cell>| {
        terms.push(sql);
        cells.extend(values);
    };
    if let Some(key) = &filter.key {
        term("instr(key, ?) > 0".into(), vec![key.clone().into()]);
    }
    if let Some(ucc) = &filter.ucc {
        term("ucc = ?".into(), vec![ucc.clone().into()]);
    }
    if let Some(region) = &filter.region {
        term("substr(region, 1, length(?)) = ?".into(), vec![region.clone().into(); 2]);
    }
    if let Some((text, rules)) = &filter.text {
        let titled = vec!["?"; rules.len()].join(", ");
        let mut values = vec![Cell::from(text.to_lowercase())];
        values.extend(rules.iter().cloned().map(Cell::from));
        term(format!("(instr(text, ?) > 0 OR rule IN ({titled}))"), values);
    }
    if let Some(since_ms) = filter.since_ms {
        term("fired_ms >= ?".into(), vec![since_ms.into()]);
    }
    if let Some(until_ms) = filter.until_ms {
        term("fired_ms < ?".into(), vec![until_ms.into()]);
    }
    (terms, cells)
}

fn all(terms: &[String]) -> String {
    if terms.is_empty() { "1".to_owned() } else { terms.join(" AND ") }
}

/// What stands behind `cursor` in the order of `sort`.
fn behind(sort: Sort, cursor: &str) -> Result<(String, Vec<Cell>), Error> {
    let columns = sort.columns();
    let wrong = || Error::Cursor(cursor.to_owned());
    let mut parts = cursor.splitn(columns.len() + 2, '~');
    if parts.next() != Some(sort.word()) {
        return Err(wrong());
    }
    let mut values: Vec<Cell> = Vec::new();
    for _ in columns {
        let value = parts.next().and_then(|p| p.parse::<i64>().ok());
        values.push(value.ok_or_else(wrong)?.into());
    }
    values.push(parts.next().ok_or_else(wrong)?.to_owned().into());
    let marks = vec!["?"; values.len()].join(", ");
    Ok((format!("({}, id) < ({marks})", columns.join(", ")), values))
}
