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
use crate::model::{alert::State, signal::Severity};

/// Version of the tables below.
const SCHEMA_VERSION: i64 = 1;
/// `fwrn`, so that tools tell the file from other SQLite files.
const APPLICATION_ID: i64 = 0x6677_726e;
/// Most alerts on one page.
pub const PAGE_MAX: usize = 1_000;

const SCHEMA: &str = "
CREATE TABLE alerts (
    id TEXT PRIMARY KEY, rule TEXT NOT NULL, key TEXT NOT NULL, state TEXT NOT NULL, severity TEXT NOT NULL,
    fired_ms INTEGER NOT NULL, revision INTEGER NOT NULL, body TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX alerts_by_time ON alerts (fired_ms DESC, id DESC);
CREATE INDEX alerts_by_rule ON alerts (rule, fired_ms DESC, id DESC);
CREATE TABLE revisions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, revision INTEGER NOT NULL, body TEXT NOT NULL,
    UNIQUE (id, revision)
) STRICT;
CREATE TABLE position (one INTEGER PRIMARY KEY CHECK (one = 1), arrival INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE delivered (sink TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
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
    /// What everybody reads: [`crate::model::alert::Alert::to_json`].
    pub body: Map<String, Value>,
}

/// A revision and the number under which it is stored.
pub type Numbered = (i64, Map<String, Value>);

/// Which alerts a reader wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// One of these states; any, where empty.
    pub states: Vec<State>,
    /// One of these severities; any, where empty.
    pub severities: Vec<Severity>,
    /// Of this rule.
    pub rule: Option<String>,
    /// With this text in the canonical key.
    pub key: Option<String>,
    /// Fired at this instant or later, ms.
    pub since_ms: Option<i64>,
}

