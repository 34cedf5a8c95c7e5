//! Alerts: what was told, every revision of it, and how far in the log that goes.
//!
//! In: the revisions of one engine step with the arrival number behind it, in one transaction. Out: alerts at their
//! latest revision, by filter and page; revisions in the order they were stored, for sinks.
//! Promise: a revision is stored once, however often it is handed in; position and alerts never disagree; a committed
//! transaction survives a crash (SQLite, WAL, `synchronous = FULL`). Readers do not block the engine.

mod reader;
mod tables;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde_json::{Map, Value};

pub use self::reader::{AlertReader, Filter, Kept, PAGE_MAX, Page, Sort, Tally};
use self::tables::SCHEMA_VERSION;
use super::outbox;
use crate::model::{alert::State, signal::Severity};

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

/// The store, open for writing by the engine.
#[derive(Debug)]
pub struct AlertStore {
    path: PathBuf,
    db: Connection,
    /// Sinks on the network, see [`AlertStore::post_to`].
    outboxes: Vec<String>,
    /// Revisions that wait for one of them at most.
    outbox_max: usize,
    /// Revisions dropped since this was last asked, by sink.
    dropped: Vec<(String, u64)>,
}

impl AlertStore {
    /// Opens the store, which is made if need be.
    ///
    /// # Errors
    /// [`Error::Sqlite`], [`Error::Newer`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |doing| move |source| Error::Sqlite { path: path.to_owned(), doing, source };
        let mut db = Connection::open(path).map_err(failed("opening"))?;
        tables::set_up(&db).map_err(failed("setting it up"))?;
        let found: i64 =
            tables::pragma(&db, "user_version").map_err(failed("reading its version"))?;
        if found > SCHEMA_VERSION {
            return Err(Error::Newer { path: path.to_owned(), found });
        }
        if found < SCHEMA_VERSION {
            tables::create(&mut db, found).map_err(failed("making its tables"))?;
        }
        Ok(Self {
            path: path.to_owned(),
            db,
            outboxes: Vec::new(),
            outbox_max: usize::MAX,
            dropped: Vec::new(),
        })
    }

    /// From now on new revisions are also put in the [`outbox`] of each of these sinks, where at most `max` wait: the oldest
    /// make room. Returns how many waited for sinks that are not among them; these are dropped.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn post_to(&mut self, sinks: Vec<String>, max: usize) -> Result<usize, Error> {
        let forgotten = outbox::set_up(&self.db, &sinks);
        let forgotten = forgotten.map_err(|e| self.error("making the outbox", e))?;
        (self.outboxes, self.outbox_max) = (sinks, max);
        Ok(forgotten)
    }

    /// How many revisions were dropped since this was last asked, because too many waited: by sink, those with some.
    pub fn take_dropped(&mut self) -> Vec<(String, u64)> {
        std::mem::take(&mut self.dropped)
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
            let mut dropped = Vec::new();
            for sink in self.outboxes.iter().filter(|_| !new.is_empty()) {
                match outbox::bound(&transaction, sink, self.outbox_max)? {
                    0 => {}
                    n => dropped.push((sink.clone(), n as u64)),
                }
            }
            let arrival = i64::try_from(position).unwrap_or(i64::MAX);
            let sql = "INSERT INTO position (one, arrival) VALUES (1, ?1)
                       ON CONFLICT (one) DO UPDATE SET arrival = max(arrival, excluded.arrival)";
            transaction.prepare_cached(sql)?.execute([arrival])?;
            transaction.commit()?;
            self.dropped.append(&mut dropped);
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

fn rank(severity: Severity) -> i64 {
    Severity::ALL.iter().position(|s| *s == severity).unwrap_or(0) as i64
}

/// The text that a search looks into, in lower case.
fn searched(id: &str, key: &str, name: Option<&str>, body: &Map<String, Value>) -> String {
    let message = |language: &str| body.get("message").and_then(|m| m.get(language)?.as_str());
    let parts = [Some(id), Some(key), name, message("zh"), message("en")];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n").to_lowercase()
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

fn parse(path: &Path, id: &str, body: &str) -> Result<Map<String, Value>, Error> {
    let failed = |source| Error::Body { path: path.to_owned(), id: id.to_owned(), source };
    serde_json::from_str(body).map_err(failed)
}

#[cfg(test)]
mod tests;
