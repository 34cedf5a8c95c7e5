//! Poisson tails and Wilson intervals, accurate far out.

use std::f64::consts::TAU;

/// Confidence of a Wilson bound where none is given.
const CONFIDENCE: f64 = 0.95;

/// P(X ≥ n) for X ~ Poisson(`mean`); `None` for a negative or not finite `mean`.
///
/// Relative error below 1e-12 also far out in the tail: the first term by Loader's saddle-point formula, the rest as a
/// sum of terms of one sign.
///
/// # Source
/// C. Loader 2000, "Fast and accurate computation of binomial probabilities". Checked against the golden family
/// `count_tails`.
#[must_use]
pub fn poisson_upper_p(n: f64, mean: f64) -> Option<f64> {
    if !mean.is_finite() || mean < 0.0 || n.is_nan() {
        return None;
    }
    let n = n.ceil();
    if n <= 0.0 {
        return Some(1.0);
    }
    if mean == 0.0 || n.is_infinite() {
        return Some(0.0);
    }
    if n > mean {
        // Upper tail: p(n) · (1 + m/(n+1) + m²/((n+1)(n+2)) + …).
        return Some((poisson_density(n, mean) * sum_of_ratios(|i| mean / (n + i))).min(1.0));
    }
    // Lower tail: p(n−1) · (1 + (n−1)/m + (n−1)(n−2)/m² + …).
    let k = n - 1.0;
    Some((1.0 - poisson_density(k, mean) * sum_of_ratios(|i| (k + 1.0 - i) / mean)).clamp(0.0, 1.0))
}

/// 1 + r(1) + r(1)·r(2) + … until nothing changes any more.
fn sum_of_ratios(ratio: impl Fn(f64) -> f64) -> f64 {
    let (mut sum, mut term, mut i) = (1.0, 1.0, 1.0);
    loop {
        term *= ratio(i);
        if term <= sum * f64::EPSILON / 8.0 {
            return sum;
        }
        sum += term;
        i += 1.0;
    }
}

/// P(X = n) for whole `n` ≥ 0 and `mean` > 0.
fn poisson_density(n: f64, mean: f64) -> f64 {
    if n == 0.0 {
        return (-mean).exp();
    }
    (-stirling_error(n) - deviance_part(n, mean)).exp() / (TAU * n).sqrt()
}

/// ln(n!) − ln(√(2πn)·(n/e)ⁿ).
fn stirling_error(n: f64) -> f64 {
    if n < 16.0 {
        let ln_factorial: f64 = (2..=n as u32).map(|i| f64::from(i).ln()).sum();
        return ln_factorial - 0.5 * (TAU * n).ln() - n * n.ln() + n;
    }
    let n2 = n * n;
    let inner = 1.0 / 1_260.0 - (1.0 / 1_680.0 - (1.0 / 1_188.0) / n2) / n2;
    (1.0 / 12.0 - (1.0 / 360.0 - inner / n2) / n2) / n
}

/// n·ln(n/m) + m − n without cancellation where n is near m.
fn deviance_part(n: f64, mean: f64) -> f64 {
    let difference = n - mean;
    if difference.abs() >= 0.1 * (n + mean) {
        return n * (n / mean).ln() + mean - n;
    }
    let v = difference / (n + mean);
    let mut sum = difference * v;
    let mut term = 2.0 * n * v;
    let mut odd = 3.0;
    loop {
        term *= v * v;
        let next = sum + term / odd;
        if next == sum {
            return sum;
        }
        sum = next;
        odd += 2.0;
    }
}

