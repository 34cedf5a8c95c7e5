//! A nowcast in front of a detector against both called directly, on made-up logs.
//!
//! The expected side is written from the contract: a record counts on the day on which it happened, with the delay until the
//! day on which it became known; delays beyond the longest count as that. A day is judged `wait` days behind its end, by
//! records known by then: the newest days, of which more will become known, have the median of the nowcast, all others what
//! is known. A day without a record known by then is never a signal.

use std::{cell::RefCell, collections::BTreeMap};

use forewarn::detect::{
    Series, catalogue,
    outbreak::{Nowcast, Triangle},
};
use jiff::tz::TimeZone;
use proptest::test_runner::TestCaseError;
use serde_json::{Map, Value, json};

use super::{
    Disorder, How, Line, World, check,
    detection::winners,
    difference, fail, first_difference,
    generate::{Case, DAY_MS, HOUR_MS, Row, cases},
    sql::{instant, local},
};

const HISTORY: usize = 3;
const LONGEST: usize = 3;
const WINDOW: usize = 8;

/// A rule that waits so many days, and its name.
const RULES: [(&str, usize); 2] = [("n0", 0), ("n1", 1)];

fn detector() -> (Value, Nowcast) {
    let nowcast = Nowcast { max_delay: LONGEST, window: Some(WINDOW), ..Nowcast::default() };
    (json!({"history": HISTORY, "alpha": 0.3}), nowcast)
}

fn file(id: &str, wait: usize) -> String {
    let wait = if wait > 0 { format!(", wait: {wait}d") } else { String::new() };
    format!(
        "rule: {id}\ntitle: {{zh: 规则, en: Rule}}\nkind: detect\nfeed: reports\nkey: [firm]\ntime: happened\n\
         series: {{value: count(*), period: day}}\n\
         nowcast: {{max_delay: {LONGEST}d, window: {WINDOW}d{wait}}}\n\
         detector: {{bayes_predictive: {}}}\nwhen: alarm\nseverity: low\n",
        detector().0
    )
}

/// When what a record tells of had happened: up to four days before it became known.
fn happened_ms(row: &Row) -> Option<i64> {
    row.values.cost.map(|cost| row.at_ms - cost * 20 * HOUR_MS)
}

fn world(case: &Case) -> World {
    let [(_, reports), _] = case.settings.feed_files();
    let feed = format!("delays: {{happened: 9d}}\n{reports}  happened: timestamp\n");
    let line = |row: &Row| {
        let mut line: Value = serde_json::from_str(&row.line()).unwrap();
        let at = |ms: i64| jiff::Timestamp::from_millisecond(ms).unwrap().to_string();
        line["happened"] = json!(happened_ms(row).map(at));
        format!("{line}\n")
    };
    let lines: String = case.rows.iter().filter(|r| r.report).map(line).collect();
    let rules: Vec<String> = RULES.iter().map(|(id, wait)| file(id, *wait)).collect();
    World::of(case.zone, &[("reports", feed)], &rules, &[lines])
}

