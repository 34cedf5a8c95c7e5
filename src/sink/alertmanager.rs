//! Alertmanager: alerts as Prometheus would send them, to `POST /api/v2/alerts`.
//!
//! In: the revisions of an alert. Out: what Alertmanager is told — label sets with `startsAt` and `endsAt` — and its answer.
//! Alertmanager knows an alert by its labels and holds it for resolved when nobody repeats it, therefore:
//! `startsAt` never changes within an episode; `endsAt` of a firing alert lies four resends ahead; everything that fires is
//! sent again each minute, what has ended for 15 minutes more; a change of severity resolves the old label set and fires the
//! new one in one request. It takes the good alerts of a request that it answers with 400, and nothing of one answered with
//! 422: a refused request is split until the bad alert is found.
//! Not here: what waits to be sent and when — see the engine's `outlets`.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value, json};

use super::http::{Client, Reply};
use crate::model::{
    alert::State,
    reference::ucc,
    time::{MINUTE_MS, Zone},
};

/// Everything that fires is sent again so often.
pub const RESEND_MS: i64 = MINUTE_MS;
/// A firing alert ends so far ahead unless it is sent again: 4 × max(step, resend), and our step is a second.
const VALID_MS: i64 = 4 * RESEND_MS;
/// What has ended is repeated for so long.
const REPEAT_ENDED_MS: i64 = 15 * MINUTE_MS;
/// Most alerts in one request, as with Prometheus.
const BATCH_MAX: usize = 256;

/// What Alertmanager is told about a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleFacts {
    /// What people call it, zh and en.
    pub title: (String, String),
    /// Who handles its alerts.
    pub department: Option<String>,
    /// How soon somebody must respond, and handle it: `1wd`, `15wd`.
    pub respond_in: Option<String>,
    /// See above.
    pub handle_in: Option<String>,
}

/// One alert of Alertmanager's: a label set and when it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Who it is.
    pub labels: BTreeMap<&'static str, String>,
    /// What people read.
    pub annotations: BTreeMap<&'static str, String>,
    /// When it fired, ms.
    pub starts_ms: i64,
    /// When it ended or will be held for ended, ms.
    pub ends_ms: i64,
    /// Page of the alert in the console.
    pub url: String,
}

/// What became of one alert's items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Alertmanager has them.
    Delivered,
    /// It will not take them.
    Refused(String),
    /// Not now.
    Later(String, Option<Duration>),
}

/// Speaks to one Alertmanager.
#[derive(Debug)]
pub struct Alertmanager {
    url: String,
    /// Where the console is reached, without a slash at the end.
    console: String,
    rules: BTreeMap<String, RuleFacts>,
    client: Client,
    /// Label sets that have ended, and until when that is repeated.
    ended: BTreeMap<BTreeMap<&'static str, String>, (Item, i64)>,
}

impl Alertmanager {
    /// The Alertmanager at `url`; links lead to the console at `console`.
    #[must_use]
    pub fn new(url: &str, console: &str, rules: BTreeMap<String, RuleFacts>) -> Self {
        let trimmed = |text: &str| text.trim_end_matches('/').to_owned();
        Self {
            url: format!("{}/api/v2/alerts", trimmed(url)),
            console: trimmed(console),
            rules,
            client: Client::new(None),
            ended: BTreeMap::new(),
        }
    }

    /// What to send of an alert that changed: its state, and the end of label sets it had before. `revisions` are bodies,
    /// oldest first: the last one that Alertmanager knows, and all behind it. Nothing for one that only pends.
    pub fn changed(&mut self, revisions: &[Map<String, Value>], now_ms: i64) -> Vec<Item> {
        let Some((latest, before)) = revisions.split_last() else { return Vec::new() };
        let was_told = |body: &Map<String, Value>| state(body) != Some(State::Pending);
        let mut items: Vec<Item> = Vec::new();
        if was_told(latest) {
            items.extend(self.item(latest, now_ms));
        }
        for body in before.iter().filter(|b| was_told(b)) {
            let Some(mut old) = self.item(body, now_ms) else { continue };
            if items.iter().all(|i| i.labels != old.labels) {
                old.ends_ms = now_ms.max(old.starts_ms);
                items.push(old);
            }
        }
        for item in &items {
            if item.ends_ms > now_ms {
                self.ended.remove(&item.labels);
            } else {
                let until_ms = now_ms + REPEAT_ENDED_MS;
                self.ended.insert(item.labels.clone(), (item.clone(), until_ms));
            }
        }
        items
    }

