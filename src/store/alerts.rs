//! Alerts: what was told, every revision of it, and how far in the log that goes.
//!
//! In: the revisions of one engine step with the arrival number behind it, in one transaction. Out: alerts at their
//! latest revision, by filter and page; revisions in the order they were stored, for sinks.
//! Promise: a revision is stored once, however often it is handed in; position and alerts never disagree; a committed
//! transaction survives a crash (SQLite, WAL, `synchronous = FULL`). Readers do not block the engine.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Row, Transaction, params, params_from_iter,
    types::Value as Cell,
};
use serde_json::{Map, Value};

use super::outbox;
use crate::model::{alert::State, reference::ucc, signal::Severity, time::Zone};

/// Version of the tables below.
const SCHEMA_VERSION: i64 = 2;
/// `fwrn`, so that tools tell the file from other SQLite files.
const APPLICATION_ID: i64 = 0x6677_726e;
/// Most alerts on one page.
pub const PAGE_MAX: usize = 1_000;

/// Version 1, whose alerts held their bodies.
const SCHEMA: &str = "
CREATE TABLE alerts (
    id TEXT PRIMARY KEY, rule TEXT NOT NULL, key TEXT NOT NULL, state TEXT NOT NULL, severity TEXT NOT NULL,
    fired_ms INTEGER NOT NULL, revision INTEGER NOT NULL, body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE revisions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, revision INTEGER NOT NULL, body TEXT NOT NULL,
    UNIQUE (id, revision)
) STRICT;
CREATE TABLE position (one INTEGER PRIMARY KEY CHECK (one = 1), arrival INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE delivered (sink TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// Version 2: alerts hold what lists are filtered and sorted by, and which revision is the latest; its body is there. So a
/// search reads narrow rows only. Filled from what version 1 kept.
const LISTS: &str = "
ALTER TABLE alerts RENAME TO alerts_1;
DROP INDEX IF EXISTS alerts_by_time;
DROP INDEX IF EXISTS alerts_by_rule;
CREATE TABLE alerts (
    id TEXT PRIMARY KEY, rule TEXT NOT NULL, state TEXT NOT NULL, severity TEXT NOT NULL,
    rank INTEGER NOT NULL, fired_ms INTEGER NOT NULL, known_ms INTEGER NOT NULL, began_ms INTEGER NOT NULL,
    seq INTEGER NOT NULL, ucc TEXT, region TEXT, name TEXT, key TEXT NOT NULL, text TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX alerts_by_time ON alerts (fired_ms DESC, id DESC);
CREATE INDEX alerts_by_rule ON alerts (rule, fired_ms DESC, id DESC);
CREATE INDEX alerts_by_known ON alerts (known_ms DESC, id DESC);
CREATE INDEX alerts_by_began ON alerts (began_ms DESC, id DESC);
CREATE INDEX alerts_by_rank ON alerts (rank DESC, fired_ms DESC, id DESC);
CREATE INDEX alerts_by_ucc ON alerts (ucc, fired_ms DESC, id DESC);
CREATE INDEX alerts_by_state ON alerts (state, fired_ms DESC, id DESC);
CREATE INDEX alerts_by_kind ON alerts (rule, state, severity, fired_ms);
";

/// Why the alert store could not be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite refused.
    #[error("alert store {path}: {doing} failed")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Written by a version that this one does not know.
    #[error(
        "alert store {path} has schema version {found}, this forewarn knows up to {SCHEMA_VERSION}; use a newer one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version it has.
        found: i64,
    },
    /// Not a page address that this store gave out.
    #[error("cursor {0:?} is not one this server gave out, start again without a cursor")]
    Cursor(String),
    /// The reading thread was stopped.
    #[error("reading alerts was interrupted, the server is shutting down")]
    Interrupted,
    /// A stored alert is not the JSON that was written.
    #[error("alert store {path}: alert {id} cannot be read")]
    Body {
        /// The file.
        path: PathBuf,
        /// The alert.
        id: String,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// One revision of an alert, as it is stored and told.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The alert's id.
    pub id: String,
    /// The revision.
    pub revision: u32,
    /// Id of the rule.
    pub rule: String,
    /// Canonical key.
    pub key: String,
    /// The state.
    pub state: State,
    /// The severity.
    pub severity: Severity,
    /// When it fired, ms.
    pub fired_ms: i64,
    /// When the engine first knew, ms.
    pub known_ms: i64,
    /// Start of the first firing window, ms.
    pub began_ms: i64,
    /// Whom and where it is about.
    pub subject: Subject,
    /// What everybody reads: [`crate::model::alert::Alert::to_json`].
    pub body: Map<String, Value>,
}

/// Whom and where an alert is about, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// Unified social credit code of the business.
    pub ucc: Option<String>,
    /// What people call the business.
    pub name: Option<String>,
    /// Region code.
    pub region: Option<String>,
}

/// A revision and the number under which it is stored.
pub type Numbered = (i64, Map<String, Value>);

/// A revision without its content: number, alert, revision.
pub type Mark = (i64, String, u32);

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

/// The store, open for writing by the engine.
#[derive(Debug)]
pub struct AlertStore {
    path: PathBuf,
    db: Connection,
    /// Sinks on the network, see [`AlertStore::post_to`].
    outboxes: Vec<String>,
}

/// The store, open for reading.
#[derive(Debug)]
pub struct AlertReader {
    path: PathBuf,
    db: Connection,
}

impl AlertStore {
    /// Opens the store, which is made if need be.
    ///
    /// # Errors
    /// [`Error::Sqlite`], [`Error::Newer`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |doing| move |source| Error::Sqlite { path: path.to_owned(), doing, source };
        let mut db = Connection::open(path).map_err(failed("opening"))?;
        set_up(&db).map_err(failed("setting it up"))?;
        let found: i64 = pragma(&db, "user_version").map_err(failed("reading its version"))?;
        if found > SCHEMA_VERSION {
            return Err(Error::Newer { path: path.to_owned(), found });
        }
        if found < SCHEMA_VERSION {
            create(&mut db, found).map_err(failed("making its tables"))?;
        }
        Ok(Self { path: path.to_owned(), db, outboxes: Vec::new() })
    }

    /// From now on new revisions are also put in the [`outbox`] of each of these sinks. Returns how many waited for sinks
    /// that are not among them; these are dropped.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn post_to(&mut self, sinks: Vec<String>) -> Result<usize, Error> {
        let forgotten = outbox::set_up(&self.db, &sinks);
        let forgotten = forgotten.map_err(|e| self.error("making the outbox", e))?;
        self.outboxes = sinks;
        Ok(forgotten)
    }

    /// The arrival number behind everything that is stored.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn position(&self) -> Result<u64, Error> {
        let read = self
            .db
            .query_row("SELECT arrival FROM position", [], |r| r.get::<_, i64>(0))
            .optional();
        let arrival = read.map_err(|e| self.error("reading the position", e))?;
        Ok(arrival.map_or(0, |a| a.max(0) as u64))
    }

    /// Stores the revisions of one step and the arrival number behind it. Returns those that were not stored before, each
    /// with the number under which it is.
    ///
    /// `again`: the step is repeated from the log. A revision that is there stays as it was told. Otherwise it is news,
    /// and one whose number is taken (rules changed in between) gets the next free one.
    ///
    /// # Errors
    /// [`Error::Sqlite`]; nothing is stored then.
    pub fn commit(
        &mut self,
        told: &[Told],
        position: u64,
        again: bool,
    ) -> Result<Vec<(i64, Told)>, Error> {
        let path = self.path.clone();
        let failed = |source| Error::Sqlite { path, doing: "storing alerts", source };
        let mut run = || {
            let transaction = self.db.transaction()?;
            let mut new = Vec::with_capacity(told.len());
            for one in told {
                new.extend(store(&transaction, one.clone(), again)?);
            }
            for (_, one) in &new {
                outbox::put(&transaction, &self.outboxes, one)?;
            }
            let arrival = i64::try_from(position).unwrap_or(i64::MAX);
            let sql = "INSERT INTO position (one, arrival) VALUES (1, ?1)
                       ON CONFLICT (one) DO UPDATE SET arrival = max(arrival, excluded.arrival)";
            transaction.prepare_cached(sql)?.execute([arrival])?;
            transaction.commit()?;
            Ok(new)
        };
        run().map_err(failed)
    }

    /// Revisions stored behind `seq`, oldest first, at most `limit`, each with its number.
    ///
    /// # Errors
    /// [`Error::Sqlite`], [`Error::Body`].
    pub fn revisions_after(&self, seq: i64, limit: usize) -> Result<Vec<Numbered>, Error> {
        let sql = "SELECT seq, id, body FROM revisions WHERE seq > ?1 ORDER BY seq LIMIT ?2";
        let read = || {
            let mut statement = self.db.prepare_cached(sql)?;
            let rows = statement.query_map(params![seq, limit as i64], |r| {
                Ok((r.get::<_, i64>(0)?, r.get::<_, String>(1)?, r.get::<_, String>(2)?))
            })?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        let rows = read().map_err(|e| self.error("reading revisions", e))?;
        rows.into_iter().map(|(seq, id, body)| Ok((seq, parse(&self.path, &id, &body)?))).collect()
    }

    /// The number under which a revision is stored.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn seq_of(&self, id: &str, revision: u32) -> Result<Option<i64>, Error> {
        let sql = "SELECT seq FROM revisions WHERE id = ?1 AND revision = ?2";
        let found = self.db.query_row(sql, params![id, revision], |r| r.get(0)).optional();
        found.map_err(|e| self.error("reading a revision", e))
    }

    /// Alerts that have not ended: id, state, severity.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn active(&self) -> Result<Vec<(String, State, Severity)>, Error> {
        let sql =
            "SELECT id, state, severity FROM alerts WHERE state NOT IN ('resolved', 'retracted')";
        let row = |r: &Row<'_>| Ok((r.get(0)?, r.get::<_, String>(1)?, r.get::<_, String>(2)?));
        let read = || {
            let mut statement = self.db.prepare_cached(sql)?;
            statement.query_map([], row)?.collect::<Result<Vec<(String, _, _)>, _>>()
        };
        let rows = read().map_err(|e| self.error("reading alerts", e))?;
        let words = |(id, state, severity): (_, String, String)| {
            Some((id, State::parse(&state)?, Severity::parse(&severity)?))
        };
        Ok(rows.into_iter().filter_map(words).collect())
    }

    /// The last `limit` revisions, oldest first, without their content.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn last_marks(&self, limit: usize) -> Result<Vec<Mark>, Error> {
        let sql = "SELECT seq, id, revision FROM revisions ORDER BY seq DESC LIMIT ?1";
        let read = || {
            let mut statement = self.db.prepare_cached(sql)?;
            let row = |r: &Row<'_>| Ok((r.get(0)?, r.get(1)?, r.get(2)?));
            statement.query_map([limit as i64], row)?.collect::<Result<Vec<_>, _>>()
        };
        let mut marks = read().map_err(|e| self.error("reading revisions", e))?;
        marks.reverse();
        Ok(marks)
    }

    /// Up to which number `sink` has everything; 0 for a new one.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn delivered(&self, sink: &str) -> Result<i64, Error> {
        let sql = "SELECT seq FROM delivered WHERE sink = ?1";
        let found = self.db.query_row(sql, [sink], |r| r.get(0)).optional();
        Ok(found.map_err(|e| self.error("reading deliveries", e))?.unwrap_or(0))
    }

    /// Remembers that `sink` has everything up to `seq`.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn set_delivered(&mut self, sink: &str, seq: i64) -> Result<(), Error> {
        let sql = "INSERT INTO delivered (sink, seq) VALUES (?1, ?2)
                   ON CONFLICT (sink) DO UPDATE SET seq = excluded.seq";
        let done = self.db.execute(sql, params![sink, seq]);
        done.map(|_| ()).map_err(|e| self.error("storing deliveries", e))
    }

    fn error(&self, doing: &'static str, source: rusqlite::Error) -> Error {
        Error::Sqlite { path: self.path.clone(), doing, source }
    }
}

