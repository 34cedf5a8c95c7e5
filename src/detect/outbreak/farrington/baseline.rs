//! The periods that a count is compared with, and the rows of the regression on them.
//!
//! In: a series and a period of it. Out: counts, seasons, trend and days off of its baseline. Not here: the fit.

use std::f64::consts::TAU;

use super::Farrington;
use crate::detect::{
    Compat, Series,
    math::glm::Design,
    outbreak::reference::{part_of_year, years_before},
};

/// The periods a count is compared with: their counts, seasons and times.
#[derive(Debug)]
pub(super) struct Baseline<'a> {
    series: Series<'a>,
    pub(super) counts: Vec<f64>,
    /// Level of each, from 0; the last level is that of the period judged. With waves all are 0.
    level: Vec<usize>,
    /// Position in the series.
    at: Vec<usize>,
    pub(super) offset: Option<Vec<f64>>,
    /// Columns of the season: levels, or 1 and two a wave; and the term for days off where it has one.
    pub(super) columns: usize,
    waves: usize,
    /// The term for days off: their number in each period of the series, and its mean in the baseline.
    days_off: Option<(&'a [f64], f64)>,
    /// Level of the period judged, and of the one before.
    levels_now: [usize; 2],
    /// Middle of the positions, so that trend and level hardly depend on each other.
    middle: f64,
}

impl<'a> Baseline<'a> {
    /// `None` where the history is too short.
    pub(super) fn new(of: &Farrington, series: &Series<'a>, now: usize) -> Option<Self> {
        let mut references: Vec<usize> =
            (1..=of.years).map(|back| years_before(series, now, back)).collect::<Option<_>>()?;
        references.reverse();
        let first = references[0].checked_sub(of.half_window)?;
        let level = match of.waves {
            0 => levels(first, &references, now, of.half_window, of.periods)?,
            _ => vec![Some(0); now - first],
        };
        let end = now.checked_sub(of.exclude_recent)?;
        let own = if of.waves > 0 { 0 } else { of.periods - 1 };
        let mut baseline = Self {
            series: *series,
            counts: Vec::new(),
            level: Vec::new(),
            at: Vec::new(),
            offset: series.population.map(|_| Vec::new()),
            columns: if of.waves > 0 { 1 + 2 * of.waves } else { of.periods },
            waves: of.waves,
            days_off: None,
            levels_now: [own, level.last().copied().flatten().unwrap_or(own)],
            middle: 0.0,
        };
        for at in first..end {
            let count = series.values[at];
            let population = series.population.map_or(1.0, |p| p[at]);
            if let Some(level) = level[at - first]
                && !count.is_nan()
                && population > 0.0
            {
                baseline.counts.push(count);
                baseline.level.push(level);
                baseline.at.push(at);
                if let Some(offset) = &mut baseline.offset {
                    offset.push(population.ln());
                }
            }
        }
        let sum: f64 = baseline.at.iter().map(|at| *at as f64).sum();
        baseline.middle = sum / baseline.at.len().max(1) as f64;
        if let Some(days) = series.days_off.filter(|_| of.compat == Compat::Corrected) {
            baseline.count_days_off(days);
        }
        Some(baseline)
    }

    /// Adds the term for days off, where their number is not always the same.
    fn count_days_off(&mut self, days: &'a [f64]) {
        let first = self.at.first().map(|at| days[*at]);
        if self.at.iter().any(|at| Some(days[*at]) != first) {
            let sum: f64 = self.at.iter().map(|at| days[*at]).sum();
            self.days_off = Some((days, sum / self.at.len() as f64));
            self.columns += 1;
        }
    }

    /// Whether the baseline tells nothing of a period with so many days off.
    pub(super) fn is_unlike(&self, at: usize) -> bool {
        let Some(days) = self.series.days_off else { return false };
        self.days_off.is_none() && self.at.first().is_some_and(|first| days[*first] != days[at])
    }

