//! Sequences of outcomes → alerts, as tables.
//!
//! Window `n` is `[10n−10, 10n)`. `F5` says window 5 is closed and fires, `f5` that it is open and fires; `H`/`h` hold,
//! `C`/`c` clear. Behind it may stand `@42` (event time of the cause; else the window's end, for open ones its middle;
//! it arrives 1000 later), `=3` (value of `n`, else 1), `+` (high severity), `!` (`reraise` holds), `,` (told together with the next).
//! An alert is printed as `episode.revision state began/fired/resolved window=n`, `+` where high.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Map, json};

use super::{AlertSpec, Lifecycle};
use crate::model::{
    alert::{Alert, State},
    exception::Exception,
    signal::{Cause, Key, Outcome, Severity, Span, Truth},
    window::Step,
};

fn spec(hold_ms: i64, keep_ms: i64) -> AlertSpec {
    let rule_id = "many_complaints".to_owned();
    let step = Some(Step::Span { every_ms: 10, origin_ms: 0 });
    AlertSpec {
        rule: 0,
        rule_id,
        version: 1,
        live: true,
        hold_ms,
        keep_ms,
        step,
        exceptions: vec![],
    }
}

fn object(values: &[(&str, serde_json::Value)]) -> Map<String, serde_json::Value> {
    values.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
}

