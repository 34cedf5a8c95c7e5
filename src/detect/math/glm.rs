//! Regression of counts with a log link: iteratively reweighted least squares for Poisson and negative binomial.
//!
//! Rows of a design have few entries that are not zero, so a season of ten levels costs as much as one. Normal equations by
//! Cholesky: the designs here are small and their columns of like size; a column that the others make up is left out.
//! [`Stop::R`] stops where R's `glm` does and keeps the weights of the iterate before the last, as it does; otherwise it is
//! Fisher's scoring, which needs no logarithm of a count, from a start that may be a fit to the same rows.

/// Iterations at most.
const ITERATIONS: usize = 25;
/// R's `glm.control(epsilon)`.
const EPSILON_R: f64 = 1e-8;
/// Where a fit is done: a step promises the likelihood no more than this, so the next one would be its square.
const EPSILON: f64 = 1e-9;
/// A column whose rest after the others is below this share of itself is made up of them.
const ALIASED: f64 = 1e-13;

/// A design matrix with the same number of entries in each row.
#[derive(Debug, Clone, Default)]
pub struct Design {
    columns: usize,
    width: usize,
    entries: Vec<(usize, f64)>,
}

/// One row: column and value of its entries.
pub type Row = [(usize, f64)];

impl Design {
    /// An empty design of `columns`, `width` of them filled in a row.
    #[must_use]
    pub fn new(columns: usize, width: usize) -> Self {
        Self { columns, width, entries: Vec::new() }
    }

    /// Appends a row of `width` entries.
    pub fn push(&mut self, row: &Row) {
        debug_assert_eq!(row.len(), self.width, "rows have one width");
        self.entries.extend_from_slice(row);
    }

    /// The rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.entries.chunks(self.width)
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len() / self.width.max(1)
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// What is fitted to: one count a row, and perhaps the logarithm of an exposure and a prior weight.
#[derive(Debug, Clone, Copy)]
pub struct Response<'a> {
    /// Counts, shape `[rows]`.
    pub counts: &'a [f64],
    /// Added to the linear predictor, shape `[rows]`.
    pub offset: Option<&'a [f64]>,
    /// Prior weights, shape `[rows]`.
    pub weights: Option<&'a [f64]>,
    /// Variance μ + α·μ²; 0 is Poisson.
    pub alpha: f64,
}

/// When to stop, and which iterate the weights are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// At the maximum; weights of the last iterate.
    Converged,
    /// As R's `glm.fit`; weights of the iterate before the last.
    R,
}

/// A fitted regression.
#[derive(Debug, Clone)]
pub struct Fit {
    /// Coefficients, shape `[columns]`; 0 for a column that the others make up.
    pub coefficients: Vec<f64>,
    /// Fitted means, shape `[rows]`.
    pub means: Vec<f64>,
    /// Working weights, shape `[rows]`.
    pub weights: Vec<f64>,
    /// Columns that count.
    pub rank: usize,
    /// Whether the iteration came to rest.
    pub converged: bool,
    factor: Cholesky,
}

impl Fit {
    /// Fits; `None` for no row, or where the iteration leaves the range of numbers.
    #[must_use]
    pub fn new(design: &Design, response: &Response<'_>, stop: Stop) -> Option<Self> {
        if design.is_empty() {
            return None;
        }
        match stop {
            Stop::R => Self::as_r(design, response),
            Stop::Converged => {
                let (start, _) = weighted_squares(design, response, &starting_means(response));
                Self::scored(design, response, start)
            }
        }
    }

    /// Fits to the maximum from `start`, one coefficient a column; `None` as [`Self::new`].
    #[must_use]
    pub fn from_start(design: &Design, response: &Response<'_>, start: &[f64]) -> Option<Self> {
        if design.is_empty() { None } else { Self::scored(design, response, start.to_vec()) }
    }

