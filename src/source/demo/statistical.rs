//! Incidents that one record does not show: an excess, a drift, a rate, a cluster.
//!
//! Each kind has one incident in every [`EVERY`] days, from the day on which its rule has the history it needs. Where the
//! rule judges a key against its own past, that past is planted too, so that what is found does not depend on how large
//! the province is. Truth and records are told here together; what incidents have in common is in `incident` and `plant`.

use std::ops::Range;

use super::{
    World, delay,
    dice::Dice,
    incident::{Incident, Truth},
    plant::dated,
    province::{Business, County, PREFECTURES, counties_of},
    record::{
        self, Place, Record as _, Stamp,
        complaint::{Complaint, OBJECTS},
        reaction::{Product, REACTIONS, Reaction},
        sample::{self, Sample},
        visit::{ITEMS, Visit},
    },
    sheet::Sheet,
    volume,
};
use crate::model::reference::calendar;

/// Days from one incident of a kind to the next.
const EVERY: i32 = 30;
/// Days before its beginning from which an incident may have records, and after it.
const AROUND: Range<i32> = -512..98;
/// First index of their records: above those of other incidents.
const FIRST_INDEX: u64 = Place::PLANTED + 400_000;
/// Their businesses are apart from those of other incidents.
const FIRST_KIND: u64 = 40;

/// What is complained of where a surge has many causes; not prices, which a holiday has incidents of.
const PROBLEMS: [&str; 4] = ["ZL", "SH", "XC", "HT"];
/// What people shut in a lift write.
const SHUT_IN: [&str; 5] = [
    "电梯突然停运,被困电梯二十分钟",
    "小区电梯困人,物业一小时才到",
    "又一次困梯,维保单位一直没有修好",
    "老人被关在电梯里,多次反映未处理",
    "电梯关人,紧急呼叫无人应答",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Many small businesses of one county and class of goods, in one week.
    Excess,
    /// One item fails at several makers of a prefecture.
    ItemCluster,
    /// One county finds problems in most visits for one item.
    ProblemRate,
    /// Complaints about one business rise and stay.
    Drift,
    /// People are shut in one lift again and again.
    Lift,
    /// One reaction to one product is reported out of proportion.
    Reaction,
    /// People of neighbouring counties complain of food in one week.
    Gathering,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Excess,
        Self::ItemCluster,
        Self::ProblemRate,
        Self::Drift,
        Self::Lift,
        Self::Reaction,
        Self::Gathering,
    ];

    /// The rule, and the days of history it needs, planted ones included.
    fn rule(self) -> (&'static str, i32) {
        match self {
            Self::Excess => ("complaint_excess_region", 92),
            // Four quarters, and the one that is judged.
            Self::ItemCluster => ("food_item_cluster", 457),
            Self::ProblemRate => ("problem_rate_outlier", 394),
            // A chart is set to a year.
            Self::Drift => ("business_slow_drift", 382),
            Self::Lift => ("lift_trapping", 9),
            Self::Reaction => ("cosmetics_reaction", 99),
            Self::Gathering => ("food_complaint_cluster", 190),
        }
    }
}

/// An incident before anything is written about it.
#[derive(Debug, Clone, Copy)]
struct Planned {
    kind: Kind,
    order: u64,
    slot: u64,
    /// Its first day, in days since 1970-01-01.
    begins: i32,
}

fn all(world: &World, slots: Range<i32>) -> impl Iterator<Item = Planned> + '_ {
    let kinds = (0_u64..).zip(Kind::ALL);
    kinds.flat_map(move |(order, kind)| {
        slots.clone().filter_map(move |slot| Planned::new(world, kind, order, slot))
    })
}

/// The truth about those that begin within `span`.
pub(super) fn beginning(world: &World, span: Range<i32>) -> impl Iterator<Item = (i32, Incident)> {
    let first = (span.start - world.first_day).div_euclid(EVERY) - 1;
    let last = (span.end - world.first_day).div_euclid(EVERY) + 1;
    let planned = all(world, first..last + 1).filter(move |p| span.contains(&p.begins));
    planned.map(|p| (p.begins, p.truth(world).incident(p.kind.rule().0, p.slot)))
}

/// Adds their records that arrive on `day`.
pub(super) fn arriving(world: &World, day: i32, out: &mut Sheet) {
    let from = (day - AROUND.end - world.first_day).div_euclid(EVERY) - 1;
    let until = (day - AROUND.start - world.first_day).div_euclid(EVERY) + 1;
    for planned in all(world, from..until + 1) {
        planned.add(world, day, out);
    }
}

