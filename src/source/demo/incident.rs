//! Incidents: what is planted, and what should be made of it.
//!
//! Each of these rules has its incidents, one in every `EVERY` days from the day on which the rule has the history it
//! needs. An incident happens to businesses of its own, above the numbers of the background, so that nothing else is known of
//! them. Its truth says which rule should raise which key, and when; `plant` makes its records.

use std::ops::Range;

use serde_json::{Map, Value, json};

use super::{
    World, acute,
    dice::Dice,
    in_order,
    line::day_start,
    province::{Business, County, PREFECTURES, counties_of},
    record::{
        Place,
        complaint::{BRANDS, Complaint, OBJECTS, REPORTS},
        sample,
    },
};
use crate::model::{
    reference::calendar,
    signal::Key,
    time::{DAY_MS, Zone},
};

/// Days from one incident of a rule to the next.
const EVERY: i32 = 30;
/// Position of the first kind of [`Kind::IN_ORDER`] among all.
const IN_ORDER: u64 = 16;
/// The same of [`Kind::ACUTE`].
const ACUTE: u64 = 24;
/// Days before its beginning from which an incident may have records, and after it.
const AROUND: Range<i32> = -121..70;

/// What should raise an incident: one kind for each rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Surge,
    Report,
    Category,
    Chain,
    Prepaid,
    NewBusiness,
    FailRepeat,
    FailureRate,
    Banned,
    Penalty,
    Refusal,
    OverFrequency,
    FailThenComplaints,
    NoRecheck,
    Runaway,
    StillActive,
    Canteen,
    Hazchem,
    Vaccine,
}

impl Kind {
    pub(super) const ALL: [Self; 12] = [
        Self::Surge,
        Self::Banned,
        Self::Category,
        Self::Penalty,
        Self::Chain,
        Self::Refusal,
        Self::Prepaid,
        Self::FailRepeat,
        Self::Report,
        Self::OverFrequency,
        Self::NewBusiness,
        Self::FailureRate,
    ];

    /// Those whose records must come in an order; days of their own, lest the others move.
    pub(super) const IN_ORDER: [Self; 4] =
        [Self::FailThenComplaints, Self::NoRecheck, Self::Runaway, Self::StillActive];

    /// Those that cannot wait; days of their own as well.
    pub(super) const ACUTE: [Self; 3] = [Self::Canteen, Self::Hazchem, Self::Vaccine];

    /// The rule, and the days of history it needs, records before the incident included.
    fn rule(self) -> (&'static str, i32) {
        match self {
            Self::Surge => ("complaint_surge_business", 64),
            Self::Report => ("report_multi_source", 2),
            Self::Category => ("category_week_surge", 15),
            Self::Chain => ("chain_cross_region", 215),
            Self::Prepaid => ("prepaid_keywords", 35),
            Self::NewBusiness => ("new_business_burst", 280),
            Self::FailRepeat => ("food_fail_repeat", 2),
            Self::FailureRate => ("sampling_failure_rate", 105),
            Self::Banned => ("food_banned_substance", 12),
            Self::Penalty => ("severe_penalty", 12),
            Self::Refusal => ("inspection_refusal", 12),
            Self::OverFrequency => ("inspection_over_frequency", 12),
            Self::FailThenComplaints => ("food_fail_then_complaints", 12),
            Self::NoRecheck => ("penalty_no_recheck", 12),
            Self::Runaway => ("prepaid_runaway", 12),
            Self::StillActive => ("abnormal_still_active", 12),
            Self::Canteen => ("canteen_cluster", 2),
            Self::Hazchem => ("hazchem_unlicensed", 2),
            Self::Vaccine => ("vaccine_any", 2),
        }
    }

    /// Whether an office dates it, on a working day.
    fn by_office(self) -> bool {
        matches!(
            self,
            Self::FailRepeat
                | Self::FailureRate
                | Self::Banned
                | Self::Penalty
                | Self::Refusal
                | Self::OverFrequency
                | Self::FailThenComplaints
                | Self::NoRecheck
                | Self::StillActive
        )
    }
}