    /// Fisher's scoring.
    fn scored(
        design: &Design,
        response: &Response<'_>,
        mut coefficients: Vec<f64>,
    ) -> Option<Self> {
        let mut means = vec![0.0; design.len()];
        let mut weights = means.clone();
        let mut system = Cholesky::new(design.columns);
        let mut converged = false;
        for last in 0..=ITERATIONS {
            system.clear();
            let mut score = vec![0.0; design.columns];
            for (i, row) in design.rows().enumerate() {
                let eta = response.offset.map_or(0.0, |o| o[i]) + dot(row, &coefficients);
                let mean = eta.exp().max(f64::EPSILON);
                let prior = response.weights.map_or(1.0, |w| w[i]);
                let share = prior / (1.0 + response.alpha * mean);
                (means[i], weights[i]) = (mean, share * mean);
                system.add(row, share * mean);
                let part = share * (response.counts[i] - mean);
                for (column, value) in row {
                    score[*column] += part * value;
                }
            }
            system.factorise();
            if converged || last == ITERATIONS {
                break;
            }
            let step = system.solve(score.clone());
            let gain: f64 = step.iter().zip(&score).map(|(a, b)| a * b).sum();
            if !gain.is_finite() {
                return None;
            }
            coefficients.iter_mut().zip(&step).for_each(|(c, s)| *c += s);
            converged = gain < EPSILON;
        }
        let sound = means.iter().all(|m| m.is_finite());
        let rank = system.rank();
        let fit = Self { coefficients, means, weights, rank, converged, factor: system };
        sound.then_some(fit)
    }

    /// R's `glm.fit`.
    fn as_r(design: &Design, response: &Response<'_>) -> Option<Self> {
        let mut means = starting_means(response);
        let mut before = deviance(response, &means);
        let mut fit = None;
        for _ in 0..ITERATIONS {
            let (coefficients, (weights, factor)) = weighted_squares(design, response, &means);
            for (i, row) in design.rows().enumerate() {
                let eta = response.offset.map_or(0.0, |o| o[i]) + dot(row, &coefficients);
                means[i] = eta.exp().max(f64::EPSILON);
            }
            let now = deviance(response, &means);
            if !now.is_finite() {
                return None;
            }
            let converged = (now - before).abs() / (now.abs() + 0.1) < EPSILON_R;
            before = now;
            fit = Some((coefficients, weights, factor, converged));
            if converged {
                break;
            }
        }
        let (coefficients, weights, factor, converged) = fit?;
        let rank = factor.rank();
        Some(Self { coefficients, means, weights, rank, converged, factor })
    }

    /// The linear predictor at a row, without offset.
    #[must_use]
    pub fn predictor(&self, row: &Row) -> f64 {
        dot(row, &self.coefficients)
    }

    /// x'(X'WX)⁻¹x: the variance of the linear predictor at a row, for dispersion 1.
    #[must_use]
    pub fn variance(&self, row: &Row) -> f64 {
        self.factor.quadratic(row)
    }

    /// Leverage of each row, shape `[rows]`.
    #[must_use]
    pub fn leverages(&self, design: &Design) -> Vec<f64> {
        let (inverse, n) = (self.factor.inverse(), self.factor.size);
        let variance = |row: &Row| -> f64 {
            let terms = |(a, x): &(usize, f64)| {
                row.iter().map(|(b, y)| x * y * inverse[a * n + b]).sum::<f64>()
            };
            row.iter().map(terms).sum()
        };
        let rows = design.rows().zip(&self.weights);
        rows.map(|(row, weight)| weight * variance(row)).collect()
    }

    /// Σ weight·((y − μ)/μ)² over the degrees of freedom left; `None` where none is.
    #[must_use]
    pub fn dispersion(&self, counts: &[f64], weights: &[f64]) -> Option<f64> {
        let freedom = counts.len().checked_sub(self.rank).filter(|f| *f > 0)?;
        let terms = counts.iter().zip(&self.means).zip(weights);
        let sum: f64 = terms.map(|((y, m), w)| w * ((y - m) / m) * ((y - m) / m)).sum();
        Some(sum / freedom as f64)
    }
}

