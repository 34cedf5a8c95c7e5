//! Demo: a made-up province whose feeds can be made for any day, with incidents planted in them.
//!
//! In: a seed, a scale and the first day. Out: the records of a day in the order of their arrival, as NDJSON lines that the
//! shipped feed files read, and the truth about what was planted. Promise: a day is a function of seed, scale, first day and
//! day — not of threads, of the days made before it, or of the machine's clock. So files, a fast replay of two years and a
//! live run that goes on where the replay ended all see the same province.
//!
//! ```
//! use forewarn::source::demo::Simulation;
//! let province = Simulation::new(7, 0.01, 20_000);
//! let day = province.day(20_031);
//! let first = day.records().next().unwrap();
//! assert!(first.line.ends_with(b"\n"));
//! assert!(day.records().all(|r| r.arrived_ms >= first.arrived_ms));
//! ```
//!
//! Where to look: `province` its businesses, `calendar` and `volume` how much of what on a day, `record` what a record says,
//! `delay` when it had happened, `incident` what is planted and `plant` its records, `statistical` and `holiday`
//! what only detectors find, `spoil` bad rows, `write` files.
//! Not here: pacing a live run (`engine::demo`); judging alerts against the truth (`engine::score`).

mod acute;
mod calendar;
mod delay;
mod dice;
mod holiday;
mod in_order;
pub mod incident;
mod line;
mod plant;
mod province;
mod record;
mod sheet;
mod spoil;
mod statistical;
mod volume;
pub mod write;

use std::ops::Range;

pub use self::line::{day_of, day_start};
use self::{incident::Incident, province::Province, sheet::Sheet};

/// The feeds, named as their files in `rules/feeds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feed {
    /// 12315 orders.
    Complaints,
    /// Food samples.
    Sampling,
    /// Penalties.
    Penalties,
    /// Inspections.
    Inspections,
    /// Registrations, changes and ends of businesses.
    Registry,
    /// The list of abnormal operation.
    Abnormal,
    /// The courts' defaulters.
    Court,
    /// Accidents.
    Accidents,
    /// Recalls.
    Recalls,
    /// Commitments.
    Commitments,
    /// Adverse reactions to cosmetics.
    AdverseEvents,
}

impl Feed {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Complaints,
        Self::Sampling,
        Self::Penalties,
        Self::Inspections,
        Self::Registry,
        Self::Abnormal,
        Self::Court,
        Self::Accidents,
        Self::Recalls,
        Self::Commitments,
        Self::AdverseEvents,
    ];

    /// Its name in `rules/feeds`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Complaints => "complaints",
            Self::Sampling => "sampling",
            Self::Penalties => "penalties",
            Self::Inspections => "inspections",
            Self::Registry => "registry",
            Self::Abnormal => "abnormal",
            Self::Court => "court",
            Self::Accidents => "accidents",
            Self::Recalls => "recalls",
            Self::Commitments => "commitments",
            Self::AdverseEvents => "adverse_events",
        }
    }
}

/// A line and when it arrives.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Its feed.
    pub feed: Feed,
    /// When it reaches this system, milliseconds since 1970; the line says so too, in `received_at`.
    pub arrived_ms: i64,
    /// One line of NDJSON with its line end; a bad row may be anything.
    pub line: &'a [u8],
}

/// What the province is made of.
#[derive(Debug, Clone)]
struct World {
    seed: u64,
    scale: f64,
    first_day: i32,
    province: Province,
}

impl World {
    fn new(seed: u64, scale: f64, first_day: i32) -> Self {
        let scale = if scale.is_finite() { scale.clamp(0.0001, 100.0) } else { 1.0 };
        Self { seed, scale, first_day, province: Province::new(scale) }
    }
}

/// A province that goes on for ever from its first day.
#[derive(Debug, Clone)]
pub struct Simulation {
    world: World,
}

impl Simulation {
    /// The province of `seed`. `scale` 1 is about 2 million records a year, kept within 0.0001 and 100. Records arrive
    /// from `first_day` on (days since 1970-01-01 in Asia/Shanghai).
    #[must_use]
    pub fn new(seed: u64, scale: f64, first_day: i32) -> Self {
        Self { world: World::new(seed, scale, first_day) }
    }

    /// Everything that arrives on `day`, nothing before the first day.
    #[must_use]
    pub fn day(&self, day: i32) -> Day {
        use record::{
            arriving, complaint, list, penalty, product, reaction, registry, sample, visit,
        };
        let mut sheet = Sheet::default();
        let world = &self.world;
        if day >= world.first_day {
            let out = &mut sheet;
            arriving::<complaint::Complaint>(world, day, out);
            arriving::<sample::Sample>(world, day, out);
            arriving::<penalty::Penalty>(world, day, out);
            arriving::<visit::Visit>(world, day, out);
            arriving::<registry::Event>(world, day, out);
            arriving::<list::Abnormal>(world, day, out);
            arriving::<list::Defaulter>(world, day, out);
            arriving::<product::Accident>(world, day, out);
            arriving::<product::Recall>(world, day, out);
            arriving::<product::Commitment>(world, day, out);
            arriving::<reaction::Reaction>(world, day, out);
            plant::arriving(world, day, out);
            statistical::arriving(world, day, out);
            holiday::arriving(world, day, out);
            spoil::arriving(world, day, out);
            sheet.sort();
        }
        Day { day, sheet }
    }

    /// The days of a span, one after the other.
    pub fn days(&self, span: Range<i32>) -> impl Iterator<Item = Day> + '_ {
        span.map(|day| self.day(day))
    }

    /// What is planted and begins within a span of days, in the order of beginning.
    #[must_use]
    pub fn incidents(&self, span: Range<i32>) -> Vec<Incident> {
        incident::beginning(&self.world, span)
    }
}

/// What arrives on one day.
#[derive(Debug)]
pub struct Day {
    /// Days since 1970-01-01.
    pub day: i32,
    sheet: Sheet,
}

impl Day {
    /// The records in the order of their arrival.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        (0..self.len()).filter_map(|i| self.sheet.record(i))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sheet.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
