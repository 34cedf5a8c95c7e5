//! Index: where in the log a record and a business are, and how each feed is doing.
//!
//! In: every logged batch with what the walk made of it, in the order of the log; so a restart, which walks the log again,
//! makes the same index. Out: arrival numbers by record id and by business, the entry that holds an arrival number, counts,
//! delays and partitions by feed. Kept in memory, 16 bytes for a record and 16 for a record with a business.
//! Not here: reading the records — see `lookup`.

use std::collections::BTreeMap;

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{DataType, Date32Type, TimestampMillisecondType},
};
use hashbrown::{HashMap, HashSet};
use xxhash_rust::xxh3::xxh3_64;

use super::{
    delays::Delays,
    pipeline::{FeedCounts, Step},
    rhythm::Rhythm,
};
use crate::{
    feed::FeedSpec,
    model::{
        batch::DeadClass,
        schema::{ColumnType, FeedSchema},
        time::{DAY_MS, Zone},
        value::value_at,
    },
    store::{log::Place, record::RowsHead},
};

/// The column that holds where a record is about, where there are several regions.
const REGION: &str = "region";

/// Everything that is known about what was logged.
#[derive(Debug)]
pub struct Index {
    zone: Zone,
    entries: Vec<EntryAt>,
    records: Postings,
    businesses: Postings,
    called: HashMap<u64, Called>,
    /// Arrival numbers of rows that were refused, ascending.
    refused: Vec<u64>,
    /// Arrival numbers of rows whose record was known already, ascending, with the record's hash.
    later: Vec<(u64, u64)>,
    feeds: Vec<FeedNow>,
    /// Signals so far, by rule of the plan.
    signals: Vec<u64>,
}

/// One entry of the log that holds rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryAt {
    /// Arrival number of the first row.
    pub first: u64,
    /// How many rows.
    pub rows: u64,
    /// Position of the feed.
    pub feed: usize,
    /// When it arrived.
    pub arrived_ms: i64,
    /// Least and greatest event time.
    pub events_ms: (i64, i64),
    /// Where it lies.
    pub place: Place,
}

impl EntryAt {
    /// Whether the row with this arrival number is in it.
    #[must_use]
    pub fn holds(&self, arrival: u64) -> bool {
        (self.first..self.first + self.rows).contains(&arrival)
    }
}

/// What people call a business and where it is, after its latest record that says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Called {
    /// Its name.
    pub name: Option<Box<str>>,
    /// Its region code.
    pub region: Option<Box<str>>,
}

/// How a feed is doing.
#[derive(Debug, Clone, Default)]
pub struct FeedNow {
    /// What became of its rows.
    pub counts: FeedCounts,
    /// Refused rows by class, those that could not be decoded too; of one request only those that are listed.
    pub dead: BTreeMap<DeadClass, u64>,
    /// Rows that could not be decoded.
    pub undecoded: u64,
    /// Least and greatest event time of rows that were not refused.
    pub events_ms: Option<(i64, i64)>,
    /// When its rows arrived.
    pub rhythm: Rhythm,
    /// The watermark.
    pub watermark_ms: Option<i64>,
    /// By partition.
    pub partitions: BTreeMap<String, PartitionNow>,
    /// How long records take: to arrive, and from each other time column to the event time.
    pub delays: Vec<Delays>,
}

/// How a partition is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartitionNow {
    /// Rows that arrived.
    pub rows: u64,
    /// The last event time.
    pub last_event_ms: Option<i64>,
    /// When its last row arrived.
    pub last_arrival_ms: i64,
    /// It was declared silent and holds back no watermark.
    pub idle: bool,
}

/// A logged request on its way into the index.
#[derive(Debug)]
pub struct Logged<'a> {
    /// Its head.
    pub head: &'a RowsHead,
    /// Position of the feed.
    pub feed: usize,
    /// Where it lies.
    pub place: Place,
    /// Its rows in the feed's schema, and their lines.
    pub batches: &'a [(RecordBatch, std::sync::Arc<[u64]>)],
}

impl Index {
    /// An empty index over these feeds and so many rules.
    #[must_use]
    pub fn new(specs: &[FeedSpec], rules: usize, zone: Zone) -> Self {
        let feed =
            |spec: &FeedSpec| FeedNow { delays: Delays::of(&spec.schema), ..FeedNow::default() };
        Self {
            zone,
            entries: Vec::new(),
            records: Postings::default(),
            businesses: Postings::default(),
            called: HashMap::new(),
            refused: Vec::new(),
            later: Vec::new(),
            feeds: specs.iter().map(feed).collect(),
            signals: vec![0; rules],
        }
    }

