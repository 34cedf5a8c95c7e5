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
    detector::{ControlFile, DetectFile, Method as MethodOf, MethodFile, Period},
    evaluate::Evaluator,
    file::RuleFile,
    plan::{Aggregate, Read},
    scan::ScanPlan,
    table::PairsPlan,
};
use crate::{
    detect::{self, Judgement, Looks, Series, SeriesDetector, Verdict},
    model::time::DAY_MS,
};

/// Keys whose series are held at once.
const KEYS_AT_ONCE: usize = 1_024;

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
            exclude: file.exclude.iter().map(|(from, to)| day(*from)..day(*to + 1)).collect(),
            control: rule.alert.control.as_ref().map(control),
        }
    }

    /// Periods before the one judged that can matter.
    #[must_use]
    pub fn lookback(&self) -> usize {
        match &self.judge {
            Judge::Series(methods) => methods.iter().map(Method::lookback).max().unwrap_or(0),
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

    /// By how much earlier those periods ended.
    pub fn shifts(&self) -> impl Iterator<Item = i64> + '_ {
        (1..=self.lookback() as i64).map(|back| back * self.period.ms())
    }

    /// Periods before the one judged that an explanation shows with what was told of them.
    #[must_use]
    pub fn explained(&self) -> usize {
        // What was told beside others needs all of them again, period by period.
        if self.methods().is_empty() { 0 } else { self.lookback().min(EXPLAINED_MAX) }
    }

    /// Whether any method has an answer after so many periods of history.
    fn is_ready(&self, before: usize) -> bool {
        self.methods().iter().any(|m| before >= m.needs(self.period))
    }

    /// What the first method that has an answer says of the last period of a series.
    fn judge(&self, series: &Series<'_>) -> Result<Option<Judgement>, detect::Error> {
        for method in self.methods() {
            if let Verdict::Judged(judgement) = method.judge(series)? {
                return Ok(Some(judgement));
            }
        }
        Ok(None)
    }

    fn is_excluded(&self, period: &Range<i64>) -> bool {
        self.exclude.iter().any(|e| e.start < period.end && period.start < e.end)
    }
}

impl Method {
    fn new(detector: &Arc<dyn SeriesDetector>, file: &DetectFile) -> Self {
        let detector = Arc::clone(detector);
        let (looks, per_year) = (detector.profile().looks, file.period.value.per_year());
        let reach = detector.reach(per_year).max(detector.history(per_year));
        let given = file.baseline.as_ref().filter(|_| looks != Looks::Back);
        let run = file.run.as_ref().map_or(per_year.div_ceil(2), |run| run.value);
        Self {
            baseline: given.map_or(reach, |given| given.value),
            run: if looks == Looks::Chart { run } else { 0 },
            looks,
            detector,
        }
    }

    fn lookback(&self) -> usize {
        self.baseline + self.run
    }

    /// Periods of history without which there is no answer.
    fn needs(&self, period: Period) -> usize {
        match self.looks {
            Looks::Chart => self.baseline,
            Looks::Back | Looks::All => self.detector.history(period.per_year()),
        }
    }

    /// The verdict on the last period.
    fn judge(&self, series: &Series<'_>) -> Result<Verdict, detect::Error> {
        let from = series.len().saturating_sub(self.lookback() + 1);
        let series = Series {
            values: &series.values[from..],
            population: series.population.map(|p| &p[from..]),
            dates: series.dates.map(|d| &d[from..]),
            ..*series
        };
        let now = series.len() - 1;
        let start = match self.looks {
            Looks::Chart if now < self.baseline => return Ok(Verdict::TooEarly),
            Looks::Chart => now.saturating_sub(self.run).max(self.baseline),
            Looks::Back | Looks::All => now,
        };
        let verdicts = self.detector.evaluate(&series, start..now + 1)?;
        Ok(verdicts.last().copied().unwrap_or(Verdict::TooEarly))
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
        let periods = self.periods(plan, window);
        let mut rows: Vec<Option<Judgement>> = Vec::with_capacity(keys.len());
        let mut failures = 0;
        let judges = !periods.is_empty() && matches!(plan.judge, Judge::Series(_));
        if !judges {
            rows.resize(keys.len(), None);
        }
        let dates: Vec<Date> = periods.iter().map(|p| date_of(p.start)).collect();
        let chunks = keys.chunks(KEYS_AT_ONCE).filter(|_| judges);
        for chunk in chunks {
            let values = self.baseline(plan, 0, chunk, &periods);
            let population = plan.population.then(|| self.baseline(plan, 1, chunk, &periods));
            let n = periods.len();
            for i in 0..chunk.len() {
                let series = Series {
                    values: &values[i * n..(i + 1) * n],
                    population: population.as_ref().map(|p| &p[i * n..(i + 1) * n]),
                    dates: Some(&dates),
                    periods_per_year: plan.period.per_year(),
                };
                rows.push(plan.judge(&series).unwrap_or_else(|_| {
                    failures += 1;
                    None
                }));
            }
        }
        let unanswered = rows.iter().filter(|row| row.is_none()).count() as u64;
        Told { columns: columns(&rows), unanswered, failures }
    }

    /// Whether keys with rows before `window` alone were tested too.
    pub(super) fn is_ready(&self, plan: &DetectPlan, window: &Range<i64>) -> bool {
        let periods = self.periods(plan, window).len();
        periods > 0 && plan.is_ready(periods - 1)
    }

    /// The periods of a series that ends with `window`, oldest first: those that matter and lie in the feed's history;
    /// none where not even `window` does.
    pub(super) fn periods(&self, plan: &DetectPlan, window: &Range<i64>) -> Vec<Range<i64>> {
        let known = window.start.saturating_sub(self.history_from);
        if known < 0 {
            return Vec::new();
        }
        let period = plan.period.ms();
        let before = (known / period).min(plan.lookback() as i64);
        (0..=before)
            .rev()
            .map(|back| window.start - back * period..window.end - back * period)
            .collect()
    }

    /// A measure of each key in each of `periods`, key by key; NaN where there is no value.
    pub(super) fn baseline(
        &mut self,
        plan: &DetectPlan,
        measure: usize,
        keys: &[u32],
        periods: &[Range<i64>],
    ) -> Vec<f64> {
        let n = periods.len();
        let none = if plan.fill_zero { 0.0 } else { f64::NAN };
        let mut out = vec![none; keys.len() * n];
        let bare = self.rule.measures[measure].value.column();
        match bare.map(|c| &self.rule.aggregates[c]) {
            Some(Aggregate { slice, read: Read::Rows, .. }) => {
                let slice = *slice;
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
            _ => {
                for (at, period) in periods.iter().enumerate() {
                    let values = self.measure_of(measure, keys, period);
                    let Ok(values) = cast(&values, &DataType::Float64) else { continue };
                    let values = values.as_primitive::<Float64Type>();
                    for i in (0..keys.len()).filter(|i| values.is_valid(*i)) {
                        out[i * n + at] = values.value(i);
                    }
                }
            }
        }
        for (at, period) in periods.iter().enumerate() {
            let left_out = measure == 0 && at + 1 < n && plan.is_excluded(period);
            for (i, key) in keys.iter().enumerate() {
                if left_out || (!plan.fill_zero && measure == 0 && !self.has_rows(*key, period)) {
                    out[i * n + at] = f64::NAN;
                }
            }
        }
        out
    }
}

fn date_of(local_ms: i64) -> Date {
    let days = local_ms.div_euclid(DAY_MS);
    Date::constant(1970, 1, 1).saturating_add(jiff::Span::new().days(days))
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