fn expected(case: &Case, (id, wait): (&str, usize)) -> Vec<Line> {
    let tz = TimeZone::get(case.zone).unwrap();
    let day_of = |ms: i64| local(&tz, ms).div_euclid(DAY_MS);
    let reports: Vec<&Row> = case.rows.iter().filter(|r| r.report).collect();
    let Some(first) = reports.iter().map(|r| day_of(r.at_ms)).min() else { return Vec::new() };
    let epoch = jiff::civil::Date::constant(1970, 1, 1);
    let declared = case.settings.history_day();
    let first = declared.map_or(first, |date| i64::from((date - epoch).get_days()));
    let last_ms = reports.iter().map(|r| r.at_ms).max().unwrap_or(0);
    // Firm → day, delay → records.
    let mut all: BTreeMap<&str, BTreeMap<(i64, usize), f64>> = BTreeMap::new();
    for row in winners(&reports) {
        let (Some(firm), Some(happened)) = (row.values.firm, happened_ms(row)) else { continue };
        let (day, known) = (day_of(happened), day_of(row.at_ms));
        let delay = usize::try_from((known - day).max(0)).unwrap().min(LONGEST);
        *all.entry(firm).or_default().entry((day, delay)).or_default() += 1.0;
    }
    let (parameters, nowcast) = detector();
    let Value::Object(parameters) = parameters else { unreachable!() };
    let detector = catalogue::of_series("bayes_predictive", parameters).unwrap();
    let mut lines = Vec::new();
    for (firm, counts) in &all {
        let of = |day: i64, delay: usize| counts.get(&(day, delay)).copied().unwrap_or(0.0);
        let seen =
            |day: i64, delay: usize| (0..=delay.min(LONGEST)).map(|d| of(day, d)).sum::<f64>();
        let mut days: Vec<i64> =
            counts.keys().map(|(day, _)| *day).filter(|d| *d >= first).collect();
        days.dedup();
        for day in days.into_iter().filter(|day| seen(*day, wait) > 0.0) {
            let back = usize::try_from(day - first).unwrap();
            let row = |age: usize| {
                let day = day + wait as i64 - age as i64;
                let known = |d: usize| if age < wait || d > age { 0.0 } else { of(day, d) };
                (0..=LONGEST).map(known).collect::<Vec<f64>>()
            };
            let oldest = (back + wait).min(WINDOW);
            let triangle = Triangle { counts: (0..=oldest).rev().map(row).collect() };
            let Ok(estimates) = nowcast.estimates(&triangle) else { continue };
            let of_age = |age: usize| estimates[LONGEST - age];
            let value = |back: usize| {
                let (day, age) = (day - back as i64, back + wait);
                if age < LONGEST { of_age(age).median.unwrap() } else { seen(day, LONGEST) }
            };
            let values: Vec<f64> = (0..=back).rev().map(value).collect();
            let series = Series { periods_per_year: 365, ..Series::new(&values) };
            let found = detector.evaluate(&series, back..back + 1).unwrap();
            let Some(judged) = found[0].judged().filter(|judged| judged.alarm) else { continue };
            let now = of_age(wait);
            let values = json!({
                "value": seen(day, wait) as i64, "expected": judged.expected,
                "upper_bound": judged.upper_bound, "score": judged.score, "p_value": judged.p_value,
                "alarm": true, "nowcast": now.median, "nowcast_lower": now.lower,
                "nowcast_upper": now.upper,
            });
            let Value::Object(values) = values else { unreachable!() };
            let end = instant(&tz, (day + 1) * DAY_MS);
            let closes = instant(&tz, (day + 1 + wait as i64) * DAY_MS);
            let key: Map<String, Value> = Map::from_iter([("firm".to_owned(), json!(firm))]);
            lines.push(Line {
                rule: id.into(),
                key: Value::Object(key).to_string(),
                window: (instant(&tz, day * DAY_MS), end),
                record: String::new(),
                severity: "low".into(),
                open: closes > last_ms,
                values,
            });
        }
    }
    lines
}

#[test]
fn what_a_detector_sees_is_what_will_be_known_by_what_is() {
    let found = RefCell::new(0);
    check(cases(20..220, 0..1), 24, |case| {
        let how = How { shards: 2, batch_rows: 16, ..How::default() };
        let written = world(case).replay(how);
        for rule in RULES {
            let (mut got, mut expected) = (written.lines(rule.0), expected(case, rule));
            *found.borrow_mut() += expected.len();
            let place = |l: &Line| (l.window, l.key.clone());
            got.sort_by_key(place);
            expected.sort_by_key(place);
            if let Some(difference) = difference(&got, &expected) {
                return fail(format!("{}: {difference}\n{}", rule.0, file(rule.0, rule.1)));
            }
        }
        Ok(())
    });
    assert!(*found.borrow() > 0);
}

#[test]
fn nothing_about_the_run_shows_in_a_nowcast() {
    check(cases(20..220, 0..1), 12, |case| -> Result<(), TestCaseError> {
        let world = world(case);
        let plain = world.replay(How::default());
        for (shards, batch_rows, eager, shuffle) in [
            (3, 7, false, None),
            (1, 1, true, None),
            (3, 16, false, Some(1)),
            (1, 5, true, Some(2)),
        ] {
            let disorder = Disorder { shuffle, duplicates: None };
            let how = How { shards, batch_rows, eager, disorder };
            let other = world.replay(how);
            if let Some(difference) = first_difference(&plain.signals, &other.signals) {
                return fail(format!("signals with {how:?}:{difference}"));
            }
        }
        Ok(())
    });
}