impl Planned {
    fn new(world: &World, kind: Kind, order: u64, slot: i32) -> Option<Self> {
        let within = EVERY * order as i32 / Kind::ALL.len() as i32 + 3;
        let mut begins = world.first_day + slot * EVERY + within;
        if matches!(kind, Kind::Excess | Kind::Drift | Kind::Gathering) {
            begins -= calendar::weekday(begins);
        }
        let slot = u64::try_from(slot).ok()?;
        (begins >= world.first_day + kind.rule().1).then_some(Self { kind, order, slot, begins })
    }

    fn dice(&self, world: &World, part: u64) -> Dice {
        Dice::at(world.seed, 0x43 << 8 | self.order, self.slot as i32, part)
    }

    /// The number of its `k`th record, first arrived or dated on `day`.
    fn place(&self, day: i32, k: u64) -> Place {
        Place { day, index: FIRST_INDEX + (self.order * 32 + self.slot % 32) * 1_000 + k }
    }

    /// Its `j`th business.
    fn business(&self, world: &World, j: u64) -> Business {
        let number = world.province.businesses
            + 1_000_000
            + ((FIRST_KIND + self.order) * 100_000 + self.slot) * 64
            + j % 64;
        Business::placed(number, self.county(j))
    }

    fn prefecture(&self) -> usize {
        (self.slot as usize * 5 + 3) % PREFECTURES.len()
    }