/// One page of alerts, those that fired last first.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The alerts at their latest revision.
    pub alerts: Vec<Map<String, Value>>,
    /// Where the next page starts; `None` on the last one.
    pub next: Option<String>,
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
        if found == 0 {
            create(&mut db).map_err(failed("making its tables"))?;
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

    /// Stores the revisions of one step and the arrival number behind it. Returns those that were not stored before.
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
    ) -> Result<Vec<Told>, Error> {
        let path = self.path.clone();
        let failed = |source| Error::Sqlite { path, doing: "storing alerts", source };
        let mut run = || {
            let transaction = self.db.transaction()?;
            let mut new = Vec::with_capacity(told.len());
            for one in told {
                new.extend(store(&transaction, one.clone(), again)?);
            }
            for one in &new {
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

    /// A page of at most `limit` alerts (1 to [`PAGE_MAX`]), from `cursor` on.
    ///
    /// # Errors
    /// [`Error::Cursor`], [`Error::Sqlite`], [`Error::Body`].
    pub fn page(&self, filter: &Filter, cursor: Option<&str>, limit: usize) -> Result<Page, Error> {
        let limit = limit.clamp(1, PAGE_MAX);
        let (sql, cells) = query(filter, cursor, limit)?;
        let read = || {
            let mut statement = self.db.prepare_cached(&sql)?;
            let row = |r: &Row<'_>| {
                Ok((r.get::<_, String>(0)?, r.get::<_, i64>(1)?, r.get::<_, String>(2)?))
            };
            statement.query_map(params_from_iter(cells), row)?.collect::<Result<Vec<_>, _>>()
        };
        let mut rows = read().map_err(|e| self.error("reading alerts", e))?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|(id, fired_ms, _)| format!("{fired_ms}~{id}"));
        let alerts = rows.iter().map(|(id, _, body)| parse(&self.path, id, body));
        Ok(Page { alerts: alerts.collect::<Result<_, _>>()?, next })
    }

    /// One alert at its latest revision.
    ///
    /// # Errors
    /// [`Error::Sqlite`], [`Error::Body`].
    pub fn alert(&self, id: &str) -> Result<Option<Map<String, Value>>, Error> {
        let sql = "SELECT body FROM alerts WHERE id = ?1";
        let body: Option<String> = self
            .db
            .query_row(sql, [id], |r| r.get(0))
            .optional()
            .map_err(|e| self.error("reading an alert", e))?;
        body.map(|body| parse(&self.path, id, &body)).transpose()
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

fn create(db: &mut Connection) -> rusqlite::Result<()> {
    let transaction = db.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

fn pragma(db: &Connection, name: &str) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, name, |r| r.get(0))
}

fn store(db: &Transaction<'_>, mut told: Told, again: bool) -> rusqlite::Result<Option<Told>> {
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
    let sql = "INSERT INTO alerts (id, rule, key, state, severity, fired_ms, revision, body)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
               ON CONFLICT (id) DO UPDATE SET state = excluded.state, severity = excluded.severity,
               fired_ms = excluded.fired_ms, revision = excluded.revision, body = excluded.body";
    let (state, severity) = (told.state.word(), told.severity.word());
    db.prepare_cached(sql)?.execute(params![
        told.id,
        told.rule,
        told.key,
        state,
        severity,
        told.fired_ms,
        told.revision,
        body
    ])?;
    Ok(Some(told))
}

fn query(
    filter: &Filter,
    cursor: Option<&str>,
    limit: usize,
) -> Result<(String, Vec<Cell>), Error> {
    let mut terms = Vec::new();
    let mut cells: Vec<Cell> = Vec::new();
    let mut any_of = |column: &str, words: Vec<&'static str>| {
        if !words.is_empty() {
            terms.push(format!("{column} IN ({})", vec!["?"; words.len()].join(", ")));
            cells.extend(words.into_iter().map(|w| Cell::from(w.to_owned())));
        }
    };
    any_of("state", filter.states.iter().map(|s| s.word()).collect());
    any_of("severity", filter.severities.iter().map(|s| s.word()).collect());
    let mut term = |sql: &str, values: Vec<Cell>| {
        terms.push(sql.to_owned());
        cells.extend(values);
    };
    if let Some(rule) = &filter.rule {
        term("rule = ?", vec![rule.clone().into()]);
    }
    if let Some(key) = &filter.key {
        term("instr(key, ?) > 0", vec![key.clone().into()]);
    }
    if let Some(since_ms) = filter.since_ms {
        term("fired_ms >= ?", vec![since_ms.into()]);
    }
    if let Some(cursor) = cursor {
        let split = cursor.split_once('~').and_then(|(ms, id)| Some((ms.parse::<i64>().ok()?, id)));
        let (fired_ms, id) = split.ok_or_else(|| Error::Cursor(cursor.to_owned()))?;
        term("(fired_ms, id) < (?, ?)", vec![fired_ms.into(), id.to_owned().into()]);
    }
    let filter = if terms.is_empty() { "1".to_owned() } else { terms.join(" AND ") };
    // One more than asked for tells whether there is a next page.
    cells.push((limit as i64 + 1).into());
    let order = "ORDER BY fired_ms DESC, id DESC LIMIT ?";
    Ok((format!("SELECT id, fired_ms, body FROM alerts WHERE {filter} {order}"), cells))
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

    fn ids(page: &Page) -> Vec<&str> {
        page.alerts.iter().map(|a| a["id"].as_str().unwrap()).collect()
    }

    #[test]
    fn a_revision_is_stored_once_with_the_position() {
        let (dir, mut store, reader) = open();
        assert_eq!(store.position().unwrap(), 0);
        let first = told("a1", 1, State::Firing, Severity::Low, 10);
        let second = told("a1", 2, State::Resolved, Severity::Low, 10);
        let new = store.commit(&[first.clone(), second.clone()], 7, false).unwrap();
        assert_eq!(new, [first.clone(), second.clone()]);
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
        assert_eq!((stored[0].revision, &stored[0].body["revision"]), (4, &json!(4)));
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
            assert_eq!(ids(&reader.page(&filter, None, 10).unwrap()), expect, "{filter:?}");
        };
        check(filter.clone(), &["b4", "b3", "a2", "a1"]);
        check(
            Filter { states: vec![State::Firing, State::Pending], ..filter.clone() },
            &["b4", "a2", "a1"],
        );
        check(Filter { severities: vec![Severity::High], ..filter.clone() }, &["b3", "a2"]);
        check(Filter { rule: Some("surge".into()), ..filter.clone() }, &["a2", "a1"]);
        check(Filter { key: Some("企业b".into()), since_ms: Some(30), ..filter.clone() }, &["b4"]);
        check(Filter { key: Some("' OR 1 --".into()), ..filter.clone() }, &[]);

        let mut cursor = None;
        let mut pages = Vec::new();
        loop {
            let page = reader.page(&filter, cursor.as_deref(), 3).unwrap();
            pages.push(ids(&page).join(" "));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(pages, ["b4 b3 a2", "a1"]);
        assert!(matches!(reader.page(&filter, Some("x"), 3), Err(Error::Cursor(_))));
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
