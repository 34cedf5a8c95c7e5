//! Onset: is an outbreak that began in this period or the one before likelier than none?
//!
//! In: the counts of two periods, and for each its mean and dispersion without an outbreak. Out: a p-value that is exact for
//! counts of these means, and the largest count of the newer period that is still ordinary. Cases of an outbreak seldom fall
//! into one period; asked of both together the same evidence finds smaller outbreaks at the same level.
//!
//! The statistic is a likelihood ratio. Under an outbreak a period's mean is 1.5 standard deviations higher, its dispersion φ
//! the same; the outbreak began in the period before (twice as likely) or in this one. So it is
//! r(y₂)·(1 + 2·r(y₁)) / 3 with r(y) = P(y | outbreak) / P(y | none), which rises with both counts. With φ fixed, r rises ever
//! slower: two high periods tell more than one very high period, as they should, for chance rarely does it twice.
//! The level is the sum over both counts where the statistic is at least as high as found.
//!
//! # Source
//! Neyman–Pearson for a simple alternative; the mixture over the beginning is that of Shiryaev 1963, Theory Probab. Appl. 8,
//! 22–46, cut to two periods.

use std::f64::consts::LN_2;

use crate::detect::math::{negative_binomial::NegativeBinomial, poisson};

/// By how many standard deviations an outbreak raises the mean of a period.
const RAISED: f64 = 1.5;
/// ln of one over the prior probability of an outbreak that began in this period, given one that began in either.
const LN_THREE: f64 = 1.098_612_288_668_109_8;
/// Standard deviations from the mean beyond which counts are as good as impossible.
const FAR: f64 = 9.0;
/// Beyond so many standard deviations a count is judged as if it were there.
const BEYOND: f64 = 40.0;
/// Counts that are told apart; where there are more, neighbours stand for each other.
const POINTS: f64 = 2_000.0;

/// A period: what is expected of it without an outbreak, and what came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Period {
    /// Mean, above 0.
    pub(super) mean: f64,
    /// Variance over mean, at least 1.
    pub(super) phi: f64,
    /// Count; NaN where there is none.
    pub(super) count: f64,
}

/// What two periods tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    /// Probability of a likelihood ratio as high as this if nothing had changed.
    pub(super) p_value: f64,
    /// Largest count of the newer period whose p-value exceeds `alpha`.
    pub(super) bound: f64,
}

/// Judges `now` together with the period before it, where that has a count.
///
/// `None` where the figures leave the range of numbers.
pub(super) fn judge(before: Option<Period>, now: Period, alpha: f64) -> Option<Found> {
    let newer = Counts::of(&now)?;
    let older = match before.filter(|p| !p.count.is_nan() && p.mean > 0.0) {
        Some(period) => Some((Counts::of(&period)?, period.count)),
        None => None,
    };
    let pair = Pair::new(older, newer);
    // p falls with the count: the least count within `alpha`, by halves.
    let (mut low, mut high) = (0, pair.newer.points.len() - 1);
    while low < high {
        let middle = low.midpoint(high);
        if pair.level(middle) <= alpha { high = middle } else { low = middle + 1 }
    }
    let bound = pair.newer.count(low) - pair.newer.step;
    let p_value = pair.level(pair.newer.index(now.count));
    Some(Found { p_value, bound: bound.max(0.0) })
}

