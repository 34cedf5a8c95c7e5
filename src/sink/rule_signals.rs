//! The signals of one rule while a replay runs, and their lines in the end.
//!
//! A large replay finds millions of signals and can write none of them before the last one is known, because the file is
//! sorted. So each takes a row of numbers: its key and window stand once for all signals that have them, its values as text
//! behind one another.

use std::{collections::HashMap, io::Write, sync::Arc};

use serde_json::json;

use crate::model::{
    signal::{Key, Severity, Signal, Span},
    time::Zone,
};

/// Signals of one rule in the order in which they became final.
#[derive(Debug, Default)]
pub(super) struct RuleSignals {
    keys: Vec<Arc<Key>>,
    /// Address of a key held in `keys` → its number. A key may have two numbers, when the engine forgot it in between.
    key_numbers: HashMap<usize, u32>,
    windows: Vec<Span>,
    window_numbers: HashMap<Span, u32>,
    rows: Vec<Row>,
    values: String,
    /// Record ids, for rules that have them.
    records: Vec<Arc<str>>,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    /// Where its values begin; they end where those of the next row begin.
    values_from: usize,
    key: u32,
    window: u32,
    /// Number of its record + 1, or 0.
    record: u32,
    severity: Severity,
    open: bool,
}

impl RuleSignals {
    /// Adds a signal.
    pub(super) fn push(&mut self, signal: Signal) {
        let address = Arc::as_ptr(&signal.key).addr();
        let key = *self.key_numbers.entry(address).or_insert_with(|| {
            self.keys.push(signal.key);
            self.keys.len() as u32 - 1
        });
        let window = match self.rows.last() {
            Some(last) if self.windows[last.window as usize] == signal.window => last.window,
            _ => *self.window_numbers.entry(signal.window).or_insert_with(|| {
                self.windows.push(signal.window);
                self.windows.len() as u32 - 1
            }),
        };
        let record = signal.record.map_or(0, |record| {
            self.records.push(record);
            self.records.len() as u32
        });
        let values_from = self.values.len();
        self.values.push_str(&signal.values);
        let (severity, open) = (signal.severity, signal.open);
        self.rows.push(Row { values_from, key, window, record, severity, open });
    }

    /// Signals taken, several words on one window included.
    pub(super) fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// The lines of the file, by key, window and record; `rule` and `version` are the rule's.
    pub(super) fn lines(&self, rule: &str, version: u32, zone: &Zone) -> Vec<u8> {
        let head = format!("{{\"rule\":{},\"version\":{version},\"key\":", json!(rule));
        let key_ranks = ranks(&self.keys, |k| &k.canonical);
        let window_ranks = ranks(&self.windows, |w| w);
        let windows: Vec<String> = self
            .windows
            .iter()
            .map(|w| {
                let (start, end) = (zone.format(w.start_ms), zone.format(w.end_ms));
                format!(",\"window\":{{\"start\":\"{start}\",\"end\":\"{end}\"}}")
            })
            .collect();
        let place = |n: usize| {
            let row = self.rows[n];
            (key_ranks[row.key as usize], window_ranks[row.window as usize], self.record(row))
        };
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        // Of several words on one window the last one counts.
        order.sort_unstable_by(|a, b| place(*a).cmp(&place(*b)).then(b.cmp(a)));
        order.dedup_by(|later, earlier| place(*later) == place(*earlier));
        let mut out = Vec::with_capacity(order.len() * (head.len() + 150));
        for n in order {
            let row = self.rows[n];
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(self.keys[row.key as usize].canonical.as_bytes());
            out.extend_from_slice(windows[row.window as usize].as_bytes());
            if let Some(record) = self.record(row) {
                // A vector takes all that is written to it.
                let _ = write!(out, ",\"record\":{}", json!(record));
            }
            out.extend_from_slice(b",\"severity\":\"");
            out.extend_from_slice(row.severity.word().as_bytes());
            out.extend_from_slice(b"\",\"values\":");
            let values_to = self.rows.get(n + 1).map_or(self.values.len(), |r| r.values_from);
            out.extend_from_slice(&self.values.as_bytes()[row.values_from..values_to]);
            out.extend_from_slice(if row.open { b",\"open\":true}\n" } else { b"}\n" });
        }
        out
    }

    fn record(&self, row: Row) -> Option<&str> {
        (row.record > 0).then(|| &*self.records[row.record as usize - 1])
    }
}

/// For each item its place among the different ones in ascending order.
fn ranks<T, K: Ord + ?Sized>(items: &[T], key: impl Fn(&T) -> &K) -> Vec<u32> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|a, b| key(&items[*a]).cmp(key(&items[*b])));
    let mut ranks = vec![0; items.len()];
    let mut rank = 0;
    for pair in order.windows(2) {
        rank += u32::from(key(&items[pair[0]]) != key(&items[pair[1]]));
        ranks[pair[1]] = rank;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(key: &str, start_ms: i64, record: Option<&str>, values: &str) -> Signal {
        Signal {
            rule: 0,
            key: Arc::new(Key { canonical: key.into() }),
            window: Span { start_ms, end_ms: start_ms + 86_400_000 },
            record: record.map(Arc::from),
            severity: Severity::High,
            values: values.into(),
            open: start_ms > 0,
        }
    }

    #[test]
    fn lines_are_sorted_and_the_last_word_on_a_window_counts() {
        let mut signals = RuleSignals::default();
        for s in [
            signal("{\"b\":1}", 0, None, "{\"n\":1}"),
            signal("{\"a\":1}", 86_400_000, None, "{\"n\":2}"),
            signal("{\"a\":1}", 0, Some("y"), "{\"n\":3}"),
            signal("{\"a\":1}", 0, Some("x"), "{\"n\":4}"),
            signal("{\"b\":1}", 0, None, "{}"),
        ] {
            signals.push(s);
        }
        let text = String::from_utf8(signals.lines("r", 2, &Zone::utc())).unwrap();
        let day = |n: u8| {
            format!(
                "\"window\":{{\"start\":\"1970-01-0{n}T00:00:00Z\",\"end\":\"1970-01-0{}T00:00:00Z\"}}",
                n + 1
            )
        };
        let (one, two) = (day(1), day(2));
        let head = "{\"rule\":\"r\",\"version\":2,\"key\":";
        let expect = format!(
            "{head}{{\"a\":1}},{one},\"record\":\"x\",\"severity\":\"high\",\"values\":{{\"n\":4}}}}\n\
             {head}{{\"a\":1}},{one},\"record\":\"y\",\"severity\":\"high\",\"values\":{{\"n\":3}}}}\n\
             {head}{{\"a\":1}},{two},\"severity\":\"high\",\"values\":{{\"n\":2}},\"open\":true}}\n\
             {head}{{\"b\":1}},{one},\"severity\":\"high\",\"values\":{{}}}}\n"
        );
        assert_eq!(text, expect);
    }
}
