//! Plants: the records of incidents.
//!
//! They are drawn like any other record and then told what happened, so that nothing but what happened sets them apart.

use super::{
    World, delay,
    dice::Dice,
    incident::{Kind, Planned, around},
    line::{day_of, day_start},
    province::Business,
    record::{
        self, Record as _, Stamp,
        complaint::Complaint,
        penalty::Penalty,
        registry::Event,
        sample::{self, Sample},
        visit::{self, DEPARTMENTS, Visit},
    },
    sheet::Sheet,
};
use crate::model::time::HOUR_MS;

/// What is written of a shop that closes.
const CLOSING: [&str; 5] = [
    "健身房突然关门,会员卡余额不退",
    "老板失联,电话打不通",
    "门店已搬空,人去楼空",
    "停业通知贴在门上,退费难",
    "店面转让,新店主不认卡",
];
/// Days before an incident on which an ordinary order shows that its business is not new.
const EARLIER: i32 = 120;

/// Adds the records of incidents that arrive on `day`.
pub(super) fn arriving(world: &World, day: i32, out: &mut Sheet) {
    for planned in around(world, day) {
        Plant { world, planned, day, out }.add();
    }
}

/// An incident that is planted.
pub(super) struct Plant<'a> {
    pub(super) world: &'a World,
    pub(super) planned: Planned,
    pub(super) day: i32,
    pub(super) out: &'a mut Sheet,
}

