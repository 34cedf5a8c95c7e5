//! Reference lists and exceptions, seen through the built binary.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::{fs, path::Path, process::Command};

use serde_json::Value;

const FEED: &str = "\
feed: visits
title: {zh: 检查, en: Visits}
record_id: [id]
event_time: at
out_of_order: 1h
allowed_lateness: 30d
columns:
  id: {type: text}
  at: {type: timestamp}
  firm: {type: text}
  note: {type: text}
";

/// A defaulter of that day that is visited, or a note about closing: three such visits in a week.
const RULE: &str = "\
rule: often
title: {zh: 频繁, en: Often}
kind: window
feed: visits
where: in_list('defaulters', plain_name(firm)) or contains_any(note, 'closing')
key: [plain_name(firm) as firm]
window: {sliding: 7d, every: 1d}
measures: {n: count(*)}
when: n >= 3
severity: low
";

const EXCEPTIONS: &str = "\
exceptions:
  - {id: ex-1, rules: [often], where: \"firm like '%乙%'\", reason: 误投, approved_by: li.wei, from: 2026-03-01, until: 2026-03-06}
";

fn house(dir: &Path) {
    fs::create_dir_all(dir.join("rules/feeds")).unwrap();
    fs::create_dir_all(dir.join("rules/lists")).unwrap();
    fs::write(dir.join("rules/feeds/visits.yaml"), FEED).unwrap();
    fs::write(dir.join("rules/often.yaml"), RULE).unwrap();
    fs::write(dir.join("rules/exceptions.yaml"), EXCEPTIONS).unwrap();
    let defaulters = "firm,valid_from,valid_to\n甲食品,2026-03-03,2026-03-10\n乙食品,,\n";
    fs::write(dir.join("rules/lists/defaulters.csv"), defaulters).unwrap();
    fs::write(dir.join("rules/lists/closing.csv"), "word\n关门\n停业\n").unwrap();
}

/// `forewarn` with these arguments: whether it went well, and both of its outputs.
fn forewarn(dir: &Path, args: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .current_dir(dir)
        .args(args)
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

/// Alerts as `firm state fired n`.
fn replay(dir: &Path, rows: &[String]) -> Vec<String> {
    fs::write(dir.join("visits.ndjson"), rows.concat()).unwrap();
    let (good, text) =
        forewarn(dir, &["replay", "--quiet", "--out", "out", "--input", "visits=visits.ndjson"]);
    assert!(good, "{text}");
    let alerts = fs::read_to_string(dir.join("out/alerts.ndjson")).unwrap();
    let line = |l: &str| {
        let a: Value = serde_json::from_str(l).unwrap();
        let word = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        format!(
            "{} {} {} {}{}",
            word(&a["key"]["firm"]),
            word(&a["state"]),
            &word(&a["fired_at"])[..10],
            a["values"]["n"],
            a["exception"].as_str().map_or(String::new(), |e| format!(" {e}"))
        )
    };
    let mut lines: Vec<String> = alerts.lines().map(line).collect();
    lines.sort();
    lines
}

fn visit(no: u32, day: &str, firm: &str, note: &str) -> String {
    format!(
        "{{\"id\":\"{no}\",\"at\":\"{day}T10:00:00+08:00\",\"firm\":\"{firm}\",\"note\":\"{note}\"}}\n"
    )
}

#[test]
fn lists_are_asked_as_of_the_record_and_exceptions_end() {
    let dir = tempfile::tempdir().unwrap();
    house(dir.path());
    let mut rows = vec![
        // Not a defaulter yet on the first two days; three spellings of the name.
        visit(1, "2026-03-01", "甲食品有限公司", ""),
        visit(2, "2026-03-02", "甲食品有限公司", ""),
        visit(3, "2026-03-03", "甲食品 有限公司", ""),
        visit(4, "2026-03-04", "甲食品（有限公司）", ""),
        visit(5, "2026-03-05", "甲食品", ""),
        // Covered by an exception until the sixth.
        visit(11, "2026-03-02", "乙食品", ""),
        visit(12, "2026-03-03", "乙食品", ""),
        visit(13, "2026-03-04", "乙食品", ""),
        // No defaulter, but the notes tell; one note does not.
        visit(21, "2026-03-04", "丙商店", "已经关门"),
        visit(22, "2026-03-04", "丙商店", "停业通知"),
        visit(23, "2026-03-05", "丙商店", "正常"),
        visit(24, "2026-03-05", "丙商店", "又关门了"),
    ];
    let expect = [
        "丙商店 firing 2026-03-05 3",
        "乙食品 suppressed 2026-03-04 3 ex-1",
        "甲食品 firing 2026-03-05 3",
    ];
    assert_eq!(replay(dir.path(), &rows), expect);
    let summary: Value =
        serde_json::from_slice(&fs::read(dir.path().join("out/summary.json")).unwrap()).unwrap();
    assert_eq!(summary["suppressed_by_exception"]["ex-1"], 1);
    // A later visit anywhere lets the exception's end come: what still holds fires, as of when it began to hold.
    rows.push(visit(31, "2026-03-08", "丁商店", ""));
    let expect =
        ["丙商店 firing 2026-03-05 3", "乙食品 firing 2026-03-04 3", "甲食品 firing 2026-03-05 3"];
    assert_eq!(replay(dir.path(), &rows), expect);
    let (equal, text) = forewarn(
        dir.path(),
        &["replay", "--quiet", "--out", "out", "--input", "visits=visits.ndjson", "--verify"],
    );
    assert!(equal, "{text}");
}

#[test]
fn exceptions_are_checked_where_they_stand() {
    let dir = tempfile::tempdir().unwrap();
    house(dir.path());
    fs::write(
        dir.path().join("rules/exceptions.yaml"),
        "exceptions:\n  - {id: ex-1, rules: [oftn, often], where: \"frm = '甲'\", reason: 误投, approved_by: li.wei, until: 2026-12-01}\n",
    )
    .unwrap();
    let (good, text) = forewarn(dir.path(), &["check"]);
    assert!(!good);
    for part in [
        "exception::unknown_rule",
        "did you mean \"often\"?",
        "rule::unknown_column",
        "did you mean \"firm\"?",
        "exceptions.yaml:2:24",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (good, text) = forewarn(
        dir.path(),
        &["replay", "--quiet", "--out", "out", "--input", "visits=visits.ndjson"],
    );
    assert!(!good && text.contains("exception::unknown_rule"), "{text}");
}
