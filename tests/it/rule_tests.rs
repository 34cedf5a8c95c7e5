//! The tests inside rule files: those of every rule here pass, and a test that is wrong says how.

use std::path::{Path, PathBuf};

use forewarn::{
    engine::rule_test::{self, Verdict},
    feed::{FeedSpec, spec},
    model::time::Zone,
    rule::{self, file::RuleFile},
};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn feeds(dir: &str) -> Vec<FeedSpec> {
    let (feeds, findings) = spec::load_dir(&repository(dir), &zone());
    assert!(!feeds.is_empty() && findings.is_empty(), "{dir}: {findings:?}");
    feeds
}

fn zone() -> Zone {
    Zone::parse("Asia/Shanghai").unwrap()
}

/// Every rule below `rules` with its verdicts.
fn verdicts(rules: &str, feeds_dir: &str) -> Vec<(RuleFile, Vec<Verdict>)> {
    let (rules, findings) = rule::load_dir(&repository(rules));
    assert!(findings.is_empty(), "{findings:?}");
    let feeds = feeds(feeds_dir);
    rules.into_iter().map(|rule| (rule.clone(), rule_test::run(&rule, &feeds, &zone()))).collect()
}

fn assert_all_pass(verdicts: &[(RuleFile, Vec<Verdict>)]) {
    let mut failed = Vec::new();
    for (rule, verdicts) in verdicts {
        for verdict in verdicts.iter().filter(|v| !v.passed()) {
            let mut lines = verdict.differences.clone();
            lines.extend(
                verdict.findings.iter().map(|f| format!("{}: {} {}", f.code, f.message, f.label)),
            );
            failed.push(format!("{}: {}\n{}", rule.id.value, verdict.name, lines.join("\n")));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn shipped_rules_pass_their_tests() {
    let verdicts = verdicts("rules", "rules/feeds");
    assert!(verdicts.len() >= 6, "only {} rules", verdicts.len());
    assert_all_pass(&verdicts);
    for (rule, _) in &verdicts {
        let (firing, silent): (Vec<_>, Vec<_>) =
            rule.tests.iter().partition(|t| !t.expect.is_empty());
        assert!(
            !firing.is_empty() && !silent.is_empty(),
            "{} needs a firing and a silent test",
            rule.id.value
        );
    }
}

#[test]
fn rules_for_published_data_and_the_tutorial_pass_their_tests() {
    assert_all_pass(&verdicts("tests/real/rules", "tests/real/feeds"));
    assert_all_pass(&verdicts("samples/lifts", "samples/lifts/feeds"));
}

/// What the first test of `report_multi_source` says when one text in the file is replaced.
fn told(from: &str, to: &str) -> String {
    let path = repository("rules/complaints/report_multi_source.yaml");
    let source = std::fs::read_to_string(&path).unwrap();
    assert!(source.contains(from), "{from:?} is not in the rule any more");
    let (rule, findings) = RuleFile::parse(&path, &source.replacen(from, to, 1));
    let rule = rule.unwrap_or_else(|| panic!("{findings:?}"));
    let verdict = rule_test::run(&rule, &feeds("rules/feeds"), &zone()).remove(0);
    let findings =
        verdict.findings.iter().map(|f| format!("{}: {} {}", f.code, f.message, f.label));
    verdict.differences.iter().cloned().chain(findings).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_wrong_expectation_is_named_by_alert_and_value() {
    for (from, to, expected) in [
        (
            "reporters: 3, channels: 2}",
            "reporters: 4, channels: 2}",
            "reporters: expected 4, got 3",
        ),
        (
            "fired: 2026-03-20 09:00",
            "fired: 2026-03-21",
            "fired: expected \"2026-03-21\", got 2026-03-20T09:00:00+08:00",
        ),
        (
            "fired: 2026-03-20 09:00",
            "fired: 2026-03-20 08:59",
            "fired: expected \"2026-03-20 08:59\"",
        ),
        (
            "severity: high, state: firing",
            "severity: low, state: firing",
            "severity: expected \"low\", got high",
        ),
        (
            "severity: high, state: firing",
            "severity: high, state: resolved",
            "state: expected \"resolved\", got firing",
        ),
        ("key: {ucc: $A, report_type: R08}", "key: {ucc: $B, report_type: R08}", "missing: "),
        (
            "key: {ucc: $A, report_type: R08}",
            "key: {ucc: $B, report_type: R08}",
            "not expected: key {\"ucc\":\"$A\"",
        ),
        ("channel: TEL, complainant_hash: p3}", "channel: APP, complainant_hash: p3}", "missing: "),
        ("reporters: 3, channels: 2}", "reportrs: 3}", "did you mean \"reporters\"?"),
        ("- {rule: report_multi_source, key", "- {rule: report_multi, key", "test::unknown_rule"),
        ("state: firing, fired", "state: fired, fired", "test::unknown_state"),
        (
            "channel: TEL, complainant_hash: p3}",
            "chanel: TEL, complainant_hash: p3}",
            "did you mean \"channel\"?",
        ),
        (
            "03-20 09:00, ucc: $A, kind: JB",
            "03-20 09:00, ucc: $A, kind: XX",
            "feed \"complaints\" refuses this row",
        ),
    ] {
        let told = told(from, to);
        assert!(told.contains(expected), "{from} → {to}\nexpected {expected}\ntold {told}");
    }
}

/// A rule with no tests of its own and one beside it, in a house like the shipped one.
fn house_with_case(case: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("rules/feeds")).unwrap();
    let copy = |from: &str, to: &str| {
        std::fs::copy(repository(from), dir.path().join(to)).unwrap();
    };
    copy("rules/feeds/complaints.yaml", "rules/feeds/complaints.yaml");
    let rule = std::fs::read_to_string(repository("rules/complaints/report_multi_source.yaml"));
    let rule = rule.unwrap();
    let head = rule.split_once("\ntests:").unwrap().0;
    std::fs::write(dir.path().join("rules/report_multi_source.yaml"), head).unwrap();
    std::fs::write(dir.path().join("rules/report_multi_source.many.ndjson"), case).unwrap();
    dir
}

fn forewarn(dir: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_forewarn"))
        .current_dir(dir)
        .args(args)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_case_in_a_file_beside_the_rule_is_a_test_of_it() {
    let row = |day: u32, channel: &str, who: &str| {
        format!(
            "{{\"given\": \"complaints\", \"at\": \"2026-03-{day:02}\", \"ucc\": \"$A\", \"kind\": \"JB\", \
             \"report_type\": \"R08\", \"channel\": \"{channel}\", \"complainant_hash\": \"{who}\"}}\n"
        )
    };
    let head = "{\"until\": \"2026-03-08\", \"name\": \"三人两渠道\"}\n";
    let rows = [row(2, "APP", "p1"), row(3, "APP", "p2"), row(4, "TEL", "p3")].concat();
    let expect = |reporters: u32| {
        format!(
            "{{\"expect\": {{\"rule\": \"report_multi_source\", \"key\": {{\"ucc\": \"$A\"}}, \
             \"fired\": \"2026-03-04\", \"reporters\": {reporters}}}}}\n"
        )
    };
    let house = house_with_case(&(head.to_owned() + &rows + &expect(3)));
    let (code, told) = forewarn(house.path(), &["test"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("ok   report_multi_source: 三人两渠道\n\n1 passed, 0 failed"), "{told}");
    // It counts as the firing test that a live rule must have; a silent one is still missing.
    let (_, told) = forewarn(house.path(), &["check"]);
    assert!(!told.contains("no_firing_test") && told.contains("no_silent_test"), "{told}");

    let house = house_with_case(&(head.to_owned() + &rows + &expect(4)));
    let (code, told) = forewarn(house.path(), &["test"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("reporters: expected 4, got 3"), "{told}");

    // What is wrong with the file is told with its line, by check and by test.
    let wrong = row(2, "APP", "p1").replace("channel", "chanel");
    let house = house_with_case(&(head.to_owned() + &wrong + &expect(3)));
    for command in ["check", "test"] {
        let (code, told) = forewarn(house.path(), &[command]);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("report_multi_source.many.ndjson:2"), "{command}: {told}");
        assert!(told.contains("has no column \"chanel\""), "{command}: {told}");
    }
}
