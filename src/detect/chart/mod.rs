//! Chart: control charts and change detectors, which remember what came before.

mod adwin;
mod cusum;
mod ewma;
mod glr;
mod moving_level;
mod page_hinkley;
mod shewhart;
mod training;

pub use adwin::{Adwin, AdwinState};
pub use cusum::{Cusum, CusumMean, Transform};
pub use ewma::{Ewma, EwmaState, EwmaStep};
pub use glr::{Change, Glr, GlrMean, GlrStep, Shift};
pub use moving_level::{MovingLevel, MovingLevelState, Test};
pub use page_hinkley::{Direction, PageHinkley, PageHinkleyState};
pub use shewhart::Shewhart;
pub use training::Training;
