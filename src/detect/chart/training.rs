//! Training: the level and spread a chart is set to, from the periods before it begins.

use crate::detect::{Error, Undefined, math::moments::mean_sd, parameter};

/// Where a chart's mean and standard deviation come from.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Training {
    /// The last so many periods before the chart begins; those without a value are left out.
    pub periods: usize,
    /// Mean, where it is known.
    pub mean: Option<f64>,
    /// Standard deviation, where it is known.
    pub sd: Option<f64>,
}

impl Default for Training {
    fn default() -> Self {
        Self { periods: 28, mean: None, sd: None }
    }
}

impl Training {
    /// Periods that must lie before the chart.
    #[must_use]
    pub fn history(&self) -> usize {
        if self.mean.is_some() && self.sd.is_some() { 0 } else { self.periods }
    }

    /// Are the figures in their ranges?
    ///
    /// # Errors
    /// [`Error::Parameter`] with the first that is not.
    pub fn check(&self) -> Result<(), Error> {
        parameter("periods", self.periods as f64, self.periods >= 2, "2 or more")?;
        let mean = self.mean.unwrap_or(0.0);
        parameter("mean", mean, mean.is_finite(), "a number")?;
        let sd = self.sd.unwrap_or(1.0);
        parameter("sd", sd, sd > 0.0 && sd.is_finite(), "above 0")
    }

    /// Mean and standard deviation for a chart that begins after `history`, which is long enough.
    ///
    /// # Errors
    /// [`Undefined::NoFit`] where the values never vary or less than two are there, [`Undefined::Overflow`].
    pub fn level(&self, history: &[f64]) -> Result<(f64, f64), Undefined> {
        if let (Some(mean), Some(sd)) = (self.mean, self.sd) {
            return Ok((mean, sd));
        }
        let last = &history[history.len().saturating_sub(self.periods)..];
        let values: Vec<f64> = last.iter().copied().filter(|v| !v.is_nan()).collect();
        let (mean, sd) = mean_sd(&values).filter(|_| values.len() > 1).ok_or(Undefined::NoFit)?;
        let (mean, sd) = (self.mean.unwrap_or(mean), self.sd.unwrap_or(sd));
        match (sd > 0.0, sd.is_finite() && mean.is_finite()) {
            (_, false) => Err(Undefined::Overflow),
            (false, _) => Err(Undefined::NoFit),
            (true, true) => Ok((mean, sd)),
        }
    }
}