    /// What to repeat: `firing`, the bodies of alerts that fire, and what has ended lately.
    pub fn again(&mut self, firing: &[Map<String, Value>], now_ms: i64) -> Vec<Item> {
        self.ended.retain(|_, (_, until_ms)| *until_ms > now_ms);
        let ended = self.ended.values().map(|(item, _)| item.clone());
        firing.iter().filter_map(|body| self.item(body, now_ms)).chain(ended).collect()
    }

    /// Sends the items of several alerts, each alert's in one request; returns what became of each.
    #[must_use]
    pub fn send(&self, alerts: &[Vec<Item>], now_ms: i64) -> Vec<Verdict> {
        let mut verdicts = vec![Verdict::Delivered; alerts.len()];
        let mut good = Vec::new();
        for (i, items) in alerts.iter().enumerate() {
            match items.iter().find_map(fault) {
                Some(fault) => verdicts[i] = Verdict::Refused(fault),
                None if items.is_empty() => {}
                None => good.push(i),
            }
        }
        let mut open: Vec<&[usize]> = batches(&good, alerts);
        open.reverse();
        while let Some(batch) = open.pop() {
            match self.post(batch.iter().flat_map(|i| &alerts[*i]), now_ms) {
                Reply::Done => {}
                Reply::Refused { .. } if batch.len() > 1 => {
                    let (first, second) = batch.split_at(batch.len() / 2);
                    open.extend([second, first]);
                }
                Reply::Refused { status, text } => {
                    verdicts[batch[0]] = Verdict::Refused(format!("status {status} {text}"));
                }
                Reply::Later { why, after } => {
                    // Whoever is away now is away for the rest, too.
                    for i in open.iter().copied().chain([batch]).flatten() {
                        verdicts[*i] = Verdict::Later(why.clone(), after);
                    }
                    break;
                }
            }
        }
        verdicts
    }

    fn post<'a>(&self, items: impl Iterator<Item = &'a Item>, now_ms: i64) -> Reply {
        let body = Value::Array(items.map(Item::to_json).collect()).to_string();
        self.client.post(&self.url, &[], body.as_bytes(), now_ms)
    }

    /// An alert as it stands in `body`.
    fn item(&self, body: &Map<String, Value>, now_ms: i64) -> Option<Item> {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let at = |name: &str| text(name).and_then(|t| Zone::utc().parse_instant(t));
        let (rule, id) = (text("rule")?, text("id")?);
        // An event may be dated ahead of its arrival; then the alert began when it was known.
        let starts_ms = at("fired_at")?.min(at("known_at").unwrap_or(i64::MAX));
        let ends_ms = match state(body)? {
            State::Firing => now_ms + VALID_MS,
            _ => at("resolved_at").unwrap_or(now_ms).min(now_ms),
        };
        let url = format!("{}/alerts/{}", self.console, escaped(id));
        let mut item = Item {
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            starts_ms,
            ends_ms: ends_ms.max(starts_ms),
            url,
        };
        item.label("source", "forewarn");
        item.label("alertname", rule);
        item.label("alert_id", id);
        item.label("severity", text("severity").unwrap_or_default());
        // The key says whom it is about; where it does not, the record that fired does.
        let column = |name: &str| {
            let of = |part: &str| body.get(part)?.get(name)?.as_str();
            of("key").or_else(|| of("context"))
        };
        let code = column("ucc").filter(|code| ucc::check(code).is_ok());
        item.label("ucc", code.unwrap_or_default());
        item.label("region", &column("region").and_then(city).unwrap_or_default());
        let message = |language: &str| body.get("message")?.get(language)?.as_str();
        item.note("summary_zh", message("zh").unwrap_or_default());
        item.note("summary_en", message("en").unwrap_or_default());
        item.note("state", text("state").unwrap_or_default());
        item.note("evidence_url", &format!("{}/api/v1/alerts/{}", self.console, escaped(id)));
        item.note("runbook_url", &format!("{}/rules/{}", self.console, escaped(rule)));
        if let Some(facts) = self.rules.get(rule) {
            item.label("department", facts.department.as_deref().unwrap_or_default());
            item.note("title_zh", &facts.title.0);
            item.note("title_en", &facts.title.1);
            item.note("respond_in", facts.respond_in.as_deref().unwrap_or_default());
            item.note("handle_in", facts.handle_in.as_deref().unwrap_or_default());
        }
        Some(item)
    }
}