/// Where R starts; its last iterate depends on it.
fn starting_means(response: &Response<'_>) -> Vec<f64> {
    let start = |y: &f64| match response.alpha {
        0.0 => y + 0.1,
        _ if *y == 0.0 => 1.0 / 6.0,
        _ => *y,
    };
    response.counts.iter().map(start).collect()
}

/// One step of iteratively reweighted least squares: the coefficients, and the weights and matrix they came from.
fn weighted_squares(
    design: &Design,
    response: &Response<'_>,
    means: &[f64],
) -> (Vec<f64>, (Vec<f64>, Cholesky)) {
    let mut system = Cholesky::new(design.columns);
    let mut right = vec![0.0; design.columns];
    let mut weights = Vec::with_capacity(design.len());
    for (i, row) in design.rows().enumerate() {
        let (count, mean) = (response.counts[i], means[i]);
        let prior = response.weights.map_or(1.0, |w| w[i]);
        let weight = prior * mean / (1.0 + response.alpha * mean);
        let offset = response.offset.map_or(0.0, |o| o[i]);
        let working = mean.ln() - offset + (count - mean) / mean;
        weights.push(weight);
        system.add(row, weight);
        for (column, value) in row {
            right[*column] += weight * value * working;
        }
    }
    system.factorise();
    (system.solve(right), (weights, system))
}

/// Deviance of Poisson or negative binomial, with prior weights.
fn deviance(response: &Response<'_>, means: &[f64]) -> f64 {
    let alpha = response.alpha;
    let terms = response.counts.iter().zip(means).enumerate();
    let sum: f64 = terms
        .map(|(i, (&y, &m))| {
            let logs = if y > 0.0 { y * (y / m).ln() } else { 0.0 };
            let rest = if alpha == 0.0 {
                y - m
            } else {
                (y + 1.0 / alpha) * ((1.0 + alpha * y) / (1.0 + alpha * m)).ln()
            };
            response.weights.map_or(1.0, |w| w[i]) * (logs - rest)
        })
        .sum();
    2.0 * sum
}

fn dot(row: &Row, coefficients: &[f64]) -> f64 {
    row.iter().map(|(column, value)| value * coefficients[*column]).sum()
}

/// X'WX, then its lower triangular factor; row-major.
#[derive(Debug, Clone)]
struct Cholesky {
    size: usize,
    matrix: Vec<f64>,
    aliased: Vec<bool>,
}

impl Cholesky {
    fn new(size: usize) -> Self {
        Self { size, matrix: vec![0.0; size * size], aliased: vec![false; size] }
    }

    /// All zero again.
    fn clear(&mut self) {
        self.matrix.fill(0.0);
    }

    /// Columns that count.
    fn rank(&self) -> usize {
        self.aliased.iter().filter(|a| !**a).count()
    }

    /// (X'WX)⁻¹, row-major; 0 in aliased columns.
    fn inverse(&self) -> Vec<f64> {
        let n = self.size;
        let mut inverse = Vec::with_capacity(n * n);
        for column in 0..n {
            let mut unit = vec![0.0; n];
            unit[column] = 1.0;
            inverse.extend(self.solve(unit));
        }
        inverse
    }

    /// Adds weight·x·x'.
    fn add(&mut self, row: &Row, weight: f64) {
        for (a, x) in row {
            for (b, y) in row {
                if b <= a {
                    self.matrix[a * self.size + b] += weight * x * y;
                }
            }
        }
    }

    fn factorise(&mut self) {
        let n = self.size;
        for j in 0..n {
            let own = self.matrix[j * n + j];
            let used: f64 = (0..j).map(|k| self.matrix[j * n + k] * self.matrix[j * n + k]).sum();
            let rest = own - used;
            self.aliased[j] = rest.is_nan() || rest <= ALIASED * own || own <= 0.0;
            let pivot = if self.aliased[j] { 1.0 } else { rest.sqrt() };
            self.matrix[j * n + j] = pivot;
            for i in j + 1..n {
                let used: f64 =
                    (0..j).map(|k| self.matrix[i * n + k] * self.matrix[j * n + k]).sum();
                let rest = (self.matrix[i * n + j] - used) / pivot;
                self.matrix[i * n + j] = if self.aliased[j] { 0.0 } else { rest };
            }
            if self.aliased[j] {
                self.matrix[j * n..j * n + j].fill(0.0);
            }
        }
    }