    /// Takes in a logged request and what the walk made of it.
    pub fn take(&mut self, spec: &FeedSpec, logged: &Logged<'_>, step: &Step) {
        let head = logged.head;
        self.count(logged, step);
        for signals in &step.signals {
            self.signals[signals.rule] += signals.len() as u64;
        }
        let partition = head.partition.as_str();
        let future = step.dead.iter().filter(|(.., d)| d.class == DeadClass::Future);
        let future: HashSet<u64> = future.map(|(.., d)| d.line).collect();
        let refused: HashSet<u64> = step.dead.iter().map(|(.., d)| d.line).collect();
        let mut range: Option<(i64, i64)> = None;
        let (mut records, mut businesses) = (Vec::new(), Vec::new());
        let mut here = HashSet::new();
        let mut arrival = head.first;
        for (rows, lines) in logged.batches {
            let columns = Columns::of(&spec.schema, rows, &self.zone);
            for row in 0..rows.num_rows() {
                let line = lines.get(row).copied().unwrap_or(0);
                if refused.contains(&line) {
                    self.refused.push(arrival);
                }
                let id = columns.id_hash(row, arrival);
                let first = here.insert(id) && !self.records.holds(id);
                records.push((id, arrival));
                if let Some(code) = columns.code(row) {
                    let code = xxh3_64(code.as_bytes());
                    businesses.push((code, arrival));
                    columns.call(row, self.called.entry(code).or_default());
                }
                let event_ms = columns.event_ms(row);
                range = Some(
                    range.map_or((event_ms, event_ms), |(a, b)| (a.min(event_ms), b.max(event_ms))),
                );
                if !first {
                    self.later.push((arrival, id));
                }
                let feed = &mut self.feeds[logged.feed];
                if !refused.contains(&line) {
                    let known = feed.events_ms.get_or_insert((event_ms, event_ms));
                    *known = (known.0.min(event_ms), known.1.max(event_ms));
                }
                if !future.contains(&line) {
                    let now = feed.partitions.entry(partition.to_owned()).or_default();
                    now.last_event_ms = now.last_event_ms.max(Some(event_ms));
                    if first {
                        for delays in &mut feed.delays {
                            delays.take(&columns.times, row, Some(head.arrived_ms), &self.zone);
                        }
                    }
                }
                arrival += 1;
            }
        }
        self.records.add(records);
        self.businesses.add(businesses);
        let feed = &mut self.feeds[logged.feed];
        feed.rhythm.take(head.arrived_ms);
        let now = feed.partitions.entry(partition.to_owned()).or_default();
        now.rows += head.rows;
        (now.last_arrival_ms, now.idle) = (head.arrived_ms, false);
        if let Some(events_ms) = range {
            self.entries.push(EntryAt {
                first: head.first,
                rows: head.rows,
                feed: logged.feed,
                arrived_ms: head.arrived_ms,
                events_ms,
                place: logged.place,
            });
        }
    }

    fn count(&mut self, logged: &Logged<'_>, step: &Step) {
        for (feed, counts) in self.feeds.iter_mut().zip(&step.counts) {
            feed.counts.add(counts);
        }
        let feed = &mut self.feeds[logged.feed];
        feed.undecoded += logged.head.dead_total;
        let decoding = logged.head.dead.iter().filter_map(|(_, class, _)| DeadClass::parse(class));
        for class in decoding.chain(step.dead.iter().map(|(.., d)| d.class)) {
            *feed.dead.entry(class).or_default() += 1;
        }
    }

    /// A partition was declared silent.
    pub fn idle(&mut self, feed: usize, partition: &str, step: &Step) {
        for signals in &step.signals {
            self.signals[signals.rule] += signals.len() as u64;
        }
        if let Some(now) = self.feeds[feed].partitions.get_mut(partition) {
            now.idle = true;
        }
    }

    /// Where the watermarks are now.
    pub fn set_watermarks(&mut self, watermarks: Vec<Option<i64>>) {
        for (feed, watermark_ms) in self.feeds.iter_mut().zip(watermarks) {
            feed.watermark_ms = watermark_ms;
        }
    }

    /// By feed, how it is doing.
    #[must_use]
    pub fn feeds(&self) -> &[FeedNow] {
        &self.feeds
    }

