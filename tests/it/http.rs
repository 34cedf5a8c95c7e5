//! End to end: the built binary on a free port, records in by HTTP and by file, alerts out by HTTP and in the file; killed,
//! restarted, nothing lost or told twice.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

const EVENTS: &str = "/api/v1/feeds/complaints/events";

const FEED: &str = "\
feed: complaints
title: {zh: 投诉, en: Complaints}
record_id: no
event_time: at
out_of_order: 0
allowed_lateness: 30d
columns:
  no: {type: text}
  at: {type: timestamp, required: true}
  firm: {type: text}
  who: {type: text, personal: true}
";

const RULE: &str = "\
rule: many_complaints
title: {zh: 投诉激增, en: Many complaints}
kind: window
feed: complaints
key: [firm]
window: {sliding: 7d, every: 1d}
measures: {n: count(*), people: count(distinct who)}
when: n >= 3
severity: {high: n >= 5, else: medium}
alert:
  message: {zh: \"{firm} 7日 {n} 件\", en: \"{firm}: {n} in 7 days\"}
";

/// A data directory with rules, and the engine over it.
pub(crate) struct House {
    dir: tempfile::TempDir,
}

/// A running engine, killed when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: String,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl House {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("rules/feeds/complaints.yaml", FEED);
        write("rules/many_complaints.yaml", RULE);
        write(
            "forewarn.yaml",
            "zone: Asia/Shanghai\nlisten: 127.0.0.1:0\nsinks:\n  - file: out/alerts.ndjson\n",
        );
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forewarn"));
        command.arg("run").arg("--config").arg(self.path("forewarn.yaml")).args(arguments);
        command.env("FOREWARN_LOG", "warn").stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        self.start_with(arguments, Stdio::null())
    }

    fn start_with(&self, arguments: &[&str], stdin: Stdio) -> Running {
        let mut child =
            self.command(arguments).stdin(stdin).stderr(Stdio::inherit()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit('/').next().unwrap().to_owned();
        assert!(address.contains(':'), "no address in {line:?}");
        let running = Running { child, address };
        wait("the engine is ready", || running.get("/readyz").status == 200);
        running
    }

    fn told(&self) -> Vec<Value> {
        lines(&self.path("out/alerts.ndjson"))
    }
}

