//! Season: methods that take a season and a level out of a series first, and trends.

pub mod ets;
pub mod holt_winters;
pub mod mann_kendall;
pub mod s_h_esd;
pub mod stl;

pub use ets::Ets;
pub use holt_winters::HoltWinters;
pub use mann_kendall::MannKendall;
pub use s_h_esd::SHEsd;
pub use stl::Stl;

use super::{Error, parameter};

/// Largest value that is taken; its square is still far from overflow.
const VALUE_MAX: f64 = 1e15;

/// The season's length: as set, else the series' periods in a year; 2 to 1,000.
fn period_of(set: Option<usize>, periods_per_year: usize) -> Result<usize, Error> {
    let period = set.unwrap_or(periods_per_year);
    parameter("period", period as f64, (2..=1_000).contains(&period), "2 to 1,000")?;
    Ok(period)
}

/// All values finite and of a size that can be squared.
fn finite(values: &[f64]) -> Result<(), Error> {
    match values.iter().position(|v| v.is_nan() || v.abs() > VALUE_MAX) {
        Some(at) => {
            Err(Error::Value { what: "value", at, value: values[at], range: "a finite number" })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::detect::{Series, SeriesDetector};

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            6 => (-20..60_i32).prop_map(f64::from),
            2 => Just(0.0),
            1 => Just(f64::NAN),
            1 => prop_oneof![Just(1e15), Just(-9e15), Just(1e300), Just(f64::INFINITY)],
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn any_series_gives_verdicts_or_an_error(
            values in prop::collection::vec(value(), 0..40),
            from in 0..40_usize,
            length in 0..10_usize,
        ) {
            let period = Some(4);
            let detectors: [Box<dyn SeriesDetector>; 6] = [
                Box::new(Ets { trend: true, period, ..Default::default() }),
                Box::new(HoltWinters { period, ..Default::default() }),
                Box::new(HoltWinters { gamma: holt_winters::Weight::Off, ..Default::default() }),
                Box::new(MannKendall { window: 8, ..Default::default() }),
                Box::new(SHEsd { period, ..Default::default() }),
                Box::new(Stl { period, ..Default::default() }),
            ];
            for detector in detectors {
                if let Ok(verdicts) = detector.evaluate(&Series::new(&values), from..from + length) {
                    prop_assert_eq!(verdicts.len(), length, "{:?}", detector);
                    for judged in verdicts.iter().filter_map(|v| v.judged()) {
                        let figures = [judged.expected, judged.upper_bound, judged.score, judged.p_value];
                        prop_assert!(figures.iter().flatten().all(|f| f.is_finite()));
                    }
                }
            }
        }
    }
}
