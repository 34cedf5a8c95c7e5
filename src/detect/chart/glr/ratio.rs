//! The log likelihood ratio of a change against none, over all periods in which it may have begun.
//!
//! In: counts with their expected values, one more at a time. Out: the chart after it. Not here: where expected values come
//! from, and what a user may ask for.

use super::{Change, Glr, GlrStep, Shift};
use crate::detect::Compat;

/// Where Newton's iteration is done, on the log scale.
const STEP: f64 = 1e-6;
/// Steps of an iteration at most; it seldom needs ten.
const STEPS: usize = 100;
/// Steps that R allows.
const STEPS_OF_R: usize = 1_000;
/// ln of a factor that is as good as 0.
const NOTHING: f64 = -18.0;

/// A chart on its way.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) glr: &'a Glr,
    pub(super) counts: &'a [f64],
    pub(super) means: Vec<f64>,
    pub(super) alpha: f64,
    /// The count before the first.
    pub(super) before: f64,
    /// First period since the last start.
    pub(super) from: usize,
    /// The sum of the chart with a known factor.
    pub(super) sum: f64,
}

/// A log likelihood ratio, where its change begins, and how large it is.
#[derive(Debug, Clone, Copy)]
struct Best {
    value: f64,
    at: Option<usize>,
    size: f64,
}

