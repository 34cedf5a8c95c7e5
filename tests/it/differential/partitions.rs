//! Several partitions of one feed, some of which begin late, are silent for long or far behind the others: whatever is
//! admitted of their rows, signals are those of the admitted rows in order.

use proptest::{collection::vec, prelude::*};
use serde_json::json;

use super::{
    How, World, config, first_difference,
    generate::{DAY_MS, HOUR_MS, span},
};

const START_MS: i64 = 1_772_323_200_000; // 2026-03-01

/// A row: partition, hour of its event, firm.
type Row = (usize, i64, usize);

const RULES: [&str; 3] = [
    "window: {sliding: 3d, every: 1d}\nmeasures: {n: count(*), least: min(score)}\nwhen: n >= 2 and least < 9",
    "window: {tumbling: 1d}\nmeasures: {n: count(*)}\ncompare: {c: {shift: 2d}}\nwhen: n > c.n",
    "window: {session: 6h, max: 2d}\nmeasures: {n: count(*)}\nwhen: n >= 2",
];

fn world(times: &str) -> World {
    let feed = format!(
        "feed: reports\ntitle: {{zh: 报告, en: Reports}}\nevent_time: at\narrived_at: got\nhistory_from: 2026-02-01\n{times}\n\
         columns:\n  at: {{type: timestamp, required: true}}\n  got: timestamp\n  firm: text\n  score: int\n"
    );
    let rules: Vec<String> = RULES
        .iter()
        .enumerate()
        .map(|(i, rule)| {
            format!("rule: r{i}\ntitle: {{zh: 规则, en: Rule}}\nkind: window\nfeed: reports\nkey: [firm]\n{rule}\n")
        })
        .collect();
    World::of("UTC", &[("reports", feed)], &rules, &[])
}

fn line(arrival: i64, (_, hour, firm): Row) -> String {
    let at = |ms: i64| jiff::Timestamp::from_millisecond(ms).unwrap().to_string();
    let row = json!({"at": at(START_MS + hour * HOUR_MS), "got": at(START_MS + 100 * DAY_MS + arrival),
        "firm": format!("f{firm}"), "score": hour % 12});
    format!("{row}\n")
}

/// Rows of four partitions, each behind the first by a lag of its own.
fn logs() -> impl Strategy<Value = (i64, i64, Vec<Row>)> {
    let lags = prop::array::uniform4(0..30i64);
    let rows = vec((0..4usize, 0..20i64, 0..3usize), 20..160);
    (0..30i64, 0..96i64, lags, rows).prop_map(|(out_of_order, lateness, lags, rows)| {
        let rows = rows.into_iter().enumerate().map(|(i, (p, jitter, firm))| {
            let hour = i as i64 * 6 - if p == 0 { 0 } else { lags[p] * 12 } + jitter;
            (p, hour, firm)
        });
        (out_of_order, lateness, rows.collect())
    })
}

#[test]
fn signals_are_those_of_the_admitted_rows_whatever_their_partitions() {
    let (refused, admitted) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let mut runner = proptest::test_runner::TestRunner::new(config(48));
    let ran = runner.run(&logs(), |(out_of_order, lateness, rows)| {
        let times = format!(
            "out_of_order: {}\nallowed_lateness: {}",
            span(out_of_order * HOUR_MS),
            span(lateness * HOUR_MS)
        );
        let mut several = world(&times);
        for p in 0..4 {
            let own = rows.iter().enumerate().filter(|(_, row)| row.0 == p);
            let lines: String = own.map(|(i, row)| line(i as i64, *row)).collect();
            several.file(0, &format!("p{p}"), &lines);
        }
        let written = several.replay_any(How { shards: 2, batch_rows: 16, ..How::default() });
        let mut next = [0u64; 4];
        let mut kept: Vec<Row> = Vec::new();
        for row in &rows {
            next[row.0] += 1;
            if !written.dead.contains(&(format!("p{}.ndjson", row.0), next[row.0])) {
                kept.push(*row);
            }
        }
        prop_assert_eq!(rows.len() - kept.len(), written.dead.len(), "{:?}", written.dead);
        refused.set(refused.get() + written.dead.len());
        admitted.set(admitted.get() + kept.len());
        kept.sort_by_key(|row| row.1);
        let mut one = world("");
        let lines: String = kept.iter().enumerate().map(|(i, row)| line(i as i64, *row)).collect();
        one.file(0, "all", &lines);
        let expected = one.replay(How::default()).signals;
        // Windows that are still open at the end are others where the last rows are refused or out of order.
        let closed = |signals: &str| signals.replace(",\"open\":true", "");
        if let Some(difference) = first_difference(&closed(&written.signals), &closed(&expected)) {
            return Err(TestCaseError::fail(format!("got and expected:{difference}")));
        }
        Ok(())
    });
    println!("{} rows admitted, {} refused", admitted.get(), refused.get());
    assert_eq!(ran, Ok(()));
    assert!(refused.get() > 0 && admitted.get() > refused.get());
}
