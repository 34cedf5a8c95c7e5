//! Orders of the 12315 platform.

use rand_distr::{Distribution, LogNormal};

use super::{Fate, Fates, Place, Record, Stamp};
use crate::source::demo::{
    Feed, World, delay,
    dice::Dice,
    line::{Line, digits},
    province::{self, Business, County},
    sheet::Sheet,
};

const KINDS: [(&str, u16); 4] = [("TS", 475), ("JB", 139), ("ZX", 376), ("JY", 10)];
const CHANNELS: [(&str, u16); 8] = [
    ("WXMP", 300),
    ("PC", 190),
    ("APP", 140),
    ("TEL", 180),
    ("ALI", 90),
    ("WXOA", 40),
    ("BD", 10),
    ("PLT", 50),
];
const LETTERS: [&str; 4] = ["LET", "TRF", "VIS", "FAX"];
/// Classes of goods and services, and their share of orders.
pub(in super::super) const OBJECTS: [(&str, u16); 26] = [
    ("G01", 130),
    ("S01", 100),
    ("G02", 90),
    ("G05", 50),
    ("G04", 60),
    ("G03", 50),
    ("G06", 45),
    ("G09", 35),
    ("G13", 35),
    ("G12", 20),
    ("G07", 20),
    ("G08", 15),
    ("G10", 15),
    ("G14", 25),
    ("S02", 40),
    ("S03", 35),
    ("S04", 45),
    ("S05", 40),
    ("S06", 30),
    ("S07", 45),
    ("S08", 15),
    ("S09", 15),
    ("S10", 15),
    ("S17", 15),
    ("S13", 10),
    ("S18", 5),
];
/// Classes that are in season, by month.
const SEASON: [[&str; 2]; 12] = [
    ["G14", "G01"],
    ["S09", "G14"],
    ["G04", "S05"],
    ["S10", "G13"],
    ["S10", "S01"],
    ["G04", "G05"],
    ["S04", "G04"],
    ["S04", "S10"],
    ["G12", "S04"],
    ["S10", "S01"],
    ["G02", "S17"],
    ["S17", "G03"],
];
/// Orders in season, in a thousand.
const IN_SEASON: u64 = 60;
const PROBLEMS: [(&str, u16); 12] = [
    ("ZL", 240),
    ("SH", 170),
    ("HT", 140),
    ("XC", 100),
    ("SA", 100),
    ("JG", 80),
    ("XS", 50),
    ("YF", 40),
    ("GG", 30),
    ("AQ", 20),
    ("RG", 20),
    ("JL", 10),
];
/// Breaches reported.
pub(in super::super) const REPORTS: [(&str, u16); 14] = [
    ("R01", 260),
    ("R04", 150),
    ("R05", 120),
    ("R02", 90),
    ("R07", 90),
    ("R06", 60),
    ("R03", 50),
    ("R14", 50),
    ("R08", 40),
    ("R10", 30),
    ("R17", 20),
    ("R18", 20),
    ("R13", 10),
    ("R99", 10),
];
const TRADES_WITH_CARDS: [&str; 3] = ["S02", "S03", "S04"];
/// Brands: two syllables of these each.
const FIRST: [&str; 20] = [
    "云", "山", "禾", "木", "青", "星", "湘", "南", "麦", "竹", "福", "乐", "喜", "优", "悦", "鲜",
    "小", "大", "老", "新",
];
const SECOND: [&str; 20] = [
    "里", "田", "语", "果", "町", "橙", "谷", "坊", "鹿", "舍", "铺", "记", "源", "家", "味", "匠",
    "屋", "社", "堂", "港",
];
/// Brands of the background; incidents happen to others.
pub(in super::super) const BRANDS: u64 = 400;

/// What people write; the words by which closing shops are known stand in one of the prepaid ones only.
fn texts(problem: &str) -> &'static [&'static str] {
    match problem {
        "ZL" => {
            &["商品用了几天就坏,商家拒绝处理", "收到的商品有瑕疵,要求退货被拒", "质量与描述不符"]
        }
        "SH" => &["售后一直推脱", "报修两周无人上门", "三包期内要求收费维修"],
        "HT" => &["不履行合同约定", "订金不退", "单方面变更套餐内容"],
        "XC" => &["宣传与实物不符", "夸大功效诱导购买"],
        "SA" => &["食用后不适,食品疑似变质", "食品中有异物", "销售过期食品"],
        "JG" => &["结账价格与标价不一致", "未明码标价", "停车多收费"],
        "YF" => &[
            "办卡后服务缩水",
            "会员卡余额无法使用",
            "充值后涨价",
            "预付卡不退余额",
            "预付卡退费难",
        ],
        "GG" => &["广告使用绝对化用语"],
        "AQ" => &["产品漏电,存在安全隐患"],
        "RG" => &["未经同意收集个人信息"],
        "JL" => &["短斤少两"],
        _ => &["店员态度恶劣", "强制搭售"],
    }
}

