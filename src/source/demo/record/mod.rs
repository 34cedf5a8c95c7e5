//! Records: one file per feed, each draws a record from its place and writes it as the feed's file expects.
//!
//! A record is a function of the world, the day of its arrival and its index in that day. What becomes of it later (sent twice,
//! corrected, withdrawn) is a function of the same place, see [`Fate`]; the later version is made from the record drawn again.

pub(super) mod complaint;
pub(super) mod list;
pub(super) mod penalty;
pub(super) mod product;
pub(super) mod reaction;
pub(super) mod registry;
pub(super) mod sample;
pub(super) mod visit;

use super::{
    Feed, World,
    dice::{Dice, place},
    line::{Line, date, digits},
    sheet::Sheet,
};

/// Parts of a dice's place.
const DRAW: u64 = 0x21;
const FATE: u64 = 0x22;

/// Where a record comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Day of its first arrival.
    pub(super) day: i32,
    /// Index in the day and feed; what incidents and bad rows add counts from [`Place::PLANTED`] and [`Place::BAD`].
    pub(super) index: u64,
}

impl Place {
    /// First index of records of incidents.
    pub(super) const PLANTED: u64 = 2_000_000;
    /// First index of bad rows.
    pub(super) const BAD: u64 = 9_000_000;

    /// The number of a document: prefix, day and index.
    #[inline]
    pub(super) fn write(self, out: &mut Vec<u8>, prefix: &str) {
        out.extend_from_slice(prefix.as_bytes());
        date(out, self.day, b"");
        digits(out, self.index, 7);
    }

    /// The number as text.
    pub(super) fn number(self, prefix: &str) -> String {
        let mut out = Vec::new();
        self.write(&mut out, prefix);
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// What every record carries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    pub(super) version: u64,
    pub(super) op: &'static str,
    pub(super) received_ms: i64,
}

impl Stamp {
    pub(super) fn first(received_ms: i64) -> Self {
        Self { version: 1, op: "insert", received_ms }
    }

    /// Writes `version`, `op` and `received_at`.
    #[inline]
    pub(super) fn write(&self, line: &mut Line<'_>) {
        line.int("version", self.version);
        line.text("op", self.op);
        line.instant("received_at", self.received_ms);
    }
}

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing.
    Rests,
    /// Its source sends it twice.
    Twice,
    /// A version 2 comes so many days later; `roll` decides what it says.
    Corrected { lag: i32, roll: u64 },
    /// It is withdrawn so many days later.
    Withdrawn { lag: i32 },
}

/// How often each fate befalls records of a feed, in a thousand, and the most days until it does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fates {
    pub(super) twice: u64,
    pub(super) corrected: u64,
    pub(super) withdrawn: u64,
    pub(super) lag_max: i32,
}

/// A record of a feed.
pub(super) trait Record: Sized {
    const FEED: Feed;
    const FATES: Fates;

    /// The record as it first arrives.
    fn draw(world: &World, dice: Dice, place: Place, fate: Fate) -> Self;
    /// Changes what its version 2 says otherwise.
    fn correct(&mut self, world: &World, dice: &mut Dice, roll: u64);
    /// What it carries.
    fn stamp(&mut self) -> &mut Stamp;
    /// Adds its line, or lines.
    fn write(&self, out: &mut Sheet);
    /// Whether a later version would still be in time.
    fn can_change(&self) -> bool {
        true
    }
    /// When version 2 of what arrived first arrives on `day`.
    fn again(dice: &mut Dice, day: i32) -> i64 {
        super::delay::batch(dice, Self::FEED, day)
    }
}

/// What becomes of the record at this place.
#[inline]
fn fate<R: Record>(world: &World, at: Place) -> Fate {
    let bits = place(world.seed, FATE << 8 | R::FEED as u64, at.day, at.index);
    let (roll, f) = (bits % 1000, R::FATES);
    let lag = 1 + ((bits >> 32) % f.lag_max as u64) as i32;
    if roll < f.twice {
        Fate::Twice
    } else if roll < f.twice + f.corrected {
        Fate::Corrected { lag, roll: (bits >> 16) & 0xffff }
    } else if roll < f.twice + f.corrected + f.withdrawn {
        Fate::Withdrawn { lag }
    } else {
        Fate::Rests
    }
}

fn dice<R: Record>(world: &World, at: Place) -> Dice {
    Dice::at(world.seed, DRAW << 8 | R::FEED as u64, at.day, at.index)
}

/// The record at this place as it first arrives, and its dice for what changes later.
pub(super) fn first<R: Record>(world: &World, at: Place) -> R {
    R::draw(world, dice::<R>(world, at), at, Fate::Rests)
}

/// Adds everything of feed `R` that arrives on `day`: the day's own records, and later versions of earlier days'.
pub(super) fn arriving<R: Record>(world: &World, day: i32, out: &mut Sheet) {
    for index in 0..super::volume::count(world, R::FEED, day) {
        let at = Place { day, index };
        let fate = fate::<R>(world, at);
        let record = R::draw(world, dice::<R>(world, at), at, fate);
        record.write(out);
        if fate == Fate::Twice {
            record.write(out);
        }
    }
    for back in 1..=R::FATES.lag_max {
        let earlier = day - back;
        if earlier < world.first_day {
            break;
        }
        for index in 0..super::volume::count(world, R::FEED, earlier) {
            let at = Place { day: earlier, index };
            match fate::<R>(world, at) {
                fate @ (Fate::Corrected { lag, .. } | Fate::Withdrawn { lag }) if lag == back => {
                    later::<R>(world, at, fate, day, out);
                }
                _ => {}
            }
        }
    }
}

/// Adds version 2 of the record at `at`, arriving on `day`.
fn later<R: Record>(world: &World, at: Place, fate: Fate, day: i32, out: &mut Sheet) {
    let mut record = R::draw(world, dice::<R>(world, at), at, fate);
    if !record.can_change() {
        return;
    }
    let mut dice = Dice::at(world.seed, FATE << 16 | R::FEED as u64, at.day, at.index);
    let op = match fate {
        Fate::Corrected { roll, .. } => {
            record.correct(world, &mut dice, roll);
            "correct"
        }
        _ => "withdraw",
    };
    *record.stamp() = Stamp { version: 2, op, received_ms: R::again(&mut dice, day) };
    record.write(out);
}