impl Item {
    /// Alertmanager drops labels without a value, and with them the identity; so we do not send them.
    fn label(&mut self, name: &'static str, value: &str) {
        if !value.is_empty() {
            self.labels.insert(name, value.to_owned());
        }
    }

    fn note(&mut self, name: &'static str, value: &str) {
        if !value.is_empty() {
            self.annotations.insert(name, value.to_owned());
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "labels": self.labels,
            "annotations": self.annotations,
            "startsAt": Zone::utc().format(self.starts_ms),
            "endsAt": Zone::utc().format(self.ends_ms),
            "generatorURL": self.url,
        })
    }
}

/// What Alertmanager would refuse an item for.
fn fault(item: &Item) -> Option<String> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let bad = item.labels.keys().chain(item.annotations.keys()).find(|name| !is_name(name));
    if let Some(name) = bad {
        return Some(format!("label name {name:?} is not ASCII letters, digits and _"));
    }
    if !item.labels.contains_key("alertname") {
        return Some("no alertname".into());
    }
    if item.ends_ms < item.starts_ms {
        return Some("it ends before it starts".into());
    }
    (!super::http::is_url(&item.url)).then(|| format!("generatorURL {:?} is no URL", item.url))
}

/// Consecutive alerts with at most [`BATCH_MAX`] items together; one alert is never split.
fn batches<'a>(good: &'a [usize], alerts: &[Vec<Item>]) -> Vec<&'a [usize]> {
    let (mut out, mut from, mut items) = (Vec::new(), 0, 0);
    for (at, i) in good.iter().enumerate() {
        if items > 0 && items + alerts[*i].len() > BATCH_MAX {
            out.push(&good[from..at]);
            (from, items) = (at, 0);
        }
        items += alerts[*i].len();
    }
    if from < good.len() {
        out.push(&good[from..]);
    }
    out
}

fn state(body: &Map<String, Value>) -> Option<State> {
    body.get("state").and_then(Value::as_str).and_then(State::parse)
}

/// The city of a region code: `430102` lies in `430100`.
fn city(code: &str) -> Option<String> {
    let is_code = code.len() >= 4 && code.bytes().all(|b| b.is_ascii_digit());
    is_code.then(|| format!("{}00", &code[..4]))
}

