//! Detectors in rules against the same detectors called directly, on made-up logs.
//!
//! The expected side is written from the contract: of each record the highest version counts; a key's series has one value
//! for each local day from the beginning of the feed's history, 0 where it has no record; the detector sees the series up to
//! the day and judges the day alone, a chart from its beginning; a day without a record of the key is never a signal.

use std::collections::{BTreeMap, BTreeSet};

use forewarn::detect::{Judgement, Series, catalogue, ratio::multiplicity};
use jiff::tz::TimeZone;
use proptest::test_runner::TestCaseError;
use serde_json::{Map, Value, json};

use super::{
    Disorder, How, Line, World, check, difference, fail, first_difference,
    generate::{Case, DAY_MS, Row, cases},
    sql::{instant, local},
};

/// A rule over `reports`, and how its detector is called.
struct Detection {
    id: &'static str,
    key: &'static [&'static str],
    /// YAML of the series.
    series: &'static str,
    /// Days of a period, which is judged every day.
    width: i64,
    /// Value and population of one record.
    counts: fn(&Row) -> (f64, f64),
    population: Option<&'static str>,
    detector: (&'static str, Value),
    fallback: Option<(&'static str, Value)>,
    /// Of a chart: periods before it, and periods it is drawn over.
    chart: Option<(usize, usize)>,
    /// Periods that the detector looks back.
    reach: usize,
    /// Level, and the key columns that a family ranges over.
    control: Option<(f64, &'static [&'static str])>,
    /// Days from the log's beginning that are no part of a baseline.
    exclude: Option<(i64, i64)>,
}

/// A key's day: value and population, and what its detector says of it.
type Told<'a> = (&'a Vec<&'static str>, (f64, f64), Option<Judgement>);

impl Default for Detection {
    fn default() -> Self {
        Self {
            id: "",
            key: &["firm"],
            series: "value: count(*)",
            width: 1,
            counts: |_| (1.0, 0.0),
            population: None,
            detector: ("ears", json!({})),
            fallback: None,
            chart: None,
            reach: 0,
            control: None,
            exclude: None,
        }
    }
}

fn detections() -> Vec<Detection> {
    let bayes = |history: u32| ("bayes_predictive", json!({"history": history, "alpha": 0.3}));
    let ears =
        json!({"method": "c1", "baseline": 4, "min_count": 1, "min_sigma": 0.1, "alpha": 0.2});
    vec![
        Detection {
            id: "d0",
            detector: ("ears", ears.clone()),
            fallback: Some(bayes(2)),
            ..Detection::default()
        },
        Detection {
            id: "d1",
            key: &["firm", "region"],
            detector: bayes(3),
            ..Detection::default()
        },
        Detection {
            id: "d2",
            detector: ("cusum", json!({"h": 1, "k": 0.3, "mean": "history"})),
            chart: Some((5, 4)),
            ..Detection::default()
        },
        Detection {
            id: "d3",
            series: "numerator: \"count(*) filter (where kind = 'a')\", denominator: count(*)",
            counts: |row| (f64::from(u8::from(row.values.kind == Some("a"))), 1.0),
            population: Some("denominator"),
            detector: ("proportion", json!({"history": 3, "min_n": 1, "alpha": 0.3})),
            ..Detection::default()
        },
        Detection {
            id: "d4",
            series: "value: count(*), exposure: sum(cost)",
            counts: |row| (1.0, row.values.cost.unwrap_or(0) as f64),
            population: Some("exposure"),
            detector: ("count_exceedance", json!({"history": 4, "alpha": 0.3})),
            ..Detection::default()
        },
        Detection {
            id: "d5",
            key: &["firm", "region"],
            detector: bayes(3),
            reach: 3,
            control: Some((0.4, &["firm"])),
            ..Detection::default()
        },
        Detection {
            id: "d6",
            key: &["region"],
            detector: bayes(6),
            reach: 6,
            control: Some((0.5, &[])),
            exclude: Some((3, 6)),
            ..Detection::default()
        },
        Detection { id: "d7", width: 3, detector: bayes(2), ..Detection::default() },
    ]
}

