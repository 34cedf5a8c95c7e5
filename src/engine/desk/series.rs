//! The series of an alert: what its rule compares, window by window, as the records known by now make it.
//!
//! In: an alert, the index, the log. Out: the left side and the limit of the rule's first comparison, from well before the
//! alert began to some way behind it. Promise: the same kernels as the engine's, over the same admitted records, so that a
//! closed window says here what it said there. Only the rows that can matter are read: those of the business where it is
//! the key, else those of the key in the rule's feeds whose event time lies in reach; later versions of them always.

use std::{
    collections::{BTreeMap, HashSet},
    sync::PoisonError,
};

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, UInt64Array},
    compute::{cast, concat_batches, take_record_batch},
    datatypes::{DataType, Float64Type},
};
use rayon::prelude::*;
use serde_json::Value;

use super::{Desk, Error, MadeSeries};
use crate::{
    engine::{
        index::EntryAt,
        inspect::Course,
        lookup::{self, LoggedRow},
        pipeline::{Arrival, Options, Pipeline},
        view::{AlertRow, Point, Series},
    },
    feed::FeedSpec,
    model::{
        batch::Batch,
        expression::{Expression, evaluate_rows},
        schema::ColumnType,
        time::DAY_MS,
        value::value_at,
        window::WindowSpec,
    },
    rule::{
        file::{KeyColumn, Status},
        plan::{CompareWith, RulePlan},
    },
    store::log,
};

/// Windows shown before the one that fired first, and behind the last that fired.
const STEPS: (i64, i64) = (60, 20);
/// Windows shown at most: the latest.
const POINTS_MAX: usize = 240;
/// Series that are kept.
const KEPT_MAX: usize = 500;
/// Longer than any history: nothing closes and nothing is forgotten while a series is made.
const EVER_MS: i64 = 300 * 365 * DAY_MS;

/// Columns of a feed with the values that a key has in them.
type KeyColumns = Vec<(usize, Value)>;

/// The windows of a series, by their local ends.
struct Reach {
    ends: Vec<i64>,
    windows: WindowSpec,
    /// Instants between which rows matter.
    rows_ms: (i64, i64),
}

impl Desk {
    /// The series of an alert of the rule at position `r` of the plan; `None` for rules without windows of a fixed length.
    pub(super) fn series(&self, r: usize, alert: &AlertRow) -> Result<Option<Series>, Error> {
        let Some(reach) = self.reach(&self.plan.rules[r], alert) else { return Ok(None) };
        let feeds = &self.plan.rules[r].feeds;
        let end = self.index().end();
        if let Some(known) = self.known_series(alert, feeds, &reach) {
            return Ok(known);
        }
        let series = self.make_series(r, alert, &reach)?;
        let mut all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KEPT_MAX {
            all.clear();
        }
        let made = MadeSeries { revision: alert.revision, end, series: series.clone() };
        all.insert(alert.id.clone(), made);
        Ok(series)
    }

    /// A series that was made before, where nothing has arrived since that could change it.
    fn known_series(
        &self,
        alert: &AlertRow,
        feeds: &[usize],
        reach: &Reach,
    ) -> Option<Option<Series>> {
        let all = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let made = all.get(&alert.id).filter(|made| made.revision == alert.revision)?;
        let index = self.index();
        let new = index.entries().iter().rev().take_while(|e| e.first >= made.end);
        let touched = new.filter(|e| feeds.contains(&e.feed)).any(|e| reach.has(e));
        let corrected = index.corrected(made.end).next().is_some();
        (!touched && !corrected).then(|| made.series.clone())
    }

    fn reach(&self, plan: &RulePlan, alert: &AlertRow) -> Option<Reach> {
        let (windows, step) = plan.repeating().zip(plan.step())?;
        let local = |text: &str| Some(self.zone.to_local(self.zone.parse_instant(text)?));
        let (began, end) = (local(&alert.began_at)?, local(&alert.window.end)?);
        let latest = {
            let index = self.index();
            let of = |f: &usize| index.feeds()[*f].events_ms.map(|(_, last)| last);
            plan.feeds.iter().filter_map(of).max()?
        };
        // The window that began then, or one of those months that did.
        let began = step.ends_behind(began).find(|end| windows.ending(*end).start >= began)?;
        let first = step.shift(began, -STEPS.0);
        let last = step.shift(end, STEPS.1);
        let last = last.min(step.next_end(self.zone.to_local(latest))).max(end);
        let mut ends: Vec<i64> =
            step.ends_behind(first - 1).take_while(|end| *end <= last).collect();
        ends.drain(..ends.len().saturating_sub(POINTS_MAX));
        let (first, last) = (*ends.first()?, *ends.last()?);
        // A rule over another time column sees rows whose event time lies behind the window.
        let from = self.zone.to_utc(windows.ending(first).start - plan.lookback_ms);
        let to = self.zone.to_utc(last).saturating_add(if plan.delay_ms > 0 { EVER_MS } else { 0 });
        Some(Reach { ends, windows, rows_ms: (from, to) })
    }

