//! Outbox: revisions that sinks on the network do not have yet.
//!
//! In: each new revision once for each such sink, in the transaction that stores the alert, so that a crash delivers again
//! and never loses. Out: what waits, oldest first. A delivery is known by alert id, revision and sink: that is its key for
//! receivers, and it is put here once. What a receiver refuses for good stays, with the reason, and is not tried again.
//! Each sink's part has a limit: what has waited longest is dropped for what is new. State is not lost with it — alerts stay
//! in the store, and an Alertmanager is told of all that fires once a minute.
//! Promise: the engine writes and each sink's thread takes out, by connections of their own; neither waits long.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde_json::{Map, Value};

use super::alerts::{Error, Told};

const TABLE: &str = "
CREATE TABLE IF NOT EXISTS outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL,
    put_ms INTEGER NOT NULL, refused TEXT, UNIQUE (id, revision, sink)
) STRICT;
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (sink, seq) WHERE refused IS NULL;
CREATE INDEX IF NOT EXISTS outbox_refused ON outbox (sink, seq) WHERE refused IS NOT NULL;
";

/// Refused revisions of a sink that stay, the latest.
const REFUSED_MAX: usize = 10_000;

/// A revision that waits for a sink.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// Its number in the outbox.
    pub seq: i64,
    /// The alert.
    pub id: String,
    /// The revision.
    pub revision: u32,
    /// Since when it waits, ms.
    pub put_ms: i64,
}

/// The outbox as a sink's thread sees it.
#[derive(Debug)]
pub struct Outbox {
    path: PathBuf,
    db: Connection,
}

/// Makes the table where it is not there, and forgets what waits for sinks that are not in `sinks`. Returns how much.
pub(super) fn set_up(db: &Connection, sinks: &[String]) -> rusqlite::Result<usize> {
    db.execute_batch(TABLE)?;
    let known = serde_json::Value::from(sinks.to_vec()).to_string();
    db.execute("DELETE FROM outbox WHERE sink NOT IN (SELECT value FROM json_each(?1))", [known])
}

/// Puts a new revision in the outbox of each of `sinks`.
pub(super) fn put(db: &Transaction<'_>, sinks: &[String], told: &Told) -> rusqlite::Result<()> {
    let sql = "INSERT INTO outbox (sink, id, revision, put_ms)
               VALUES (?1, ?2, ?3, CAST(unixepoch('subsec') * 1000 AS INTEGER)) ON CONFLICT DO NOTHING";
    for sink in sinks {
        db.prepare_cached(sql)?.execute(params![sink, told.id, told.revision])?;
    }
    Ok(())
}

/// Drops what has waited longest for `sink` beyond the latest `max`. Returns how much that was.
pub(super) fn bound(db: &Connection, sink: &str, max: usize) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM outbox WHERE sink = ?1 AND refused IS NULL AND seq <=
               (SELECT seq FROM outbox WHERE sink = ?1 AND refused IS NULL ORDER BY seq DESC LIMIT 1 OFFSET ?2)";
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    db.prepare_cached(sql)?.execute(params![sink, max])
}

/// The same of what `sink` refused.
fn bound_refused(db: &Connection, sink: &str, max: usize) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM outbox WHERE sink = ?1 AND refused IS NOT NULL AND seq <=
               (SELECT seq FROM outbox WHERE sink = ?1 AND refused IS NOT NULL ORDER BY seq DESC LIMIT 1 OFFSET ?2)";
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    db.prepare_cached(sql)?.execute(params![sink, max])
}

