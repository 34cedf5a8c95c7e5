//! Against the real daemons of Debian's packages, on the loopback address: a scrape fills every panel, and an alert's whole
//! life reaches Alertmanager, an outage included.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{EXPLORE_ONLY, all, declared, has, names_in, root, run, source};

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
  region: {type: region}
";

const RULE: &str = "\
rule: many_complaints
title: {zh: 投诉激增, en: Many complaints}
kind: window
feed: complaints
key: [firm]
window: {sliding: 7d, every: 1d}
measures: {n: count(*)}
when: n >= 3
severity: {high: n >= 5, else: medium}
alert:
  group: [region]
  assign: {department: market_regulation, respond_in: 1wd}
  message: {zh: \"{firm} 7日 {n} 件\", en: \"{firm}: {n} in 7 days\"}
";

/// A process that ends with the test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn daemon(program: &str, arguments: &[String], dir: &Path) -> Daemon {
    let log = fs::File::create(dir.join(format!("{program}.log"))).unwrap();
    let child = Command::new(program)
        .args(arguments)
        .current_dir(dir)
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn();
    Daemon(child.unwrap())
}

/// forewarn over `dir`, on a free port; its address.
fn forewarn(dir: &Path) -> (Daemon, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .args(["run", "--config"])
        .arg(dir.join("forewarn.yaml"))
        .env("FOREWARN_LOG", "warn")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().rsplit(' ').next().unwrap().to_owned();
    wait("forewarn is ready", || get(&format!("{url}/readyz")).is_some());
    (Daemon(child), url)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn get(url: &str) -> Option<String> {
    ureq::get(url).call().ok()?.body_mut().read_to_string().ok()
}

fn get_json(url: &str) -> Option<Value> {
    serde_json::from_str(&get(url)?).ok()
}

fn push(url: &str, feed: &str, kind: &str, body: &[u8]) {
    let path = format!("{url}/api/v1/feeds/{feed}/events");
    let answer = ureq::post(&path).header("Content-Type", kind).send(body);
    assert_eq!(answer.unwrap().status(), 200, "{feed}");
}

#[expect(clippy::disallowed_methods, reason = "another process is waited for")]
fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited too long until {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_scrape_fills_every_panel() {
    if !has("prometheus") || !has("promtool") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let rules = root().join("rules");
    let config = format!(
        "rules: {}\nlisten: 127.0.0.1:0\nsinks:\n  - file: alerts.ndjson\n",
        rules.display()
    );
    fs::write(dir.path().join("forewarn.yaml"), config).unwrap();
    let (_engine, url) = forewarn(dir.path());
    let port = free_port();
    let target = url.trim_start_matches("http://");
    let config = format!(
        "global: {{scrape_interval: 1s}}\nrule_files: [{}]\nscrape_configs:\n  - job_name: forewarn\n    \
         static_configs: [{{targets: [\"{target}\"]}}]\n",
        root().join("dashboards/prometheus/rules/forewarn.rules.yml").display()
    );
    fs::write(dir.path().join("prometheus.yml"), config).unwrap();
    let options = [
        "--config.file=prometheus.yml".to_owned(),
        "--storage.tsdb.path=tsdb".to_owned(),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ];
    let _prometheus = daemon("prometheus", &options, dir.path());
    let query = |expression: &str| -> Option<Vec<Value>> {
        let url = format!("http://127.0.0.1:{port}/api/v1/query");
        let answer =
            ureq::get(&url).query("query", expression).call().ok()?.body_mut().read_to_string();
        let answer: Value = serde_json::from_str(&answer.ok()?).ok()?;
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        answer["data"]["result"].as_array().cloned()
    };
    let first = |expression: &str| -> f64 {
        let found = query(expression).unwrap_or_default();
        found.first().and_then(|r| r["value"][1].as_str()?.parse().ok()).unwrap_or(0.0)
    };
    wait("the first scrape", || first("up") == 1.0);

    let sample = |name: &str| fs::read(root().join("samples").join(name)).unwrap();
    push(&url, "complaints", "application/x-ndjson", &sample("complaints.ndjson"));
    push(&url, "sampling", "text/csv", &sample("sampling.csv"));
    push(&url, "penalties", "text/csv", &sample("penalties.csv"));
    let alerts = get_json(&format!("{url}/api/v1/alerts?limit=1000")).unwrap();
    let firing = |a: &&Value| a["state"] == "firing";
    let firing = alerts["alerts"].as_array().unwrap().iter().filter(firing).count();
    assert!(firing > 0, "{alerts}");
    let fires = "sum(forewarn_alerts{state=\"firing\"})";
    wait("the alerts are scraped", || first(fires) == firing as f64);
    wait("two scrapes of what counts", || {
        first("sum(increase(forewarn_feed_events_total[5m]))") > 0.0
    });

    let mut empty = Vec::new();
    for (path, dashboard) in all() {
        for (title, expression, may_be_empty) in source::expressions(&dashboard) {
            let asked = expression
                .replace("$__rate_interval", "5m")
                .replace("$__range", "1h")
                .replace("$job", ".+")
                .replace("$instance", ".+");
            if query(&asked).unwrap().is_empty() && !may_be_empty {
                empty.push(format!("{} {title}: {asked}", path.display()));
            }
        }
    }
    assert!(empty.is_empty(), "no data for\n{}", empty.join("\n"));
    // What the samples are known to hold is counted as such.
    let counted = |filter: &str| first(&format!("sum(forewarn_feed_events_total{{{filter}}})"));
    let lines = |name: &str| sample(name).split_inclusive(|b| *b == b'\n').count() as f64;
    let sent = lines("complaints.ndjson") + lines("sampling.csv") + lines("penalties.csv") - 2.0;
    assert_eq!(counted("feed!=\"\""), sent, "every record has one result");
    assert_eq!(
        counted("result=~\"late|dead_letter\""),
        first("sum(forewarn_dead_letters_total)"),
        "every refused record is a dead letter"
    );
    assert!(first("sum(forewarn_event_to_alert_seconds_count)") > 0.0);

    let text = get(&format!("{url}/metrics")).unwrap();
    let exported = names_in(&text);
    let missing: Vec<_> = declared().into_iter().filter(|n| !exported.contains(n)).collect();
    assert!(missing.is_empty(), "declared, not exported: {missing:?}");
    assert!(EXPLORE_ONLY.iter().all(|n| exported.contains(*n)));
    let (good, found) = run("promtool", &["check", "metrics"], &text);
    assert!(good && found.is_empty(), "promtool check metrics: {found}");
    let answer = ureq::get(format!("{url}/metrics")).call().unwrap();
    let kind = answer.headers().get("content-type").unwrap();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    let series = text.lines().filter(|l| !l.starts_with('#')).count();
    println!("{series} series, {firing} alerts fire, {sent} records");
    let said = text.lines().find_map(|l| l.strip_prefix("forewarn_metric_series ")).unwrap();
    assert_eq!(said, series.to_string());
}

/// Head and body of each request.
type Heard = Arc<Mutex<Vec<(String, String)>>>;

/// A receiver of POSTs that answers the n-th of them so; its address, and what it heard.
fn receiver(answer: fn(usize) -> &'static str) -> (String, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&heard);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(n) = line.to_lowercase().strip_prefix("content-length:") {
                    length = n.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let mut told = told.lock().unwrap();
            let status = answer(told.len());
            let reply =
                format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            reader.get_mut().write_all(reply.as_bytes()).unwrap();
            told.push((head, String::from_utf8(body).unwrap()));
        }
    });
    (url, heard)
}