    /// L⁻¹·x, in place; 0 in aliased columns.
    fn forward(&self, x: &mut [f64]) {
        let n = self.size;
        for i in 0..n {
            let used: f64 = (0..i).map(|k| self.matrix[i * n + k] * x[k]).sum();
            x[i] = if self.aliased[i] { 0.0 } else { (x[i] - used) / self.matrix[i * n + i] };
        }
    }

    fn solve(&self, mut x: Vec<f64>) -> Vec<f64> {
        let n = self.size;
        self.forward(&mut x);
        for i in (0..n).rev() {
            let used: f64 = (i + 1..n).map(|k| self.matrix[k * n + i] * x[k]).sum();
            x[i] = if self.aliased[i] { 0.0 } else { (x[i] - used) / self.matrix[i * n + i] };
        }
        x
    }

    fn quadratic(&self, row: &Row) -> f64 {
        let mut x = vec![0.0; self.size];
        for (column, value) in row {
            x[*column] += value;
        }
        self.forward(&mut x);
        x.iter().map(|v| v * v).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(xs: &[f64]) -> Design {
        let mut design = Design::new(2, 2);
        xs.iter().for_each(|x| design.push(&[(0, 1.0), (1, *x)]));
        design
    }

    fn poisson(counts: &[f64]) -> Response<'_> {
        Response { counts, offset: None, weights: None, alpha: 0.0 }
    }

    #[test]
    fn fitted_means_keep_the_sums_of_the_counts() {
        // The score equations of the canonical link.
        let (xs, counts) = ([-2.0, -1.0, 0.0, 1.0, 2.0], [1.0, 0.0, 4.0, 6.0, 14.0]);
        let fit = Fit::new(&line(&xs), &poisson(&counts), Stop::Converged).expect("fits");
        let moment = |values: &[f64]| values.iter().zip(xs).map(|(v, x)| v * x).sum::<f64>();
        assert!(fit.converged && fit.rank == 2);
        assert!((fit.means.iter().sum::<f64>() - 25.0).abs() < 1e-9);
        assert!((moment(&fit.means) - moment(&counts)).abs() < 1e-9);
        let leverage: f64 = fit.leverages(&line(&xs)).iter().sum();
        assert!((leverage - 2.0).abs() < 1e-12, "leverages sum to the rank");
    }

    #[test]
    fn a_column_made_up_of_others_is_left_out() {
        let counts = [3.0, 4.0, 5.0];
        let fit = Fit::new(&line(&[1.0; 3]), &poisson(&counts), Stop::R).expect("fits");
        assert_eq!((fit.rank, fit.coefficients[1]), (1, 0.0));
        assert!((fit.means[0] - 4.0).abs() < 1e-9);
    }

    #[test]
    fn zeros_only_and_no_rows() {
        let fit = Fit::new(&line(&[0.0, 1.0, 2.0]), &poisson(&[0.0; 3]), Stop::R).expect("fits");
        assert!(fit.means.iter().all(|m| *m < 1e-3));
        assert!(Fit::new(&line(&[]), &poisson(&[]), Stop::R).is_none());
    }

    #[test]
    fn an_exposure_is_divided_out() {
        let (counts, offset) = ([10.0, 20.0, 40.0], [1f64.ln(), 2f64.ln(), 4f64.ln()]);
        let mut design = Design::new(1, 1);
        (0..3).for_each(|_| design.push(&[(0, 1.0)]));
        let response = Response { offset: Some(&offset), ..poisson(&counts) };
        let fit = Fit::new(&design, &response, Stop::Converged).expect("fits");
        assert!((fit.coefficients[0].exp() - 10.0).abs() < 1e-9);
    }
}
