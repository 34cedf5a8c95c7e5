//! Cluster: where, and since when, do cases lie too close together?

pub mod kulldorff;
mod place;
pub mod space_time;

pub use kulldorff::Kulldorff;
pub use place::{Metric, Place};
pub use space_time::SpaceTime;
