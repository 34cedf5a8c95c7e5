//! Entries of lists: abnormal operation and serious defaults, and the courts' defaulters.

use super::{Fate, Fates, Place, Record, Stamp};
use crate::source::demo::{
    Feed, World, delay,
    dice::Dice,
    line::{Line, day_of},
    province::Business,
    sheet::Sheet,
};

/// Nobody could be reached.
pub(in super::super) const UNREACHABLE: &str = "通过登记的住所或者经营场所无法联系";
const REASONS: [(&str, u16); 4] = [
    ("未在规定期限内公示年度报告", 550),
    (UNREACHABLE, 400),
    ("公示信息隐瞒真实情况、弄虚作假", 30),
    ("未在责令期限内公示有关企业信息", 20),
];

/// An entry of the list of abnormal operation; its correction removes it.
#[derive(Debug, Clone)]
pub(in super::super) struct Abnormal {
    pub(in super::super) stamp: Stamp,
    pub(in super::super) business: Business,
    pub(in super::super) reason: &'static str,
    pub(in super::super) decided_on: i32,
    removed: bool,
}

impl Record for Abnormal {
    const FEED: Feed = Feed::Abnormal;
    const FATES: Fates = Fates { twice: 5, corrected: 100, withdrawn: 3, lag_max: 5 };

    fn draw(world: &World, mut dice: Dice, place: Place, _: Fate) -> Self {
        let d = &mut dice;
        Self {
            stamp: Stamp::first(delay::batch(d, Self::FEED, place.day)),
            business: world.province.any(d),
            reason: d.weighted(&REASONS),
            decided_on: delay::decided(d, place.day, 1, 1),
            removed: false,
        }
    }

    fn correct(&mut self, _: &World, _: &mut Dice, _: u64) {
        self.removed = true;
    }

    /// What was decided before a long holiday is not corrected after it could only be late.
    fn can_change(&self) -> bool {
        day_of(self.stamp.received_ms) - self.decided_on <= 4
    }

    fn stamp(&mut self) -> &mut Stamp {
        &mut self.stamp
    }

    fn write(&self, out: &mut Sheet) {
        out.add(Feed::Abnormal, self.stamp.received_ms, |bytes| {
            let mut line = Line::new(bytes);
            line.text("list", "经营异常名录");
            line.with("ucc", |out| out.extend_from_slice(&self.business.ucc()));
            line.text("reason_code", self.reason);
            line.day("decided_on", self.decided_on);
            self.stamp.write(&mut line);
            line.with("name", |out| self.business.write_name(out));
            line.text("region", self.business.county.code);
            if self.removed {
                line.day("removed_on", day_of(self.stamp.received_ms));
                line.text("removal_reason", "已补报并公示");
            }
            line.end();
        });
    }
}

/// An entry of the courts' list of defaulters; once the debt is paid it is withdrawn.
#[derive(Debug, Clone)]
pub(in super::super) struct Defaulter {
    place: Place,
    stamp: Stamp,
    business: Business,
    published_on: i32,
    filed_on: i32,
    amount_fen: u64,
}

impl Record for Defaulter {
    const FEED: Feed = Feed::Court;
    const FATES: Fates = Fates { twice: 5, corrected: 5, withdrawn: 20, lag_max: 20 };

    fn draw(world: &World, mut dice: Dice, place: Place, _: Fate) -> Self {
        let d = &mut dice;
        let published_on = place.day - d.within(1, 7);
        Self {
            place,
            stamp: Stamp::first(delay::batch(d, Self::FEED, place.day)),
            business: world.province.any(d),
            published_on,
            filed_on: published_on - d.within(30, 300),
            amount_fen: (10_000 + d.below(5_000_000)) * 100,
        }
    }

    fn correct(&mut self, _: &World, _: &mut Dice, _: u64) {
        self.amount_fen /= 2;
    }

    fn stamp(&mut self) -> &mut Stamp {
        &mut self.stamp
    }

    fn write(&self, out: &mut Sheet) {
        out.add(Feed::Court, self.stamp.received_ms, |bytes| {
            let mut line = Line::new(bytes);
            line.with("case_no", |out| self.place.write(out, "样执"));
            line.with("ucc", |out| out.extend_from_slice(&self.business.ucc()));
            self.stamp.write(&mut line);
            line.text("kind", "失信被执行人");
            line.day("published_on", self.published_on);
            line.day("filed_on", self.filed_on);
            line.with("name", |out| self.business.write_name(out));
            line.with("court", |out| {
                out.extend_from_slice(self.business.county.name.as_bytes());
                out.extend_from_slice("人民法院".as_bytes());
            });
            line.text("province", "湖南");
            line.text("region", self.business.county.code);
            line.text("performance", "全部未履行");
            line.hundredths("amount_yuan", self.amount_fen);
            line.end();
        });
    }
}
