//! Nowcast in front of a detector: the newest periods of a series as they will be once all reports are in.
//!
//! A rule whose `time` is when something happened learns of it later, at the feed's event time. With `nowcast` its windows do
//! not wait for the longest delay: a window closes `wait` behind its end, and the rows that count are those reported by then.
//! In: the numbers of rows by period and delay, as seen then. Out: the series that the detector judges, with medians in place
//! of the newest counts, and what is told of the period judged. It is a function of the rows alone: what is reported after
//! the close counts in later windows only, and so a replay that knows everything says the same.
//! Not here: the mathematics (`detect::outbreak::Nowcast`).

use std::ops::Range;

use serde_json::Map;

use super::{evaluate::Evaluator, plan::Beside};
use crate::{
    detect::outbreak::{Estimate, Nowcast, Triangle},
    model::{diagnostic::Diagnostic, window::PaneGrid, yaml::Node},
};

/// What is told of the period judged: the median of its count to come and the limits around it.
pub const NOWCAST: [&str; 3] = ["nowcast", "nowcast_lower", "nowcast_upper"];

/// `nowcast:`
#[derive(Debug, Clone)]
pub struct NowcastFile {
    /// The method, with delay and window in periods.
    pub method: Nowcast,
    /// Periods behind a period's end at which it is judged.
    pub wait: usize,
    /// Where it stands.
    pub span: Range<usize>,
}

impl NowcastFile {
    /// Periods before the one judged from which delays are learnt.
    #[must_use]
    pub fn reach(&self) -> usize {
        self.method.window.unwrap_or(0).max(self.method.max_delay) - self.wait
    }

    /// `nowcast:` of a rule whose periods are `periods`; what is wrong with it goes to `findings`.
    pub(super) fn read(
        node: &Node,
        periods: Option<PaneGrid>,
        findings: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let Some(periods) = periods else {
            let message = "a nowcast needs days or weeks, each judged once";
            let finding = Diagnostic::error("rule::impossible", node.span(), message);
            findings.push(finding.label("write period: day or week, without every"));
            return None;
        };
        let mut wrong = false;
        let mut count = |name: &str| {
            let span = node.get(name)?;
            let ms = span.span_ms()?;
            if ms % periods.len_ms == 0 {
                return usize::try_from(ms / periods.len_ms).ok();
            }
            wrong = true;
            let message = format!("{name} of the nowcast must be whole periods of the series");
            findings.push(Diagnostic::error("yaml::wrong_type", span.span(), message));
            None
        };
        let (max_delay, window, wait) = (count("max_delay"), count("window"), count("wait"));
        if wrong {
            return None;
        }
        let wait = wait.unwrap_or(0);
        let mut parameters = Map::new();
        for name in ["method", "alpha", "kappa"] {
            parameters.extend(node.get(name).map(|value| (name.to_owned(), value.value())));
        }
        let method: Nowcast = match serde_json::from_value(parameters.into()) {
            Ok(method) => method,
            Err(error) => {
                let message = format!("the nowcast cannot be read: {error}");
                findings.push(Diagnostic::error("rule::detector_parameter", node.span(), message));
                return None;
            }
        };
        let method = Nowcast {
            max_delay: max_delay.unwrap_or(method.max_delay),
            window: window.or(method.window),
            ..method
        };
        let checked = method.check().map_err(|error| error.to_string());
        let checked = checked.and_then(|()| match wait < method.max_delay {
            true => Ok(()),
            false => Err("wait is as long as max_delay: nothing is left to make up for".to_owned()),
        });
        if let Err(message) = checked {
            findings.push(Diagnostic::error("rule::detector_parameter", node.span(), message));
            return None;
        }
        Some(Self { method, wait, span: node.span() })
    }
}

/// The compiled nowcast of a rule.
#[derive(Debug)]
pub struct NowcastPlan {
    method: Nowcast,
    wait: usize,
    reach: usize,
    periods: PaneGrid,
    /// The slice of all rows, for periods of which all is reported.
    all: usize,
    /// By delay: the slice of the rows with it, the last with all longer ones.
    by_delay: Vec<usize>,
}