fn record(no: u32, day: u32, firm: &str) -> String {
    let at = format!("2026-03-{day:02}T10:00:00+08:00");
    json!({"no": format!("T{no}"), "at": at, "firm": firm, "region": "430102"}).to_string() + "\n"
}

#[test]
fn an_alerts_whole_life_reaches_alertmanager() {
    let program = "prometheus-alertmanager";
    if !has(program) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let (hook, told) = receiver(|_| "200 OK");
    let port = free_port();
    write("rules/feeds/complaints.yaml", FEED);
    write("rules/many_complaints.yaml", RULE);
    write(
        "forewarn.yaml",
        &format!(
            "zone: Asia/Shanghai\nlisten: 127.0.0.1:0\npublic_url: https://forewarn.example\nsinks:\n\
             \x20 - {{kind: alertmanager, url: \"http://127.0.0.1:{port}\"}}\n"
        ),
    );
    write(
        "alertmanager.yml",
        &format!(
            "route: {{receiver: hook, group_by: [alert_id], group_wait: 0s, group_interval: 1s}}\nreceivers:\n\
             \x20 - {{name: hook, webhook_configs: [{{url: \"{hook}\", send_resolved: true}}]}}\n"
        ),
    );
    // The alert fires while Alertmanager is away, and waits.
    let (_engine, url) = forewarn(dir.path());
    let send = |body: &str| push(&url, "complaints", "application/x-ndjson", body.as_bytes());
    send(&[record(1, 4, "甲"), record(2, 4, "甲"), record(3, 4, "甲")].concat());
    let metric = |name: &str| -> f64 {
        let text = get(&format!("{url}/metrics")).unwrap();
        let line = text.lines().find_map(|l| l.strip_prefix(name)).expect(name);
        line.trim().parse().unwrap()
    };
    let delivered = |result: &str| {
        metric(&format!(
            "forewarn_sink_deliveries_total{{result=\"{result}\",sink=\"alertmanager\"}}"
        ))
    };
    let backlog = || metric("forewarn_sink_backlog{sink=\"alertmanager\"}");
    wait("a delivery fails", || delivered("retried") > 0.0);
    assert_eq!(backlog(), 1.0);
    let options = [
        "--config.file=alertmanager.yml".to_owned(),
        "--storage.path=am".to_owned(),
        "--cluster.listen-address=".to_owned(),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ];
    let _alertmanager = daemon(program, &options, dir.path());
    let there = || -> Vec<Value> {
        let found = get_json(&format!("http://127.0.0.1:{port}/api/v2/alerts"));
        found.and_then(|v| v.as_array().cloned()).unwrap_or_default()
    };
    wait("the alert is in Alertmanager", || there().len() == 1);
    wait("the outbox is empty", || backlog() == 0.0 && delivered("delivered") > 0.0);
    let ours = &get_json(&format!("{url}/api/v1/alerts")).unwrap()["alerts"][0];
    let id = ours["id"].as_str().unwrap();
    let alert = &there()[0];
    assert_eq!(
        alert["labels"],
        json!({
            "alertname": "many_complaints", "alert_id": id, "severity": "medium", "source": "forewarn",
            "department": "market_regulation", "region": "430100",
        })
    );
    assert_eq!(alert["startsAt"], "2026-03-04T02:00:00.000Z", "{ours}");
    assert_eq!(alert["annotations"]["summary_zh"], "甲 7日 3 件");
    assert_eq!(alert["annotations"]["respond_in"], "1wd");
    assert_eq!(alert["generatorURL"], format!("https://forewarn.example/alerts/{id}"));

    let notified = |severity: &str, status: &str| -> Option<Value> {
        let told = told.lock().unwrap();
        let fits = |a: &&Value| a["labels"]["severity"] == severity && a["status"] == status;
        let bodies = told.iter().map(|(_, body)| serde_json::from_str::<Value>(body).unwrap());
        let alerts: Vec<Value> =
            bodies.flat_map(|b| b["alerts"].as_array().cloned().unwrap_or_default()).collect();
        alerts.iter().find(fits).cloned()
    };
    wait("people were told", || notified("medium", "firing").is_some());

    // Graver: the old label set is resolved, the new one fires, with the same start.
    send(&[record(4, 4, "甲"), record(5, 4, "甲")].concat());
    wait("the graver alert is alone", || {
        let found = there();
        found.len() == 1 && found[0]["labels"]["severity"] == "high"
    });
    assert_eq!(there()[0]["startsAt"], "2026-03-04T02:00:00.000Z");

    // Alertmanager tells nothing of what came and went between two notifications.
    wait("people were told that it is graver", || notified("high", "firing").is_some());

    // Later days resolve it.
    send(&record(6, 20, "乙"));
    wait("nothing fires in Alertmanager", || there().is_empty());
    let ours = &get_json(&format!("{url}/api/v1/alerts")).unwrap()["alerts"][0];
    assert_eq!(ours["state"], "resolved");
    for severity in ["medium", "high"] {
        wait("people were told that it ended", || notified(severity, "resolved").is_some());
        for status in ["firing", "resolved"] {
            let starts = &notified(severity, status).unwrap()["startsAt"];
            assert_eq!(starts, "2026-03-04T02:00:00Z", "{severity} {status}");
        }
    }
    let ended = notified("high", "resolved").unwrap();
    let instant = |v: &Value| v.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(instant(&ended["endsAt"]), instant(&ours["resolved_at"]));
    let (deliveries, refused) = (delivered("delivered"), delivered("refused"));
    println!("{deliveries} delivered, {} retried", delivered("retried"));
    assert_eq!((refused, backlog()), (0.0, 0.0));
}

