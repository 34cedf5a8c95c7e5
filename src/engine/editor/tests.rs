use super::*;
use crate::model::schema::{Column, ColumnType, FeedSchema};

const RULE: &str = "rule: a
status: draft
title: {zh: 甲, en: A}
kind: window
feed: complaints
where: kind = 'TS'
key: [ucc]
window: {sliding: 7d}
measures:
  n: count(*)
  people: count(distinct who)
compare:
  usual: {windows: 8, step: 7d, of: mean}
params: {least: 5}
when: n >= $least
severity: high
";

/// Columns of a feed that is joined are offered under the name that the rule gives it.
#[test]
fn columns_of_a_joined_table() {
    let text = RULE.replacen("where:", "join: {biz: complaints}\nwhere:", 1);
    let (rule, findings) = RuleFile::parse(Path::new("a.yaml"), &text);
    assert_eq!(findings, []);
    let mut feeds = feeds();
    let mut schema = (*feeds[0].schema).clone();
    schema.record_id = vec![0];
    feeds[0].schema = std::sync::Arc::new(schema);
    let lists = Lists::default();
    let beside = Beside { feeds: &feeds, lists: &lists, rule: rule.as_ref() };
    let labels = |text: &str| -> Vec<String> {
        let at = text.find('¦').expect("a cursor");
        let found = beside.complete(&text.replace('¦', ""), at);
        found.items.into_iter().map(|i| i.label).collect()
    };
    let names = labels(&text.replacen("kind = 'TS'", "biz.¦", 1));
    assert!(names.iter().any(|n| n == "biz.who"), "{names:?}");
    let tables = labels(&text.replacen("{biz: complaints}", "\n  biz: ¦", 1));
    assert_eq!(tables, ["complaints"]);
}

fn feeds() -> Vec<FeedSpec> {
    let mut kind = Column::new("kind", ColumnType::Text);
    kind.codes = vec!["TS".into(), "JB".into()];
    kind.map = vec![("投诉".into(), "TS".into())];
    let columns = vec![
        Column::new("ucc", ColumnType::Ucc),
        kind,
        Column::new("who", ColumnType::Text),
        Column::new("at", ColumnType::Timestamp),
    ];
    let mut feed = FeedSpec::plain(FeedSchema::new("complaints", columns, 3));
    feed.column_about[0] = "The business.".into();
    vec![feed]
}

fn with<T>(text: &str, ask: impl FnOnce(&Beside<'_>, &str, usize) -> T) -> T {
    let offset = text.find('¦').expect("a cursor");
    let feeds = feeds();
    let (rule, _) = RuleFile::parse(Path::new("a.yaml"), RULE);
    let lists = Lists::default();
    let beside = Beside { feeds: &feeds, lists: &lists, rule: rule.as_ref() };
    ask(&beside, &text.replace('¦', ""), offset)
}

/// The rule with one line in place of another, and a cursor in it.
fn edited(from: &str, to: &str) -> String {
    assert!(RULE.contains(from), "{from}");
    RULE.replacen(from, to, 1)
}

fn labels(text: &str) -> Vec<String> {
    with(text, |b, text, at| b.complete(text, at).items.into_iter().map(|i| i.label).collect())
}

fn hover(text: &str) -> String {
    with(text, |b, text, at| b.hover(text, at).map(|h| h.text).unwrap_or_default())
}

/// Whether completion offers all of `wanted` and none of `not`.
fn offers(text: &str, wanted: &[&str], not: &[&str]) {
    let labels = labels(text);
    for word in wanted {
        assert!(labels.iter().any(|l| l == word), "{word} is not in {labels:?}");
    }
    for word in not {
        assert!(labels.iter().all(|l| l != word), "{word} is in {labels:?}");
    }
}

#[test]
fn names_are_offered_where_they_may_stand() {
    offers(
        &edited("where: kind = 'TS'", "where: ¦"),
        &["ucc", "kind", "$least", "in_list"],
        &["n", "count"],
    );
    offers(
        &edited("when: n >= $least", "when: ¦"),
        &["n", "usual.people", "$least"],
        &["ucc", "count"],
    );
    offers(&edited("  n: count(*)", "  n: ¦"), &["count", "ucc"], &["usual.n"]);
    offers(&edited("key: [ucc]", "key: [¦"), &["ucc", "left"], &["n"]);
    offers(&edited("severity: high", "severity: {high: ¦"), &["n"], &["ucc"]);
    offers(&edited("severity: high", "severity: ¦"), &["critical", "high"], &[]);
    offers(&edited("severity: high", "alert: {reraise: ¦"), &["last.n", "n"], &[]);
    offers(
        &edited("severity: high", "alert:\n  message: {zh: \"甲乙 {¦"),
        &["n", "ucc"],
        &["count"],
    );
}

#[test]
fn words_values_and_fields_are_offered() {
    assert_eq!(labels(&edited("where: kind = 'TS'", "where: kind = '¦")), ["TS", "JB"]);
    assert_eq!(labels(&edited("where: kind = 'TS'", "where: kind in ('TS', '¦")), ["TS", "JB"]);
    offers(&edited("kind: window", "kind: ¦"), &["instant", "window", "detect"], &[]);
    offers(&edited("feed: complaints", "feed: ¦"), &["complaints"], &[]);
    offers(&edited("severity: high", "cl¦"), &["clear", "measures"], &["detector"]);
    offers(&edited("severity: high", "alert:\n  ke¦"), &["keep_for"], &["rule"]);
    offers(
        &edited("severity: high", "tests:\n  - name: 甲\n    given: {complaints: [{¦"),
        &["at", "ucc"],
        &[],
    );
    let test = "tests:\n  - name: 甲\n    given:\n      complaints:\n        - {kind: ¦";
    assert_eq!(labels(&edited("severity: high", test)), ["TS", "JB"]);
}

#[test]
fn hover_tells_what_a_word_is() {
    assert!(hover(&edited("key: [ucc]", "key: [u¦cc]")).contains("The business."));
    assert!(hover(&edited("where: kind", "where: ki¦nd")).contains("TS 投诉"));
    assert!(hover(&edited("when: n >=", "when: ¦n >=")).contains("count(*)"));
    assert!(hover(&edited("n >= $least", "n >= $le¦ast")).contains('5'));
    assert!(hover(&edited("window: {sl", "window: {s¦l")).contains("Length of a window"));
    assert!(hover(&edited("  n: count", "  n: co¦unt")).contains("count(distinct column)"));
    assert!(hover(&edited("key: [ucc]", "ke¦y: [ucc]")).contains("What records are grouped by"));
}

#[test]
fn nothing_stops_on_a_text_that_is_no_rule() {
    for text in ["", "¦", "甲:¦", "{{{[[¦", "- - -\n¦", "a: |\n  甲¦", "\n\n ¦"] {
        let text = if text.contains('¦') { text.to_owned() } else { format!("{text}¦") };
        labels(&text);
        hover(&text);
    }
    // Every place of a rule that is there.
    let whole = RULE.char_indices().map(|(i, _)| i);
    for at in whole {
        let text = format!("{}¦{}", &RULE[..at], &RULE[at..]);
        labels(&text);
        hover(&text);
    }
}