impl AlertReader {
    /// Opens a store that an [`AlertStore`] has made.
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

    /// How many alerts there are, by rule, state and severity.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn tally(&self) -> Result<Vec<Tally>, Error> {
        let sql = "SELECT rule, state, severity, count(*), max(fired_ms) FROM alerts
                   GROUP BY rule, state, severity ORDER BY rule, state, severity";
        let row = |r: &Row<'_>| {
            let (state, severity): (String, String) = (r.get(1)?, r.get(2)?);
            let found = State::parse(&state).zip(Severity::parse(&severity));
            Ok(found.zip(Some((r.get(0)?, r.get::<_, i64>(3)?, r.get(4)?))))
        };
        let read = || {
            let mut statement = self.db.prepare_cached(sql)?;
            statement.query_map([], row)?.collect::<Result<Vec<_>, _>>()
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

fn set_up(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(Duration::from_secs(5))?;
    db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)
}

/// Makes what version `found` (0: none) lacks, in one transaction.
fn create(db: &mut Connection, found: i64) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    if found < 1 {
        transaction.execute_batch(SCHEMA)?;
    }
    transaction.execute_batch(LISTS)?;
    fill_lists(&transaction)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

/// What version 1 kept, as lists need it.
fn fill_lists(db: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut all = db.prepare(
        "SELECT a.id, a.rule, a.key, a.state, a.severity, a.fired_ms, a.body, r.seq FROM alerts_1 AS a
         JOIN revisions AS r ON r.id = a.id AND r.revision = a.revision",
    )?;
    let row = |r: &Row<'_>| {
        let body: String = r.get(6)?;
        let body: Map<String, Value> = serde_json::from_str(&body).unwrap_or_default();
        let at = |field: &str| {
            let text = body.get(field).and_then(Value::as_str).unwrap_or_default();
            Zone::utc().parse_instant(text).unwrap_or(0)
        };
        let (state, severity): (String, String) = (r.get(3)?, r.get(4)?);
        let key: String = r.get(2)?;
        let values: Map<String, Value> = serde_json::from_str(&key).unwrap_or_default();
        let is_ucc = |v: &&str| ucc::check(v).is_ok();
        let code = values.values().filter_map(Value::as_str).find(is_ucc).map(str::to_owned);
        let told = Told {
            id: r.get(0)?,
            revision: 0,
            rule: r.get(1)?,
            key,
            state: State::parse(&state).unwrap_or(State::Resolved),
            severity: Severity::parse(&severity).unwrap_or(Severity::Low),
            fired_ms: r.get(5)?,
            known_ms: at("known_at"),
            began_ms: at("began_at"),
            subject: Subject { ucc: code, ..Subject::default() },
            body,
        };
        Ok((told, r.get::<_, i64>(7)?))
    };
    for told in all.query_map([], row)?.collect::<Result<Vec<_>, _>>()? {
        list(db, &told.0, told.1)?;
    }
    drop(all);
    db.execute_batch("DROP TABLE alerts_1")
}