    fn make_series(
        &self,
        r: usize,
        alert: &AlertRow,
        reach: &Reach,
    ) -> Result<Option<Series>, Error> {
        let plan = &self.plan.rules[r];
        let Some(file) = self.rule(&plan.id) else { return Ok(None) };
        let rows = match self.business_of(plan, alert) {
            Some(code) => self.rows_of_business(&plan.feeds, &code)?,
            None => self.rows_in_reach(&plan.feeds, reach, &self.key_columns(plan, alert))?,
        };
        let mut file = file.clone();
        file.status.value = Status::Live;
        let options = Options { zone: self.zone.clone(), shards: 1, eager: false };
        let Ok(mut pipeline) = Pipeline::try_new(self.timeless(), &[file], options) else {
            return Ok(None);
        };
        for (feed, rows) in rows {
            let lines = vec![0; rows.num_rows()].into();
            pipeline.arrive(Arrival {
                batches: vec![Batch { feed, partition: "".into(), rows, lines, raw: None }],
                order: None,
                first: pipeline.next_arrival(),
                arrived_ms: vec![i64::MAX / 4],
            });
        }
        let key = Value::Object(alert.key.clone()).to_string();
        let course = pipeline.course(0, &key, &reach.ends);
        Ok(Some(self.show(plan, reach, course.as_ref())))
    }

    /// The feeds without a notion of late: only what was admitted is handed in.
    fn timeless(&self) -> Vec<FeedSpec> {
        let index = self.index();
        let both = self.specs.iter().zip(index.feeds());
        both.map(|(spec, now)| FeedSpec {
            out_of_order_ms: EVER_MS,
            allowed_lateness_ms: EVER_MS,
            dedup_for_ms: 2 * EVER_MS,
            max_skew_ms: EVER_MS,
            history_from_ms: spec.history_from_ms.or(now.events_ms.map(|(first, _)| first)),
            ..spec.clone()
        })
        .collect()
    }

    /// The code in the alert's key, where that column is how the index finds a business in every feed of the rule.
    fn business_of(&self, plan: &RulePlan, alert: &AlertRow) -> Option<String> {
        let file = self.rule(&plan.id)?;
        let column_of = |feed: &usize| {
            let columns = &self.specs[*feed].schema.columns;
            columns.iter().find(|c| c.kind == ColumnType::Ucc).map(|c| c.name.as_str())
        };
        let is_code = |text: &str| plan.feeds.iter().all(|f| column_of(f) == Some(text));
        let key = file.key.iter().find(|k| is_code(k.sql.text.trim()))?;
        if plan.has_peers() {
            return None;
        }
        alert.key.get(&key.name)?.as_str().map(str::to_owned)
    }

    /// By feed of the schemas: the plain columns of the rule's key with their values in the alert, where other keys do not
    /// matter. A rule that compares with peers needs all of those.
    fn key_columns(&self, plan: &RulePlan, alert: &AlertRow) -> Vec<KeyColumns> {
        let Some(file) = self.rule(&plan.id) else { return Vec::new() };
        // The keys of a family, table or scan matter to each other.
        let of_family = |position: usize| {
            plan.detect.as_ref().is_none_or(|d| !d.joins(&plan.key_names[position]))
        };
        let shared = |position: usize| {
            of_family(position)
                && plan.compares.iter().all(|c| match &c.with {
                    CompareWith::Peers { columns, .. } => columns.contains(&position),
                    CompareWith::Shift(_) | CompareWith::History { .. } => true,
                })
        };
        let of_feed = |spec: &FeedSpec| {
            let keys = file.key.iter().enumerate().filter(|(position, _)| shared(*position));
            let plain = |(_, key): (usize, &KeyColumn)| {
                let column = spec.schema.position(key.sql.text.trim())?;
                Some((column, alert.key.get(&key.name)?.clone()))
            };
            keys.filter_map(plain).collect()
        };
        self.specs.iter().map(of_feed).collect()
    }