impl Detection {
    fn file(&self, case: &Case) -> String {
        let (key, series) = (self.key.join(", "), self.series);
        let named = |(name, parameters): &(&str, Value)| format!("{{{name}: {parameters}}}");
        let mut text = format!(
            "rule: {}\ntitle: {{zh: 规则, en: Rule}}\nkind: detect\nfeed: reports\nkey: [{key}]\n\
             detector: {}\nwhen: alarm\nseverity: {{high: score > 1, else: low}}\n",
            self.id,
            named(&self.detector)
        );
        let chart = self.chart.map(|(baseline, run)| format!(", baseline: {baseline}, run: {run}"));
        text += &format!(
            "series: {{{series}, period: {}d, every: 1d{}}}\n",
            self.width,
            chart.unwrap_or_default()
        );
        if let Some(fallback) = &self.fallback {
            text += &format!("fallback: {}\n", named(fallback));
        }
        if let Some((from, to)) = self.exclude {
            let day = |n: i64| case.settings.start.date() + jiff::Span::new().days(n);
            text += &format!("exclude: [{{from: {}, to: {}, reason: 测试}}]\n", day(from), day(to));
        }
        if let Some((fdr, over)) = self.control {
            let over = over.join(", ");
            text += &format!("alert: {{control: {{fdr: {fdr}, over: [{over}]}}}}\n");
        }
        text
    }