    /// Signals so far, by rule of the plan.
    #[must_use]
    pub fn signals(&self) -> &[u64] {
        &self.signals
    }

    /// The entries that hold rows, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[EntryAt] {
        &self.entries
    }

    /// The entry that holds this arrival number.
    #[must_use]
    pub fn entry(&self, arrival: u64) -> Option<&EntryAt> {
        let behind = self.entries.partition_point(|e| e.first <= arrival);
        let entry = self.entries[..behind].last()?;
        (arrival < entry.first + entry.rows).then_some(entry)
    }

    /// When this row arrived, or, behind the last one, the latest arrival.
    #[must_use]
    pub fn arrived_ms(&self, arrival: u64) -> Option<i64> {
        let behind = self.entries.partition_point(|e| e.first <= arrival);
        self.entries[..behind].last().map(|e| e.arrived_ms)
    }

    /// Arrival numbers of the versions of a record, ascending. Two ids may share a hash, so whoever reads compares.
    #[must_use]
    pub fn versions(&self, feed: &str, id: &str) -> Vec<u64> {
        self.records.get(id_hash(feed, id))
    }

    /// Arrival numbers of the rows of a business in any feed, ascending.
    #[must_use]
    pub fn of_business(&self, code: &str) -> Vec<u64> {
        self.businesses.get(xxh3_64(code.as_bytes()))
    }

    /// What a business is called.
    #[must_use]
    pub fn called(&self, code: &str) -> Option<&Called> {
        self.called.get(&xxh3_64(code.as_bytes()))
    }

    /// For each of the first `limit` businesses with `text` in their name, an arrival number of a row that names it.
    #[must_use]
    pub fn businesses_called(&self, text: &str, limit: usize) -> Vec<u64> {
        let is_called = |called: &Called| {
            called.name.as_ref().is_some_and(|name| name.to_lowercase().contains(text))
        };
        let named = self.called.iter().filter(|(_, called)| is_called(called));
        let mut found: Vec<(&str, u64)> =
            named.filter_map(|(hash, called)| Some((called.name.as_deref()?, *hash))).collect();
        // The shortest names are nearest to what was asked for.
        found.sort_unstable_by_key(|(name, hash)| (name.len(), *name, *hash));
        let last = |(_, hash): (&str, u64)| self.businesses.get(hash).last().copied();
        found.into_iter().take(limit).filter_map(last).collect()
    }

    /// Records with more than one version, from arrival number `from` on: the later version's number and those of all.
    pub fn corrected(&self, from: u64) -> impl Iterator<Item = (u64, Vec<u64>)> {
        let first = self.later.partition_point(|(arrival, _)| *arrival < from);
        self.later[first..].iter().map(|(arrival, hash)| (*arrival, self.records.get(*hash)))
    }

    /// Arrival number behind the last row.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.entries.last().map_or(0, |e| e.first + e.rows)
    }

    /// Whether the row was refused as too late or too far ahead.
    #[must_use]
    pub fn is_refused(&self, arrival: u64) -> bool {
        self.refused.binary_search(&arrival).is_ok()
    }

    /// Records with their versions, and businesses, that are known.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        (self.records.len(), self.called.len())
    }
}

/// Hash of a record's id in its feed.
fn id_hash(feed: &str, id: &str) -> u64 {
    xxh3_64(format!("{feed}\n{id}").as_bytes())
}

/// The id of a row as alerts name it: its values joined by `/`, or `#` and the arrival number.
#[must_use]
pub fn record_id(schema: &FeedSchema, rows: &RecordBatch, row: usize, arrival: u64) -> String {
    if schema.record_id.is_empty() {
        return format!("#{arrival}");
    }
    let part = |c: &usize| match value_at(rows.column(*c), row) {
        serde_json::Value::String(s) => s,
        other => other.to_string(),
    };
    schema.record_id.iter().map(part).collect::<Vec<_>>().join("/")
}

/// The columns of a batch that the index reads.
struct Columns<'a> {
    schema: &'a FeedSchema,
    rows: &'a RecordBatch,
    code: Option<usize>,
    name: Option<usize>,
    region: Option<usize>,
    /// Instants by column, where it is a time.
    times: Vec<Option<Vec<Option<i64>>>>,
}