/// Counts of one period: how probable each is, and what it tells.
#[derive(Debug)]
struct Counts {
    points: Vec<Point>,
    first: f64,
    step: f64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Point {
    /// P(this count) and P(this or more) without an outbreak.
    density: f64,
    upper: f64,
    /// ln r.
    ln_ratio: f64,
}

impl Counts {
    fn of(period: &Period) -> Option<Self> {
        let Period { mean, phi, count } = *period;
        let sd = (phi * mean).sqrt();
        let most = count.max(mean + FAR * sd + FAR * phi).min(mean + BEYOND * (sd + phi));
        let first = (mean - FAR * sd).floor().max(0.0);
        let step = ((most - first) / POINTS).ceil().max(1.0);
        let n = ((most - first) / step).ceil() + 1.0;
        if !n.is_finite() {
            return None;
        }
        let (plain, raised) = (Counted::new(mean, phi), Counted::new(mean + RAISED * sd, phi));
        let mut points: Vec<Point> = Vec::with_capacity(n as usize);
        for i in 0..n as usize {
            let count = first + i as f64 * step;
            // Every few points anew, so that rounding does not add up.
            let point = match points.last() {
                Some(last) if step == 1.0 && i % 64 != 0 && last.density > 1e-280 => Point {
                    density: last.density * plain.next(count),
                    ln_ratio: last.ln_ratio + plain.ln_next_ratio(&raised, count),
                    upper: 0.0,
                },
                _ => {
                    let ln = plain.ln_density(count);
                    let ln_ratio = raised.ln_density(count) - ln;
                    Point { density: step * ln.exp(), ln_ratio, upper: 0.0 }
                }
            };
            points.push(point);
        }
        let mut upper = 0.0;
        for point in points.iter_mut().rev() {
            upper += point.density;
            point.upper = upper;
        }
        points.iter().all(|p| !p.ln_ratio.is_nan()).then_some(Self { points, first, step })
    }

    fn count(&self, index: usize) -> f64 {
        self.first + index as f64 * self.step
    }

    /// The point of a count; the nearest below.
    fn index(&self, count: f64) -> usize {
        let index = ((count - self.first) / self.step).floor().max(0.0);
        (index as usize).min(self.points.len() - 1)
    }
}

/// A distribution of counts, walked upwards.
#[derive(Debug)]
enum Counted {
    Poisson(f64),
    /// With size and 1 − prob.
    Negative(NegativeBinomial, f64, f64),
}

impl Counted {
    fn new(mean: f64, phi: f64) -> Self {
        if phi <= 1.0 {
            return Self::Poisson(mean);
        }
        let size = mean / (phi - 1.0);
        Self::Negative(NegativeBinomial::new(size, 1.0, phi - 1.0), size, (phi - 1.0) / phi)
    }

    fn ln_density(&self, count: f64) -> f64 {
        match self {
            Self::Poisson(mean) => poisson::ln_density(count, *mean),
            Self::Negative(distribution, ..) => distribution.ln_density(count),
        }
    }

    /// P(count) / P(count − 1).
    fn next(&self, count: f64) -> f64 {
        match self {
            Self::Poisson(mean) => mean / count,
            Self::Negative(_, size, rest) => (count - 1.0 + size) / count * rest,
        }
    }

    /// By what ln r grows from `count` − 1 to `count`.
    fn ln_next_ratio(&self, raised: &Self, count: f64) -> f64 {
        (raised.next(count) / self.next(count)).ln()
    }
}

/// Both periods together.
#[derive(Debug)]
struct Pair {
    /// For each count of the older period its probability and what it adds to ln r of the newer; one entry where there is
    /// none.
    older: Vec<(f64, f64)>,
    newer: Counts,
    /// What the older period's own count adds.
    found: f64,
}

impl Pair {
    fn new(older: Option<(Counts, f64)>, newer: Counts) -> Self {
        let Some((counts, count)) = older else {
            return Self { older: vec![(1.0, 0.0)], newer, found: 0.0 };
        };
        let adds = |p: &Point| ln_sum(0.0, LN_2 + p.ln_ratio) - LN_THREE;
        let found = adds(&counts.points[counts.index(count)]);
        let older = counts.points.iter().map(|p| (p.density, adds(p))).collect();
        Self { older, newer, found }
    }