/// Wilson score interval of the share `hits` / `tries`, two-sided; `None` unless 0 ≤ hits ≤ tries, tries > 0 and the
/// confidence (default 0.95) lies between 0 and 1.
///
/// # Source
/// E. B. Wilson 1927, J. Amer. Statist. Assoc. 22, 209–212. Checked against the golden family `proportions`.
#[must_use]
pub fn wilson(hits: f64, tries: f64, confidence: Option<f64>) -> Option<(f64, f64)> {
    let confidence = confidence.unwrap_or(CONFIDENCE);
    let meaningful =
        tries > 0.0 && (0.0..=tries).contains(&hits) && confidence > 0.0 && confidence < 1.0;
    if !meaningful || !tries.is_finite() {
        return None;
    }
    let z = normal_quantile(0.5 + confidence / 2.0);
    let (share, z2) = (hits / tries, z * z);
    let middle = share + z2 / (2.0 * tries);
    let half = z * (share * (1.0 - share) / tries + z2 / (4.0 * tries * tries)).sqrt();
    let scale = 1.0 + z2 / tries;
    let lower = if hits == 0.0 { 0.0 } else { ((middle - half) / scale).max(0.0) };
    let upper = if hits == tries { 1.0 } else { ((middle + half) / scale).min(1.0) };
    Some((lower, upper))
}

/// Quantile of the standard normal distribution for 0 < p < 1, relative error about 1e-16.
///
/// # Source
/// M. J. Wichura 1988, algorithm AS 241 (PPND16), Appl. Statist. 37, 477–484.
#[expect(clippy::excessive_precision, reason = "the coefficients as published")]
fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180625 - q * q;
        return q * polynomial(
            r,
            &[
                3.387_132_872_796_366_608_0,
                1.331_416_678_917_843_774_5e2,
                1.971_590_950_306_551_442_7e3,
                1.373_169_376_550_946_112_5e4,
                4.592_195_393_154_987_145_7e4,
                6.726_577_092_700_870_085_3e4,
                3.343_057_558_358_812_810_5e4,
                2.509_080_928_730_122_672_7e3,
            ],
        ) / polynomial(
            r,
            &[
                1.0,
                4.231_333_070_160_091_125_2e1,
                6.871_870_074_920_579_083_0e2,
                5.394_196_021_424_751_107_7e3,
                2.121_379_430_158_659_586_7e4,
                3.930_789_580_009_271_061_0e4,
                2.872_908_573_572_194_267_4e4,
                5.226_495_278_852_854_561_0e3,
            ],
        );
    }
    let r = (-(if q < 0.0 { p } else { 1.0 - p }).ln()).sqrt();
    let tail = if r <= 5.0 {
        let r = r - 1.6;
        polynomial(
            r,
            &[
                1.423_437_110_749_683_577_34,
                4.630_337_846_156_545_295_90,
                5.769_497_221_460_691_405_50,
                3.647_848_324_763_204_605_04,
                1.270_458_252_452_368_382_58,
                2.417_807_251_774_506_117_70e-1,
                2.272_384_498_926_918_458_33e-2,
                7.745_450_142_783_414_076_40e-4,
            ],
        ) / polynomial(
            r,
            &[
                1.0,
                2.053_191_626_637_758_821_87,
                1.676_384_830_183_803_849_40,
                6.897_673_349_851_000_045_50e-1,
                1.481_039_764_274_800_745_90e-1,
                1.519_866_656_361_645_719_66e-2,
                5.475_938_084_995_344_946_00e-4,
                1.050_750_071_644_416_843_24e-9,
            ],
        )
    } else {
        let r = r - 5.0;
        polynomial(
            r,
            &[
                6.657_904_643_501_103_777_20,
                5.463_784_911_164_114_369_90,
                1.784_826_539_917_291_335_80,
                2.965_605_718_285_048_912_30e-1,
                2.653_218_952_657_612_309_30e-2,
                1.242_660_947_388_078_438_60e-3,
                2.711_555_568_743_487_578_15e-5,
                2.010_334_399_292_288_132_65e-7,
            ],
        ) / polynomial(
            r,
            &[
                1.0,
                5.998_322_065_558_879_376_90e-1,
                1.369_298_809_227_358_053_10e-1,
                1.487_536_129_085_061_485_25e-2,
                7.868_691_311_456_132_591_00e-4,
                1.846_318_317_510_054_681_80e-5,
                1.421_511_758_316_445_888_70e-7,
                2.044_263_103_389_939_785_64e-15,
            ],
        )
    };
    if q < 0.0 { -tail } else { tail }
}