impl Running {
    pub(crate) fn request(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Reply {
        request(&self.address, method, path, headers, body).expect("an answer")
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.request("GET", path, &[], &[])
    }

    /// Status, head in lower case, and body as text.
    pub(crate) fn text(&self, path: &str, headers: &[&str]) -> (u16, String, String) {
        exchange(&self.address, "GET", path, headers, &[]).expect("an answer")
    }

    fn push(&self, headers: &[&str], body: &str) -> Reply {
        self.request("POST", EVENTS, headers, body.as_bytes())
    }

    pub(crate) fn alerts(&self) -> Vec<Value> {
        let reply = self.get("/api/v1/alerts?limit=1000");
        assert_eq!(reply.status, 200, "{}", reply.body);
        let rows = reply.body["alerts"].as_array().unwrap();
        rows.iter().map(|row| self.told(row["id"].as_str().unwrap())).collect()
    }

    /// The last revision of an alert as it was told.
    fn told(&self, id: &str) -> Value {
        let reply = self.get(&format!("/api/v1/alerts/{id}/revisions"));
        reply.body["revisions"].as_array().unwrap().last().unwrap().clone()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGHUP.
    pub(crate) fn hang_up(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    }

    /// SIGTERM, and the exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let mut code = None;
        wait("the engine has stopped", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        code.unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request on a connection of its own; `None` where no answer came.
fn request(
    address: &str,
    method: &str,
    path: &str,
    headers: &[&str],
    body: &[u8],
) -> Option<Reply> {
    let (status, head, body) = exchange(address, method, path, headers, body)?;
    Some(Reply { status, head, body: serde_json::from_str(&body).unwrap_or(Value::Null) })
}

/// Status, head in lower case, and body of an answer.
fn exchange(
    address: &str,
    method: &str,
    path: &str,
    headers: &[&str],
    body: &[u8],
) -> Option<(u16, String, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    headers.iter().for_each(|h| head.push_str(&format!("{h}\r\n")));
    stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
    // A server that refuses a long body does not read it to its end.
    let _ = stream.write_all(body);
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    let reply = String::from_utf8(reply).ok()?;
    let (head, body) = reply.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, head.to_lowercase(), body.to_owned()))
}

#[expect(clippy::disallowed_methods, reason = "another process is waited for")]
pub(crate) fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(30), "waited too long until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn record(no: u32, day: u32, firm: &str) -> String {
    let at = format!("2026-03-{day:02}T10:00:00+08:00");
    json!({"no": format!("T{no}"), "at": at, "firm": firm, "who": format!("张{no}")}).to_string()
        + "\n"
}

/// What must not differ between runs: times of arrival do.
fn essence(alerts: &[Value]) -> Vec<Value> {
    let strip = |alert: &Value| {
        let mut alert = alert.clone();
        alert.as_object_mut().unwrap().remove("known_at");
        alert
    };
    alerts.iter().map(strip).collect()
}

#[test]
fn a_record_becomes_an_alert_that_is_kept_and_told_once() {
    let house = House::new();
    let engine = house.start(&[]);
    let reply =
        engine.push(&[], &[record(1, 2, "甲"), record(2, 3, "甲"), record(2, 3, "甲")].concat());
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(
        reply.body,
        json!({"accepted": 2, "duplicates": 1, "dead_letters": [], "dead_letters_total": 0})
    );
    assert_eq!(engine.alerts(), [] as [Value; 0]);
    engine.push(&[], &(record(3, 4, "甲") + &record(4, 4, "乙")));

    // Told when the answer came: by HTTP, and in the file.
    let alerts = engine.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let alert = &alerts[0];
    for (name, value) in [
        ("rule", json!("many_complaints")),
        ("key", json!({"firm": "甲"})),
        ("state", json!("firing")),
        ("severity", json!("medium")),
        ("revision", json!(1)),
        ("fired_at", json!("2026-03-04T10:00:00+08:00")),
        ("evidence", json!(["T1", "T2", "T3"])),
        ("message", json!({"zh": "甲 7日 3 件", "en": "甲: 3 in 7 days"})),
    ] {
        assert_eq!(alert[name], value, "{name}");
    }
    assert_eq!(house.told(), alerts);
    let id = alert["id"].as_str().unwrap();
    let detail = engine.get(&format!("/api/v1/alerts/{id}")).body;
    for (field, value) in alert.as_object().unwrap() {
        assert_eq!(detail[field], *value, "{field} of {detail}");
    }

    // Later days resolve it; a restart keeps all of it and tells nothing again.
    engine.push(&[], &record(5, 20, "乙"));
    let resolved = engine.alerts();
    assert_eq!(resolved[0]["state"], "resolved");
    let told = house.told();
    assert_eq!(engine.stop(), Some(0));
    let engine = house.start(&[]);
    assert_eq!((engine.alerts(), house.told()), (resolved, told));
    let revisions = engine.get(&format!("/api/v1/alerts/{id}/revisions")).body;
    assert_eq!(revisions["revisions"].as_array().unwrap().len(), house.told().len());
}

#[test]
fn kill_nine_at_any_time_loses_and_doubles_nothing() {
    let house = House::new();
    let firms = ["甲", "乙", "丙"];
    let all: Vec<String> =
        (0..60).map(|i| record(i, 1 + i / 4, firms[i as usize % firms.len()])).collect();

    // What comes out undisturbed, with one request a record.
    let calm = House::new();
    let engine = calm.start(&[]);
    for body in &all {
        assert_eq!(engine.push(&[], body).status, 200);
    }
    let expect = (essence(&engine.alerts()), essence(&calm.told()));
    assert!(expect.1.len() > 6, "{:?}", expect.1);
    drop(engine);

    // The same with kill −9 at any moment; whoever gets no answer sends again.
    let mut engine = house.start(&[]);
    let address = Mutex::new(engine.address.clone());
    let sent = AtomicUsize::new(0);
    let mut kills = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            for (i, body) in all.iter().enumerate() {
                let key = format!("Idempotency-Key: k{i}");
                wait("a record is taken", || {
                    let address = address.lock().unwrap().clone();
                    let reply = request(&address, "POST", EVENTS, &[&key], body.as_bytes());
                    reply.is_some_and(|r| r.status == 200 && r.body["accepted"] == 1)
                });
                sent.fetch_add(1, Ordering::Relaxed);
            }
        });
        while sent.load(Ordering::Relaxed) < all.len() {
            thread::sleep(Duration::from_millis(1 + kills * 7 % 40));
            kills += 1;
            engine.child.kill().unwrap();
            engine.child.wait().unwrap();
            engine = house.start(&[]);
            (*address.lock().unwrap()).clone_from(&engine.address);
        }
    });
    assert!(kills > 3, "{kills} kills");
    assert_eq!((essence(&engine.alerts()), essence(&house.told())), expect, "{kills} kills");
    engine.kill();
    let engine = house.start(&[]);
    assert_eq!((essence(&engine.alerts()), essence(&house.told())), expect);
    let again = engine.push(&["Idempotency-Key: k7"], &all[7]).body;
    assert_eq!((&again["accepted"], &again["repeated"]), (&json!(1), &json!(true)));
}

