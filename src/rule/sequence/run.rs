//! Runs: how far the records of one key have come through the steps of a sequence.
//!
//! In: the rows of one key in their order of time, and how far the awaited feed is complete. Out: matches, each with the row
//! that met each step. A run begins with every row that meets the first step; a row moves it on by one step at most, and the
//! first row that fits is taken (greedy). Where the last step waits for something not to happen, a fitting row before the
//! deadline ends the run, and the run matches once the awaited feed can bring no such row any more.
//! The promise: stepping row by row, or from scratch over the same rows, gives the same matches.
//! Not here: which rows belong to which key and when they are forgotten (`engine::runs`), what the steps' texts mean.

use std::sync::Arc;

use super::{link::Link, seen::Seen, term::Term};
use crate::{
    model::time::Zone,
    rule::first_seen::spell::{self, Spell},
};

/// No deadline.
pub const NEVER_MS: i64 = i64::MAX;

/// What runs need to know of a rule.
#[derive(Debug)]
pub struct Steps {
    /// In their order; at least two, of a first-seen rule one.
    pub steps: Vec<Step>,
    /// How long after its first row a run may be moved on.
    pub within_ms: i64,
    /// Every run is told; else one that matches takes along all that began before it ended.
    pub each: bool,
    /// Of a first-seen rule: how long nothing of a key must have been for it to be new. Then spells are followed, not runs.
    pub unseen_ms: Option<i64>,
}

/// What runs go by at a time.
#[derive(Debug, Clone, Copy)]
pub struct Now<'a> {
    /// The steps.
    pub steps: &'a Steps,
    /// The zone of days.
    pub zone: &'a Zone,
    /// The awaited feed is complete up to here.
    pub awaited_ms: i64,
    /// Of a first-seen rule: what began before this instant is taken for known.
    pub learnt_ms: i64,
}

/// One step.
#[derive(Debug)]
pub struct Step {
    /// How many rows meet it.
    pub at_least: u32,
    /// Position among the hashes of a row: rows with a value that was seen in this step do not count.
    pub distinct: Option<usize>,
    /// What must hold between a row and those of earlier steps.
    pub links: Vec<Link>,
    /// The step is that nothing of it happens.
    pub absent: Option<Absent>,
}

/// How long a step must stay away.
#[derive(Debug, Clone, Copy)]
pub struct Absent {
    /// Counted from the row that met the step before.
    pub term: Term,
    /// How long after that the feed is still waited for.
    pub wait: Option<Term>,
}

impl Absent {
    /// The deadline of what must stay away from `from_ms` on, and how far its feed must be for that to be known.
    fn times(self, from_ms: i64, zone: &Zone) -> (i64, i64) {
        let deadline_ms = self.term.end(from_ms, zone);
        let due_ms = match self.wait {
            None => deadline_ms,
            Some(wait @ Term::Span(_)) => wait.end(deadline_ms, zone),
            // The deadline is the first instant behind a day: its last one is what working days are counted after.
            Some(wait @ Term::Workdays(_)) => wait.end(deadline_ms - 1, zone),
        };
        (deadline_ms, due_ms)
    }
}

/// A row as runs keep it.
#[derive(Debug)]
pub struct Row {
    /// Its time, by the column that the rule goes by.
    pub at_ms: i64,
    /// The steps whose filter it passes, as bits.
    pub steps: u32,
    /// Its feed.
    pub feed: u32,
    /// What orders rows of one time, step and feed: the hash of the record's id, or of its content where it has none.
    pub tie: u128,
    /// How many rows of the key that are alike came before it; one of a record with an id is like no other.
    pub copy: u32,
    /// Arrival number.
    pub arrival: u64,
    /// The record's id as people read it.
    pub record: Box<str>,
    /// What links and distinct values compare; `None` where the value is missing.
    pub hashes: Box<[Option<u128>]>,
    /// The columns that conditions and messages read, in arrow's row format.
    pub data: Box<[u8]>,
}

impl Row {
    /// Bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let heap = self.record.len() + size_of_val(&*self.hashes) + self.data.len();
        size_of::<Self>() + 2 * size_of::<usize>() + heap
    }

    /// Order of time; at one time that of the steps, then of feeds and records.
    #[must_use]
    pub fn order(&self) -> (i64, u32, u32, u128, u64) {
        (self.at_ms, self.steps.trailing_zeros(), self.feed, self.tie, self.arrival)
    }

    /// Whether a run may begin with it.
    #[must_use]
    pub fn begins(&self) -> bool {
        self.passes(0)
    }

    /// Whether nothing but the order of arrival tells them apart.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        (self.at_ms, self.feed, self.tie) == (other.at_ms, other.feed, other.tie)
    }

    fn passes(&self, step: usize) -> bool {
        self.steps >> step & 1 == 1
    }
}