    /// The county of its `j`th business.
    fn county(&self, j: u64) -> &'static County {
        let counties = counties_of(self.prefecture());
        let of = match self.kind {
            Kind::ItemCluster => self.slot + j,
            // Next to each other in the list; mostly they are on the map too.
            Kind::Gathering => self.slot * 3 + j % 3,
            _ => self.slot * 3 + self.slot / 14,
        };
        &counties[of as usize % counties.len()]
    }

    fn object(&self) -> (&'static str, u16) {
        OBJECTS[(self.slot as usize * 11 + 5) % OBJECTS.len()]
    }

    /// Class of food and its failing item.
    fn food(&self) -> (usize, &'static str) {
        let class = (self.slot as usize * 7 + 1) % sample::PACKAGED;
        let items = sample::CLASSES[class].3;
        (class, items[self.slot as usize % items.len()])
    }

    fn product(&self, world: &World) -> Product {
        Product(Product::known(world) + 500_000 + self.slot)
    }

    /// A reaction that few have.
    fn reaction(&self) -> &'static str {
        REACTIONS[REACTIONS.len() - 2 - self.slot as usize % 4].0
    }

    /// People of a gathering: ten, and three usual weeks of the zone.
    fn people(&self, world: &World) -> u64 {
        let days = self.begins..self.begins + 7;
        let week: f64 = days.map(|d| volume::expected(world, super::Feed::Complaints, d)).sum();
        let counties = counties_of(self.prefecture()).len() as f64;
        let share = f64::from(PREFECTURES[self.prefecture()].1) / 1000.0 / counties * 3.0;
        12 + (3.0 * week * 0.062 * share) as u64
    }

    fn item(&self) -> &'static str {
        ITEMS[self.slot as usize % ITEMS.len()].0
    }

    /// Orders of a week of excess: a dozen, and three usual weeks.
    fn excess(&self, world: &World) -> u64 {
        let days = self.begins..self.begins + 7;
        let week: f64 = days.map(|d| volume::expected(world, super::Feed::Complaints, d)).sum();
        let counties = counties_of(self.prefecture()).len() as f64;
        let share = f64::from(PREFECTURES[self.prefecture()].1) / 1000.0 / counties;
        12 + (3.0 * week * 0.62 * share * (f64::from(self.object().1) / 1000.0 + 0.06)) as u64
    }

    fn truth(&self, world: &World) -> Truth {
        let (b, of) = (self.begins, self.business(world, 0));
        let subjects = |n: u64| (0..n).map(|j| self.business(world, j).code()).collect();
        let county = of.county;
        match self.kind {
            Kind::Excess => {
                let (region, object) = (county.code, self.object().0);
                let city = region[..4].to_owned();
                Truth {
                    key: pairs([("region", region), ("object_code", object)]),
                    days: (b + 1, b + 9, b + 21),
                    title: (
                        format!("{}{} 类别 {object} 一周投诉异常", county.city, county.name),
                        "one class of goods is complained of all over a county",
                    ),
                    subjects: subjects(48),
                    also: vec![(
                        "category_week_surge",
                        vec![("city", city), ("object_code", object.to_owned())],
                    )],
                }
            }
            Kind::ItemCluster => {
                let (class, item) = self.food();
                let (city, food) = (PREFECTURES[self.prefecture()].0, sample::CLASSES[class].0);
                let class = format!("{:02}", class + 1);
                Truth {
                    key: pairs([("city", city), ("food_l1", &class), ("item", item)]),
                    days: (b + 7, b + 63, b + 90),
                    title: (
                        format!("{city} 多家生产者的{food}都检出{item}"),
                        "the same item fails at several makers",
                    ),
                    subjects: subjects(7),
                    also: Vec::new(),
                }
            }
            Kind::ProblemRate => Truth {
                key: pairs([("region", county.code), ("item_code", self.item())]),
                days: (b + 7, b + 42, b + 60),
                title: (
                    format!("{}{} 事项 {} 问题率异常", county.city, county.name, self.item()),
                    "most visits of a county find problems with one item",
                ),
                subjects: subjects(64),
                also: Vec::new(),
            },
            Kind::Drift => Truth {
                key: pairs([("ucc", of.code().as_str())]),
                days: (b + 7, b + 84, b + 90),
                title: (
                    format!("{} 投诉缓慢上升", of.name()),
                    "complaints about one business rise and stay",
                ),
                subjects: subjects(1),
                also: Vec::new(),
            },
            Kind::Reaction => {
                let product = self.product(world).number();
                Truth {
                    title: (
                        format!("{product} 的“{}”报告异常集中", self.reaction()),
                        "one reaction to one product is reported out of proportion",
                    ),
                    key: pairs([("registration_no", &product), ("reaction", self.reaction())]),
                    days: (b, b + 63, b + 75),
                    subjects: vec![product],
                    also: Vec::new(),
                }
            }
            Kind::Gathering => Truth {
                key: pairs([("region", county.code)]),
                days: (b + 7, b + 23, b + 28),
                title: (
                    format!("{}{} 及邻县食品安全投诉聚集", county.city, county.name),
                    "people of neighbouring counties complain of food",
                ),
                subjects: subjects(48),
                also: self.beside(world),
            },
            Kind::Lift => Truth {
                key: pairs([("site", of.code().as_str())]),
                days: (b, b + 25, b + 30),
                title: (
                    format!("{} 电梯反复困人", of.name()),
                    "a lift traps people again and again",
                ),
                subjects: subjects(1),
                also: Vec::new(),
            },
        }
    }

    /// A gathering may be told at another of its counties, and shows in what single counties say of food.
    fn beside(&self, world: &World) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
        let mut counties: Vec<&str> = (0..3).map(|j| self.business(world, j).county.code).collect();
        counties.dedup();
        let of = |code: &str| {
            let region = ("region", code.to_owned());
            let cell = |object: &str| {
                let key = vec![region.clone(), ("object_code", object.to_owned())];
                ("complaint_excess_region", key)
            };
            [("food_complaint_cluster", vec![region.clone()]), cell("G01"), cell("S01")]
        };
        let city = |object: &str| {
            let city = ("city", PREFECTURES[self.prefecture()].0.to_owned());
            ("category_week_surge", vec![city, ("object_code", object.to_owned())])
        };
        counties.into_iter().flat_map(of).chain([city("G01"), city("S01")]).collect()
    }

    fn add(&self, world: &World, day: i32, out: &mut Sheet) {
        let b = self.begins;
        match self.kind {
            Kind::Reaction => {
                // What other products are reported for, lest a small province has nothing to compare with.
                for k in 0..80 {
                    self.report(world, day, (b - 80 + k as i32, k), None, out);
                }
                for k in 80..91 {
                    let reaction = if k < 88 { self.reaction() } else { REACTIONS[0].0 };
                    self.report(world, day, (b + 3 * (k as i32 - 80), k), Some(reaction), out);
                }
            }
            Kind::Gathering => {
                let n = self.people(world);
                for k in 0..n {
                    self.order(world, day, b + (k * 6 / n) as i32, k, out, |order| {
                        // One more than half of them at the first county.
                        let j = if k % 2 == 0 { 3 * (k % 16) } else { k % 48 };
                        order.about(self.business(world, j), "SA", "聚餐后多人腹泻呕吐");
                        order.object = if k % 3 == 0 { "G01" } else { "S01" };
                    });
                }
            }
            Kind::Excess => {
                let n = self.excess(world);
                for k in 0..n {
                    self.order(world, day, b + (k * 6 / n) as i32, k, out, |order| {
                        order.about(
                            self.business(world, k % 48),
                            PROBLEMS[k as usize % 4],
                            "同类商品集中出现问题",
                        );
                        (order.object, order.coded) = (self.object().0, k % 2 == 0);
                    });
                }
            }
            Kind::ItemCluster => (0..7).for_each(|k| self.sample(world, day, k, out)),
            Kind::ProblemRate => {
                // A year of ordinary visits, then one month in which most find something.
                for k in 0..60 {
                    let result = if k % 10 == 4 { FOUND } else { CALM };
                    self.visit(world, day, (b - 380 + 5 * k as i32, k), result, out);
                }
                for k in 60..100 {
                    let result = if k % 5 < 3 { FOUND } else { CALM };
                    self.visit(world, day, (b + (k as i32 - 60) * 24 / 40, k), result, out);
                }
            }
            Kind::Drift => {
                // One long before, so that it is no new business; two a week for a year, then five.
                let known = std::iter::once(b - 491);
                let usual = (0..106).map(|k| b - 371 + k * 7 / 2);
                let risen = (0..60).map(|k| b + k * 7 / 5);
                for (k, registered) in (0..).zip(known.chain(usual).chain(risen)) {
                    self.order(world, day, registered, k, out, |order| {
                        let text = "售后一直推脱";
                        order.about(self.business(world, 0), PROBLEMS[k as usize % 4], text);
                    });
                }
            }
            Kind::Lift => {
                for k in 0..5 {
                    self.order(world, day, b + 5 * k as i32, k, out, |order| {
                        order.about(self.business(world, 0), "AQ", SHUT_IN[k as usize % 5]);
                        order.object = "G16";
                    });
                }
            }
        }
    }

    /// Its `k`th order, if it arrives on `day`; `tell` says what it is about.
    fn order(
        &self,
        world: &World,
        day: i32,
        registered: i32,
        k: u64,
        out: &mut Sheet,
        tell: impl Fn(&mut Complaint),
    ) {
        if registered < world.first_day || !(registered..registered + 3).contains(&day) {
            return;
        }
        let mut order: Complaint = record::first(world, self.place(registered, k));
        tell(&mut order);
        if dated(&mut order, self.dice(world, 100 + k), (registered, day), k) {
            order.write(out);
        }
    }

    /// A failing sample of its `k`th maker, if it arrives on `day`.
    fn sample(&self, world: &World, day: i32, k: u64, out: &mut Sheet) {
        let reported = calendar::workday_on_or_before(self.begins + 5 * k as i32);
        let mut dice = self.dice(world, 200 + k);
        if day != reported + dice.within(2, 8) {
            return;
        }
        let mut sample: Sample = record::first(world, self.place(reported, k));
        sample.stamp = Stamp::first(delay::batch(&mut dice, Sample::FEED, day));
        let (class, item) = self.food();
        let maker = self.business(world, k);
        (sample.class, sample.maker, sample.coded) = (class, Some(maker), true);
        (sample.county, sample.stage) = (maker.county, "流通");
        sample.finds(item);
        sample.reported(reported);
        sample.write(out);
    }

    /// A report received on the day beside its number, if it arrives on `day`: of `reaction` to its product, of whatever to
    /// another without one.
    fn report(
        &self,
        world: &World,
        day: i32,
        (reported, k): (i32, u64),
        reaction: Option<&'static str>,
        out: &mut Sheet,
    ) {
        let reported = calendar::workday_on_or_before(reported);
        let mut dice = self.dice(world, 400 + k);
        if reported < world.first_day || day != reported + dice.within(1, 4) {
            return;
        }
        let mut report: Reaction = record::first(world, self.place(reported, k));
        report.stamp = Stamp::first(delay::batch(&mut dice, Reaction::FEED, day));
        report.reported(reported);
        if let Some(reaction) = reaction {
            report.of(self.product(world), self.business(world, 0), reaction);
        }
        report.write(out);
    }

    /// Its `k`th visit, made on the day beside it, if it arrives on `day`.
    fn visit(
        &self,
        world: &World,
        day: i32,
        (visited, k): (i32, u64),
        result: &'static str,
        out: &mut Sheet,
    ) {
        let visited = calendar::workday_on_or_before(visited);
        let mut dice = self.dice(world, 300 + k);
        if visited < world.first_day || day != visited + dice.within(2, 6) {
            return;
        }
        let mut visit: Visit = record::first(world, self.place(visited, k));
        visit.stamp = Stamp::first(delay::batch(&mut dice, Visit::FEED, day));
        (visit.business, visit.item) = (self.business(world, k), self.item());
        (visit.visited_on, visit.method, visit.result) = (visited, "现场检查", result);
        visit.lead = false;
        visit.write(out);
    }
}

/// Results of a visit.
const CALM: &str = "未发现问题";
const FOUND: &str = "发现问题经责令已改正";

fn pairs<const N: usize>(of: [(&'static str, &str); N]) -> Vec<(&'static str, String)> {
    of.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}
