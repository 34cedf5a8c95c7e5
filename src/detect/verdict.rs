//! Verdict: a detector's answer about one period.

/// A detector's answer about one period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// There are not yet enough periods before this one.
    TooEarly,
    /// There is enough history, but the method has no answer here.
    NotDefined(Undefined),
    /// The period was judged.
    Judged(Judgement),
}

/// Why a method has no answer about a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undefined {
    /// The period itself has no value.
    NoValue,
    /// A period of the baseline has no value.
    Gap,
    /// The population behind the period, or behind its whole baseline, is zero.
    NoPopulation,
    /// The baseline does not determine the model: it did not converge, or has no period left.
    NoFit,
    /// The figures leave the range of numbers.
    Overflow,
}

/// What was expected of a period, and whether it went beyond. A figure that the method does not have is `None`; none is ever
/// NaN or infinite.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Judgement {
    /// Value expected from the baseline, in the series' unit.
    pub expected: Option<f64>,
    /// Largest value that is still ordinary, in the series' unit; more than this is an alarm.
    pub upper_bound: Option<f64>,
    /// How far out the value is; its unit is told by the detector.
    pub score: Option<f64>,
    /// Probability of a value as high as this one if nothing had changed.
    pub p_value: Option<f64>,
    /// Whether the period is out of the ordinary.
    pub alarm: bool,
}

impl Judgement {
    /// A judgement that only says yes or no.
    #[must_use]
    pub fn new(alarm: bool) -> Self {
        Self { alarm, ..Self::default() }
    }

    /// With the expected value, where it is a number.
    #[must_use]
    pub fn expected(mut self, value: f64) -> Self {
        self.expected = finite(value);
        self
    }

    /// With the upper bound, where it is a number.
    #[must_use]
    pub fn upper_bound(mut self, value: f64) -> Self {
        self.upper_bound = finite(value);
        self
    }

    /// With the score, where it is a number.
    #[must_use]
    pub fn score(mut self, value: f64) -> Self {
        self.score = finite(value);
        self
    }

    /// With the p-value, where it is a number.
    #[must_use]
    pub fn p_value(mut self, value: f64) -> Self {
        self.p_value = finite(value).map(|p| p.clamp(0.0, 1.0));
        self
    }
}

impl From<Judgement> for Verdict {
    fn from(judgement: Judgement) -> Self {
        Self::Judged(judgement)
    }
}

impl Verdict {
    /// The judgement, if the period was judged.
    #[must_use]
    pub fn judged(&self) -> Option<&Judgement> {
        match self {
            Self::Judged(judgement) => Some(judgement),
            Self::TooEarly | Self::NotDefined(_) => None,
        }
    }

    /// Whether this period is an alarm.
    #[must_use]
    pub fn alarm(&self) -> bool {
        self.judged().is_some_and(|j| j.alarm)
    }
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
