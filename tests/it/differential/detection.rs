//! Detectors in rules against the same detectors called directly, on made-up logs.
//!
//! The expected side is written from the contract: of each record the highest version counts; a key's series has one value
//! for each local period from the beginning of the feed's history, 0 where it has no record; the detector sees the series up
//! to the period and judges that alone, a chart from its beginning; a period without a record of the key is never a signal.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use forewarn::{
    detect::{Judgement, Series, catalogue, ratio::multiplicity},
    model::reference::calendar::{self, Holiday},
};
use jiff::tz::TimeZone;
use proptest::{strategy::Strategy, test_runner::TestCaseError};
use serde_json::{Map, Value, json};

use super::{
    Disorder, How, Line, World, check, difference, fail, first_difference,
    generate::{Case, DAY_MS, Row, cases, long_cases},
    sql::{instant, local},
};

/// A rule over `reports`, and how its detector is called.
struct Detection {
    id: &'static str,
    key: &'static [&'static str],
    /// YAML of the series.
    series: &'static str,
    periods: Periods,
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
    /// Whether days off are taken into account: by a term, or by like periods.
    calendar: Option<ByCalendar>,
    /// Days from the log's beginning that are no part of a baseline.
    exclude: Option<(i64, i64)>,
}

/// Periods, by the day behind their last.
#[derive(Debug, Clone, Copy)]
enum Periods {
    /// So many days, judged every day.
    Days(i64),
    /// A week from Monday.
    Weeks,
    /// A month, judged where one of the calendar ends, or at the beginning of each day or Monday.
    Months(Option<&'static str>),
    /// Holidays with so many days around each.
    Holidays(i64),
}

impl Periods {
    fn text(self) -> String {
        match self {
            Self::Days(width) => format!("period: {width}d, every: 1d"),
            Self::Weeks => "period: week".into(),
            Self::Months(None) => "period: month".into(),
            Self::Months(Some(every)) => format!("period: month, every: {every}"),
            Self::Holidays(around) => format!("period: holiday, around: {around}d"),
        }
    }

    fn per_year(self) -> usize {
        match self {
            Self::Days(_) => 365,
            Self::Weeks => 52,
            Self::Months(_) => 12,
            Self::Holidays(_) => 1,
        }
    }

    fn ends_at(self, day: i64) -> bool {
        match self {
            Self::Months(None) => date_of(day).day() == 1,
            Self::Holidays(_) => self.before(day, 0).is_some(),
            Self::Weeks | Self::Months(Some("7d")) => {
                date_of(day).weekday() == jiff::civil::Weekday::Monday
            }
            _ => true,
        }
    }

    /// The period that lies `back` before the one that ends at `end`.
    fn before(self, end: i64, back: i64) -> Option<Range<i64>> {
        let months = |n: i64| day_number(date_of(end) - jiff::Span::new().months(n));
        let spans = |width: i64| end - (back + 1) * width..end - back * width;
        Some(match self {
            Self::Days(width) => spans(width),
            Self::Weeks => spans(7),
            Self::Months(_) => months(back + 1)..months(back),
            Self::Holidays(around) => {
                let of =
                    |h: &Holiday| i64::from(h.days.start) - around..i64::from(h.days.end) + around;
                let name = calendar::holidays().iter().find(|h| of(h).end == end)?.name;
                let same = calendar::holidays().iter().filter(|h| h.name == name);
                same.map(of).filter(|days| days.end <= end).rev().nth(back as usize)?
            }
        })
    }

    /// The day on which a detector sees a period.
    fn date(self, period: &Range<i64>) -> jiff::civil::Date {
        let first = date_of(period.start);
        let capped = matches!(self, Self::Months(_)) && first.day() > 28;
        if capped { first.with().day(28).build().unwrap() } else { first }
    }