/// A row and the step it was taken for.
#[derive(Debug, Clone)]
pub struct Met {
    /// Position of the step.
    pub step: u32,
    /// The row.
    pub row: Arc<Row>,
}

/// A sequence that came about.
#[derive(Debug, Clone)]
pub struct Match {
    /// The rows behind it in order of time; those of one step stand together.
    pub met: Box<[Met]>,
    /// Where the last step stayed away: the deadline.
    pub deadline_ms: Option<i64>,
}

impl Match {
    /// The row it began with, which no other match of the key has as its first.
    #[must_use]
    pub fn first(&self) -> &Arc<Row> {
        &self.met[0].row
    }

    /// The row that was taken last.
    #[must_use]
    pub fn last(&self) -> &Arc<Row> {
        &self.met[self.met.len() - 1].row
    }

    /// When it came about: the time of the last row, or the deadline.
    #[must_use]
    pub fn end_ms(&self) -> i64 {
        self.deadline_ms.unwrap_or(self.last().at_ms)
    }

    /// What conditions and messages read.
    #[must_use]
    pub fn seen(&self) -> Seen<'_> {
        Seen { met: &self.met, next: None, deadline_ms: self.deadline_ms }
    }

    /// The rows that were taken for a step.
    pub fn rows_of(&self, step: usize) -> impl Iterator<Item = &Arc<Row>> {
        self.met.iter().filter(move |m| m.step as usize == step).map(|m| &m.row)
    }

    /// Whether the same rows stand behind both.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        let same = |(a, b): (&Met, &Met)| a.step == b.step && Arc::ptr_eq(&a.row, &b.row);
        self.deadline_ms == other.deadline_ms
            && self.met.len() == other.met.len()
            && self.met.iter().zip(&other.met).all(same)
    }
}

/// A sequence under way.
#[derive(Debug, Clone)]
struct Run {
    met: Vec<Met>,
    /// The step that is to be met.
    step: u32,
    /// Where that step must stay away: until when.
    deadline_ms: i64,
    /// And how far the awaited feed must be for that to be known.
    due_ms: i64,
}

impl Run {
    fn started_ms(&self) -> i64 {
        self.met[0].row.at_ms
    }

    fn waits(&self) -> bool {
        self.deadline_ms != NEVER_MS
    }

    fn ended(self) -> Match {
        let deadline_ms = Some(self.deadline_ms).filter(|ms| *ms != NEVER_MS);
        Match { met: self.met.into(), deadline_ms }
    }
}

/// The open runs of one key, in the order in which they began; of a first-seen rule its spell.
#[derive(Debug, Clone, Default)]
pub struct Runs {
    open: Vec<Run>,
    spell: Option<Box<Spell>>,
}

/// What a row did to a run.
enum Moved {
    /// Nothing.
    No,
    /// It was taken.
    On,
    /// It was the last that was needed.
    Ended,
    /// It was what had to stay away.
    Broken,
}

