//! Delays: how long after a fact its record comes, as exact quantiles.
//!
//! In: pairs of instants — an earlier time column and the feed's event time, or event time and arrival. Out: quantiles by
//! nearest rank. Kept as counts by length, to the second below an hour, to the minute below two days, to the hour below 60
//! days, to the day beyond: bounded, and exact for dates. A record's first version counts, corrections do not.

use std::{collections::BTreeMap, sync::Arc};

use arrow::array::RecordBatch;
use hashbrown::HashSet;
use xxhash_rust::xxh3::xxh3_64;

use super::index::{instants, record_id};
use crate::model::{
    schema::{ColumnType, FeedSchema},
    time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Zone},
};

/// The delays between two times of one feed's records.
#[derive(Debug, Clone, Default)]
pub struct Delays {
    /// Column of the earlier time.
    from: usize,
    /// Column of the later time; `None`: the arrival.
    to: Option<usize>,
    /// Column that tells the arrival where the log does not know it: the files of years come in a day.
    arrived: Option<usize>,
    /// Names of both: `incident_date`, `received_on`; the arrival is `arrival`.
    pub names: (String, String),
    /// Length → how many.
    counts: BTreeMap<i64, u64>,
    /// How many there are.
    pub records: u64,
    /// How many of them run backwards: the later time is the earlier one.
    pub negative: u64,
}

impl Delays {
    /// What there is to measure in a feed: event time to arrival first, then each other time column to the event time.
    #[must_use]
    pub fn of(schema: &FeedSchema) -> Vec<Self> {
        let name = |c: usize| schema.columns[c].name.clone();
        let event = schema.event_time;
        let arrival = Self {
            from: event,
            arrived: schema.arrived_at,
            names: (name(event), schema.arrived_at.map_or_else(|| "arrival".into(), name)),
            ..Self::default()
        };
        let is_time =
            |c: &usize| matches!(schema.columns[*c].kind, ColumnType::Date | ColumnType::Timestamp);
        let others = (0..schema.columns.len())
            .filter(is_time)
            .filter(|c| *c != event && Some(*c) != schema.arrived_at);
        let other =
            |c| Self { from: c, to: Some(event), names: (name(c), name(event)), ..Self::default() };
        std::iter::once(arrival).chain(others.map(other)).collect()
    }

    /// Takes the record in `row`, whose instants are in `times` by column.
    pub fn take(
        &mut self,
        times: &[Option<Vec<Option<i64>>>],
        row: usize,
        arrived_ms: Option<i64>,
        zone: &Zone,
    ) {
        let at = |c: usize| times.get(c)?.as_ref()?.get(row).copied().flatten();
        let later = match self.to {
            Some(to) => at(to),
            None => self.arrived.and_then(at).or(arrived_ms),
        };
        if let (Some(from), Some(to)) = (at(self.from), later) {
            // By the clock on the wall: from day to day it is whole days, also over a change of summer time.
            self.add(zone.to_local(to) - zone.to_local(from));
        }
    }

    /// Takes one delay, ms.
    pub fn add(&mut self, ms: i64) {
        let step = match ms.abs() {
            n if n < HOUR_MS => SECOND_MS,
            n if n < 2 * DAY_MS => MINUTE_MS,
            n if n < 60 * DAY_MS => HOUR_MS,
            _ => DAY_MS,
        };
        *self.counts.entry(ms.div_euclid(step) * step).or_default() += 1;
        self.records += 1;
        self.negative += u64::from(ms < 0);
    }

    /// The delay that the share `p` (0 to 1) of the records do not exceed, ms; `None` without records.
    #[must_use]
    pub fn quantile(&self, p: f64) -> Option<i64> {
        let rank = ((self.records as f64 * p).ceil() as u64).clamp(1, self.records.max(1));
        let mut seen = 0;
        self.counts.iter().find_map(|(ms, n)| {
            seen += n;
            (seen >= rank).then_some(*ms)
        })
    }

    /// The longest delay, ms.
    #[must_use]
    pub fn longest(&self) -> Option<i64> {
        self.counts.last_key_value().map(|(ms, _)| *ms)
    }
}

/// The delays of one feed's records outside the engine: from files, or from a log that is read through.
#[derive(Debug)]
pub struct Measuring {
    schema: Arc<FeedSchema>,
    zone: Zone,
    seen: HashSet<u64>,
    delays: Vec<Delays>,
}

impl Measuring {
    /// Nothing measured yet.
    #[must_use]
    pub fn new(schema: Arc<FeedSchema>, zone: Zone) -> Self {
        let delays = Delays::of(&schema);
        Self { schema, zone, seen: HashSet::new(), delays }
    }

    /// Takes rows in the feed's schema. `arrival` is the number of the first, `arrived_ms` when they arrived where that is
    /// known.
    pub fn take(&mut self, rows: &RecordBatch, arrival: u64, arrived_ms: Option<i64>) {
        let times: Vec<_> =
            rows.columns().iter().map(|c| instants(c.as_ref(), &self.zone)).collect();
        for row in 0..rows.num_rows() {
            let id = record_id(&self.schema, rows, row, arrival + row as u64);
            if self.schema.record_id.is_empty() || self.seen.insert(xxh3_64(id.as_bytes())) {
                for delays in &mut self.delays {
                    delays.take(&times, row, arrived_ms, &self.zone);
                }
            }
        }
    }

    /// What was measured, the arrival first.
    #[must_use]
    pub fn delays(&self) -> &[Delays] {
        &self.delays
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_list() {
        let mut delays = Delays::default();
        assert_eq!(delays.quantile(0.5), None);
        (1..=100).for_each(|d| delays.add(d * DAY_MS));
        let days = |p| delays.quantile(p).map(|ms| ms / DAY_MS);
        assert_eq!([0.5, 0.9, 0.99, 1.0, 0.0].map(days), [50, 90, 99, 100, 1].map(Some));
        delays.add(-1);
        assert_eq!((delays.negative, delays.quantile(0.0)), (1, Some(-1_000)));
        delays.add(90 * MINUTE_MS + 59_000);
        assert_eq!(delays.quantile(0.019), Some(90 * MINUTE_MS));
        assert_eq!(delays.longest(), Some(100 * DAY_MS));
    }
}
