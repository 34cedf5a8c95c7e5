//! Slices: panes of one feed, filter, key and time, shared by all rules that ask for them.
//!
//! In: what rules ask of a slice, and the bounds of their conditions. Out: the panes' length, how long they are kept, and
//! what a key must have before it is worth an entry.

use super::{Builder, position_or_push};
use crate::{
    model::window::{PaneGrid, Step, WindowSpec},
    pane::{
        aggregate::kernel,
        plan::{Kernel, Reported, SlicePlan, Weight},
    },
    rule::plan::{Aggregate, Read},
};

/// Fewest rows that are worth waiting for.
const WAIT_FROM: f64 = 3.0;

/// A slice before all rules that share it are known.
pub(super) struct SliceBuilder {
    pub(super) feed: usize,
    pub(super) filter: usize,
    pub(super) keying: usize,
    pub(super) clock: Clock,
    pub(super) session: bool,
    pub(super) windows: Vec<WindowSpec>,
    pub(super) shifts: Vec<i64>,
    pub(super) keep_ms: i64,
    /// See [`SlicePlan::hot_at`]; `None` before a rule has said.
    pub(super) hot_at: Option<u32>,
    /// See [`SlicePlan::waits`]; `None` when some rule can fire whatever a key has.
    pub(super) waits: Option<Vec<Weight>>,
    pub(super) plan: SlicePlan,
}

/// By what time rows lie in panes, and which rows by their reporting delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    /// Position of the time column.
    pub(super) time: usize,
    /// See [`crate::pane::plan::Lane::reported`].
    pub(super) reported: Option<Reported>,
}

/// What one rule asks of each slice it uses.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) window: WindowSpec,
    pub(super) shifts: Vec<i64>,
    /// How much further back panes are kept, so that an explanation can look at earlier windows too.
    pub(super) beyond_ms: i64,
}

impl Builder<'_> {
    /// The slice of these rows by this key, asked for this window and its shifts.
    pub(super) fn slice(
        &mut self,
        feed: usize,
        filter: usize,
        (keying, space): (usize, usize),
        clock: Clock,
        ask: &Ask,
    ) -> usize {
        let session = matches!(ask.window, WindowSpec::Session { .. });
        let found = self.slices.iter().position(|s| {
            (s.feed, s.filter, s.keying, s.clock, s.session)
                == (feed, filter, keying, clock, session)
        });
        let i = found.unwrap_or_else(|| {
            let plan = SlicePlan {
                feed,
                filter,
                keying,
                lane: 0,
                space,
                grid: PaneGrid { len_ms: 1, origin_ms: 0 },
                slots: Vec::new(),
                stride: 0,
                carry: Vec::new(),
                hot_at: 0,
                waits: Vec::new(),
                keep_ms: 0,
            };
            self.slices.push(SliceBuilder {
                feed,
                filter,
                keying,
                clock,
                session,
                windows: Vec::new(),
                shifts: Vec::new(),
                keep_ms: 0,
                hot_at: None,
                waits: Some(Vec::new()),
                plan,
            });
            self.slices.len() - 1
        });
        let slice = &mut self.slices[i];
        position_or_push(&mut slice.windows, ask.window);
        for s in &ask.shifts {
            position_or_push(&mut slice.shifts, *s);
        }
        let every = match ask.window {
            WindowSpec::Session { gap_ms, max_ms } => 2 * (gap_ms + max_ms),
            window => window.step().map_or(0, Step::longest_ms),
        };
        if ask.beyond_ms > 0 {
            // A series looks further back than rows are kept: its keys cannot be made up for later.
            slice.waits = None;
        }
        let shift = ask.shifts.iter().copied().max().unwrap_or(0);
        slice.keep_ms =
            slice.keep_ms.max(ask.window.width_max() + 2 * every + shift + ask.beyond_ms);
        i
    }

    /// What a window of each slice must have before the rule can fire.
    pub(super) fn note_hot(
        &mut self,
        slices: &[usize],
        aggregates: &[Aggregate],
        bounds: &[(usize, f64)],
    ) {
        for s in slices {
            let weight = bounds.iter().find_map(|b| self.weight(*s, aggregates, *b));
            let waits = &mut self.slices[*s].waits;
            match (waits.as_mut(), weight) {
                (Some(all), Some(weight)) => match all.iter_mut().find(|w| w.arg == weight.arg) {
                    Some(same) => same.per = same.per.max(weight.per),
                    None => {
                        all.push(weight);
                        all.sort_by_key(|w| w.arg);
                    }
                },
                _ => *waits = None,
            }
            let rows = |(a, bound): &(usize, f64)| {
                let a = &aggregates[*a];
                let counts = match a.read {
                    Read::Rows => true,
                    // Distinct and present values are never more than rows.
                    Read::Slot(slot) => {
                        let kind = self.slices[a.slice].plan.slots[slot].kind;
                        matches!(kind, Kernel::Distinct | Kernel::NonNull)
                    }
                    _ => false,
                };
                (a.slice == *s && counts).then_some(bound.ceil().clamp(0.0, 1e9) as u32)
            };
            let needed = bounds.iter().filter_map(rows).max().unwrap_or(0);
            let hot_at = &mut self.slices[*s].hot_at;
            *hot_at = Some(hot_at.map_or(needed, |h| h.min(needed)));
        }
    }

    /// The weight of a row towards a bound on a count or a sum of the slice.
    fn weight(
        &self,
        slice: usize,
        aggregates: &[Aggregate],
        (a, bound): (usize, f64),
    ) -> Option<Weight> {
        let a = &aggregates[a];
        if a.slice != slice || bound < 1.0 {
            return None;
        }
        let rows = Weight { arg: None, per: 1.0 / bound };
        let slot = match a.read {
            Read::Rows => return (bound >= WAIT_FROM).then_some(rows),
            Read::Slot(slot) => self.slices[slice].plan.slots[slot],
            _ => return None,
        };
        match slot.kind {
            // Distinct and present values are never more than rows.
            Kernel::Distinct | Kernel::NonNull => (bound >= WAIT_FROM).then_some(rows),
            Kernel::Sum | Kernel::WholeSum => {
                let arg = &self.feeds[self.slices[slice].plan.feed].arg_list[slot.arg];
                let unit = kernel::unit(arg.value.data_type());
                Some(Weight { arg: Some(slot.arg), per: 1.0 / (bound * unit) })
            }
            _ => None,
        }
    }
}