impl Outbox {
    /// Opens the outbox of a store that was opened by the engine.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Sqlite { path: path.to_owned(), doing: "opening", source };
        let db = Connection::open(path).map_err(failed)?;
        db.busy_timeout(Duration::from_secs(30)).map_err(failed)?;
        db.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        Ok(Self { path: path.to_owned(), db })
    }

    /// What waits for `sink`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn waiting(&self, sink: &str, limit: usize) -> Result<Vec<Waiting>, Error> {
        let sql = "SELECT seq, id, revision, put_ms FROM outbox
                   WHERE sink = ?1 AND refused IS NULL ORDER BY seq LIMIT ?2";
        let row = |r: &Row<'_>| {
            Ok(Waiting { seq: r.get(0)?, id: r.get(1)?, revision: r.get(2)?, put_ms: r.get(3)? })
        };
        let read = || {
            let mut statement = self.db.prepare_cached(sql)?;
            statement.query_map(params![sink, limit as i64], row)?.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(|e| self.error("reading the outbox", e))
    }

    /// How much waits for `sink`, and since when the oldest does, ms.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn backlog(&self, sink: &str) -> Result<(u64, Option<i64>), Error> {
        let sql = "SELECT count(*), min(put_ms) FROM outbox WHERE sink = ?1 AND refused IS NULL";
        let row = |r: &Row<'_>| Ok((r.get::<_, i64>(0)?.max(0) as u64, r.get(1)?));
        let read = || self.db.prepare_cached(sql)?.query_row([sink], row);
        read().map_err(|e| self.error("reading the outbox", e))
    }

    /// The bodies of an alert's revisions from `from` on, oldest first.
    ///
    /// # Errors
    /// [`Error::Sqlite`], [`Error::Body`].
    pub fn revisions(&self, id: &str, from: u32) -> Result<Vec<Map<String, Value>>, Error> {
        let sql =
            "SELECT id, body FROM revisions WHERE id = ?1 AND revision >= ?2 ORDER BY revision";
        self.bodies(sql, params![id, from])
    }

    /// The body of one revision; `None` where it is not stored.
    ///
    /// # Errors
    /// [`Error::Sqlite`], [`Error::Body`].
    pub fn body(&self, id: &str, revision: u32) -> Result<Option<Map<String, Value>>, Error> {
        let sql = "SELECT body FROM revisions WHERE id = ?1 AND revision = ?2";
        let found = self
            .db
            .query_row(sql, params![id, revision], |r| r.get::<_, String>(0))
            .optional()
            .map_err(|e| self.error("reading a revision", e))?;
        found.map(|body| self.parse(id, &body)).transpose()
    }

    /// The bodies of all alerts that fire, without the lists of their records.
    ///
    /// # Errors
    /// [`Error::Sqlite`], [`Error::Body`].
    pub fn firing(&self) -> Result<Vec<Map<String, Value>>, Error> {
        let sql = "SELECT a.id, json_remove(r.body, '$.evidence')
                   FROM alerts AS a JOIN revisions AS r ON r.seq = a.seq WHERE a.state = 'firing' ORDER BY a.id";
        self.bodies(sql, [])
    }

    /// Takes out what was delivered.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn done(&mut self, seqs: &[i64]) -> Result<(), Error> {
        let mut take = || {
            let transaction = self.db.transaction()?;
            for seq in seqs {
                transaction.prepare_cached("DELETE FROM outbox WHERE seq = ?1")?.execute([seq])?;
            }
            transaction.commit()
        };
        take().map_err(|e| self.error("writing the outbox", e))
    }

    /// Notes that deliveries were refused by `sink` for good, and why.
    ///
    /// # Errors
    /// [`Error::Sqlite`].
    pub fn refuse(&mut self, sink: &str, seqs: &[i64], why: &str) -> Result<(), Error> {
        let mut write = || {
            let transaction = self.db.transaction()?;
            for seq in seqs {
                transaction
                    .execute("UPDATE outbox SET refused = ?2 WHERE seq = ?1", params![seq, why])?;
            }
            bound_refused(&transaction, sink, REFUSED_MAX)?;
            transaction.commit()
        };
        write().map_err(|e| self.error("writing the outbox", e))
    }

    fn bodies<P: rusqlite::Params>(
        &self,
        sql: &str,
        params: P,
    ) -> Result<Vec<Map<String, Value>>, Error> {
        let read = || {
            let mut statement = self.db.prepare_cached(sql)?;
            let row = |r: &Row<'_>| Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?));
            statement.query_map(params, row)?.collect::<Result<Vec<_>, _>>()
        };
        let rows = read().map_err(|e| self.error("reading alerts", e))?;
        rows.iter().map(|(id, body)| self.parse(id, body)).collect()
    }

    fn parse(&self, id: &str, body: &str) -> Result<Map<String, Value>, Error> {
        serde_json::from_str(body).map_err(|source| Error::Body {
            path: self.path.clone(),
            id: id.to_owned(),
            source,
        })
    }

    fn error(&self, doing: &'static str, source: rusqlite::Error) -> Error {
        Error::Sqlite { path: self.path.clone(), doing, source }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        model::{alert::State, signal::Severity},
        store::alerts::AlertStore,
    };

    fn told(id: &str, revision: u32, state: State) -> Told {
        let body = json!({"id": id, "revision": revision, "state": state.word()});
        Told {
            id: id.into(),
            revision,
            rule: "r".into(),
            key: "{}".into(),
            state,
            severity: Severity::High,
            fired_ms: 5,
            known_ms: 5,
            began_ms: 5,
            subject: Default::default(),
            body: body.as_object().unwrap().clone(),
        }
    }

    fn names(waiting: &[Waiting]) -> Vec<String> {
        waiting.iter().map(|w| format!("{}:{}", w.id, w.revision)).collect()
    }

    #[test]
    fn each_revision_waits_once_for_each_sink_until_it_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("forewarn.db");
        let mut store = AlertStore::open(&path).unwrap();
        store.post_to(vec!["am".into(), "hook".into()], 10).unwrap();
        let first = [told("a-1", 1, State::Firing), told("b-1", 1, State::Firing)];
        store.commit(&first, 1, false).unwrap();
        // The same again, as after a crash, is no news.
        store.commit(&first, 1, true).unwrap();
        store.commit(&[told("a-1", 2, State::Resolved)], 2, false).unwrap();

        let mut outbox = Outbox::open(&path).unwrap();
        let waiting = outbox.waiting("am", 10).unwrap();
        assert_eq!(names(&waiting), ["a-1:1", "b-1:1", "a-1:2"]);
        assert_eq!(outbox.backlog("am").unwrap(), (3, Some(waiting[0].put_ms)));
        assert_eq!(outbox.revisions("a-1", 1).unwrap().len(), 2);
        assert_eq!(outbox.revisions("a-1", 2).unwrap().len(), 1);
        assert_eq!(outbox.body("a-1", 2).unwrap().unwrap()["state"], "resolved");
        assert_eq!(outbox.firing().unwrap().len(), 1);

        outbox.done(&[waiting[0].seq]).unwrap();
        outbox.refuse("am", &[waiting[1].seq], "status 400").unwrap();
        assert_eq!(names(&outbox.waiting("am", 10).unwrap()), ["a-1:2"]);
        assert_eq!(outbox.backlog("hook").unwrap().0, 3);

        // A restart keeps it; a sink that is gone is forgotten.
        drop((store, outbox));
        let mut store = AlertStore::open(&path).unwrap();
        assert_eq!(store.post_to(vec!["am".into()], 10).unwrap(), 3);
        let outbox = Outbox::open(&path).unwrap();
        assert_eq!(names(&outbox.waiting("am", 10).unwrap()), ["a-1:2"]);
        assert_eq!(outbox.backlog("hook").unwrap(), (0, None));
    }

    #[test]
    fn what_waited_longest_is_dropped_and_refused_ones_do_not_grow_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("forewarn.db");
        let mut store = AlertStore::open(&path).unwrap();
        store.post_to(vec!["am".into(), "hook".into()], 3).unwrap();
        let four = ["a", "b", "c", "d"].map(|id| told(id, 1, State::Firing));
        store.commit(&four, 1, false).unwrap();
        assert_eq!(store.take_dropped(), [("am".to_owned(), 1), ("hook".to_owned(), 1)]);
        assert!(store.take_dropped().is_empty());
        let mut outbox = Outbox::open(&path).unwrap();
        let waiting = outbox.waiting("am", 10).unwrap();
        assert_eq!(names(&waiting), ["b:1", "c:1", "d:1"]);

        // One sink keeps up, the other does not; what was refused takes no place.
        outbox.done(&[waiting[0].seq]).unwrap();
        outbox.refuse("am", &[waiting[1].seq], "status 400").unwrap();
        store
            .commit(&[told("e", 1, State::Firing), told("f", 1, State::Firing)], 2, false)
            .unwrap();
        assert_eq!(store.take_dropped(), [("hook".to_owned(), 2)]);
        assert_eq!(names(&outbox.waiting("am", 10).unwrap()), ["d:1", "e:1", "f:1"]);
        assert_eq!(names(&outbox.waiting("hook", 10).unwrap()), ["d:1", "e:1", "f:1"]);
        let refused = |outbox: &Outbox| {
            let sql = "SELECT count(*) FROM outbox WHERE refused IS NOT NULL";
            outbox.db.query_row(sql, [], |r| r.get::<_, i64>(0)).unwrap()
        };
        let seqs: Vec<i64> = outbox.waiting("hook", 10).unwrap().iter().map(|w| w.seq).collect();
        outbox.refuse("hook", &seqs, "status 410").unwrap();
        assert_eq!(refused(&outbox), 4);
        assert_eq!(bound_refused(&outbox.db, "hook", 1).unwrap(), 2);
        assert_eq!(refused(&outbox), 2);
    }
}