/// An incident before anything is written about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planned {
    pub(super) kind: Kind,
    /// Position of the kind.
    order: u64,
    /// Number among those of its kind.
    pub(super) slot: u64,
    /// Its first day, in days since 1970-01-01.
    pub(super) begins: i32,
}

/// The incidents of all kinds whose records may arrive on `day`.
pub(super) fn around(world: &World, day: i32) -> impl Iterator<Item = Planned> + '_ {
    let from = (day - AROUND.end - world.first_day).div_euclid(EVERY) - 1;
    let until = (day - AROUND.start - world.first_day).div_euclid(EVERY) + 1;
    all(world, from..until + 1)
}

fn all(world: &World, slots: Range<i32>) -> impl Iterator<Item = Planned> + '_ {
    let kinds = Kind::ALL
        .into_iter()
        .enumerate()
        .map(|(order, kind)| (kind, order as u64, EVERY * order as i32 / Kind::ALL.len() as i32));
    let in_order = Kind::IN_ORDER.into_iter().enumerate().map(|(i, kind)| {
        (kind, IN_ORDER + i as u64, 4 + EVERY * i as i32 / Kind::IN_ORDER.len() as i32)
    });
    let acute = Kind::ACUTE
        .into_iter()
        .enumerate()
        .map(|(i, kind)| (kind, ACUTE + i as u64, 7 + EVERY * i as i32 / Kind::ACUTE.len() as i32));
    kinds.chain(in_order).chain(acute).flat_map(move |(kind, order, within)| {
        slots.clone().filter_map(move |slot| Planned::new(world, kind, (order, within), slot))
    })
}

/// The truth about the incidents that begin within `span`, in the order of beginning.
pub(super) fn beginning(world: &World, span: Range<i32>) -> Vec<Incident> {
    let first = (span.start - world.first_day).div_euclid(EVERY) - 1;
    let last = (span.end - world.first_day).div_euclid(EVERY) + 1;
    let mut planned: Vec<Planned> =
        all(world, first..last + 1).filter(|p| span.contains(&p.begins)).collect();
    planned.sort_by_key(|p| (p.begins, p.order));
    let mut incidents: Vec<(i32, Incident)> =
        planned.iter().map(|p| (p.begins, p.truth(world))).collect();
    incidents.extend(super::statistical::beginning(world, span.clone()));
    incidents.extend(super::holiday::beginning(world, span));
    incidents.sort_by_key(|(begins, _)| *begins);
    incidents.into_iter().map(|(_, incident)| incident).collect()
}

impl Planned {
    fn new(world: &World, kind: Kind, (order, within): (u64, i32), slot: i32) -> Option<Self> {
        let ready = world.first_day + kind.rule().1;
        let mut begins = world.first_day + slot * EVERY + within;
        if kind == Kind::Category {
            begins -= calendar::weekday(begins);
        }
        if kind.by_office() {
            begins = calendar::workday_on_or_before(begins);
        }
        let slot = u64::try_from(slot).ok()?;
        (begins >= ready).then_some(Self { kind, order, slot, begins })
    }

    /// Dice of its own; `part` keeps uses apart.
    pub(super) fn dice(&self, world: &World, part: u64) -> Dice {
        Dice::at(world.seed, 0x41 << 8 | self.order, self.slot as i32, part)
    }

    /// The number of its `k`th record, first arrived or dated on `day`.
    pub(super) fn place(&self, day: i32, k: u64) -> Place {
        Place { day, index: Place::PLANTED + (self.order * 8 + self.slot % 8) * 1000 + k }
    }

    fn number(&self, world: &World, j: u64) -> u64 {
        world.province.businesses + 1_000_000 + (self.order * 100_000 + self.slot) * 64 + j % 64
    }

