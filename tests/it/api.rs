//! The API over real HTTP: lists, what explains an alert, the stream, the OpenAPI document, problems, hostile text.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use forewarn::model::time::Zone;
use serde_json::{Value, json};

use super::http::{House, Running, wait};

const FEED: &str = "\
feed: orders
title: {zh: 工单, en: Orders}
record_id: no
event_time: at
version: version
op: op
out_of_order: 0
allowed_lateness: 30d
names: {ucc: firm}
columns:
  no: text
  at: {type: timestamp, required: true}
  happened_on: date
  ucc: ucc
  firm: text
  region: region
  text: text
  who: {type: text, personal: true}
  version: int
  op: text
";

const BY_FIRM: &str = "\
rule: order_surge
title: {zh: 工单激增, en: Order surge}
kind: window
feed: orders
key: [ucc]
window: {sliding: 7d, every: 1d}
measures: {n: count(*), people: count(distinct who)}
params: {least: 3}
when: n >= $least and people >= 2
severity: {high: n >= 5, else: medium}
alert:
  message: {zh: \"{ucc_name} 7日 {n} 件\", en: \"{ucc_name}: {n} in 7 days\"}
";

const BY_PLACE: &str = "\
rule: place_surge
title: {zh: 地区激增, en: Surge in a place}
kind: window
feed: orders
key: [region]
window: {tumbling: 7d, start: monday}
measures: {n: count(*)}
when: n >= 6
severity: critical
alert:
  message: {zh: \"{region} 一周 {n} 件\", en: \"{region}: {n} in a week\"}
";

const HOSTILE: &str = "<script>alert('x')</script>\"; DROP TABLE alerts;-- \u{202e}﷽ %00 \\ 末";

fn house() -> House {
    let house = House::new();
    let write = |path: &str, text: &str| {
        let path = house.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("rules/feeds/orders.yaml", FEED);
    write("rules/market/order_surge.yaml", BY_FIRM);
    write("rules/place/place_surge.yaml", BY_PLACE);
    house
}

/// The valid code of a made-up business.
fn code(n: u32) -> String {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
    const WEIGHTS: [usize; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
    let body = format!("91430100{n:08}5");
    let value = |c: u8| DIGITS.iter().position(|d| *d == c).unwrap();
    let sum: usize = body.bytes().zip(WEIGHTS).map(|(c, w)| value(c) * w).sum();
    format!("{body}{}", DIGITS[(31 - sum % 31) % 31] as char)
}

fn order(no: u32, at: &str, firm: u32, more: &Value) -> Value {
    let mut order = json!({
        "no": format!("T{no}"), "at": at, "ucc": code(firm), "firm": format!("公司{firm}"),
        "region": "430102", "who": format!("person {no}"), "happened_on": "2026-02-27"
    });
    order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    order
}

fn on(day: u32) -> String {
    format!("2026-03-{day:02}T10:00:00+08:00")
}

fn push(engine: &Running, orders: &[Value]) -> Value {
    let body: String = orders.iter().map(|o| format!("{o}\n")).collect();
    let reply = engine.request("POST", "/api/v1/feeds/orders/events", &[], body.as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body
}

fn list(engine: &Running, query: &str) -> Value {
    let reply = engine.get(&format!("/api/v1/alerts?{query}"));
    assert_eq!(reply.status, 200, "{query}: {}", reply.body);
    reply.body
}

fn ids(page: &Value) -> Vec<String> {
    let rows = page["alerts"].as_array().unwrap();
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// Three orders of each of these firms on this day.
fn surge(firms: std::ops::Range<u32>, day: u32, region: &str) -> Vec<Value> {
    let more = json!({ "region": region });
    firms
        .flat_map(|f| (0..3).map(move |i| (f, 1_000 + f * 10 + i)))
        .map(|(f, no)| order(no, &on(day), f, &more))
        .collect()
}

#[test]
fn lists_are_filtered_and_a_walk_by_cursor_shows_each_alert_once() {
    let house = house();
    let engine = house.start(&[]);
    push(&engine, &surge(1..11, 3, "430102"));
    push(&engine, &surge(11..21, 4, "430203"));
    let all = list(&engine, "rule=order_surge&limit=1000");
    assert_eq!((ids(&all).len(), &all["total"], &all["next"]), (20, &json!(20), &Value::Null));
    for (query, expect) in [
        ("state=open&rule=order_surge", 20),
        ("state=resolved", 0),
        ("severity=medium", 20),
        ("severity=critical", 2),
        ("domain=market", 20),
        ("domain=place&rule=order_surge", 0),
        ("domain=nowhere", 0),
        ("region=4302&rule=order_surge", 10),
        ("region=43", 22),
        ("since=2026-03-04&rule=order_surge", 10),
        ("until=2026-03-04&rule=order_surge", 10),
        ("q=%E5%85%AC%E5%8F%B812", 1),
        ("q=ORDER%20SURGE", 20),
        ("q=%25", 0),
    ] {
        assert_eq!(list(&engine, query)["total"], expect, "{query}");
    }
    let of_firm = list(&engine, &format!("ucc={}", code(7)));
    let row = &of_firm["alerts"][0];
    assert_eq!(of_firm["total"], 1);
    assert_eq!(row["subject"], json!({"ucc": code(7), "name": "公司7"}));
    assert_eq!((&row["domain"], &row["region"]), (&json!("market"), &json!("430102")));
    assert_eq!((&row["evidence_total"], &row["title"]["en"]), (&json!(3), &json!("Order surge")));

    for sort in ["fired_at", "known_at", "began_at", "severity"] {
        let before: BTreeSet<String> = ids(&list(&engine, "limit=1000")).into_iter().collect();
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        let mut firm = list(&engine, "limit=1")["total"].as_u64().unwrap() as u32 + 100;
        loop {
            let page = list(&engine, &format!("sort={sort}&limit=7{cursor}"));
            seen.extend(ids(&page));
            // An alert that comes in between moves nothing.
            push(&engine, &surge(firm..firm + 1, 5, "430102"));
            firm += 1;
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let once: BTreeSet<String> = seen.iter().cloned().collect();
        assert_eq!(once.len(), seen.len(), "{sort}: shown twice");
        assert!(before.is_subset(&once), "{sort}: left out");
    }
}

#[test]
fn an_alert_explains_itself_by_what_the_log_holds() {
    let house = house();
    let engine = house.start(&[]);
    let mut sent = Vec::new();
    // A quiet month, then a week with more; other firms beside it.
    for day in [2, 9, 16] {
        sent.push(order(day, &format!("2026-02-{day:02}T09:00:00+08:00"), 1, &json!({})));
    }
    for (no, day) in [(20, 3), (21, 4), (22, 5), (23, 6), (24, 6)] {
        sent.push(order(no, &on(day), 1, &json!({})));
    }
    push(&engine, &sent);
    push(&engine, &surge(2..9, 5, "430102"));
    // T23 is moved to the month before, T24 taken back; T90 comes too late for anybody.
    push(
        &engine,
        &[order(23, "2026-02-20T09:00:00+08:00", 1, &json!({"version": 2, "op": "correct"}))],
    );
    push(&engine, &[order(24, &on(6), 1, &json!({"version": 2, "op": "withdraw"}))]);
    push(&engine, &[order(30, &on(20), 3, &json!({}))]);
    let late = push(&engine, &[order(90, "2026-01-05T09:00:00+08:00", 1, &json!({}))]);
    assert_eq!(late["dead_letters"][0]["class"], "late", "{late}");

    let row = list(&engine, &format!("ucc={}", code(1)))["alerts"][0].clone();
    let id = row["id"].as_str().unwrap();
    let detail = engine.get(&format!("/api/v1/alerts/{id}")).body;
    let terms = detail["terms"].as_array().unwrap();
    assert_eq!(terms.len(), 2, "{detail}");
    assert_eq!((&terms[0]["operator"], &terms[0]["limit"]), (&json!(">="), &json!(3)));
    assert_eq!((&terms[0]["value"], &terms[0]["holds"]), (&row["values"]["n"], &json!(true)));
    assert_eq!(terms[1]["left"], "people");
    assert_eq!((&detail["params"], &detail["rule_text"]), (&json!({"least": 3}), &json!(BY_FIRM)));
    let revisions = detail["history"].as_array().unwrap();
    assert_eq!(revisions.last().unwrap()["revision"], row["revision"]);
    assert!(revisions.iter().all(|r| r["at"].is_string()), "{revisions:?}");

    // The chart says in each window what counting by hand says.
    let zone = Zone::parse("Asia/Shanghai").unwrap();
    let ms = |v: &Value| zone.parse_instant(v.as_str().unwrap()).unwrap();
    let counted = [2, 9, 16].map(|d| format!("2026-02-{d:02}T09:00:00+08:00"));
    let mut counted: Vec<i64> =
        counted.iter().chain(&[on(3), on(4), on(5)]).map(|t| ms(&json!(t))).collect();
    counted.push(ms(&json!("2026-02-20T09:00:00+08:00")));
    let by_hand = |detail: &Value, counted: &[i64], limit: i64| {
        let points = detail["series"]["points"].as_array().unwrap().clone();
        assert!(points.len() > 10, "{}", detail["series"]);
        for point in &points {
            let window = ms(&point["start"])..ms(&point["end"]);
            let n = counted.iter().filter(|t| window.contains(t)).count();
            assert_eq!(point["value"].as_f64(), Some(n as f64), "{point}");
            assert_eq!(point["limit"].as_f64(), Some(limit as f64), "{point}");
            assert_eq!(point["fires"], n as i64 >= limit, "{point}");
        }
        points
    };
    let points = by_hand(&detail, &counted, 3);
    let told = points.iter().find(|p| p["end"] == row["window"]["end"]).unwrap();
    assert_eq!(told["value"].as_f64(), row["values"]["n"].as_f64(), "{row}");
    assert_eq!(engine.get(&format!("/api/v1/alerts/{id}")).body["series"], detail["series"]);

    // The same for a rule whose key is no business, which reads everybody's orders.
    let place = list(&engine, "rule=place_surge")["alerts"][0]["id"].as_str().unwrap().to_owned();
    let of_place = engine.get(&format!("/api/v1/alerts/{place}")).body;
    counted.extend([ms(&json!(on(5))); 21]);
    counted.push(ms(&json!(on(20))));
    by_hand(&of_place, &counted, 6);

    // Evidence: the versions that count, with who wrote them masked.
    let evidence = engine.get(&format!("/api/v1/alerts/{id}/evidence")).body;
    let records = evidence["records"].as_array().unwrap();
    let found: Vec<&str> = records.iter().map(|r| r["record"].as_str().unwrap()).collect();
    assert_eq!((found, &evidence["missing"]), (vec!["T20", "T21", "T22"], &json!([])));
    let who = records[0]["fields"]["who"].as_str().unwrap();
    assert!(who.ends_with('…') && !who.contains("person"), "{who}");
    assert_eq!(records[0]["masked"], json!(["who"]));

    // The business's page, from the code as people type it; a restart changes nothing.
    let subject = engine.get(&format!("/api/v1/subjects/{}", code(1).to_lowercase())).body;
    assert_eq!(subject["records"].as_array().unwrap().len(), 8, "{subject}");
    assert_eq!(
        (
            &subject["subject"]["name"],
            subject["open"].as_array().unwrap().len() + subject["past"].as_array().unwrap().len()
        ),
        (&json!("公司1"), 1)
    );
    let moved =
        subject["records"].as_array().unwrap().iter().find(|r| r["record"] == "T23").unwrap();
    assert_eq!((&moved["versions"], &moved["fields"]["version"]), (&json!(2), &json!(2)));
    let feeds = engine.get("/api/v1/feeds").body;
    engine.kill();
    let engine = house.start(&[]);
    assert_eq!(engine.get(&format!("/api/v1/subjects/{}", code(1))).body, subject);
    assert_eq!(engine.get(&format!("/api/v1/alerts/{id}")).body, detail);
    let strip = |mut feeds: Value| {
        let rows = feeds["feeds"].as_array_mut().unwrap();
        rows.iter_mut().for_each(|f| f["lag_seconds"] = Value::Null);
        feeds
    };
    assert_eq!(strip(engine.get("/api/v1/feeds").body), strip(feeds), "made again from the log");
}

/// Reads a stream until it holds `until`.
fn read_until(stream: &mut TcpStream, text: &mut String, until: &str) {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut buffer = [0; 4096];
    while !text.contains(until) {
        let n = stream.read(&mut buffer).unwrap_or_else(|e| panic!("{e}, read {text}"));
        assert!(n > 0, "the stream ended after {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
}

fn follow(engine: &Running, query: &str, header: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&engine.address).unwrap();
    let head = format!("GET /api/v1/alerts/stream{query} HTTP/1.1\r\nHost: x\r\n{header}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

#[test]
fn the_stream_is_live_resumes_and_tells_of_gaps() {
    let house = house();
    let engine = house.start(&[]);
    let mut live = follow(&engine, "", "");
    let mut text = String::new();
    read_until(&mut live, &mut text, "following");
    assert!(text.contains("text/event-stream"), "{text}");
    push(&engine, &surge(1..2, 3, "430102"));
    read_until(&mut live, &mut text, "id: 1\n");
    push(&engine, &surge(2..3, 3, "430102"));
    read_until(&mut live, &mut text, "id: 2\n");
    let id = ids(&list(&engine, &format!("ucc={}", code(1)))).remove(0);
    assert!(text.contains(&format!("{{\"alert\":\"{id}\",\"revision\":1}}")), "{text}");

    let as_of = list(&engine, "")["as_of"].as_i64().unwrap();
    assert!(as_of >= 2);
    let mut resumed = follow(&engine, "", "Last-Event-ID: 1\r\n");
    let mut text = String::new();
    read_until(&mut resumed, &mut text, "id: 2\n");
    assert!(!text.contains("id: 1\n") && !text.contains("reset"), "{text}");

    for number in ["999999", "nonsense"] {
        let mut gap = follow(&engine, "", &format!("Last-Event-ID: {number}\r\n"));
        let mut text = String::new();
        read_until(&mut gap, &mut text, &format!("id: {as_of}\n"));
        assert!(text.contains("event: reset"), "{text}");
        assert!(!text.contains("\"alert\""), "{text}");
    }
    // Across a restart, and an open stream does not keep the engine from ending.
    assert_eq!(engine.stop(), Some(0));
    let engine = house.start(&[]);
    let mut resumed = follow(&engine, "?after=0", "");
    let mut text = String::new();
    read_until(&mut resumed, &mut text, &format!("id: {as_of}\n"));
    assert!(text.contains("id: 1\n") && !text.contains("reset"), "{text}");
}

#[test]
fn hostile_text_comes_back_as_it_was() {
    let house = house();
    let engine = house.start(&[]);
    let more = json!({"firm": HOSTILE, "text": HOSTILE});
    let orders: Vec<Value> = (0..3).map(|no| order(no, &on(3), 1, &more)).collect();
    push(&engine, &orders);
    let row = &list(&engine, "q=%3CSCRIPT%3E")["alerts"][0];
    assert_eq!(row["subject"]["name"], HOSTILE);
    assert_eq!(row["message"]["zh"], format!("{HOSTILE} 7日 3 件"));
    let id = row["id"].as_str().unwrap();
    let evidence = engine.get(&format!("/api/v1/alerts/{id}/evidence")).body;
    assert_eq!(evidence["records"][0]["fields"]["text"], HOSTILE);
    let subject = engine.get(&format!("/api/v1/subjects/{}", code(1))).body;
    assert_eq!(subject["subject"]["name"], HOSTILE);
    for path in [
        "/api/v1/alerts/%27%20OR%201=1--",
        "/api/v1/subjects/%3Cscript%3E",
        "/api/v1/rules/..%2F..%2Fetc",
    ] {
        let reply = engine.get(path);
        assert_eq!(reply.status, 404, "{path} {}", reply.body);
    }
}

#[test]
fn problems_say_what_would_be_right() {
    let house = house();
    let engine = house.start(&[]);
    let check = "/api/v1/rules/check";
    for (method, path, body, status, kind, says) in [
        (
            "GET",
            "/api/v1/alerts?stat=firing",
            &b""[..],
            400,
            "bad-parameter",
            "did you mean \"state\"",
        ),
        ("GET", "/api/v1/alerts?state=burning", b"", 400, "bad-parameter", "pending, firing"),
        ("GET", "/api/v1/alerts?limit=1&limit=2", b"", 400, "bad-parameter", "twice"),
        (
            "GET",
            "/api/v1/alerts?cursor=severity~1~2~x",
            b"",
            400,
            "bad-parameter",
            "without a cursor",
        ),
        ("GET", "/api/v1/alerts?q=%ff%fe", b"", 200, "", ""),
        ("GET", "/api/v1/alerts/%ff", b"", 400, "bad-path", "UTF-8"),
        ("GET", "/api/v1/alerts/stream?after=x", b"", 400, "bad-parameter", "as_of"),
        ("GET", "/api/v1/rules/none", b"", 404, "unknown-rule", "/api/v1/rules"),
        ("GET", "/api/v1/rules?x=1", b"", 400, "bad-parameter", "has none"),
        ("GET", "/api/v1/feeds/order", b"", 404, "unknown-feed", "orders"),
        ("GET", "/api/v1/feeds/order/lateness", b"", 404, "unknown-feed", "orders"),
        ("GET", "/api/v1/dead-letters?class=odd", b"", 400, "bad-parameter", "bad_time"),
        ("GET", "/api/v1/dead-letters?feed=order", b"", 404, "unknown-feed", "orders"),
        ("GET", "/api/v1/dead-letters?cursor=7", b"", 400, "bad-parameter", "without a cursor"),
        ("GET", "/api/v1/dead-letters/none", b"", 404, "unknown-letter", "/api/v1/dead-letters"),
        ("GET", "/api/v1/subjects/91430100", b"", 404, "unknown-subject", "not a valid code"),
        ("GET", "/api/v1/nothing", b"", 404, "no-such-path", "openapi.json"),
        ("DELETE", "/api/v1/alerts", b"", 405, "no-such-method", "openapi.json"),
        ("POST", check, b"\xff\xfe", 422, "not-text", "UTF-8"),
    ] {
        let reply = engine.request(method, path, &[], body);
        assert_eq!(reply.status, status, "{method} {path} {}", reply.body);
        if status == 200 {
            continue;
        }
        assert_eq!(reply.body["type"], format!("urn:forewarn:problem:{kind}"), "{path}");
        assert!(reply.head.contains("application/problem+json"), "{}", reply.head);
        let detail = reply.body["detail"].as_str().unwrap();
        assert!(detail.contains(says), "{path}: {detail}");
    }

    let good = engine.request("POST", check, &[], BY_FIRM.as_bytes()).body;
    let errors = |checked: &Value| {
        let findings = checked["findings"].as_array().unwrap();
        findings.iter().filter(|f| f["level"] == "error").cloned().collect::<Vec<_>>()
    };
    assert!(errors(&good).iter().all(|f| f["code"].as_str().unwrap().ends_with("_test")), "{good}");
    let wrong = BY_FIRM.replace("key: [ucc]", "key: [uc]");
    let bad = engine.request("POST", check, &[], wrong.as_bytes()).body;
    assert_eq!(bad["ok"], false);
    let finding = errors(&bad).into_iter().find(|f| f["code"] == "rule::unknown_column").unwrap();
    assert_eq!((&finding["line"], &finding["column"]), (&json!(5), &json!(7)), "{finding}");
}

#[test]
fn dead_letters_show_their_bytes_only_where_nothing_is_sealed() {
    let house = house();
    fs::write(
        house.path("rules/feeds/notes.yaml"),
        "feed: notes\ntitle: 便笺\nevent_time: at\ncolumns:\n  at: {type: timestamp, required: true}\n  text: text\n",
    )
    .unwrap();
    let engine = house.start(&[]);
    for feed in ["orders", "notes"] {
        let body = format!("not a record <b>\n{{\"text\":\"{feed}\"}}\n");
        let path = format!("/api/v1/feeds/{feed}/events");
        assert_eq!(engine.request("POST", &path, &[], body.as_bytes()).status, 200);
    }
    let page = engine.get("/api/v1/dead-letters?limit=3").body;
    assert_eq!(page["dead_letters"].as_array().unwrap().len(), 3);
    let next = page["next"].as_str().unwrap();
    let rest = engine.get(&format!("/api/v1/dead-letters?limit=3&cursor={next}")).body;
    assert_eq!((rest["dead_letters"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
    for (feed, sealed) in [("orders", true), ("notes", false)] {
        let page = engine.get(&format!("/api/v1/dead-letters?feed={feed}&class=syntax")).body;
        assert_eq!(page["dead_letters"].as_array().unwrap().len(), 1, "{page}");
        let id = page["dead_letters"][0]["id"].as_str().unwrap();
        let letter = engine.get(&format!("/api/v1/dead-letters/{id}")).body;
        assert_eq!(letter["sealed"], sealed);
        let raw = letter.get("raw").and_then(Value::as_str).map(str::trim_end);
        assert_eq!(raw, (!sealed).then_some("not a record <b>"), "{letter}");
    }
}

#[test]
fn answers_are_what_the_document_says() {
    let house = house();
    let engine = house.start(&[]);
    let document = engine.get("/api/v1/openapi.json").body;
    push(&engine, &surge(1..4, 3, "430102"));
    engine.request("POST", "/api/v1/feeds/orders/events", &[], b"no record\n");
    wait("three firms and a place have alerts", || ids(&list(&engine, "")).len() == 4);
    let id = ids(&list(&engine, "rule=order_surge")).remove(0);
    let letter = engine.get("/api/v1/dead-letters").body["dead_letters"][0]["id"].clone();
    let letter = letter.as_str().unwrap().to_owned();
    let firm = code(1);
    let mut checked = BTreeSet::new();
    let mut check = |method: &str, path: &str, at: String, body: &str| {
        let reply = engine.request(&method.to_uppercase(), &at, &[], body.as_bytes());
        let operation = &document["paths"][path][method];
        assert!(operation.is_object(), "{method} {path} is not described");
        let responses = operation["responses"].as_object().unwrap();
        let class = format!("{}XX", reply.status / 100);
        let response = responses.get(&reply.status.to_string()).or_else(|| responses.get(&class));
        let content = response.unwrap_or_else(|| panic!("{at}: {}", reply.status))["content"]
            .as_object()
            .unwrap();
        let (kind, content) = content.iter().next().unwrap();
        assert!(reply.head.contains(kind.as_str()), "{at}: {}", reply.head);
        let mut faults = Vec::new();
        validate(&document, &content["schema"], &reply.body, "$", &mut faults);
        assert!(faults.is_empty(), "{at}: {faults:?}\n{}", reply.body);
        checked.insert((method.to_owned(), path.to_owned()));
    };
    for (path, at) in [
        ("/api/v1/alerts", "/api/v1/alerts?limit=2".to_owned()),
        ("/api/v1/alerts", "/api/v1/alerts?limit=x".to_owned()),
        ("/api/v1/alerts/{id}", format!("/api/v1/alerts/{id}")),
        ("/api/v1/alerts/{id}", "/api/v1/alerts/none".to_owned()),
        ("/api/v1/alerts/{id}/revisions", format!("/api/v1/alerts/{id}/revisions")),
        ("/api/v1/alerts/{id}/evidence", format!("/api/v1/alerts/{id}/evidence")),
        ("/api/v1/rules", "/api/v1/rules".to_owned()),
        ("/api/v1/rules/{id}", "/api/v1/rules/order_surge".to_owned()),
        ("/api/v1/rules/{id}/signals", "/api/v1/rules/order_surge/signals?limit=1".to_owned()),
        ("/api/v1/rules/{id}/signals", "/api/v1/rules/none/signals".to_owned()),
        ("/api/v1/feeds", "/api/v1/feeds".to_owned()),
        ("/api/v1/feeds/{feed}", "/api/v1/feeds/orders".to_owned()),
        ("/api/v1/feeds/{feed}", "/api/v1/feeds/complaints".to_owned()),
        ("/api/v1/feeds/{feed}/lateness", "/api/v1/feeds/orders/lateness".to_owned()),
        ("/api/v1/dead-letters", "/api/v1/dead-letters".to_owned()),
        ("/api/v1/dead-letters/{id}", format!("/api/v1/dead-letters/{letter}")),
        ("/api/v1/subjects", "/api/v1/subjects?q=%E6%A0%B7%E4%BE%8B".to_owned()),
        ("/api/v1/subjects/{ucc}", format!("/api/v1/subjects/{firm}")),
        ("/api/v1/openapi.json", "/api/v1/openapi.json".to_owned()),
        ("/healthz", "/healthz".to_owned()),
        ("/readyz", "/readyz".to_owned()),
    ] {
        check("get", path, at, "");
    }
    check("post", "/api/v1/rules/check", "/api/v1/rules/check".into(), "rule: x\nkey: [");
    check("post", "/api/v1/rules/reload", "/api/v1/rules/reload".into(), "");
    let record = order(999, &on(3), 9, &json!({})).to_string();
    let events = "/api/v1/feeds/{feed}/events";
    check("post", events, "/api/v1/feeds/orders/events".into(), &record);
    check("post", events, "/api/v1/feeds/nothing/events".into(), &record);
    let mut described: BTreeSet<(String, String)> = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        described.extend(item.as_object().unwrap().keys().map(|m| (m.clone(), path.clone())));
    }
    // Neither of them answers with JSON.
    for path in ["/api/v1/alerts/stream", "/metrics"] {
        described.remove(&("get".to_owned(), path.to_owned()));
    }
    assert_eq!(checked, described, "every path with JSON is held against the document");
}

/// What of JSON Schema the document uses; members that are not described are faults, too.
fn validate(document: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    if let Some(path) = schema["$ref"].as_str() {
        let target = document.pointer(path.trim_start_matches('#'));
        return validate(document, target.expect("a target"), value, at, faults);
    }
    for word in ["oneOf", "anyOf"] {
        if let Some(some) = schema[word].as_array() {
            let fits = |one: &&Value| {
                let mut faults = Vec::new();
                validate(document, one, value, at, &mut faults);
                faults.is_empty()
            };
            if !some.iter().any(|one| fits(&one)) {
                faults.push(format!("{at}: {value} fits none of {word}"));
            }
        }
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{at}: type {other}"),
    };
    if !types.is_empty() && !types.iter().any(|t| is(t)) {
        return faults.push(format!("{at}: {value} is none of {types:?}"));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        faults.push(format!("{at}: {value} is none of {words:?}"));
    }
    if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
        for (i, item) in list.iter().enumerate() {
            validate(document, items, item, &format!("{at}[{i}]"), faults);
        }
    }
    let Some(members) = value.as_object() else { return };
    let mut known = Vec::new();
    properties(document, schema, &mut known);
    for part in schema["allOf"].as_array().into_iter().flatten() {
        required(document, part, value, at, faults);
    }
    required(document, schema, value, at, faults);
    for (name, member) in members {
        match known.iter().find(|(n, _)| n == name) {
            Some((_, of)) => validate(document, of, member, &format!("{at}.{name}"), faults),
            None if known.is_empty() || schema.get("additionalProperties").is_some() => {}
            // Problems have further members where they help.
            None if known.iter().any(|(n, _)| n == "detail") => {}
            None => faults.push(format!("{at}.{name} is not described")),
        }
    }
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(path) => document.pointer(path.trim_start_matches('#')).expect("a target"),
        None => schema,
    }
}

fn required(document: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let schema = resolved(document, schema);
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(name).is_none() {
            faults.push(format!("{at}.{name} is missing"));
        }
    }
}

fn properties<'a>(document: &'a Value, schema: &'a Value, out: &mut Vec<(String, &'a Value)>) {
    let schema = resolved(document, schema);
    for part in schema["allOf"].as_array().into_iter().flatten() {
        properties(document, part, out);
    }
    for (name, of) in schema["properties"].as_object().into_iter().flatten() {
        out.push((name.clone(), of));
    }
}
