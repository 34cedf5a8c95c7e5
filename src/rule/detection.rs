//! Detection: a detector's answer about one period of many keys.
//!
//! In: the pane store, keys, a period that has ended. Out: the columns `expected`, `upper_bound`, `score`, `p_value` and
//! `alarm`, one row per key; null where there is no answer. A key's series is read from the panes each time, from the
//! feed's beginning or as far back as the detector looks, so that the answer depends on the rows alone. Periods of the
//! feed's history in which a key has no rows count 0.
//! Not here: which keys and when (`engine`), false discoveries over keys (`control`).

use std::{ops::Range, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array},
    compute::cast,
    datatypes::{DataType, Float64Type},
};
use jiff::civil::Date;

use super::{
    detector::{ControlFile, DetectFile, Method as MethodOf, MethodFile},
    evaluate::Evaluator,
    file::RuleFile,
    nowcast::{NowcastFile, NowcastPlan},
    period::{Like, Period, days_off, is_known},
    plan::{Aggregate, Read},
    scan::ScanPlan,
    table::PairsPlan,
};
use crate::{
    detect::{
        self, Calendar, Judgement, Looks, Series, SeriesDetector, Verdict, outbreak::Estimate,
    },
    model::time::DAY_MS,
};

/// Keys whose series are held at once.
const KEYS_AT_ONCE: usize = 128;

/// So few are asked one by one.
const FEW_KEYS: usize = 16;

/// Periods that an explanation shows before the one judged, at most.
const EXPLAINED_MAX: usize = 12;

/// The compiled part of a `detect` rule that others have not.
#[derive(Debug)]
pub struct DetectPlan {
    /// The periods.
    pub period: Period,
    /// Who judges.
    pub judge: Judge,
    /// Whether the second measure is the population behind the first.
    population: bool,
    /// Whether a period without rows has the value 0; else it has none.
    fill_zero: bool,
    /// What the newest periods will be; set when its slices are known.
    pub nowcast: Option<NowcastPlan>,
    /// Periods before the one judged from which a nowcast learns.
    learnt: usize,
    /// Whether days off are taken into account.
    calendar: bool,
    /// Local times that are no part of a baseline.
    exclude: Vec<Range<i64>>,
    /// Control of false discoveries.
    pub control: Option<ControlPlan>,
}

/// Who judges, and what.
#[derive(Debug)]
pub enum Judge {
    /// Each key's series by itself: the detector, then its fallback.
    Series(Vec<Method>),
    /// The keys of a period beside each other, as the pairs of a table.
    Pairs(PairsPlan),
    /// The same as places, with the periods before.
    Scan(ScanPlan),
}

/// How false discoveries are controlled.
#[derive(Debug)]
pub struct ControlPlan {
    /// Their share among the alarms of a family and period.
    pub fdr: f64,
    /// Names of key columns in which the keys of a family agree.
    pub within: Vec<String>,
}

/// A detector, and how much of a series it is given.
#[derive(Debug)]
pub struct Method {
    detector: Arc<dyn SeriesDetector>,
    looks: Looks,
    /// Periods before the one judged, or before a chart begins.
    baseline: usize,
    /// Periods that a chart is drawn over before the one judged.
    run: usize,
    /// Whether it is given those periods alone that are like the one judged.
    alike: bool,
    /// Among how many periods those lie that it is given.
    among: usize,
}

/// What a detector tells of one period of many keys.
#[derive(Debug)]
pub struct Told {
    /// See [`super::detector::TOLD`].
    pub columns: Vec<ArrayRef>,
    /// Keys about which it had no answer.
    pub unanswered: u64,
    /// Of these, those whose values make no sense.
    pub failures: u64,
}

