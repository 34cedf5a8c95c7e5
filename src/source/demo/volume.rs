//! Volume: how many records of each feed arrive on a day.
//!
//! Scale 1 is Hunan: 570,900 contacts (2025) and 272,800 samples (2021) a year, 134,300 cases in five years. Feeds without a
//! published figure (inspections, registry, lists, courts, commitments) have round numbers of the same order.

use rand_distr::{Distribution, Poisson};

use super::{Feed, World, calendar, dice::Dice};

/// Part of a dice's place.
const COUNT: u64 = 0x11;

/// Records a year at scale 1, without duplicates and corrections.
fn yearly(feed: Feed) -> f64 {
    match feed {
        Feed::Complaints => 570_900.0,
        Feed::Sampling => 272_800.0,
        Feed::Penalties => 26_860.0,
        Feed::Inspections => 180_000.0,
        Feed::Registry => 700_000.0,
        Feed::Abnormal => 60_000.0,
        Feed::Court => 45_000.0,
        Feed::Accidents => 60.0,
        Feed::Recalls => 120.0,
        Feed::Commitments => 70_000.0,
        Feed::AdverseEvents => 9_000.0,
    }
}

/// Expected number of records that arrive on `day`.
pub(super) fn expected(world: &World, feed: Feed, day: i32) -> f64 {
    let factor = match feed {
        Feed::Complaints => calendar::public_factor(day),
        Feed::Accidents => 1.0,
        _ => calendar::office_factor(day),
    };
    // Three per cent more each year.
    let growth = 1.0 + 0.03 * f64::from(day - world.first_day) / 365.25;
    yearly(feed) / 365.25 * world.scale * factor * growth.max(0.5)
}

/// Number of records that arrive on `day`: Poisson, the same whenever it is asked for.
pub(super) fn count(world: &World, feed: Feed, day: i32) -> u64 {
    let mean = expected(world, feed, day);
    let mut dice = Dice::at(world.seed, COUNT, day, feed as u64);
    Poisson::new(mean).map_or(0, |p| p.sample(&mut dice) as u64)
}
