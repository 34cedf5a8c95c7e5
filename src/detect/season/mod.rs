//! Detectors that know seasons and trends.

pub mod ets;
pub mod holt_winters;
pub mod mann_kendall;
pub mod s_h_esd;
pub mod stl;

use super::Error;

/// Largest value that is taken; its square is still far from overflow.
const VALUE_MAX: f64 = 1e15;

/// All values finite and of a size that can be squared.
fn finite(values: &[f64]) -> Result<(), Error> {
    match values.iter().position(|v| v.is_nan() || v.abs() > VALUE_MAX) {
        Some(at) => Err(Error::NotFinite { what: "value", at, value: values[at] }),
        None => Ok(()),
    }
}
