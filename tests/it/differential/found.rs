//! What the generated cases found once, each as small as it gets.

use serde_json::{Value, json};

use super::{How, World, Written};

/// What is found by one rule over one feed, in UTC.
fn written(times: &str, rule: &str, rows: &[Value], how: How) -> Written {
    let feed = format!(
        "feed: reports\ntitle: {{zh: 报告, en: Reports}}\nrecord_id: id\nversion: v\nop: op\nevent_time: at\n{times}\n\
         columns:\n  id: text\n  v: int\n  op: text\n  at: {{type: timestamp, required: true}}\n  firm: text\n  \
         region: text\n  score: int\n"
    );
    let rule =
        format!("rule: r\ntitle: {{zh: 规则, en: Rule}}\nkind: window\nfeed: reports\n{rule}\n");
    let lines: String = rows.iter().map(|r| format!("{r}\n")).collect();
    World::of("UTC", &[("reports", feed)], &[rule], &[lines]).replay(how)
}

/// Its signals: window end, values, and whether it is open.
fn signals(times: &str, rule: &str, rows: &[Value], how: How) -> Vec<String> {
    let line = |l: super::Line| {
        let end = jiff::Timestamp::from_millisecond(l.window.1).unwrap();
        let values = Value::Object(l.values);
        format!("{end} {values}{}", if l.open { " open" } else { "" })
    };
    written(times, rule, rows, how).lines("r").into_iter().map(line).collect()
}

/// Its alerts as they ended, the same for a replay and for live runs: how they ended, when they fired, in which window with what values, and
/// the records behind it.
fn alerts(times: &str, rule: &str, rows: &[Value]) -> Vec<String> {
    let plain = written(times, rule, rows, How::default()).alerts;
    for batch_rows in [1, 2, 3, 100] {
        let live = How { batch_rows, eager: true, ..How::default() };
        assert_eq!(written(times, rule, rows, live).alerts, plain, "{batch_rows} rows at once");
    }
    let line = |line: &str| {
        let alert: Value = serde_json::from_str(line).unwrap();
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        format!(
            "{} {} {} {} {}",
            text(&alert["state"]),
            text(&alert["fired_at"]),
            text(&alert["window"]["end"]),
            alert["values"],
            alert["evidence"]
        )
    };
    let mut lines: Vec<String> = plain.lines().map(line).collect();
    lines.sort();
    lines
}

/// A row of firm `f`.
fn row(id: &str, at: &str, score: impl Into<Value>) -> Value {
    json!({"id": id, "v": 1, "op": "insert", "at": at, "firm": "f", "region": "a", "score": score.into()})
}

fn with(mut row: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        row[name] = value.clone();
    }
    row
}