    pub(super) fn design(&self, trend: bool) -> Design {
        let width = 1 + 2 * self.waves + usize::from(self.days_off.is_some()) + usize::from(trend);
        let mut design = Design::new(self.columns + usize::from(trend), width);
        let mut row = Vec::with_capacity(width);
        for (at, level) in self.at.iter().zip(&self.level) {
            self.fill(&mut row, *level, *at, trend);
            design.push(&row);
        }
        design
    }

    /// `mean`, with a trend no more than the largest count of the baseline.
    pub(super) fn at_most(&self, mean: f64, trend: bool) -> f64 {
        if trend { mean.min(self.counts.iter().copied().fold(0.0, f64::max)) } else { mean }
    }

    /// The row of the period judged.
    pub(super) fn row(&self, at: usize, trend: bool) -> Vec<(usize, f64)> {
        let mut row = Vec::new();
        self.fill(&mut row, self.levels_now[0], at, trend);
        row
    }

    /// The row of the period before the one judged.
    pub(super) fn row_before(&self, before: usize, trend: bool) -> Vec<(usize, f64)> {
        let mut row = Vec::new();
        self.fill(&mut row, self.levels_now[1], before, trend);
        row
    }

    fn fill(&self, row: &mut Vec<(usize, f64)>, level: usize, at: usize, trend: bool) {
        row.clear();
        row.push((level, 1.0));
        let angle = TAU * part_of_year(&self.series, at);
        for wave in 1..=self.waves {
            let angle = wave as f64 * angle;
            row.extend([(2 * wave - 1, angle.cos()), (2 * wave, angle.sin())]);
        }
        if let Some((days, mean)) = self.days_off {
            row.push((self.columns - 1, days[at] - mean));
        }
        if trend {
            row.push((self.columns, at as f64 - self.middle));
        }
    }
}

/// Level of the season of each period from `first` to before `now`, from 0; `None` for periods not used.
///
/// The windows around the references, and the periods just before `now`, are the last level; what lies between two windows is
/// cut into `periods` − 1 blocks as equal as possible, the first ones longer. With one level only the windows are used.
/// The whole is `None` where windows overlap.
fn levels(
    first: usize,
    references: &[usize],
    now: usize,
    half: usize,
    periods: usize,
) -> Option<Vec<Option<usize>>> {
    let mut level = vec![None; now - first];
    let mut mark = |from: usize, to: usize, value: usize| {
        for at in from.max(first)..to.min(now) {
            level[at - first] = Some(value);
        }
    };
    let next = references.iter().skip(1).copied().chain([now]);
    for (reference, next) in references.iter().zip(next) {
        if periods > 1 {
            let start = reference + half + 1;
            let between = next.checked_sub(half)?.checked_sub(start)?;
            let (length, longer) = (between / (periods - 1), between % (periods - 1));
            let mut from = start;
            for block in 0..periods - 1 {
                let to = from + length + usize::from(block < longer);
                mark(from, to, block);
                from = to;
            }
        }
        mark(reference - half, reference + half + 1, periods - 1);
    }
    mark(now.saturating_sub(half), now, periods - 1);
    Some(level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seasons_tile_the_year() {
        // 52 weeks, windows of 7, nine blocks between: 45 = 9 · 5.
        let level = levels(97, &[100, 152], 204, 3, 10).expect("levels");
        assert_eq!(level.len(), 107);
        assert!(level.iter().all(Option::is_some));
        for value in 0..9 {
            assert_eq!(level.iter().filter(|l| **l == Some(value)).count(), 10, "{value}");
        }
        assert_eq!(level.iter().filter(|l| **l == Some(9)).count(), 7 + 7 + 3);
        let windows = levels(97, &[100, 152], 204, 3, 1).expect("levels");
        assert_eq!(windows.iter().flatten().count(), 7 + 7 + 3);
    }
}
