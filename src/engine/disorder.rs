//! Another order of the same rows: what `replay --shuffle` and `--duplicates` check that it does not matter.
//!
//! In: all rows of one partition. Out: the same rows, each delayed at random by less than the lateness that its feed admits,
//! some of them sent again. A row that the original order would refuse as late is refused in the new order too: it goes
//! to the end.

use std::sync::Arc;

use arrow::{
    array::{AsArray, RecordBatch},
    compute::interleave_record_batch,
    datatypes::{DataType, Date32Type, TimestampMillisecondType},
};

use crate::{
    feed::FeedSpec,
    model::{
        batch::Batch,
        time::{DAY_MS, Zone},
    },
};

/// How the order is disturbed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disorder {
    /// Seed of random delays.
    pub shuffle: Option<u64>,
    /// Seed of rows that are sent twice (one in eight).
    pub duplicates: Option<u64>,
}

impl Disorder {
    /// Whether there is any.
    #[must_use]
    pub fn any(self) -> bool {
        self.shuffle.is_some() || self.duplicates.is_some()
    }
}

/// The rows of a partition in another order, in batches of at most `batch_rows`.
#[must_use]
pub fn disorder(
    batches: Vec<Batch>,
    spec: &FeedSpec,
    zone: &Zone,
    how: Disorder,
    batch_rows: usize,
) -> Vec<Batch> {
    let Some(first) = batches.first() else { return Vec::new() };
    let (feed, partition) = (first.feed, first.partition.clone());
    let slack = spec.out_of_order_ms + spec.allowed_lateness_ms;
    let mut random =
        Random(how.shuffle.unwrap_or(0) ^ how.duplicates.unwrap_or(0).rotate_left(32) ^ 0x5eed);
    let mut rows: Vec<(i64, usize, u32, u32)> = Vec::new();
    let mut latest = i64::MIN;
    for (b, batch) in batches.iter().enumerate() {
        for (r, event_ms) in
            event_times(&batch.rows, spec.schema.event_time, zone).into_iter().enumerate()
        {
            let late = event_ms < latest.saturating_sub(slack);
            latest = latest.max(event_ms);
            let n = rows.len();
            let delay = if slack > 0 { random.below(slack as u64) as i64 } else { 0 };
            let place = match how.shuffle {
                _ if late => i64::MAX,
                Some(_) => event_ms + delay,
                None => latest,
            };
            rows.push((place, n, b as u32, r as u32));
            if how.duplicates.is_some() && random.below(8) == 0 && !late {
                let again = if slack > 0 { random.below(slack as u64) as i64 } else { 0 };
                rows.push((
                    if how.shuffle.is_some() { event_ms + again } else { latest },
                    n,
                    b as u32,
                    r as u32,
                ));
            }
        }
    }
    rows.sort_unstable();
    let sources: Vec<&RecordBatch> = batches.iter().map(|b| &b.rows).collect();
    rows.chunks(batch_rows.max(1))
        .filter_map(|chunk| {
            let indices: Vec<(usize, usize)> =
                chunk.iter().map(|(_, _, b, r)| (*b as usize, *r as usize)).collect();
            let lines = indices
                .iter()
                .map(|(b, r)| batches[*b].lines.get(*r).copied().unwrap_or(0))
                .collect();
            let rows = interleave_record_batch(&sources, &indices).ok()?;
            Some(Batch { feed, partition: Arc::clone(&partition), rows, lines, raw: None })
        })
        .collect()
}

fn event_times(rows: &RecordBatch, column: usize, zone: &Zone) -> Vec<i64> {
    let column = rows.column(column);
    match column.data_type() {
        DataType::Date32 => column
            .as_primitive::<Date32Type>()
            .values()
            .iter()
            .map(|d| zone.to_utc(i64::from(*d) * DAY_MS))
            .collect(),
        _ => column.as_primitive::<TimestampMillisecondType>().values().to_vec(),
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }
}
