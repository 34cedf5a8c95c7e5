//! Registry events: registrations, changes and ends of businesses.

use super::{Fate, Fates, Place, Record, Stamp};
use crate::source::demo::{
    Feed, World, delay,
    dice::Dice,
    line::{Line, digits},
    province::Business,
    sheet::Sheet,
};

const EVENTS: [(&str, u16); 7] = [
    ("设立", 450),
    ("变更", 350),
    ("注销", 110),
    ("简易注销公告", 50),
    ("迁出", 15),
    ("迁入", 15),
    ("歇业", 10),
];
const FIELDS: [&str; 5] = ["法定代表人", "住所", "经营范围", "注册资本", "名称"];
const INDUSTRIES: [&str; 10] =
    ["5211", "6210", "5132", "5291", "8053", "7299", "5226", "8391", "5437", "1353"];

/// An event.
#[derive(Debug, Clone)]
pub(in super::super) struct Event {
    pub(in super::super) stamp: Stamp,
    pub(in super::super) business: Business,
    pub(in super::super) event: &'static str,
    pub(in super::super) effective_on: i32,
    field: &'static str,
    industry: &'static str,
    capital_wan: u64,
}

impl Event {
    /// The registration of `business` on `day`, known the day after.
    pub(in super::super) fn established(world: &World, business: Business, day: i32) -> Self {
        let dice = Dice::at(world.seed, 0x32, day, business.number);
        let mut event = Self::draw(world, dice, Place { day: day + 1, index: 0 }, Fate::Rests);
        (event.business, event.event, event.effective_on) = (business, "设立", day);
        event
    }
}

impl Record for Event {
    const FEED: Feed = Feed::Registry;
    const FATES: Fates = Fates { twice: 5, corrected: 5, withdrawn: 1, lag_max: 1 };

    fn draw(world: &World, mut dice: Dice, place: Place, _: Fate) -> Self {
        let d = &mut dice;
        let event = d.weighted(&EVENTS);
        let new = world.province.businesses + 200_000_000;
        let business = match event {
            // New ones have numbers of their own: day and index.
            "设立" => {
                Business::new(new + u64::from(place.day.cast_unsigned()) * 20_000 + place.index)
            }
            _ => world.province.any(d),
        };
        Self {
            stamp: Stamp::first(delay::batch(d, Self::FEED, place.day)),
            business,
            event,
            effective_on: place.day - 1,
            field: if event == "变更" { d.one(&FIELDS) } else { "" },
            industry: d.one(&INDUSTRIES),
            capital_wan: d.one(&[1, 3, 5, 10, 50, 100, 500]),
        }
    }

    fn correct(&mut self, _: &World, dice: &mut Dice, _: u64) {
        self.industry = dice.one(&INDUSTRIES);
    }

    fn stamp(&mut self) -> &mut Stamp {
        &mut self.stamp
    }

    fn write(&self, out: &mut Sheet) {
        out.add(Feed::Registry, self.stamp.received_ms, |bytes| self.line(bytes));
    }
}

impl Event {
    fn line(&self, bytes: &mut Vec<u8>) {
        let mut line = Line::new(bytes);
        line.with("ucc", |out| out.extend_from_slice(&self.business.ucc()));
        line.text("event", self.event);
        line.day("effective_on", self.effective_on);
        self.stamp.write(&mut line);
        line.with("name", |out| self.business.write_name(out));
        line.with("legal_rep", |out| {
            out.extend_from_slice("样某".as_bytes());
            digits(out, self.business.number % 1_000_003, 1);
        });
        line.with("注册资本(万元)", |out| digits(out, self.capital_wan, 1));
        line.text("industry", self.industry);
        line.text("region", self.business.county.code);
        if !self.field.is_empty() {
            line.text("changed_field", self.field);
        }
        line.end();
    }
}
