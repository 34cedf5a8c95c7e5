//! Incidents whose records come in an order, or whose last record does not come.

use std::ops::Range;

use super::{
    delay,
    incident::Kind,
    plant::Plant,
    record::{
        self, Record as _, Stamp,
        list::{Abnormal, UNREACHABLE},
        penalty::Penalty,
    },
};

use crate::model::reference::calendar;

/// People who complain after a failing sample.
const COMPLAINTS: u64 = 5;
/// Over so many days.
const COMPLAINTS_DAYS: u64 = 20;
/// Days from the first complaint about a prepaid shop to its entry into the list.
const LISTED_DAYS: i32 = 20;
/// A penalty's re-inspection is due after so many days.
const RECHECK_DAYS: i32 = 30;
/// So much later at most it is known that none took place: inspections are waited for 20 working days.
const KNOWN_DAYS: i32 = 75;

/// What should be made of such an incident.
pub(super) struct Told {
    /// Days on which it should fire.
    pub(super) days: Range<i32>,
    /// When the harm is done.
    pub(super) harm: i32,
    pub(super) zh: String,
    pub(super) en: &'static str,
}

/// The truth about an incident that begins on a day.
pub(super) fn truth(kind: Kind, begins: i32, name: &str) -> Told {
    match kind {
        Kind::NoRecheck => Told {
            days: begins + RECHECK_DAYS..begins + KNOWN_DAYS,
            harm: begins + 2 * KNOWN_DAYS,
            zh: format!("{name} 受罚后三十日内无人复查"),
            en: "nobody re-inspects within 30 days after a penalty",
        },
        Kind::Runaway => Told {
            days: begins + LISTED_DAYS - 7..begins + 30,
            harm: begins + 45,
            zh: format!("{name} 预付卡被多人投诉后人去楼空"),
            en: "a prepaid shop cannot be reached any more",
        },
        Kind::StillActive => Told {
            days: begins..begins + 60,
            harm: begins + 90,
            zh: format!("{name} 失联列异后仍在经营"),
            en: "listed as unreachable, and still in business",
        },
        _ => Told {
            days: begins..begins + 40,
            harm: begins + 60,
            zh: format!("{name} 抽检不合格后仍被多人投诉"),
            en: "complaints go on after a failing sample",
        },
    }
}

impl Plant<'_> {
    /// A sample of the maker fails; then people complain about its food.
    pub(super) fn fail_then_complaints(&mut self) {
        let maker = self.planned.business(self.world, 0);
        self.sample(0, self.planned.begins, maker, self.item(0));
        self.orders(COMPLAINTS, COMPLAINTS_DAYS, |_, order, _| {
            order.about(maker, "SA", "买到的食品仍是被通报的批次");
        });
    }

    /// A penalty that orders correction, after which nobody looks.
    pub(super) fn no_recheck(&mut self) {
        let day = self.planned.begins;
        let mut dice = self.planned.dice(self.world, 500);
        if self.day != day + dice.within(5, 10) {
            return;
        }
        let mut penalty: Penalty = record::first(self.world, self.planned.place(day, 0));
        penalty.stamp = Stamp::first(delay::batch(&mut dice, Penalty::FEED, self.day));
        penalty.party = self.planned.business(self.world, 0);
        penalty.decided_on = day;
        (penalty.kinds, penalty.fine_yuan, penalty.orders) =
            ("罚款", 2_000 + 100 * dice.below(80), true);
        penalty.write(self.out);
    }

    /// People complain about prepaid cards; then nobody can be reached.
    pub(super) fn runaway(&mut self) {
        let shop = self.planned.business(self.world, 0);
        self.orders(7, 14, |_, order, _| {
            order.about(shop, "YF", "会员卡余额不退,店员推说系统升级");
            order.object = "S02";
        });
        self.listed(self.planned.begins + LISTED_DAYS);
    }

    /// Nobody can be reached; people go on to complain.
    pub(super) fn still_active(&mut self) {
        let business = self.planned.business(self.world, 0);
        self.listed(self.planned.begins);
        self.orders(4, 40, |_, order, _| {
            order.about(business, "SH", "上月在这家买的,退货地址是新的门店");
        });
    }

    /// An entry of the list for nobody could be reached, decided by the working day on or before `day`.
    fn listed(&mut self, day: i32) {
        let decided_on = calendar::workday_on_or_before(day);
        if self.day != decided_on + 1 {
            return;
        }
        let mut dice = self.planned.dice(self.world, 600);
        let mut entry: Abnormal = record::first(self.world, self.planned.place(self.day, 700));
        entry.stamp = Stamp::first(delay::batch(&mut dice, Abnormal::FEED, self.day));
        entry.business = self.planned.business(self.world, 0);
        (entry.reason, entry.decided_on) = (UNREACHABLE, decided_on);
        entry.write(self.out);
    }
}
