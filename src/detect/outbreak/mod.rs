//! Outbreak: is the count of this week or day above what history lets expect?

mod bayes;
mod cdc;
mod ears;
mod exceedance;
mod farrington;
mod farrington_classic;
mod nowcast;
mod onset;
mod outbreakp;
mod reference;
mod rki;

pub use bayes::BayesPredictive;
pub use cdc::Cdc;
pub use ears::{C3, Ears, Method as EarsMethod};
pub use exceedance::Exceedance;
pub use farrington::{
    Details as FarringtonDetails, Farrington, Method as FarringtonMethod, MinCases, Power,
    Threshold, Trend,
};
pub use farrington_classic::{ClassicDetails, FarringtonClassic};
pub use nowcast::{CountPrior, Estimate, Nowcast, NowcastMethod, Triangle};
pub use outbreakp::OutbreakP;
pub use rki::{Rki, SMALL_MEANS};
