//! The store as the engine writes it and others read it.

use serde_json::json;

use super::{tables::SCHEMA, *};
use crate::model::reference::ucc;

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
    assert_eq!(reader.tally(&Filter::default()).unwrap()[0].state, State::Resolved);
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