    /// Admitted rows of a business by feed, each record once, in order of arrival.
    fn rows_of_business(
        &self,
        feeds: &[usize],
        code: &str,
    ) -> Result<Vec<(usize, RecordBatch)>, Error> {
        let mut arrivals = self.index().of_business(code);
        // A later version may name another business, so it is not found under this one.
        let found = self.rows(&arrivals)?;
        {
            let index = self.index();
            for row in found.iter().filter(|r| feeds.contains(&r.feed)) {
                let schema = &self.specs[row.feed].schema;
                arrivals.extend(index.versions(&schema.feed, &row.id(schema)));
            }
        }
        let rows = self.rows(&arrivals)?;
        let mut records: BTreeMap<(usize, String), Vec<&LoggedRow>> = BTreeMap::new();
        let index = self.index();
        for row in rows.iter().filter(|r| feeds.contains(&r.feed) && !index.is_refused(r.arrival)) {
            records.entry((row.feed, row.id(&self.specs[row.feed].schema))).or_default().push(row);
        }
        let mut by_feed: BTreeMap<usize, Vec<&LoggedRow>> = BTreeMap::new();
        for ((feed, _), versions) in &records {
            by_feed
                .entry(*feed)
                .or_default()
                .extend(lookup::winner(versions, &self.specs[*feed].schema));
        }
        let mut out = Vec::new();
        for (feed, mut rows) in by_feed {
            rows.sort_by_key(|r| r.arrival);
            let parts: Vec<RecordBatch> = rows.iter().map(|r| r.batch.slice(r.row, 1)).collect();
            out.extend(
                concat_batches(self.specs[feed].schema.arrow(), &parts).ok().map(|b| (feed, b)),
            );
        }
        Ok(out)
    }

    /// Admitted rows of these feeds in reach, each record once, in order of arrival.
    fn rows_in_reach(
        &self,
        feeds: &[usize],
        reach: &Reach,
        keys: &[KeyColumns],
    ) -> Result<Vec<(usize, RecordBatch)>, Error> {
        let mut entries: Vec<EntryAt> = Vec::new();
        let mut versions: Vec<Vec<u64>> = Vec::new();
        {
            let index = self.index();
            let in_reach = |e: &&EntryAt| feeds.contains(&e.feed) && reach.has(e);
            entries.extend(index.entries().iter().filter(in_reach));
            let holds = |arrival: &u64| {
                let behind = entries.partition_point(|e| e.first <= *arrival);
                entries[..behind].last().is_some_and(|e| *arrival < e.first + e.rows)
            };
            versions
                .extend(index.corrected(0).map(|(_, all)| all).filter(|all| all.iter().any(holds)));
        }
        let corrected = self.rows(&versions.concat())?;
        let (losers, winners) = self.decide(&versions, &corrected);
        let read = |entry: &EntryAt| self.admitted(entry, &losers, &keys[entry.feed]);
        let read: Result<Vec<_>, log::Error> = entries.par_iter().map(read).collect();
        let mut out: Vec<(usize, RecordBatch)> = read?.into_iter().flatten().collect();
        let outside = winners.iter().filter(|r| !entries.iter().any(|e| e.holds(r.arrival)));
        out.extend(outside.map(|r| (r.feed, r.batch.slice(r.row, 1))));
        Ok(out)
    }

