//! Spells: how the records of one key follow each other without a long silence.
//!
//! In: the rows of one key in their order of time. Out: a match at the row that is the last needed, once a spell. A spell
//! begins with a row before which there was none for `history`, and ends when there is none for as long. So a key is new at
//! the beginning of every spell; what began while the rule still learnt is taken for known.
//! The promise is that of runs: stepping row by row, or from scratch over the same rows, gives the same matches.

use std::sync::Arc;

use crate::rule::sequence::run::{Match, Met, Now, Row};

/// A spell under way.
#[derive(Debug, Clone)]
pub struct Spell {
    began_ms: i64,
    last_ms: i64,
    /// Rows that count, as long as more are needed.
    met: Vec<Met>,
    /// Nothing more is told of it: it was, or what was needed did not come in time.
    known: bool,
}

impl Spell {
    fn begun(at_ms: i64) -> Self {
        Self { began_ms: at_ms, last_ms: at_ms, met: Vec::new(), known: false }
    }

    fn forget_rows(&mut self) {
        (self.known, self.met) = (true, Vec::new());
    }

    /// Whether rows may still make something new of it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.known
    }

    /// The rows it holds on to.
    #[must_use]
    pub fn met(&self) -> &[Met] {
        &self.met
    }

    /// When time alone changes it next.
    #[must_use]
    pub fn next_end_ms(&self, history_ms: i64, within_ms: i64) -> i64 {
        let ends = self.last_ms.saturating_add(history_ms);
        if self.known { ends } else { ends.min(self.began_ms.saturating_add(within_ms)) }
    }

    /// Bytes it takes without its rows.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.met.capacity() * size_of::<Met>()
    }
}

/// Takes in the next row in order of time.
pub(in crate::rule) fn step(
    spell: &mut Option<Box<Spell>>,
    history_ms: i64,
    now: Now<'_>,
    row: &Arc<Row>,
    out: &mut Vec<Match>,
) {
    pass(spell, history_ms, now.steps.within_ms, row.at_ms);
    let spell = spell.get_or_insert_with(|| Box::new(Spell::begun(row.at_ms)));
    spell.last_ms = row.at_ms;
    let [needed] = now.steps.steps.as_slice() else { return };
    let seen_before = |slot: usize| {
        let value = row.hashes[slot];
        value.is_none() || spell.met.iter().any(|m| m.row.hashes[slot] == value)
    };
    if spell.known || needed.distinct.is_some_and(seen_before) {
        return;
    }
    spell.met.push(Met { step: 0, row: Arc::clone(row) });
    if spell.met.len() < needed.at_least as usize {
        return;
    }
    if spell.began_ms >= now.learnt_ms {
        out.push(Match { met: std::mem::take(&mut spell.met).into(), deadline_ms: None });
    }
    spell.forget_rows();
}

/// Time has come to `to_ms`: a spell whose silence was long enough is over, and one that was too slow is known.
pub(in crate::rule) fn pass(
    spell: &mut Option<Box<Spell>>,
    history_ms: i64,
    within_ms: i64,
    to_ms: i64,
) {
    if spell.as_ref().is_some_and(|s| to_ms - s.last_ms >= history_ms) {
        *spell = None;
    }
    if let Some(slow) = spell.as_mut().filter(|s| !s.known && to_ms - s.began_ms >= within_ms) {
        slow.forget_rows();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::time::Zone,
        rule::sequence::run::{Runs, Step, Steps},
    };

    /// The matches among rows like `1a 3b`, a time and a value; `1b..3a` for the first and last row of one.
    fn matches(
        at_least: u32,
        distinct: bool,
        within_ms: i64,
        learnt_ms: i64,
        rows: &str,
    ) -> String {
        let step =
            Step { at_least, distinct: distinct.then_some(0), links: Vec::new(), absent: None };
        let steps = Steps { steps: vec![step], within_ms, each: true, unseen_ms: Some(10) };
        let zone = Zone::utc();
        let now = Now { steps: &steps, zone: &zone, awaited_ms: i64::MIN, learnt_ms };
        let (mut runs, mut out) = (Runs::default(), Vec::new());
        for (i, text) in rows.split(' ').enumerate() {
            let (at, value) = text.split_at(text.len() - 1);
            let value = Some(value).filter(|v| *v != "-");
            let row = Row {
                at_ms: at.parse().unwrap(),
                steps: 1,
                feed: 0,
                tie: 0,
                copy: 0,
                arrival: i as u64,
                record: text.into(),
                hashes: Box::new([value.map(|v| u128::from(v.as_bytes()[0]))]),
                data: Box::default(),
            };
            runs.step(now, &Arc::new(row), &mut out);
        }
        let word =
            |m: &Match| format!("{}..{}", m.met[0].row.record, m.met[m.met.len() - 1].row.record);
        out.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_spell_is_told_once_where_it_is_new() {
        for (at_least, distinct, within_ms, learnt_ms, rows, expect) in [
            (1, false, 10, 0, "1a 2a 9a", "1a..1a"),
            // Silence is measured from the last record, and is half open.
            (1, false, 10, 0, "1a 10a 19a 29a", "1a..1a 29a..29a"),
            (1, false, 10, 0, "1a 10a 19a 28a", "1a..1a"),
            // What began while the rule learnt is known, also when it goes on later.
            (1, false, 10, 5, "4a 6a 15a 25a", "25a..25a"),
            (2, false, 10, 5, "4a 6a", ""),
            (1, false, 10, 5, "5a", "5a..5a"),
            (2, false, 10, 0, "1a 9a", "1a..9a"),
            (2, false, 10, 0, "1a 11a 20a", "11a..20a"),
            // Too slow: known all the same.
            (2, false, 3, 0, "1a 4a 5a 6a", ""),
            (2, false, 3, 0, "1a 3a", "1a..3a"),
            // Records of one value count once, those without a value not at all.
            (2, true, 10, 0, "1a 2a 3- 4b", "1a..4b"),
            (2, true, 10, 0, "1- 2a 4b", "2a..4b"),
            (1, false, 10, 0, "1a 1b", "1a..1a"),
        ] {
            let got = matches(at_least, distinct, within_ms, learnt_ms, rows);
            assert_eq!(got, expect, "{at_least} {distinct} {within_ms} {learnt_ms}: {rows}");
        }
    }
}