#[test]
fn a_webhook_gets_every_revision_signed_and_a_restart_counts_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    // The first attempt fails, the second one of the same delivery is taken; the third delivery is refused.
    let (hook, heard) = receiver(|n| match n {
        0 => "503 Away",
        3 => "410 Gone",
        _ => "200 OK",
    });
    write("rules/feeds/complaints.yaml", FEED);
    write("rules/many_complaints.yaml", RULE);
    write("new.secret", "s3cret\n");
    write("old.secret", "0ld\n");
    write(
        "forewarn.yaml",
        &format!(
            "zone: Asia/Shanghai\nlisten: 127.0.0.1:0\nsinks:\n\
             \x20 - {{kind: webhook, name: desk, url: \"{hook}\", secret_files: [new.secret, old.secret], allow: [127.0.0.1]}}\n"
        ),
    );
    let (engine, url) = forewarn(dir.path());
    let send = |body: &str| push(&url, "complaints", "application/x-ndjson", body.as_bytes());
    send(&[record(1, 4, "甲"), record(2, 4, "甲"), record(3, 4, "甲")].concat());
    send(&[record(4, 4, "甲"), record(5, 4, "甲")].concat());
    send(&record(6, 20, "乙"));
    let id = get_json(&format!("{url}/api/v1/alerts")).unwrap()["alerts"][0]["id"].clone();
    let id = id.as_str().unwrap();
    let revisions = get_json(&format!("{url}/api/v1/alerts/{id}/revisions")).unwrap();
    let revisions = revisions["revisions"].as_array().unwrap().clone();
    assert!(revisions.len() >= 3, "{revisions:?}");
    wait("every revision was told", || heard.lock().unwrap().len() == revisions.len() + 1);
    let text = |url: &str| get(&format!("{url}/metrics")).unwrap();
    let value = |text: &str, name: &str| -> f64 {
        text.lines().find_map(|l| l.strip_prefix(name)).expect(name).trim().parse().unwrap()
    };
    let backlog = "forewarn_sink_backlog{sink=\"desk\"}";
    wait("nothing waits", || value(&text(&url), backlog) == 0.0);
    let deliveries =
        |result| format!("forewarn_sink_deliveries_total{{result=\"{result}\",sink=\"desk\"}}");
    let now = text(&url);
    let counted = ["retried", "refused", "delivered"].map(|r| value(&now, &deliveries(r)));
    assert_eq!(counted, [1.0, 1.0, revisions.len() as f64 - 1.0]);

    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard[0].1, heard[1].1, "the same delivery again");
    for ((head, body), revision) in heard[1..].iter().zip(&revisions) {
        assert_eq!(&serde_json::from_str::<Value>(body).unwrap(), revision);
        let header = |name: &str| {
            let of = |l: &str| {
                Some(
                    l.split_once(':')
                        .filter(|(n, _)| n.eq_ignore_ascii_case(name))?
                        .1
                        .trim()
                        .to_owned(),
                )
            };
            head.lines().find_map(of).unwrap_or_else(|| panic!("{name} in {head}"))
        };
        let stamp = header("X-Forewarn-Timestamp");
        let sign =
            |secret: &[u8]| forewarn::sink::webhook::signature(secret, &stamp, body.as_bytes());
        let expect = format!("{},{}", sign(b"s3cret"), sign(b"0ld"));
        assert_eq!(header("X-Forewarn-Signature"), expect);
        assert_eq!(header("X-Forewarn-Delivery"), format!("{id}:{}:desk", revision["revision"]));
    }

    // Walking the log again is no news, but what is there is shown.
    send(&[record(11, 21, "丙"), record(12, 21, "丙"), record(13, 21, "丙")].concat());
    let accepted = "forewarn_feed_events_total{feed=\"complaints\",result=\"accepted\"}";
    let firing = "forewarn_alerts{severity=\"medium\",state=\"firing\"}";
    let before = text(&url);
    assert_eq!((value(&before, accepted), value(&before, firing)), (9.0, 1.0));
    // 2026-03-21T10:00+08:00; shown when the engine has answered, so not at once.
    let (watermark, reached) =
        ("forewarn_feed_watermark_timestamp_seconds{feed=\"complaints\"}", 1_774_058_400.0);
    wait("the watermark is shown", || value(&text(&url), watermark) == reached);
    drop(engine);
    let (_engine, url) = forewarn(dir.path());
    let after = text(&url);
    assert_eq!((value(&after, accepted), value(&after, firing)), (0.0, 1.0));
    assert_eq!(value(&after, watermark), reached);
}