impl Run<'_> {
    /// The chart after the next count, the `n`-th.
    pub(super) fn step(&mut self, n: usize) -> GlrStep {
        let (glr, mean) = (self.glr, self.means[n]);
        let (best, bound) = match glr.factor {
            Some(factor) => {
                let kappa = factor.ln();
                let bound = self.bound_known(n, kappa);
                self.sum = (self.sum + self.known(n, kappa)).max(0.0);
                (Best { value: self.sum, at: None, size: factor }, Some(bound))
            }
            None => (self.best(n, self.counts[n]), self.bound_unknown(n)),
        };
        // As R: the charts of an unknown level alarm at the threshold, the others above it.
        let at_threshold =
            glr.factor.is_none() && (glr.change == Change::Level || self.alpha > 0.0);
        let alarm = best.value > glr.threshold || (at_threshold && best.value == glr.threshold);
        if alarm {
            self.from = n + 1;
            self.sum = 0.0;
        }
        let statistic = best.value.max(0.0);
        GlrStep { mean, statistic, change_at: best.at, size: best.size, bound, alarm }
    }

    /// One period's log likelihood ratio for a known factor e^`kappa`.
    fn known(&self, n: usize, kappa: f64) -> f64 {
        let (x, mean) = (self.counts[n], self.means[n]);
        if self.alpha == 0.0 {
            return kappa * x + (1.0 - kappa.exp()) * mean;
        }
        kappa * x + (x + 1.0 / self.alpha) * self.ln_ratio(mean, mean * kappa.exp())
    }

    /// ln((1 + αμ₀)/(1 + αμ₁)).
    fn ln_ratio(&self, mean: f64, changed: f64) -> f64 {
        ((1.0 + self.alpha * mean) / (1.0 + self.alpha * changed)).ln()
    }

    /// The count at which the sum reaches the threshold.
    fn bound_known(&self, n: usize, kappa: f64) -> f64 {
        let (mean, left) = (self.means[n], self.glr.threshold - self.sum);
        if self.alpha == 0.0 {
            return (left + mean * (kappa.exp() - 1.0)) / kappa;
        }
        let ln = self.ln_ratio(mean, mean * kappa.exp());
        (left - ln / self.alpha) / (kappa + ln)
    }

    /// The largest count without alarm, for an unknown level that rises, without extra variation.
    fn bound_unknown(&self, n: usize) -> Option<f64> {
        let glr = self.glr;
        if self.alpha > 0.0 || glr.change != Change::Level || glr.direction == Shift::Down {
            return None;
        }
        let alarms = |x: f64| self.best(n, x).value >= glr.threshold;
        let mut high = 1.0;
        while !alarms(high) {
            high *= 2.0;
            if high > 1e15 {
                return None;
            }
        }
        let mut low = if high > 1.0 { high / 2.0 } else { -1.0 };
        while high - low > 1.0 {
            let middle = f64::floor((high + low) / 2.0);
            if alarms(middle) { high = middle } else { low = middle }
        }
        Some(high - 1.0)
    }

    /// The largest log likelihood ratio over the periods in which a change may have begun, with `now` as the last count.
    fn best(&self, n: usize, now: f64) -> Best {
        let (glr, r) = (self.glr, self.glr.compat == Compat::R);
        let poisson_level = self.alpha == 0.0 && glr.change == Change::Level;
        let low = glr.window.map_or(self.from, |m| self.from.max(n.saturating_sub(m)));
        // R's windowed Poisson chart wants one period more, its unwindowed one looks at shorter changes than `least` too.
        let least = match (r && poisson_level, glr.window) {
            (true, Some(_)) => glr.least + 1,
            _ => glr.least,
        };
        let nothing = Best { value: 0.0, at: None, size: 1.0 };
        if n + 1 < self.from + least {
            return nothing;
        }
        let shortest = if r && poisson_level && glr.window.is_none() { 1 } else { least };
        let high = n + 1 - shortest;
        if low > high {
            return nothing;
        }
        if poisson_level {
            return self.best_poisson(n, now, low..=high);
        }
        let mut best = Best { value: f64::NEG_INFINITY, ..nothing };
        let (mut warm, mut share_of_r) = (0.5, 0.5);
        for k in low..=high {
            let (value, size) = match glr.change {
                Change::Level => {
                    let kappa = self.newton(k, n, warm);
                    warm = match glr.direction {
                        Shift::Up => kappa.max(0.0),
                        Shift::Down => kappa.min(0.0),
                    };
                    ((k..=n).map(|i| self.known(i, warm)).sum(), warm.exp())
                }
                Change::Epidemic if r && self.alpha > 0.0 => {
                    warm = self.newton(k, n, warm);
                    (self.epidemic(k, n, warm.exp()), warm.exp())
                }
                Change::Epidemic if r => {
                    share_of_r = self.share_of_r(k, n, share_of_r);
                    (self.epidemic(k, n, share_of_r), share_of_r)
                }
                Change::Epidemic => {
                    let share = self.share(k, n);
                    (self.epidemic(k, n, share), share)
                }
            };
            if value > best.value {
                best = Best { value, at: Some(k), size };
            }
        }
        if best.value.is_finite() { best } else { nothing }
    }

    /// Poisson level: sums from the end backwards, the factor in closed form.
    fn best_poisson(&self, n: usize, now: f64, starts: std::ops::RangeInclusive<usize>) -> Best {
        let mut best = Best { value: f64::NEG_INFINITY, at: None, size: 1.0 };
        let (mut cases, mut expected) = (0.0, 0.0);
        for k in (*starts.start()..=n).rev() {
            cases += if k == n { now } else { self.counts[k] };
            expected += self.means[k];
            if k > *starts.end() {
                continue;
            }
            let kappa = match self.glr.direction {
                Shift::Up => f64::ln(cases / expected).max(0.0),
                Shift::Down => f64::ln(cases / expected).min(0.0),
            };
            let value = if cases == 0.0 && self.glr.direction == Shift::Down {
                if self.glr.compat == Compat::R {
                    continue;
                }
                expected
            } else {
                kappa * cases + (1.0 - kappa.exp()) * expected
            };
            if value > best.value {
                best = Best { value, at: Some(k), size: kappa.exp() };
            }
        }
        if best.value == f64::NEG_INFINITY { Best { value: 0.0, ..best } } else { best }
    }

    /// ln of the most likely factor of the level between `k` and `n`, from `start`.
    fn newton(&self, k: usize, n: usize, start: f64) -> f64 {
        let mut kappa = start;
        for _ in 0..STEPS {
            let factor = kappa.exp();
            let (mut score, mut information) = (0.0, 0.0);
            for i in k..=n {
                let (x, m) = (self.counts[i], self.means[i]);
                let scale = 1.0 + self.alpha * factor * m;
                score += (x - factor * m) / scale;
                information += m * (self.alpha * x + 1.0) / (scale * scale);
            }
            let step = score / (factor * information);
            if step.is_nan() {
                return 0.0;
            }
            // The likelihood is concave in ln factor; a long step only overshoots.
            let step = if self.glr.compat == Compat::R { step } else { step.clamp(-3.0, 3.0) };
            kappa += step;
            if step.abs() <= STEP || kappa <= NOTHING {
                break;
            }
        }
        kappa
    }

    /// The count before `i`.
    fn previous(&self, i: usize) -> f64 {
        if i == 0 { self.before } else { self.counts[i - 1] }
    }

    /// Log likelihood ratio of an epidemic between `k` and `n` in which a `share` of the count before is added.
    fn epidemic(&self, k: usize, n: usize, share: f64) -> f64 {
        (k..=n)
            .map(|i| {
                let (x, mean) = (self.counts[i], self.means[i]);
                let added = share * self.previous(i);
                let changed = mean + added;
                if self.alpha == 0.0 {
                    return x * (added / mean).ln_1p() - added;
                }
                let ln = self.ln_ratio(mean, changed);
                x * ((changed / mean).ln() + ln) + ln / self.alpha
            })
            .sum()
    }

    /// R's share: Newton's iteration on its logarithm from the share of the change a period earlier. Once it has come near 0
    /// it stays there, however well a later change would fit.
    fn share_of_r(&self, k: usize, n: usize, start: f64) -> f64 {
        let (mut ln, mut before) = (start.ln(), 2.0_f64);
        let mut steps = 0;
        while ln > NOTHING && (ln.exp() - before.exp()).abs() > STEP && steps < STEPS_OF_R {
            steps += 1;
            before = ln;
            let share = ln.exp();
            let (mut slope, mut bend) = (0.0, 0.0);
            for i in k..=n {
                let (x, previous) = (self.counts[i], self.previous(i));
                let changed = share * previous + self.means[i];
                slope += x * previous / changed - previous;
                bend += x * (previous / changed) * (previous / changed);
            }
            let score = share * slope;
            ln += score / (share * share * bend - score);
        }
        ln.exp()
    }

    /// The most likely share of an epidemic between `k` and `n`, 0 or more: where the slope of the likelihood is 0.
    fn share(&self, k: usize, n: usize) -> f64 {
        let slope = |share: f64| -> f64 {
            (k..=n)
                .map(|i| {
                    let previous = self.previous(i);
                    let changed = self.means[i] + share * previous;
                    previous * (self.counts[i] - changed) / (changed * (1.0 + self.alpha * changed))
                })
                .sum()
        };
        if slope(0.0) <= 0.0 {
            return 0.0;
        }
        let (mut low, mut high) = (0.0, 1.0);
        while slope(high) > 0.0 && high < 1e12 {
            (low, high) = (high, 2.0 * high);
        }
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if slope(middle) > 0.0 { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    }
}