    /// Of records with several versions: the rows that do not count, and those that do.
    fn decide<'a>(
        &self,
        versions: &[Vec<u64>],
        rows: &'a [LoggedRow],
    ) -> (HashSet<u64>, Vec<&'a LoggedRow>) {
        let index = self.index();
        let (mut losers, mut winners) = (HashSet::new(), Vec::new());
        for all in versions {
            let found = all
                .iter()
                .filter_map(|a| rows.binary_search_by_key(a, |r| r.arrival).ok().map(|i| &rows[i]));
            let mut by_id: BTreeMap<(usize, String), Vec<&LoggedRow>> = BTreeMap::new();
            for row in found.filter(|r| !index.is_refused(r.arrival)) {
                by_id
                    .entry((row.feed, row.id(&self.specs[row.feed].schema)))
                    .or_default()
                    .push(row);
            }
            for ((feed, _), versions) in by_id {
                let Some(winner) = lookup::winner(&versions, &self.specs[feed].schema) else {
                    continue;
                };
                losers.extend(versions.iter().map(|r| r.arrival).filter(|a| *a != winner.arrival));
                winners.push(winner);
            }
        }
        winners.sort_by_key(|r| r.arrival);
        winners.dedup_by_key(|r| r.arrival);
        (losers, winners)
    }

    /// Rows of an entry that count and have the key.
    fn admitted(
        &self,
        entry: &EntryAt,
        losers: &HashSet<u64>,
        key: &KeyColumns,
    ) -> Result<Vec<(usize, RecordBatch)>, log::Error> {
        let mut first = entry.first;
        let mut out = Vec::new();
        for batch in lookup::batches(&self.log_dir(), &self.specs, entry)? {
            let n = batch.num_rows() as u64;
            let index = self.index();
            let of_key = |i: u64| {
                key.iter().all(|(column, value)| is_value(batch.column(*column), i as usize, value))
            };
            let counts = |i: &u64| {
                of_key(*i) && !losers.contains(&(first + i)) && !index.is_refused(first + i)
            };
            let kept: Vec<u64> = (0..n).filter(counts).collect();
            let batch = if kept.len() as u64 == n {
                Some(batch)
            } else {
                take_record_batch(&batch, &UInt64Array::from(kept)).ok()
            };
            out.extend(batch.map(|b| (entry.feed, b)));
            first += n;
        }
        Ok(out)
    }

    fn show(&self, plan: &RulePlan, reach: &Reach, course: Option<&Course>) -> Series {
        let sides = plan.terms.iter().find_map(|t| {
            let (left, operator, right) = t.sides.as_ref()?;
            let shown = is_number(left.data_type()) && !left.columns().is_empty();
            shown.then_some((left, operator, right))
        });
        let numbers = |e: &Expression| {
            let values = evaluate_rows(e.as_ref(), &course?.values).0;
            cast(&values, &DataType::Float64).ok()
        };
        let first = || {
            let values = course?.values.columns().first()?;
            cast(values, &DataType::Float64).ok()
        };
        let told = |name: &str| {
            let values = course?.values.column_by_name(name)?;
            cast(values, &DataType::Float64).ok()
        };
        let detects = plan.detect.is_some();
        // What a detector judges is the first value, whatever else the condition compares.
        let sides = sides.filter(|_| !detects);
        let values = sides.map_or_else(first, |(left, ..)| numbers(left));
        let limits = match detects {
            true => told("upper_bound"),
            false => sides.and_then(|(.., right)| numbers(right)),
        };
        let expected = told("expected").filter(|_| detects);
        let at = |column: &Option<ArrayRef>, i: usize| {
            let column = column.as_ref()?.as_primitive_opt::<Float64Type>()?;
            (column.is_valid(i) && column.value(i).is_finite()).then(|| column.value(i))
        };
        let point = |(i, end): (usize, &i64)| {
            let end_ms = self.zone.to_utc(*end);
            Point {
                start: self.zone.format(self.zone.to_utc(reach.windows.ending(*end).start)),
                end: self.zone.format(end_ms),
                end_ms,
                value: at(&values, i),
                limit: at(&limits, i),
                expected: at(&expected, i),
                fires: course.is_some_and(|c| c.fires[i]),
            }
        };
        Series {
            value: sides.map_or_else(
                || plan.value_names().next().unwrap_or_default().to_owned(),
                |(left, ..)| left.sql().to_owned(),
            ),
            limit: match detects {
                true => Some("upper_bound".to_owned()),
                false => sides.map(|(.., right)| right.sql().to_owned()),
            },
            operator: match detects {
                true => Some(">".to_owned()),
                false => sides.map(|(_, operator, _)| operator.clone()),
            },
            expects: detects,
            points: reach.ends.iter().enumerate().map(point).collect(),
        }
    }
}

impl Reach {
    fn has(&self, entry: &EntryAt) -> bool {
        entry.events_ms.1 >= self.rows_ms.0 && entry.events_ms.0 < self.rows_ms.1
    }
}

/// Whether the column holds `value` in that row.
fn is_value(column: &ArrayRef, row: usize, value: &Value) -> bool {
    match (column.as_string_opt::<i32>(), value) {
        (Some(texts), Value::String(text)) => texts.is_valid(row) && texts.value(row) == text,
        _ => value_at(column, row) == *value,
    }
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}
