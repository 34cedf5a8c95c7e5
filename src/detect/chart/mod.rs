//! Chart: control charts and change detectors, which remember what came before.

mod ewma;
mod shewhart;
mod training;

pub use ewma::{Ewma, EwmaState, EwmaStep};
pub use shewhart::Shewhart;
pub use training::Training;