/// The newest periods of a series as they will be.
pub(super) struct Complete {
    /// By periods before the one judged: the value, NaN where there is none.
    pub(super) values: Vec<f64>,
    /// Of the period judged.
    pub(super) now: Estimate,
}

impl NowcastPlan {
    /// The plan of what `file` says, over these slices.
    #[must_use]
    pub fn new(file: &NowcastFile, periods: PaneGrid, all: usize, by_delay: Vec<usize>) -> Self {
        Self {
            method: file.method.clone(),
            wait: file.wait,
            reach: file.reach(),
            periods,
            all,
            by_delay,
        }
    }

    /// How far behind its end a window closes, local milliseconds.
    #[must_use]
    pub fn wait_ms(&self) -> i64 {
        self.wait as i64 * self.periods.len_ms
    }

    /// The slices that it reads, and from which window on a row of each counts.
    pub fn beside(&self) -> impl Iterator<Item = Beside> + '_ {
        let after = |delay: usize| delay.saturating_sub(self.wait) as i64 * self.periods.len_ms;
        let all = Beside { slice: self.all, after_ms: after(self.method.max_delay) };
        let of =
            move |(delay, slice): (usize, &usize)| Beside { slice: *slice, after_ms: after(delay) };
        std::iter::once(all).chain(self.by_delay.iter().enumerate().map(of))
    }

    /// The slice of all rows.
    pub(super) fn all(&self) -> usize {
        self.all
    }

    /// Periods before the one judged of which not all is reported, the one judged included.
    pub(super) fn incomplete(&self) -> usize {
        self.method.max_delay - self.wait
    }
}

impl Evaluator<'_> {
    /// The newest of `periods`, the last of which is judged, as they will be for `key`; `None` where the history is shorter
    /// than the longest delay.
    pub(super) fn complete(
        &self,
        plan: &NowcastPlan,
        key: u32,
        periods: &[Range<i64>],
    ) -> Option<Complete> {
        let longest = plan.method.max_delay;
        let known = periods.len().min(plan.reach + 1);
        let none = vec![0.0; longest + 1];
        let mut counts = Vec::with_capacity(known + plan.wait);
        for back in (0..known).rev() {
            let period = &periods[periods.len() - 1 - back];
            let mut row = none.clone();
            for (delay, slice) in plan.by_delay.iter().enumerate().take(back + plan.wait + 1) {
                let panes = self.panes(*slice, period);
                row[delay] = self.store.slice(*slice).rows(key, &panes) as f64;
            }
            counts.push(row);
        }
        // What has happened since the period is not looked at.
        counts.resize(counts.len() + plan.wait, none);
        let estimates = plan.method.estimates(&Triangle { counts }).ok()?;
        let judged = estimates.len() - 1 - plan.wait;
        let value = |e: &Estimate| e.median.unwrap_or(f64::NAN);
        let values = estimates[..=judged].iter().rev().take(plan.incomplete()).map(value).collect();
        Some(Complete { values, now: estimates[judged] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::DAY_MS;

    #[test]
    fn a_row_counts_from_the_window_that_sees_it() {
        let file = NowcastFile {
            method: Nowcast { max_delay: 3, ..Nowcast::default() },
            wait: 1,
            span: 0..0,
        };
        let days = PaneGrid { len_ms: DAY_MS, origin_ms: 0 };
        let plan = NowcastPlan::new(&file, days, 9, vec![10, 11, 12, 13]);
        let after: Vec<(usize, i64)> =
            plan.beside().map(|b| (b.slice, b.after_ms / DAY_MS)).collect();
        assert_eq!(after, [(9, 2), (10, 0), (11, 0), (12, 1), (13, 2)]);
        assert_eq!((plan.wait_ms(), plan.incomplete()), (DAY_MS, 2));
    }
}