    /// Probability of a likelihood ratio at least as high as that of the newer count at `index` beside the older one found.
    fn level(&self, index: usize) -> f64 {
        let points = &self.newer.points;
        // A little less, so that what ties but for rounding counts.
        let wanted = points[index].ln_ratio + self.found - 1e-9;
        let mut at = points.len();
        let mut level = 0.0;
        // What the older count adds rises, so the newer count that is needed falls.
        for (density, adds) in &self.older {
            while at > 0 && points[at - 1].ln_ratio + adds >= wanted {
                at -= 1;
            }
            level += density * points.get(at).map_or(0.0, |p| p.upper);
        }
        level.min(1.0)
    }
}

/// ln(eᵃ + eᵇ).
fn ln_sum(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    high + (low - high).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::math::negative_binomial;

    fn period(mean: f64, phi: f64, count: f64) -> Period {
        Period { mean, phi, count }
    }

    #[test]
    fn one_period_alone_has_the_tail_of_its_count() {
        for (mean, phi, count) in [(0.2, 1.0, 3.0), (7.0, 1.8, 19.0), (180.0, 3.0, 260.0)] {
            let found = judge(None, period(mean, phi, count), 0.01).expect("numbers");
            let want = negative_binomial::upper(count, mean, phi).p;
            assert!((found.p_value / want - 1.0).abs() < 1e-9, "{mean}: {found:?} {want:e}");
            assert_eq!(Some(found.bound), negative_binomial::upper_quantile(0.01, mean, phi));
        }
    }

    /// P(likelihood ratio at least as high), added up over all pairs of counts.
    fn by_hand(before: &Period, now: &Period) -> f64 {
        let of = |p: &Period, raised: bool| {
            let sd = (p.phi * p.mean).sqrt();
            Counted::new(p.mean + if raised { RAISED * sd } else { 0.0 }, p.phi)
        };
        let (p1, q1) = (of(before, false), of(before, true));
        let (p2, q2) = (of(now, false), of(now, true));
        let ratio = |x: f64, y: f64| {
            let r1 = (q1.ln_density(x) - p1.ln_density(x)).exp();
            let r2 = (q2.ln_density(y) - p2.ln_density(y)).exp();
            r2 * (1.0 + 2.0 * r1) / 3.0
        };
        let wanted = ratio(before.count, now.count) * (1.0 - 1e-9);
        let mut sum = 0.0;
        for x in (0..400).map(f64::from) {
            for y in (0..400).map(f64::from).filter(|y| ratio(x, *y) >= wanted) {
                sum += (p1.ln_density(x) + p2.ln_density(y)).exp();
            }
        }
        sum
    }

    #[test]
    fn the_level_is_the_sum_over_all_pairs() {
        for (before, now) in [
            (period(0.3, 1.0, 2.0), period(0.3, 1.0, 1.0)),
            (period(4.0, 1.6, 9.0), period(5.0, 1.6, 11.0)),
            (period(60.0, 2.0, 80.0), period(55.0, 1.0, 70.0)),
        ] {
            let found = judge(Some(before), now, 0.01).expect("numbers");
            let want = by_hand(&before, &now);
            assert!((found.p_value / want - 1.0).abs() < 1e-6, "{found:?}, not {want:e}");
            // One more than the bound is within the level, the bound is not.
            let p = |count| judge(Some(before), Period { count, ..now }, 0.01).expect("ok").p_value;
            assert!(p(found.bound + 1.0) <= 0.01 && (found.bound == 0.0 || p(found.bound) > 0.01));
        }
    }

    #[test]
    fn two_high_periods_tell_more_than_one() {
        let p = |a, b| {
            judge(Some(period(10.0, 2.0, a)), period(10.0, 2.0, b), 0.01).expect("numbers").p_value
        };
        assert!(p(20.0, 20.0) < 0.2 * p(10.0, 20.0));
        assert!(p(20.0, 20.0) < p(10.0, 30.0));
    }

    #[test]
    fn far_out_and_huge_counts_have_an_answer() {
        for (mean, phi, count) in
            [(1e-6, 1.0, 4.0), (3.0, 1.2, 1e9), (1e12, 1e6, 1.1e12), (2e5, 1.0, 2e5)]
        {
            let found = judge(Some(period(mean, phi, count)), period(mean, phi, count), 0.005);
            let found = found.expect("numbers");
            assert!((0.0..=1.0).contains(&found.p_value) && found.bound.is_finite());
            assert_eq!(count > found.bound, found.p_value <= 0.005, "{mean}: {found:?}");
        }
    }
}
