//! Detectors that know seasons and trends.

pub mod mann_kendall;