impl Runs {
    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.spell.is_none()
    }

    /// Whether anything may still be told of what is held.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.pending() > 0
    }

    /// Open runs, and the spell as long as it is not known.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.open.len() + usize::from(self.spell.as_ref().is_some_and(|s| s.is_open()))
    }

    /// Takes in the next row in order of time.
    pub fn step(&mut self, now: Now<'_>, row: &Arc<Row>, out: &mut Vec<Match>) {
        if let Some(unseen_ms) = now.steps.unseen_ms {
            return spell::step(&mut self.spell, unseen_ms, now, row, out);
        }
        self.pass(now, row.at_ms, out);
        let mut i = 0;
        while i < self.open.len() {
            match moved(now, &mut self.open[i], row) {
                Moved::No | Moved::On => i += 1,
                Moved::Broken => {
                    self.open.remove(i);
                }
                Moved::Ended => {
                    out.push(self.open.remove(i).ended());
                    if !now.steps.each {
                        return self.open.clear();
                    }
                }
            }
        }
        self.begin(now, row, out);
    }

    /// Time has come to `to_ms`: what had to stay away until then did, and runs that were not moved on in time are over.
    pub fn pass(&mut self, now: Now<'_>, to_ms: i64, out: &mut Vec<Match>) {
        if let Some(unseen_ms) = now.steps.unseen_ms {
            return spell::pass(&mut self.spell, unseen_ms, now.steps.within_ms, to_ms);
        }
        if self.open.is_empty() {
            return;
        }
        self.settle_until(now, to_ms, out);
        let within_ms = now.steps.within_ms;
        let over = |r: &Run| !r.waits() && to_ms - r.started_ms() >= within_ms;
        self.open.retain(|r| !over(r));
    }

    /// As far as the awaited feed is complete, what had to stay away did.
    pub fn settle(&mut self, now: Now<'_>, out: &mut Vec<Match>) {
        self.settle_until(now, NEVER_MS - 1, out);
    }

    fn settle_until(&mut self, now: Now<'_>, to_ms: i64, out: &mut Vec<Match>) {
        let is_due = |r: &Run| r.deadline_ms <= to_ms && r.due_ms <= now.awaited_ms;
        while let Some((deadline_ms, i)) = (self.open.iter().enumerate())
            .filter(|(_, r)| is_due(r))
            .map(|(i, r)| (r.deadline_ms, i))
            .min()
        {
            out.push(self.open.remove(i).ended());
            if !now.steps.each {
                self.open.retain(|r| r.started_ms() >= deadline_ms);
            }
        }
    }

    /// The earliest instant at which a completer awaited feed decides a run; [`NEVER_MS`] without one.
    #[must_use]
    pub fn next_due_ms(&self) -> i64 {
        self.open.iter().map(|r| r.due_ms).min().unwrap_or(NEVER_MS)
    }

    /// How many runs would be decided if the awaited feed were complete up to `to_ms`.
    #[must_use]
    pub fn due(&self, to_ms: i64) -> usize {
        self.open.iter().filter(|r| r.due_ms <= to_ms).count()
    }

    /// When time alone changes the runs next: the earliest end of one that is not moved on, or deadline.
    #[must_use]
    pub fn next_end_ms(&self, steps: &Steps) -> i64 {
        let end = |r: &Run| match r.waits() {
            true => r.deadline_ms,
            false => r.started_ms().saturating_add(steps.within_ms),
        };
        let spell = self.spell.as_ref().zip(steps.unseen_ms);
        let spell = spell.map(|(s, unseen_ms)| s.next_end_ms(unseen_ms, steps.within_ms));
        self.open.iter().map(end).chain(spell).min().unwrap_or(NEVER_MS)
    }

    /// The rows that open runs hold on to, a row once for each of them.
    pub fn rows(&self) -> impl Iterator<Item = &Arc<Row>> {
        let spell = self.spell.iter().flat_map(|s| s.met());
        self.open.iter().flat_map(|r| &r.met).chain(spell).map(|m| &m.row)
    }

    /// Bytes that the runs take without their rows.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let of_run = |r: &Run| r.met.capacity() * size_of::<Met>();
        let spell = self.spell.as_ref().map_or(0, |s| s.bytes());
        let open = self.open.iter().map(of_run).sum::<usize>();
        self.open.capacity() * size_of::<Run>() + open + spell
    }

    /// Gives back memory that further runs would have used.
    pub fn shrink(&mut self) {
        self.open.shrink_to_fit();
    }

    fn begin(&mut self, now: Now<'_>, row: &Arc<Row>, out: &mut Vec<Match>) {
        let mut run =
            Run { met: Vec::with_capacity(1), step: 0, deadline_ms: NEVER_MS, due_ms: NEVER_MS };
        match moved(now, &mut run, row) {
            Moved::On => self.open.push(run),
            // One row cannot end a run of two steps.
            Moved::Ended => out.push(run.ended()),
            Moved::No | Moved::Broken => {}
        }
    }
}