#[test]
fn what_waits_for_a_sink_that_is_away_has_a_limit_and_what_is_dropped_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let (hook, _) = receiver(|_| "503 Away");
    write("rules/feeds/complaints.yaml", FEED);
    write("rules/many_complaints.yaml", RULE);
    write(
        "forewarn.yaml",
        &format!(
            "zone: Asia/Shanghai\nlisten: 127.0.0.1:0\nlimits: {{outbox_max: 2}}\nsinks:\n\
             \x20 - {{kind: webhook, name: desk, url: \"{hook}\", allow: [127.0.0.1]}}\n"
        ),
    );
    let (_engine, url) = forewarn(dir.path());
    for (i, firm) in ["甲", "乙", "丙", "丁", "戊"].into_iter().enumerate() {
        let no = 3 * i as u32;
        let body = [record(no, 4, firm), record(no + 1, 4, firm), record(no + 2, 4, firm)].concat();
        push(&url, "complaints", "application/x-ndjson", body.as_bytes());
    }
    // A row that cannot be read, too.
    push(&url, "complaints", "application/x-ndjson", b"{\"no\": 1\n");
    let metric = |name: &str| -> f64 {
        let text = get(&format!("{url}/metrics")).unwrap();
        let line = text.lines().find_map(|l| l.strip_prefix(name)).expect(name);
        line.trim().parse().unwrap()
    };
    let deliveries =
        |result| format!("forewarn_sink_deliveries_total{{result=\"{result}\",sink=\"desk\"}}");
    assert_eq!(metric(&deliveries("dropped")), 3.0);
    wait("the backlog is shown", || metric("forewarn_sink_backlog{sink=\"desk\"}") == 2.0);
    assert_eq!(metric("forewarn_dead_letter_backlog{feed=\"complaints\"}"), 1.0);
    assert!(metric("forewarn_state_bytes{store=\"disk\"}") > 1_000.0);

    // Who follows the stream is counted while it does.
    let clients = || metric("forewarn_sse_clients");
    assert_eq!(clients(), 0.0);
    let address = url.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /api/v1/alerts/stream HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    wait("a client is counted", || clients() == 1.0);
    drop(stream);
    wait("it is gone", || clients() == 0.0);
}

#[test]
fn health_asks_a_running_engine() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("rules/feeds")).unwrap();
    fs::write(dir.path().join("rules/feeds/complaints.yaml"), FEED).unwrap();
    fs::write(dir.path().join("forewarn.yaml"), "listen: 127.0.0.1:0\n").unwrap();
    let health = |url: &str| {
        let mut asked = Command::new(env!("CARGO_BIN_EXE_forewarn"));
        asked.args(["health", "--url", url]).stderr(Stdio::null()).status().unwrap().code()
    };
    let (engine, url) = forewarn(dir.path());
    assert_eq!(health(&url), Some(0));
    drop(engine);
    assert_eq!(health(&url), Some(1));
    assert_eq!(health("not a url"), Some(2));
}