    /// The key of a record, and its columns; `None` where one is missing.
    fn key_of(&self, row: &Row) -> Option<Vec<&'static str>> {
        let column = |name: &&str| match *name {
            "firm" => row.values.firm,
            _ => row.values.region,
        };
        self.key.iter().map(column).collect()
    }

    /// What a detector says of the last day of a series.
    fn ask(
        (name, parameters): &(&str, Value),
        chart: Option<(usize, usize)>,
        values: &[f64],
        population: Option<&[f64]>,
    ) -> Option<Judgement> {
        let Value::Object(parameters) = parameters.clone() else { panic!("an object") };
        let detector = catalogue::of_series(name, parameters).unwrap();
        let now = values.len() - 1;
        let (from, start) = match chart {
            None => (0, now),
            Some((baseline, _)) if now < baseline => return None,
            Some((baseline, run)) => {
                let from = now.saturating_sub(baseline + run);
                (from, now.saturating_sub(run).max(baseline) - from)
            }
        };
        let series = Series {
            population: population.map(|p| &p[from..]),
            periods_per_year: 365,
            ..Series::new(&values[from..])
        };
        let found = detector.evaluate(&series, start..series.len()).unwrap();
        found.last().and_then(|verdict| verdict.judged().copied())
    }

    /// The signals of a log.
    fn expected(&self, case: &Case) -> Vec<Line> {
        let tz = TimeZone::get(case.zone).unwrap();
        let reports: Vec<&Row> = case.rows.iter().filter(|r| r.report).collect();
        let day_of = |ms: i64| local(&tz, ms).div_euclid(DAY_MS);
        let Some(first) = reports.iter().map(|r| day_of(r.at_ms)).min() else { return Vec::new() };
        let epoch = jiff::civil::Date::constant(1970, 1, 1);
        let day_number = |date: jiff::civil::Date| i64::from((date - epoch).get_days());
        let first = case.settings.history_day().map_or(first, day_number);
        let last_ms = case.rows.iter().map(|r| r.at_ms).max().unwrap_or(0);
        // Key → day → value, population.
        let mut days: BTreeMap<Vec<&str>, BTreeMap<i64, (f64, f64)>> = BTreeMap::new();
        for row in winners(&reports) {
            let Some(key) = self.key_of(row) else { continue };
            let cell = days.entry(key).or_default().entry(day_of(row.at_ms)).or_default();
            let (value, population) = (self.counts)(row);
            *cell = (cell.0 + value, cell.1 + population);
        }
        let width = self.width;
        let ends = |day: &i64| *day..*day + width;
        let all: BTreeSet<i64> = days.values().flat_map(BTreeMap::keys).flat_map(ends).collect();
        let begins = day_number(case.settings.start.date());
        let excluded =
            |day: i64| self.exclude.is_some_and(|(a, b)| (begins + a..=begins + b).contains(&day));
        let mut lines = Vec::new();
        // The last day of each period.
        for day in all.into_iter().filter(|day| *day - width + 1 >= first) {
            let mut told: Vec<Told<'_>> = Vec::new();
            let mut quiet: Vec<&Vec<&str>> = Vec::new();
            for (key, of_key) in &days {
                let period = |last: i64| {
                    let in_it = of_key.range(last - width + 1..=last).map(|(_, cell)| *cell);
                    in_it.reduce(|a, b| (a.0 + b.0, a.1 + b.1))
                };
                let Some(now) = period(day) else {
                    let mut baseline = (day - self.reach as i64).max(first)..day;
                    if day - first >= self.reach as i64 && baseline.any(|d| of_key.contains_key(&d))
                    {
                        quiet.push(key);
                    }
                    continue;
                };
                let at = |d: i64| period(d).unwrap_or_default();
                let value = |d: i64| if d < day && excluded(d) { f64::NAN } else { at(d).0 };
                let backs = (0..=(day - width + 1 - first) / width).rev();
                let values: Vec<f64> = backs.clone().map(|b| value(day - b * width)).collect();
                let people: Vec<f64> = backs.map(|b| at(day - b * width).1).collect();
                let people = self.population.map(|_| people.as_slice());
                let own = Self::ask(&self.detector, self.chart, &values, people);
                let judged = own.or_else(|| {
                    self.fallback.as_ref().and_then(|f| Self::ask(f, None, &values, people))
                });
                told.push((key, now, judged));
            }
            let q = self.adjusted(&told, &quiet);
            for ((key, (value, population), judged), q) in told.into_iter().zip(q) {
                let Some(judged) = judged else { continue };
                let stands = self.control.is_none_or(|(fdr, _)| q.is_some_and(|q| q <= fdr));
                if !(judged.alarm && stands) {
                    continue;
                }
                let mut values = Map::new();
                values.insert("value".into(), json!(value as i64));
                if let Some(name) = self.population {
                    values.insert(name.into(), json!(population as i64));
                }
                for (name, figure) in [
                    ("expected", judged.expected),
                    ("upper_bound", judged.upper_bound),
                    ("score", judged.score),
                    ("p_value", judged.p_value),
                ] {
                    values.insert(name.into(), json!(figure));
                }
                values.insert("alarm".into(), json!(true));
                if self.control.is_some() {
                    values.insert("q_value".into(), json!(q));
                }
                let columns = self.key.iter().zip(key).map(|(n, v)| ((*n).to_owned(), json!(v)));
                let end = instant(&tz, (day + 1) * DAY_MS);
                lines.push(Line {
                    rule: self.id.into(),
                    key: Value::Object(columns.collect()).to_string(),
                    window: (instant(&tz, (day - width + 1) * DAY_MS), end),
                    severity: if judged.score.is_some_and(|s| s > 1.0) { "high" } else { "low" }
                        .into(),
                    open: end > last_ms,
                    values,
                });
            }
        }
        lines
    }

    /// The q-value of each key of a day.
    fn adjusted(&self, told: &[Told<'_>], quiet: &[&Vec<&str>]) -> Vec<Option<f64>> {
        let Some((_, over)) = self.control else { return vec![None; told.len()] };
        let family = |key: &[&'_ str]| -> Vec<String> {
            let stays = |(name, _): &(&&str, &&str)| !over.is_empty() && !over.contains(*name);
            self.key.iter().zip(key).filter(stays).map(|(_, v)| (*v).to_owned()).collect()
        };
        let p_of = |judged: &Option<Judgement>| judged.and_then(|j| j.p_value);
        told.iter()
            .map(|(key, _, judged)| {
                p_of(judged)?;
                let mut p = Vec::new();
                let mut own = 0;
                for (other, _, judged) in told {
                    if family(other) == family(key) && p_of(judged).is_some() {
                        if other == key {
                            own = p.len();
                        }
                        p.extend(p_of(judged));
                    }
                }
                p.extend(quiet.iter().filter(|k| family(k) == family(key)).map(|_| 1.0));
                let method = multiplicity::Method::BenjaminiHochberg;
                Some(multiplicity::adjust(&p, method).unwrap()[own])
            })
            .collect()
    }
}