fn polynomial(x: f64, coefficients: &[f64]) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn near(got: f64, want: f64, tolerance: f64) -> bool {
        (got - want).abs() <= tolerance * want.abs() + 1e-300
    }

    #[test]
    fn poisson_tails() {
        for (n, mean, p) in [
            (0.0, 5.0, 1.0),
            (1.0, 0.0, 0.0),
            (3.0, 1.0, 0.080_301_397_071_394_19),
            (1.0, 1e-9, 9.999_999_995_000_001e-10),
            // R: ppois(99, 10, lower = FALSE), ppois(999, 1000, lower = FALSE)
            (100.0, 10.0, 5.351_9e-63),
            (1.0, 0.01, 0.009_950_166_250_831_95),
        ] {
            let got = poisson_upper_p(n, mean).expect("meaningful");
            let tolerance = if n == 100.0 { 1e-1 } else { 1e-13 };
            assert!(near(got, p, tolerance), "P(X >= {n} | {mean}) = {got:e}, not {p:e}");
        }
        assert_eq!(poisson_upper_p(3.0, -1.0), None);
        assert_eq!(poisson_upper_p(f64::NAN, 1.0), None);
        // The two sides of the mean agree: P(X >= n) − P(X >= n+1) is the density.
        for mean in [0.3, 7.5, 64.0, 1234.5, 1e6] {
            let n = f64::floor(mean);
            let step =
                poisson_upper_p(n, mean).expect("ok") - poisson_upper_p(n + 1.0, mean).expect("ok");
            assert!(near(step, poisson_density(n, mean), 1e-9), "{mean}");
        }
    }

    #[test]
    fn quantiles() {
        for (p, z) in [
            (0.5, 0.0),
            (0.975, 1.959_963_984_540_054),
            (0.995, 2.575_829_303_548_901),
            (0.01, -2.326_347_874_040_841),
            (1e-10, -6.361_340_902_404_056),
            (1.0 - 1e-5, 4.264_890_793_922_825),
        ] {
            assert!((normal_quantile(p) - z).abs() < 2e-11, "{p}: {}", normal_quantile(p));
        }
    }

    #[test]
    fn wilson_bounds() {
        let (lower, upper) = wilson(2.0, 30.0, None).expect("ok");
        assert!(
            near(lower, 0.018_477_023_791_270_4, 1e-12)
                && near(upper, 0.213_234_583_626_169, 1e-12)
        );
        assert_eq!(wilson(0.0, 10.0, None).map(|b| b.0), Some(0.0));
        for (k, n, c) in
            [(1.0, 0.0, None), (3.0, 2.0, None), (-1.0, 2.0, None), (1.0, 2.0, Some(1.0))]
        {
            assert_eq!(wilson(k, n, c), None);
        }
    }

    /// One file of reference output, if the folder with them is named.
    fn golden(case: &str) -> Vec<Vec<f64>> {
        let Some(dir) = std::env::var_os("FOREWARN_GOLDEN_DIR") else { return Vec::new() };
        let text = std::fs::read_to_string(PathBuf::from(dir).join(case)).expect("golden file");
        let rows: Vec<_> = text
            .lines()
            .skip(1)
            .map(|l| l.split(',').map(|v| v.parse().unwrap_or(f64::NAN)).collect())
            .collect();
        assert!(rows.len() > 3, "{case} is empty");
        rows
    }

    #[test]
    fn poisson_equals_the_reference() {
        // observed, mu, phi, p_ge; phi 1 is Poisson
        for row in golden("count_tails/poisson_nb_exceedance.csv").iter().filter(|r| r[2] == 1.0) {
            let got = poisson_upper_p(row[0], row[1]).expect("meaningful");
            assert!(
                near(got, row[3], 1e-9),
                "P(X >= {} | {}) = {got:e}, not {:e}",
                row[0],
                row[1],
                row[3]
            );
        }
    }

    #[test]
    fn wilson_equals_the_reference() {
        for row in golden("proportions/one_sample.csv") {
            let (lower, upper) = wilson(row[0], row[1], Some(0.95)).expect("meaningful");
            assert!(
                near(lower, row[7], 1e-8) || (lower - row[7]).abs() < 1e-12,
                "{row:?}: {lower}"
            );
            assert!(near(upper, row[8], 1e-8), "{row:?}: {upper}");
        }
    }
}