fn rank(severity: Severity) -> i64 {
    Severity::ALL.iter().position(|s| *s == severity).unwrap_or(0) as i64
}

/// The text that a search looks into, in lower case.
fn searched(id: &str, key: &str, name: Option<&str>, body: &Map<String, Value>) -> String {
    let message = |language: &str| body.get("message").and_then(|m| m.get(language)?.as_str());
    let parts = [Some(id), Some(key), name, message("zh"), message("en")];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n").to_lowercase()
}

fn pragma(db: &Connection, name: &str) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, name, |r| r.get(0))
}

fn store(
    db: &Transaction<'_>,
    mut told: Told,
    again: bool,
) -> rusqlite::Result<Option<(i64, Told)>> {
    let latest = "SELECT max(revision) FROM revisions WHERE id = ?1";
    let latest: Option<u32> = db.prepare_cached(latest)?.query_row([&told.id], |r| r.get(0))?;
    if latest.is_some_and(|latest| told.revision <= latest) {
        if again {
            return Ok(None);
        }
        told.revision = latest.unwrap_or(0) + 1;
        told.body.insert("revision".into(), told.revision.into());
    }
    let body = Value::Object(told.body.clone()).to_string();
    let sql = "INSERT INTO revisions (id, revision, body) VALUES (?1, ?2, ?3)";
    db.prepare_cached(sql)?.execute(params![told.id, told.revision, body])?;
    let seq = db.last_insert_rowid();
    list(db, &told, seq)?;
    Ok(Some((seq, told)))
}

