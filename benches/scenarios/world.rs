//! World: the 42 scenarios of Noufaily et al. 2013, and weeks drawn from them.
//!
//! In: a scenario, a seed and the number of a replicate. Out: twelve years of weekly counts with outbreaks in the past, with
//! or without one in the last 49 weeks, and where it lies. The same seed gives the same weeks on every machine.

use std::{f64::consts::TAU, ops::Range};

use forewarn::detect::math::random::Random;
use rand_distr::{Distribution, Gamma, LogNormal};

/// Weeks of a series.
pub(crate) const WEEKS: usize = 624;
/// The weeks that are judged, one by one.
pub(crate) const JUDGED: Range<usize> = 575..624;
/// Weeks in which past outbreaks begin, and their number.
const PAST: Range<usize> = 312..575;
const PAST_OUTBREAKS: usize = 4;
/// Sizes of past outbreaks, in standard deviations of a week.
const PAST_SIZES: [f64; 4] = [2.0, 3.0, 5.0, 10.0];
/// Sizes of the outbreak that is to be found: 1 to this.
const SIZE_MAX: u64 = 10;

/// θ, β, γ₁, γ₂, φ of the seven sets of parameters.
const SETS: [[f64; 5]; 7] = [
    [0.1, 0.0025, 0.6, 0.6, 1.5],
    [-2.0, 0.005, 0.1, 0.3, 2.0],
    [1.5, 0.003, 0.2, -0.4, 1.0],
    [0.5, 0.002, 0.5, 0.5, 5.0],
    [2.5, 0.001, 1.0, 0.1, 3.0],
    [3.75, 0.001, 0.1, -0.1, 1.1],
    [5.0, 0.0001, 0.05, 0.01, 1.2],
];

/// One scenario: a mean for each week, and how much counts vary about it.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    /// Number of the set of parameters, whether there is a trend, and waves a year: `5 trend 2`.
    pub(crate) name: String,
    number: u64,
    /// Expected count of each week.
    pub(crate) means: Vec<f64>,
    /// Variance over mean.
    pub(crate) phi: f64,
}

/// One replicate.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// Cases of each week.
    pub(crate) values: Vec<f64>,
    /// From the first to the last week with a case of the outbreak to be found, where there is one.
    pub(crate) outbreak: Option<Range<usize>>,
    /// Its size in standard deviations of a week.
    pub(crate) size: f64,
}

/// All scenarios: each set without and with its trend, with no, one and two waves a year.
pub(crate) fn all() -> Vec<Scenario> {
    let mut out = Vec::with_capacity(42);
    for (set, [theta, beta, cos, sin, phi]) in SETS.into_iter().enumerate() {
        for trend in [false, true] {
            for waves in 0..=2_u8 {
                let mean = |week: usize| {
                    let t = (week + 1) as f64;
                    let season: f64 = (1..=waves)
                        .map(|j| TAU * f64::from(j) * t / 52.0)
                        .map(|angle| cos * angle.cos() + sin * angle.sin())
                        .sum();
                    (theta + if trend { beta * t } else { 0.0 } + season).exp()
                };
                out.push(Scenario {
                    name: format!("{} {} {waves}", set + 1, if trend { "trend" } else { "level" }),
                    number: out.len() as u64,
                    means: (0..WEEKS).map(mean).collect(),
                    phi,
                });
            }
        }
    }
    out
}

impl Scenario {
    /// Draws a replicate. Its weeks are the same with and without an outbreak to be found.
    pub(crate) fn draw(&self, seed: u64, replicate: u64, outbreak: bool) -> Run {
        let mut random = Random::new(seed, replicate * 64 + self.number);
        let mut values: Vec<f64> =
            self.means.iter().map(|mean| self.count(*mean, &mut random)).collect();
        for _ in 0..PAST_OUTBREAKS {
            let size = PAST_SIZES[random.below(PAST_SIZES.len() as u64) as usize];
            self.add_outbreak(&mut values, &PAST, size, &mut random);
        }
        let mut run = Run { values, outbreak: None, size: 0.0 };
        if outbreak {
            run.size = 1.0 + random.below(SIZE_MAX) as f64;
            run.outbreak = self.add_outbreak(&mut run.values, &JUDGED, run.size, &mut random);
        }
        run
    }

    fn count(&self, mean: f64, random: &mut Random) -> f64 {
        let rate = if self.phi > 1.0 {
            let gamma = Gamma::new(mean / (self.phi - 1.0), self.phi - 1.0);
            gamma.expect("mean and φ are positive").sample(random)
        } else {
            mean
        };
        random.poisson(rate) as f64
    }

    /// Adds cases to the weeks from a random start on, log-normally spread; the weeks they lie in.
    fn add_outbreak(
        &self,
        values: &mut [f64],
        starts: &Range<usize>,
        size: f64,
        random: &mut Random,
    ) -> Option<Range<usize>> {
        let start = starts.start + random.below(starts.len() as u64) as usize;
        let cases = random.poisson(size * (self.phi * self.means[start]).sqrt());
        let spread = LogNormal::new(0.0, 0.5).expect("a spread");
        let mut weeks: Option<Range<usize>> = None;
        for _ in 0..cases {
            let week = start + f64::floor(spread.sample(random)) as usize;
            if week < WEEKS {
                values[week] += 1.0;
                let so_far = weeks.unwrap_or(week..week + 1);
                weeks = Some(so_far.start.min(week)..so_far.end.max(week + 1));
            }
        }
        weeks
    }
}