/// A text as one segment of a path.
fn escaped(text: &str) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._~".contains(b);
    let mut out = String::with_capacity(text.len());
    for b in text.as_bytes() {
        if plain(b) {
            out.push(char::from(*b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::TcpListener,
        sync::mpsc,
        thread,
    };

    use super::*;

    const NOW: i64 = 1_772_700_000_000; // 2026-03-05T08:40:00Z

    fn sink(url: &str) -> Alertmanager {
        let facts = RuleFacts {
            title: ("投诉激增".into(), "Complaint surge".into()),
            department: Some("market_regulation".into()),
            respond_in: Some("1wd".into()),
            handle_in: None,
        };
        let rules = BTreeMap::from([("complaint_surge".to_owned(), facts)]);
        Alertmanager::new(url, "http://console.example:8420/", rules)
    }

    fn body(state: &str, severity: &str) -> Map<String, Value> {
        let resolved = matches!(state, "resolved" | "retracted");
        json!({
            "id": "9f2c-1", "rule": "complaint_surge", "state": state, "severity": severity,
            "key": {"ucc": "91430100MA4L1XXK2A"}, "context": {"region": "430102"},
            "fired_at": "2026-03-05T08:00:00+08:00", "known_at": "2026-03-05T09:00:00+08:00",
            "resolved_at": if resolved { json!("2026-03-05T12:00:00+08:00") } else { Value::Null },
            "message": {"zh": "7日 12 件", "en": ""},
        })
        .as_object()
        .unwrap()
        .clone()
    }

    /// The items as `severity starts→ends`, minutes from [`NOW`].
    fn short(items: &[Item]) -> Vec<String> {
        let minutes = |ms: i64| (ms - NOW) / MINUTE_MS;
        let of = |i: &Item| {
            format!("{} {}→{}", i.labels["severity"], minutes(i.starts_ms), minutes(i.ends_ms))
        };
        items.iter().map(of).collect()
    }

    #[test]
    fn labels_and_notes() {
        let item = &sink("http://am:9093").changed(&[body("firing", "high")], NOW)[0];
        let json = item.to_json();
        assert_eq!(
            json["labels"],
            json!({
                "alert_id": "9f2c-1", "alertname": "complaint_surge", "department": "market_regulation",
                "region": "430100", "severity": "high", "source": "forewarn",
            }),
            "the code fails its check digit and is left out"
        );
        assert_eq!(json["startsAt"], "2026-03-05T00:00:00Z");
        assert_eq!(json["endsAt"], "2026-03-05T08:44:00Z");
        assert_eq!(json["generatorURL"], "http://console.example:8420/alerts/9f2c-1");
        let notes = json["annotations"].as_object().unwrap();
        assert_eq!(notes["title_zh"], "投诉激增");
        assert_eq!(notes["runbook_url"], "http://console.example:8420/rules/complaint_surge");
        assert!(!notes.contains_key("summary_en") && !notes.contains_key("handle_in"));
        assert_eq!(fault(item), None);
    }

    #[test]
    fn the_life_of_an_alert() {
        let mut sink = sink("http://am:9093");
        let of = |states: &[(&str, &str)]| -> Vec<Map<String, Value>> {
            states.iter().map(|(state, severity)| body(state, severity)).collect()
        };
        for (revisions, expect) in [
            (of(&[("pending", "high")]), vec![]),
            (of(&[("pending", "high"), ("firing", "high")]), vec!["high -520→4"]),
            (of(&[("firing", "high"), ("firing", "high")]), vec!["high -520→4"]),
            (of(&[("firing", "medium"), ("firing", "high")]), vec!["high -520→4", "medium -520→0"]),
            // It falls back: the set that had ended fires again.
            (
                of(&[("firing", "medium"), ("firing", "high"), ("firing", "medium")]),
                vec!["medium -520→4", "high -520→0"],
            ),
            (of(&[("firing", "high"), ("resolved", "high")]), vec!["high -520→-280"]),
            (of(&[("firing", "high"), ("retracted", "high")]), vec!["high -520→-280"]),
            (of(&[("firing", "high"), ("suppressed", "high")]), vec!["high -520→0"]),
        ] {
            assert_eq!(short(&sink.changed(&revisions, NOW)), expect);
        }
    }

    #[test]
    fn what_fires_and_what_ended_lately_is_repeated() {
        let mut sink = sink("http://am:9093");
        sink.changed(&[body("firing", "medium"), body("firing", "high")], NOW);
        let firing = [body("firing", "high")];
        let minute = MINUTE_MS;
        let expect = ["high -520→5", "medium -520→0"];
        assert_eq!(short(&sink.again(&firing, NOW + minute)), expect);
        assert_eq!(short(&sink.again(&firing, NOW + 14 * minute))[1], "medium -520→0");
        assert_eq!(short(&sink.again(&firing, NOW + 15 * minute)), ["high -520→19"]);
    }

    #[test]
    fn an_event_dated_ahead_begins_when_it_was_known() {
        let mut body = body("firing", "high");
        body.insert("fired_at".into(), json!("2026-03-07T00:00:00+08:00"));
        let item = &sink("http://am:9093").changed(&[body], NOW)[0];
        assert_eq!(Zone::utc().format(item.starts_ms), "2026-03-05T01:00:00Z");
    }

    #[test]
    fn requests_have_256_alerts_at_most_and_pairs_stay_together() {
        let item = sink("http://am:9093").changed(&[body("firing", "high")], NOW).remove(0);
        let mut alerts = vec![vec![item.clone()]; 255];
        alerts.push(vec![item.clone(), item.clone()]);
        alerts.push(vec![item]);
        let good: Vec<usize> = (0..alerts.len()).collect();
        let lens: Vec<usize> = batches(&good, &alerts).iter().map(|b| b.len()).collect();
        assert_eq!(lens, [255, 2]);
    }

    /// A receiver that answers as `answer` says; tells how many alerts each request had.
    fn receiver(answer: fn(&str) -> &'static str) -> (String, mpsc::Receiver<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (told, requests) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let (mut text, mut piece) = (String::new(), [0; 65_536]);
                loop {
                    let n = stream.read(&mut piece).unwrap();
                    text.push_str(&String::from_utf8_lossy(&piece[..n]));
                    if let Some((head, body)) = text.split_once("\r\n\r\n") {
                        let head = head.to_lowercase();
                        let (_, length) = head.split_once("content-length: ").unwrap();
                        let length = length.split("\r\n").next().unwrap().parse().unwrap();
                        if body.len() >= length {
                            break;
                        }
                    }
                }
                let (_, body) = text.split_once("\r\n\r\n").unwrap();
                told.send(body.matches("\"startsAt\"").count()).unwrap();
                let head = "Connection: close\r\nContent-Length: 0";
                write!(stream, "HTTP/1.1 {}\r\n{head}\r\n\r\n", answer(body)).unwrap();
            }
        });
        (address, requests)
    }

    #[test]
    fn a_refused_request_is_split_until_the_bad_alert_is_found() {
        let refuse = |body: &str| if body.contains("bad-one") { "400 Bad" } else { "200 OK" };
        let (url, requests) = receiver(refuse);
        let mut sink = sink(&url);
        let alerts: Vec<Vec<Item>> = (0..8)
            .map(|i| {
                let mut body = body("firing", "high");
                body.insert(
                    "id".into(),
                    json!(if i == 5 { "bad-one".into() } else { i.to_string() }),
                );
                sink.changed(&[body], NOW)
            })
            .collect();
        let verdicts = sink.send(&alerts, NOW);
        let refused: Vec<usize> = (0..8).filter(|i| verdicts[*i] != Verdict::Delivered).collect();
        assert_eq!(refused, [5], "{verdicts:?}");
        assert!(matches!(&verdicts[5], Verdict::Refused(why) if why.contains("400")));
        assert_eq!(requests.try_iter().collect::<Vec<_>>(), [8, 4, 4, 2, 1, 1, 2]);
    }

    #[test]
    fn what_is_away_is_asked_once_and_gets_the_rest_later() {
        let (url, requests) = receiver(|_| "503 Away\r\nRetry-After: 7");
        let mut sink = sink(&url);
        let one = sink.changed(&[body("firing", "high")], NOW);
        let mut bad = one.clone();
        bad[0].url = "nowhere".into();
        let mut alerts = vec![one; 300];
        alerts[3] = bad;
        let verdicts = sink.send(&alerts, NOW);
        let later =
            |v: &Verdict| matches!(v, Verdict::Later(_, Some(after)) if after.as_secs() == 7);
        assert_eq!(verdicts.iter().filter(|v| later(v)).count(), 299);
        assert!(matches!(verdicts[3], Verdict::Refused(_)));
        assert_eq!(requests.try_iter().collect::<Vec<_>>(), [256]);
    }
}
