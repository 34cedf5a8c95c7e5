//! Detectors that look for clusters in space and time.

pub mod kulldorff;
mod place;
pub mod space_time;

pub use place::{Metric, Place};