impl DetectPlan {
    /// The plan of what `file` says.
    #[must_use]
    pub fn new(file: &DetectFile, rule: &RuleFile) -> Self {
        let method = |m: &MethodFile| Some(Method::new(m.series()?, file));
        let series = || std::iter::once(&file.detector).chain(&file.fallback);
        let judge = match &file.detector.method {
            MethodOf::Series(_) => Judge::Series(series().filter_map(method).collect()),
            MethodOf::Pairs(pairs) => Judge::Pairs(PairsPlan::new(pairs, rule.key_names())),
            MethodOf::Scan(scan) => Judge::Scan(ScanPlan::new(scan, rule.key_names())),
        };
        let day = |day: i32| i64::from(day) * DAY_MS;
        let control = |c: &ControlFile| ControlPlan {
            fdr: c.fdr,
            within: rule
                .key_names()
                .filter(|name| !c.over.is_empty() && c.over.iter().all(|o| o.value != *name))
                .map(str::to_owned)
                .collect(),
        };
        Self {
            period: file.period.value,
            judge,
            population: file.population.is_some(),
            fill_zero: file.fill_zero,
            nowcast: None,
            learnt: file.nowcast.as_ref().map_or(0, NowcastFile::reach),
            calendar: file.calendar.is_some(),
            exclude: file.exclude.iter().map(|(from, to)| day(*from)..day(*to + 1)).collect(),
            control: rule.alert.control.as_ref().map(control),
        }
    }

    /// Periods before the one judged that can matter.
    #[must_use]
    pub fn lookback(&self) -> usize {
        match &self.judge {
            Judge::Series(methods) => {
                methods.iter().map(|m| m.among).max().unwrap_or(0).max(self.learnt)
            }
            Judge::Pairs(_) => 0,
            Judge::Scan(scan) => scan.history - 1,
        }
    }

    /// Whether a key is judged beside others, so that the values of all are needed first.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        self.control.is_some() || !matches!(self.judge, Judge::Series(_))
    }

    /// Whether keys that differ in the key column `name` may matter to each other.
    #[must_use]
    pub fn joins(&self, name: &str) -> bool {
        let margin = match &self.judge {
            Judge::Series(_) => false,
            Judge::Pairs(pairs) => pairs.margins.iter().any(|m| m == name),
            Judge::Scan(scan) => scan.place == name,
        };
        margin || self.control.as_ref().is_some_and(|c| c.within.iter().all(|w| w != name))
    }

    fn methods(&self) -> &[Method] {
        match &self.judge {
            Judge::Series(methods) => methods,
            Judge::Pairs(_) | Judge::Scan(_) => &[],
        }
    }

    /// Where the earliest period begins that can matter to the one that ends at the local time `end`.
    #[must_use]
    pub fn reaches(&self, end: i64) -> i64 {
        let back = |back| self.period.before(end, back);
        (0..=self.lookback()).rev().find_map(back).map_or(end, |period| period.start)
    }

    /// How far behind a period's start the earliest can begin that matters to it, milliseconds.
    #[must_use]
    pub fn lookback_ms(&self) -> i64 {
        self.period.longest_ms(self.lookback())
    }

    /// Periods before the one judged that an explanation shows with what was told of them.
    #[must_use]
    pub fn explained(&self) -> usize {
        // What was told beside others needs all of them again, period by period.
        if self.methods().is_empty() { 0 } else { self.lookback().min(EXPLAINED_MAX) }
    }

    /// Whether the calendar knows a period, where it is asked: behind the last notice a holiday would pass for working days.
    fn knows(&self, period: &Range<i64>) -> bool {
        !self.calendar || is_known(period)
    }

    /// Whether any method has an answer about the last of these periods.
    fn is_ready(&self, periods: &[Range<i64>]) -> bool {
        periods.last().is_some_and(|last| self.knows(last))
            && self.methods().iter().any(|m| m.given(periods).len() > m.needs(self.period))
    }

    /// The periods of a series that ends with the local time `end`, oldest first: those that matter and do not begin before
    /// `from`; none where not even the last does.
    pub(super) fn periods(&self, end: i64, from: i64) -> Vec<Range<i64>> {
        let back = (0..=self.lookback()).map_while(|back| self.period.before(end, back));
        let mut periods: Vec<_> = back.take_while(|period| period.start >= from).collect();
        periods.reverse();
        periods
    }

    /// Times in which a key with rows was part of the baseline of the period `window`, from the local time `from` on.
    #[must_use]
    pub fn baselines(&self, window: &Range<i64>, from: i64) -> Vec<Range<i64>> {
        let mut periods = self.periods(window.end, from);
        periods.pop();
        if !self.period.is_holiday() {
            // One behind the other, and what lies before the first whole one.
            periods.clear();
            periods.push(self.reaches(window.end).max(from)..window.start);
        }
        periods
    }

    fn is_excluded(&self, period: &Range<i64>) -> bool {
        !self.knows(period)
            || self.exclude.iter().any(|e| e.start < period.end && period.start < e.end)
    }
}