/// Lists an alert as its latest revision has it, which is stored under `seq`.
fn list(db: &Transaction<'_>, told: &Told, seq: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO alerts (id, rule, state, severity, rank, fired_ms, known_ms, began_ms, seq, ucc, region,
               name, key, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
               ON CONFLICT (id) DO UPDATE SET state = excluded.state, severity = excluded.severity,
               rank = excluded.rank, fired_ms = excluded.fired_ms, known_ms = excluded.known_ms,
               began_ms = excluded.began_ms, seq = excluded.seq, ucc = coalesce(excluded.ucc, ucc),
               region = coalesce(excluded.region, region), name = coalesce(excluded.name, name),
               text = excluded.text";
    let subject = &told.subject;
    db.prepare_cached(sql)?.execute(params![
        told.id,
        told.rule,
        told.state.word(),
        told.severity.word(),
        rank(told.severity),
        told.fired_ms,
        told.known_ms,
        told.began_ms,
        seq,
        subject.ucc,
        subject.region,
        subject.name,
        told.key,
        searched(&told.id, &told.key, subject.name.as_deref(), &told.body),
    ])?;
    Ok(())
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

fn parse(path: &Path, id: &str, body: &str) -> Result<Map<String, Value>, Error> {
    let failed = |source| Error::Body { path: path.to_owned(), id: id.to_owned(), source };
    serde_json::from_str(body).map_err(failed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(id: &str, revision: u32, state: State, severity: Severity, fired_ms: i64) -> Told {
        let rule = if id.starts_with('a') { "surge" } else { "failures" };
        let body =
            json!({"id": id, "revision": revision, "state": state, "message": {"zh": "投诉激增"}});
        Told {
            id: id.into(),
            revision,
            rule: rule.into(),
            key: format!("{{\"ucc\":\"企业{id}\"}}"),
            state,
            severity,
            fired_ms,
            known_ms: fired_ms,
            began_ms: fired_ms,
            subject: Subject {
                ucc: Some(format!("U{id}")),
                name: Some(format!("Firma {id}")),
                region: Some(if id.starts_with('a') { "430102" } else { "430200" }.into()),
            },
            body: body.as_object().unwrap().clone(),
        }
    }

    fn open() -> (tempfile::TempDir, AlertStore, AlertReader) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("forewarn.db");
        let store = AlertStore::open(&path).unwrap();
        let reader = AlertReader::open(&path).unwrap();
        (dir, store, reader)
    }

    fn ids(page: &Page) -> Vec<String> {
        let id = |kept: &Kept| {
            let body: Value = serde_json::from_str(&kept.body).unwrap();
            body["id"].as_str().unwrap().to_owned()
        };
        page.alerts.iter().map(id).collect()
    }

    #[test]
    fn a_revision_is_stored_once_with_the_position() {
        let (dir, mut store, reader) = open();
        assert_eq!(store.position().unwrap(), 0);
        let first = told("a1", 1, State::Firing, Severity::Low, 10);
        let second = told("a1", 2, State::Resolved, Severity::Low, 10);
        let new = store.commit(&[first.clone(), second.clone()], 7, false).unwrap();
        assert_eq!(new, [(1, first.clone()), (2, second.clone())]);
        assert_eq!(store.commit(&[first, second.clone()], 7, true).unwrap(), []);
        drop(store);
        let store = AlertStore::open(&dir.path().join("forewarn.db")).unwrap();
        assert_eq!(store.position().unwrap(), 7);
        assert_eq!(reader.alert("a1").unwrap().unwrap(), second.body);
        assert_eq!(reader.revisions("a1").unwrap().len(), 2);
        assert_eq!(reader.alert("a2").unwrap(), None);
    }

    #[test]
    fn news_under_a_taken_number_gets_the_next_one() {
        let (_dir, mut store, reader) = open();
        store.commit(&[told("a1", 3, State::Firing, Severity::Low, 10)], 1, false).unwrap();
        let news = told("a1", 2, State::Resolved, Severity::Low, 10);
        let stored = store.commit(&[news], 2, false).unwrap();
        assert_eq!((stored[0].1.revision, &stored[0].1.body["revision"]), (4, &json!(4)));
        assert_eq!(reader.alert("a1").unwrap().unwrap()["state"], "resolved");
    }

    #[test]
    fn filters_and_pages() {
        let (_dir, mut store, reader) = open();
        let all = vec![
            told("a1", 1, State::Firing, Severity::Low, 10),
            told("a2", 1, State::Firing, Severity::High, 20),
            told("b3", 1, State::Resolved, Severity::High, 20),
            told("b4", 1, State::Pending, Severity::Critical, 30),
        ];
        store.commit(&all, 4, false).unwrap();
        let filter = Filter::default();
        let check = |filter: Filter, expect: &[&str]| {
            assert_eq!(
                ids(&reader.page(&filter, Sort::Fired, None, 10).unwrap()),
                expect,
                "{filter:?}"
            );
        };
        check(filter.clone(), &["b4", "b3", "a2", "a1"]);
        check(
            Filter { states: vec![State::Firing, State::Pending], ..filter.clone() },
            &["b4", "a2", "a1"],
        );
        check(Filter { severities: vec![Severity::High], ..filter.clone() }, &["b3", "a2"]);
        check(Filter { rules: Some(vec!["surge".into()]), ..filter.clone() }, &["a2", "a1"]);
        check(Filter { key: Some("企业b".into()), since_ms: Some(30), ..filter.clone() }, &["b4"]);
        check(Filter { key: Some("' OR 1 --".into()), ..filter.clone() }, &[]);
        check(Filter { ucc: Some("Ub3".into()), ..filter.clone() }, &["b3"]);
        check(Filter { region: Some("4301".into()), ..filter.clone() }, &["a2", "a1"]);
        check(Filter { region: Some("%".into()), ..filter.clone() }, &[]);
        check(Filter { text: Some(("FIRMA A".into(), vec![])), ..filter.clone() }, &["a2", "a1"]);
        check(
            Filter { text: Some(("Ua1".into(), vec!["failures".into()])), ..filter.clone() },
            &["b4", "b3"],
        );
        check(Filter { until_ms: Some(20), ..filter.clone() }, &["a1"]);
        check(Filter { rules: Some(Vec::new()), ..filter.clone() }, &[]);
        let by_severity = reader.page(&filter, Sort::Severity, None, 10).unwrap();
        assert_eq!((ids(&by_severity).join(" "), by_severity.total), ("b4 b3 a2 a1".into(), 4));

        let mut cursor = None;
        let mut pages = Vec::new();
        loop {
            let page = reader.page(&filter, Sort::Fired, cursor.as_deref(), 3).unwrap();
            pages.push(ids(&page).join(" "));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(pages, ["b4 b3 a2", "a1"]);
        assert!(matches!(reader.page(&filter, Sort::Fired, Some("x"), 3), Err(Error::Cursor(_))));
    }

    #[test]
    fn new_alerts_move_no_page_and_every_order_shows_each_once() {
        for sort in Sort::ALL {
            let (_dir, mut store, reader) = open();
            let one = |n: i64, severity| told(&format!("a{n}"), 1, State::Firing, severity, n / 3);
            let all: Vec<Told> = (0..20).map(|n| one(n, Severity::ALL[n as usize % 4])).collect();
            store.commit(&all, 1, false).unwrap();
            let (mut cursor, mut seen) = (None, Vec::new());
            loop {
                let filter = Filter::default();
                let page = reader.page(&filter, sort, cursor.as_deref(), 3).unwrap();
                seen.extend(ids(&page));
                // Comes in front of everything.
                let new = one(1_000 + seen.len() as i64, Severity::Critical);
                store.commit(&[new], 2, false).unwrap();
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            seen.sort();
            let mut expect: Vec<String> = (0..20).map(|n| format!("a{n}")).collect();
            expect.sort();
            assert_eq!(seen, expect, "{sort:?}");
            let other = if sort == Sort::Fired { "severity~1~1~a" } else { "fired_at~1~a" };
            let refused = reader.page(&Filter::default(), sort, Some(other), 3);
            assert!(matches!(refused, Err(Error::Cursor(_))), "a cursor of another order");
        }
    }

    #[test]
    fn a_store_of_the_first_version_is_read_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("forewarn.db");
        let db = Connection::open(&path).unwrap();
        db.execute_batch(SCHEMA).unwrap();
        db.pragma_update(None, "user_version", 1).unwrap();
        let body = json!({"id": "a1", "known_at": "2026-03-05T08:00:00+08:00", "message": {"zh": "激增", "en": "Surge"}});
        let sql = "INSERT INTO revisions (id, revision, body) VALUES ('a1', 1, ?1)";
        db.execute(sql, [body.to_string()]).unwrap();
        let sql = "INSERT INTO alerts VALUES ('a1', 'surge', ?1, 'firing', 'high', 7, 1, ?2)";
        let key = r#"{"ucc":"91430100MA4L00002U"}"#;
        db.execute(sql, params![key, body.to_string()]).unwrap();
        drop(db);
        let mut store = AlertStore::open(&path).unwrap();
        let reader = AlertReader::open(&path).unwrap();
        let code = "91430100MA4L00002U";
        let valid = ucc::check(code).is_ok();
        let filter = Filter { text: Some(("SURGE".into(), vec![])), ..Filter::default() };
        let page = reader.page(&filter, Sort::Known, None, 1).unwrap();
        assert_eq!(ids(&page), ["a1"]);
        assert_eq!(page.alerts[0].subject.ucc.is_some(), valid);
        let again = told("a1", 2, State::Resolved, Severity::Low, 7);
        assert_eq!(store.commit(&[again], 1, false).unwrap().len(), 1);
        assert_eq!(reader.tally().unwrap()[0].state, State::Resolved);
    }

    #[test]
    fn sinks_go_on_where_they_were() {
        let (_dir, mut store, _reader) = open();
        let one = |id: &str| told(id, 1, State::Firing, Severity::Low, 10);
        store.commit(&[one("a1"), one("a2")], 2, false).unwrap();
        assert_eq!(store.delivered("file").unwrap(), 0);
        let all = store.revisions_after(0, 10).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(store.seq_of("a1", 1).unwrap(), Some(all[0].0));
        store.set_delivered("file", all[0].0).unwrap();
        let rest = store.revisions_after(store.delivered("file").unwrap(), 10).unwrap();
        assert_eq!((rest.len(), &rest[0].1["id"]), (1, &json!("a2")));
        assert_eq!(store.seq_of("a1", 2).unwrap(), None);
    }

    #[test]
    fn a_store_of_a_newer_version_is_refused() {
        let (dir, store, _reader) = open();
        store.db.pragma_update(None, "user_version", 99).unwrap();
        drop(store);
        let error = AlertStore::open(&dir.path().join("forewarn.db")).unwrap_err();
        assert!(matches!(error, Error::Newer { found: 99, .. }), "{error}");
    }
}