/// Of each record the version that counts.
pub(super) fn winners<'a>(rows: &[&'a Row]) -> Vec<&'a Row> {
    let mut best: BTreeMap<&str, &Row> = BTreeMap::new();
    for row in rows {
        let known = best.entry(&row.id).or_insert(row);
        let strength = |r: &Row| (r.version, r.op == "withdraw", r.op == "correct");
        if strength(row) > strength(known) {
            *known = row;
        }
    }
    best.into_values().filter(|r| r.op != "withdraw").collect()
}

fn world(case: &Case) -> World {
    let rules: Vec<String> = detections().iter().map(|d| d.file(case)).collect();
    let rows = |report: bool| {
        let rows = case.rows.iter().filter(|r| r.report == report);
        rows.map(|r| r.line() + "\n").collect::<String>()
    };
    World::of(case.zone, &case.settings.feed_files(), &rules, &[rows(true), rows(false)])
}

#[test]
fn a_detect_rule_is_its_detector_on_the_final_series() {
    let signals = std::cell::RefCell::new(BTreeMap::<&str, usize>::new());
    check(cases(1..220, 0..1), 24, |case| {
        let how = How { shards: 2, batch_rows: 16, ..How::default() };
        let written = world(case).replay(how);
        for rule in detections() {
            let (mut got, mut expected) = (written.lines(rule.id), rule.expected(case));
            *signals.borrow_mut().entry(rule.id).or_default() += expected.len();
            let place = |l: &Line| (l.window, l.key.clone());
            got.sort_by_key(place);
            expected.sort_by_key(place);
            if let Some(difference) = difference(&got, &expected) {
                return fail(format!("{}: {difference}\n{}", rule.id, rule.file(case)));
            }
        }
        Ok(())
    });
    println!("{signals:?}");
    assert!(detections().iter().all(|d| signals.borrow()[d.id] > 0), "{signals:?}");
}

#[test]
fn nothing_about_the_run_shows_in_what_detectors_say() {
    check(cases(1..220, 0..1), 16, |case| -> Result<(), TestCaseError> {
        let world = world(case);
        let plain = world.replay(How::default());
        for (shards, batch_rows, eager, shuffle) in [
            (3, 7, false, None),
            (1, 1, true, None),
            (5, 64, true, None),
            (3, 16, false, Some(1)),
            (1, 5, true, Some(2)),
        ] {
            let disorder = Disorder { shuffle, duplicates: None };
            let how = How { shards, batch_rows, eager, disorder };
            let other = world.replay(how);
            let alerts = [("alerts", &plain.alerts, &other.alerts)];
            let alerts = alerts.into_iter().filter(|_| shuffle.is_none());
            for (what, a, b) in alerts.chain([("signals", &plain.signals, &other.signals)]) {
                if let Some(difference) = first_difference(a, b) {
                    return fail(format!("{what} with {how:?}:{difference}"));
                }
            }
        }
        Ok(())
    });
}
