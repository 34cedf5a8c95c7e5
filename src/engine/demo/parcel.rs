//! Parcels: the records that one feed sends at once.
//!
//! In: a day of the province. Out: its records bundled by feed and span of time, in the order in which the last of each
//! bundle arrived; that is when the bundle arrives. How a day is cut depends on nothing but the span.

use std::collections::BTreeMap;

use crate::source::demo::{Day, Feed};

/// Records of one feed, sent together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parcel {
    /// The feed.
    pub(super) feed: Feed,
    /// When it arrives, ms.
    pub(super) at_ms: i64,
    /// Lines of NDJSON.
    pub(super) body: Vec<u8>,
}

/// Bundles what arrives on `day`: the records of a feed within the same `every_ms` go together.
pub(super) fn parcels(day: &Day, every_ms: i64) -> Vec<Parcel> {
    let mut by_span: BTreeMap<(Feed, i64), Parcel> = BTreeMap::new();
    for record in day.records() {
        let (feed, at_ms) = (record.feed, record.arrived_ms);
        let new = || Parcel { feed, at_ms, body: Vec::new() };
        let parcel = by_span.entry((feed, at_ms.div_euclid(every_ms))).or_insert_with(new);
        parcel.at_ms = parcel.at_ms.max(at_ms);
        parcel.body.extend_from_slice(record.line);
    }
    let mut parcels: Vec<Parcel> = by_span.into_values().collect();
    parcels.sort_by_key(|p| (p.at_ms, p.feed));
    parcels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::time::{DAY_MS, MINUTE_MS},
        source::demo::{Simulation, day_start},
    };

    #[test]
    fn every_record_is_in_one_parcel_and_parcels_come_in_order() {
        let day = Simulation::new(3, 0.01, 20_000).day(20_100);
        let all: Vec<&[u8]> = day.records().map(|r| r.line).collect();
        for every_ms in [MINUTE_MS, 3 * DAY_MS] {
            let parcels = parcels(&day, every_ms);
            let mut lines: Vec<&[u8]> =
                parcels.iter().flat_map(|p| p.body.split_inclusive(|b| *b == b'\n')).collect();
            let mut all = all.clone();
            lines.sort_unstable();
            all.sort_unstable();
            assert_eq!(lines, all);
            assert!(parcels.is_sorted_by(|a, b| (a.at_ms, a.feed) < (b.at_ms, b.feed)));
            let of_day = day_start(20_100)..day_start(20_101);
            assert!(parcels.iter().all(|p| of_day.contains(&p.at_ms)));
        }
    }
}
