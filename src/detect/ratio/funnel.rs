//! Funnel plot: many subjects' rates against limits that narrow with the sample size.
//!
//! In: failures and samples of every subject. Out: the common rate, the over-dispersion, and for each subject its z
//! value, exact limits, and the z value that counts only what exceeds the usual spread between subjects.

use crate::detect::{
    Compat, Error,
    math::{binomial, normal, order},
    parameter,
};

/// Funnel: is a subject's rate too high for its sample size?
///
/// # What it finds
/// Subjects (producers, shops, districts) whose failure rate is too high for their sample size, with allowance for
/// subjects differing more than chance says.
///
/// # Parameters
/// - `baseline` — the rate in the middle, between 0 and 1; default all failures / all samples.
/// - `winsorise` — share of z values pulled in at each end before the spread is estimated, 0 or more, below 0.5; default 0.1.
/// - `alpha` — one-sided probability of a false alarm, between 0 and 0.5; default 0.001, the funnel's outer limit.
/// - `compat` — `r` lets limits leave [0, 1] and takes less spread than chance gives for real; default `corrected`.
///
/// # When it misleads
/// If most subjects are bad, so is the baseline. Over-dispersion is one number for all: with a few very large
/// subjects it is theirs. Less than about 20 subjects give no useful estimate of it.
///
/// # Source
/// Spiegelhalter 2005, Stat. Med. 24, 1185–1202. Golden family `funnel`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Funnel {
    /// The rate in the middle; all failures / all samples if not given.
    pub baseline: Option<f64>,
    /// Share of z values pulled in at each end.
    pub winsorise: f64,
    /// One-sided probability of a false alarm.
    pub alpha: f64,
    /// Whether limits may leave [0, 1].
    pub compat: Compat,
}

impl Default for Funnel {
    fn default() -> Self {
        Self { baseline: None, winsorise: 0.1, alpha: 0.001, compat: Compat::Corrected }
    }
}

impl Funnel {
    /// Are the parameters in their ranges?
    ///
    /// # Errors
    /// [`Error::Parameter`] with the first that is not.
    pub fn check(&self) -> Result<(), Error> {
        let baseline = self.baseline.unwrap_or(0.5);
        parameter("baseline", baseline, baseline > 0.0 && baseline < 1.0, "between 0 and 1")?;
        let fits = (0.0..0.5).contains(&self.winsorise);
        parameter("winsorise", self.winsorise, fits, "0 or more, below 0.5")?;
        parameter("alpha", self.alpha, self.alpha > 0.0 && self.alpha < 0.5, "between 0 and 0.5")
    }
}

/// The whole plot.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// The rate in the middle.
    pub baseline: f64,
    /// Mean square of the winsorised z values; 1 where subjects differ by chance alone.
    pub over_dispersion: f64,
    /// One point per subject, in the order given.
    pub points: Vec<Point>,
}

/// One subject.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Its rate.
    pub rate: f64,
    /// Standard deviations from the baseline.
    pub z: f64,
    /// The same, pulled in to the winsorising quantiles.
    pub z_winsorised: f64,
    /// Limits that 95 % of subjects stay within.
    pub limits_95: (f64, f64),
    /// Limits that 99.8 % stay within.
    pub limits_998: (f64, f64),
    /// z divided by the root of the over-dispersion.
    pub z_dispersed: f64,
    /// `P(X ≥ x)` at the baseline, without over-dispersion.
    pub p_greater: f64,
    /// `P(Z > z_dispersed)`.
    pub p_dispersed: f64,
    /// Whether that is below `alpha`.
    pub alarm: bool,
}

