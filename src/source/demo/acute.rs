//! Incidents that one order or two tell of, and that cannot wait.

use super::{in_order::Told, incident::Kind, plant::Plant};

/// The truth about an incident that begins on a day.
pub(super) fn truth(kind: Kind, begins: i32, name: &str) -> Told {
    let (zh, en) = match kind {
        Kind::Canteen => {
            (format!("{name} 食堂就餐后多人呕吐腹泻"), "people fall ill after a canteen's meal")
        }
        Kind::Hazchem => {
            (format!("{name} 无证储存危险化学品"), "hazardous chemicals without a licence")
        }
        _ => (format!("{name} 疫苗储存异常"), "vaccines are stored wrongly"),
    };
    Told { days: begins..begins + 2, harm: begins + 7, zh, en }
}

impl Plant<'_> {
    /// Parents write within a morning.
    pub(super) fn canteen(&mut self) {
        let canteen = self.planned.business(self.world, 0);
        self.orders(4, 1, |_, order, k| {
            let text = ["孩子在学校食堂吃完午饭后呕吐", "食堂就餐后腹泻,班里还有几个孩子也是"];
            order.about(canteen, "SA", text[k as usize % 2]);
            order.object = "S01";
        });
    }

    /// A neighbour reports what stands in the yard.
    pub(super) fn hazchem(&mut self) {
        let place = self.planned.business(self.world, 0);
        self.orders(1, 1, |_, order, _| {
            order.about(place, "", "院内无证存放大量桶装危险化学品,夜间装卸");
            (order.kind, order.report, order.state) = ("JB", "R06", "40");
            order.amount_fen = 0;
        });
    }

    /// A parent reports what happened to the vaccine.
    pub(super) fn vaccine(&mut self) {
        let site = self.planned.business(self.world, 0);
        self.orders(1, 1, |_, order, _| {
            order.about(site, "", "疫苗放在没有通电的冰箱里,仍给孩子接种");
            (order.kind, order.report, order.state) = ("JB", "R08", "40");
            order.amount_fen = 0;
        });
    }
}