    /// Its `j`th business.
    pub(super) fn business(&self, world: &World, j: u64) -> Business {
        let number = self.number(world, j);
        match self.kind {
            Kind::Category | Kind::Chain => Business::placed(number, self.county(j)),
            _ => Business::new(number),
        }
    }

    /// The county of its `j`th business: of one prefecture for a surge of a category, of four for a chain.
    fn county(&self, j: u64) -> &'static County {
        let prefecture = match self.kind {
            Kind::Category => self.prefecture(),
            _ => (self.slot as usize + j as usize % 4 * 3) % PREFECTURES.len(),
        };
        let counties = counties_of(prefecture);
        &counties[j as usize % counties.len()]
    }

    fn prefecture(&self) -> usize {
        // Not the capital, whose week is too large to stand out from.
        1 + self.slot as usize % (PREFECTURES.len() - 1)
    }

    /// Class of goods of a surge; prefecture and class together do not return for fourteen years.
    pub(super) fn object(&self) -> (&'static str, u16) {
        OBJECTS[((self.slot * 7 + self.slot / 13) % OBJECTS.len() as u64) as usize]
    }

    pub(super) fn brand(&self) -> u64 {
        BRANDS + self.slot
    }

    /// Breach reported, for reports.
    pub(super) fn report(&self) -> &'static str {
        REPORTS[(self.slot % REPORTS.len() as u64) as usize].0
    }

    /// Class of food.
    pub(super) fn class(&self) -> usize {
        match self.kind {
            Kind::FailureRate => (self.slot as usize * 5 + 3) % sample::PACKAGED,
            // Farm produce, or pastries with a pathogen.
            Kind::Banned if self.slot.is_multiple_of(2) => 33,
            Kind::Banned => 23,
            _ => (self.slot as usize * 3) % sample::PACKAGED,
        }
    }

    /// The failing item of a banned substance.
    pub(super) fn item(&self) -> &'static str {
        if self.slot.is_multiple_of(2) {
            sample::BANNED[(self.slot / 2) as usize % sample::BANNED.len()]
        } else {
            "沙门氏菌"
        }
    }

    /// Orders of a surge of a category: well above half as many again as a usual week.
    pub(super) fn surge(&self, world: &World) -> u64 {
        let week: f64 = (0..7)
            .map(|d| super::volume::expected(world, super::Feed::Complaints, self.begins + d))
            .sum();
        let share = f64::from(PREFECTURES[self.prefecture()].1) / 1000.0;
        let of_class = f64::from(self.object().1) / 1000.0 + 0.06;
        40 + (1.8 * week * 0.62 * share * of_class) as u64
    }

    /// The day of its second failing sample or second visit.
    pub(super) fn second(&self) -> i32 {
        let later = if self.kind == Kind::FailRepeat { 35 } else { 9 };
        calendar::workday_on_or_before(self.begins + later).max(self.begins + 1)
    }

    fn truth(&self, world: &World) -> Incident {
        let of = self.business(world, 0);
        let (name, class) = (of.name(), sample::CLASSES[self.class()].0);
        let ucc = || vec![("ucc", of.code())];
        let b = self.begins;
        // Key, first and last day on which it should fire, the day it does harm or everyone knows, titles.
        let (key, from, until, harm, zh, en): (Vec<(&str, String)>, i32, i32, i32, String, &str) =
            match self.kind {
                Kind::Surge => (
                    ucc(),
                    b,
                    b + 12,
                    b + 14,
                    format!("{name} 一周内投诉激增"),
                    "complaints surge within a week",
                ),
                Kind::Report => {
                    let key = vec![("ucc", of.code()), ("report_type", self.report().to_owned())];
                    (
                        key,
                        b,
                        b + 30,
                        b + 45,
                        format!("{name} 同一违法被多渠道举报"),
                        "one breach reported over several channels",
                    )
                }
                Kind::Category => {
                    let (city, object) = (PREFECTURES[self.prefecture()].0, self.object().0);
                    let key = vec![("city", city.to_owned()), ("object_code", object.to_owned())];
                    (
                        key,
                        b,
                        b + 8,
                        b + 21,
                        format!("{city} 类别 {object} 一周投诉激增"),
                        "one class of goods surges in a prefecture",
                    )
                }
                Kind::Chain => {
                    let mut brand = Vec::new();
                    Complaint::write_brand(&mut brand, self.brand());
                    let brand = String::from_utf8_lossy(&brand).into_owned();
                    let zh = format!("品牌 {brand} 多县同时被投诉");
                    (
                        vec![("brand", brand)],
                        b,
                        b + 32,
                        b + 60,
                        zh,
                        "a chain is complained of in several counties",
                    )
                }
                Kind::Prepaid => (
                    ucc(),
                    b,
                    b + 6,
                    b + 10,
                    format!("{name} 预付费门店关门前兆"),
                    "a prepaid shop is about to close",
                ),
                Kind::NewBusiness => (
                    ucc(),
                    b,
                    b + 100,
                    b + 60,
                    format!("{name} 设立不久即被多人投诉"),
                    "a new business draws many complaints",
                ),
                Kind::FailRepeat => {
                    let s = self.second();
                    (
                        ucc(),
                        s,
                        s + 30,
                        s + 60,
                        format!("{name} {class}抽检反复不合格"),
                        "one maker's samples fail again",
                    )
                }
                Kind::FailureRate => {
                    let key =
                        vec![("ucc", of.code()), ("food_l1", format!("{:02}", self.class() + 1))];
                    (
                        key,
                        b,
                        b + 40,
                        b + 90,
                        format!("{name} {class}抽检不合格率偏高"),
                        "a maker fails far more often than its peers",
                    )
                }
                Kind::Banned => {
                    let no = self.place(b, 0).number(sample::PREFIX);
                    let zh = format!("样品 {no} 检出{}", self.item());
                    let role = if self.class() < sample::PACKAGED { "maker" } else { "sampled" };
                    let key = vec![("sample_no", no), ("role", role.to_owned())];
                    (key, b, b + 2, b + 20, zh, "a sample holds a banned substance or a pathogen")
                }
                Kind::Penalty => {
                    (ucc(), b, b + 2, b + 28, format!("{name} 受到重大处罚"), "a severe penalty")
                }
                Kind::Refusal => (
                    ucc(),
                    b,
                    b + 2,
                    b + 60,
                    format!("{name} 拒绝检查"),
                    "a business refuses an inspection",
                ),
                Kind::OverFrequency => {
                    let s = self.second();
                    (
                        ucc(),
                        s,
                        s + 3,
                        s + 30,
                        format!("{name} 一月内被两部门重复检查"),
                        "two departments inspect one business within a month",
                    )
                }
                Kind::FailThenComplaints | Kind::NoRecheck | Kind::Runaway | Kind::StillActive => {
                    let told = in_order::truth(self.kind, b, &name);
                    (ucc(), told.days.start, told.days.end, told.harm, told.zh, told.en)
                }
                Kind::Canteen | Kind::Hazchem | Kind::Vaccine => {
                    let told = acute::truth(self.kind, b, &name);
                    let key = if self.kind == Kind::Hazchem { "place" } else { "site" };
                    let key = vec![(key, of.code())];
                    (key, told.days.start, told.days.end, told.harm, told.zh, told.en)
                }
            };
        let businesses = match self.kind {
            Kind::Category => 60,
            Kind::Chain => 8,
            _ => 1,
        };
        let mut subjects: Vec<String> =
            (0..businesses).map(|j| self.business(world, j).code()).collect();
        subjects.extend(
            key.iter().filter(|(k, _)| *k == "brand" || *k == "sample_no").map(|(_, v)| v.clone()),
        );
        let truth = Truth {
            key,
            days: (from, until, harm),
            title: (zh, en),
            subjects,
            also: self.also(world),
        };
        truth.incident(self.kind.rule().0, self.slot)
    }

    /// What a surge says of each of its counties, and a closing shop of its own.
    fn also(&self, world: &World) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
        let cell = |county: &str, object: &str| {
            let key = vec![("region", county.to_owned()), ("object_code", object.to_owned())];
            ("complaint_excess_region", key)
        };
        let gathering = |businesses: u64| {
            let county = |j| self.business(world, j).county.code.to_owned();
            let at = |j| ("food_complaint_cluster", vec![("region", county(j))]);
            (0..businesses).map(at).collect()
        };
        match self.kind {
            Kind::Category => {
                let counties = counties_of(self.prefecture()).iter();
                counties.map(|county| cell(county.code, self.object().0)).collect()
            }
            Kind::Prepaid => vec![cell(self.business(world, 0).county.code, self.trade())],
            // People who complain of one shop's food gather where it is.
            Kind::Surge => gathering(1),
            Kind::Chain => gathering(8),
            _ => Vec::new(),
        }
    }

    /// Class of services of a shop that sells cards.
    pub(super) fn trade(&self) -> &'static str {
        ["S02", "S03", "S04"][self.slot as usize % 3]
    }
}

