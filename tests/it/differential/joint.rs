//! Detectors that judge keys beside each other, in rules against direct calls, on made-up logs.
//!
//! The expected side is written from the contract: of each record the highest version counts; a pair's table is made of all
//! pairs of the period that agree in the key's other columns, its margins are their sums; a scan sees, of all places that agree
//! in the key's other columns and have a record in the scanned periods, the counts of those periods, and tells a cluster at
//! its place with most of its records, of equal ones at the lower code.

use std::collections::{BTreeMap, BTreeSet};

use forewarn::{
    detect::{
        cluster::{
            Metric, Place, SpaceTime,
            space_time::{Events, scan},
        },
        math::poisson,
        ratio::disproportionality::{
            Disproportionality, Measure, Pair,
            ebgm::ebgm,
            prior::{PAIRS_MIN, Prior, Weighted, fit},
            reporting_ratios, shrinkage,
        },
    },
    model::reference::place,
};
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::{
    Disorder, How, Line, World, check,
    detection::winners,
    difference, fail, first_difference,
    generate::{Case, DAY_MS, Row, cases},
    sql::{instant, local},
};

/// Name and value of a key's column.
type Column = (&'static str, String);
type Key = Vec<Column>;
/// A key and what it counts, in one period or in several.
type Counted<'a, N> = (&'a Key, N);

/// Level of the scan's clusters; few replicates, so that many cases can be tried.
const ALPHA: f64 = 0.4;

/// A rule over `reports`.
struct Joint {
    id: &'static str,
    /// YAML of the key and of the detector; how long a period is, and how often one is judged, in days.
    key: &'static str,
    detector: String,
    width: i64,
    every: i64,
    /// The key's columns of a record: names and values; `None` where one is missing.
    key_of: fn(&Row) -> Option<Key>,
    judge: Judge,
}

enum Judge {
    /// The measure, and the two margins' places in the key.
    Pairs(Disproportionality, [usize; 2]),
    /// The scan, and its periods; the place comes first in the key.
    Scan(SpaceTime, usize),
}

fn joints() -> Vec<Joint> {
    fn of(columns: [Option<Column>; 2]) -> Option<Key> {
        columns.into_iter().collect()
    }
    let with =
        Disproportionality { measure: Measure::Ror, min_count: 1, lower_limit_above: Some(0.2) };
    let shrunk =
        Disproportionality { measure: Measure::Ebgm, min_count: 1, lower_limit_above: Some(0.5) };
    let scan = SpaceTime {
        neighbours: 2,
        max_duration: 2,
        replicates: 19,
        alpha: ALPHA,
        seed: 3,
        metric: Metric::Sphere,
        ..SpaceTime::default()
    };
    vec![
        Joint {
            id: "j0",
            key: "[firm, region]",
            detector: "{disproportionality: {measure: ic_shrink, min_count: 2, lower_limit_above: -2}}"
                .into(),
            width: 3,
            every: 1,
            key_of: |row| {
                of([
                    Some(("firm", row.values.firm?.to_owned())),
                    Some(("region", row.values.region?.to_owned())),
                ])
            },
            judge: Judge::Pairs(
                Disproportionality {
                    measure: Measure::IcShrink,
                    min_count: 2,
                    lower_limit_above: Some(-2.0),
                },
                [0, 1],
            ),
        },
        Joint {
            id: "j1",
            key: "[kind, region, firm]",
            detector: "{disproportionality: {margins: [firm, region], measure: ror, min_count: 1, lower_limit_above: 0.2}}"
                .into(),
            width: 12,
            every: 1,
            key_of: |row| {
                let values = &row.values;
                Some(vec![
                    ("kind", values.kind?.to_owned()),
                    ("region", values.region?.to_owned()),
                    ("firm", values.firm?.to_owned()),
                ])
            },
            judge: Judge::Pairs(with, [2, 1]),
        },
        Joint {
            id: "j2",
            key: "[\"concat(firm, region, kind) as subject\", \"coalesce(who, 'x') as topic\"]",
            detector: "{gamma_poisson: {min_count: 1, lower_limit_above: 0.5}}".into(),
            width: 24,
            every: 12,
            key_of: |row| {
                // concat leaves out what is null.
                let v = &row.values;
                let parts = [v.firm, v.region, v.kind].into_iter().flatten();
                let who = v.who.unwrap_or("x").to_owned();
                of([Some(("subject", parts.collect())), Some(("topic", who))])
            },
            judge: Judge::Pairs(shrunk, [0, 1]),
        },
        Joint {
            id: "j3",
            key: "[region, kind]",
            detector: format!(
                "{{space_time_scan: {{place: region, history: 4, neighbours: 2, max_duration: 2, replicates: 19, \
                 alpha: {ALPHA}, seed: 3}}}}"
            ),
            width: 1,
            every: 1,
            key_of: |row| {
                of([
                    Some(("region", row.values.region?.to_owned())),
                    Some(("kind", row.values.kind?.to_owned())),
                ])
            },
            judge: Judge::Scan(scan, 4),
        },
    ]
}