#[test]
fn a_silent_partition_holds_nothing_back_and_a_restart_decides_the_same() {
    let house = House::new();
    let feed = house.path("rules/feeds/complaints.yaml");
    let text = fs::read_to_string(&feed).unwrap().replace("out_of_order: 0", "idle_after: 1s");
    fs::write(&feed, text).unwrap();
    let engine = house.start(&[]);
    let push = |partition: &str, body: &str| {
        let path = format!("{EVENTS}?partition={partition}");
        assert_eq!(engine.request("POST", &path, &[], body.as_bytes()).status, 200);
    };
    push("slow", &[record(1, 2, "甲"), record(2, 2, "甲"), record(3, 2, "甲")].concat());
    thread::sleep(Duration::from_millis(10));
    push("fast", &record(4, 28, "乙"));
    assert_eq!(engine.alerts()[0]["state"], "firing", "the slow office may send more");
    wait("the slow office counts as silent", || engine.alerts()[0]["state"] == "resolved");
    let before = (engine.alerts(), house.told());
    engine.kill();
    fs::remove_file(house.path("data/forewarn.db")).unwrap();
    fs::remove_file(house.path("data/forewarn.db-wal")).unwrap();
    let engine = house.start(&[]);
    assert_eq!(engine.alerts(), before.0, "made again from the log alone");
}