impl Method {
    fn new(detector: &Arc<dyn SeriesDetector>, file: &DetectFile) -> Self {
        let detector = Arc::clone(detector);
        let (profile, period) = (detector.profile(), file.period.value);
        let (looks, per_year) = (profile.looks, period.per_year());
        let reach = detector.reach(per_year).max(detector.history(per_year));
        let given = file.baseline.as_ref().filter(|_| looks != Looks::Back);
        let baseline = given.map_or(reach, |given| given.value);
        let run = file.run.as_ref().map_or(per_year.div_ceil(2), |run| run.value);
        let run = if looks == Looks::Chart { run } else { 0 };
        let alike = file.calendar.is_some() && profile.calendar == Calendar::Order;
        let lookback = baseline + run;
        let among = if alike { Like::among(lookback, period) } else { lookback };
        Self { detector, looks, baseline, run, alike, among }
    }

    /// Periods of history without which there is no answer.
    fn needs(&self, period: Period) -> usize {
        match self.looks {
            Looks::Chart => self.baseline,
            Looks::Back | Looks::All => self.detector.history(period.per_year()),
        }
    }

    /// Positions of those of `periods` that the method is given, the last of which is to be judged.
    fn given(&self, periods: &[Range<i64>]) -> Vec<usize> {
        let Some(last) = periods.last() else { return Vec::new() };
        let all = (0..periods.len()).rev();
        let most = self.baseline + self.run + 1;
        let mut given: Vec<usize> = if self.alike {
            let like = Like::of(last);
            all.filter(|i| Like::of(&periods[*i]) == like).take(most).collect()
        } else {
            all.take(most).collect()
        };
        given.reverse();
        given
    }

    /// The verdict on the last period of what it is given.
    fn judge(&self, series: &Series<'_>) -> Result<Verdict, detect::Error> {
        let now = series.len() - 1;
        let start = match self.looks {
            Looks::Chart if now < self.baseline => return Ok(Verdict::TooEarly),
            Looks::Chart => now.saturating_sub(self.run).max(self.baseline),
            Looks::Back | Looks::All => now,
        };
        self.detector.last(series, start..now + 1)
    }
}

/// The periods of a series, with what is known of them before any record is seen.
struct Course {
    /// Oldest first; the last is to be judged.
    periods: Vec<Range<i64>>,
    dates: Vec<Date>,
    /// Days off in each, where they are taken into account.
    days_off: Option<Vec<f64>>,
    /// How many days each is long, where that differs and nothing else is the population.
    days: Option<Vec<f64>>,
    /// By method: positions of the periods that it is given, with their dates.
    given: Vec<(Vec<usize>, Vec<Date>)>,
}

impl Course {
    fn new(plan: &DetectPlan, window: &Range<i64>, history_from: i64) -> Self {
        let periods = plan.periods(window.end, history_from);
        let dates: Vec<Date> = periods.iter().map(|p| plan.period.day_of(p)).collect();
        let given = plan.methods().iter().map(|method| {
            let given = method.given(&periods);
            let dates = given.iter().map(|i| dates[*i]).collect();
            (given, dates)
        });
        let long = |p: &Range<i64>| (p.end - p.start) as f64 / DAY_MS as f64;
        let uneven = plan.period.is_holiday() && !plan.population;
        Self {
            given: given.collect(),
            days_off: plan.calendar.then(|| periods.iter().map(days_off).collect()),
            days: uneven.then(|| periods.iter().map(long).collect()),
            dates,
            periods,
        }
    }