/// The truth about an incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// Its name: the rule and a number.
    pub id: String,
    /// The rule that should raise it.
    pub rule: String,
    /// The key it should raise.
    pub key: Key,
    /// The alert should fire from here on (event time) …
    pub from_ms: i64,
    /// … and before this.
    pub until_ms: i64,
    /// When the harm is done, or everyone knows: what an alert is early against.
    pub harm_ms: i64,
    /// By then all its records have arrived; who looks earlier cannot call it missed.
    pub complete_ms: i64,
    /// Title, zh and en.
    pub title: (String, String),
    /// Codes, brands and samples that it is about; other rules may rightly raise them too.
    pub subjects: Vec<String>,
    /// Rules and keys that may rightly fire for it too, between `from_ms` and `complete_ms`.
    pub also: Vec<(String, Key)>,
}

/// What a kind of incident tells of one, before it has a name.
#[derive(Debug, Clone)]
pub(super) struct Truth {
    /// Names and values of the key.
    pub(super) key: Vec<(&'static str, String)>,
    /// First day on which it should fire, the day after the last, and the day it does harm or everyone knows.
    pub(super) days: (i32, i32, i32),
    /// Title, zh and en.
    pub(super) title: (String, &'static str),
    /// See [`Incident::subjects`].
    pub(super) subjects: Vec<String>,
    /// See [`Incident::also`].
    pub(super) also: Vec<(&'static str, Vec<(&'static str, String)>)>,
}

impl Truth {
    /// The incident of `rule` with this number.
    pub(super) fn incident(self, rule: &str, slot: u64) -> Incident {
        let (from, until, harm) = self.days;
        let also = |(rule, key): (&str, _)| (rule.to_owned(), key_of(key));
        Incident {
            id: format!("{rule}-{slot:03}"),
            rule: rule.to_owned(),
            key: key_of(self.key),
            from_ms: day_start(from),
            until_ms: day_start(until),
            harm_ms: day_start(harm),
            complete_ms: day_start(until + 14),
            title: (self.title.0, self.title.1.to_owned()),
            subjects: self.subjects,
            also: self.also.into_iter().map(also).collect(),
        }
    }
}

fn key_of(pairs: Vec<(&'static str, String)>) -> Key {
    Key::new(pairs.into_iter().map(|(k, v)| (k.to_owned(), Value::String(v))).collect())
}

/// Why a line of a truth file is none.
#[derive(Debug, thiserror::Error)]
#[error("line {line} is no incident: {why}")]
pub struct NoIncident {
    /// From 1.
    pub line: usize,
    /// What is missing or wrong.
    pub why: String,
}

impl Incident {
    /// The incident as a line of `truth.ndjson`, without its end.
    #[must_use]
    pub fn to_json(&self, zone: &Zone) -> Value {
        json!({
            "incident": self.id,
            "rule": self.rule,
            "key": self.key.values(),
            "from": zone.format(self.from_ms),
            "until": zone.format(self.until_ms),
            "harm": zone.format(self.harm_ms),
            "complete": zone.format(self.complete_ms),
            "title": {"zh": self.title.0, "en": self.title.1},
            "subjects": self.subjects,
            "also": self.also.iter().map(|(rule, key)| json!({"rule": rule, "key": key.values()})).collect::<Vec<_>>(),
        })
    }

    /// Reads what [`Incident::to_json`] wrote; also labels from elsewhere: only `rule`, `key` and `from` must be there.
    /// Left out, `until` is 30 days after `from`, `harm` and `complete` are `until`.
    ///
    /// # Errors
    /// [`NoIncident`] with the first such line.
    pub fn read_all(text: &str, zone: &Zone) -> Result<Vec<Self>, NoIncident> {
        let lines = text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty());
        lines
            .map(|(i, l)| read(l, i + 1, zone).map_err(|why| NoIncident { line: i + 1, why }))
            .collect()
    }
}

fn read(line: &str, number: usize, zone: &Zone) -> Result<Incident, String> {
    let row: Map<String, Value> = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let instant = |name: &str| match text(name) {
        Some(t) => {
            zone.parse_instant(t).map(Some).ok_or(format!("{name} {t:?} is no date or instant"))
        }
        None => Ok(None),
    };
    let key = row.get("key").and_then(Value::as_object).ok_or("key is missing")?.clone();
    let from_ms = instant("from")?.ok_or("from is missing")?;
    let until_ms = instant("until")?.unwrap_or(from_ms + 30 * DAY_MS);
    let titles = row.get("title").and_then(Value::as_object);
    let title = |of: &str| titles.and_then(|t| t.get(of)?.as_str()).unwrap_or_default().to_owned();
    let list = |name: &str| row.get(name).and_then(Value::as_array).into_iter().flatten();
    let other = |of: &Value| {
        let key = of.get("key")?.as_object()?.clone();
        Some((of.get("rule")?.as_str()?.to_owned(), Key::new(key)))
    };
    Ok(Incident {
        id: text("incident").map_or_else(|| format!("line-{number}"), str::to_owned),
        rule: text("rule").ok_or("rule is missing")?.to_owned(),
        key: Key::new(key),
        from_ms,
        until_ms,
        harm_ms: instant("harm")?.unwrap_or(until_ms),
        complete_ms: instant("complete")?.unwrap_or(until_ms),
        title: (title("zh"), title("en")),
        subjects: list("subjects").filter_map(|s| s.as_str().map(str::to_owned)).collect(),
        also: list("also").filter_map(other).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_years_plant_every_rule_at_least_twice_and_the_file_says_the_same() {
        let world = World::new(5, 1.0, 20_000);
        let incidents = beginning(&world, 20_000..20_730);
        for kind in Kind::ALL.into_iter().chain(Kind::IN_ORDER).chain(Kind::ACUTE) {
            let n = incidents.iter().filter(|i| i.rule == kind.rule().0).count();
            assert!(n >= 10, "{kind:?} {n}");
        }
        let zone = Zone::parse("Asia/Shanghai").unwrap();
        let text: String = incidents.iter().map(|i| format!("{}\n", i.to_json(&zone))).collect();
        assert_eq!(Incident::read_all(&text, &zone).unwrap(), incidents);
        let error = Incident::read_all("\n{\"rule\": \"x\", \"key\": {}}", &zone).unwrap_err();
        assert_eq!(error.to_string(), "line 2 is no incident: from is missing");
    }

    #[test]
    fn prefecture_and_class_of_surges_do_not_return() {
        let world = World::new(5, 1.0, 20_000);
        let cells: Vec<Key> = beginning(&world, 20_000..24_000)
            .into_iter()
            .filter(|i| i.rule == "category_week_surge")
            .map(|i| i.key)
            .collect();
        let mut distinct = cells.clone();
        distinct.sort();
        distinct.dedup();
        assert!(cells.len() > 100 && cells.len() == distinct.len());
    }
}