/// Draws the funnel of `failures` in `samples`, one of each per subject.
///
/// # Errors
/// Different lengths, no subject, a subject without samples, more failures than samples, all or none failed.
pub fn draw(failures: &[u64], samples: &[u64], with: &Funnel) -> Result<Plot, Error> {
    with.check()?;
    let baseline = super::common_rate(failures, samples, with.baseline)?;
    let z: Vec<f64> = failures
        .iter()
        .zip(samples)
        .map(|(&x, &n)| {
            let n = n as f64;
            (x as f64 / n - baseline) / (baseline * (1.0 - baseline) / n).sqrt()
        })
        .collect();
    let pulled = winsorised(&z, with.winsorise);
    let spread = pulled.iter().map(|z| z * z).sum::<f64>() / z.len() as f64;
    let over_dispersion = match with.compat {
        Compat::R => spread,
        Compat::Corrected => spread.max(1.0),
    };
    if over_dispersion <= 0.0 {
        return Err(Error::NoAnswer { why: "all subjects have the same rate" });
    }
    let points = (0..z.len())
        .map(|i| {
            let (x, n) = (failures[i], samples[i]);
            let limit = |q| limit(q, n, baseline, with.compat);
            let z_dispersed = z[i] / over_dispersion.sqrt();
            let p_dispersed = normal::upper(z_dispersed);
            Point {
                rate: x as f64 / n as f64,
                z: z[i],
                z_winsorised: pulled[i],
                limits_95: (limit(0.025), limit(0.975)),
                limits_998: (limit(0.001), limit(0.999)),
                z_dispersed,
                p_greater: binomial::at_least(x, n, baseline),
                p_dispersed,
                alarm: p_dispersed < with.alpha,
            }
        })
        .collect();
    Ok(Plot { baseline, over_dispersion, points })
}

/// The rate below which a share `q` of samples of size `n` lies, interpolated between whole counts.
fn limit(q: f64, n: u64, baseline: f64, compat: Compat) -> f64 {
    let r = binomial::quantile(q, n, baseline);
    let above = binomial::tails(r, n, baseline).lower - q;
    let limit = (r as f64 - above / binomial::probability(r, n, baseline)) / n as f64;
    match compat {
        Compat::R => limit,
        Compat::Corrected => limit.clamp(0.0, 1.0),
    }
}

fn winsorised(z: &[f64], share: f64) -> Vec<f64> {
    let sorted = order::sorted(z);
    let at = |q| order::quantile_of_sorted(&sorted, q).unwrap_or(0.0);
    let (low, high) = (at(share), at(1.0 - share));
    z.iter().map(|z| z.clamp(low, high.max(low))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn corrected_limits_stay_rates() {
        let (x, n) = ([1, 2, 9, 0], [12, 25, 40, 10]);
        let r = draw(&x, &n, &Funnel { compat: Compat::R, ..Default::default() }).unwrap();
        let ours = draw(&x, &n, &Funnel::default()).unwrap();
        assert!(r.points[0].limits_95.0 < 0.0, "R extrapolates below zero");
        assert_eq!(ours.points[0].limits_95.0, 0.0);
        assert_eq!(ours.points[2].z, r.points[2].z);
    }

    #[test]
    fn no_spread_is_chance_not_certainty() {
        let funnel = draw(&[5; 40], &[100; 40], &Funnel::default()).unwrap();
        assert_eq!(funnel.over_dispersion, 1.0);
        assert!(funnel.points.iter().all(|p| p.z_dispersed == 0.0 && p.p_dispersed == 0.5));
    }

    #[test]
    fn bad_input_is_an_error() {
        let with = &Funnel::default();
        assert!(draw(&[], &[], with).is_err());
        assert!(draw(&[1], &[1, 2], with).is_err());
        assert!(draw(&[1, 1], &[0, 2], with).is_err());
        assert!(draw(&[3, 1], &[2, 2], with).is_err());
        assert!(draw(&[0; 10_000], &[7; 10_000], with).is_err());
        assert!(draw(&[u64::MAX, 1], &[u64::MAX, 5], with).is_err());
        assert!(draw(&[1, 2], &[9, 9], &Funnel { winsorise: f64::NAN, ..with.clone() }).is_err());
    }

    proptest! {
        #[test]
        fn never_nan(pairs in prop::collection::vec((0..1000_u64, 0..100_000_u64), 0..40)) {
            let (x, n): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
            if let Ok(funnel) = draw(&x, &n, &Funnel::default()) {
                prop_assert!(funnel.over_dispersion >= 1.0);
                for p in funnel.points {
                    prop_assert!(p.z_dispersed.is_finite() && (0.0..=1.0).contains(&p.p_greater));
                    prop_assert!(p.limits_95.0 <= p.limits_95.1 && p.limits_998.0 <= p.limits_998.1);
                }
            }
        }
    }
}