    /// What the first method that has an answer says of the last period.
    fn judge(
        &self,
        plan: &DetectPlan,
        values: &[f64],
        population: Option<&[f64]>,
    ) -> Result<Option<Judgement>, detect::Error> {
        let population = population.or(self.days.as_deref());
        let days_off = self.days_off.as_deref();
        let periods_per_year = plan.period.per_year();
        for (method, (given, dates)) in plan.methods().iter().zip(&self.given) {
            let first = given.first().copied().unwrap_or(0);
            let verdict = if first + given.len() == values.len() {
                method.judge(&Series {
                    values: &values[first..],
                    population: population.map(|p| &p[first..]),
                    dates: Some(&self.dates[first..]),
                    days_off: days_off.map(|d| &d[first..]),
                    periods_per_year,
                })
            } else {
                let of = |all: &[f64]| given.iter().map(|i| all[*i]).collect::<Vec<f64>>();
                method.judge(&Series {
                    values: &of(values),
                    population: population.map(of).as_deref(),
                    dates: Some(dates),
                    days_off: days_off.map(of).as_deref(),
                    periods_per_year,
                })
            };
            if let Verdict::Judged(judgement) = verdict? {
                return Ok(Some(judgement));
            }
        }
        Ok(None)
    }
}

impl Evaluator<'_> {
    /// What the detector of `plan` tells of `keys` in the period `window`.
    pub(super) fn detection(
        &mut self,
        plan: &DetectPlan,
        keys: &[u32],
        window: &Range<i64>,
    ) -> Told {
        let course = Course::new(plan, window, self.history_from);
        let n = course.periods.len();
        let mut nowcasts: Vec<Option<Estimate>> = vec![None; keys.len()];
        let mut rows: Vec<Option<Judgement>> = Vec::with_capacity(keys.len());
        let mut failures = 0;
        let judges = n > 0 && plan.knows(window) && matches!(plan.judge, Judge::Series(_));
        if !judges {
            rows.resize(keys.len(), None);
        }
        for chunk in keys.chunks(KEYS_AT_ONCE).filter(|_| judges) {
            let (mut values, population) = self.baseline(plan, chunk, &course.periods);
            for (i, key) in chunk.iter().enumerate() {
                let of_key = i * n..(i + 1) * n;
                if let Some(nowcast) = &plan.nowcast {
                    let newest = self.complete(nowcast, *key, &course.periods);
                    nowcasts[rows.len()] = newest.as_ref().map(|newest| newest.now);
                    let of_key = values[of_key.clone()].iter_mut().rev();
                    match newest {
                        Some(newest) => of_key.zip(newest.values).for_each(|(v, new)| {
                            if !v.is_nan() {
                                *v = new
                            }
                        }),
                        None => of_key.take(1).for_each(|v| *v = f64::NAN),
                    }
                }
                let population = population.as_ref().map(|p| &p[of_key.clone()]);
                let judged = course.judge(plan, &values[of_key.clone()], population);
                rows.push(judged.unwrap_or_else(|_| {
                    failures += 1;
                    None
                }));
            }
        }
        let unanswered = rows.iter().filter(|row| row.is_none()).count() as u64;
        let mut columns = columns(&rows);
        if plan.nowcast.is_some() {
            let figure = |of: fn(&Estimate) -> Option<f64>| -> ArrayRef {
                Arc::new(nowcasts.iter().map(|n| n.as_ref().and_then(of)).collect::<Float64Array>())
            };
            columns.extend([figure(|n| n.median), figure(|n| n.lower), figure(|n| n.upper)]);
        }
        Told { columns, unanswered, failures }
    }

    /// Whether keys with rows before `window` alone were tested too.
    pub(super) fn is_ready(&self, plan: &DetectPlan, window: &Range<i64>) -> bool {
        plan.is_ready(&plan.periods(window.end, self.history_from))
    }

    /// The value of each key in each of `periods`, key by key, NaN where there is none; and the population behind it.
    pub(super) fn baseline(
        &mut self,
        plan: &DetectPlan,
        keys: &[u32],
        periods: &[Range<i64>],
    ) -> (Vec<f64>, Option<Vec<f64>>) {
        let none = if plan.fill_zero { 0.0 } else { f64::NAN };
        let n = periods.len();
        let mut figures = vec![vec![none; keys.len() * n]];
        figures.resize(1 + usize::from(plan.population), vec![0.0; keys.len() * n]);
        let mut others = Vec::new();
        for (measure, out) in figures.iter_mut().enumerate() {
            if let Some(nowcast) = plan.nowcast.as_ref().filter(|_| measure == 0) {
                self.count(nowcast.all(), keys, periods, out);
                continue;
            }
            let bare = self.rule.measures[measure].value.column();
            match bare.map(|c| &self.rule.aggregates[c]) {
                Some(Aggregate { slice, read: Read::Rows, .. }) => {
                    self.count(*slice, keys, periods, out);
                }
                _ => others.push(measure),
            }
        }
        for (at, period) in periods.iter().enumerate().filter(|_| !others.is_empty()) {
            let columns = self.measures_of(&others, keys, period);
            for (measure, column) in others.iter().zip(columns) {
                let Ok(column) = cast(&column, &DataType::Float64) else { continue };
                let column = column.as_primitive::<Float64Type>();
                for i in (0..keys.len()).filter(|i| column.is_valid(*i)) {
                    figures[*measure][i * n + at] = column.value(i);
                }
            }
        }
        for (at, period) in periods.iter().enumerate() {
            let left_out = at + 1 < n && plan.is_excluded(period);
            if !left_out && plan.fill_zero {
                continue;
            }
            for (i, key) in keys.iter().enumerate() {
                if left_out || (!plan.fill_zero && !self.has_rows(*key, period)) {
                    figures[0][i * n + at] = f64::NAN;
                }
            }
        }
        let mut figures = figures.into_iter();
        (figures.next().unwrap_or_default(), figures.next())
    }

    /// The number of rows of each key in each of `periods`, key by key.
    fn count(&self, slice: usize, keys: &[u32], periods: &[Range<i64>], out: &mut [f64]) {
        let n = periods.len();
        if periods.windows(2).all(|p| p[0].end == p[1].start) {
            // One behind the other: each series is walked once.
            let ends = periods.iter().map(|period| self.panes(slice, period).end);
            let start = periods.first().map(|period| self.panes(slice, period).start);
            let edges: Vec<i32> = start.into_iter().chain(ends).collect();
            return self.store.slice(slice).rows_between(keys, &edges, out);
        }
        for (at, period) in periods.iter().enumerate() {
            let (of, panes) = (self.store.slice(slice), self.panes(slice, period));
            if keys.len() < FEW_KEYS {
                let rows = keys.iter().map(|k| of.rows(*k, &panes) as f64);
                rows.enumerate().for_each(|(i, rows)| out[i * n + at] = rows);
                continue;
            }
            let rows = of.rows_in(&panes);
            keys.iter().enumerate().for_each(|(i, k)| out[i * n + at] = rows(*k) as f64);
        }
    }
}

fn columns(rows: &[Option<Judgement>]) -> Vec<ArrayRef> {
    let figure = |of: fn(&Judgement) -> Option<f64>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| row.as_ref().and_then(of)).collect::<Float64Array>())
    };
    let alarms: BooleanArray = rows.iter().map(|row| row.map(|judged| judged.alarm)).collect();
    vec![
        figure(|judged| judged.expected),
        figure(|judged| judged.upper_bound),
        figure(|judged| judged.score),
        figure(|judged| judged.p_value),
        Arc::new(alarms),
    ]
}