fn outcome(word: &str, arrival: u64) -> Outcome {
    let (kind, rest) = word.split_at(1);
    let digits = |text: &str| -> i64 {
        text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    let window = digits(rest);
    let closed = kind.chars().all(char::is_uppercase);
    let after = |mark: char| word.split_once(mark).map(|(_, rest)| digits(rest));
    let default_at = if closed { window * 10 } else { window * 10 - 5 };
    let at_ms = after('@').unwrap_or(default_at);
    Outcome {
        rule: 0,
        key: Arc::new(Key::new(object(&[("ucc", json!("企业甲"))]))),
        window: Span { start_ms: window * 10 - 10, end_ms: window * 10 },
        record: None,
        truth: match kind.to_lowercase().as_str() {
            "f" => Truth::Fire,
            "h" => Truth::Hold,
            _ => Truth::Clear,
        },
        closed,
        cause: Cause { at_ms, arrival, arrived_ms: at_ms + 1000 },
        severity: if word.contains('+') { Severity::High } else { Severity::Medium },
        values: object(&[("n", json!(after('=').unwrap_or(1)))]),
        context: Map::new(),
        reraise: word.contains('!'),
    }
}

fn print(alert: &Alert) -> String {
    let resolved = alert.resolved_ms.map_or("-".to_owned(), |ms| ms.to_string());
    format!(
        "{}.{} {} {}/{}/{resolved} {}={}{}",
        alert.episode,
        alert.revision,
        alert.state.word(),
        alert.began_ms,
        alert.fired_ms,
        alert.window.end_ms / 10,
        alert.values["n"],
        if alert.severity == Severity::High { "+" } else { "" },
    )
}

/// Each line of `table`: outcomes, `→`, the revisions they cause, separated by `;`.
fn check(hold_ms: i64, keep_ms: i64, table: &[(&str, &str)]) {
    let mut lifecycle = Lifecycle::new();
    run(&mut lifecycle, &spec(hold_ms, keep_ms), table);
}

fn run(lifecycle: &mut Lifecycle, spec: &AlertSpec, table: &[(&str, &str)]) {
    for (line, (words, expect)) in table.iter().enumerate() {
        let mut told = Vec::new();
        let mut together = Vec::new();
        for word in words.split_whitespace() {
            together.push(outcome(word.trim_end_matches(','), line as u64 + 1));
            if !word.ends_with(',') {
                told.extend(lifecycle.update_all(spec, &together).iter().map(print));
                // Sent again it changes nothing.
                let again = lifecycle.update_all(spec, &together);
                assert_eq!(again, [], "line {line}: {words}, sent twice");
                together.clear();
            }
        }
        assert_eq!(told.join("; "), *expect, "line {line}: {words}");
    }
}

#[test]
fn fires_early_and_takes_new_values_once_per_closed_window() {
    check(
        0,
        0,
        &[
            ("f3@24=10", "1.1 firing 20/24/- 3=10"),
            ("f3=11 f3=12", ""),
            ("F3=13", "1.2 firing 20/24/- 3=13"),
            ("f4=14 f4=15", ""),
            ("F4=15", "1.3 firing 20/24/- 4=15"),
            ("F5=15", ""),
            ("C6", "1.4 resolved 20/24/60 5=15"),
        ],
    );
}

#[test]
fn fires_on_close_and_a_new_episode_gets_a_new_id() {
    check(
        0,
        0,
        &[
            ("C1 C2", ""),
            ("F3", "1.1 firing 20/30/- 3=1"),
            ("C4 C5", "1.2 resolved 20/30/40 3=1"),
            ("F6", "2.1 firing 50/60/- 6=1"),
        ],
    );
}

#[test]
fn a_corrected_closed_window_waits_with_its_values_for_the_next_end() {
    check(
        0,
        0,
        &[
            ("F3=5", "1.1 firing 20/30/- 3=5"),
            ("F3=6 F3=7", ""),
            ("F4=7", "1.2 firing 20/30/- 4=7"),
            ("C5", "1.3 resolved 20/30/50 4=7"),
            // An ended alert has no next window end to wait for.
            ("F4@33=8", "1.4 resolved 20/30/50 4=8"),
        ],
    );
}

#[test]
fn severity_rises_at_once_and_falls_only_on_close() {
    check(
        0,
        0,
        &[
            ("f3", "1.1 firing 20/25/- 3=1"),
            ("f3+=2", "1.2 firing 20/25/- 3=2+"),
            ("F3+=2", ""),
            ("f4", ""),
            ("F4", "1.3 firing 20/25/- 4=1"),
        ],
    );
}

#[test]
fn hold_for_waits_for_a_closed_window_that_is_far_enough() {
    check(
        15,
        0,
        &[
            ("f3@24", "1.1 pending 20/24/- 3=1"),
            ("F3", ""),
            ("f4", ""),
            ("F4=3", "1.2 firing 20/40/- 4=3"),
            ("C5", "1.3 resolved 20/40/50 4=3"),
            ("F6", "2.1 pending 50/60/- 6=1"),
            ("C7", "2.2 resolved 50/60/70 6=1"),
            ("F8 F9 F10=2", "3.1 pending 70/80/- 8=1; 3.2 firing 70/100/- 10=2"),
        ],
    );
}

#[test]
fn keep_for_bridges_short_pauses() {
    check(
        0,
        20,
        &[
            ("F3", "1.1 firing 20/30/- 3=1"),
            ("C4 C5", ""),
            ("F6=1", ""),
            ("C7 C8", ""),
            ("C9", "1.2 resolved 20/30/90 6=1"),
        ],
    );
}

#[test]
fn hysteresis_keeps_what_was() {
    check(
        0,
        0,
        &[
            ("H1 H2", ""),
            ("F3", "1.1 firing 20/30/- 3=1"),
            ("H4 h5 H5", ""),
            ("C6", "1.2 resolved 20/30/60 3=1"),
            ("H7", ""),
        ],
    );
    // During keep_for a held window neither restarts nor stops the clock.
    check(
        0,
        20,
        &[("F3", "1.1 firing 20/30/- 3=1"), ("C4 H5", ""), ("H6", "1.2 resolved 20/30/60 3=1")],
    );
}

#[test]
fn an_early_alert_that_closes_clear_is_retracted() {
    check(
        0,
        0,
        &[
            ("f3@24", "1.1 firing 20/24/- 3=1"),
            ("C3@30", "1.2 retracted 20/24/1030 3=1"),
            ("F4", "2.1 firing 30/40/- 4=1"),
        ],
    );
}

#[test]
fn an_earlier_window_that_closes_clear_does_not_resolve_a_later_episode() {
    check(
        0,
        0,
        &[
            ("f4@34", "1.1 firing 30/34/- 4=1"),
            ("C3", ""),
            ("F4", ""),
            ("C5", "1.2 resolved 30/34/50 4=1"),
        ],
    );
    // A pause between two firing windows is known only when it closes: then the second is an episode of its own.
    check(
        0,
        0,
        &[
            ("F3", "1.1 firing 20/30/- 3=1"),
            ("f5@44=2", ""),
            ("C4", "1.2 resolved 20/30/40 3=1; 2.1 firing 40/44/- 5=2"),
        ],
    );
    check(
        0,
        0,
        &[
            ("F3", "1.1 firing 20/30/- 3=1"),
            ("f5@44=2", ""),
            ("F5=2", "1.2 resolved 20/30/40 3=1; 2.1 firing 40/44/- 5=2"),
        ],
    );
}

#[test]
fn a_late_row_raises_an_alert_that_is_over_already() {
    check(
        0,
        0,
        &[
            ("F9", "1.1 firing 80/90/- 9=1"),
            ("C10", "1.2 resolved 80/90/100 9=1"),
            ("F3@24", "2.1 resolved 20/24/40 3=1"),
            ("F4@33=2", "2.2 resolved 20/24/50 4=2"),
        ],
    );
    // With keep_for it is over that much later, and may reach the next episode.
    check(
        0,
        30,
        &[
            ("F9", "1.1 firing 80/90/- 9=1"),
            ("F3@24", "2.1 resolved 20/24/70 3=1"),
            ("F5@43", "2.2 retracted 20/24/1043 3=1; 1.2 firing 20/24/- 9=1"),
        ],
    );
}

#[test]
fn a_late_row_beside_an_episode_joins_it() {
    check(
        0,
        0,
        &[
            ("F5=2", "1.1 firing 40/50/- 5=2"),
            ("F4@33", "1.2 firing 30/33/- 5=2"),
            ("C6", "1.3 resolved 30/33/60 5=2"),
            ("F6@55=3", "1.4 firing 30/33/- 6=3"),
            ("C7", "1.5 resolved 30/33/70 6=3"),
        ],
    );
}

#[test]
fn a_withdrawal_shortens_splits_or_retracts() {
    check(
        0,
        0,
        &[
            ("F3 F4 F5=7", "1.1 firing 20/30/- 3=1; 1.2 firing 20/30/- 5=7"),
            ("C6", "1.3 resolved 20/30/60 5=7"),
            ("C5@61", "1.4 resolved 20/30/50 4=1"),
            ("F5@62", "1.5 resolved 20/30/60 5=1"),
            ("C4@63", "1.6 resolved 20/30/40 3=1; 2.1 resolved 40/62/60 5=1"),
            ("C3@64", "1.7 retracted 20/30/1064 3=1"),
            ("C5@65", "2.2 retracted 40/62/1065 5=1"),
        ],
    );
}

#[test]
fn what_one_cause_changes_is_told_once() {
    check(
        0,
        0,
        &[
            ("F9", "1.1 firing 80/90/- 9=1"),
            ("C10", "1.2 resolved 80/90/100 9=1"),
            ("F3@24=1, F4@24=2, F5@24=3", "2.1 resolved 20/24/60 5=3"),
            ("C3@101, C4@101, C5@101", "2.2 retracted 20/24/1101 5=3"),
        ],
    );
}

#[test]
fn reraise_counts_and_moves_the_values_it_compares_with() {
    let (mut lifecycle, spec) = (Lifecycle::new(), spec(0, 0));
    let key = outcome("F1", 0).key.canonical.clone();
    run(&mut lifecycle, &spec, &[("f3=10", "1.1 firing 20/25/- 3=10"), ("f3=12", "")]);
    assert_eq!(lifecycle.last_raised(0, &key).unwrap()["n"], 10);
    run(&mut lifecycle, &spec, &[("f3=15!", "1.2 firing 20/25/- 3=15")]);
    assert_eq!(lifecycle.last_raised(0, &key).unwrap()["n"], 15);
    run(&mut lifecycle, &spec, &[("C3", "1.3 retracted 20/25/1030 3=15")]);
    assert_eq!(lifecycle.last_raised(0, &key), None);
}

#[test]
fn values_at_firing_and_first_knowledge_stay() {
    let (mut lifecycle, spec) = (Lifecycle::new(), spec(0, 0));
    let first = lifecycle.update(&spec, &outcome("f3=10", 7)).remove(0);
    let second = lifecycle.update(&spec, &outcome("F3=20", 9)).remove(0);
    for alert in [&first, &second] {
        assert_eq!((alert.known, alert.fired_values["n"].as_i64()), ((7, 1025), Some(10)));
    }
    assert_eq!((second.changed_by, second.values["n"].as_i64()), (9, Some(20)));
    assert_eq!(first.id, second.id);
    assert_eq!(first.id.len(), 18);
}

#[test]
fn active_until_resolved_and_nothing_for_shadow_rules() {
    let (mut lifecycle, live) = (Lifecycle::new(), spec(0, 20));
    let key = outcome("F1", 0).key.canonical.clone();
    let shadow = AlertSpec { live: false, ..live.clone() };
    assert_eq!(lifecycle.update(&shadow, &outcome("F1", 1)), []);
    for (word, active) in [("C1", false), ("F3", true), ("C4", true), ("C5", true), ("C6", false)] {
        lifecycle.update(&live, &outcome(word, 1));
        assert_eq!(lifecycle.is_active(0, &key), active, "{word}");
    }
}

#[test]
fn forgotten_windows_stay_as_they_were() {
    let (mut lifecycle, spec) = (Lifecycle::new(), spec(0, 0));
    run(&mut lifecycle, &spec, &[("F3 F4", "1.1 firing 20/30/- 3=1")]);
    lifecycle.forget(0, 40);
    run(
        &mut lifecycle,
        &spec,
        &[
            ("C3@45", ""),
            ("f5=2", ""),
            ("F5=2", "1.2 firing 20/30/- 5=2"),
            ("C6", "1.3 resolved 20/30/60 5=2"),
        ],
    );
    lifecycle.forget(0, 1000);
    run(&mut lifecycle, &spec, &[("F200", "2.1 firing 1990/2000/- 200=1")]);
    lifecycle.forget(0, 1990);
    run(&mut lifecycle, &spec, &[("F3@24", "3.1 resolved 20/24/40 3=1")]);
}

#[test]
fn closed_windows_nobody_looked_at_are_clear() {
    let (mut lifecycle, spec) = (Lifecycle::new(), spec(0, 0));
    lifecycle.closed(0, 90);
    run(&mut lifecycle, &spec, &[("F3@24", "1.1 resolved 20/24/40 3=1")]);
    run(
        &mut lifecycle,
        &spec,
        &[("F9", "2.1 firing 80/90/- 9=1"), ("C10", "2.2 resolved 80/90/100 9=1")],
    );
}

#[test]
fn an_instant_alert_is_one_record() {
    let (mut lifecycle, forever, kept) =
        (Lifecycle::new(), spec(0, 0), AlertSpec { rule: 1, ..spec(0, 30) });
    let record = |word: &str, id: &str, rule: usize| Outcome {
        record: Some(id.into()),
        rule,
        ..outcome(word, 1)
    };
    let one = lifecycle.update(&forever, &record("F3", "r1", 0)).remove(0);
    let two = lifecycle.update(&forever, &record("F3", "r2", 0)).remove(0);
    assert_ne!(one.id, two.id);
    assert_eq!(lifecycle.update(&forever, &record("F3", "r1", 0)), []);
    let told = |alerts: Vec<Alert>| alerts.iter().map(print).collect::<Vec<_>>().join("; ");
    let steps = [
        (record("F3+", "r1", 0), "1.2 firing 20/30/- 3=1+"),
        (record("C3@44", "r1", 0), "1.3 retracted 20/30/1044 3=1+"),
        (record("C3@45", "r1", 0), ""),
        (record("F3", "r1", 0), "1.4 firing 20/30/- 3=1"),
        (record("C3", "r9", 0), ""),
    ];
    for (outcome, expect) in steps {
        assert_eq!(told(lifecycle.update(&forever, &outcome)), expect, "{outcome:?}");
    }
    let cause = Cause { at_ms: 60, arrival: 5, arrived_ms: 5 };
    assert_eq!(told(lifecycle.expire(&forever, cause, 60)), "");
    lifecycle.update(&kept, &record("F3", "r1", 1));
    assert_eq!(told(lifecycle.expire(&kept, cause, 59)), "");
    assert_eq!(told(lifecycle.expire(&kept, cause, 60)), "1.2 resolved 20/30/60 3=1");
    lifecycle.forget(1, 60);
    assert_eq!(told(lifecycle.update(&kept, &record("C3", "r1", 1))), "");
}

/// Truths of windows 1, 2, …; then one more clear window, so that nothing is left open.
fn truths() -> impl Strategy<Value = Vec<(u8, u8, bool)>> {
    prop::collection::vec((0_u8..6, 1_u8..4, any::<bool>()), 1..14)
}

fn closed_outcomes(truths: &[(u8, u8, bool)]) -> Vec<Outcome> {
    let mut words: Vec<String> = Vec::new();
    for (i, (truth, value, high)) in truths.iter().enumerate() {
        let kind = ["F", "F", "F", "C", "C", "H"][usize::from(*truth)];
        words.push(format!("{kind}{}={value}{}", i + 1, if *high { "+" } else { "" }));
    }
    words.iter().map(|w| outcome(w, 1)).collect()
}

/// The latest revision of each alert that stands, without what depends on arrival.
fn standing(lifecycle: &mut Lifecycle, spec: &AlertSpec, outcomes: &[Outcome]) -> Vec<String> {
    let mut latest = std::collections::BTreeMap::new();
    let end = outcome("C40", 1);
    for o in outcomes.iter().chain([&end]) {
        for alert in lifecycle.update(spec, o) {
            let before: Option<Alert> = latest.insert(alert.episode, alert.clone());
            assert_eq!(before.map_or(0, |a| a.revision) + 1, alert.revision);
        }
    }
    let mut out: Vec<String> = latest
        .values()
        .filter(|a| a.state != State::Retracted)
        .map(|a| print(&Alert { episode: 0, revision: 0, ..a.clone() }))
        .collect();
    out.sort();
    out
}

proptest! {
    #[test]
    fn order_of_arrival_does_not_change_what_stands(
        (truths, shuffled) in truths().prop_flat_map(|t| {
            let outcomes = closed_outcomes(&t);
            (Just(outcomes.clone()), Just(outcomes).prop_shuffle())
        }),
        (hold, keep) in (0_i64..3, 0_i64..3),
    ) {
        let spec = spec(hold * 10, keep * 10);
        let in_order = standing(&mut Lifecycle::new(), &spec, &truths);
        let any_order = standing(&mut Lifecycle::new(), &spec, &shuffled);
        prop_assert_eq!(in_order, any_order);
    }

    #[test]
    fn forgetting_what_is_settled_changes_nothing(
        truths in truths(), (hold, keep) in (0_i64..3, 0_i64..3), lag in 0_i64..4,
    ) {
        let spec = spec(hold * 10, keep * 10);
        let outcomes = closed_outcomes(&truths);
        let (mut all, mut some) = (Lifecycle::new(), Lifecycle::new());
        for o in &outcomes {
            prop_assert_eq!(all.update(&spec, o), some.update(&spec, o));
            some.forget(0, o.window.end_ms - lag * 10);
        }
    }

    #[test]
    fn looking_at_open_windows_first_does_not_change_what_stands(
        truths in truths(), keep in 0_i64..3,
    ) {
        let spec = spec(0, keep * 10);
        let outcomes = closed_outcomes(&truths);
        // Each firing window is seen open first, before the window ahead of it has closed.
        let mut early = Vec::new();
        for (i, o) in outcomes.iter().enumerate() {
            if let Some(next) = outcomes.get(i + 1).filter(|n| n.truth == Truth::Fire) {
                early.push(Outcome { closed: false, ..next.clone() });
            }
            early.push(o.clone());
        }
        let plain = standing(&mut Lifecycle::new(), &spec, &outcomes);
        prop_assert_eq!(plain, standing(&mut Lifecycle::new(), &spec, &early));
    }
}

#[test]
fn what_an_exception_covers_is_suppressed_until_it_ends() {
    let exception = |id: &str, from_ms: i64, until_ms: i64| Exception {
        id: id.into(),
        from_ms,
        until_ms,
        condition: None,
    };
    let spec = AlertSpec {
        exceptions: vec![exception("ex-1", 20, 40), exception("ex-2", 60, 70)],
        ..spec(0, 0)
    };
    run(
        &mut Lifecycle::new(),
        &spec,
        &[
            ("F2", "1.1 firing 10/20/- 2=1"),
            // The last moment of window 3 is 29: the exception has begun.
            ("F3", "1.2 suppressed 10/20/- 3=1"),
            ("F4=2", "1.3 suppressed 10/20/- 4=2"),
            // It has ended, and the alert still holds.
            ("F5=2", "1.4 firing 10/20/- 5=2"),
            ("C6", "1.5 resolved 10/20/60 5=2"),
            ("f7", "2.1 suppressed 60/65/- 7=1"),
            // Nobody was called, so nobody is called again.
            ("F7=3!", "2.2 suppressed 60/65/- 7=3"),
            ("C8", "2.3 resolved 60/65/80 7=3"),
        ],
    );
}
