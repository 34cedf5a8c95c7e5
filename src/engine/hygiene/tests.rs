use super::*;
use crate::model::alert::State;

/// 2026-01-05, a Monday, 00:00 UTC.
const START_MS: i64 = 1_767_571_200_000;

fn rule(id: &str, more: &str) -> RuleFile {
    let source = format!(
        "rule: {id}\nstatus: live\ntitle: {{zh: 甲, en: A}}\nowner: x\nkind: window\nfeed: complaints\nkey: [ucc]\n\
         window: {{sliding: 7d}}\nmeasures: {{n: count(*)}}\nwhen: n >= 3\nseverity: high\n\
         tests:\n  - {{name: t, given: {{complaints: []}}, until: 2026-03-02, expect: []}}\n{more}"
    );
    let path = format!("rules/{id}.yaml");
    let (rule, findings) = RuleFile::parse(path.as_ref(), &source);
    rule.unwrap_or_else(|| panic!("{findings:?}"))
}

fn alert(rule: &str, key: &str, day: i64, days: i64) -> PastAlert {
    let at = |day: i64| START_MS + day * DAY_MS;
    PastAlert {
        rule: rule.into(),
        key: format!("{{\"ucc\":\"{key}\"}}"),
        state: State::Resolved,
        began_ms: at(day - 1),
        fired_ms: at(day),
        ended_ms: Some(at(day + days)),
    }
}

fn past(alerts: Vec<PastAlert>, told: Option<&[(&str, u64, u64)]>) -> Past {
    let told = told.map(|told| {
        let one = |(rule, signals, not_ready): &(&str, u64, u64)| {
            (rule.to_string(), Told { signals: *signals, not_ready: *not_ready })
        };
        told.iter().map(one).collect()
    });
    let until_ms = START_MS + 70 * DAY_MS;
    Past { place: "out".into(), alerts, told, from_ms: START_MS, until_ms }
}

/// Code and rule of every finding.
fn found(rules: &[RuleFile], past: &Past) -> Vec<(&'static str, String)> {
    let limits = Limits { now_ms: START_MS, noisy_per_week: 5.0, stale_days: 90, overlap: 0.8 };
    let found = inspect(rules, &[], Some(past), &limits, &Zone::utc());
    found.iter().map(|d| (d.code, d.file.display().to_string())).collect()
}

#[test]
fn silent_rules_are_those_without_a_signal_not_those_not_replayed() {
    let rules = [rule("a", ""), rule("b", ""), rule("c", ""), rule("d", "")];
    let past = past(Vec::new(), Some(&[("a", 0, 0), ("b", 4, 0), ("c", 0, 9)]));
    let expect = [("hygiene::silent", "rules/a.yaml"), ("hygiene::never_ready", "rules/c.yaml")];
    assert_eq!(found(&rules, &past), expect.map(|(code, file)| (code, file.to_owned())));
}

#[test]
fn of_a_data_directory_only_live_rules_can_be_silent() {
    let mut shadow = rule("b", "");
    shadow.status.value = Status::Shadow;
    let past = past(vec![alert("c", "x", 3, 2)], None);
    let found = found(&[rule("a", ""), shadow, rule("c", "")], &past);
    assert_eq!(found, [("hygiene::silent", "rules/a.yaml".to_owned())]);
}

#[test]
fn noise_is_counted_by_the_week() {
    // Ten weeks: 51 alerts are more than five a week, 50 are not.
    let many = |n: i64| (0..n).map(|i| alert("a", &i.to_string(), i % 60, 1)).collect();
    let told: &[_] = &[("a", 51, 0)];
    let noisy = found(&[rule("a", "")], &past(many(51), Some(told)));
    assert_eq!(noisy, [("hygiene::noisy", "rules/a.yaml".to_owned())]);
    assert_eq!(found(&[rule("a", "")], &past(many(50), Some(told))), []);
}

#[test]
fn a_key_flaps_when_it_fires_three_times_within_thirty_days() {
    let told: &[_] = &[("a", 3, 0)];
    let fired = |days: [i64; 3]| days.map(|day| alert("a", "x", day, 1)).to_vec();
    let flaps = found(&[rule("a", "")], &past(fired([1, 15, 30]), Some(told)));
    assert_eq!(flaps, [("hygiene::flapping", "rules/a.yaml".to_owned())]);
    assert_eq!(found(&[rule("a", "")], &past(fired([1, 15, 31]), Some(told))), []);
}

#[test]
fn two_rules_overlap_where_most_alerts_meet_and_it_is_said_once() {
    let told: &[_] = &[("a", 9, 0), ("b", 9, 0)];
    let keys = ["p", "q", "r", "s", "t"];
    let of = |rule: &'static str, day: i64| keys.map(|key| alert(rule, key, day, 3));
    let rules = [rule("a", ""), rule("b", "")];
    let same = past([of("a", 10), of("b", 12)].concat(), Some(told));
    let said = found(&rules, &same);
    assert_eq!(said, [("hygiene::overlap", "rules/a.yaml".to_owned())]);
    // A month apart they tell of other things.
    assert_eq!(found(&rules, &past([of("a", 10), of("b", 40)].concat(), Some(told))), []);
    // Most of the smaller rule's are told by the larger one, not the reverse.
    let more = ["u", "v", "w"].map(|key| alert("a", key, 10, 3));
    let larger = past([&of("a", 10)[..], &of("b", 12), &more].concat(), Some(told));
    assert_eq!(found(&rules, &larger), [("hygiene::overlap", "rules/b.yaml".to_owned())]);
}

#[test]
fn nobody_looks_after_a_rule_without_owner_and_tests() {
    let source = "rule: a\nstatus: draft\ntitle: A\nkind: instant\nfeed: f\nseverity: low\n";
    let (rule, _) = RuleFile::parse("rules/a.yaml".as_ref(), source);
    let found = found(&[rule.unwrap()], &Past::default());
    let codes: Vec<_> = found.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, ["hygiene::no_owner", "hygiene::no_test"]);
}