/// What a key is told beside its value.
type Told = Vec<(&'static str, Value)>;

impl Joint {
    fn file(&self) -> String {
        format!(
            "rule: {}\ntitle: {{zh: 规则, en: Rule}}\nkind: detect\nfeed: reports\nkey: {}\nwhen: alarm\n\
             detector: {}\nseries: {{value: count(*), period: {}d, every: {}d}}\nseverity: {{high: score > 1, else: low}}\n",
            self.id, self.key, self.detector, self.width, self.every
        )
    }

    /// The signals of a log.
    fn expected(&self, case: &Case) -> Vec<Line> {
        let tz = TimeZone::get(case.zone).unwrap();
        let reports: Vec<&Row> = case.rows.iter().filter(|r| r.report).collect();
        let day_of = |ms: i64| local(&tz, ms).div_euclid(DAY_MS);
        let Some(first) = reports.iter().map(|r| day_of(r.at_ms)).min() else { return Vec::new() };
        let epoch = jiff::civil::Date::constant(1970, 1, 1);
        let history = case.settings.history_day().map(|d| i64::from((d - epoch).get_days()));
        let first = history.unwrap_or(first);
        let last_ms = case.rows.iter().map(|r| r.at_ms).max().unwrap_or(0);
        // Key → day → records.
        let mut days: BTreeMap<Key, BTreeMap<i64, u64>> = BTreeMap::new();
        for row in winners(&reports) {
            let Some(key) = (self.key_of)(row) else { continue };
            *days.entry(key).or_default().entry(day_of(row.at_ms)).or_default() += 1;
        }
        let width = self.width;
        let ends = |day: &i64| *day..*day + width;
        let all: BTreeSet<i64> = days.values().flat_map(BTreeMap::keys).flat_map(ends).collect();
        let mut lines = Vec::new();
        // Ends are counted from 1970-01-01.
        for day in all.into_iter().filter(|day| (day + 1).rem_euclid(self.every) == 0) {
            let count = |of_key: &BTreeMap<i64, u64>, last: i64| -> u64 {
                of_key.range(last - width + 1..=last).map(|(_, n)| *n).sum()
            };
            let now: Vec<Counted<'_, u64>> = days
                .iter()
                .map(|(key, of_key)| (key, count(of_key, day)))
                .filter(|(_, n)| *n > 0)
                .collect();
            let told = match &self.judge {
                Judge::Pairs(with, margins) => pairs(with, *margins, &now),
                Judge::Scan(with, history) => {
                    let known = day - width + 1 - first;
                    if known < (*history as i64 - 1) * width {
                        continue;
                    }
                    let periods: Vec<i64> =
                        (0..*history as i64).rev().map(|back| day - back * width).collect();
                    let counts = days.iter().map(|(key, of_key)| {
                        (key, periods.iter().map(|last| count(of_key, *last)).collect())
                    });
                    clusters(with, counts.collect())
                }
            };
            for ((key, value), told) in now.iter().zip(told_of(&now, told)) {
                let Some(told) = told else { continue };
                let figure = |name: &str| {
                    told.iter().find(|(n, _)| *n == name).map(|(_, v)| v.clone()).unwrap()
                };
                if figure("alarm") != json!(true) {
                    continue;
                }
                let mut values = Map::new();
                values.insert("value".into(), json!(value));
                values.extend(told.iter().map(|(n, v)| ((*n).to_owned(), v.clone())));
                let columns = key.iter().map(|(n, v)| ((*n).to_owned(), json!(v)));
                let end = instant(&tz, (day + 1) * DAY_MS);
                let high = figure("score").as_f64().is_some_and(|s| s > 1.0);
                lines.push(Line {
                    rule: self.id.into(),
                    key: Value::Object(columns.collect()).to_string(),
                    window: (instant(&tz, (day - width + 1) * DAY_MS), end),
                    record: String::new(),
                    severity: if high { "high" } else { "low" }.into(),
                    open: end > last_ms,
                    values,
                });
            }
        }
        lines
    }
}

fn told_of(now: &[Counted<'_, u64>], mut told: BTreeMap<Vec<String>, Told>) -> Vec<Option<Told>> {
    now.iter().map(|(key, _)| told.remove(&values_of(key))).collect()
}

fn values_of(key: &[Column]) -> Vec<String> {
    key.iter().map(|(_, value)| value.clone()).collect()
}

/// What is told of every pair.
fn pairs(
    with: &Disproportionality,
    [row, column]: [usize; 2],
    now: &[Counted<'_, u64>],
) -> BTreeMap<Vec<String>, Told> {
    let table = |key: &Key| -> Vec<String> {
        let others = key.iter().enumerate().filter(|(i, _)| *i != row && *i != column);
        others.map(|(_, (_, v))| v.clone()).collect()
    };
    let pair = |key: &Key, both: u64| {
        let sum = |same: &dyn Fn(&Key) -> bool| -> u64 {
            let of_table = now.iter().filter(|(k, _)| table(k) == table(key));
            of_table.filter(|(k, _)| same(k)).map(|(_, n)| n).sum()
        };
        let (of_row, of_column) =
            (sum(&|k| k[row] == key[row]), sum(&|k| k[column] == key[column]));
        Pair::try_new(both, of_row, of_column, sum(&|_| true)).unwrap()
    };
    let mut out = BTreeMap::new();
    for (key, both) in now {
        let own = pair(key, *both);
        let prior = if with.measure == Measure::Ebgm {
            let same = now.iter().filter(|(k, _)| table(k) == table(key));
            let mut all: Vec<Weighted> = same
                .map(|(k, n)| Weighted { n: *n, expected: pair(k, *n).expected(), weight: 1.0 })
                .collect();
            if all.len() < PAIRS_MIN {
                continue;
            }
            all.sort_by(|a, b| a.n.cmp(&b.n).then(a.expected.total_cmp(&b.expected)));
            fit(&all).unwrap().prior
        } else {
            Prior::START
        };
        let verdict = with.judge(&own, &prior).unwrap();
        let judged = verdict.judged().unwrap();
        let ratios = reporting_ratios(&own);
        let [_, b, c, d] = own.cells();
        let mut told: Told = vec![
            ("expected", json!(own.expected())),
            ("upper_bound", Value::Null),
            ("score", json!(judged.score)),
            ("p_value", json!(poisson::upper_p(*both as f64, own.expected()))),
            ("alarm", json!(judged.alarm)),
            ("row_only", json!(b as i64)),
            ("column_only", json!(c as i64)),
            ("neither", json!(d as i64)),
            ("prr", json!(ratios.prr.map(|e| e.value))),
            ("prr_low", json!(ratios.prr.map(|e| e.low))),
            ("chi2", json!(ratios.chi_square_yates)),
            ("ror", json!(ratios.ror.map(|e| e.value))),
            ("ror_low", json!(ratios.ror.map(|e| e.low))),
            ("ic", json!(shrinkage(&own).value)),
            ("ic_low", json!(shrinkage(&own).low)),
            ("evans", json!(ratios.evans)),
        ];
        if with.measure == Measure::Ebgm {
            let shrunk = ebgm(*both, own.expected(), &prior).unwrap();
            told.push(("ebgm", json!(shrunk.value)));
            told.push(("eb05", json!(shrunk.quantile(0.05))));
        }
        out.insert(values_of(key), told);
    }
    out
}

/// What is told of every place at which a cluster is told; the scan draws all its replicates.
fn clusters(with: &SpaceTime, counts: Vec<Counted<'_, Vec<u64>>>) -> BTreeMap<Vec<String>, Told> {
    let mut out = BTreeMap::new();
    let kinds: BTreeSet<&str> = counts.iter().map(|(key, _)| key[1].1.as_str()).collect();
    for kind in kinds {
        let of_kind: Vec<_> = counts
            .iter()
            .filter(|(key, n)| key[1].1 == kind && n.iter().sum::<u64>() > 0)
            .collect();
        let places: Vec<Place> = of_kind
            .iter()
            .map(|(key, _)| place::seat(&key[0].1).map(|(x, y)| Place { x, y }).unwrap())
            .collect();
        let periods = counts[0].1.len();
        let events: Vec<u64> =
            (0..periods).flat_map(|p| of_kind.iter().map(move |(_, n)| n[p])).collect();
        let Ok(found) = scan(&Events { places: &places, counts: &events, expected: None }, with)
        else {
            continue;
        };
        for cluster in found.clusters {
            let of_place =
                |i: usize| -> u64 { of_kind[i].1[periods - cluster.duration..].iter().sum() };
            let active = cluster.members.iter().filter(|i| of_kind[**i].1[periods - 1] > 0);
            let Some(teller) = active.max_by_key(|i| (of_place(**i), std::cmp::Reverse(**i)))
            else {
                continue;
            };
            let mut zone: Vec<&str> =
                cluster.members.iter().map(|i| of_kind[*i].0[0].1.as_str()).collect();
            zone.sort_unstable();
            let told: Told = vec![
                ("expected", json!(cluster.expected)),
                ("upper_bound", Value::Null),
                ("score", json!(cluster.score)),
                ("p_value", json!(cluster.p)),
                ("alarm", json!(cluster.p.is_some_and(|p| p <= with.alpha))),
                ("zone", json!(zone.join(","))),
                ("zone_size", json!(cluster.members.len())),
                ("duration", json!(cluster.duration)),
                ("observed", json!(cluster.events as i64)),
                ("relative", json!(cluster.relative)),
            ];
            out.insert(values_of(of_kind[*teller].0), told);
        }
    }
    out
}

fn world(case: &Case) -> World {
    let rules: Vec<String> = joints().iter().map(Joint::file).collect();
    let rows = |report: bool| {
        let rows = case.rows.iter().filter(|r| r.report == report);
        rows.map(|r| r.line() + "\n").collect::<String>()
    };
    World::of(case.zone, &case.settings.feed_files(), &rules, &[rows(true), rows(false)])
}

#[test]
fn pairs_and_scans_are_direct_calls_on_the_final_counts() {
    let signals = std::cell::RefCell::new(BTreeMap::<&str, usize>::new());
    check(cases(1..220, 0..1), 6, |case| {
        let how = How { shards: 2, batch_rows: 16, ..How::default() };
        let written = world(case).replay(how);
        for rule in joints() {
            let (mut got, mut expected) = (written.lines(rule.id), rule.expected(case));
            *signals.borrow_mut().entry(rule.id).or_default() += expected.len();
            let place = |l: &Line| (l.window, l.key.clone());
            got.sort_by_key(place);
            expected.sort_by_key(place);
            if let Some(difference) = difference(&got, &expected) {
                return fail(format!("{}: {difference}\n{}", rule.id, rule.file()));
            }
        }
        Ok(())
    });
    println!("{signals:?}");
    assert!(joints().iter().all(|j| signals.borrow()[j.id] > 0), "{signals:?}");
}

#[test]
fn nothing_about_the_run_shows_in_pairs_and_scans() {
    check(cases(1..220, 0..1), 3, |case| {
        let world = world(case);
        let plain = world.replay(How::default());
        for (shards, batch_rows, eager, shuffle) in
            [(3, 7, false, None), (1, 1, true, None), (5, 64, true, None), (1, 5, true, Some(2))]
        {
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
