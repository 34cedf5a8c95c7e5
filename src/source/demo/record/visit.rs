//! Inspections: visits of the random-inspection plan and on leads.
//!
//! A plan draws without replacement: a business is on the list of one day in [`ROUND`] only, so two departments never come
//! upon it by chance within a month. Where they do, it is an incident.

use super::{Fate, Fates, Place, Record, Stamp};
use crate::source::demo::{
    Feed, World, delay,
    dice::{Dice, place as number_of},
    line::Line,
    province::Business,
    sheet::Sheet,
};

/// Days after which a business may be drawn again.
const ROUND: u64 = 97;
/// Departments that inspect, the market regulator first.
pub(in super::super) const DEPARTMENTS: [(&str, u16); 6] = [
    ("市场监督管理局", 700),
    ("应急管理局", 80),
    ("农业农村局", 60),
    ("卫生健康局", 60),
    ("文化旅游局", 40),
    ("消防救援大队", 60),
];
const RESULTS: [(&str, u16); 9] = [
    ("未发现问题", 780),
    ("发现问题经责令已改正", 80),
    ("发现问题待后续处理", 50),
    ("未按规定公示应当公示的信息", 30),
    ("违反食品药品管理相关规定", 20),
    ("通过登记的住所(经营场所)无法联系", 20),
    ("已关闭停业或正在组织清算", 10),
    ("注销", 8),
    ("违反工商行政管理相关规定", 2),
];
const METHODS: [(&str, u16); 3] = [("现场检查", 800), ("书面检查", 120), ("网络监测", 80)];
/// What is inspected, by code.
pub(in super::super) const ITEMS: [(&str, u16); 5] =
    [("SP01", 350), ("CY01", 300), ("TS01", 120), ("ZL01", 130), ("DJ01", 100)];
/// Serious refusal to cooperate, code 8.
pub(in super::super) const REFUSED: &str = "不配合检查情节严重";

/// A visit.
#[derive(Debug, Clone)]
pub(in super::super) struct Visit {
    pub(in super::super) place: Place,
    pub(in super::super) stamp: Stamp,
    pub(in super::super) business: Business,
    pub(in super::super) department: &'static str,
    pub(in super::super) item: &'static str,
    pub(in super::super) visited_on: i32,
    pub(in super::super) method: &'static str,
    pub(in super::super) result: &'static str,
    pub(in super::super) lead: bool,
}

impl Record for Visit {
    const FEED: Feed = Feed::Inspections;
    const FATES: Fates = Fates { twice: 8, corrected: 60, withdrawn: 1, lag_max: 5 };

    fn draw(world: &World, mut dice: Dice, place: Place, fate: Fate) -> Self {
        let d = &mut dice;
        let lead = d.per_mille(100);
        let business = if lead { world.province.any(d) } else { drawn(world, place) };
        // Entered by mistake, corrected within days.
        let slip = matches!(fate, Fate::Corrected { roll, .. } if roll % 2000 == 0);
        Self {
            place,
            stamp: Stamp::first(delay::batch(d, Self::FEED, place.day)),
            business,
            department: d.weighted(&DEPARTMENTS),
            visited_on: delay::decided(d, place.day, 1, 12),
            method: d.weighted(&METHODS),
            result: if slip { REFUSED } else { d.weighted(&RESULTS) },
            lead,
            item: d.weighted(&ITEMS),
        }
    }

    fn correct(&mut self, _: &World, _: &mut Dice, _: u64) {
        self.result = match self.result {
            REFUSED => "未发现问题",
            "发现问题待后续处理" => "发现问题经责令已改正",
            other => other,
        };
    }

    fn stamp(&mut self) -> &mut Stamp {
        &mut self.stamp
    }

    fn write(&self, out: &mut Sheet) {
        out.add(Feed::Inspections, self.stamp.received_ms, |bytes| self.line(bytes));
    }
}

/// The business that the plan's draw gave this place: the list of a day is a stride through those of its residue.
fn drawn(world: &World, at: Place) -> Business {
    let residue = u64::from(at.day.cast_unsigned()) % ROUND;
    let listed = (world.province.businesses - residue).div_ceil(ROUND);
    let start = number_of(world.seed, 0x31, at.day, 0) % listed;
    // Neighbouring indices take neighbouring places, so no place comes twice while the list is longer than the day.
    Business::new((start + at.index) % listed * ROUND + residue)
}

impl Visit {
    fn line(&self, bytes: &mut Vec<u8>) {
        let mut line = Line::new(bytes);
        line.with("task_id", |out| self.place.write(out, "SJ43"));
        line.with("ucc", |out| out.extend_from_slice(&self.business.ucc()));
        self.stamp.write(&mut line);
        line.with("name", |out| self.business.write_name(out));
        line.with("department", |out| {
            out.extend_from_slice(self.business.county.name.as_bytes());
            out.extend_from_slice(self.department.as_bytes());
        });
        line.text("region", self.business.county.code);
        line.text("item_code", self.item);
        line.day("visited_on", self.visited_on);
        line.text("method", self.method);
        line.int("inspectors", 2);
        line.text("result_code", self.result);
        if self.lead {
            line.with("linked_case", |out| self.place.write(out, "XS"));
        }
        line.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_drawn_twice_within_a_round() {
        let world = World::new(3, 0.01, 20_000);
        let mut seen = std::collections::HashSet::new();
        for day in 20_000..20_000 + ROUND as i32 {
            for index in 0..30 {
                assert!(seen.insert(drawn(&world, Place { day, index }).number));
            }
        }
    }
}
