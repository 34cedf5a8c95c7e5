//! The bundled samples pushed into a running engine: whatever the requests, and with kill −9 between, it tells what a replay
//! of the same files tells, byte for byte.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::http::{House, Running};

/// Feeds, their files, and what makes the first record of each another one three weeks behind the last: where its input
/// ends a replay closes what is complete but for rows out of order, and a running engine goes on waiting for those.
const FILES: [(&str, &str, Changes); 3] = [
    (
        "complaints",
        "complaints.ndjson",
        &[(b"HN2026000014", b"HN2026999999"), (b"2026-03-02T", b"2026-07-21T")],
    ),
    (
        "sampling",
        "sampling.csv",
        // 年 and 月 in GBK.
        &[
            (b"DC26430000000001", b"DC26430000999999"),
            (b"2026\xc4\xea03\xd4\xc2", b"2026\xc4\xea07\xd4\xc2"),
        ],
    ),
    (
        "penalties",
        "penalties.csv",
        &[("〕1号".as_bytes(), "〕999号".as_bytes()), (b"2026/03/04", b"2026/07/21")],
    ),
];

/// What stands in a line, and what is put there instead.
type Changes = &'static [(&'static [u8], &'static [u8])];

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The files with that last record, in `dir`.
fn with_last_records(dir: &Path) {
    for (_, file, changes) in FILES {
        let mut bytes = fs::read(repository("samples").join(file)).unwrap();
        let first = usize::from(file.ends_with(".csv"));
        let mut last = bytes.split_inclusive(|b| *b == b'\n').nth(first).unwrap().to_vec();
        for (from, to) in changes {
            let at = last.windows(from.len()).position(|w| w == *from).unwrap();
            last.splice(at..at + from.len(), to.iter().copied());
        }
        bytes.extend(last);
        fs::write(dir.join(file), bytes).unwrap();
    }
}

/// Alerts by id as they ended, without when they were known and when taken back: a replay does not know when the rows came.
fn by_id(alerts: impl IntoIterator<Item = Value>) -> BTreeMap<String, String> {
    let essence = |mut alert: Value| {
        let fields = alert.as_object_mut().unwrap();
        ["known_at", "known_by", "changed_by"].iter().for_each(|f| drop(fields.remove(*f)));
        if fields["state"] == "retracted" {
            fields.remove("resolved_at");
        }
        (fields["id"].as_str().unwrap().to_owned(), alert.to_string())
    };
    alerts.into_iter().map(essence).collect()
}

/// Requests of `lines` lines each, CSV with the heading before each.
fn requests(file: &Path, lines: usize) -> Vec<Vec<u8>> {
    let bytes = fs::read(file).unwrap();
    let mut all: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
    let heading = if file.extension().unwrap() == "csv" { all.remove(0) } else { b"" };
    all.chunks(lines).map(|lines| [heading, &lines.concat()].concat()).collect()
}

/// Pushes a file in such requests; the engine dies after the first half of them.
fn push(house: &House, mut engine: Running, (feed, file): (&str, &Path), lines: usize) -> Running {
    let path = format!("/api/v1/feeds/{feed}/events");
    let is_csv = file.extension().unwrap() == "csv";
    let kind = if is_csv { "text/csv" } else { "application/x-ndjson" };
    let requests = requests(file, lines);
    let half = requests.len() / 2;
    for (i, body) in requests.iter().enumerate() {
        if i == half && half > 0 {
            engine.kill();
            engine = house.start(&[]);
        }
        let reply = engine.request("POST", &path, &[&format!("Content-Type: {kind}")], body);
        assert_eq!(reply.status, 200, "{feed}: {}", reply.body);
    }
    engine
}

#[test]
fn samples_pushed_in_any_requests_tell_what_a_replay_tells() {
    let dir = tempfile::tempdir().unwrap();
    with_last_records(dir.path());
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
    command.arg("replay").arg("--rules").arg(repository("rules")).arg("--out").arg(out.path());
    for (feed, file, _) in FILES {
        command.arg("--input").arg(format!("{feed}={}", dir.path().join(file).display()));
    }
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = fs::read_to_string(out.path().join("alerts.ndjson")).unwrap();
    let replayed = by_id(text.lines().map(|l| serde_json::from_str(l).unwrap()));
    assert!(replayed.len() > 10, "{replayed:?}");
    for lines in [1_000_000, 173, 29] {
        let house = House::new();
        fs::remove_dir_all(house.path("rules")).unwrap();
        symlink(repository("rules"), house.path("rules")).unwrap();
        let mut engine = house.start(&[]);
        for (feed, file, _) in FILES {
            engine = push(&house, engine, (feed, &dir.path().join(file)), lines);
        }
        let told = by_id(engine.alerts());
        for (id, alert) in &replayed {
            assert_eq!(told.get(id), Some(alert), "{lines} lines a request");
        }
        assert_eq!(told.len(), replayed.len(), "{lines} lines a request");
    }
}