/// An order.
#[derive(Debug, Clone)]
pub(in super::super) struct Complaint {
    pub(in super::super) place: Place,
    pub(in super::super) stamp: Stamp,
    pub(in super::super) kind: &'static str,
    pub(in super::super) channel: &'static str,
    pub(in super::super) registered_ms: i64,
    pub(in super::super) occurred_on: i32,
    pub(in super::super) complainant: u64,
    /// Whom it is about, if it says.
    pub(in super::super) respondent: Option<Business>,
    /// Whether it gives the respondent's code.
    pub(in super::super) coded: bool,
    /// Whether the code is mistyped.
    pub(in super::super) mistyped: bool,
    pub(in super::super) county: &'static County,
    pub(in super::super) object: &'static str,
    /// Number of the brand.
    pub(in super::super) brand: Option<u64>,
    pub(in super::super) problem: &'static str,
    pub(in super::super) report: &'static str,
    pub(in super::super) amount_fen: u64,
    pub(in super::super) text: &'static str,
    pub(in super::super) state: &'static str,
    pub(in super::super) duplicate_of: Option<Place>,
}

impl Complaint {
    /// Writes the name of a brand.
    pub(in super::super) fn write_brand(out: &mut Vec<u8>, brand: u64) {
        out.extend_from_slice("样例".as_bytes());
        out.extend_from_slice(FIRST[(brand % 20) as usize].as_bytes());
        out.extend_from_slice(SECOND[(brand / 20 % 20) as usize].as_bytes());
        if brand >= BRANDS {
            digits(out, brand / BRANDS, 1);
        }
    }

    /// Turns it into a complaint (`TS`) about `business` with this problem and text.
    pub(in super::super) fn about(
        &mut self,
        business: Business,
        problem: &'static str,
        text: &'static str,
    ) {
        self.kind = "TS";
        self.respondent = Some(business);
        (self.coded, self.mistyped) = (true, false);
        self.county = business.county;
        (self.problem, self.report, self.text) = (problem, "", text);
        self.state = "20";
        (self.brand, self.duplicate_of) = (None, None);
    }

    fn is_order(&self) -> bool {
        matches!(self.kind, "TS" | "JB")
    }
}

fn subject(world: &World, dice: &mut Dice, kind: &str) -> Option<Business> {
    match kind {
        "TS" => Some(world.province.complained_of(dice)),
        // Breaches are reported of the small as of the large.
        "JB" if dice.per_mille(30) => Some(world.province.complained_of(dice)),
        "JB" => Some(world.province.any(dice)),
        _ => dice.per_mille(200).then(|| world.province.complained_of(dice)),
    }
}

impl Record for Complaint {
    const FEED: Feed = Feed::Complaints;
    const FATES: Fates = Fates { twice: 10, corrected: 25, withdrawn: 8, lag_max: 6 };

    fn draw(world: &World, mut dice: Dice, place: Place, _: Fate) -> Self {
        let d = &mut dice;
        let kind = d.weighted(&KINDS);
        let by_letter = d.per_mille(60);
        let times =
            if by_letter { delay::letter(d, place.day) } else { delay::online(d, place.day) };
        let channel = if by_letter { d.one(&LETTERS) } else { d.weighted(&CHANNELS) };
        let respondent = subject(world, d, kind);
        let coded = respondent.is_some() && d.per_mille(700);
        let county = respondent.map_or_else(|| province::any_county(d), |b| b.county);
        let problem = if kind == "TS" { d.weighted(&PROBLEMS) } else { "" };
        // Seasons come and go over a month, or every first of a month would be a surge.
        let day_of_season = place.day + d.within(-15, 15);
        let month = super::super::calendar::month_and_day(day_of_season).0 as usize - 1;
        let object = match problem {
            "YF" => d.one(&TRADES_WITH_CARDS),
            "SA" => {
                if d.per_mille(600) {
                    "G01"
                } else {
                    "S01"
                }
            }
            _ if d.per_mille(IN_SEASON) => d.one(&SEASON[month]),
            _ => d.weighted(&OBJECTS),
        };
        let order = matches!(kind, "TS" | "JB");
        // Log-uniform ranks: a few brands have most of the orders.
        let brand =
            (order && d.per_mille(80)).then(|| ((BRANDS as f64).powf(d.unit()) - 1.0) as u64);
        // The median is 180 yuan, one in forty orders is above 3,000.
        let amount = LogNormal::new(180_f64.ln(), 1.4).map_or(180.0, |l| l.sample(d));
        let serial = kind == "JB" && d.per_mille(30);
        let people = (3_000_000.0 * world.scale).max(200_000.0) as u64;
        Self {
            place,
            stamp: Stamp::first(times.received_ms),
            kind,
            channel,
            registered_ms: times.registered_ms,
            occurred_on: delay::some_time_before(d, times.registered_ms, 50),
            complainant: if serial { d.below(50) } else { 100 + d.below(people) },
            respondent,
            coded,
            mistyped: coded && d.per_mille(3),
            county,
            object,
            brand,
            problem,
            report: if kind == "JB" { d.weighted(&REPORTS) } else { "" },
            amount_fen: if kind == "TS" { (amount.min(500_000.0) * 100.0) as u64 } else { 0 },
            text: match kind {
                "TS" => d.one(texts(problem)),
                "JB" => d.one(&["举报商家违法经营", "要求查处并奖励", "提供照片和小票为证"]),
                "ZX" => {
                    d.one(&["咨询退货规定", "咨询营业执照办理", "咨询投诉进度", "咨询三包期限"])
                }
                _ => "建议加强市场巡查",
            },
            state: match kind {
                _ if serial => "72",
                "TS" => d.one(&["10", "20", "20", "30"]),
                "JB" => d.one(&["20", "40"]),
                _ => "60",
            },
            duplicate_of: None,
        }
    }

