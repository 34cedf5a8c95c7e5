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
