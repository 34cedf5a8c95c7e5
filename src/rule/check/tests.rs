use std::path::Path;

use super::*;
use crate::model::schema::{Column, ColumnType};

fn complaints() -> FeedSchema {
    let column = Column::new;
    let mut kind = column("kind", ColumnType::Text);
    kind.codes = ["TS", "JB", "ZX"].map(str::to_owned).to_vec();
    let mut person = column("complainant_hash", ColumnType::Text);
    person.personal = true;
    let mut feed = FeedSchema::new(
        "complaints",
        vec![
            column("registered_at", ColumnType::Timestamp),
            column("complaint_no", ColumnType::Text),
            column("ucc", ColumnType::Ucc),
            column("ucc_name", ColumnType::Text),
            column("region", ColumnType::Region),
            kind,
            column("channel", ColumnType::Text),
            column("amount", ColumnType::Decimal { scale: 2 }),
            column("level", ColumnType::Int),
            column("occurred_on", ColumnType::Date),
            column("visited_on", ColumnType::Date),
            person,
        ],
        0,
    );
    feed.record_id = vec![1];
    feed.delays = vec![(9, DAY_MS)];
    feed
}

fn sampling() -> FeedSchema {
    let column = Column::new;
    let mut feed = FeedSchema::new(
        "sampling",
        vec![
            column("finished_on", ColumnType::Date),
            column("ucc", ColumnType::Ucc),
            column("result", ColumnType::Text),
        ],
        0,
    );
    feed.version = Some(2);
    feed
}

/// The findings as `code at-text`, without those about structure.
fn found(sources: &[(&str, &str)]) -> Vec<String> {
    let (complaints, sampling) = (complaints(), sampling());
    let feeds = [FeedFacts::new(&complaints), FeedFacts::new(&sampling)];
    let mut rules = Vec::new();
    let mut findings = Vec::new();
    for (path, source) in sources {
        let (rule, found) = RuleFile::parse(Path::new(path), source);
        rules.extend(rule);
        findings.extend(found);
    }
    findings.extend(check(&rules, &feeds));
    let source = |d: &Diagnostic| {
        sources.iter().find(|(p, _)| d.file == Path::new(p)).map_or("", |(_, s)| s)
    };
    let line = |d: &Diagnostic| {
        let level = if d.level == Level::Warning { "warning " } else { "" };
        let code = d.code.split("::").last().unwrap_or_default();
        format!("{level}{code} {}", &source(d)[d.span.clone()])
    };
    findings.iter().map(line).collect()
}

const SURGE: &str = r#"
rule: surge
title: {zh: 投诉激增, en: Complaint surge}
kind: window
feed: complaints
where: kind = 'TS'
key: [ucc, "left(region, 4) as city"]
window: {sliding: 7d, every: 1d}
measures: {n: count(*), people: count(distinct complainant_hash), share: "sum(amount) / nullif(count(*), 0)"}
compare: {usual: {windows: 8, step: 7d, of: mean}}
params: {min: 10}
when: people >= $min and n >= 3 * greatest(usual.n, 1)
clear: people < 5
severity: {critical: people >= 50, high: people >= 20, else: medium}
alert:
  group: [region]
  message: {zh: "{ucc_name} 7日内 {n} 件, {n / usual.n:.1} 倍", en: "{n} complaints"}
tests:
  - name: fires
    given: {complaints: [{at: 2026-03-02, repeat: 11, every: 8h, ucc: $A, kind: TS}]}
    until: 2026-03-08
    expect: [{rule: surge, key: {ucc: $A}}]
  - name: silent
    given: {complaints: []}
    until: 2026-03-08
    expect: []
"#;

const SEVERE: &str = r#"
rule: severe
title: {zh: 重大投诉, en: Severe complaint}
kind: instant
feed: complaints
key: [ucc]
where: kind in ('TS', 'JB')
when: level >= 5 or amount > 10000
severity: {high: level >= 7, else: medium}
tests:
  - {name: a, given: {complaints: [{at: 2026-03-02, level: 5}]}, until: 2026-03-03, expect: [{rule: severe}]}
  - {name: b, given: {complaints: [{at: 2026-03-02, level: 4}]}, until: 2026-03-03, expect: []}
"#;