/// Moves a run on by a row.
fn moved(now: Now<'_>, run: &mut Run, row: &Arc<Row>) -> Moved {
    let at = run.step as usize;
    let steps = &now.steps.steps;
    let step = &steps[at];
    if !row.passes(at) {
        return Moved::No;
    }
    let holds = |met: &[Met]| {
        let seen = Seen { met, next: Some((at, row)), deadline_ms: None };
        step.links.iter().all(|l| l.holds(&seen))
    };
    if run.waits() {
        return if row.at_ms < run.deadline_ms && holds(&run.met) {
            Moved::Broken
        } else {
            Moved::No
        };
    }
    let taken = || run.met.iter().rev().take_while(|m| m.step as usize == at);
    if let Some(slot) = step.distinct
        && (row.hashes[slot].is_none() || taken().any(|m| m.row.hashes[slot] == row.hashes[slot]))
    {
        return Moved::No;
    }
    if !holds(&run.met) {
        return Moved::No;
    }
    let met = taken().count() as u32 + 1;
    run.met.push(Met { step: at as u32, row: Arc::clone(row) });
    if met < step.at_least {
        return Moved::On;
    }
    run.step += 1;
    match steps.get(at + 1) {
        None => Moved::Ended,
        Some(Step { absent: Some(absent), .. }) => {
            (run.deadline_ms, run.due_ms) = absent.times(row.at_ms, now.zone);
            Moved::On
        }
        Some(_) => Moved::On,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a b2 !c10`: a row of letter a, two of b, then none of c for 10 ms.
    fn steps(text: &str, within_ms: i64, each: bool) -> (Steps, Vec<char>) {
        let letters = text.split(' ').filter_map(|s| s.trim_start_matches('!').chars().next());
        let step = |s: &str| {
            let number = s.trim_start_matches('!')[1..].parse().ok();
            let absent = s.starts_with('!').then(|| number.map_or(1, i64::from));
            Step {
                at_least: number.filter(|_| absent.is_none()).unwrap_or(1),
                distinct: None,
                links: Vec::new(),
                absent: absent.map(|ms| Absent { term: Term::Span(ms), wait: None }),
            }
        };
        let steps = text.split(' ').map(step).collect();
        (Steps { steps, within_ms, each, unseen_ms: None }, letters.collect())
    }

    /// The matches among rows like `a1 b3`, in the order in which they come: `a1b3`, or `a1!11` for a deadline.
    fn matches(asked: &str, within_ms: i64, each: bool, rows: &str, awaited_ms: i64) -> String {
        let (steps, letters) = steps(asked, within_ms, each);
        let zone = Zone::utc();
        let now = Now { steps: &steps, zone: &zone, awaited_ms, learnt_ms: i64::MIN };
        let (mut runs, mut out) = (Runs::default(), Vec::new());
        for (i, text) in rows.split(' ').filter(|r| !r.is_empty()).enumerate() {
            let letter = text.chars().next().unwrap();
            let passed = letters.iter().enumerate().filter(|(_, l)| **l == letter);
            let row = Row {
                at_ms: text[1..].parse().unwrap(),
                steps: passed.fold(0, |bits, (step, _)| bits | 1 << step),
                feed: 0,
                tie: 0,
                copy: 0,
                arrival: i as u64,
                record: text.into(),
                hashes: Box::default(),
                data: Box::default(),
            };
            runs.step(now, &Arc::new(row), &mut out);
        }
        runs.settle(now, &mut out);
        let word = |m: &Match| {
            let rows: String = m.met.iter().map(|m| &*m.row.record).collect();
            rows + &m.deadline_ms.map_or(String::new(), |ms| format!("!{ms}"))
        };
        out.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_first_that_ends_takes_along_what_began_before() {
        for (asked, rows, first, each) in [
            ("a b", "a1 b3", "a1b3", "a1b3"),
            ("a b", "b1 a3", "", ""),
            ("a b", "a1 a2 b3 b4", "a1b3", "a1b3 a2b3"),
            // Half open: nine milliseconds after the first row is the last.
            ("a b", "a1 b10", "a1b10", "a1b10"),
            ("a b", "a1 b11", "", ""),
            // A start that ran out leaves the next one its place.
            ("a b", "a1 a5 b12", "a5b12", "a5b12"),
            ("a b2", "a1 b2 a3 b4 b5", "a1b2b4", "a1b2b4 a3b4b5"),
            ("a b c", "a1 c2 b3 c4", "a1b3c4", "a1b3c4"),
            // A row moves a run on by one step, and what ends one does not begin the next.
            ("a a", "a1 a2 a3 a4", "a1a2 a3a4", "a1a2 a2a3 a3a4"),
            ("a a b", "a1 b2 a3 b4", "a1a3b4", "a1a3b4"),
        ] {
            assert_eq!(matches(asked, 10, false, rows, 0), first, "first: {asked} in {rows}");
            assert_eq!(matches(asked, 10, true, rows, 0), each, "each: {asked} in {rows}");
        }
    }

    #[test]
    fn absence_is_known_when_the_awaited_feed_is_complete() {
        for (asked, rows, awaited_ms, first, each) in [
            ("a !c5", "a1", 5, "", ""),
            ("a !c5", "a1", 6, "a1!6", "a1!6"),
            ("a !c5", "a1 c5", 9, "", ""),
            ("a !c5", "a1 c6", 9, "a1!6", "a1!6"),
            ("a !c5", "c1 a1", 9, "a1!6", "a1!6"),
            ("a !c5", "a1 a2 c4 a5", 20, "a5!10", "a5!10"),
            ("a !c5", "a1 a3", 20, "a1!6", "a1!6 a3!8"),
            ("a !c5", "a1 a6", 20, "a1!6 a6!11", "a1!6 a6!11"),
            // The deadline counts from the last step that happened.
            ("a b !c5", "a1 b4 c8", 20, "", ""),
            ("a b !c5", "a1 b4 c9", 20, "a1b4!9", "a1b4!9"),
        ] {
            assert_eq!(
                matches(asked, 10, false, rows, awaited_ms),
                first,
                "first: {asked} in {rows}"
            );
            assert_eq!(matches(asked, 10, true, rows, awaited_ms), each, "each: {asked} in {rows}");
        }
    }
}