impl Plant<'_> {
    fn add(&mut self) {
        match self.planned.kind {
            Kind::Surge => {
                self.earlier();
                let n = 16 + self.planned.dice(self.world, 0).below(10);
                let (problem, text) = [
                    ("SA", "多人食用后腹泻"),
                    ("ZL", "同批商品出现同样质量问题"),
                    ("XC", "促销宣传与实际不符"),
                ][self.planned.slot as usize % 3];
                self.orders(n, 5, |plant, order, _| {
                    order.about(plant.planned.business(plant.world, 0), problem, text);
                });
            }
            Kind::Report => {
                self.earlier();
                let n = 4 + self.planned.dice(self.world, 0).below(3);
                self.orders(n, 18, |plant, order, k| {
                    order.about(
                        plant.planned.business(plant.world, 0),
                        "",
                        "举报商家违法经营,有照片为证",
                    );
                    (order.kind, order.report) = ("JB", plant.planned.report());
                    order.channel = ["APP", "TEL", "WXMP", "PC"][k as usize % 4];
                    (order.amount_fen, order.state) = (0, "40");
                });
            }
            Kind::Category => self.category(),
            Kind::Chain => self.orders(28, 20, |plant, order, k| {
                order.about(plant.planned.business(plant.world, k % 8), "SA", "门店使用过期原料");
                order.brand = Some(plant.planned.brand());
                order.object = "S01";
            }),
            Kind::Prepaid => {
                self.earlier();
                self.orders(8, 3, |plant, order, k| {
                    order.about(
                        plant.planned.business(plant.world, 0),
                        "YF",
                        CLOSING[k as usize % 5],
                    );
                    order.object = plant.planned.trade();
                });
            }
            Kind::NewBusiness => {
                let business = self.planned.business(self.world, 0);
                let registered = self.planned.begins - 15;
                if self.day == registered + 1 {
                    Event::established(self.world, business, registered).write(self.out);
                }
                self.orders(8, 28, move |_, order, _| {
                    order.about(business, "HT", "收款后不发货,客服不回复");
                });
            }
            Kind::FailRepeat => self.fail_repeat(),
            Kind::FailureRate => self.failure_rate(),
            Kind::Banned => {
                let item = self.planned.item();
                self.sample(0, self.planned.begins, self.planned.business(self.world, 0), item);
            }
            Kind::Penalty => self.penalty(),
            Kind::Refusal => self.visit(0, self.planned.begins, 0, visit::REFUSED),
            Kind::OverFrequency => {
                self.visit(0, self.planned.begins, 0, "未发现问题");
                self.visit(1, self.planned.second(), 1, "未发现问题");
            }
            Kind::FailThenComplaints => self.fail_then_complaints(),
            Kind::NoRecheck => self.no_recheck(),
            Kind::Runaway => self.runaway(),
            Kind::StillActive => self.still_active(),
            Kind::Canteen => self.canteen(),
            Kind::Hazchem => self.hazchem(),
            Kind::Vaccine => self.vaccine(),
        }
    }

    /// An ordinary order about the business, months before.
    fn earlier(&mut self) {
        let day = self.planned.begins - EARLIER;
        if self.day == day && day >= self.world.first_day {
            let mut order: Complaint = record::first(self.world, self.planned.place(day, 900));
            order.about(self.planned.business(self.world, 0), "SH", "售后一直推脱");
            order.write(self.out);
        }
    }

    /// `n` orders of different people over `days` days from the beginning, most online, one in eight by letter two days
    /// later; `tell` says what each is about.
    pub(super) fn orders(&mut self, n: u64, days: u64, tell: impl Fn(&Self, &mut Complaint, u64)) {
        for k in 0..n {
            let registered = self.planned.begins + (k * days / n) as i32;
            if !(registered..registered + 3).contains(&self.day) {
                continue;
            }
            let place = self.planned.place(registered, k);
            let mut order: Complaint = record::first(self.world, place);
            tell(self, &mut order, k);
            let dice = self.planned.dice(self.world, 100 + k);
            if dated(&mut order, dice, (registered, self.day), k) {
                order.write(self.out);
            }
        }
    }

    fn category(&mut self) {
        let n = self.planned.surge(self.world);
        self.orders(n, 6, |plant, order, k| {
            let business = plant.planned.business(plant.world, k % 60);
            let (problem, text) =
                (["ZL", "SH", "XC", "HT"][k as usize % 4], "同类商品集中出现问题");
            order.about(business, problem, text);
            order.object = plant.planned.object().0;
            order.coded = k % 2 == 0;
        });
    }

    /// A sample reported on `day` that fails with `item`, passes where that is empty.
    pub(super) fn sample(&mut self, k: u64, day: i32, maker: Business, item: &'static str) {
        let mut dice = self.planned.dice(self.world, 200 + k);
        if self.day != day + dice.within(2, 8) {
            return;
        }
        let class = self.planned.class();
        let mut sample: Sample = record::first(self.world, self.planned.place(day, k));
        sample.stamp = Stamp::first(delay::batch(&mut dice, Sample::FEED, self.day));
        sample.class = class;
        sample.maker = (class < sample::PACKAGED).then_some(maker);
        sample.coded = true;
        sample.stage = "流通";
        sample.finds(item);
        sample.reported(day);
        sample.write(self.out);
    }

    pub(super) fn item(&self, k: u64) -> &'static str {
        let items = sample::CLASSES[self.planned.class()].3;
        items[k as usize % items.len()]
    }

    fn fail_repeat(&mut self) {
        let maker = self.planned.business(self.world, 0);
        self.sample(0, self.planned.begins, maker, self.item(0));
        self.sample(1, self.planned.second(), maker, self.item(1));
        if self.planned.slot.is_multiple_of(3) {
            self.sample(2, self.planned.second() + 14, maker, self.item(2));
        }
    }

    /// A campaign on one class of food: others pass, one maker passes for a while and then fails and fails.
    fn failure_rate(&mut self) {
        let (begins, maker) = (self.planned.begins, self.planned.business(self.world, 0));
        if !(begins - 90..begins + 40).contains(&self.day) {
            return;
        }
        for k in 0..20 {
            self.sample(k, begins - 88 + 4 * k as i32, maker, "");
        }
        for k in 0..7 {
            self.sample(50 + k, begins + 3 * k as i32, maker, self.item(k));
        }
        for k in 0..150 {
            let other = self.planned.business(self.world, 1 + k % 50);
            self.sample(100 + k, begins - 89 + (k * 89 / 150) as i32, other, "");
        }
    }

    fn penalty(&mut self) {
        let day = self.planned.begins;
        let mut dice = self.planned.dice(self.world, 300);
        if self.day != day + dice.within(5, 10) {
            return;
        }
        let mut penalty: Penalty = record::first(self.world, self.planned.place(day, 0));
        penalty.stamp = Stamp::first(delay::batch(&mut dice, Penalty::FEED, self.day));
        penalty.party = self.planned.business(self.world, 0);
        penalty.decided_on = day;
        (penalty.kinds, penalty.fine_yuan) = if self.planned.slot.is_multiple_of(2) {
            ("吊销许可证件", 0)
        } else {
            ("罚款;没收违法所得", 150_000 + 10_000 * dice.below(80))
        };
        penalty.write(self.out);
    }

    /// A visit of a department on `day`.
    fn visit(&mut self, k: u64, day: i32, department: usize, result: &'static str) {
        let mut dice = self.planned.dice(self.world, 400 + k);
        if self.day != day + dice.within(2, 6) {
            return;
        }
        let mut visit: Visit = record::first(self.world, self.planned.place(day, k));
        visit.stamp = Stamp::first(delay::batch(&mut dice, Visit::FEED, self.day));
        visit.business = self.planned.business(self.world, 0);
        visit.department = DEPARTMENTS[department].0;
        (visit.visited_on, visit.method, visit.result) = (day, "现场检查", result);
        visit.lead = false;
        visit.write(self.out);
    }
}

/// Gives the `k`th order of an incident, registered on the first day, its times and a complainant of its own; one in eight
/// comes by letter. Returns whether it arrives on the second day.
pub(super) fn dated(
    order: &mut Complaint,
    mut dice: Dice,
    (registered, day): (i32, i32),
    k: u64,
) -> bool {
    let by_letter = k % 8 == 5;
    if day != registered + if by_letter { 2 } else { 0 } {
        return false;
    }
    // People of their own: nobody writes twice.
    order.complainant = 5_000_000 + dice.below(1_000_000) * 4 + k % 4;
    if by_letter {
        order.channel = if order.kind == "JB" { "TEL" } else { "LET" };
        order.registered_ms = day_start(registered) + i64::from(dice.within(9, 16)) * HOUR_MS;
        order.stamp = Stamp::first(day_start(day) + i64::from(dice.within(9, 16)) * HOUR_MS);
    } else {
        // Not in the first minutes of the day, lest it be registered on the day before.
        let times = delay::online(&mut dice, registered);
        let at = times.received_ms.max(day_start(registered) + HOUR_MS);
        order.registered_ms = at - (times.received_ms - times.registered_ms);
        order.stamp = Stamp::first(at);
    }
    order.occurred_on = day_of(order.registered_ms) - dice.within(0, 6);
    true
}
