//! What businesses must say themselves: accidents, recalls, commitments.

use super::{Fate, Fates, Place, Record, Stamp};
use crate::{
    model::time::{HOUR_MS, MINUTE_MS},
    source::demo::{
        Feed, World, delay,
        dice::Dice,
        line::{Line, day_of},
        province::Business,
        sheet::Sheet,
    },
};

const EQUIPMENT: [(&str, &str); 4] =
    [("乘客电梯", "3110"), ("叉车", "5110"), ("蒸汽锅炉", "1100"), ("液化石油气瓶", "2320")];
const PRODUCTS: [(&str, &str, &str); 5] = [
    ("儿童推车", "G12", "存在夹伤隐患"),
    ("电热水壶", "G04", "温控器失效,存在起火隐患"),
    ("充电宝", "G05", "电芯过热"),
    ("儿童服装", "G12", "绳带过长"),
    ("燃气灶", "G17", "熄火保护失效"),
];
const COMMITMENTS: [(&str, u16); 4] =
    [("告知承诺", 600), ("自我声明", 250), ("主动型承诺", 100), ("信用修复承诺", 50)];

/// An accident, hours after it happened.
#[derive(Debug, Clone)]
pub(in super::super) struct Accident {
    place: Place,
    stamp: Stamp,
    business: Business,
    occurred_ms: i64,
    reported_ms: i64,
    equipment: (&'static str, &'static str),
    injuries: u64,
}

impl Record for Accident {
    const FEED: Feed = Feed::Accidents;
    const FATES: Fates = Fates { twice: 0, corrected: 300, withdrawn: 0, lag_max: 5 };

    fn draw(world: &World, mut dice: Dice, place: Place, _: Fate) -> Self {
        let d = &mut dice;
        let received_ms = delay::hour_of_public(d, place.day);
        let reported_ms = received_ms - d.below(180) as i64 * MINUTE_MS;
        Self {
            place,
            stamp: Stamp::first(received_ms),
            business: world.province.any(d),
            occurred_ms: reported_ms - d.below(12) as i64 * HOUR_MS / 2,
            reported_ms,
            equipment: d.one(&EQUIPMENT),
            injuries: d.below(3),
        }
    }

    /// The follow-up report knows more of the injured.
    fn correct(&mut self, _: &World, dice: &mut Dice, _: u64) {
        self.injuries += dice.below(2);
    }

    fn stamp(&mut self) -> &mut Stamp {
        &mut self.stamp
    }

    fn write(&self, out: &mut Sheet) {
        out.add(Feed::Accidents, self.stamp.received_ms, |bytes| {
            let mut line = Line::new(bytes);
            line.with("accident_no", |out| self.place.write(out, "SG43"));
            self.stamp.write(&mut line);
            line.instant("occurred_at", self.occurred_ms);
            line.instant("reported_at", self.reported_ms);
            line.with("ucc", |out| out.extend_from_slice(&self.business.ucc()));
            line.with("name", |out| self.business.write_name(out));
            line.text("region", self.business.county.code);
            line.text("object", self.equipment.0);
            line.text("equipment_code", self.equipment.1);
            line.int("deaths", 0);
            line.int("injuries", self.injuries);
            line.text("level", "一般事故");
            line.end();
        });
    }
}

/// A recall; its correction closes it.
#[derive(Debug, Clone)]
pub(in super::super) struct Recall {
    place: Place,
    stamp: Stamp,
    business: Business,
    started_on: i32,
    product: (&'static str, &'static str, &'static str),
    number: u64,
    closed: bool,
}

impl Record for Recall {
    const FEED: Feed = Feed::Recalls;
    const FATES: Fates = Fates { twice: 0, corrected: 150, withdrawn: 0, lag_max: 8 };

    fn draw(world: &World, mut dice: Dice, place: Place, _: Fate) -> Self {
        let d = &mut dice;
        Self {
            place,
            stamp: Stamp::first(delay::batch(d, Self::FEED, place.day)),
            business: world.province.any(d),
            started_on: place.day - d.within(0, 1),
            product: d.one(&PRODUCTS),
            number: 50 + d.below(20_000),
            closed: false,
        }
    }

    fn correct(&mut self, _: &World, _: &mut Dice, _: u64) {
        self.closed = true;
    }

    fn stamp(&mut self) -> &mut Stamp {
        &mut self.stamp
    }

    fn write(&self, out: &mut Sheet) {
        out.add(Feed::Recalls, self.stamp.received_ms, |bytes| {
            let (product, class, defect) = self.product;
            let mut line = Line::new(bytes);
            line.with("recall_no", |out| self.place.write(out, "ZH43"));
            self.stamp.write(&mut line);
            line.day("started_on", self.started_on);
            line.with("ucc", |out| out.extend_from_slice(&self.business.ucc()));
            line.with("name", |out| self.business.write_name(out));
            line.text("product", product);
            line.text("object_code", class);
            line.text("defect", defect);
            line.int("number", self.number);
            line.text("region", self.business.county.code);
            if self.closed {
                line.day("closed_on", day_of(self.stamp.received_ms));
            }
            line.end();
        });
    }
}

/// A commitment or self-declaration.
#[derive(Debug, Clone)]
pub(in super::super) struct Commitment {
    place: Place,
    stamp: Stamp,
    business: Business,
    kind: &'static str,
    made_on: i32,
}

impl Record for Commitment {
    const FEED: Feed = Feed::Commitments;
    const FATES: Fates = Fates { twice: 5, corrected: 10, withdrawn: 5, lag_max: 5 };

    fn draw(world: &World, mut dice: Dice, place: Place, _: Fate) -> Self {
        let d = &mut dice;
        Self {
            place,
            stamp: Stamp::first(delay::batch(d, Self::FEED, place.day)),
            business: world.province.any(d),
            kind: d.weighted(&COMMITMENTS),
            made_on: place.day - d.within(1, 3),
        }
    }

    fn correct(&mut self, _: &World, dice: &mut Dice, _: u64) {
        self.kind = dice.weighted(&COMMITMENTS);
    }

    fn stamp(&mut self) -> &mut Stamp {
        &mut self.stamp
    }

    fn write(&self, out: &mut Sheet) {
        out.add(Feed::Commitments, self.stamp.received_ms, |bytes| {
            let mut line = Line::new(bytes);
            line.with("commitment_no", |out| self.place.write(out, "CN43"));
            self.stamp.write(&mut line);
            line.with("ucc", |out| out.extend_from_slice(&self.business.ucc()));
            line.with("name", |out| self.business.write_name(out));
            line.text("kind", self.kind);
            line.text("text", "承诺所提交材料真实并符合许可条件");
            line.day("made_on", self.made_on);
            line.day("valid_to", self.made_on + 3 * 365);
            line.text("region", self.business.county.code);
            line.end();
        });
    }
}
