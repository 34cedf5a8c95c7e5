//! Reports of adverse reactions to cosmetics: one row for each reaction that a report names.

use super::{Fate, Fates, Place, Record, Stamp};
use crate::source::demo::{
    Feed, World, delay,
    dice::{Dice, mix},
    line::{Line, digits},
    province::{Business, County, any_county},
    sheet::Sheet,
};

/// Reactions by how often they are reported, of a thousand.
pub(in super::super) const REACTIONS: [(&str, u16); 12] = [
    ("瘙痒", 260),
    ("红斑", 230),
    ("丘疹", 150),
    ("灼热感", 110),
    ("刺痛", 70),
    ("肿胀", 60),
    ("脱屑", 40),
    ("水疱", 30),
    ("色素沉着", 20),
    ("毛发脱落", 15),
    ("眼部刺激", 10),
    ("过敏性休克", 5),
];
/// Kinds of product, and the reactions that each has oftener than others.
const CATEGORIES: [(&str, &[&str]); 6] = [
    ("护肤类", &["红斑", "丘疹"]),
    ("祛斑美白类", &["灼热感", "脱屑"]),
    ("染发类", &["肿胀", "瘙痒"]),
    ("洗护发类", &["毛发脱落", "瘙痒"]),
    ("彩妆类", &["眼部刺激", "红斑"]),
    ("防晒类", &["丘疹", "刺痛"]),
];
/// Rows in a thousand whose reaction is one of those of the product's kind.
const OF_CATEGORY: u64 = 200;
const SOURCES: [(&str, u16); 3] = [("医疗机构", 700), ("经营者", 180), ("注册人、备案人", 120)];
/// Products at scale 1; incidents happen to others.
const PRODUCTS: f64 = 4_000.0;

/// A product by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Product(pub(in super::super) u64);

impl Product {
    /// How many the background has.
    pub(in super::super) fn known(world: &World) -> u64 {
        (PRODUCTS * world.scale.sqrt()).max(200.0) as u64
    }

    /// Writes its filing number.
    pub(in super::super) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice("样G妆网备字".as_bytes());
        digits(out, 2_020_000_000 + self.0 % 1_000_000, 10);
    }

    /// Its filing number.
    pub(in super::super) fn number(self) -> String {
        let mut out = Vec::new();
        self.write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    fn category(self) -> (&'static str, &'static [&'static str]) {
        CATEGORIES[(mix(self.0) % CATEGORIES.len() as u64) as usize]
    }

    fn maker(self, world: &World) -> Business {
        Business::new(mix(self.0 ^ 0x5e) % world.province.businesses)
    }
}

/// A reaction to a product.
#[derive(Debug, Clone)]
pub(in super::super) struct Reaction {
    pub(in super::super) place: Place,
    pub(in super::super) stamp: Stamp,
    product: Product,
    maker: Business,
    reaction: &'static str,
    reported_on: i32,
    occurred_on: i32,
    patient: u64,
    age: u64,
    source: &'static str,
    county: &'static County,
    assessment: &'static str,
}

impl Reaction {
    /// Dates it; the reaction was a week before.
    pub(in super::super) fn reported(&mut self, day: i32) {
        (self.reported_on, self.occurred_on) = (day, day - 7);
    }

    /// Says which reaction to which product it was.
    pub(in super::super) fn of(
        &mut self,
        product: Product,
        maker: Business,
        reaction: &'static str,
    ) {
        (self.product, self.maker, self.reaction) = (product, maker, reaction);
    }
}

impl Record for Reaction {
    const FEED: Feed = Feed::AdverseEvents;
    const FATES: Fates = Fates { twice: 5, corrected: 60, withdrawn: 10, lag_max: 15 };

    fn draw(world: &World, mut dice: Dice, place: Place, _: Fate) -> Self {
        let d = &mut dice;
        // Log-uniform ranks: a few products have most of the reports.
        let known = Product::known(world) as f64;
        let product = Product((known.powf(d.unit()) - 1.0) as u64);
        let reaction = match d.per_mille(OF_CATEGORY) {
            true => d.one(product.category().1),
            false => d.weighted(&REACTIONS),
        };
        let reported_on = delay::decided(d, place.day, 1, 6);
        Self {
            place,
            stamp: Stamp::first(delay::batch(d, Self::FEED, place.day)),
            product,
            maker: product.maker(world),
            reaction,
            reported_on,
            occurred_on: reported_on - d.within(1, 20),
            patient: d.below(1_000_000_000),
            age: 16 + d.below(50),
            source: d.weighted(&SOURCES),
            county: any_county(d),
            assessment: d.one(&["很可能", "可能", "可能"]),
        }
    }

    fn correct(&mut self, _: &World, _: &mut Dice, roll: u64) {
        self.assessment = ["肯定", "很可能", "可能无关", "无法评价"][roll as usize % 4];
    }

    fn stamp(&mut self) -> &mut Stamp {
        &mut self.stamp
    }

    fn write(&self, out: &mut Sheet) {
        out.add(Feed::AdverseEvents, self.stamp.received_ms, |bytes| {
            let mut line = Line::new(bytes);
            line.with("report_no", |out| self.place.write(out, "HZ43"));
            self.stamp.write(&mut line);
            line.day("reported_on", self.reported_on);
            line.day("occurred_on", self.occurred_on);
            line.text("source", self.source);
            line.with("registration_no", |out| self.product.write(out));
            line.with("product", |out| {
                out.extend_from_slice("样例".as_bytes());
                digits(out, self.product.0, 1);
                out.extend_from_slice("号化妆品".as_bytes());
            });
            line.text("category", self.product.category().0);
            line.with("ucc", |out| out.extend_from_slice(&self.maker.ucc()));
            line.with("maker_name", |out| self.maker.write_name(out));
            line.with("patient_hash", |out| {
                out.push(b'H');
                digits(out, self.patient, 9);
            });
            line.int("patient_age", self.age);
            line.text("reaction", self.reaction);
            let serious = self.reaction == "过敏性休克";
            line.text("severity", if serious { "严重" } else { "一般" });
            line.text("assessment", self.assessment);
            line.text("region", self.county.code);
            line.end();
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_a_thousand_and_reactions_of_kinds_are_known() {
        assert_eq!(REACTIONS.iter().map(|(_, w)| w).sum::<u16>(), 1000);
        assert_eq!(SOURCES.iter().map(|(_, w)| w).sum::<u16>(), 1000);
        let known = |reaction: &&str| REACTIONS.iter().any(|(name, _)| name == reaction);
        assert!(CATEGORIES.iter().flat_map(|(_, of)| *of).all(known));
    }
}
