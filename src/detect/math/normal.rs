//! The standard normal distribution.
//!
//! erfc is that of `libm`, exact to the last digit; `statrs` gives it to 5e-12 only, and its quantile with it.

use std::f64::consts::FRAC_1_SQRT_2;

use libm::erfc;

/// P(Z > z), accurate far out.
#[must_use]
pub fn upper(z: f64) -> f64 {
    0.5 * erfc(z * FRAC_1_SQRT_2)
}

/// P(Z ≤ z).
#[must_use]
pub fn cdf(z: f64) -> f64 {
    upper(-z)
}

/// The value exceeded with probability `alpha`, 0 < `alpha` < 1; exact also for tiny `alpha`, where 1 − `alpha` would round.
#[must_use]
pub fn upper_quantile(alpha: f64) -> f64 {
    -quantile(alpha)
}

/// Quantile of the standard normal distribution for 0 < p < 1, relative error about 1e-16.
///
/// # Source
/// M. J. Wichura 1988, algorithm AS 241 (PPND16), Appl. Statist. 37, 477–484.
#[expect(clippy::excessive_precision, reason = "the coefficients as published")]
#[must_use]
pub fn quantile(p: f64) -> f64 {
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
    use super::*;

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
            assert!((quantile(p) - z).abs() < 2e-11, "{p}: {}", quantile(p));
        }
    }

    #[test]
    fn tails_and_quantiles_undo_each_other() {
        for exponent in 1..300 {
            let p = 10f64.powi(-exponent);
            let back = upper(upper_quantile(p));
            assert!((back / p - 1.0).abs() < 1e-12, "{p:e}: {back:e}");
        }
        assert_eq!((cdf(0.0), upper(f64::INFINITY), cdf(f64::INFINITY)), (0.5, 0.0, 1.0));
    }
}