    fn correct(&mut self, world: &World, dice: &mut Dice, roll: u64) {
        match roll % 4 {
            0 if self.kind == "TS" && self.problem != "YF" => {
                self.problem = dice.weighted(&PROBLEMS)
            }
            1 => {
                let known = self.respondent.unwrap_or_else(|| world.province.complained_of(dice));
                (self.respondent, self.county) = (Some(known), known.county);
                (self.coded, self.mistyped) = (true, false);
            }
            2 if self.is_order() && self.place.index > 0 => {
                self.duplicate_of = Some(Place { index: self.place.index - 1, ..self.place });
                self.state = "71";
            }
            _ => self.state = if self.kind == "JB" { "41" } else { "50" },
        }
    }

    fn stamp(&mut self) -> &mut Stamp {
        &mut self.stamp
    }

    /// A letter of last week is not corrected after its order could only be late.
    fn can_change(&self) -> bool {
        delay::days_between(self.registered_ms, self.stamp.received_ms) < 1
    }

    fn again(dice: &mut Dice, day: i32) -> i64 {
        delay::hour_of_public(dice, day)
    }

    fn write(&self, out: &mut Sheet) {
        out.add(Feed::Complaints, self.stamp.received_ms, |bytes| self.line(bytes));
    }
}

impl Complaint {
    fn line(&self, bytes: &mut Vec<u8>) {
        let mut line = Line::new(bytes);
        line.with("order_no", |out| self.place.write(out, "HN"));
        self.stamp.write(&mut line);
        line.text("kind", self.kind);
        line.text("channel", self.channel);
        line.instant("registered_at", self.registered_ms);
        line.day("occurred_on", self.occurred_on);
        line.with("complainant_hash", |out| {
            out.push(b'P');
            digits(out, self.complainant, 7);
        });
        match self.respondent {
            Some(b) if self.coded => {
                line.with("respondent_name", |out| b.write_name(out));
                let mut ucc = b.ucc();
                if self.mistyped {
                    ucc[17] = if ucc[17] == b'0' { b'1' } else { b'0' };
                }
                line.with("ucc", |out| out.extend_from_slice(&ucc));
            }
            Some(_) => line.text("respondent_name", "某网店"),
            None => {}
        }
        line.text("region", self.county.code);
        line.text("object_code", self.object);
        if let Some(brand) = self.brand {
            line.with("brand", |out| Self::write_brand(out, brand));
        }
        line.text_if("problem_code", self.problem);
        line.text_if("report_type", self.report);
        if self.amount_fen > 0 {
            line.hundredths("amount_yuan", self.amount_fen);
        }
        line.text("text", self.text);
        if self.problem == "YF" {
            line.texts("tags", &["YF"]);
        }
        line.text("state", self.state);
        if let Some(other) = self.duplicate_of {
            line.with("duplicate_of", |out| other.write(out, "HN"));
        }
        line.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_a_thousand() {
        let sum = |of: &[(&str, u16)]| of.iter().map(|(_, w)| w).sum::<u16>();
        for table in [&KINDS[..], &CHANNELS, &OBJECTS, &PROBLEMS, &REPORTS] {
            assert_eq!(sum(table), 1000, "{table:?}");
        }
    }
}
