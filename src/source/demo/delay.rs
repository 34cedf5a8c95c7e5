//! Delay: when what arrived on a day had happened.
//!
//! Records are made by the day of their arrival and dated back, so a day can be made without the days before it.

use super::{
    Feed,
    dice::Dice,
    line::{day_of, day_start},
};
use crate::model::{
    reference::calendar,
    time::{DAY_MS, MINUTE_MS, SECOND_MS},
};

/// The public's hours: share of each hour of the day, in a thousand.
const HOURS: [(u8, u16); 24] = [
    (0, 12),
    (1, 7),
    (2, 4),
    (3, 3),
    (4, 3),
    (5, 5),
    (6, 10),
    (7, 22),
    (8, 52),
    (9, 84),
    (10, 92),
    (11, 78),
    (12, 56),
    (13, 58),
    (14, 74),
    (15, 78),
    (16, 74),
    (17, 60),
    (18, 48),
    (19, 48),
    (20, 48),
    (21, 40),
    (22, 28),
    (23, 16),
];

/// An arrival and the instant it was registered, both milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// When it reached this system.
    pub(super) received_ms: i64,
    /// When the authority knew.
    pub(super) registered_ms: i64,
}

/// An instant of `day` at the public's hours.
pub(super) fn hour_of_public(dice: &mut Dice, day: i32) -> i64 {
    let hour = dice.weighted(&HOURS);
    day_start(day) + i64::from(hour) * 60 * MINUTE_MS + dice.below(3600) as i64 * SECOND_MS
}

/// An online order: minutes.
pub(super) fn online(dice: &mut Dice, day: i32) -> Times {
    let received_ms = hour_of_public(dice, day);
    let back = (20 + dice.below(1180)) as i64 * SECOND_MS;
    Times { received_ms, registered_ms: received_ms - back }
}

/// A letter or a transfer from another office: one to five days, in office hours.
pub(super) fn letter(dice: &mut Dice, day: i32) -> Times {
    let of_day = |dice: &mut Dice| i64::from(dice.within(8 * 60, 17 * 60)) * MINUTE_MS;
    let received_ms = day_start(day) + of_day(dice);
    let registered_ms = day_start(day - dice.within(1, 5)) + of_day(dice);
    Times { received_ms, registered_ms }
}

/// A file of a day's records: each feed's comes in one minute of its own, from six in the morning on.
pub(super) fn batch(dice: &mut Dice, feed: Feed, day: i32) -> i64 {
    let minute = 6 * 60 + 4 * feed as i64;
    day_start(day) + minute * MINUTE_MS + dice.below(60) as i64 * SECOND_MS
}

/// The working day on which an office decided what arrived on `day`, `from` to `to` days earlier.
pub(super) fn decided(dice: &mut Dice, day: i32, from: i32, to: i32) -> i32 {
    calendar::workday_on_or_before(day - dice.within(from, to))
}

/// Days between two instants, rounded down.
pub(super) fn days_between(from_ms: i64, to_ms: i64) -> i32 {
    ((to_ms - from_ms) / DAY_MS) as i32
}

/// The day before that of `ms` by up to `most` days, most often by few: when a purchase or a breach happened.
pub(super) fn some_time_before(dice: &mut Dice, ms: i64, most: u64) -> i32 {
    let u = dice.unit();
    day_of(ms) - (u * u * u * most as f64) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrives_on_a_day_was_registered_before_and_not_too_long() {
        assert_eq!(HOURS.iter().map(|(_, w)| w).sum::<u16>(), 1000);
        for i in 0..2000 {
            let mut dice = Dice::at(1, 2, 3, i);
            let day = 20_500 + i as i32 % 7;
            for (times, most) in [(online(&mut dice, day), 1), (letter(&mut dice, day), 6)] {
                assert_eq!(day_of(times.received_ms), day);
                let days = days_between(times.registered_ms, times.received_ms);
                assert!(times.registered_ms < times.received_ms && days < most, "{days}");
            }
        }
    }
}