fn each(rule: &'static str, path: &'static str, cases: &[(&str, &str, &[&str])]) {
    assert_eq!(found(&[(path, rule)]), Vec::<String>::new());
    let mut wrong = Vec::new();
    for (from, to, expect) in cases {
        let source = rule.replacen(from, to, 1);
        assert_ne!(source, rule, "{from}");
        let got = found(&[(path, &source)]);
        if got != *expect {
            wrong.push(format!("{to}\n   got {got:?}\n  want {expect:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn window_rules() {
    each(
        SURGE,
        "rules/surge.yaml",
        &[
            (
                "rule: surge",
                "rule: surgee",
                &["id_not_filename surgee", "no_firing_test surgee", "unknown_rule surge"],
            ),
            ("en: Complaint surge", "de: x", &["unknown_field de", "zh_or_en_missing 投诉激增"]),
            (
                "title: {zh: 投诉激增, en: Complaint surge}",
                "title: 投诉",
                &["zh_or_en_missing 投诉"],
            ),
            ("kind: window", "kind: window\nstatus: draft\nabout: x\ntags: a\nowner: b", &[]),
            ("key: [ucc,", "key: [ucc, amount,", &["value_in_key amount"]),
            ("key: [ucc,", "key: [ucc, complaint_no,", &["value_in_key complaint_no"]),
            (
                "key: [ucc,",
                "key: [complainant_hash,",
                &["warning personal_field_shown complainant_hash"],
            ),
            ("key: [ucc,", "key: [ucc, channel as n,", &["name_taken n"]),
            ("kind = 'TS'", "kind = 'ts'", &["impossible 'ts'"]),
            (
                "kind = 'TS'",
                "kind = 'TS' and kind = 'JB'",
                &["impossible kind = 'TS' and kind = 'JB'"],
            ),
            ("kind = 'TS'", "kind = 'TS' or 1 = 1", &["always_true kind = 'TS' or 1 = 1"]),
            ("people >= $min and n", "n", &["warning no_effect min"]),
            (
                "people >= $min and n >= 3 * greatest(usual.n, 1)",
                "n >= 3 * usual.n and $min > 0",
                &["ratio_without_minimum n >= 3 * usual.n and $min > 0"],
            ),
            (
                "people >= $min and n >= 3 * greatest(usual.n, 1)",
                "share > 0.5 * $min",
                &["ratio_without_minimum share > 0.5 * $min"],
            ),
            (
                "people >= $min and n >= 3 * greatest(usual.n, 1)",
                "n >= $min",
                &["warning count_without_baseline n >= $min"],
            ),
            (
                "3 * greatest(usual.n, 1)",
                "30 and n < 20 and usual.n > 1",
                &["impossible people >= $min and n >= 30 and n < 20 and usual.n > 1"],
            ),
            ("clear: people < 5", "clear: people < 15", &["clear_overlaps_when people < 15"]),
            ("clear: people < 5", "clear: n < 5", &[]),
            ("high: people >= 20", "high: people >= 60", &["unreachable_severity people >= 60"]),
            ("high: people >= 20", "high: people < 5", &["unreachable_severity people < 5"]),
            ("high: people >= 20", "high: people >= 2", &["unreachable_severity else"]),
            ("high: people >= 20", "high: people / n > 1", &["unguarded_division n"]),
            (
                "high: people >= 20",
                "high: 'people / nullif(n, 0) > 1'",
                &["warning integer_division /"],
            ),
            (
                "high: people >= 20",
                "high: people / nullif(n, 0) > 1",
                &["flow_comma people / nullif(n, 0) > 1"],
            ),
            ("critical: people >= 50", "critical: people > usual.n", &[]),
            ("n / usual.n:.1} 倍", "n} 倍", &[]),
            ("3 * greatest(usual.n, 1)", "30", &[]),
            ("group: [region]", "group: [regoin]", &["unknown_column regoin"]),
            (
                "group: [region]",
                "show: [complainant_hash, usual.n]",
                &["personal_field_shown complainant_hash"],
            ),
            ("{ucc_name} 7日", "{usc_name} 7日", &["message_unknown_name usc_name"]),
            (
                "{ucc_name} 7日",
                "{complainant_hash} 7日",
                &["personal_field_shown complainant_hash"],
            ),
            ("{ucc_name} 7日", "{ucc_name 7日", &["message_syntax ucc_name 7日内 {n"]),
            ("complaints: [{at", "complaint: [{at", &["unknown_feed complaint"]),
            ("every: 8h, ucc", "evrey: 8h, ucc", &["unknown_column evrey"]),
            (
                "{sliding: 7d, every: 1d}",
                "{sliding: 365d, every: 1m}",
                &["warning state_estimate {sliding: 365d, every: 1m}"],
            ),
            (
                "step: 7d",
                "step: 730d",
                &[
                    "warning state_estimate {sliding: 7d, every: 1d}",
                    "window_exceeds_retention {sliding: 7d, every: 1d}",
                ],
            ),
            ("{sliding: 7d, every: 1d}", "{session: 7d, max: 30d}", &["impossible usual"]),
            ("{windows: 8, step: 7d, of: mean}", "{key: [cty]}", &["unknown_column cty"]),
            ("{windows: 8, step: 7d, of: mean}", "{key: [ucc, city]}", &["no_effect usual"]),
            ("kind: window", "kind: window\ntime: occurred_on", &[]),
            ("kind: window", "kind: window\ntime: visited_on", &["time_without_delay visited_on"]),
            ("kind: window", "kind: window\ntime: channel", &["type_mismatch channel"]),
            (
                "share: \"",
                "a: {feed: sampling, value: approx_distinct(result)}, share: \"",
                &["unknown_column sampling", "sketch_over_corrections approx_distinct(result)"],
            ),
            ("expect: []", "expect: [{rule: surge}]", &["no_silent_test surge"]),
            ("expect: [{rule", "expect: [] # [{rule", &["no_firing_test surge"]),
        ],
    );
}

#[test]
fn instant_rules() {
    each(
        SEVERE,
        "severe.yaml",
        &[
            ("key: [ucc]\n", "missing_key: group_null\n", &["no_effect severe"]),
            ("level >= 5 or amount > 10000", "level >= 5 and kind = 'XX'", &["impossible 'XX'"]),
            ("level >= 5 or amount > 10000", "level >= 8", &["unreachable_severity else"]),
            ("level >= 5 or amount > 10000", "levl >= 8", &["unknown_column levl"]),
            (
                "severity: {",
                "alert: {message: {zh: \"{ucc_name} {level}\", en: \"{n}\"}}\nseverity: {",
                &["message_unknown_name n"],
            ),
        ],
    );
}

#[test]
fn rules_against_each_other() {
    let again = SURGE.replace("rule: surge", "rule: again").replace("投诉激增", "另一个");
    assert_eq!(found(&[("a/surge.yaml", SURGE), ("b/again.yaml", &again)]), ["duplicate_of again"]);
    assert_eq!(found(&[("a/surge.yaml", SURGE), ("b/surge.yaml", SURGE)]), ["duplicate_of surge"]);
    let other = again.replace("n >= 3 *", "n >= 4 *");
    assert_eq!(found(&[("a/surge.yaml", SURGE), ("b/again.yaml", &other)]), Vec::<String>::new());
}

#[test]
fn detectors_against_each_other() {
    let rule = |id: &str, detector: &str, series: &str| {
        format!(
            "rule: {id}\ntitle: {{zh: 异常, en: Excess}}\nstatus: draft\nkind: detect\nfeed: complaints\nkey: [ucc]\n\
             series: {{value: count(*), period: day{series}}}\ndetector: {detector}\nwhen: alarm and value >= 5\n\
             severity: low\n"
        )
    };
    let both = |detector: &str, series: &str| {
        let (one, other) =
            (rule("one", "{ears: {alpha: 0.01}}", ""), rule("two", detector, series));
        let all = found(&[("a/one.yaml", &one), ("b/two.yaml", &other)]);
        all.iter().any(|finding| finding.contains("duplicate_of two"))
    };
    assert!(both("{ears: {alpha: 0.01}}", ""));
    assert!(!both("{ears: {alpha: 0.02}}", ""));
    assert!(!both("{bayes_predictive: {history: 7}}", ""));
    assert!(!both("{ears: {alpha: 0.01}}", ", calendar: cn"));
}

#[test]
fn a_draft_is_warned_where_a_live_rule_errs() {
    let draft = SURGE
        .replace("kind: window", "kind: window\nstatus: draft")
        .replace("expect: []", "expect: [{rule: surge}]");
    assert_eq!(found(&[("surge.yaml", &draft)]), ["warning no_silent_test surge"]);
    let retired = draft.replace("status: draft", "status: retired");
    assert_eq!(found(&[("surge.yaml", &retired)]), Vec::<String>::new());
}