#[test]
fn a_compare_that_gets_its_history_is_looked_at_without_a_new_row() {
    let rule = "status: shadow\nkey: [firm]\nwindow: {sliding: 3d, every: 1d}\nmeasures: {n: count(*)}\n\
                compare: {c: {shift: 4d}}\nwhen: n >= 2 and c.n < 1";
    let rows = [
        row("a", "2026-03-06T12:00:00Z", 1),
        row("b", "2026-03-06T13:00:00Z", 1),
        with(row("c", "2026-03-20T00:00:00Z", 1), json!({"firm": "g"})),
    ];
    // The window of 03-07 begins 4 days after 02-28, that of 03-09 after 03-02.
    let got = signals("history_from: 2026-03-02", rule, &rows, How::default());
    assert_eq!(got, [r#"2026-03-09T00:00:00Z {"n":2,"c.n":0}"#]);
}

#[test]
fn what_a_late_row_makes_true_stays_true_in_the_next_window() {
    let rule = "status: shadow\nkey: [firm]\nwindow: {sliding: 3d, every: 1d}\nmeasures: {n: count(*)}\nwhen: n >= 2";
    let rows = [
        row("a", "2026-03-02T12:00:00Z", 1),
        with(row("b", "2026-03-03T06:00:00Z", 1), json!({"firm": "g"})),
        row("c", "2026-03-02T13:00:00Z", 1),
        with(row("d", "2026-03-09T00:00:00Z", 1), json!({"firm": "g"})),
    ];
    let got = signals("allowed_lateness: 5d", rule, &rows, How::default());
    let of = |day: u32| format!("2026-03-0{day}T00:00:00Z {{\"n\":2}}");
    assert_eq!(got, [of(3), of(4), of(5)]);
}

#[test]
fn a_record_replaced_twice_within_a_batch_is_gone_twice() {
    let rule = "status: shadow\nkey: [firm]\nwindow: {tumbling: 1d}\nmeasures: {least: min(score), n: count(*)}\nwhen: n >= 1";
    let version = |v: i64, score: i64| {
        with(row("a", "2026-03-02T12:00:00Z", score), json!({"v": v, "op": "correct"}))
    };
    let rows = [
        version(1, 1),
        row("b", "2026-03-02T13:00:00Z", 9),
        version(2, 2),
        row("c", "2026-03-02T14:00:00Z", 8),
        version(3, 7),
        row("d", "2026-03-02T15:00:00Z", 9),
        version(4, 8),
    ];
    for batch_rows in [1, 3, 100] {
        let how = How { batch_rows, ..How::default() };
        let got = signals("allowed_lateness: 5d", rule, &rows, how);
        assert_eq!(got, [r#"2026-03-03T00:00:00Z {"least":8,"n":4} open"#], "{batch_rows}");
    }
}

#[test]
fn a_row_late_within_the_hour_still_belongs_to_its_session() {
    let rule = "status: shadow\nkey: [firm]\nwindow: {session: 10m, max: 1d}\nmeasures: {n: count(*)}\nwhen: n >= 1";
    let rows = [
        row("a", "2026-03-02T10:02:00Z", 1),
        with(row("b", "2026-03-02T11:50:00Z", 1), json!({"firm": "g"})),
        with(row("c", "2026-03-02T13:50:00Z", 1), json!({"firm": "g"})),
        row("d", "2026-03-02T13:20:00Z", 1),
        row("e", "2026-03-02T13:25:00Z", 1),
        row("f", "2026-03-02T16:00:00Z", 1),
    ];
    let got = signals("allowed_lateness: 5d", rule, &rows, How::default());
    assert!(got.contains(&r#"2026-03-02T13:35:00Z {"n":2}"#.to_owned()), "{got:?}");
}

#[test]
fn a_window_of_which_no_measure_counts_a_row_has_rows() {
    let rule = "status: shadow\nkey: [firm]\nwindow: {tumbling: 1d}\nmeasures: {good: {where: score > 5, value: count(*)}}\nwhen: good < 1";
    let rows = [row("a", "2026-03-02T12:00:00Z", 1)];
    let got = signals("", rule, &rows, How::default());
    assert_eq!(got, [r#"2026-03-03T00:00:00Z {"good":0} open"#]);
}

#[test]
fn a_bound_of_zero_asks_for_no_row() {
    let rule = "status: shadow\nkey: [firm]\nwindow: {tumbling: 1d}\n\
                measures: {n: count(*), bad: count(*) filter (where score > 5)}\nwhen: n >= 1 and bad >= 0";
    let rows = [row("a", "2026-03-02T12:00:00Z", 1)];
    let got = signals("", rule, &rows, How::default());
    assert_eq!(got, [r#"2026-03-03T00:00:00Z {"n":1,"bad":0} open"#]);
}

#[test]
fn peers_without_a_counted_row_have_none_of_them() {
    let rule = "status: shadow\nkey: [firm, region]\nwindow: {tumbling: 1d}\nmeasures: {bad: count(*) filter (where score > 5)}\n\
                compare: {c: {key: [region]}}\nwhen: bad < 1 and c.bad < 1";
    let rows = [row("a", "2026-03-02T12:00:00Z", 1)];
    let got = signals("", rule, &rows, How::default());
    assert_eq!(got, [r#"2026-03-03T00:00:00Z {"bad":0,"c.bad":0} open"#]);
}

#[test]
fn the_last_value_is_null_where_the_last_row_has_none() {
    let rule = "status: shadow\nkey: [firm]\nwindow: {tumbling: 1d}\nmeasures: {n: count(*), x: last_value(score order by at)}\nwhen: n >= 1";
    let rows = [row("a", "2026-03-02T12:00:00Z", 1), row("b", "2026-03-02T13:00:00Z", Value::Null)];
    let got = signals("", rule, &rows, How::default());
    assert_eq!(got, [r#"2026-03-03T00:00:00Z {"n":2,"x":null} open"#]);
}

#[test]
fn a_record_that_was_withdrawn_is_history_in_any_order() {
    let rule = "status: shadow\nkey: [firm]\nwindow: {tumbling: 1d}\nmeasures: {n: count(*)}\n\
                compare: {c: {shift: 1d}}\nwhen: n >= 1 and c.n is not null";
    let old = row("a", "2026-03-02T12:00:00Z", 1);
    let gone = with(old.clone(), json!({"v": 2, "op": "withdraw"}));
    let next = row("b", "2026-03-03T12:00:00Z", 1);
    for rows in
        [[old.clone(), next.clone(), gone.clone()], [gone.clone(), next.clone(), old.clone()]]
    {
        let got = signals("allowed_lateness: 5d", rule, &rows, How::default());
        assert_eq!(got, [r#"2026-03-04T00:00:00Z {"n":1,"c.n":0} open"#]);
    }
}

#[test]
fn a_row_that_adds_nothing_to_what_a_key_waits_for_is_not_forgotten() {
    let rule = "status: shadow\nkey: [firm]\nwindow: {sliding: 10d, every: 1d}\nmeasures: {total: sum(score), n: count(*)}\nwhen: total >= 3";
    let rows = [
        row("a", "2026-03-02T12:00:00Z", 0),
        with(row("b", "2026-03-04T12:00:00Z", 0), json!({"firm": "g"})),
        row("c", "2026-03-05T12:00:00Z", 5),
        with(row("d", "2026-03-06T00:00:00Z", 0), json!({"firm": "g"})),
    ];
    let got = signals("", rule, &rows, How::default());
    assert_eq!(got[0], r#"2026-03-06T00:00:00Z {"total":5,"n":2}"#);
}

#[test]
fn the_window_that_a_record_made_true_first_fires_whoever_looked_when() {
    let rule = "key: [firm]\nwindow: {tumbling: 1d}\nmeasures: {n: count(*)}\nwhen: n >= 2";
    let rows = [
        row("a", "2026-03-02T12:00:00Z", 1),
        row("b", "2026-03-04T12:00:00Z", 1),
        row("c", "2026-03-04T13:00:00Z", 1),
        row("d", "2026-03-02T14:00:00Z", 1),
        with(row("e", "2026-03-14T00:00:00Z", 1), json!({"firm": "g"})),
    ];
    let got = alerts("out_of_order: 5d", rule, &rows);
    let expect = [
        r#"resolved 2026-03-03T00:00:00Z 2026-03-03T00:00:00Z {"n":2} ["a","d"]"#,
        r#"resolved 2026-03-04T13:00:00Z 2026-03-05T00:00:00Z {"n":2} ["b","c"]"#,
    ];
    assert_eq!(got, expect);
}

#[test]
fn a_row_out_of_order_is_seen_by_later_windows_too() {
    let rule =
        "key: [firm]\nwindow: {sliding: 2d, every: 1d}\nmeasures: {n: count(*)}\nwhen: n >= 3";
    let rows = [
        row("a", "2026-03-03T12:00:00Z", 1),
        row("b", "2026-03-04T12:00:00Z", 1),
        row("c", "2026-03-03T13:00:00Z", 1),
        row("d", "2026-03-04T13:00:00Z", 1),
    ];
    let got = alerts("out_of_order: 3d", rule, &rows);
    assert_eq!(got, [r#"firing 2026-03-03T13:00:00Z 2026-03-05T00:00:00Z {"n":3} ["a","c","b"]"#]);
}

#[test]
fn an_open_window_is_compared_with_what_had_arrived() {
    let rule = "key: [firm]\nwindow: {tumbling: 1d}\nmeasures: {n: count(*)}\ncompare: {c: {shift: 1d}}\n\
                when: n >= 2 and c.n = 1";
    let rows = [
        row("a", "2026-03-02T12:00:00Z", 1),
        row("b", "2026-03-03T12:00:00Z", 1),
        row("c", "2026-03-03T13:00:00Z", 1),
        row("d", "2026-03-02T13:00:00Z", 1),
        with(row("e", "2026-03-09T00:00:00Z", 1), json!({"firm": "g"})),
    ];
    // The last record before the close makes it untrue, and the close takes it back.
    let got = alerts("history_from: 2026-03-01\nout_of_order: 2d", rule, &rows);
    let expect = r#"retracted 2026-03-03T13:00:00Z 2026-03-04T00:00:00Z {"n":2,"c.n":1} ["b","c"]"#;
    assert_eq!(got, [expect]);
}

#[test]
fn evidence_is_what_had_arrived_when_the_alert_was_told() {
    let rule = "key: [firm]\nwindow: {tumbling: 7d, start: monday}\n\
                measures: {n: count(*), bad: count(*) filter (where score > 5)}\nwhen: n >= 2";
    let rows = [
        row("a", "2026-03-02T12:00:00Z", 9),
        row("b", "2026-03-03T12:00:00Z", 9),
        row("c", "2026-03-04T12:00:00Z", 9),
    ];
    let got = alerts("", rule, &rows);
    assert_eq!(
        got,
        [r#"firing 2026-03-03T12:00:00Z 2026-03-09T00:00:00Z {"n":2,"bad":2} ["a","b"]"#]
    );
}

#[test]
fn a_record_without_versions_can_change_a_window_that_is_closed() {
    let feed = "feed: reports\ntitle: {zh: 报告, en: Reports}\nrecord_id: id\nevent_time: at\ndedup_for: 30d\n\
                columns:\n  id: text\n  at: {type: timestamp, required: true}\n  firm: text\n";
    let rule = "rule: r\ntitle: {zh: 规则, en: Rule}\nstatus: shadow\nkind: window\nfeed: reports\nkey: [firm]\n\
                window: {tumbling: 1d}\nmeasures: {n: count(*)}\nwhen: n >= 2\n";
    let ends = |second: &str| {
        let line = |id: &str, at: &str, firm: &str| {
            format!("{}\n", json!({"id": id, "at": at, "firm": firm}))
        };
        let lines = [
            line("a", "2026-03-02T10:00:00Z", "f"),
            line("b", "2026-03-02T11:00:00Z", "f"),
            line("c", "2026-03-04T10:00:00Z", "g"),
            line("b", "2026-03-04T11:00:00Z", second),
            line("d", "2026-03-09T00:00:00Z", "g"),
        ];
        let world = World::of(
            "UTC",
            &[("reports", feed.to_owned())],
            &[rule.to_owned()],
            &[lines.concat()],
        );
        let found = world.replay(How::default()).lines("r");
        found.into_iter().map(|l| l.window.1).collect::<Vec<_>>()
    };
    // Of two contents under one id and no version one counts, whichever it is: by its content, not by its arrival.
    let counts = ["f", "g", "h", "i", "j", "k"].map(|second| ends(second).len());
    assert!(counts.contains(&1), "the first content wins against some: {counts:?}");
    assert!(
        counts.contains(&0),
        "and loses against others, though its window is closed: {counts:?}"
    );
}
