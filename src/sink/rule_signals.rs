//! The signals of one rule while a replay runs, and their lines in the end.
//!
//! A large replay finds millions of signals and can write none of them before the last one is known, because the file is
//! sorted. So they are kept as they come, those of a window together, and are put in order when their lines are made.

use std::{io::Write, sync::Arc};

use serde_json::json;

use crate::model::{
    hash::HashedMap,
    signal::{Key, Signal, Signals},
    time::Zone,
};

/// Odd, so that multiplying by it loses nothing.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Signals of one rule in the order in which they became final.
#[derive(Debug, Default)]
pub(super) struct RuleSignals {
    found: Vec<Signals>,
}

impl RuleSignals {
    /// Adds signals.
    pub(super) fn push(&mut self, signals: Signals) {
        self.found.push(signals);
    }

    /// Signals taken, several words on one window included.
    pub(super) fn len(&self) -> u64 {
        self.found.iter().map(|s| s.len() as u64).sum()
    }

    /// Appends the lines of the file to `out`, by key, window and record; `rule` and `version` are the rule's.
    pub(super) fn lines(&self, rule: &str, version: u32, zone: &Zone, out: &mut Vec<u8>) {
        let head = format!("{{\"rule\":{},\"version\":{version},\"key\":", json!(rule));
        // By window, what was said later behind what was said before; then a place for each signal behind those of lower keys.
        let mut found: Vec<&Signals> = self.found.iter().collect();
        found.sort_by(|a, b| (a.window, &a.record).cmp(&(b.window, &b.record)));
        let texts: Vec<String> = found.iter().map(|s| window_text(s, zone)).collect();
        let ranks = key_ranks(&found);
        let mut places = vec![0u32; ranks.len() + 1];
        ranks.iter().for_each(|rank| places[*rank as usize + 1] += 1);
        (1..places.len()).for_each(|i| places[i] += places[i - 1]);
        let mut order = vec![(0u32, 0u32); ranks.len()];
        let numbers = |of: u32| (0..found[of as usize].len() as u32).map(move |i| (of, i));
        for (at, rank) in (0..found.len() as u32).flat_map(numbers).zip(&ranks) {
            let place = &mut places[*rank as usize];
            order[*place as usize] = at;
            *place += 1;
        }
        let signal = |(of, i): (u32, u32)| found[of as usize].get(i as usize);
        out.reserve(order.len() * (head.len() + 150));
        for (n, at) in order.iter().enumerate() {
            let now: Signal<'_> = signal(*at);
            // Of several words on one window the last one counts.
            let same = |next: &Signal<'_>| {
                (next.window, next.record, &next.key.canonical)
                    == (now.window, now.record, &now.key.canonical)
            };
            if order.get(n + 1).is_some_and(|next| same(&signal(*next))) {
                continue;
            }
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(now.key.canonical.as_bytes());
            out.extend_from_slice(texts[at.0 as usize].as_bytes());
            out.extend_from_slice(now.severity.word().as_bytes());
            out.extend_from_slice(b"\",\"values\":");
            out.extend_from_slice(now.values.as_bytes());
            out.extend_from_slice(if now.open { b",\"open\":true}\n" } else { b"}\n" });
        }
    }
}

/// By signal: the place of its key among the different ones in ascending order.
fn key_ranks<'a>(found: &[&'a Signals]) -> Vec<u32> {
    // Address of a key → its number. A key may have two, when the engine forgot it in between.
    let mut numbers: HashedMap<u64, u32> = HashedMap::default();
    let mut keys: Vec<(&Key, u32)> = Vec::new();
    let number = |key: &'a Arc<Key>| {
        let address = Arc::as_ptr(key).addr() as u64;
        // Another number for every address, with all bits in use.
        *numbers.entry(address.wrapping_mul(SPREAD).swap_bytes()).or_insert_with(|| {
            keys.push((key, keys.len() as u32));
            keys.len() as u32 - 1
        })
    };
    let mut ranks: Vec<u32> = found.iter().flat_map(|s| s.keys()).map(number).collect();
    keys.sort_unstable();
    let mut rank_of = vec![0; keys.len()];
    for (same, rank) in keys.chunk_by(|a, b| a.0 == b.0).zip(0..) {
        same.iter().for_each(|(_, number)| rank_of[*number as usize] = rank);
    }
    ranks.iter_mut().for_each(|number| *number = rank_of[*number as usize]);
    ranks
}

/// What stands between key and severity.
fn window_text(signals: &Signals, zone: &Zone) -> String {
    let (start, end) = (zone.format(signals.window.start_ms), zone.format(signals.window.end_ms));
    let mut out = format!(",\"window\":{{\"start\":\"{start}\",\"end\":\"{end}\"}}").into_bytes();
    if let Some(record) = &signals.record {
        // A vector takes all that is written to it.
        let _ = write!(out, ",\"record\":{}", json!(record));
    }
    out.extend_from_slice(b",\"severity\":\"");
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::signal::{Severity, Span};

    fn signal(key: &str, start_ms: i64, record: Option<&str>, values: &str) -> Signals {
        let window = Span { start_ms, end_ms: start_ms + 86_400_000 };
        let mut signals = Signals::new(0, window, record.map(Arc::from), start_ms > 0);
        let key = Arc::new(Key { canonical: key.into() });
        signals.push(key, Severity::High, |text| text.push_str(values));
        signals
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
        let mut text = Vec::new();
        signals.lines("r", 2, &Zone::utc(), &mut text);
        let text = String::from_utf8(text).unwrap();
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
