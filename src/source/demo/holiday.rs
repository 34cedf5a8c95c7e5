//! Incidents of holidays: one class of services of a county takes too much, and people write about the price.
//!
//! Each public holiday that has the same one of the year before within the history has [`EACH`] of them. They are in the days
//! off, a few before and behind them; in the same days of the year before some wrote as well. Days off for which there is no
//! notice yet have none.

use std::ops::Range;

use super::{
    Feed, World,
    dice::Dice,
    incident::{Incident, Truth},
    plant::dated,
    province::{Business, County, PREFECTURES, counties_of},
    record::{self, Place, Record as _, complaint::Complaint},
    sheet::Sheet,
    volume,
};
use crate::model::reference::calendar::{Holiday, holidays};

/// Incidents of one holiday.
const EACH: usize = 2;
/// Days around the days off that their rule counts.
const AROUND: i32 = 3;
/// First index of their records: above those of other incidents.
const FIRST_INDEX: u64 = Place::PLANTED + 700_000;
/// Their businesses are apart from those of other incidents.
const KIND: u64 = 60;
/// Orders of the year before.
const USUAL: u64 = 2;
/// What people go to on a holiday: meals, travel, journeys.
const SERVICES: [&str; 3] = ["S01", "S10", "S09"];
const TEXTS: [&str; 4] = [
    "节日期间临时涨价,比平时贵一倍",
    "结账价格与标价不一致",
    "未明码标价,结账时加收节日服务费",
    "停车场节日期间多收费",
];

/// An incident before anything is written about it.
#[derive(Debug, Clone, Copy)]
struct Planned {
    /// Number among all, of all holidays.
    slot: u64,
    now: &'static Holiday,
    before: &'static Holiday,
}

fn all(world: &World) -> impl Iterator<Item = Planned> + '_ {
    let listed = holidays();
    let of = move |(i, now): (usize, &'static Holiday)| {
        let before = listed[..i].iter().rev().find(|h| h.name == now.name)?;
        // Letters and the like begin with the history.
        let known = before.days.start - AROUND > world.first_day;
        known.then_some((i, now, before))
    };
    listed.iter().enumerate().filter_map(of).flat_map(|(i, now, before)| {
        (i * EACH..(i + 1) * EACH).map(move |slot| Planned { slot: slot as u64, now, before })
    })
}

/// The truth about those that begin within `span`.
pub(super) fn beginning(world: &World, span: Range<i32>) -> impl Iterator<Item = (i32, Incident)> {
    let planned = all(world).filter(move |p| span.contains(&p.begins()));
    planned.map(|p| (p.begins(), p.truth(world).incident("holiday_price", p.slot)))
}

/// Adds their records that arrive on `day`.
pub(super) fn arriving(world: &World, day: i32, out: &mut Sheet) {
    for planned in all(world) {
        planned.add(world, day, out);
    }
}

impl Planned {
    /// Its first day.
    fn begins(&self) -> i32 {
        self.now.days.start - 2
    }

    fn county(&self) -> &'static County {
        let counties = counties_of((self.slot as usize * 3 + 1) % PREFECTURES.len());
        &counties[self.slot as usize % counties.len()]
    }

    fn object(&self) -> &'static str {
        SERVICES[self.slot as usize % SERVICES.len()]
    }

    fn business(&self, world: &World, j: u64) -> Business {
        let number =
            world.province.businesses + 1_000_000 + (KIND * 100_000 + self.slot) * 64 + j % 64;
        Business::placed(number, self.county())
    }

    /// Its orders: a score, and three times what is usual.
    fn orders(&self, world: &World) -> u64 {
        let days = self.now.days.start - AROUND..self.now.days.end + AROUND;
        let of_all: f64 = days.map(|d| volume::expected(world, Feed::Complaints, d)).sum();
        // One in 122 counties, one complaint in ten, of which about one about a price.
        20 + (3.0 * of_all * 0.475 * 0.08 * 0.1 / 122.0) as u64
    }

    fn truth(&self, world: &World) -> Truth {
        let (county, object) = (self.county(), self.object());
        let key =
            |name, value: &str| vec![(name, value.to_owned()), ("object_code", object.to_owned())];
        let ends = self.now.days.end + AROUND;
        Truth {
            key: key("region", county.code),
            days: (self.begins(), ends + 8, ends + 18),
            title: (
                format!(
                    "{}{} {} 前后类别 {object} 价格投诉异常",
                    county.city, county.name, self.now.name
                ),
                "one class of services overcharges around a holiday",
            ),
            subjects: (0..64).map(|j| self.business(world, j).code()).collect(),
            also: vec![
                ("complaint_excess_region", key("region", county.code)),
                ("category_week_surge", key("city", &county.code[..4])),
            ],
        }
    }

    fn add(&self, world: &World, day: i32, out: &mut Sheet) {
        let n = self.orders(world);
        let length = (self.now.days.len() + 3) as u64;
        let usual = (0..USUAL).map(|k| self.before.days.start + k as i32);
        let risen = (0..n).map(|k| self.begins() + (k * length / n) as i32);
        for (k, registered) in (0..).zip(usual.chain(risen)) {
            // By letter it takes two days.
            if !(registered..registered + 3).contains(&day) {
                continue;
            }
            let place = Place { day: registered, index: FIRST_INDEX + self.slot % 128 * 1_000 + k };
            let mut order: Complaint = record::first(world, place);
            order.about(self.business(world, k), "JG", TEXTS[k as usize % TEXTS.len()]);
            order.object = self.object();
            let dice = Dice::at(world.seed, 0x44 << 8, self.slot as i32, k);
            if dated(&mut order, dice, (registered, day), k) {
                order.write(out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-01-01.
    const FIRST: i32 = 19_723;

    #[test]
    fn each_holiday_with_a_year_before_it_has_its_incidents() {
        let world = World::new(5, 1.0, FIRST);
        let of_years: Vec<(i32, Incident)> = beginning(&world, FIRST..FIRST + 731).collect();
        // Five of 2025 — New Year's Day of 2024 lies partly before the history, National Day and Mid-Autumn Festival are one —
        // and New Year's Day of 2026.
        assert_eq!(of_years.len(), 6 * EACH);
        let mut cells: Vec<_> = of_years.iter().map(|(_, i)| i.key.clone()).collect();
        cells.sort();
        cells.dedup();
        assert_eq!(cells.len(), 6 * EACH, "each in a county of its own");
    }

    #[test]
    fn its_orders_lie_around_the_days_off() {
        let world = World::new(5, 0.01, FIRST);
        let spring = all(&world).next().expect("one");
        assert_eq!(spring.now.name, "春节");
        let mut orders = 0;
        for day in FIRST..FIRST + 731 {
            let mut out = Sheet::default();
            spring.add(&world, day, &mut out);
            orders += out.len() as u64;
            let off = |days: &Range<i32>| (days.start - AROUND..days.end + AROUND).contains(&day);
            let near = off(&spring.now.days) || off(&spring.before.days);
            assert!(out.len() == 0 || near, "{day}");
        }
        assert_eq!(orders, USUAL + spring.orders(&world));
    }
}
