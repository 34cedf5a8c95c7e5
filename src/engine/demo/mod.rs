//! Demo: the simulated province as a source of the live engine — its history as fast as it goes, then at a pace.
//!
//! In: a [`Simulation`], and how far the log has it already. Out: deliveries to the engine, each with the time at which it
//! arrived in the province, and the engine's simulated clock moved along. Promise: what is delivered, in which order and with
//! which times, is a function of the simulation — not of the speed, of the machine, or of where an earlier run was stopped;
//! so a seed repeats exactly, and a run that goes on gives what an uninterrupted one would.
//! Where to look: `parcel` bundles records, `feeder` delivers them, `report` holds what was found against what was planted.

mod feeder;
mod parcel;
pub mod report;

pub use feeder::Feeder;

use crate::{feed::FeedSpec, model::time::DAY_MS};

/// Where the province's records come from, as partitions are named.
pub const PARTITION: &str = "demo";
/// A partition of the province is silent after so long at the least.
const IDLE_AFTER_MS: i64 = 2 * DAY_MS;

/// Lets feeds be silent for longer: offices send once a day, and in the demo days go by in seconds.
pub fn be_patient(specs: &mut [FeedSpec]) {
    for spec in specs {
        spec.idle_after_ms = spec.idle_after_ms.max(IDLE_AFTER_MS);
    }
}

#[cfg(doc)]
use crate::source::demo::Simulation;
