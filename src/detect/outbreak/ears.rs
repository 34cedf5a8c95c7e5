//! EARS C1, C2, C3: is a count high against the week before it?

use std::ops::Range;

use crate::detect::{
    Error, Judgement, Profile, Series, SeriesDetector, Undefined, Verdict,
    math::{moments::mean_sd, normal},
    parameter,
};

/// Periods between the baseline of C2 and C3 and the period judged, so that the onset of a wave is not in the baseline.
const LAG: usize = 2;
/// Sum of the excesses of three days beyond which C3 of the CDC alarms.
const C3_LIMIT: f64 = 2.0;

/// EARS C1, C2 and C3: a count above mean and standard deviation of a short baseline right before it.
///
/// # What it finds
/// A sudden rise in a series with little history: complaints a day about a new category, a new shop, a new county. C1
/// compares with the `baseline` periods just before, C2 with those that end two periods earlier, C3 adds up the excesses of
/// three days and so finds a rise that builds up.
///
/// # Parameters
/// - `method` — `c1`, `c2` or `c3`; default `c2`.
/// - `baseline` — periods in the baseline, 2 to 366; default 7.
/// - `alpha` — one-sided probability of a false alarm in a period, between 0 and 0.5; default 0.001 (z = 3.09). `c3: cdc` has
///   a fixed limit and does not read it.
/// - `min_sigma` — smallest standard deviation the baseline is credited with, 0 or more; default 0.5.
/// - `min_count` — fewest cases that alarm, 0 or more; default 3.
/// - `c3` — `cdc`: the sum of max(0, z − 1) over this and the two periods before exceeds 2; `r`: R's bound, in which the
///   period's own z cancels out. Default `cdc`.
///
/// # When it misleads
/// No season and no weekdays: a Monday looks like an outbreak after a quiet Sunday. A baseline of equal counts has no
/// deviation; `min_sigma` and `min_count` keep a single case from alarming. The normal limit is too low for small counts, so
/// false alarms are several times `alpha`. A rise that lasts longer than the baseline becomes the baseline.
///
/// # Source
/// Hutwagner et al. 2003, J. Urban Health 80 (Suppl. 1), i89–i96. R: surveillance::earsC (`c3: r`, `min_sigma: 0`,
/// `min_count: 0`; its C3 is not that of the CDC). Golden family `ears`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ears {
    /// C1, C2 or C3.
    pub method: Method,
    /// Periods in the baseline.
    pub baseline: usize,
    /// One-sided probability of a false alarm.
    pub alpha: f64,
    /// Smallest standard deviation of a baseline.
    pub min_sigma: f64,
    /// Fewest cases that alarm.
    pub min_count: f64,
    /// Whose C3.
    pub c3: C3,
}

/// Which of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Against the periods just before.
    C1,
    /// Against the periods that end two periods before.
    #[default]
    C2,
    /// The sum of three excesses over C2's baseline.
    C3,
}

/// Whose C3: the CDC's definition, or the one that R computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum C3 {
    /// Σ max(0, zₜ₋ᵢ − 1) over i = 0, 1, 2 above 2.
    #[default]
    Cdc,
    /// yₜ + sₜ·(z₁₋α − the excesses of the two periods before), not below 0: an alarm does not depend on how high yₜ is.
    R,
}

impl Default for Ears {
    fn default() -> Self {
        Self {
            method: Method::C2,
            baseline: 7,
            alpha: 0.001,
            min_sigma: 0.5,
            min_count: 3.0,
            c3: C3::Cdc,
        }
    }
}

impl SeriesDetector for Ears {
    fn check(&self) -> Result<(), Error> {
        let b = self.baseline;
        parameter("baseline", b as f64, (2..=366).contains(&b), "2 to 366")?;
        parameter("alpha", self.alpha, self.alpha > 0.0 && self.alpha < 0.5, "between 0 and 0.5")?;
        let positive = |v: f64| v >= 0.0 && v.is_finite();
        parameter("min_sigma", self.min_sigma, positive(self.min_sigma), "0 or more")?;
        parameter("min_count", self.min_count, positive(self.min_count), "0 or more")
    }

    fn profile(&self) -> Profile {
        Profile::TESTS.by_order()
    }

    fn history(&self, _periods_per_year: usize) -> usize {
        match self.method {
            Method::C1 => self.baseline,
            Method::C2 => self.baseline + LAG,
            Method::C3 => self.baseline + 2 * LAG,
        }
    }

    fn evaluate(&self, series: &Series<'_>, range: Range<usize>) -> Result<Vec<Verdict>, Error> {
        self.check()?;
        series.check_counts(&range)?;
        Ok(range.map(|t| self.judge(&series.values[..=t])).collect())
    }
}