    /// Ends of the periods that hold a day.
    fn ends_of(self, day: i64) -> impl Iterator<Item = i64> {
        let holds = move |end: &i64| {
            self.ends_at(*end) && self.before(*end, 0).is_some_and(|days| days.contains(&day))
        };
        (day + 1..=day + 40).filter(holds)
    }
}

fn day_number(date: jiff::civil::Date) -> i64 {
    i64::from((date - jiff::civil::Date::constant(1970, 1, 1)).get_days())
}

fn date_of(day: i64) -> jiff::civil::Date {
    jiff::civil::Date::constant(1970, 1, 1) + jiff::Span::new().days(day)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum ByCalendar {
    Term,
    Like,
}

/// 0 for a day at work or a week without a holiday, 1 for another day off, 2 for a holiday.
fn kind_of(period: &Range<i64>) -> u8 {
    let mut days = period.clone().map(|day| i32::try_from(day).unwrap());
    if days.clone().any(|day| calendar::holiday(day).is_some()) {
        2
    } else {
        u8::from(period.end - period.start == 1 && !days.all(calendar::is_workday))
    }
}

/// A key's period: value and population, and what its detector says of it.
type Told<'a> = (&'a Vec<&'static str>, (f64, f64), Option<Judgement>);

impl Default for Detection {
    fn default() -> Self {
        Self {
            id: "",
            key: &["firm"],
            series: "value: count(*)",
            periods: Periods::Days(1),
            counts: |_| (1.0, 0.0),
            population: None,
            detector: ("ears", json!({})),
            fallback: None,
            chart: None,
            reach: 0,
            control: None,
            calendar: None,
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
        Detection {
            id: "d7",
            periods: Periods::Days(3),
            detector: bayes(2),
            ..Detection::default()
        },
        Detection {
            id: "d8",
            calendar: Some(ByCalendar::Like),
            detector: bayes(3),
            ..Detection::default()
        },
    ]
}

/// Rules over holidays, and over weeks with and without.
fn detections_of_holidays() -> Vec<Detection> {
    let bayes = |history: u32| ("bayes_predictive", json!({"history": history, "alpha": 0.3}));
    let farrington = json!({
        "years": 1, "half_window": 2, "periods": 4, "exclude_recent": 2, "alpha": 0.3,
        "min_cases": {"cases": 1, "periods": 1},
    });
    vec![
        Detection {
            id: "h0",
            periods: Periods::Holidays(5),
            detector: bayes(2),
            fallback: Some(bayes(1)),
            ..Detection::default()
        },
        Detection {
            id: "h1",
            periods: Periods::Holidays(10),
            detector: bayes(1),
            reach: 1,
            control: Some((0.6, &[])),
            ..Detection::default()
        },
        Detection {
            id: "h2",
            periods: Periods::Weeks,
            calendar: Some(ByCalendar::Like),
            detector: bayes(3),
            ..Detection::default()
        },
        Detection {
            id: "h3",
            periods: Periods::Weeks,
            calendar: Some(ByCalendar::Term),
            detector: ("farrington_flexible", farrington),
            ..Detection::default()
        },
    ]
}

/// Rules over months, and the same months judged more often.
fn detections_of_months() -> Vec<Detection> {
    let bayes = |history: u32| ("bayes_predictive", json!({"history": history, "alpha": 0.3}));
    let of = |id, every| Detection {
        id,
        periods: Periods::Months(every),
        detector: bayes(2),
        ..Detection::default()
    };
    vec![
        Detection { key: &["firm", "region"], ..of("m0", None) },
        of("m1", Some("1d")),
        of("m2", Some("7d")),
        Detection {
            reach: 2,
            control: Some((0.5, &[])),
            exclude: Some((40, 50)),
            ..of("m3", None)
        },
        Detection {
            detector: ("cusum", json!({"h": 1, "k": 0.3, "mean": "history"})),
            chart: Some((2, 2)),
            ..of("m4", None)
        },
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
            "series: {{{series}, {}{}{}}}\n",
            self.periods.text(),
            if self.calendar.is_some() { ", calendar: cn" } else { "" },
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
        &self,
        (name, parameters): &(&str, Value),
        chart: Option<(usize, usize)>,
        periods: &[Range<i64>],
        values: &[f64],
        population: Option<&[f64]>,
    ) -> Option<Judgement> {
        let last = periods.last().unwrap();
        let alike =
            |p: &Range<i64>| self.calendar != Some(ByCalendar::Like) || kind_of(p) == kind_of(last);
        let given: Vec<usize> = (0..periods.len()).filter(|i| alike(&periods[*i])).collect();
        let of = |all: &[f64]| given.iter().map(|i| all[*i]).collect::<Vec<f64>>();
        let (values, population) = (of(values), population.map(of));
        let dates: Vec<_> = given.iter().map(|i| self.periods.date(&periods[*i])).collect();
        let off = |i: &usize| {
            let days = periods[*i].clone().map(|day| i32::try_from(day).unwrap());
            days.filter(|day| !calendar::is_workday(*day)).count() as f64
        };
        let days_off: Vec<f64> = given.iter().map(off).collect();
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
            population: population.as_ref().map(|p| &p[from..]),
            dates: Some(&dates[from..]),
            days_off: self.calendar.map(|_| &days_off[from..]),
            periods_per_year: self.periods.per_year(),
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
        let periods = self.periods;
        let ends = |day: &i64| periods.ends_of(*day);
        let all: BTreeSet<i64> = days.values().flat_map(BTreeMap::keys).flat_map(ends).collect();
        let begins = day_number(case.settings.start.date());
        let excluded = |period: &Range<i64>| {
            let holds = |(a, b)| begins + a < period.end && period.start <= begins + b;
            self.exclude.is_some_and(holds)
        };
        let starts = |end, back| periods.before(end, back).filter(|p| p.start >= first);
        let mut lines = Vec::new();
        for end in all.into_iter().filter(|end| starts(*end, 0).is_some()) {
            let mut series: Vec<Range<i64>> = (0..).map_while(|back| starts(end, back)).collect();
            let (now, known) = (series[0].clone(), series.len() - 1);
            series.reverse();
            let mut told: Vec<Told<'_>> = Vec::new();
            let mut quiet: Vec<&Vec<&str>> = Vec::new();
            for (key, of_key) in &days {
                let sum = |period: &Range<i64>| {
                    let in_it = of_key.range(period.clone()).map(|(_, cell)| *cell);
                    in_it.reduce(|a, b| (a.0 + b.0, a.1 + b.1))
                };
                let Some(cell) = sum(&now) else {
                    let mut baseline = series[..known].iter().rev().take(self.reach);
                    if known >= self.reach && baseline.any(|p| sum(p).is_some()) {
                        quiet.push(key);
                    }
                    continue;
                };
                let at = |p: &Range<i64>| sum(p).unwrap_or_default();
                let value = |p: &Range<i64>| match *p != now && excluded(p) {
                    true => f64::NAN,
                    false => at(p).0,
                };
                let values: Vec<f64> = series.iter().map(value).collect();
                let people: Vec<f64> = series.iter().map(|p| at(p).1).collect();
                // A holiday's days are what stands behind its count.
                let days: Vec<f64> = series.iter().map(|p| (p.end - p.start) as f64).collect();
                let people = match (self.population, periods) {
                    (Some(_), _) => Some(people.as_slice()),
                    (None, Periods::Holidays(_)) => Some(days.as_slice()),
                    (None, _) => None,
                };
                let own = self.ask(&self.detector, self.chart, &series, &values, people);
                let judged = own.or_else(|| {
                    self.fallback.as_ref().and_then(|f| self.ask(f, None, &series, &values, people))
                });
                told.push((key, cell, judged));
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
                let end = instant(&tz, end * DAY_MS);
                lines.push(Line {
                    rule: self.id.into(),
                    key: Value::Object(columns.collect()).to_string(),
                    window: (instant(&tz, now.start * DAY_MS), end),
                    record: String::new(),
                    severity: if judged.score.is_some_and(|s| s > 1.0) { "high" } else { "low" }
                        .into(),
                    open: end > last_ms,
                    values,
                });
            }
        }
        lines
    }

    /// The q-value of each key of a period.
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

fn world(case: &Case, detections: &[Detection]) -> World {
    let rules: Vec<String> = detections.iter().map(|d| d.file(case)).collect();
    let rows = |report: bool| {
        let rows = case.rows.iter().filter(|r| r.report == report);
        rows.map(|r| r.line() + "\n").collect::<String>()
    };
    World::of(case.zone, &case.settings.feed_files(), &rules, &[rows(true), rows(false)])
}

#[test]
fn a_detect_rule_is_its_detector_on_the_final_series() {
    are_their_detectors(cases(1..220, 0..1), 24, detections);
}

#[test]
fn months_too_are_judged_by_their_detector_on_the_final_series() {
    are_their_detectors(long_cases((260, 1), 30..220), 24, detections_of_months);
}

#[test]
fn holidays_too_are_judged_by_their_detector_on_the_final_series() {
    are_their_detectors(long_cases((900, 4), 60..260), 24, detections_of_holidays);
}

fn are_their_detectors(
    logs: impl Strategy<Value = Case>,
    cases: u32,
    detections: fn() -> Vec<Detection>,
) {
    let signals = std::cell::RefCell::new(BTreeMap::<&str, usize>::new());
    check(logs, cases, |case| {
        let how = How { shards: 2, batch_rows: 16, ..How::default() };
        let written = world(case, &detections()).replay(how);
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
    nothing_shows(cases(1..220, 0..1), 16, detections);
}

#[test]
fn nothing_about_the_run_shows_in_what_is_said_of_months() {
    nothing_shows(long_cases((260, 1), 30..220), 8, detections_of_months);
}

#[test]
fn nothing_about_the_run_shows_in_what_is_said_of_holidays() {
    nothing_shows(long_cases((900, 4), 60..260), 8, detections_of_holidays);
}

fn nothing_shows(
    logs: impl Strategy<Value = Case>,
    cases: u32,
    detections: fn() -> Vec<Detection>,
) {
    check(logs, cases, |case| -> Result<(), TestCaseError> {
        let world = world(case, &detections());
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

/// The alerts of one rule over `reports` in UTC, as they ended: the same for a replay and for live runs.
fn alerts(rule: &str, rows: &[(&str, String)]) -> Vec<Value> {
    let feed = "feed: reports\ntitle: {zh: 报告, en: Reports}\nrecord_id: id\nevent_time: at\ncolumns:\n  id: text\n  \
                at: {type: timestamp, required: true}\n  firm: text\n";
    let rule = format!(
        "rule: r\ntitle: {{zh: 规则, en: Rule}}\nkind: detect\nfeed: reports\nkey: [firm]\n\
         detector: {{bayes_predictive: {{history: 5, alpha: 0.01}}}}\nwhen: alarm\nseverity: low\n{rule}\n"
    );
    let line = |(i, (firm, at)): (usize, &(&str, String))| {
        format!("{}\n", json!({"id": format!("n{i}"), "at": at, "firm": firm}))
    };
    let lines: String = rows.iter().enumerate().map(line).collect();
    let world = World::of("UTC", &[("reports", feed.to_owned())], &[rule], &[lines]);
    let plain = world.replay(How::default()).alerts;
    for batch_rows in [1, 7] {
        let live = How { batch_rows, eager: true, ..How::default() };
        assert_eq!(world.replay(live).alerts, plain, "{batch_rows} rows at once");
    }
    plain.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// So many records of firm `f` in each of some days or months, written up to the day or month.
fn counted(counts: &[(&str, u32)]) -> Vec<(&'static str, String)> {
    let of = |(day, n): &(&str, u32)| {
        let day = if day.len() == 7 { format!("{day}-03") } else { (*day).to_owned() };
        let at = move |i| ("f", format!("{day}T{:02}:{:02}:00Z", i / 60, i % 60));
        (0..*n).map(at).collect::<Vec<_>>()
    };
    counts.iter().flat_map(of).collect()
}

#[test]
fn a_detector_s_alert_is_kept_and_raised_again() {
    let day = |d: u32| format!("2026-03-{d:02}");
    let days: Vec<String> = (1..=18).map(day).collect();
    let count = |d: usize| match d {
        11 => 10,
        12 => 14,
        13 => 25,
        _ => 2,
    };
    let counts: Vec<(&str, u32)> = (1..=18).map(|d| (days[d - 1].as_str(), count(d))).collect();
    let mut rows = counted(&counts);
    rows.push(("g", "2026-03-20T00:00:00Z".to_owned()));
    let rule = "series: {value: count(*), period: day}\n\
                alert: {keep_for: 2d, reraise: value >= 1.5 * last.value}";
    let alerts = alerts(rule, &rows);
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let alert = &alerts[0];
    let told = ["state", "fired_at", "resolved_at", "reraised"].map(|field| alert[field].clone());
    // 14 is less than half as many again as 10; the first quiet day ends on the 15th.
    let expected = json!(["resolved", "2026-03-12T00:00:00Z", "2026-03-17T00:00:00Z", 1]);
    assert_eq!(json!(told), expected, "{alert}");
    assert_eq!(
        (&alert["fired_values"]["value"], &alert["values"]["value"]),
        (&json!(10), &json!(25))
    );
}

#[test]
fn a_month_s_alert_ends_with_the_next_quiet_month() {
    let months = ["2025-10", "2025-11", "2025-12", "2026-01", "2026-02"];
    let mut counts: Vec<(&str, u32)> = months.iter().map(|m| (*m, 2)).collect();
    counts.push(("2026-03", 10));
    let mut rows = counted(&counts);
    rows.push(("g", "2026-06-10T00:00:00Z".to_owned()));
    let alerts = alerts("series: {value: count(*), period: month}", &rows);
    // The history begins within October, so November is the first whole month.
    assert_eq!(alerts, Vec::<Value>::new());
    let mut counts = vec![("2025-09", 2)];
    counts.extend(months.iter().map(|m| (*m, 2)));
    counts.push(("2026-03", 10));
    let mut rows = counted(&counts);
    rows.push(("g", "2026-06-10T00:00:00Z".to_owned()));
    let alerts = self::alerts("series: {value: count(*), period: month}", &rows);
    let told = |alert: &Value| {
        json!(["state", "fired_at", "resolved_at"].map(|field| alert[field].clone()))
    };
    let told: Vec<Value> = alerts.iter().map(told).collect();
    let expected = json!(["resolved", "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z"]);
    assert_eq!(told, [expected], "{alerts:?}");
}