impl<'a> Columns<'a> {
    fn of(schema: &'a FeedSchema, rows: &'a RecordBatch, zone: &Zone) -> Self {
        let of_kind = |kind| schema.columns.iter().position(|c| c.kind == kind);
        // A complaint has the complainant's region, too.
        let region = schema.position(REGION);
        let region = region.filter(|c| schema.columns[*c].kind == ColumnType::Region);
        let code = of_kind(ColumnType::Ucc);
        let name = schema.names.iter().find(|(k, _)| Some(*k) == code).map(|(_, n)| *n);
        let is_text = |n: &usize| !schema.columns[*n].personal;
        let times = rows.columns().iter().map(|c| instants(c.as_ref(), zone)).collect();
        Self {
            schema,
            rows,
            code,
            name: name.filter(is_text),
            region: region.or_else(|| of_kind(ColumnType::Region)),
            times,
        }
    }

    fn id_hash(&self, row: usize, arrival: u64) -> u64 {
        id_hash(&self.schema.feed, &record_id(self.schema, self.rows, row, arrival))
    }

    fn text(&self, column: Option<usize>, row: usize) -> Option<&'a str> {
        let column = self.rows.column(column?).as_string_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row))
    }

    fn code(&self, row: usize) -> Option<&'a str> {
        self.text(self.code, row)
    }

    fn call(&self, row: usize, called: &mut Called) {
        for (to, column) in [(&mut called.name, self.name), (&mut called.region, self.region)] {
            if let Some(text) = self.text(column, row)
                && to.as_deref() != Some(text)
            {
                *to = Some(text.into());
            }
        }
    }

    fn event_ms(&self, row: usize) -> i64 {
        self.times[self.schema.event_time].as_ref().and_then(|t| t[row]).unwrap_or(0)
    }
}

/// The instants of a time column; a date is the start of its day.
#[must_use]
pub fn instants(column: &dyn Array, zone: &Zone) -> Option<Vec<Option<i64>>> {
    match column.data_type() {
        DataType::Date32 => {
            let days = column.as_primitive::<Date32Type>();
            Some(days.iter().map(|d| d.map(|d| zone.to_utc(i64::from(d) * DAY_MS))).collect())
        }
        DataType::Timestamp(..) => {
            Some(column.as_primitive_opt::<TimestampMillisecondType>()?.iter().collect())
        }
        _ => None,
    }
}

/// Hash → numbers, as sorted runs that are merged as they grow: 16 bytes an entry, additions cost little on average.
#[derive(Debug, Default)]
struct Postings {
    /// Longest first; each sorted.
    runs: Vec<Vec<(u64, u64)>>,
}

impl Postings {
    fn add(&mut self, mut run: Vec<(u64, u64)>) {
        if run.is_empty() {
            return;
        }
        run.sort_unstable();
        while let Some(last) = self.runs.pop_if(|last| last.len() <= 2 * run.len()) {
            // Two sorted runs one behind the other: the stable sort sees them and merges.
            let mut both = last;
            both.append(&mut run);
            both.sort();
            run = both;
        }
        self.runs.push(run);
    }

    fn holds(&self, hash: u64) -> bool {
        self.runs.iter().any(|run| {
            let at = run.partition_point(|(h, _)| *h < hash);
            run.get(at).is_some_and(|(h, _)| *h == hash)
        })
    }

    fn get(&self, hash: u64) -> Vec<u64> {
        let of_run = |run: &Vec<(u64, u64)>| {
            let from = run.partition_point(|(h, _)| *h < hash);
            run[from..].iter().take_while(|(h, _)| *h == hash).map(|(_, n)| *n).collect::<Vec<_>>()
        };
        let mut found: Vec<u64> = self.runs.iter().flat_map(of_run).collect();
        found.sort_unstable();
        found
    }

    fn len(&self) -> usize {
        self.runs.iter().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postings_give_back_what_was_added_and_stay_few_runs() {
        let mut postings = Postings::default();
        for n in 0..2_000u64 {
            postings.add(vec![(n % 300, n), (n % 7, 10_000 + n)]);
        }
        assert!(postings.runs.len() <= 16, "{} runs", postings.runs.len());
        assert_eq!(postings.len(), 4_000);
        let expect: Vec<u64> = (0..2_000).filter(|n| n % 300 == 299).collect();
        assert_eq!(postings.get(299), expect);
        let both =
            (0..2_000).filter(|n| n % 300 == 3).count() + (0..2_000).filter(|n| n % 7 == 3).count();
        assert_eq!(postings.get(3).len(), both);
        assert!(postings.holds(3) && !postings.holds(300) && postings.get(300).is_empty());
    }
}