impl Ears {
    /// The verdict on the last of `counts`, which are checked; touches no more than the baseline, and allocates nothing.
    #[must_use]
    pub fn judge(&self, counts: &[f64]) -> Verdict {
        let Some((&now, before)) = counts.split_last() else { return Verdict::TooEarly };
        if before.len() < self.history(0) {
            return Verdict::TooEarly;
        }
        if now.is_nan() {
            return Verdict::NotDefined(Undefined::NoValue);
        }
        let unread = if self.method == Method::C2 { LAG } else { 0 };
        let used = &before[before.len() - self.history(0)..before.len() - unread];
        if used.iter().any(|v| v.is_nan()) {
            return Verdict::NotDefined(Undefined::Gap);
        }
        let lag = if self.method == Method::C1 { 0 } else { LAG };
        let Some((mean, sd)) = self.level(before, lag) else { return Verdict::TooEarly };
        let deviation = (now - mean) / sd;
        let (bound, score) = match (self.method, self.c3) {
            (Method::C1 | Method::C2, _) => {
                (mean + normal::upper_quantile(self.alpha) * sd, deviation)
            }
            (Method::C3, C3::Cdc) => {
                let earlier = self.excess(before, 1) + self.excess(before, 2);
                let bound =
                    if earlier > C3_LIMIT { 0.0 } else { mean + sd * (C3_LIMIT + 1.0 - earlier) };
                (bound, earlier + excess(now, mean, sd))
            }
            (Method::C3, C3::R) => {
                let earlier = self.excess(before, 1) + self.excess(before, 2);
                let bound = now + sd * (normal::upper_quantile(self.alpha) - earlier);
                (bound.max(0.0), deviation)
            }
        };
        if bound.is_nan() {
            return Verdict::NotDefined(Undefined::NoFit);
        }
        Judgement::new(now > bound && now >= self.min_count)
            .expected(mean)
            .upper_bound(bound)
            .score(score)
            .p_value(normal::upper(deviation))
            .into()
    }

    /// Mean and credited deviation of the baseline that ends `lag` periods before the end of `before`.
    fn level(&self, before: &[f64], lag: usize) -> Option<(f64, f64)> {
        let end = before.len().checked_sub(lag)?;
        let (mean, sd) = mean_sd(&before[end.checked_sub(self.baseline)?..end])?;
        Some((mean, sd.max(self.min_sigma)))
    }

    /// max(0, z − 1) of the period `back` periods ago, against its own baseline.
    fn excess(&self, before: &[f64], back: usize) -> f64 {
        let at = before.len() - back;
        let Some((mean, sd)) = self.level(&before[..at], LAG) else { return 0.0 };
        excess(before[at], mean, sd)
    }
}

/// max(0, (count − mean) / sd − 1); what is as expected exceeds by nothing also where the deviation is 0.
fn excess(count: f64, mean: f64, sd: f64) -> f64 {
    let difference = count - mean;
    if difference == 0.0 { 0.0 } else { (difference / sd - 1.0).max(0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ears(method: Method) -> Ears {
        Ears { method, min_sigma: 0.0, min_count: 0.0, ..Ears::default() }
    }

    fn alarms(ears: &Ears, counts: &[f64]) -> Vec<usize> {
        let verdicts = ears.evaluate(&Series::new(counts), 0..counts.len()).expect("counts");
        (0..counts.len()).filter(|t| verdicts[*t].alarm()).collect()
    }

    #[test]
    fn a_jump_alarms_against_its_own_baseline() {
        let mut counts = vec![3.0, 5.0, 4.0, 6.0, 2.0, 4.0, 5.0, 3.0, 4.0, 5.0, 4.0, 20.0, 20.0];
        assert_eq!(alarms(&ears(Method::C1), &counts), [11]);
        // The baseline of C2 ends two days before: the second day of the jump alarms too.
        assert_eq!(alarms(&ears(Method::C2), &counts), [11, 12]);
        assert_eq!(alarms(&ears(Method::C3), &counts), [11, 12]);
        counts[11] = f64::NAN;
        let verdicts = Ears::default().evaluate(&Series::new(&counts), 11..13).expect("counts");
        assert_eq!(verdicts[0], Verdict::NotDefined(Undefined::NoValue));
        assert!(verdicts[1].alarm(), "the gap is not in its baseline, but in the lag");
    }

    #[test]
    fn c3_of_the_cdc_sees_the_day_itself_and_r_does_not() {
        let mut counts: Vec<f64> = (0..11).map(|i| f64::from(4 + i % 2)).collect();
        counts.push(50.0);
        let c3 = |c3| Ears { c3, ..ears(Method::C3) };
        assert_eq!(alarms(&c3(C3::Cdc), &counts), [11]);
        assert_eq!(alarms(&c3(C3::R), &counts), [] as [usize; 0]);
    }

    #[test]
    fn a_quiet_series_does_not_alarm_on_one_case() {
        let mut counts = vec![0.0; 20];
        counts[15] = 1.0;
        assert_eq!(alarms(&Ears::default(), &counts), [] as [usize; 0]);
        assert_eq!(alarms(&ears(Method::C1), &counts), [15]);
    }
}