#[test]
fn bad_requests_get_clear_answers_and_disturb_nothing() {
    let house = House::new();
    let config = house.path("forewarn.yaml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text + "limits: {body_bytes_max: 2000}\n").unwrap();
    let engine = house.start(&[]);
    let events = EVENTS;
    let long = "x".repeat(3_000);
    let zip = "Content-Encoding: gzip";
    for (method, path, headers, body, status, kind) in [
        ("POST", "/api/v1/feeds/complaint/events", &[][..], "{}", 404, "unknown-feed"),
        ("POST", events, &[], long.as_str(), 413, "body-too-long"),
        ("POST", events, &["Content-Type: image/png"], "", 415, "unknown-format"),
        ("POST", events, &["Content-Encoding: br"], "", 415, "unknown-encoding"),
        ("POST", events, &[zip], "not gzip", 400, "unreadable-body"),
        ("POST", "/api/v1/feeds/complaints/events?part=1", &[], "", 400, "bad-parameter"),
        ("GET", events, &[], "", 405, "no-such-method"),
        ("GET", "/api/v1/alerts?state=burning", &[], "", 400, "bad-parameter"),
        ("GET", "/api/v1/alerts?cursor=x", &[], "", 400, "bad-parameter"),
        ("GET", "/api/v1/alerts/none-1", &[], "", 404, "unknown-alert"),
        ("GET", "/api/v2", &[], "", 404, "no-such-path"),
    ] {
        let reply = engine.request(method, path, headers, body.as_bytes());
        assert_eq!(reply.status, status, "{method} {path} {}", reply.body);
        assert_eq!(reply.body["type"], format!("urn:forewarn:problem:{kind}"));
        assert!(reply.head.contains("application/problem+json"), "{}", reply.head);
        assert_eq!(reply.body["status"], status);
        assert!(reply.body["detail"].as_str().is_some_and(|d| d.len() > 10), "{}", reply.body);
    }
    let unknown = engine.request("POST", "/api/v1/feeds/complaint/events", &[], b"{}").body;
    assert_eq!(
        (&unknown["known"], &unknown["did_you_mean"]),
        (&json!(["complaints"]), &json!("complaints"))
    );

    // Bad rows cost only themselves, and the answer names them.
    let body = format!(
        "{}not a record\n{}{{\"no\":\"T3\"}}\n{}",
        record(1, 2, "甲"),
        record(2, 3, "甲"),
        json!({"no": "T4", "at": "2099-01-01T00:00:00Z", "firm": "甲"})
    );
    let reply = engine.push(&["Content-Type: application/x-ndjson"], &body).body;
    assert_eq!(
        (&reply["accepted"], &reply["dead_letters_total"]),
        (&json!(2), &json!(3)),
        "{reply}"
    );
    let found: Vec<(u64, &str)> = reply["dead_letters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (d["line"].as_u64().unwrap(), d["class"].as_str().unwrap()))
        .collect();
    assert_eq!(found, [(2, "syntax"), (4, "missing"), (5, "future")]);
    let kept = lines(&house.path("data/dead_letters/complaints.ndjson"));
    let kept: Vec<_> = kept.iter().map(|d| (&d["line"], &d["class"], &d["sealed"])).collect();
    let sealed = json!(true);
    assert_eq!(
        kept,
        [
            (&json!(2), &json!("syntax"), &sealed),
            (&json!(4), &json!("missing"), &sealed),
            (&json!(5), &json!("future"), &sealed)
        ]
    );

    // A key stands for one body.
    let key = &["Idempotency-Key: once"];
    let first = engine.push(key, &record(7, 3, "乙")).body;
    let again = engine.push(key, &record(7, 3, "乙")).body;
    assert_eq!(
        (&first["accepted"], &again["accepted"], &again["repeated"]),
        (&json!(1), &json!(1), &json!(true))
    );
    let other = engine.push(key, &record(8, 3, "乙"));
    assert_eq!(
        (other.status, &other.body["type"]),
        (422, &json!("urn:forewarn:problem:key-reused"))
    );

    // CSV, and another partition.
    let csv = "no,at,firm\nT9,2026-03-03 10:00,乙\n";
    let reply = engine.request(
        "POST",
        &format!("{events}?partition=office"),
        &["Content-Type: text/csv"],
        csv.as_bytes(),
    );
    assert_eq!((reply.status, &reply.body["accepted"]), (200, &json!(1)), "{}", reply.body);
    assert_eq!(engine.get("/healthz").status, 200);
}

#[test]
fn files_and_standard_input_are_read_and_gone_on_with() {
    let house = House::new();
    let inbox = house.path("in");
    fs::create_dir(&inbox).unwrap();
    let input = format!("complaints={}", inbox.display());
    let engine = house.start(&["--input", &input]);
    fs::write(inbox.join("a.ndjson"), [record(1, 2, "甲"), record(2, 3, "甲")].concat()).unwrap();
    let append = |name: &str, text: &str| {
        let mut file =
            fs::OpenOptions::new().append(true).create(true).open(inbox.join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    append("b.csv", "no,at,firm,who\n");
    append("b.csv", "T5,2026-03-03 11:00,甲,李\n");
    wait("three records make an alert", || engine.alerts().len() == 1);
    engine.kill();

    // Grown while it was down; what was taken is not taken again.
    append("a.ndjson", &record(3, 4, "甲"));
    let mut engine =
        house.start_with(&["--input", &input, "--stdin", "complaints"], Stdio::piped());
    wait("the fourth record is seen", || {
        engine.get("/api/v1/alerts").body["alerts"][0]["values"]["n"] == 3
            && house.told().len() == 1
    });
    let mut stdin = engine.child.stdin.take().unwrap();
    stdin.write_all([record(6, 4, "甲"), record(7, 4, "甲")].concat().as_bytes()).unwrap();
    wait("five records are severe", || engine.alerts()[0]["severity"] == "high");
    assert_eq!(engine.alerts()[0]["values"]["n"], 5, "{:?}", engine.alerts());
    assert_eq!(engine.stop(), Some(0));
    drop(stdin);
    let log: u64 = fs::read_dir(house.path("data/log"))
        .unwrap()
        .map(|e| e.unwrap().metadata().unwrap().len())
        .sum();
    let engine = house.start(&["--input", &input]);
    thread::sleep(Duration::from_millis(700));
    engine.stop();
    let after: u64 = fs::read_dir(house.path("data/log"))
        .unwrap()
        .map(|e| e.unwrap().metadata().unwrap().len())
        .sum();
    assert_eq!(log, after, "finished files are not read again");
}

#[test]
fn personal_values_and_wrong_starts() {
    let house = House::new();
    let engine = house.start(&[]);
    engine.push(&[], &[record(1, 2, "甲"), record(2, 3, "甲"), record(3, 4, "甲")].concat());
    assert_eq!(engine.alerts()[0]["values"]["people"], 3);
    engine.stop();
    for file in ["data/forewarn.db", "out/alerts.ndjson"] {
        assert!(!holds(&house.path(file), "张1"), "{file} holds a complainant's name");
    }
    for entry in fs::read_dir(house.path("data/log")).unwrap() {
        assert!(!holds(&entry.unwrap().path(), "张1"), "the log holds a complainant's name");
    }

    let refused = |arguments: &[&str]| {
        let out = house.command(arguments).stdin(Stdio::null()).output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{arguments:?}");
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    let error = refused(&["--listen", "0.0.0.0:0"]);
    assert!(error.contains("no authentication yet") && error.contains("behind_proxy"), "{error}");
    let error = refused(&["--input", "complain=x"]);
    assert!(error.contains("complaints"), "{error}");
    let engine = house.start(&[]);
    let error = refused(&[]);
    assert!(error.contains("in use by another forewarn"), "{error}");
    drop(engine);
    fs::write(house.path("forewarn.yaml"), "lisen: 127.0.0.1:0\n").unwrap();
    let error = refused(&[]);
    assert!(error.contains("listen"), "{error}");
}

#[test]
fn standard_input_takes_the_formats_that_files_have() {
    let csv =
        "no,at,firm\nT1,2026-03-02 10:00,甲\nT2,2026-03-03 10:00,甲\nT3,2026-03-04 10:00,甲\n";
    let gzip = |text: &str| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(text.as_bytes()).unwrap();
        out.finish().unwrap()
    };
    let ndjson = [record(1, 2, "甲"), record(2, 3, "甲"), record(3, 4, "甲")].concat();
    let arrow = {
        use arrow::array::StringArray;
        let column = |texts: [&str; 3]| std::sync::Arc::new(StringArray::from(texts.to_vec())) as _;
        let days = ["2026-03-02", "2026-03-03", "2026-03-04"];
        let batch = arrow::array::RecordBatch::try_from_iter([
            ("no", column(["T1", "T2", "T3"])),
            ("at", column(days)),
            ("firm", column(["甲"; 3])),
        ])
        .unwrap();
        let mut writer =
            arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    };
    for (arguments, bytes) in [
        (["--stdin", "complaints:csv"], csv.as_bytes().to_vec()),
        (["--input", "complaints=-:csv.gz"], gzip(csv)),
        (["--stdin", "complaints:ndjson.zst"], zstd::encode_all(ndjson.as_bytes(), 0).unwrap()),
        (["--input", "complaints=-"], ndjson.clone().into_bytes()),
        (["--stdin", "complaints:arrow"], arrow),
    ] {
        let house = House::new();
        let mut engine = house.start_with(&arguments, Stdio::piped());
        engine.child.stdin.take().unwrap().write_all(&bytes).unwrap();
        wait("three records make an alert", || engine.alerts().len() == 1);
        assert_eq!(engine.alerts()[0]["values"]["n"], 3, "{arguments:?}");
    }
    let house = House::new();
    let out = house.command(&["--stdin", "complaints:xlsx"]).stdin(Stdio::null()).output().unwrap();
    let error = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{error}");
    assert!(
        error.contains("\"xlsx\" is no format, write ndjson, csv, arrow or parquet"),
        "{error}"
    );
}

#[test]
fn bad_input_is_answered_in_these_words() {
    let house = House::new();
    let config = house.path("forewarn.yaml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text + "limits: {body_bytes_max: 2000}\n").unwrap();
    let engine = house.start(&[]);
    let problem = |path: &str, headers: &[&str], body: &[u8]| {
        let reply = engine.request("POST", path, headers, body);
        (reply.status, reply.body)
    };
    assert_eq!(
        problem(EVENTS, &[], &[b' '; 3_000]),
        (
            413,
            json!({
                "type": "urn:forewarn:problem:body-too-long", "title": "The body is too long", "status": 413,
                "detail": "body is longer than 2000 bytes, send smaller requests", "limit_bytes": 2000,
            })
        )
    );
    assert_eq!(
        problem("/api/v1/feeds/complaint/events", &[], b"{}"),
        (
            404,
            json!({
                "type": "urn:forewarn:problem:unknown-feed", "title": "There is no such feed", "status": 404,
                "detail": "there is no feed \"complaint\", known feeds: complaints", "known": ["complaints"],
                "did_you_mean": "complaints",
            })
        )
    );
    assert_eq!(
        problem(EVENTS, &["Content-Encoding: br"], b""),
        (
            415,
            json!({
                "type": "urn:forewarn:problem:unknown-encoding", "title": "The content encoding cannot be decoded",
                "status": 415, "detail": "content encoding \"br\" cannot be decoded, send gzip, zstd or identity",
            })
        )
    );
    // Text that is none in its encoding, and a date in 2099, cost only their rows.
    let mut body =
        b"{\"no\":\"T1\",\"at\":\"2026-03-02T10:00:00+08:00\",\"firm\":\"\xff\xfe\"}\n".to_vec();
    body.extend(b"{\"no\":\"T2\",\"at\":\"2099-01-01T00:00:00Z\",\"firm\":\"A\"}\n");
    body.extend(record(3, 2, "甲").into_bytes());
    let (status, answer) = problem(EVENTS, &[], &body);
    assert_eq!(
        (status, &answer["accepted"], &answer["dead_letters_total"]),
        (200, &json!(1), &json!(2))
    );
    let letter = |i: usize| {
        let letter = &answer["dead_letters"][i];
        (letter["line"].as_u64().unwrap(), letter["message"].as_str().unwrap().to_owned())
    };
    let encoding = "byte 53 of the record is not text in the declared encoding";
    assert_eq!(letter(0), (1, encoding.to_owned()));
    let (line, future) = letter(1);
    let expect = "feed \"complaints\": event time 2099-01-01T08:00:00+08:00 is more than 1h ahead of its arrival at 20";
    assert!(line == 2 && future.starts_with(expect), "{future}");
    // A CSV in the encoding that offices use is read, without being told.
    let gb18030 = b"no,at,firm\nT5,2026-03-02 10:00,\xbc\xd7\nT6,2026-03-03 10:00,\xbc\xd7\n";
    let (status, answer) = problem(EVENTS, &["Content-Type: text/csv"], gb18030);
    assert_eq!((status, &answer["accepted"]), (200, &json!(2)), "{answer}");
    assert_eq!(engine.alerts()[0]["key"], json!({"firm": "甲"}), "three of one firm");
}

#[test]
fn a_full_queue_answers_429_and_takes_nothing_of_what_it_refused() {
    let house = House::new();
    let config = house.path("forewarn.yaml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text + "limits: {queue_max: 1}\n").unwrap();
    let engine = house.start(&[]);
    // A long request has the only place while it is decoded and walked; whoever comes meanwhile is refused.
    let long: String = (0..40_000).map(|no| record(no, 5, "甲")).collect();
    let address = engine.address.clone();
    let push_long = thread::spawn(move || {
        loop {
            let reply = request(&address, "POST", EVENTS, &[], long.as_bytes()).unwrap();
            if reply.status != 429 {
                return reply;
            }
        }
    });
    let mut taken = Vec::new();
    let (no, refused) = (100_000..)
        .find_map(|no| {
            let reply = engine.push(&[], &record(no, 5, "乙"));
            if reply.status == 429 {
                return Some((no, reply));
            }
            assert_eq!((reply.status, &reply.body["accepted"]), (200, &json!(1)));
            assert!(!push_long.is_finished(), "nothing was refused");
            taken.push(no);
            None
        })
        .unwrap();
    assert_eq!(
        refused.body,
        json!({
            "type": "urn:forewarn:problem:queue-full",
            "title": "Too much is waiting",
            "status": 429,
            "detail": "1 requests are waiting already, try again in a second",
        })
    );
    assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);
    let reply = push_long.join().unwrap();
    assert_eq!((reply.status, &reply.body["accepted"]), (200, &json!(40_000)), "{}", reply.body);
    // What was refused is news when it is sent again; what was taken is not.
    let again: String = taken.iter().chain([&no]).map(|no| record(*no, 5, "乙")).collect();
    let again = engine.push(&[], &again).body;
    assert_eq!(
        (&again["accepted"], &again["duplicates"]),
        (&json!(1), &json!(taken.len())),
        "{again}"
    );
}

/// A small file system in memory, where the system lets us make one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf, bytes: u32) -> Option<Self> {
        fs::create_dir_all(&path).unwrap();
        let size = format!("size={bytes}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path).stderr(Stdio::null());
        mount.status().is_ok_and(|s| s.success()).then_some(Self(path))
    }

    /// Leaves no room for more than a few bytes.
    fn fill(&self) {
        let mut filler = fs::File::create(self.0.join("filler")).unwrap();
        for size in [1 << 16, 1 << 12, 1 << 8, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_whole_requests_and_the_engine_goes_on_when_there_is_room() {
    let house = House::new();
    let Some(disk) = SmallDisk::mount(house.path("data"), 3 << 20) else {
        // Mounting needs privileges; the log's own tests cover taking back what was not synced.
        eprintln!("no file system can be mounted here, skipped");
        return;
    };
    let engine = house.start(&[]);
    assert_eq!(engine.push(&[], &record(1, 2, "甲")).status, 200);
    disk.fill();
    let many: String = (2..400).map(|no| record(no, 3, &format!("企业{no}"))).collect();
    for _ in 0..2 {
        let refused = engine.push(&[], &many);
        assert_eq!(refused.status, 507, "{}", refused.body);
        assert_eq!(refused.body["type"], "urn:forewarn:problem:disk-full");
        assert_eq!(refused.body["title"], "The disk is full");
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(
            detail.contains("No space left on device")
                && detail.ends_with(
                    "nothing of this request was taken, send it again when the disk takes writes"
                ),
            "{detail}"
        );
        assert!(refused.head.contains("retry-after: 10"), "{}", refused.head);
    }
    assert_eq!(engine.get("/readyz").status, 200, "it goes on answering");
    disk.free();
    let taken = engine.push(&[], &(many.clone() + &record(1, 2, "甲"))).body;
    assert_eq!((&taken["accepted"], &taken["duplicates"]), (&json!(398), &json!(1)), "{taken}");
    // The log holds what was acknowledged, once.
    engine.kill();
    let engine = house.start(&[]);
    let again = engine.push(&[], &(many + &record(1, 2, "甲") + &record(900, 4, "甲"))).body;
    assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(1), &json!(399)), "{again}");
    drop(engine);
}

#[test]
fn final_signals_of_a_run_can_be_read_also_those_of_shadow_rules() {
    let house = House::new();
    let shadow = RULE.replace("rule: many_complaints", "rule: some_complaints\nstatus: shadow");
    let shadow = shadow.replace("n >= 3", "n >= 2").replace("n >= 5", "n >= 4");
    fs::write(house.path("rules/some_complaints.yaml"), shadow).unwrap();
    let engine = house.start(&[]);
    engine.push(&[], &[record(1, 2, "甲"), record(2, 3, "甲"), record(3, 3, "乙")].concat());
    let path = "/api/v1/rules/some_complaints/signals";
    assert_eq!(engine.get(path).body["total"], 0, "a late record could still change them");
    // Beyond the lateness of thirty days.
    let far = json!({"no": "T9", "at": "2026-04-20T10:00:00+08:00", "firm": "丙"}).to_string();
    engine.push(&[], &far);
    let found = engine.get(path).body;
    assert_eq!((&found["status"], &found["total"]), (&json!("shadow"), &json!(6)), "{found}");
    assert_eq!(
        found["signals"][0],
        json!({
            "rule": "some_complaints", "version": 1, "key": {"firm": "甲"},
            "window": {"start": "2026-03-02T00:00:00+08:00", "end": "2026-03-09T00:00:00+08:00"},
            "severity": "medium", "values": {"n": 2, "people": 2},
        })
    );
    let one = engine.get(&format!("{path}?limit=1")).body;
    assert_eq!(one["signals"].as_array().unwrap().len(), 1);
    assert_eq!(engine.get("/readyz").body, json!({"status": "ready", "signals": 6}));
    let none = engine.get("/api/v1/rules/many_complaint/signals");
    assert_eq!((none.status, &none.body["did_you_mean"]), (404, &json!("many_complaints")));
    assert_eq!(engine.get(&format!("{path}?limit=0")).status, 400);
    // They are found again in the log.
    engine.kill();
    let engine = house.start(&[]);
    assert_eq!(engine.get(path).body, found);
}

fn holds(path: &Path, text: &str) -> bool {
    let bytes = fs::read(path).unwrap();
    bytes.windows(text.len()).any(|w| w == text.as_bytes())
}
