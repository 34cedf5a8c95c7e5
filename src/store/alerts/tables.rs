//! The tables of the alert store, and how those of an earlier version become today's.

use std::time::Duration;

use rusqlite::{Connection, Row, Transaction};
use serde_json::{Map, Value};

use super::{Subject, Told, list};
use crate::model::{alert::State, reference::ucc, signal::Severity, time::Zone};

/// Version of the tables below.
pub(super) const SCHEMA_VERSION: i64 = 2;
/// `fwrn`, so that tools tell the file from other SQLite files.
const APPLICATION_ID: i64 = 0x6677_726e;
/// Version 1, whose alerts held their bodies.
pub(super) const SCHEMA: &str = "
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

/// How every connection that writes is used.
pub(super) fn set_up(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(Duration::from_secs(5))?;
    db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)
}

/// Makes what version `found` (0: none) lacks, in one transaction.
pub(super) fn create(db: &mut Connection, found: i64) -> rusqlite::Result<()> {
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

/// A number that the file says of itself.
pub(super) fn pragma(db: &Connection, name: &str) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, name, |r| r.get(0))
}
