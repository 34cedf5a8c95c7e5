//! Records of several rows: exports with a row for each item keep all items, and a later version replaces all of them.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

/// Replays `file` for `feed`; returns the counts of the feed, the signals and the alerts as they are in the files.
fn replay(dir: &Path, rules: &Path, input: &str, args: &[&str]) -> (Value, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .current_dir(dir)
        .args(["replay", "--quiet", "--out", "out", "--now", "2027-01-01", "--input", input])
        .arg("--rules")
        .arg(rules)
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| fs::read_to_string(dir.join("out").join(name)).unwrap();
    let summary: Value = serde_json::from_str(&read("summary.json")).unwrap();
    let feed = input.split_once('=').unwrap().0;
    (summary["feeds"][feed].clone(), read("signals.ndjson"), read("alerts.ndjson"))
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_export_with_a_row_for_each_item_keeps_all_items() {
    let dir = tempfile::tempdir().unwrap();
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let maker = forewarn::engine::rule_test::made_up_code(0);
    let row = |sample: &str, day: u32, item: &str, verdict: &str, recheck: &str| {
        format!(
            "{sample},2026-03-{day:02},某食品厂,{maker},糕点,不合格,{item},{verdict},{recheck}\n"
        )
    };
    let head = "抽样编号,报告日期,标称生产企业,标称生产企业统一社会信用代码,食品大类,检验结论,不合格项目,结果判定,复检状态\n";
    let first = [
        row("S1", 2, "菌落总数", "不合格项", "/"),
        row("S1", 2, "霉菌", "不合格项", "/"),
        row("S1", 2, "沙门氏菌", "合格项", "/"),
        row("S2", 3, "铝的残留量", "不合格项", "/"),
        row("S2", 3, "过氧化值", "不合格项", "/"),
    ];
    let write = |rows: &[&[String]]| {
        fs::write(dir.path().join("samples.csv"), head.to_owned() + &rows.concat().concat())
            .unwrap();
    };
    // The whole file twice: every row is known the second time. A later one, so that the day of the alert is over.
    let later = [row("S3", 9, "酸价", "不合格项", "/").replace(&maker, "/")];
    write(&[&first, &first, &later]);
    let input = "sampling=samples.csv";
    let (feed, _, alerts) = replay(dir.path(), &rules, input, &[]);
    assert_eq!(
        (&feed["accepted"], &feed["duplicates"], &feed["corrections"], &feed["conflicts"]),
        (&json!(6), &json!(5), &json!(0), &json!(0)),
        "{feed}"
    );
    let alerts = lines(&alerts);
    let told: Vec<_> = alerts.iter().map(|a| (&a["rule"], &a["values"])).collect();
    let values = json!({"failures": 2, "items": 4});
    assert_eq!(told, [(&json!("food_fail_repeat"), &values)], "salmonella was not found in it");
    assert_eq!(
        alerts[0]["evidence"],
        json!(["S1/maker/菌落总数", "S1/maker/霉菌", "S2/maker/铝的残留量", "S2/maker/过氧化值"])
    );

    // The recheck of S2 overturns it; it names one of the items only, and all of them go.
    let recheck = [row("S2", 3, "过氧化值", "不合格项", "复检合格")];
    write(&[&first, &recheck]);
    let (feed, _, alerts) = replay(dir.path(), &rules, input, &[]);
    assert_eq!(feed["corrections"], 1, "{feed}");
    let alerts = lines(&alerts);
    assert_eq!((alerts.len(), &alerts[0]["state"]), (1, &json!("retracted")), "{alerts:?}");
}

const FEED: &str = "\
feed: reports
title: {zh: 报告, en: Reports}
record_id: [no, tag]
explode: tag
event_time: at
version: v
op: op
out_of_order: 0
allowed_lateness: 30d
dedup_for: 90d
columns:
  no: {type: text}
  at: {type: timestamp}
  v: {type: int}
  op: {type: text}
  tag: {type: text, split: ';'}
";

const RULE: &str = "\
rule: tagged
title: {zh: 标签, en: Tagged}
kind: window
feed: reports
key: [tag]
window: {tumbling: 7d}
measures: {n: count(*)}
when: n >= 2
severity: low
";

#[test]
fn a_shorter_list_takes_the_entries_back_that_it_no_longer_has() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("rules/feeds")).unwrap();
    fs::write(dir.path().join("rules/feeds/reports.yaml"), FEED).unwrap();
    fs::write(dir.path().join("rules/tagged.yaml"), RULE).unwrap();
    let row = |no: u32, v: u32, op: &str, tags: &str| {
        format!(
            "{{\"no\":\"{no}\",\"at\":\"2026-03-02T0{no}:00:00+08:00\",\"v\":{v},\"op\":\"{op}\",\"tag\":\"{tags}\"}}\n"
        )
    };
    let end = "{\"no\":\"9\",\"at\":\"2026-03-20\",\"v\":1,\"tag\":\"z\"}\n";
    let lists = row(1, 1, "insert", "a;b;c") + &row(2, 1, "insert", "a;b;c");
    let replay = |rows: &str, args: &[&str]| {
        fs::write(dir.path().join("reports.ndjson"), rows).unwrap();
        replay(dir.path(), &dir.path().join("rules"), "reports=reports.ndjson", args)
    };
    let keys = |signals: &str| -> Vec<String> {
        lines(signals).iter().map(|s| s["key"]["tag"].as_str().unwrap().to_owned()).collect()
    };
    for (name, correction, expect) in [
        ("shorter", row(2, 2, "correct", "a"), &["a"][..]),
        ("another", row(2, 2, "correct", "d;a"), &["a"]),
        ("none", row(2, 2, "correct", ""), &[]),
        ("withdrawn", row(2, 2, "withdraw", ""), &[]),
        ("lower", row(2, 0, "correct", "a"), &["a", "b", "c"]),
        ("longer", row(2, 2, "correct", "d;c;b;a"), &["a", "b", "c"]),
    ] {
        // While the window is open, when it is closed, and before the first version arrives.
        for rows in [
            format!("{lists}{correction}{end}"),
            format!("{lists}{end}{correction}"),
            format!("{correction}{lists}{end}"),
        ] {
            let (_, signals, alerts) = replay(&rows, &[]);
            assert_eq!(keys(&signals), expect, "{name}: {rows}");
            let standing = lines(&alerts);
            let standing = standing.iter().filter(|a| a["state"] != "retracted");
            assert_eq!(standing.count(), expect.len(), "{name}: {alerts}");
            for args in [&["--batch-rows", "1"][..], &["--shards", "3"], &["--duplicates", "7"]] {
                let (_, same_signals, same_alerts) = replay(&rows, args);
                assert_eq!((&same_signals, &same_alerts), (&signals, &alerts), "{name} {args:?}");
            }
            let (_, same_signals, _) = replay(&rows, &["--shuffle", "5"]);
            assert_eq!(same_signals, signals, "{name} shuffled");
        }
    }
    // What stays in the list is not taken back and told again.
    let (_, _, alerts) = replay(&format!("{lists}{end}{}", row(2, 2, "correct", "b;a")), &[]);
    let alerts = lines(&alerts);
    for tag in ["a", "b", "c"] {
        let alert = alerts.iter().find(|a| a["key"]["tag"] == tag).unwrap();
        let expect = if tag == "c" { ("retracted", 3) } else { ("resolved", 2) };
        assert_eq!((&alert["state"], &alert["revision"]), (&json!(expect.0), &json!(expect.1)));
    }
}
