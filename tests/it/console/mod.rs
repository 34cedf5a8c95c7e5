//! The console: its pages over HTTP, and in Debian's Chromium where it is installed.

mod browser;
mod feeds;
mod latency;
mod letters;
mod live;
mod pages;
mod rules;
mod sheets;
mod subjects;

use serde_json::{Value, json};

use super::http::{House, Running};

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
  ucc: ucc
  firm: text
  region: region
  text: text
  who: {type: text, personal: true}
  version: int
  op: text
";

const VISITS: &str = "\
feed: visits
title: {zh: 检查, en: Visits}
record_id: no
event_time: at
out_of_order: 0
allowed_lateness: 30d
names: {ucc: firm}
columns:
  no: text
  at: {type: timestamp, required: true}
  ucc: ucc
  firm: text
  result: text
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
  action: {zh: 约谈, en: Call them in}
  message: {zh: \"{ucc_name} 7日 {n} 件\", en: \"{ucc_name}: {n} in 7 days\"}
";

/// What a record may say at its worst.
const HOSTILE: &str = "<script>window.hacked=1</script>\"'><img src=x onerror=window.hacked=1> \u{202e}gnp.exe ﷽ %00 \\ &amp; 末";

/// A house with two feeds and a rule over businesses.
fn house() -> House {
    let house = House::new();
    let write = |path: &str, text: &str| {
        let path = house.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("rules/feeds/orders.yaml", FEED);
    write("rules/feeds/visits.yaml", VISITS);
    write("rules/market/order_surge.yaml", BY_FIRM);
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

/// `orders` orders of each of these firms on this day of March.
fn surge(firms: std::ops::Range<u32>, orders: u32, day: u32) -> Vec<Value> {
    let one = |firm: u32, i: u32| {
        json!({
            "no": format!("T{firm}-{day}-{i}"), "at": format!("2026-03-{day:02}T10:{i:02}:00+08:00"), "ucc": code(firm),
            "firm": format!("样例{firm}号有限公司"), "region": if firm.is_multiple_of(2) { "430102" } else { "430203" },
            "who": format!("person {i}"), "text": "不履行合同约定"
        })
    };
    firms.flat_map(|firm| (0..orders).map(move |i| one(firm, i))).collect()
}

fn push(engine: &Running, feed: &str, records: &[Value]) {
    let body: String = records.iter().map(|r| format!("{r}\n")).collect();
    let path = format!("/api/v1/feeds/{feed}/events");
    let reply = engine.request("POST", &path, &[], body.as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.body);
}
